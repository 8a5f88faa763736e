"""One database for each worker of the run, migrated as an install is; the tests log in as the worker does.

Tests commit: what they prove has to hold between connections. They do not clean up; each makes customers of its own, and
row-level security keeps them apart.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connections
from hypothesis import HealthCheck, settings

from tests.cast import Cast
from tests.database import new_database
from tests.stage import Stage

# No deadline: a busy machine is not a broken law.
settings.register_profile("postmeter", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("postmeter")


@pytest.fixture(scope="session", autouse=True)
def database(django_test_environment: None, django_db_blocker: "pytest.FixtureRequest") -> Iterator[str]:
    """A migrated database; Django is connected to it with the worker's login. The value is its owner's address."""
    django_db_blocker.unblock()
    owner = os.environ["POSTMETER_TEST_DATABASE_URL"]
    yield new_database(owner, f"test_postmeter_{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}")
    from postmeter.cli.checks import verify_all

    wrong = [(check.name, check.wrong[:3]) for check in verify_all().checks if check.wrong]
    assert not wrong, f"the books that all tests have left: {wrong}"
    connections.close_all()


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """What processes keep for seconds must not leak from test to test."""
    from postmeter.customers import bodies
    from postmeter.messaging.operations import payers

    payers.forget()
    bodies.forget()
    cache.clear()
    yield


@pytest.fixture(autouse=True)
def own_books(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify_all` looks at this test's customers; those of all tests are looked at once, when a worker has done its tests."""
    if "journeys" in request.path.parts:
        return  # its databases are its own
    from postmeter.cli import checks
    from postmeter.db import calls

    begun, everybody = calls.next_id(), checks.every_customer
    monkeypatch.setattr(checks, "every_customer", lambda: [customer_id for customer_id in everybody() if customer_id > begun])


@pytest.fixture
def cast() -> Cast:
    return Cast()


@pytest.fixture(scope="session")
def stage(database: str) -> Iterator[Stage]:
    """Our doors and a simulator, as processes."""
    with Stage() as stage:
        yield stage


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of other people's data that some tests compare with."""
    folder = os.environ.get("POSTMETER_REFERENCE_DATA")
    if not folder:
        pytest.skip("no reference data")
    return Path(folder)
