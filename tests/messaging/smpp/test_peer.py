"""A worker at a message centre that nobody here wrote: npm's `smpp`, in a process of its own."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from postmeter.consent import queries as consent
from postmeter.db import scope
from postmeter.messaging.models import Inbound
from tests.cast import FEE, PRICE, Cast, Clinic, number
from tests.messaging.smpp.line import Worker, hurry, reaches, send
from tests.peers.npm import PEERS, install
from tests.stage import until

TOLD = {"password": "secret", "receipt_ids": "hexadecimal"}


class Peer:
    """What it said so far, and a way to have it deliver."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin and process.stdout
        self.said: list[dict[str, Any]] = []
        self._orders, self._lines = process.stdin, process.stdout
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        for line in self._lines:
            self.said.append(json.loads(line))

    def told(self, name: str) -> list[dict[str, Any]]:
        return [what for what in list(self.said) if name in what]

    def wait_for(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        until(lambda: len(self.told(name)) >= count, f"{count} {name}", lambda: str(self.said))
        return self.told(name)

    def deliver(self, clinic: Clinic, sender: str, parts: list[bytes], coding: int = 0) -> None:
        order = {"from": sender[1:], "to": clinic.customer.sender[1:], "parts": [part.hex() for part in parts], "coding": coding}
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()

    def end(self) -> None:
        self._orders.close()
        self._reading.join(30)


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("the foreign message centre needs node and npm: install them to send to it")
    install("smpp")
    hurry(monkeypatch)
    command = [node, "smsc.mjs"]
    with subprocess.Popen(
        command, cwd=PEERS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        found = Peer(process)
        try:
            yield found
        finally:
            found.end()
            process.kill()


def came_in(clinic: Clinic) -> list[str]:
    with scope.customer(clinic.id):
        return [row.body for row in Inbound.objects.filter(customer_id=clinic.id).order_by("id")]


@pytest.mark.peer
@pytest.mark.parametrize(
    ("body", "segments", "coding"),
    [
        ("See you at 9 {€[5]}", 1, 0),
        ("a" * 152 + "€" + "b" * 152 + "~" + "c" * 90, 3, 0),
        ("Приём в 9 👍 " * 12, 3, 8),
    ],
)
def test_it_reads_what_was_written_in_the_parts_that_were_charged(
    cast: Cast, peer: Peer, body: str, segments: int, coding: int
) -> None:
    harbour, to = cast.clinic(), number(301)
    [there] = peer.wait_for("port")
    with Worker(harbour, there["port"], **TOLD):
        message = reaches(harbour, send(harbour, body, to=to), "delivered")
        peer.wait_for("receipt", segments)
    taken = peer.told("submitted")
    assert "".join(part["submitted"] for part in taken) == body
    assert [(part["position"], part["total"], part["coding"]) for part in taken] == [
        (n, segments, coding) for n in range(1, segments + 1)
    ]
    assert {(part["to"], part["from"]) for part in taken} == {(to[1:], harbour.customer.sender[1:])}
    assert {told["status"] for told in peer.told("receipt")} == {0}
    assert message.charged_micros == segments * (PRICE + FEE)


@pytest.mark.peer
def test_it_asks_to_slow_down_and_gets_the_text_once(cast: Cast, peer: Peer) -> None:
    harbour = cast.clinic()
    [there] = peer.wait_for("port")
    with Worker(harbour, there["port"], **TOLD):
        reaches(harbour, send(harbour, "Take it slowly", n=311), "delivered")
    assert [part["submitted"] for part in peer.told("submitted")] == ["Take it slowly"]


@pytest.mark.peer
def test_its_texts_come_in_and_are_answered_once_they_are_kept(cast: Cast, peer: Peer) -> None:
    harbour, ana, ben = cast.clinic(), number(321), number(322)
    [there] = peer.wait_for("port")
    with Worker(harbour, there["port"], **TOLD):
        peer.wait_for("bound")
        peer.deliver(harbour, ana, [b"STOP"])
        [answer] = peer.wait_for("text")
        assert answer["status"] == 0
        assert consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[ana]) == {ana}
        long = [
            bytes.fromhex(f"06080412340{3}0{n}") + word.encode("utf-16-be") for n, word in ((3, "Ende"), (1, "Ça "), (2, "va? "))
        ]
        peer.deliver(harbour, ben, [*long, long[0]], coding=8)
        peer.wait_for("text", 5)
    assert {told["status"] for told in peer.told("text")} == {0}
    assert came_in(harbour) == ["STOP", "Ça va? Ende"]
