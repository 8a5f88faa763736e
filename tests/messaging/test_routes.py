"""Providers in order: the next one only where the one before surely did not take the message."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Self

import pytest
from django.conf import settings

from postmeter.messaging import dispatch, queries, routes
from postmeter.messaging.dispatch import Dispatcher
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.providers import Accepted, Outbound, Outcome, Refused, TryLater, Unknown
from postmeter.messaging.routes import Health
from tests.cast import Cast, Clinic, at, number

LATER, LOST, NO = TryLater("away"), Unknown("no answer"), Refused("21211", "bad", {})


class Carrier:
    """Says what its test told it, and keeps who was asked."""

    at_most = 1_000
    asked: list[tuple[str, str]]
    says: Mapping[str, Outcome]

    def __init__(self, name: str) -> None:
        self.name = name

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        pass

    async def send(self, message: Outbound) -> Outcome:
        self.asked.append((self.name, message.recipient))
        return self.says.get(self.name) or Accepted(f"{self.name}-{message.id}", {})


@pytest.fixture
def carriers(monkeypatch: pytest.MonkeyPatch) -> type[Carrier]:
    monkeypatch.setattr(Carrier, "asked", [], raising=False)
    monkeypatch.setattr(Carrier, "says", {}, raising=False)
    monkeypatch.setattr(dispatch, "carrier", lambda name, values, *, connections: Carrier(name))
    monkeypatch.setattr(settings, "ROUTES", {"sms": ("one", "two"), "sms:44": ("two",)})
    return Carrier


def send(clinic: Clinic, *to: str) -> list[int]:
    return submit(Submission(clinic.id, to, ["Hello"] * len(to), clinic.actor), now=at()).ids


def drain(clinic: Clinic) -> None:
    asyncio.run(Dispatcher(settings={"one": {}, "two": {}}, clock=at, senders=1, work=lambda: [clinic.id]).drain())


def test_a_provider_that_surely_did_not_take_it_is_followed_by_the_next_at_once(
    cast: Cast, carriers: type[Carrier]
) -> None:  # F51
    clinic = cast.clinic()
    carriers.says = {"one": LATER}
    [id_] = send(clinic, number(1))
    drain(clinic)
    found = queries.message(customer_id=clinic.id, message_id=id_)
    assert [name for name, _ in carriers.asked] == ["one", "two"]
    assert (found.state, found.provider, found.provider_ref) == ("sent", "two", f"two-{id_}")


@pytest.mark.parametrize(("says", "state"), [(LOST, "unknown"), (NO, "failed")])
def test_one_that_may_have_it_or_refused_it_is_followed_by_nobody(  # A-23 F41
    cast: Cast, carriers: type[Carrier], says: Outcome, state: str
) -> None:
    clinic = cast.clinic()
    carriers.says = {"one": says}
    [id_] = send(clinic, number(1))
    drain(clinic)
    assert [name for name, _ in carriers.asked] == ["one"]
    assert queries.message(customer_id=clinic.id, message_id=id_).state == state


def test_a_destination_may_have_providers_of_its_own(cast: Cast, carriers: type[Carrier]) -> None:
    clinic = cast.clinic()
    send(clinic, number(1), "+447700900123")
    drain(clinic)
    assert sorted(carriers.asked) == [("one", number(1)), ("two", "+447700900123")]


def test_a_provider_that_is_not_reached_again_and_again_is_passed_over_for_a_while(cast: Cast, carriers: type[Carrier]) -> None:
    clinic = cast.clinic()
    carriers.says = {"one": LATER}
    send(clinic, *[number(n) for n in range(40)])
    asyncio.run(Dispatcher(settings={"one": {}, "two": {}}, clock=at, senders=1, share=5, work=lambda: [clinic.id]).drain())
    names = [name for name, _ in carriers.asked]
    assert names.count("two") == 40
    assert names.count("one") < 40


def test_health_forgets_after_half_a_minute_and_at_the_first_success() -> None:
    health, now = Health(), at()
    for _ in range(routes.NOT_REACHED_AT_MOST):
        assert health.down(now) == frozenset()
        health.not_reached("one", now)
    assert health.down(now) == {"one"}
    assert health.down(now + timedelta(seconds=31)) == frozenset()
    health.reached("one")
    assert health.down(now) == frozenset()


def test_where_all_are_down_all_are_asked(carriers: type[Carrier]) -> None:
    assert routes.choose("sms", number(1), 0, {"one", "two"}) == "one"
    assert routes.choose("sms", number(1), 1, {"one", "two"}) == "two"
    assert routes.choose("sms", number(1), 1, {"two"}) == "one"
