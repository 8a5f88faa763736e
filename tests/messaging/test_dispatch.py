"""Pump 2: the worker goes round the customers."""

import asyncio
from datetime import datetime

import pytest

from postmeter.messaging import dispatch, queries
from postmeter.messaging.dispatch import Dispatcher
from postmeter.messaging.operations import dispatch as operations
from postmeter.messaging.operations.accept import Submission, submit
from tests.cast import Cast, Clinic, at, number


def queue(clinic: Clinic, count: int) -> None:
    submit(Submission(clinic.id, [number(n) for n in range(count)], ["Hello"] * count, clinic.actor, mode="test"), now=at())


def test_a_reminder_does_not_wait_for_the_campaigns_of_others(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is room for two shares at once: the two campaigns alone would fill it until they end."""
    first, second, third = cast.clinic(), cast.clinic(), cast.clinic()
    queue(first, 20)
    queue(second, 20)
    queue(third, 1)
    monkeypatch.setattr(dispatch, "UNDER_WAY_AT_MOST", 4)
    served: list[int] = []
    claim = operations.claim

    def noted(*, customer_id: int, at_most: int, now: datetime, down: frozenset[str]) -> list[operations.Claimed]:
        served.append(customer_id)
        return claim(customer_id=customer_id, at_most=at_most, now=now, down=down)

    monkeypatch.setattr(operations, "claim", noted)
    clinics = sorted(clinic.id for clinic in (first, second, third))
    asyncio.run(Dispatcher(settings={}, clock=at, share=2, work=lambda: clinics).drain())
    assert sorted(served[:3]) == clinics
    assert {m.state for clinic in (first, second, third) for m in queries.messages(customer_id=clinic.id)} == {"delivered"}
