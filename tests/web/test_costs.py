"""The operator's pages of what providers billed."""

from collections.abc import Iterator
from datetime import date

import pytest
from django.urls import clear_url_caches, set_urlconf
from django.utils import timezone

from postmeter.costs import operations, queries
from postmeter.costs.models import Run
from postmeter.db import calls, scope
from postmeter.messaging.providers import Billed
from tests.cast import Cast, Clinic
from tests.costs.test_costs import sent
from tests.web.test_operator import browser_of, person


@pytest.fixture(autouse=True)
def console(settings: object) -> Iterator[None]:
    settings.CONSOLE, settings.ROOT_URLCONF = True, "postmeter.config.console_urls"  # type: ignore[attr-defined]
    clear_url_caches()
    set_urlconf(None)
    yield
    clear_url_caches()
    set_urlconf(None)


@pytest.fixture
def clinic(cast: Cast) -> Clinic:
    return cast.clinic(name="Café “Zoë” & Sons")


def a_run(provider: str, day: date) -> None:
    with scope.every_customer():
        Run.objects.create(
            id=calls.next_id(),
            provider=provider,
            day=day,
            nth=1,
            records=3,
            started_at=timezone.now(),
            finished_at=timezone.now(),
            totals=queries.totals(provider=provider, day=day),
        )


def test_a_day_shows_what_is_left_and_each_difference_in_words(clinic: Clinic) -> None:
    manager, provider, today = browser_of(person()), f"p{calls.next_id()}", timezone.now().date()
    sent(clinic, provider, "SM-agrees")
    sent(clinic, provider, "SM-loss")
    records = [
        Billed("message", "SM-agrees", 1, 4_000, "USD"),
        Billed("message", "SM-loss", 1, 20_000, "USD"),
        Billed("message", "SM-stranger", 1, 4_000, "USD"),
        Billed("fee", f"fees {today}", 3, 6_000, "USD"),
    ]
    with scope.every_customer():
        operations.keep(provider=provider, day=today, records=records, now=timezone.now())
    a_run(provider, today)
    listed = manager.get("/costs/").content.decode()
    assert f"/costs/{provider}/{today}/" in listed
    page = manager.get(f"/costs/{provider}/{today}/").content.decode()
    assert "It cost more than was charged." in page and "Billed, and not ours" in page
    assert "Café “Zoë” &amp; Sons" in page and "SM-agrees" not in page
    for amount in ("$0.028", "$0.006", "$0.0228"):  # billed, fees, charged
        assert amount in page


@pytest.mark.parametrize("address", ["/costs/twilio/2001-01-01/", "/costs/twilio/yesterday/", "/costs/nobody/2026-11-23/"])
def test_a_bill_that_was_not_read_is_not_found(address: str) -> None:
    assert browser_of(person()).get(address).status_code == 404


def test_before_the_first_bill_the_page_says_when_there_will_be_one() -> None:
    with scope.every_customer():
        Run.objects.all().delete()
    assert "No bill with anything on it was read yet." in browser_of(person()).get("/costs/").content.decode()
