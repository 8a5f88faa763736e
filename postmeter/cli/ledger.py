"""`postmeter ledger …`: look at accounts, transfers and statements from the command line."""

from datetime import date, datetime, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from postmeter.cli.database import connect

if TYPE_CHECKING:
    from postmeter.customers.models import Customer


@click.group("ledger")
def command() -> None:
    """Accounts, transfers and statements of a customer (its number or its id)."""


@command.command("accounts")
@click.argument("customer")
def accounts(customer: str) -> None:
    """Every account, with the balance that its rows come to."""
    found = customer_named(customer)
    from postmeter.kit.money import decimal_string
    from postmeter.ledger import queries as ledger

    click.echo(f"{'account':>20}  {'kind':<18} {'unit':<5} {'balance':>18} {'held':>14}  limit")
    for account in ledger.accounts(customer_id=found.id):
        total = ledger.balance_at(customer_id=found.id, account_id=account.id, at=_end_of_time())
        sign = 1 if account.normal == "credit" else -1
        limit = decimal_string(account.limit_micros) if account.limited else ""
        held = decimal_string(account.debits_pending)
        click.echo(
            f"{account.id:>20}  {account.kind:<18} {account.unit:<5} {decimal_string(sign * total):>18} {held:>14}  {limit}"
        )


@command.command("transfers")
@click.argument("customer")
@click.option("--account", type=int, help="Only this account's, with the running balance.")
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="First day, in the customer's zone.")
@click.option("--to", "until", type=click.DateTime(["%Y-%m-%d"]), help="First day that is no longer shown.")
def transfers(customer: str, account: int | None, since: datetime | None, until: datetime | None) -> None:
    """What moved an account; the pool's unless another is named."""
    _statement(customer, account, since, until, totals=False)


@command.command("statement")
@click.argument("customer")
@click.option("--account", type=int, help="Another account than the pool's.")
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="First day, in the customer's zone.")
@click.option("--to", "until", type=click.DateTime(["%Y-%m-%d"]), help="First day that is no longer shown.")
def statement(customer: str, account: int | None, since: datetime | None, until: datetime | None) -> None:
    """Opening + movements = closing, recomputed from the rows."""
    _statement(customer, account, since, until, totals=True)


def _statement(customer: str, account: int | None, since: datetime | None, until: datetime | None, *, totals: bool) -> None:
    found = customer_named(customer)
    from postmeter.kit.money import decimal_string
    from postmeter.kit.refusals import NotFound
    from postmeter.ledger import queries as ledger
    from postmeter.wallets import queries as wallets

    zone = ZoneInfo(found.time_zone)
    account_id = account or wallets.pool(customer_id=found.id).account_id
    if account_id not in {row.id for row in ledger.accounts(customer_id=found.id)}:
        raise NotFound(f"Customer {found.number} has no account {account_id}.", remedy="See `postmeter ledger accounts`.")
    first = datetime.combine(since.date() if since else date(2025, 1, 1), time(), zone)
    last = datetime.combine(until.date(), time(), zone) if until else _end_of_time()
    shown = ledger.statement(customer_id=found.id, account_id=account_id, since=first, until=last)
    if totals:
        click.echo(f"{found.name} ({found.number}), account {account_id}, times in {found.time_zone}")
        click.echo(f"{'opening':<46}{decimal_string(shown.opening_micros):>36}")
    for line in shown.lines:
        amount, balance = decimal_string(line.amount_micros), decimal_string(line.balance_micros)
        click.echo(
            f"{line.at.astimezone(zone):%Y-%m-%d %H:%M:%S}  {line.code:<12} {line.id:>20} {amount:>14} {balance:>14}  of {line.ref_id}"
        )
    if totals:
        moved = sum(line.amount_micros for line in shown.lines)
        right = shown.opening_micros + moved == shown.closing_micros
        click.echo(f"{f'{len(shown.lines)} movements':<46}{decimal_string(moved):>36}")
        click.echo(
            f"{'closing':<46}{decimal_string(shown.closing_micros):>36}  {'= opening + movements' if right else 'DIFFERS'}"
        )


def customer_named(text: str) -> "Customer":
    """A customer by its number or its id. Raises BadInput, NotFound."""
    connect()
    from postmeter.customers.models import Customer
    from postmeter.db import scope
    from postmeter.kit.refusals import BadInput, NotFound

    if not text.isdigit():
        raise BadInput("A customer is named by its number or its id.", field="customer", remedy="For example 1001.")
    with scope.every_customer():
        found = Customer.objects.filter(number=int(text)).first() or Customer.objects.filter(id=int(text)).first()
    if found is None:
        raise NotFound(f"There is no customer {text}.")
    return found


def _end_of_time() -> datetime:
    return datetime(9999, 1, 1, tzinfo=ZoneInfo("UTC"))
