"""`postmeter operator …`: who may sign in on the operator's pages."""

import click

from postmeter.cli.database import connect


@click.group("operator")
def command() -> None:
    """Account managers: the operator's people."""


@command.command("list")
def list_() -> None:
    """Everybody who may sign in on the operator's pages."""
    connect()
    from postmeter.customers import queries

    for user in queries.account_managers():
        click.echo(f"{user.email}  {user.name}")


@command.command("add")
@click.argument("email")
@click.option("--name", required=True)
def add(email: str, name: str) -> None:
    """Make somebody an account manager. Prints where they begin."""
    connect()
    from django.conf import settings

    from postmeter.customers import operations, signin

    user = operations.appoint(email=email, name=name)
    click.echo(f"{user.name} begins at (once, within three days):\n{signin.first_link(user, settings.CONSOLE_URL)}")


@command.command("remove")
@click.argument("email")
def remove(email: str) -> None:
    """Let an account manager be one no more, at once."""
    connect()
    from postmeter.customers import operations

    click.echo(f"{operations.dismiss(email=email).email} sees the operator's pages no more.")
