"""`postmeter customer …`: what an operator does for a customer from the command line."""

import click

from postmeter.cli.database import connect


@click.group("customer")
def command() -> None:
    """Open customers, and say how far they may be overdrawn."""


@command.command("list")
def list_() -> None:
    """Every customer with its balance."""
    connect()
    from postmeter.customers import queries as customers
    from postmeter.kit.money import format_amount
    from postmeter.topups import queries as topups
    from postmeter.wallets import queries as wallets

    for customer_id in customers.every_customer():
        found = customers.customer(customer_id=customer_id)
        figures = topups.figures(customer_id=customer_id, wallet=wallets.pool(customer_id=customer_id))
        balance = format_amount(figures.posted_micros, figures.wallet.unit)
        limit = f"  may go to −{format_amount(figures.limit_micros, figures.wallet.unit)}" if figures.limit_micros else ""
        click.echo(f"{found.number}  {found.name:<40} {balance:>16}{limit}")


@command.command("add")
@click.option("--name", required=True)
@click.option("--email", required=True, help="Where invoices and alerts go.")
@click.option("--country", required=True, help="Two letters.")
@click.option("--currency", required=True, help="Three letters: what it pays in.")
@click.option("--unit", default="", help="SMS: its credit is counted in messages, and its plan's prices are too. Else money.")
@click.option("--time-zone", required=True, help="Such as America/New_York.")
@click.option("--sender", required=True, help="The number that its texts come from, such as +15550100000.")
@click.option("--address", default="", help="Lines separated by semicolons.")
@click.option("--tax-id", default="")
@click.option("--plan", default="standard", show_default=True, help="Whose price list it pays by.")
@click.option("--master-email", required=True, help="The first person who signs in.")
@click.option("--master-name", required=True)
def add(
    name: str,
    email: str,
    country: str,
    currency: str,
    unit: str,
    time_zone: str,
    sender: str,
    address: str,
    tax_id: str,
    plan: str,
    master_email: str,
    master_name: str,
) -> None:
    """Open a customer with its wallets and its first member, all or nothing. Prints where that member begins."""
    connect()
    from django.utils import timezone

    from postmeter.customers import signin
    from postmeter.customers.models import User
    from postmeter.terms.opening import open_customer

    customer = open_customer(
        name=name,
        email=email,
        country=country,
        currency=currency,
        unit=unit,
        time_zone=time_zone,
        sender=sender,
        address=address.replace(";", "\n"),
        tax_id=tax_id,
        plan=plan,
        master_email=master_email,
        master_name=master_name,
        actor="operator",
        now=timezone.now(),
    )
    link = signin.first_link(User.objects.get(email=master_email.strip().lower()))
    click.echo(f"{customer.number}  {customer.name} is open. {master_name} begins at (once, within three days):\n{link}")


@command.command("limit")
@click.argument("customer")
@click.argument("amount")
def limit(customer: str, amount: str) -> None:
    """Let a customer (its number) go below zero by AMOUNT of its currency; 0 ends it."""
    connect()
    from django.utils import timezone

    from postmeter.cli.ledger import customer_named
    from postmeter.kit.money import format_amount, parse_amount
    from postmeter.terms import agreement
    from postmeter.wallets import queries as wallets

    found = customer_named(customer)
    wallet = wallets.pool(customer_id=found.id)
    micros = 0 if amount.strip() == "0" else parse_amount(amount, wallet.unit, field="amount")
    agreement.set_limit(customer_id=found.id, limit_micros=micros, actor="operator", now=timezone.now())
    click.echo(f"{found.number}  {found.name} may go {format_amount(micros, wallet.unit)} below zero.")
