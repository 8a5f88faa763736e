"""The bill of the simulator's carriers, read by the worker's round, beside what was charged."""

import asyncio
from datetime import date, timedelta
from typing import Any

from click.testing import CliRunner
from django.conf import settings
from django.utils import timezone

from postmeter.cli.costs import command
from postmeter.costs import operations, queries
from postmeter.costs.models import Billed, Run
from postmeter.db import scope
from postmeter.messaging import queries as messages
from postmeter.messaging.operations.accept import Submission, submit
from tests.cast import FEE, PRICE, Clinic, number
from tests.journeys.house import House
from tests.journeys.test_first_journey import dispatch_all
from tests.stage import until

DAYS = timedelta(days=1)


def send(house: House, clinic: Clinic, *recipients: str) -> None:
    for to in recipients:
        submit(Submission(clinic.id, [to], ["See you at ten."], clinic.actor), now=timezone.now())
    dispatch_all(clinic.id)
    house.stage.settle()
    until(lambda: not messages.under_way(customer_id=clinic.id), "the texts to end")


def read(now: Any) -> int:
    return asyncio.run(operations.read_due(settings=settings.PROVIDERS, now=now))


def forget() -> None:
    """As if no bill had been read: the tests of a module share their house."""
    with scope.every_customer():
        Run.objects.all().delete()


def of_today(clinic: Clinic, today: date) -> dict[str, str]:
    found = queries.differences(provider="twilio", day=today, at_most=10_000)
    return {line.ref: line.why for line in found if line.customer_id == clinic.id}


def test_a_days_bill_is_read_and_what_does_not_agree_is_named(house: House, harbour: Clinic) -> None:  # X-01 F48
    forget()
    today = timezone.now().date()
    # As usual; counted as a segment more; three times the price; billed nothing; in no list; not payable, and yet billed.
    send(house, harbour, number(1), *(f"+1555010{last}" for last in ("0706", "0707", "0709", "0710", "3003")))
    assert read(timezone.now() + 2 * DAYS) > 0
    assert sorted(of_today(harbour, today).values()) == ["billed_nothing", "given_back", "loss", "not_billed", "units"]
    day = queries.day_of(provider="twilio", day=today)
    assert day is not None and day.run.totals["fees"] == {}  # they come a day later
    house.simulator.control("PATCH", "/settings", {"carrier_fee_hours": -48})
    assert read(timezone.now() + 4 * DAYS) > 0
    day = queries.day_of(provider="twilio", day=today)
    assert day is not None and day.run.nth == 2 and day.run.totals["fees"]["USD"] > 0
    assert read(timezone.now() + 4 * DAYS) == 0  # it is read
    house.simulator.control("PATCH", "/settings", {"carrier_fee_hours": 24})
    [row] = [row for row in day.rows if row[0] == "USD"]
    assert row[3] % (PRICE + FEE) == 0 and row[4] == row[3] - row[2] - row[1]
    shown = CliRunner().invoke(command, ["--day", f"{today}"])
    assert "It cost more than was charged." in shown.output and "left" in shown.output
    assert f"{today} twilio" in CliRunner().invoke(command, []).output


def test_a_reading_that_dies_goes_on_where_it_stopped_and_keeps_nothing_twice(house: House, harbour: Clinic) -> None:
    forget()
    send(house, harbour, number(2), number(3))
    later = timezone.now() + 2 * DAYS
    house.die("read_bills", {"seconds": 2 * 86400}, crash_at="costs.page_kept")
    with scope.every_customer():
        assert Run.objects.filter(finished_at=None, part__gt=0).exists()  # it has got somewhere
    assert read(later) > 0
    with scope.every_customer():
        assert not Run.objects.filter(finished_at=None).exists()
        refs = list(Billed.objects.filter(kind="message").values_list("provider", "ref"))
    assert refs and len(refs) == len(set(refs))
    assert of_today(harbour, timezone.now().date()) == {}


def test_a_provider_that_does_not_answer_is_asked_again_later(house: House, harbour: Clinic) -> None:
    forget()
    send(house, harbour, number(4))
    later = timezone.now() + 2 * DAYS
    house.simulator.control("POST", "/faults", {"service": "sinch", "fault": "error_500_before", "count": 1000})
    read(later)
    with scope.every_customer():
        assert Run.objects.filter(provider="sinch", finished_at=None).exists()
    house.simulator.control("DELETE", "/faults")
    assert read(later) > 0
    with scope.every_customer():
        assert not Run.objects.filter(finished_at=None).exists()
