"""`postmeter seller …`: who issues invoices, under which tax rules, and credit notes."""

from datetime import datetime
from decimal import Decimal, InvalidOperation

import click

from postmeter.cli.database import connect

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group("seller")
def command() -> None:
    """Who issues invoices, and under which tax rules."""


@command.command("show")
def show() -> None:
    """The seller as documents name it, and the rules of its scheme."""
    connect()
    from postmeter.invoicing import queries, tax
    from postmeter.kit.refusals import NotFound

    seller = queries.seller()
    if seller is None:
        raise NotFound("There is no seller yet.", remedy="Say who issues invoices with `postmeter seller set`.")
    for label, value in (
        ("name", seller.name),
        ("address", seller.address.replace("\n", ", ")),
        ("country", seller.country),
        ("tax id", seller.tax_id or "none"),
        ("mail", seller.email),
        ("scheme", f"{seller.tax_scheme}: {tax.SCHEMES[seller.tax_scheme]}"),
        ("tax due", f"at {seller.tax_point}"),
    ):
        click.echo(f"{label:<10}{value}")
    for rule in queries.tax_rules(scheme=seller.tax_scheme):
        click.echo(
            f"{rule.country:<4}{rule.buyer:<17}from {rule.valid_from}  {rule.name} {rule.rate_ppm / 10_000:g} %  {rule.category:<3}"
            f"{rule.currency:<5}{rule.words}"
        )


@command.command("set")
@click.option("--name", required=True)
@click.option("--address", required=True, help="Lines separated by semicolons.")
@click.option("--country", required=True, help="Two letters.")
@click.option("--tax-id", default="", help="ABN or VAT id; form and checksum are checked.")
@click.option("--email", required=True)
@click.option("--scheme", default="none", show_default=True, help="none, au_gst, eu_vat or flat.")
@click.option("--tax-point", default="purchase", show_default=True, help="purchase or use.")
def set_(name: str, address: str, country: str, tax_id: str, email: str, scheme: str, tax_point: str) -> None:
    """Say who issues documents from now on. Issued ones keep their words."""
    connect()
    from django.utils import timezone

    from postmeter.invoicing import operations

    seller = operations.set_seller(
        name=name,
        address="\n".join(line.strip() for line in address.split(";")),
        country=country,
        tax_id=tax_id,
        email=email,
        tax_scheme=scheme,
        tax_point=tax_point,
        now=timezone.now(),
    )
    click.echo(f"{seller.name} issues documents under {seller.tax_scheme}, tax due at {seller.tax_point}.")


@command.command("rule")
@click.option("--scheme", required=True, help="au_gst, eu_vat or flat.")
@click.option("--country", required=True, help="Two letters, EU for the other member states, * for everywhere else.")
@click.option("--from", "valid_from", required=True, type=_DAY, help="First day.")
@click.option("--rate", required=True, help="In percent.")
@click.option("--name", required=True, help="As printed: GST, VAT.")
@click.option("--category", default="S", show_default=True, help="UNCL5305.")
@click.option("--currency", default="", help="In which the tax must be stated too.")
@click.option("--words", default="", help="What the document must say.")
def rule(scheme: str, country: str, valid_from: datetime, rate: str, name: str, category: str, currency: str, words: str) -> None:
    """Write the tax rule that holds from a day on."""
    connect()
    from postmeter.invoicing import operations

    operations.add_tax_rule(
        scheme=scheme,
        country=country,
        valid_from=valid_from.date(),
        rate_ppm=int(_number(rate, "rate") * 10_000),
        name=name,
        category=category,
        currency=currency,
        words=words,
    )
    click.echo(f"From {valid_from:%Y-%m-%d} on: {name} {rate} % in {country}.")


@command.command("exchange")
@click.argument("currency")
@click.argument("rate")
@click.option("--day", required=True, type=_DAY)
def exchange(currency: str, rate: str, day: datetime) -> None:
    """Note what one euro costs that day, for taxes that are stated in another currency than the invoice's."""
    connect()
    from postmeter.invoicing import operations

    operations.record_exchange_rate(currency=currency, day=day.date(), per_euro_micros=int(_number(rate, "rate") * 1_000_000))
    click.echo(f"1 EUR = {rate} {currency} on {day:%Y-%m-%d}.")


@command.command("credit-note")
@click.argument("number")
@click.argument("amount")
@click.argument("reason")
def credit_note(number: str, amount: str, reason: str) -> None:
    """Correct an invoice by its number, such as C1001-000007: AMOUNT with tax, and why. No money is moved."""
    connect()
    from django.utils import timezone

    from postmeter.invoicing import operations, queries
    from postmeter.kit.money import parse_amount

    invoice = queries.numbered(number)
    note = operations.issue_credit_note(
        customer_id=invoice.customer_id,
        invoice_id=invoice.id,
        lines=[operations.Line(f"Credited of {number}", 1, parse_amount(amount, invoice.currency, field="amount"))],
        reason=reason,
        now=timezone.now(),
        actor="operator",
    )
    click.echo(f"{operations.number_of(note)} credits {amount} {note.currency} of {number}.")


def _number(text: str, field: str) -> Decimal:
    from postmeter.kit.refusals import BadInput

    try:
        return Decimal(text)
    except InvalidOperation:
        raise BadInput(f"{text!r} is not a number.", field=field, remedy="Write it as in 25.5.") from None
