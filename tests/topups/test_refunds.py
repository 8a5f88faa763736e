"""Money that we give back: only what is unspent, once, with its credit note, whatever becomes of the answer (A-13)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import UUID, uuid4

import pytest
import requests
from django.conf import settings
from django.db import connection
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.db import scope
from postmeter.invoicing import queries as invoices
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict, NotCovered, NotFound
from postmeter.payments.gateways import stripe as adapter
from postmeter.topups import operations, queries, refunds
from postmeter.topups.models import Refund
from tests.cast import Cast, Clinic
from tests.journeys.shop import saved_card
from tests.notifications.test_alerts import spend
from tests.stage import Stage, until


@pytest.fixture
def harbour(stage: Stage, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    """$30 bought with a good card."""
    monkeypatch.setattr(adapter, "SECONDS", 2)
    clinic = cast.clinic(credit_micros=0)
    buy(stage, clinic, 30)
    yield clinic
    stage.simulator.control("DELETE", "/faults")


def buy(stage: Stage, clinic: Clinic, amount: int) -> None:
    operations.buy(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        method_id=saved_card(stage, clinic).id,
        amount_micros=amount * MICROS,
        key=uuid4(),
        actor=clinic.actor,
        now=timezone.now(),
    )


def bought(clinic: Clinic) -> queries.Bought:
    return queries.history(customer_id=clinic.id)[0]


def give_back(clinic: Clinic, dollars: float, *, key: UUID | None = None, reason: str = "Left us") -> Refund:
    return refunds.refund(
        customer_id=clinic.id,
        top_up_id=bought(clinic).id,
        paid_micros=round(dollars * MICROS),
        reason=reason,
        key=key or uuid4(),
        actor="operator:1",
        now=timezone.now(),
    )


def given_back(stage: Stage, clinic: Clinic) -> int:
    """Cents that the gateway really gave back."""
    log = stage.simulator.control("GET", "/log?kind=refund.created&limit=1000")["entries"]
    return sum(row["amount"] for row in log if row.get("payment_intent") == bought(clinic).payment.gateway_ref)


def fault(stage: Stage, name: str) -> None:
    rule = {"service": "stripe", "fault": name, "match": {"path": "/v1/refunds"}, "count": 1}
    stage.simulator.control("POST", "/faults", rule)


def notes(clinic: Clinic) -> list[int]:
    return [row.total_micros for row in invoices.invoices(customer_id=clinic.id) if row.kind == "credit_note"]


def test_what_is_unspent_goes_back_with_a_credit_note(stage: Stage, harbour: Clinic) -> None:
    done = give_back(harbour, 12.5)
    assert (done.state, harbour.posted, harbour.held) == ("succeeded", 17_500_000, 0)
    stage.settle()  # its callbacks say the same again
    assert (harbour.posted, notes(harbour), given_back(stage, harbour)) == (17_500_000, [12_500_000], 1_250)
    assert bought(harbour).reversed_micros == 12_500_000
    assert verify_all().ok


@pytest.mark.parametrize("fault_name", ["timeout_after_success", "reset_after_headers", "garbage", "error_500_after"])
def test_a_lost_answer_keeps_the_hold_and_gives_back_once(stage: Stage, harbour: Clinic, fault_name: str) -> None:
    stage.simulator.control("POST", "/faults", {"service": "stripe", "fault": "lose", "match": {"event": "*refund*"}})
    fault(stage, fault_name)
    row = give_back(harbour, 10)
    assert (row.state, harbour.posted, harbour.available) == ("asked", 30 * MICROS, 20 * MICROS), "nobody may spend it"
    assert verify_all().ok
    for minutes in (3, 6, 9):
        refunds.resume(customer_id=harbour.id, now=timezone.now() + timedelta(minutes=minutes))
    if fault_name == "error_500_after":
        # The gateway keeps its 500 for the key's life: nothing is guessed, and a person sees it.
        assert (harbour.available, given_back(stage, harbour)) == (20 * MICROS, 1_000)
        return
    assert (harbour.posted, harbour.held, given_back(stage, harbour)) == (20 * MICROS, 0, 1_000)
    assert verify_all().ok


@pytest.mark.parametrize("fault_name", ["timeout_before", "error_500_before", "throttle_429", "conflict_409"])
def test_a_question_that_never_arrived_is_put_again_with_its_key(stage: Stage, harbour: Clinic, fault_name: str) -> None:
    fault(stage, fault_name)
    assert give_back(harbour, 10).state == "asked"
    assert given_back(stage, harbour) == 0
    refunds.resume(customer_id=harbour.id, now=timezone.now() + timedelta(minutes=3))
    assert (harbour.posted, harbour.held, given_back(stage, harbour)) == (20 * MICROS, 0, 1_000)


def test_a_callback_that_comes_first_ends_it(stage: Stage, harbour: Clinic) -> None:
    fault(stage, "timeout_after_success")
    row = give_back(harbour, 10)
    stage.settle()
    until(lambda: harbour.posted == 20 * MICROS, "the callback")
    assert harbour.held == 0
    again = refunds.ask(customer_id=harbour.id, refund_id=row.id, now=timezone.now())
    assert (again.state, harbour.posted, notes(harbour)) == ("succeeded", 20 * MICROS, [10 * MICROS])
    assert verify_all().ok


def test_a_refusal_releases_the_credit_and_says_why(stage: Stage, harbour: Clinic) -> None:
    made = {"payment_intent": bought(harbour).payment.gateway_ref, "inquiry": False}
    stage.simulator.control("POST", "/faults", {"service": "stripe", "fault": "lose", "match": {"event": "charge.dispute*"}})
    stage.simulator.control("POST", "/disputes", made)
    row = give_back(harbour, 10)
    assert (row.state, harbour.available) == ("failed", 30 * MICROS)
    assert "charged back" in row.text
    assert verify_all().ok


def test_ten_presses_give_back_once(stage: Stage, harbour: Clinic) -> None:
    key, start = uuid4(), Barrier(10)

    def press() -> None:
        start.wait()
        try:
            give_back(harbour, 10, key=key)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        for each in [pool.submit(press) for _ in range(10)]:
            each.result()
    assert (harbour.posted, given_back(stage, harbour)) == (20 * MICROS, 1_000)
    with pytest.raises(Conflict):
        give_back(harbour, 5, key=key)


def test_two_people_cannot_give_the_same_money_back(stage: Stage, harbour: Clinic) -> None:
    start = Barrier(2)

    def press() -> bool:
        start.wait()
        try:
            return give_back(harbour, 20).state == "succeeded"
        except (Conflict, BadInput, NotCovered):
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(each.result() for each in [pool.submit(press) for _ in range(2)]) == [False, True]
    assert given_back(stage, harbour) == 2_000


@pytest.mark.parametrize("dollars", [0, -1, 30.01, 0.001])
def test_nothing_more_than_was_paid_and_no_part_of_a_cent(harbour: Clinic, dollars: float) -> None:
    with pytest.raises(BadInput) as refused:
        give_back(harbour, dollars)
    assert refused.value.field == "amount"


def test_what_is_spent_or_held_stays(stage: Stage, harbour: Clinic) -> None:
    spend(harbour, 25 * MICROS)
    left = refunds.possible(customer_id=harbour.id, top_up_id=bought(harbour).id)
    assert 0 < left.micros <= harbour.available
    with pytest.raises(NotCovered):
        give_back(harbour, 10)
    assert give_back(harbour, left.micros / MICROS).state == "succeeded"
    assert verify_all().ok


def test_a_reason_is_asked_for_and_strangers_find_nothing(harbour: Clinic, cast: Cast) -> None:
    with pytest.raises(BadInput) as refused:
        give_back(harbour, 10, reason=" ")
    assert refused.value.field == "reason"
    with pytest.raises(NotFound):
        refunds.possible(customer_id=cast.clinic().id, top_up_id=bought(harbour).id)


def test_credits_that_are_counted_go_back_with_their_price(stage: Stage, cast: Cast) -> None:  # S-154
    clinic = cast.clinic(credit_micros=0, unit="SMS")
    buy(stage, clinic, 500)
    assert refunds.possible(customer_id=clinic.id, top_up_id=bought(clinic).id).micros == 50 * MICROS
    give_back(clinic, 20)
    assert (clinic.posted, notes(clinic), given_back(stage, clinic)) == (300 * MICROS, [20 * MICROS], 2_000)
    assert verify_all().ok


def test_a_refund_that_was_begun_at_the_gateway_leaves_ours_alone(stage: Stage, harbour: Clinic) -> None:
    fault(stage, "error_500_before")
    give_back(harbour, 10)
    with scope.customer(harbour.id):
        assert Refund.objects.get(customer_id=harbour.id).state == "asked"

    answer = requests.post(
        f"{stage.simulator.url}/v1/refunds",
        {"payment_intent": bought(harbour).payment.gateway_ref, "amount": 400},
        headers={"Authorization": f"Bearer {settings.STRIPE['secret_key']}"},
        timeout=20,
    )
    assert answer.status_code == 200
    stage.settle()
    until(lambda: harbour.posted == 26 * MICROS, "the other refund")
    assert harbour.held == 10 * MICROS
    assert verify_all().ok
