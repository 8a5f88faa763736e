"""`postmeter guard …`: limits, countries and stops of a customer."""

from typing import Any

import click

from postmeter.cli.database import connect

ACTOR = "operator"


@click.group("guard")
def command() -> None:
    """What a customer may send how often, and to where. CUSTOMER is its number."""


@command.command("show")
@click.argument("customer")
def show(customer: str) -> None:
    """What holds for a customer, and whether its sending is stopped."""
    found, unit = _of(customer)
    from postmeter.guard import queries
    from postmeter.guard.limits import LIMITS, said

    click.echo(f"{found.number}  {found.name}")
    stop = queries.standing(customer_id=found.id)
    if stop:
        passed = said(LIMITS[stop.limit], stop.most, stop.unit)
        click.echo(f"  stopped since {stop.at:%Y-%m-%d %H:%M} UTC: {stop.actor} would have passed {passed}")
    opened = queries.opened_countries(customer_id=found.id)
    click.echo(f"  countries: {found.country} {' '.join(sorted(opened))}")
    set_ones = queries.overrides(customer_id=found.id, by_operator=True) | queries.overrides(
        customer_id=found.id, by_operator=False
    )
    for name, most in queries.limits(customer_id=found.id, unit=unit).items():
        click.echo(f"  {name:15} {said(LIMITS[name], most, unit)}{'  (set)' if name in set_ones else ''}")


@command.command("limit")
@click.argument("customer")
@click.argument("name")
@click.argument("most")
def limit(customer: str, name: str, most: str) -> None:
    """Let NAME be at most MOST for a customer: messages, or an amount of its unit; `usual` takes the setting back."""
    found, unit = _of(customer)
    from django.utils import timezone

    from postmeter.guard import operations
    from postmeter.guard.limits import LIMITS, read

    value = None if most == "usual" else read(LIMITS.get(name), most, unit, field=name)
    operations.set_limits(customer_id=found.id, unit=unit, most={name: value}, by_operator=True, actor=ACTOR, now=timezone.now())
    click.echo("Saved.")


@command.command("countries")
@click.argument("customer")
@click.argument("countries", nargs=-1)
def set_countries(customer: str, countries: tuple[str, ...]) -> None:
    """Open exactly these COUNTRIES (AU GB) beside the customer's own; `*` opens every one that has a price."""
    found, _ = _of(customer)
    from django.utils import timezone

    from postmeter.guard import operations

    operations.set_countries(customer_id=found.id, opened=countries, actor=ACTOR, now=timezone.now())
    click.echo("Saved.")


@command.command("lift")
@click.argument("customer")
@click.option("--top-ups/--no-top-ups", default=False, show_default=True, help="Whether automatic top-ups go on, too.")
@click.option("--take-back/--send", default=True, show_default=True, help="What waits of the one who set it off.")
def lift(customer: str, *, top_ups: bool, take_back: bool) -> None:
    """Let a customer send again whose sending was stopped."""
    found, _ = _of(customer)
    from django.utils import timezone

    from postmeter.terms import stops

    stops.lift(customer_id=found.id, top_ups_go_on=top_ups, take_back=take_back, actor=ACTOR, now=timezone.now())
    click.echo("Sending goes on.")


def _of(number: str) -> tuple[Any, str]:
    """The customer of that number and its unit."""
    connect()
    from postmeter.cli.ledger import customer_named
    from postmeter.wallets import queries as wallets

    found = customer_named(number)
    return found, wallets.pool(customer_id=found.id).unit
