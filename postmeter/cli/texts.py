"""`postmeter texts …`: what messages say is kept encrypted; the keys it is kept with."""

import click

from postmeter.cli.database import connect


@click.group("texts")
def command() -> None:
    """The keys that customers' texts are kept with."""


@command.command("rotate")
@click.option("--customer", "number", type=int, help="Only this customer, by its number; otherwise all of them.")
def rotate(number: int | None) -> None:
    """Give customers a new key each, and keep all their keys under the newest of POSTMETER_BODY_KEYS."""
    connect()
    from django.utils import timezone

    from postmeter.customers import bodies, queries
    from postmeter.kit.refusals import NotFound

    wanted = queries.every_customer()
    if number is not None:
        found = [customer.id for customer in queries.search(text=str(number)) if customer.number == number]
        if not found:
            raise NotFound(f"There is no customer {number}.", remedy="See `postmeter customer list`.")
        wanted = found
    for customer_id in wanted:
        bodies.rotate(customer_id=customer_id, now=timezone.now(), actor="operator")
    click.echo(f"{len(wanted)} customers have a new key. What was written before is read with the old ones.")
