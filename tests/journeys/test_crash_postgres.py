"""The database dies in the middle of a send: what was acknowledged stays, what was not is repeated, everything settles (F04 … F07).

A SIGKILL is not a power cut: the system's cache survives it. What a power cut would take is not covered here.
"""

import os
import signal
import threading
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest
from django.utils import timezone

from postmeter.customers import operations as customers
from postmeter.customers.permissions import SCOPES
from postmeter.db.embedded import EmbeddedPostgres
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import MICROS
from postmeter.messaging import queries as messages
from tests.cast import FEE, PRICE, Clinic, number
from tests.house.places import place
from tests.journeys.house import House, assert_all_is_right, forget_connections
from tests.stage import PATIENCE_SECONDS, until

EACH = PRICE + FEE
LIST = 1_000
PLAIN = 5_000  # from here on a thousand numbers without magic


@pytest.fixture(scope="module")
def server(database: str) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of its own that keeps its promises: with fsync."""
    with place() as folder, EmbeddedPostgres(folder / "home") as server:
        yield server


@pytest.fixture(scope="module")
def house(server: EmbeddedPostgres) -> Iterator[House]:
    with House(server.url, "crash") as house:
        yield house


def kill_the_whole_group(server: EmbeddedPostgres) -> None:
    """SIGKILL to the postmaster and all its processes (F04). A lone postmaster would leave its sessions at work."""
    postmaster = _postmaster(server)
    os.kill(postmaster, signal.SIGSTOP)  # so that it starts nothing while we look for its children
    children = [pid for pid in _all_processes() if _parent_of(pid) == postmaster]
    assert len(children) > 5, "sessions were expected"
    for pid in (*children, postmaster):
        os.kill(pid, signal.SIGKILL)


def stop_immediately(server: EmbeddedPostgres) -> None:
    """The `immediate` stop: no checkpoint, recovery at the next start (F05)."""
    os.kill(_postmaster(server), signal.SIGQUIT)


@pytest.mark.parametrize("end", [kill_the_whole_group, stop_immediately])
def test_a_database_that_dies_in_the_middle_of_a_send_loses_and_repeats_nothing(
    server: EmbeddedPostgres, house: House, harbour: Clinic, end: Callable[[EmbeddedPostgres], None]
) -> None:  # I16, I17, I27, I28
    facts = {"customer_id": harbour.id, "recipients": [number(PLAIN + n) for n in range(LIST)], "body": f"Hello {uuid4()}"}
    assert house.act("send_list", facts | {"key": str(uuid4())}).returncode == 0
    with Singles(house, harbour) as singles:
        house.start_worker()
        until(lambda: len(house.carried(harbour)) > 50 and len(singles.acknowledged) > 5, "the send to be under way", house.said)
        end(server)
        carried_by_then = len(house.carried(harbour))
        until(lambda: bool(singles.failed), "a request to meet the dead database")
    until(lambda: not server.is_running, "the database to be gone")
    forget_connections()
    server.start()

    singles.repeat_what_failed()
    until(lambda: _none_queued(house, harbour), "a worker to take up the work again", house.said)
    house.stop_worker()
    house.let_time_pass(harbour)
    assert_all_is_right(house, harbour)
    found = messages.messages(customer_id=harbour.id, at_most=10 * LIST)
    assert singles.acknowledged <= {public_ids().encode("SM", message.id) for message in found}, "an acknowledged write was lost"
    assert len(found) == LIST + singles.asked
    delivered = [message for message in found if message.state == "delivered"]
    assert carried_by_then < len(delivered)
    others = {message.provider_ref: message.state for message in found if message.state != "delivered"}
    assert not [(others.get(theirs["sid"]), theirs) for theirs in house.carried(harbour) if theirs["sid"] in others]
    assert harbour.posted == 100 * MICROS - len(delivered) * EACH


class Singles(threading.Thread):
    """A program that sends one message after the other, and repeats with its key what was not acknowledged (F07)."""

    def __init__(self, house: House, clinic: Clinic) -> None:
        super().__init__(daemon=True)
        self._house = house
        _, self._secret = customers.create_api_key(
            customer_id=clinic.id, name="program", mode="live", scopes=SCOPES, now=timezone.now(), actor=clinic.actor
        )
        self._enough = threading.Event()
        self.asked = 0
        self.acknowledged: set[str] = set()
        self.failed: list[tuple[str, dict[str, str]]] = []

    def run(self) -> None:
        while not self._enough.is_set():
            self.asked += 1
            key, text = str(uuid4()), {"to": number(PLAIN + self.asked, "1556"), "text": f"Number {self.asked}"}
            try:
                self._post(key, text)
            except (urllib.error.URLError, OSError):
                self.failed.append((key, text))
            self._enough.wait(0.02)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._enough.set()
        self.join(PATIENCE_SECONDS)
        assert not self.is_alive()

    def repeat_what_failed(self) -> None:
        for key, text in self.failed:
            until(lambda key=key, text=text: self._goes(key, text), "the doors to find their database again")  # type: ignore[misc]

    def _goes(self, key: str, text: dict[str, str]) -> bool:
        try:
            self._post(key, text)
        except (urllib.error.URLError, OSError):
            return False
        return True

    def _post(self, key: str, text: dict[str, str]) -> None:
        self.acknowledged.add(self._house.post("/v1/messages", text, secret=self._secret, key=key)["id"])


def _none_queued(house: House, clinic: Clinic) -> bool:
    """Meanwhile do what the runner does: a worker that has ended is started again."""
    house.keep_a_worker()
    return not messages.under_way(customer_id=clinic.id).get("queued")


def _postmaster(server: EmbeddedPostgres) -> int:
    return int((server.data / "postmaster.pid").read_text().splitlines()[0])


def _all_processes() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _parent_of(pid: int) -> int:
    try:
        # The name of the program may hold spaces and brackets; what follows its last bracket does not (proc(5)).
        return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
