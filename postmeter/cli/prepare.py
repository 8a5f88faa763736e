"""`postmeter prepare`: bring the database up to this version. Safe to run again, and what every start does first."""

import os
from datetime import timedelta

import click


def bring_up_to_date(*, app_password: str, worker_password: str, operator_password: str = "") -> None:
    """Roles, migrations and the partitions of the coming weeks, with the owner's login (Django's default connection)."""
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    from postmeter.customers import bodies
    from postmeter.customers import queries as customers
    from postmeter.db.roles import ensure_roles

    connection.ensure_connection()
    ensure_roles(
        connection.connection,
        database=str(connection.settings_dict["NAME"]),
        app_password=app_password,
        worker_password=worker_password,
        operator_password=operator_password,
    )
    call_command("migrate", interactive=False, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT db_ensure_partitions(%s, 8)", [timezone.now() - timedelta(weeks=1)])
    bodies.complete(customers=customers.every_customer(), now=timezone.now())


@click.command()
@click.option(
    "--demo/--no-demo",
    default=True,
    envvar="POSTMETER_DEMO",
    help="Load the demo customer if there is no customer yet; POSTMETER_DEMO=0.",
)
def command(demo: bool) -> None:
    """Create roles, migrate, make partitions; load demo data once."""
    os.environ["POSTMETER_DATABASE_URL"] = os.environ["POSTMETER_OWNER_DATABASE_URL"]
    import django

    django.setup()
    bring_up_to_date(
        app_password=os.environ["POSTMETER_APP_PASSWORD"],
        worker_password=os.environ["POSTMETER_WORKER_PASSWORD"],
        operator_password=os.environ.get("POSTMETER_OPERATOR_PASSWORD", ""),
    )
    if demo:
        from postmeter.cli.demo_data import load_once

        load_once()
