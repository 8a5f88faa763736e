"""What a gateway can do over days: keys that have expired, look-ups that miss, events that come late, clocks that jump.

Faults of a single question or callback are told in tests/payments. Here answers are lost by killing who waits for them.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from postmeter.kit.money import MICROS
from postmeter.topups import queries
from tests.cast import Clinic
from tests.journeys.house import House, assert_all_is_right
from tests.journeys.shop import saved_card
from tests.stage import until

BOUGHT = 20 * MICROS
ANSWERED = "payments.gateway_answered"


def break_it(house: House, fault: str, **more: object) -> int:
    return int(house.simulator.control("POST", "/faults", {"service": "stripe", "fault": fault, **more})["id"])


def fired(house: House, number: int) -> int:
    [found] = [rule for rule in house.simulator.control("GET", "/faults")["rules"] if rule["id"] == number]
    return int(found["fired"])


def buy_and_lose_the_answer(house: House, clinic: Clinic) -> None:
    card = saved_card(house.stage, clinic)
    facts: dict[str, Any] = {"customer_id": clinic.id, "wallet_id": clinic.pool.id, "method_id": card.id, "actor": "x"}
    house.die("buy", facts | {"amount_micros": BOUGHT, "key": str(uuid4())}, crash_at=ANSWERED)


def test_after_the_keys_life_the_gateway_is_asked_what_it_has_and_never_charged_again(house: House, harbour: Clinic) -> None:
    """F28: the same key would now be a new charge."""
    lost = break_it(house, "lose", match={"event": "payment_intent.*"})
    buy_and_lose_the_answer(house, harbour)
    house.stage.settle()
    assert fired(house, lost) > 0
    house.simulator.control("POST", "/clock", {"advance": 26 * 3600})
    try:
        house.reconcile(harbour, timezone.now() + timedelta(hours=26))
        assert harbour.posted == 100 * MICROS + BOUGHT
        house.let_time_pass(harbour)
        assert len(house.charges(harbour)) == 1
        assert_all_is_right(house, harbour)
    finally:
        house.simulator.control("POST", "/clock", {"advance": -26 * 3600})


def test_a_lookup_that_misses_is_no_proof_that_nothing_was_charged(house: House, harbour: Clinic) -> None:  # F30, A-23
    lost = break_it(house, "lose", match={"event": "payment_intent.*"})
    hidden = break_it(house, "hidden", match={"path": "/v1/payment_intents"}, seconds=3600, count=1)
    buy_and_lose_the_answer(house, harbour)
    house.stage.settle()
    assert fired(house, lost) > 0
    assert fired(house, hidden) == 1
    for hours in (24, 26, 28):
        house.reconcile(harbour, timezone.now() + timedelta(hours=hours))
        assert harbour.posted == 100 * MICROS
        assert [top_up.state for top_up in queries.top_ups(customer_id=harbour.id)] == ["pending"], (
            "nobody may say that it failed"
        )
    house.simulator.control("POST", "/clock", {"advance": 3700})
    try:
        house.reconcile(harbour, timezone.now() + timedelta(hours=30))
        assert harbour.posted == 100 * MICROS + BOUGHT
        assert_all_is_right(house, harbour)
    finally:
        house.simulator.control("POST", "/clock", {"advance": -3700})


def test_an_event_that_comes_days_late_credits_what_nobody_had_heard_of(house: House, harbour: Clinic) -> None:  # F34
    late = break_it(house, "delay", match={"event": "payment_intent.succeeded"}, seconds=3 * 86_400)
    buy_and_lose_the_answer(house, harbour)
    until(lambda: fired(house, late) == 1, "the event to be put off")
    assert harbour.posted == 100 * MICROS
    house.stage.settle()  # three days pass at the gateway, and our own reconciler slept
    until(lambda: harbour.posted == 100 * MICROS + BOUGHT, "the late event")
    assert_all_is_right(house, harbour)


def test_an_event_and_a_question_at_once_credit_once(house: House, harbour: Clinic) -> None:  # F31, F33, F37
    twice = break_it(house, "duplicate")
    buy_and_lose_the_answer(house, harbour)
    house.reconcile(harbour, timezone.now() + timedelta(minutes=5))
    house.stage.settle()
    assert fired(house, twice) > 1
    assert harbour.posted == 100 * MICROS + BOUGHT
    assert_all_is_right(house, harbour)


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(days=3650)])
def test_a_clock_that_jumps_charges_nobody_twice(house: House, harbour: Clinic, jump: timedelta) -> None:  # F55, F56
    lost = break_it(house, "lose", match={"event": "payment_intent.*"})
    buy_and_lose_the_answer(house, harbour)
    house.stage.settle()
    assert fired(house, lost) > 0
    house.reconcile(harbour, timezone.now() + jump)
    house.let_time_pass(harbour)
    assert len(house.charges(harbour)) == 1
    assert harbour.posted == 100 * MICROS + BOUGHT
    assert_all_is_right(house, harbour)
