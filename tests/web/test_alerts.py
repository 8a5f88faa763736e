"""The page of alerts: levels, what was told, and the runway."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from postmeter.customers.models import Role
from postmeter.kit.money import MICROS
from postmeter.notifications import operations, queries
from tests.cast import Cast, Clinic
from tests.notifications.test_alerts import hear, spend
from tests.topups.test_automation import save
from tests.web.conftest import SignedIn
from tests.web.test_records import words_of

PAGE = "/credit/alerts/"


@pytest.fixture
def harbour(cast: Cast) -> Clinic:
    clinic = cast.clinic(credit_micros=100 * MICROS)
    operations.open_alerts(customer_id=clinic.id, wallet_id=clinic.pool.id, now=timezone.now())
    return clinic


def levels(clinic: Clinic) -> list[tuple[str, int]]:
    return [(row.kind, row.level) for row in queries.alerts(customer_id=clinic.id, wallet_id=clinic.pool.id)]


def test_levels_are_added_and_removed(harbour: Clinic, signed_in: SignedIn) -> None:  # S-126 S-127
    browser = signed_in(harbour.master)
    assert "Balance below $5.00" in words_of(browser.get(PAGE).content.decode())
    for kind, level in (("money", "50"), ("money", "-20.50"), ("days", "5")):
        assert browser.post(PAGE, {"kind": kind, "level": level}).status_code == 302
    assert levels(harbour) == [("money", 50 * MICROS), ("money", 5 * MICROS), ("money", 0), ("money", -20_500_000), ("days", 5)]
    browser.post(PAGE, {"remove": f"money:{50 * MICROS}"})
    assert levels(harbour)[0] == ("money", 5 * MICROS)
    browser.get(PAGE)  # shows what the presses before have left to say
    gone = browser.post(PAGE, {"remove": f"money:{50 * MICROS}"}, follow=True).content.decode()
    assert "There is no such level any more." in gone
    assert "Saved." not in gone


def test_what_cannot_be_a_level_is_refused_beside_its_field(harbour: Clinic, signed_in: SignedIn) -> None:
    browser = signed_in(harbour.master)
    for kind, level in (("money", "five"), ("money", ""), ("days", "0"), ("days", "1.5"), ("days", "9" * 400), ("limit", "50")):
        answer = browser.post(PAGE, {"kind": kind, "level": level})
        assert answer.status_code == 422, (kind, level)
    assert 'value="five"' in browser.post(PAGE, {"kind": "money", "level": "five"}).content.decode()
    assert levels(harbour) == [("money", 5 * MICROS), ("money", 0)]


def test_a_level_above_the_automatic_top_ups_threshold_is_suggested(harbour: Clinic, signed_in: SignedIn) -> None:  # S-129
    browser, hint = signed_in(harbour.master), "tells you before a card is charged"
    assert hint not in words_of(browser.get(PAGE).content.decode())
    save(harbour)
    said = words_of(browser.get(PAGE).content.decode())
    assert "begins below $10.00" in said and hint in said
    browser.post(PAGE, {"kind": "money", "level": "30"})
    assert hint not in words_of(browser.get(PAGE).content.decode())


def test_what_was_told_is_listed(harbour: Clinic, signed_in: SignedIn) -> None:
    spend(harbour, 96 * MICROS)
    hear(harbour)
    said = words_of(signed_in(harbour.master).get(PAGE).content.decode())
    assert "Credit is below $5.00" in said
    assert "on its way" in said


def test_a_sender_sees_the_levels_and_changes_none(cast: Cast, harbour: Clinic, signed_in: SignedIn) -> None:
    sender = cast.member(harbour, Role.SENDER)
    browser = signed_in(sender)
    assert "Add a level" not in browser.get(PAGE).content.decode()
    browser.post(PAGE, {"remove": f"money:{5 * MICROS}"})
    browser.post(PAGE, {"kind": "money", "level": "50"})
    assert levels(harbour) == [("money", 5 * MICROS), ("money", 0)]


def test_the_runway_is_drawn_and_the_same_stands_in_a_table(
    harbour: Clinic, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:  # D-05
    def history(*, customer_id: int, first: date, last: date, zone: object) -> list[tuple[date, int]]:
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        return [(day, 0 if day.weekday() > 4 or day == last else (6 + day.day % 5) * MICROS) for day in days]

    monkeypatch.setattr(queries, "spent_by_day", history)
    page = signed_in(harbour.master).get(PAGE).content.decode()
    said = words_of(page)
    assert "at your usual pace, until" in said
    assert "would last a month" in said
    assert page.count("<polyline") == 1
    assert page.count("<time datetime=") >= 30


def test_a_paused_automation_says_so_on_every_page(cast: Cast, signed_in: SignedIn) -> None:  # A-34 S-105
    from postmeter.db import scope
    from postmeter.topups import automation
    from postmeter.topups.models import Automation
    from tests.topups.test_automation import rule

    clinic = cast.clinic()
    now = timezone.now()
    automation.save(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        rule=rule(),
        accepts_charge_micros=None,
        actor=clinic.actor,
        now=now,
    )
    with scope.customer(clinic.id):
        Automation.objects.filter(customer_id=clinic.id).update(paused_at=now, paused_for="insufficient_funds")
    for page in ("/", "/messages/", "/credit/"):
        assert "Automatic top-up is paused" in signed_in(clinic.master).get(page).content.decode()
    sender = cast.member(clinic, Role.SENDER)
    assert "Automatic top-up is paused" not in signed_in(sender).get("/").content.decode()
