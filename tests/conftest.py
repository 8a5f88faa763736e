"""One database for each worker of the run, migrated as an install is; the tests log in as the worker does.

Tests commit: what they prove has to hold between connections. They do not clean up; each makes customers of its own, and
row-level security keeps them apart.
"""

import os
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection, connections

from postmeter.db.roles import roles_of
from tests.cast import Cast
from tests.stage import Stage


@pytest.fixture(scope="session", autouse=True)
def database(django_test_environment: None, django_db_blocker: "pytest.FixtureRequest") -> Iterator[str]:
    """A migrated database; Django is connected to it with the worker's login. The value is its owner's address."""
    from postmeter.cli.prepare import bring_up_to_date
    from postmeter.invoicing.models import Seller

    django_db_blocker.unblock()
    name = f"test_postmeter_{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}"
    owner = os.environ["POSTMETER_TEST_DATABASE_URL"]
    with psycopg.connect(owner, autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}"')
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name
    bring_up_to_date(app_password="app-password", worker_password="worker-password")
    Seller.objects.create(
        id=1,
        name="Northlight Messaging Pty Ltd",
        address="12 Example Street\nSydney NSW 2000",
        country="AU",
        tax_id="ABN 51 824 753 556",
        tax_name="GST",
        tax_rate_ppm=100_000,
        email="billing@northlight.example",
    )
    connection.close()
    log_in(roles_of(name).worker, "worker-password")
    yield owner.rsplit("/", 1)[0] + f"/{name}"
    connections.close_all()


def log_in(role: str, password: str) -> None:
    """Let Django's next connections be of that role."""
    connection.close()
    connection.settings_dict.update(USER=role, PASSWORD=password)


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """What processes keep for seconds must not leak from test to test."""
    from postmeter.messaging.operations import accept

    accept.forget()
    cache.clear()
    yield


@pytest.fixture
def cast() -> Cast:
    return Cast()


@pytest.fixture(scope="session")
def stage(database: str) -> Iterator[Stage]:
    """Our doors and a simulator, as processes."""
    with Stage() as stage:
        yield stage
