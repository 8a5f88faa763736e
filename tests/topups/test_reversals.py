"""What a gateway takes back after a success, and gives again: each movement once, in any order, and the rest is owed."""

from itertools import permutations
from uuid import uuid4

import pytest
import requests
from django.conf import settings
from django.core import mail
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.db import scope
from postmeter.events.models import Event
from postmeter.invoicing import queries as invoices
from postmeter.kit.money import MICROS
from postmeter.messaging import queries as messaging
from postmeter.notifications import mail as notices
from postmeter.notifications import queries as told
from postmeter.notifications import rounds
from postmeter.payments.gateways import Reversal as Fact
from postmeter.topups import operations, queries, reversals
from postmeter.topups.models import TopUp
from postmeter.topups.reversals import TooEarly
from tests.cast import Cast, Clinic
from tests.journeys.shop import saved_card
from tests.notifications.test_alerts import spend
from tests.stage import Stage, until
from tests.topups.test_automation import save, state


@pytest.fixture
def harbour(stage: Stage, cast: Cast) -> Clinic:
    """$30 bought with a good card."""
    clinic = cast.clinic(credit_micros=0)
    operations.buy(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        method_id=saved_card(stage, clinic).id,
        amount_micros=30 * MICROS,
        key=uuid4(),
        actor=clinic.actor,
        now=timezone.now(),
    )
    return clinic


def bought(clinic: Clinic) -> queries.Bought:
    return queries.history(customer_id=clinic.id)[0]


def figures(clinic: Clinic) -> tuple[int, int]:
    """(what is shown, what is owed)"""
    found = queries.figures(customer_id=clinic.id, wallet=clinic.pool)
    return found.posted_micros, found.debt_micros


def fact(clinic: Clinic, cents: int = 3_000, *, kind: str = "dispute", is_back: bool = False, ref: str = "dp_1") -> Fact:
    return Fact(kind, ref, bought(clinic).payment.gateway_ref, cents, "USD", is_back)


def book(clinic: Clinic, what: Fact) -> bool:
    return reversals.book(customer_id=clinic.id, payment_id=bought(clinic).payment.id, fact=what, now=timezone.now())


def dispute(stage: Stage, clinic: Clinic, *, inquiry: bool = False) -> str:
    made = stage.simulator.control(
        "POST", "/disputes", {"payment_intent": bought(clinic).payment.gateway_ref, "inquiry": inquiry}
    )
    stage.settle()
    return str(made["id"])


def move(stage: Stage, dispute_id: str, status: str) -> None:
    stage.simulator.control("POST", f"/disputes/{dispute_id}", {"status": status})
    stage.settle()


def test_a_dispute_takes_the_credit_and_the_rest_is_owed(stage: Stage, harbour: Clinic) -> None:
    save(harbour)
    spend(harbour, 20 * MICROS)
    held = harbour.held
    dispute(stage, harbour)
    until(lambda: figures(harbour)[1] > 0, "the dispute to be booked")
    shown, owed = figures(harbour)
    assert (shown, owed) == (0, held), "what was promised to messages stays promised, and is owed"
    assert state(harbour).paused_for == "disputed"
    assert bought(harbour).reversed_micros == 30 * MICROS
    assert verify_all().ok


def test_a_dispute_that_is_won_gives_it_back_and_one_that_is_lost_does_not(stage: Stage, harbour: Clinic) -> None:
    won = dispute(stage, harbour)
    until(lambda: figures(harbour) == (0, 0), "the dispute to be booked")
    move(stage, won, "won")
    until(lambda: figures(harbour) == (30 * MICROS, 0), "the money to come back")
    assert bought(harbour).reversed_micros == 0
    assert verify_all().ok


def test_a_lost_dispute_takes_nothing_twice(stage: Stage, harbour: Clinic) -> None:
    lost = dispute(stage, harbour)
    until(lambda: figures(harbour) == (0, 0), "the dispute to be booked")
    move(stage, lost, "lost")
    assert figures(harbour) == (0, 0)


def test_an_inquiry_takes_nothing_until_it_becomes_a_dispute(stage: Stage, harbour: Clinic) -> None:
    inquiry = dispute(stage, harbour, inquiry=True)
    assert figures(harbour) == (30 * MICROS, 0)
    move(stage, inquiry, "needs_response")
    until(lambda: figures(harbour) == (0, 0), "the dispute to be booked")


def test_a_refund_in_parts_is_booked_with_a_credit_note_each(stage: Stage, harbour: Clinic) -> None:
    for cents in (1_000, 500):
        answer = requests.post(
            f"{stage.simulator.url}/v1/refunds",
            {"payment_intent": bought(harbour).payment.gateway_ref, "amount": cents},
            headers={"Authorization": f"Bearer {settings.STRIPE['secret_key']}"},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
    stage.settle()
    until(lambda: figures(harbour) == (15 * MICROS, 0), "the refunds to be booked")
    notes = [row for row in invoices.invoices(customer_id=harbour.id) if row.kind == "credit_note"]
    assert sorted(note.total_micros for note in notes) == [5 * MICROS, 10 * MICROS]
    assert bought(harbour).reversed_micros == 15 * MICROS
    assert verify_all().ok


def test_any_order_and_repetition_comes_to_the_same_end(harbour: Clinic) -> None:
    taken, back = fact(harbour), fact(harbour, is_back=True)
    for order in permutations([taken, taken, back, back]):
        waiting = list(order)
        while waiting:
            what = waiting.pop(0)
            try:
                book(harbour, what)
            except TooEarly:
                waiting.append(what)
        assert figures(harbour) == (30 * MICROS, 0)
    assert verify_all().ok


def test_what_is_not_credited_yet_cannot_be_taken_back(stage: Stage, harbour: Clinic) -> None:
    with scope.customer(harbour.id):
        TopUp.objects.filter(customer_id=harbour.id).update(state="pending")
    with pytest.raises(TooEarly):
        book(harbour, fact(harbour))
    with scope.customer(harbour.id):
        TopUp.objects.filter(customer_id=harbour.id).update(state="succeeded")


def test_the_next_top_up_pays_what_a_dispute_left_owed(stage: Stage, harbour: Clinic) -> None:
    spend(harbour, 20 * MICROS)
    owed = harbour.held
    book(harbour, fact(harbour))
    operations.buy(
        customer_id=harbour.id,
        wallet_id=harbour.pool.id,
        method_id=bought(harbour).method.id,
        amount_micros=50 * MICROS,
        key=uuid4(),
        actor=harbour.actor,
        now=timezone.now(),
    )
    assert figures(harbour) == (50 * MICROS, 0)
    assert harbour.held == owed
    assert messaging.under_way(customer_id=harbour.id)


def test_the_customer_is_told_once_of_each_movement(harbour: Clinic) -> None:
    book(harbour, fact(harbour))
    with scope.customer(harbour.id):
        [event] = Event.objects.filter(customer_id=harbour.id, kind="top_up.reversed")
    for _ in range(2):
        rounds.tell_of_reversal(event, now=timezone.now())
    [notice] = [row for row in told.notices(customer_id=harbour.id) if row.kind == "top_up_reversed"]
    assert notices.send(customer_id=harbour.id, notice_id=notice.id, now=timezone.now())
    assert mail.outbox[-1].subject == "A payment was disputed"
    assert "took $30.00 of a top-up back" in mail.outbox[-1].body
