"""`postmeter wire …`: the operator's bank accounts, bank statements, and the queue of what needs a person."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from postmeter.cli.database import connect

if TYPE_CHECKING:
    from postmeter.payments.models import BankEntry

ACTOR = "operator"


@click.group("wire")
def command() -> None:
    """Credit by bank transfer."""


@command.command("accounts")
def accounts() -> None:
    """The accounts that customers are told to transfer to."""
    connect()
    from postmeter.payments import wires

    for row in wires.accounts():
        also = f" (also {', '.join(row.also)})" if row.also else ""
        click.echo(f"{row.currency}  {row.account}{also}  {row.holder}  {row.bic} {row.bank}".rstrip())


@command.command("account")
@click.argument("number")
@click.argument("currency")
@click.option("--holder", help="Who the account belongs to, as the bank has it.")
@click.option("--bank", default="", help="The bank's name.")
@click.option("--bic", default="", help="The bank's BIC.")
@click.option("--note", default="", help="What a payer must know besides, such as a routing number.")
@click.option("--also", multiple=True, help="Another name that statements have for it, such as 10020030/1234567.")
@click.option("--close", is_flag=True, help="Show it to customers no more; what arrives is still imported.")
def account(number: str, currency: str, holder: str | None, bank: str, bic: str, note: str, also: list[str], close: bool) -> None:
    """Add an account (NUMBER is its IBAN, or its number), or change what is said of it."""
    connect()
    from django.utils import timezone

    from postmeter.payments import wires

    if close:
        wires.close_account(account=number, currency=currency.upper(), now=timezone.now())
        return
    row = wires.set_account(
        account=number, currency=currency.upper(), holder=holder or "", bank=bank, bic=bic, note=note, also=also
    )
    click.echo(f"Customers who pay in {row.currency} are told to transfer to {row.account}, {row.holder}.")


@command.command("reference")
@click.argument("customer")
def reference(customer: str) -> None:
    """The payment references of a customer (its number or its id)."""
    from postmeter.cli.ledger import customer_named

    found = customer_named(customer)
    from django.utils import timezone

    from postmeter.payments.wire.reference import written
    from postmeter.topups import wires
    from postmeter.wallets import queries as wallets

    for wallet in wallets.wallets(customer_id=found.id):
        if wallet.kind != "sandbox":
            told = wires.instructions(customer_id=found.id, wallet_id=wallet.id, now=timezone.now())
            click.echo(f"{wallet.unit}  {written(told.reference)}")


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--account", default="", help="Whose statement it is, where the file does not say so.")
@click.option(
    "--column", "columns", multiple=True, metavar="WORD=HEADER", help='Of a CSV: its columns, such as amount="Betrag (EUR)".'
)
@click.option("--currency", default="", help="Of a CSV without a column for it.")
@click.option("--decimal", default="", type=click.Choice(["", ".", ","]), help="Of a CSV: what stands before the cents.")
@click.option("--day-first/--month-first", default=None, help="Of a CSV: how to read 03/04/2026.")
@click.option("--unbalanced", is_flag=True, help="Also when the entries do not lead from the opening to the closing balance.")
def import_files(
    files: list[Path],
    account: str,
    columns: list[str],
    currency: str,
    decimal: str,
    day_first: bool | None,
    unbalanced: bool,
) -> None:
    """Import bank statements (camt.053, camt.054, MT940, CSV), each file whole or not at all."""
    connect()
    from django.utils import timezone

    from postmeter.payments.wire import Layout
    from postmeter.topups import wires

    layout = Layout(_columns(columns), day_first, decimal, account, currency.upper())
    for file in files:
        done = wires.import_statement(
            file_name=file.name,
            data=file.read_bytes(),
            actor=ACTOR,
            now=timezone.now(),
            account=account,
            layout=layout,
            unbalanced=unbalanced,
        )
        click.echo(
            f"{done.file_name} ({done.kind}): {done.credited} credited, {done.queued} for a person to look at, "
            f"{done.known} known already, {done.ignored} of no customer, {done.left_out} not booked"
        )


def _columns(told: list[str]) -> dict[str, str]:
    from postmeter.kit.refusals import BadInput

    for each in told:
        if "=" not in each:
            raise BadInput(f"{each!r} is not WORD=HEADER.", field="column", remedy='Such as --column amount="Betrag (EUR)".')
    return {word: header for word, _, header in (each.partition("=") for each in told)}


@command.command("queue")
def queue() -> None:
    """What a person must look at."""
    connect()
    from postmeter.payments import wires

    for entry in wires.queue():
        click.echo(_line(entry))


def _line(entry: "BankEntry") -> str:
    from postmeter.kit.money import decimal_string

    amount = f"{'-' if entry.direction == 'debit' else ''}{decimal_string(entry.amount_micros)} {entry.currency}"
    texts = " | ".join(" ".join(text.split()) for text in entry.texts)[:140]
    what = f"{entry.id}  {entry.valued_on}  {amount:>16}  {entry.queued_for:<17}"
    return f"{what}  {entry.payer}  {texts}  ({entry.file_name}, {entry.place})"


@command.command("assign")
@click.argument("entry", type=int)
@click.argument("customer")
@click.option("--reason", required=True, help="How you know.")
def assign(entry: int, customer: str, reason: str) -> None:
    """Credit a queued entry to a customer (its number or its id), as received."""
    from postmeter.cli.ledger import customer_named

    found = customer_named(customer)
    from django.utils import timezone

    from postmeter.kit.money import decimal_string
    from postmeter.topups import wires

    done = wires.assign(entry_id=entry, customer_id=found.id, reason=reason, actor=ACTOR, now=timezone.now())
    click.echo(f"{decimal_string(done.amount_micros)} {done.currency} credited to {found.name} ({found.number}).")


@command.command("dismiss")
@click.argument("entry", type=int)
@click.argument("reason")
def dismiss(entry: int, reason: str) -> None:
    """Take an entry off the queue without crediting it."""
    connect()
    from django.utils import timezone

    from postmeter.payments import wires

    wires.dismiss(entry_id=entry, reason=reason, actor=ACTOR, now=timezone.now())
