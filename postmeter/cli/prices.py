"""`postmeter prices …`: prices as an operator keeps them, in a table."""

from datetime import UTC, datetime
from pathlib import Path

import click

from postmeter.cli.database import connect


@click.group("prices")
def command() -> None:
    """Set prices from a table."""


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--plan", default="standard", show_default=True, help="Whose price list.")
@click.option("--customer", default="", help="Its number: prices of its own, in the place of its plan's.")
@click.option("--currency", required=True, help="Three letters; SMS where credit is counted in messages.")
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="First day (UTC) on which they hold; now, if not said.")
def import_(file: Path, plan: str, customer: str, currency: str, since: datetime | None) -> None:
    """Let the prices in FILE hold: a CSV with channel, direction, prefix, country, price and fee, per unit. All rows or none.

    What a prefix cost before ends then; prefixes that FILE does not name stay.
    """
    connect()
    from django.utils import timezone

    from postmeter.cli.ledger import customer_named
    from postmeter.db.scope import EVERYBODY
    from postmeter.rating import table

    now = timezone.now()
    count = table.set_prices(
        rates=table.read(file.read_bytes()),
        plan=plan,
        customer_id=customer_named(customer).id if customer else EVERYBODY,
        currency=currency,
        valid_from=since.replace(tzinfo=UTC) if since else now,
        now=now,
        actor="operator",
    )
    whose = f"customer {customer}" if customer else f"the plan {plan}"
    click.echo(f"{count} prices of {whose} hold from {since.date() if since else 'now'} on.")


@command.command("packs")
@click.argument("tiers")
@click.option("--plan", default="standard", show_default=True, help="Whose price list.")
@click.option("--customer", default="", help="Its number: pack prices of its own list.")
@click.option("--currency", required=True, help="Three letters: what is paid.")
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="First day (UTC) on which they hold; now, if not said.")
def packs(tiers: str, plan: str, customer: str, currency: str, since: datetime | None) -> None:
    """Say what credits counted in messages cost: TIERS such as "1 = 0.10; 1000 = 0.08", each from that quantity on."""
    connect()
    from django.utils import timezone

    from postmeter.cli.ledger import customer_named
    from postmeter.db.scope import EVERYBODY
    from postmeter.kit.money import format_amount
    from postmeter.rating import table

    now = timezone.now()
    found = table.set_packs(
        tiers=tiers,
        plan=plan,
        customer_id=customer_named(customer).id if customer else EVERYBODY,
        currency=currency,
        valid_from=since.replace(tzinfo=UTC) if since else now,
        now=now,
        actor="operator",
    )
    for tier in sorted(found, key=lambda each: each.quantity):
        click.echo(f"from {tier.quantity:,} on {format_amount(tier.price_micros, currency)} each")
