"""`postmeter costs`: what providers billed for a day beside what customers were charged."""

import asyncio
from datetime import datetime

import click

from postmeter.cli.database import connect


@click.command("costs")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="In UTC; without it the last days that were read.")
@click.option("--provider", default="twilio", show_default=True)
@click.option("--ask", is_flag=True, help="Read the bills that are due now, first.")
def command(day: datetime | None, provider: str, ask: bool) -> None:
    """Days with what is left, or one day with its differences, each on its line."""
    connect()
    from django.conf import settings
    from django.utils import timezone

    from postmeter.costs import operations, queries
    from postmeter.kit.money import format_amount

    if ask:
        done = asyncio.run(operations.read_due(settings=settings.PROVIDERS, now=timezone.now()))
        click.echo(f"{done} bills read.")
    found = queries.days(at_most=14) if day is None else [queries.day_of(provider=provider, day=day.date())]
    if not any(found):
        click.echo("No bill was read yet." if day is None else f"The bill of {provider} for {day:%Y-%m-%d} was not read yet.")
    for each in filter(None, found):
        click.echo(f"{each.run.day} {each.run.provider}: {each.run.records} records, {each.differences} differences")
        for currency, billed, fees, charged, left in each.rows:
            words = [format_amount(micros, currency) for micros in (billed, fees, charged, left)]
            click.echo("    billed {}, carriers' fees {}, charged {}, left {}".format(*words))
    if day is None:
        return
    for line in queries.differences(provider=provider, day=day.date()):
        theirs = "nothing" if line.billed_micros is None else format_amount(line.billed_micros, line.currency)
        ours = "nothing" if line.charged_micros is None else format_amount(line.charged_micros, line.unit)
        click.echo(f"  {line.ref}: billed {theirs}, charged {ours}. {line.words}")
