"""Who opted out is told to the provider that keeps a list too: in order, again until it has it, and nothing else waits for it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connections
from django.utils import timezone

from postmeter.consent import operations as consent
from postmeter.consent.models import Untold
from postmeter.db import scope
from postmeter.messaging import telling
from postmeter.messaging.carriers import carrier
from postmeter.messaging.providers import Accepted, Outbound, Outcome, Refused
from tests.cast import Cast, Clinic, number
from tests.journeys.house import House


@pytest.fixture(autouse=True)
def the_provider_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.TWILIO, "consents_url", house.simulator.url)
    monkeypatch.setattr(settings, "CONSENTS_TOLD", frozenset({"sms"}))


@pytest.fixture
def clinic(house: House, cast: Cast) -> Clinic:
    return cast.clinic()


def out(clinic: Clinic, address: str, **more: str) -> None:
    asked = {"channel": "sms", "source": "page", "actor": "recipient"} | more
    consent.opt_out(customer_id=clinic.id, address=address, now=timezone.now(), **asked)


def back(clinic: Clinic, address: str) -> None:
    consent.opt_in(customer_id=clinic.id, channel="sms", address=address, actor="recipient", now=timezone.now())


def tell(later: timedelta = timedelta()) -> int:
    return asyncio.run(telling.tell(settings=settings.PROVIDERS, now=timezone.now() + later))


def told(house: House, clinic: Clinic) -> list[tuple[str, str]]:
    entries = house.simulator.control("GET", "/log?kind=consent.told&limit=100000")["entries"]
    return [(entry["subject"], entry["status"]) for entry in entries if entry["sender"] == clinic.customer.sender]


def somebody_sends(clinic: Clinic, to: str) -> Outcome:
    """Past our own list."""

    async def send() -> Outcome:
        async with carrier("twilio", settings.TWILIO) as twilio:
            return await twilio.send(Outbound(1, str(clinic.customer.sender), to, "Hi", ""))

    return asyncio.run(send())


def untold(clinic: Clinic) -> int:
    with scope.customer(clinic.id):
        return Untold.objects.filter(customer_id=clinic.id).count()


def test_opt_outs_and_returns_are_told_in_their_order(house: House, clinic: Clinic) -> None:
    first, second = number(1), number(2)
    out(clinic, first)
    out(clinic, second)
    back(clinic, first)
    out(clinic, first)
    assert (tell(), tell(), tell(), tell()) == (2, 1, 1, 0)
    assert told(house, clinic) == [(first, "opt-out"), (second, "opt-out"), (first, "opt-in"), (first, "opt-out")]
    assert untold(clinic) == 0


def test_what_the_provider_is_told_it_blocks(house: House, clinic: Clinic) -> None:
    house.simulator.control("PATCH", "/settings", {"carrier_opt_out": True})
    try:
        out(clinic, number(3))
        tell()
        blocked = somebody_sends(clinic, number(3))
        assert isinstance(blocked, Refused) and blocked.code == "21610"
        back(clinic, number(3))
        tell()
        assert isinstance(somebody_sends(clinic, number(3)), Accepted)
    finally:
        house.simulator.control("PATCH", "/settings", {"carrier_opt_out": False})


def test_what_concerns_no_texts_or_not_all_of_them_is_not_told(house: House, clinic: Clinic) -> None:
    out(clinic, "ann@patients.example", channel="email")
    out(clinic, number(4), channel="voice")
    out(clinic, number(5), purpose="billing")
    assert (untold(clinic), tell(), told(house, clinic)) == (0, 0, [])


@pytest.mark.parametrize("fault", ["error_500_before", "reset_after_headers", "throttle_429", "garbage"])
def test_a_provider_that_does_not_answer_is_told_again(house: House, clinic: Clinic, fault: str) -> None:
    house.simulator.control(
        "POST", "/faults", {"service": "twilio", "fault": fault, "match": {"path": "/v1/Consents/Bulk"}, "count": 1}
    )
    out(clinic, number(6))
    assert (tell(), untold(clinic)) == (0, 1)
    assert tell() == 0  # somebody may still be telling it
    assert tell(consent.TELLING) == 1
    assert (set(told(house, clinic)), untold(clinic)) == ({(number(6), "opt-out")}, 0)


def test_what_the_provider_will_never_take_is_not_told_for_ever(
    house: House, clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    out(clinic, "12345")  # a short code of somebody's
    out(clinic, number(7))
    with caplog.at_level("ERROR", logger="postmeter.consents"):
        assert tell() == 2
    assert (told(house, clinic), untold(clinic)) == ([(number(7), "opt-out")], 0)
    assert "error 30646" in caplog.text and "12345" not in caplog.text


def test_a_worker_that_dies_over_telling_leaves_it_to_be_told_again(house: House, clinic: Clinic) -> None:
    out(clinic, number(9))
    house.die("tell_consents", {"url": house.simulator.url}, crash_at="messaging.consents_sent")
    assert (told(house, clinic), untold(clinic)) == ([(number(9), "opt-out")], 1)
    assert (tell(consent.TELLING), untold(clinic)) == (1, 0)
    assert set(told(house, clinic)) == {(number(9), "opt-out")}


def test_many_are_told_some_at_a_time_and_by_one_worker_each(house: House, clinic: Clinic) -> None:
    for n in range(60):
        out(clinic, number(100 + n))

    def work(_: int) -> int:
        try:
            return tell()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as workers:
        assert sum(workers.map(work, range(6))) == 60
    assert sorted(told(house, clinic)) == sorted((number(100 + n), "opt-out") for n in range(60))


def test_where_no_list_is_told_nothing_is_kept_for_it(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CONSENTS_TOLD", frozenset())
    out(clinic, number(8))
    assert untold(clinic) == 0
