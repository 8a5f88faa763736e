"""A person at a terminal: a home of their own, and nothing of ours in the environment."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.places import place


@pytest.fixture(autouse=True)
def environment_of_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("POSTMETER_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)


@pytest.fixture
def home() -> Iterator[Path]:
    with place() as folder:
        yield folder / "home"
