"""A worker at a message centre, in a thread of its own, and what the tests ask of both."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Self

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from postmeter.messaging import queries
from postmeter.messaging.carriers import smpp as carrier
from postmeter.messaging.dispatch import Dispatcher
from postmeter.messaging.models import Message
from postmeter.messaging.operations import dispatch
from postmeter.messaging.operations.accept import Submission, submit
from tests.cast import Clinic, number
from tests.stage import until

DEMO = {"system_id": "postmeter", "password": "demopass", "per_second": "500"}


class Worker:
    """Dispatches one clinic's texts to the centre at this port until the block ends."""

    def __init__(self, clinic: Clinic, port: int, work: Callable[[], list[int]] | None = None, **more: str) -> None:
        told: Mapping[str, Mapping[str, str]] = {"smpp": {"host": "127.0.0.1", "port": str(port), **DEMO, **more}}
        mine = work or (lambda: [clinic.id] if clinic.id in dispatch.customers_with_work() else [])
        self._dispatcher = Dispatcher(settings=told, clock=timezone.now, work=mine)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._dispatcher.stop()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self._dispatcher.run())
        connection.close()


def send(clinic: Clinic, body: str, *, to: str | None = None, n: int = 1) -> int:
    """One text, accepted for the centre. Returns its id."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(settings.ROUTES, "sms", ("smpp",))
        accepted = submit(Submission(clinic.id, [to or number(n)], [body], clinic.actor), now=timezone.now())
    assert accepted.words == ["ok"]
    return accepted.ids[0]


def the(clinic: Clinic, message_id: int) -> Message:
    return queries.message(customer_id=clinic.id, message_id=message_id)


def reaches(clinic: Clinic, message_id: int, *states: str) -> Message:
    def told() -> str:
        found = queries.trail(customer_id=clinic.id, message_id=message_id)
        return f"{found.message.state}: {[(r.source, r.status, r.raw) for r in found.receipts]}"

    until(lambda: the(clinic, message_id).state in states, f"{states}", told)
    return the(clinic, message_id)


def hurry(patched: pytest.MonkeyPatch) -> None:
    """What takes seconds between machines takes none here."""
    for name, value in {
        "READY_SECONDS": 1.0,
        "ANSWER_SECONDS": 1.0,
        "THROTTLED_SECONDS": 3.0,
        "PLACE_SECONDS": 0.05,
        "BACK_OFF_SECONDS": (0.05,),
    }.items():
        patched.setattr(carrier, name, value)
