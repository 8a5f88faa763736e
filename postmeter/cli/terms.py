"""`postmeter terms …`: what the operator agrees on with a customer, and changes by hand."""

from datetime import UTC, datetime
from typing import Any

import click

from postmeter.cli.database import connect

ACTOR = "operator"


@click.group("terms")
def command() -> None:
    """Bills, adjustments, promotional credit, suspension, and what customers ask for. CUSTOMER is its number."""


@command.command("show")
@click.argument("customer")
def show(customer: str) -> None:
    """What holds for a customer, and what waits."""
    found, wallet = _of(customer)
    from django.utils import timezone

    from postmeter.db.public_ids import public_ids
    from postmeter.kit.money import format_amount
    from postmeter.terms import grants, queries
    from postmeter.terms.changes import CHANGES
    from postmeter.topups import bills

    row, now = queries.agreement(customer_id=found.id), timezone.now()
    click.echo(f"{found.number}  {found.name}")
    click.echo(
        f"  may go below zero by {format_amount(row.limit_micros, wallet.unit)}{'; nothing more is lent' if row.stopped_at else ''}"
    )
    click.echo(f"  pays {'afterwards' if row.post_paid_since else 'ahead'}; bills are due after {row.days_to_pay} days")
    if row.suspended_for:
        click.echo(f"  suspended: {row.suspended_for}")
    for bill in bills.bills(customer_id=found.id):
        amount = format_amount(bill.amount_micros, bill.unit)
        click.echo(f"  bill {public_ids().encode('BI', bill.id)}  {bill.month:%B %Y}  {amount}  due {bill.due_on}  {bill.state}")
    for standing in grants.standings(customer_id=found.id, wallet_id=wallet.id, now=now):
        left, ends = format_amount(standing.left_micros, wallet.unit), standing.grant.expires_at
        click.echo(f"  promotion {format_amount(standing.grant.amount_micros, wallet.unit)}, left {left}, ends {ends or 'never'}")
    for change in queries.requests(customer_id=found.id):
        name = public_ids().encode("CR", change.id)
        click.echo(f"  request {name}  {CHANGES[change.kind].title}  {change.state}")


@command.command("adjust")
@click.argument("customer")
@click.argument("amount")
@click.option("--reason", required=True, help="The customer reads it.")
@click.option("--key", type=click.UUID, help="The same key is the same adjustment.")
@click.option("--as", "actor", default=ACTOR, show_default=True, help="Who does it, such as operator:anna.")
def adjust(customer: str, amount: str, reason: str, key: Any, actor: str) -> None:
    """Give AMOUNT of credit, or take it with a minus: -- -5.00. A large one waits for a second person."""
    found, wallet = _of(customer)
    from uuid import uuid4

    from django.utils import timezone

    from postmeter.db.public_ids import public_ids
    from postmeter.kit.money import parse_amount
    from postmeter.terms import adjustments

    micros = parse_amount(amount.lstrip("-−"), wallet.unit, field="amount") * (-1 if amount.startswith(("-", "−")) else 1)
    row = adjustments.propose(
        customer_id=found.id,
        wallet_id=wallet.id,
        amount_micros=micros,
        reason=reason,
        key=key or uuid4(),
        actor=actor,
        now=timezone.now(),
    )
    click.echo(f"{row.state}: {public_ids().encode('AD', row.id)}")


@command.command("approve-adjustment")
@click.argument("customer")
@click.argument("adjustment")
@click.option("--as", "actor", required=True, help="Who approves it: not the one who proposed it.")
def approve_adjustment(customer: str, adjustment: str, actor: str) -> None:
    """The second person's word about an ADJUSTMENT (AD…)."""
    found, _ = _of(customer)
    from django.utils import timezone

    from postmeter.db.public_ids import public_ids
    from postmeter.terms import adjustments

    row = adjustments.approve(
        customer_id=found.id, adjustment_id=public_ids().decode("AD", adjustment), actor=actor, now=timezone.now()
    )
    click.echo(row.state)


@command.command("refund")
@click.argument("customer")
@click.argument("top_up")
@click.argument("amount")
@click.option("--reason", required=True, help="For the log.")
@click.option("--key", type=click.UUID, help="The same key is the same refund.")
@click.option("--as", "actor", default=ACTOR, show_default=True, help="Who does it, such as operator:anna.")
def refund(customer: str, top_up: str, amount: str, reason: str, key: Any, actor: str) -> None:
    """Give AMOUNT of a purchase (TU…) back to the method that paid: of what is unspent, in the currency that was paid."""
    found, _ = _of(customer)
    from uuid import uuid4

    from django.utils import timezone

    from postmeter.db.public_ids import public_ids
    from postmeter.kit.money import parse_amount
    from postmeter.topups import refunds

    top_up_id = public_ids().decode("TU", top_up)
    currency = refunds.possible(customer_id=found.id, top_up_id=top_up_id).currency
    row = refunds.refund(
        customer_id=found.id,
        top_up_id=top_up_id,
        paid_micros=parse_amount(amount, currency, field="amount"),
        reason=reason,
        key=key or uuid4(),
        actor=actor,
        now=timezone.now(),
    )
    click.echo(f"{row.get_state_display()}{f': {row.text}' if row.text else ''}")


@command.command("grant")
@click.argument("customer")
@click.argument("amount")
@click.option("--reason", required=True, help="The customer reads it.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="The day after the last one on which it can be used.")
@click.option("--key", type=click.UUID, help="The same key is the same grant.")
def grant(customer: str, amount: str, reason: str, expires: datetime | None, key: Any) -> None:
    """Give AMOUNT of promotional credit: used first, never invoiced."""
    found, wallet = _of(customer)
    from uuid import uuid4
    from zoneinfo import ZoneInfo

    from django.utils import timezone

    from postmeter.kit.money import parse_amount
    from postmeter.terms import grants

    ends = expires.replace(tzinfo=ZoneInfo(found.time_zone)).astimezone(UTC) if expires else None
    grants.give(
        customer_id=found.id,
        wallet_id=wallet.id,
        amount_micros=parse_amount(amount, wallet.unit, field="amount"),
        reason=reason,
        expires_at=ends,
        key=key or uuid4(),
        actor=ACTOR,
        now=timezone.now(),
    )
    click.echo("Given.")


@command.command("decide")
@click.argument("customer")
@click.argument("request")
@click.argument("verdict", type=click.Choice(["approve", "decline", "reverse"]))
@click.option("--note", default="", help="The customer reads it.")
def decide(customer: str, request: str, verdict: str, note: str) -> None:
    """Decide about a REQUEST (CR…) of a customer; `terms show` lists them."""
    found, _ = _of(customer)
    from django.utils import timezone

    from postmeter.db.public_ids import public_ids
    from postmeter.terms import requests

    acts: dict[str, Any] = {"approve": requests.approve, "decline": requests.decline, "reverse": requests.reverse}
    request_id = public_ids().decode("CR", request)
    row = acts[verdict](customer_id=found.id, request_id=request_id, actor=ACTOR, now=timezone.now(), note=note)
    click.echo(row.state)


@command.command("settle")
@click.argument("customer")
@click.argument("bill")
@click.argument("how", type=click.Choice(["paid", "cancelled"]))
@click.option("--reason", required=True)
def settle(customer: str, bill: str, how: str, reason: str) -> None:
    """Say that a BILL (BI…) was paid on another way, or take it back with a credit note."""
    found, _ = _of(customer)
    from django.utils import timezone

    from postmeter.db.public_ids import public_ids
    from postmeter.topups import bills

    row = bills.settle_by_hand(
        customer_id=found.id,
        bill_id=public_ids().decode("BI", bill),
        paid=how == "paid",
        reason=reason,
        actor=ACTOR,
        now=timezone.now(),
    )
    click.echo(row.state)


@command.command("policy")
@click.argument("customer")
@click.option("--days-to-pay", type=int, default=14, show_default=True)
@click.option("--stop-after", type=int, default=7, show_default=True, help="Days overdue after which nothing more is lent.")
@click.option("--suspend-after", type=int, help="Days overdue after which nothing more is sent; default never.")
@click.option("--suspend-on-dispute/--no-suspend-on-dispute", default=True, show_default=True)
def policy(customer: str, days_to_pay: int, stop_after: int, suspend_after: int | None, *, suspend_on_dispute: bool) -> None:
    """When bills are due, and what happens after that."""
    found, _ = _of(customer)
    from django.utils import timezone

    from postmeter.terms import agreement

    agreement.set_policy(
        customer_id=found.id,
        days_to_pay=days_to_pay,
        stop_after_days=stop_after,
        suspend_after_days=suspend_after,
        suspend_on_dispute=suspend_on_dispute,
        actor=ACTOR,
        now=timezone.now(),
    )
    click.echo("Saved.")


@command.command("suspend")
@click.argument("customer")
def suspend(customer: str) -> None:
    """Accept no more messages of a customer until `reinstate`."""
    found, _ = _of(customer)
    from django.utils import timezone

    from postmeter.terms import agreement

    done = agreement.suspend(customer_id=found.id, reason=agreement.BY_HAND, actor=ACTOR, now=timezone.now())
    click.echo("Suspended." if done else "It was suspended already.")


@command.command("reinstate")
@click.argument("customer")
def reinstate(customer: str) -> None:
    """Accept messages of a customer again, whatever suspended it."""
    found, _ = _of(customer)
    from django.utils import timezone

    from postmeter.terms import agreement

    done = agreement.reinstate(customer_id=found.id, actor=ACTOR, now=timezone.now())
    click.echo("Reinstated." if done else "It was not suspended.")


def _of(number: str) -> tuple[Any, Any]:
    """The customer of that number and its pool."""
    connect()
    from postmeter.cli.ledger import customer_named
    from postmeter.wallets import queries as wallets

    found = customer_named(number)
    return found, wallets.pool(customer_id=found.id)
