"""`postmeter breaker …`: automatic top-ups of everybody, stopped and started by hand."""

import click

from postmeter.cli.database import connect


@click.group("breaker")
def command() -> None:
    """While it is open, nobody is charged automatically."""


@command.command("show")
def show() -> None:
    """Whether it is open, since when and why; and what speaks against closing it."""
    connect()
    from django.utils import timezone

    from postmeter.topups import breaker

    found = breaker.standing()
    click.echo(f"Open since {found.opened_at:%Y-%m-%d %H:%M} UTC: {found.reason}" if found else "Closed.")
    seen = breaker.trouble(now=timezone.now())
    click.echo(
        f"  wallets whose balance is not the sum of its entries: {seen.unproven}\n"
        f"  payments of another amount than asked for: {seen.mismatches}\n"
        f"  customers whose charge has had no answer for an hour: {seen.customers_without_answer}\n"
        f"  automatic charges in the last hour: {seen.automatic_charges}"
    )


@command.command("open")
@click.option("--reason", required=True)
def open_(reason: str) -> None:
    """Charge nobody automatically any more."""
    connect()
    from django.utils import timezone

    from postmeter.topups import breaker

    done = breaker.trip(reason=reason, actor="operator", now=timezone.now())
    click.echo("Open: nobody is charged automatically." if done else "It was open already.")


@command.command("close")
@click.option("--reason", required=True, help="What was found, and mended.")
def close(reason: str) -> None:
    """Let automatic top-ups go on."""
    connect()
    from django.utils import timezone

    from postmeter.topups import breaker

    done = breaker.reset(reason=reason, actor="operator", now=timezone.now())
    click.echo("Closed: automatic top-ups go on." if done else "It was closed already.")
