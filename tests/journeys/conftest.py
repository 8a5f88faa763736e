"""A house for each file that kills or breaks something."""

from collections.abc import Iterator

import pytest

from tests.cast import Cast, Clinic
from tests.journeys.house import House


@pytest.fixture(scope="module")
def house(database: str) -> Iterator[House]:
    with House(database, f"{database.rsplit('/', 1)[1]}_house") as house:
        yield house


@pytest.fixture
def harbour(house: House, cast: Cast) -> Iterator[Clinic]:
    """A clinic in that house, with 100 dollars. Afterwards nothing is broken any more."""
    yield cast.clinic()
    house.stop_worker()
    house.simulator.control("DELETE", "/faults")
    house.callbacks_come_at_once()
