"""The Stripe adapter, and what we make of its answers, against the simulated gateway and its faults."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
import requests
from django.conf import settings
from django.utils import timezone

from postmeter.db import calls, scope
from postmeter.kit.money import MICROS
from postmeter.payments import operations
from postmeter.payments import queries as payments
from postmeter.payments.gateways import Charge, Forged, Outcome
from postmeter.payments.gateways import stripe as adapter
from postmeter.payments.models import GatewayCustomer
from postmeter.payments.states import PaymentState
from postmeter.topups import operations as topups
from postmeter.topups import queries as topup_queries
from tests.cast import Cast, Clinic
from tests.journeys.shop import saved_card
from tests.stage import Stage, until

S = PaymentState
LATER = timedelta(minutes=3)  # after the first pause of the reconciler


@dataclass
class Shop:
    """A clinic with a card, and a way to buy."""

    stage: Stage
    clinic: Clinic
    card_id: int

    def buy(self, key: UUID | None = None, micros: int = 20 * MICROS, now: datetime | None = None) -> topups.Purchase:
        return topups.buy(
            customer_id=self.clinic.id,
            wallet_id=self.clinic.pool.id,
            method_id=self.card_id,
            amount_micros=micros,
            key=key or uuid4(),
            actor=self.clinic.actor,
            now=now or timezone.now(),
        )

    def resume(self, after: timedelta = LATER) -> int:
        return topups.resume(customer_id=self.clinic.id, now=timezone.now() + after)

    def state(self, bought: topups.Purchase) -> tuple[PaymentState, str]:
        found = topups.purchase(customer_id=self.clinic.id, top_up_id=bought.top_up.id)
        return found.payment_state, found.top_up.state

    def charges(self) -> list[dict[str, object]]:
        """What was really taken from this clinic's cards."""
        keys = {f"payment-{bought.payment.id}" for bought in topup_queries.history(customer_id=self.clinic.id)}
        taken = self.stage.simulator.control("GET", "/log/payments")["charges"]
        return [row for row in taken if row["idempotency_key"] in keys and row["kind"] == "charge.succeeded"]

    def told(self, kind: str) -> int:
        """How often this fact was recorded."""
        with scope.customer(self.clinic.id):
            return int(
                calls.value("SELECT count(*) FROM events_event WHERE customer_id = %s AND kind = %s", [self.clinic.id, kind])
            )

    def becomes(self, number: str) -> None:
        """The bank changes its mind about the saved card."""
        token = payments.method(customer_id=self.clinic.id, method_id=self.card_id).token
        self.stage.simulator.control("POST", f"/payment_methods/{token}", {"number": number})

    def fault(self, name: str, count: int = 1, **match: str) -> None:
        rule = {"service": "stripe", "fault": name, "match": match or {"path": "/v1/payment_intents"}, "count": count}
        self.stage.simulator.control("POST", "/faults", rule)


OpenShop = Callable[..., Shop]


@pytest.fixture
def shop(stage: Stage, cast: Cast) -> Iterator[OpenShop]:
    def open_shop(card: str = "4242424242424242") -> Shop:
        clinic = cast.clinic(credit_micros=0)
        return Shop(stage, clinic, saved_card(stage, clinic, card).id)

    yield open_shop
    stage.simulator.control("DELETE", "/faults")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits half a minute for an answer that does not come."""
    monkeypatch.setattr(adapter, "SECONDS", 2)


# --- answers


DECLINES = {
    "4000034100000002": "declined",
    "4000034100009995": "insufficient_funds",  # S-133
    "4000034100009987": "card_lost_or_stolen",
    "4000034100009979": "card_lost_or_stolen",
    "4000034100000069": "card_expired",  # S-134
    "4000034100000127": "card_invalid",
    "4000034100000119": "bank_unavailable",
}


@pytest.mark.parametrize(("card", "code"), DECLINES.items())
def test_a_decline_ends_the_purchase_with_our_word_for_the_banks_reason(shop: OpenShop, card: str, code: str) -> None:
    buyer = shop(card)
    bought = buyer.buy()
    assert (bought.payment_state, bought.failure_code, bought.top_up.state) == (S.DECLINED, code, "failed")
    assert bought.failure_text
    assert (buyer.clinic.available, buyer.charges()) == (0, [])


def test_the_bank_asks_on_session_and_refuses_off_session(shop: OpenShop) -> None:
    # S-136 A-33
    buyer = shop()
    buyer.becomes("4000002760003184")
    bought = buyer.buy()
    assert (bought.payment_state, bought.top_up.state) == (S.REQUIRES_ACTION, "pending")
    assert bought.action_url.startswith(buyer.stage.simulator.url)
    card = payments.method(customer_id=buyer.clinic.id, method_id=buyer.card_id)
    with scope.customer(buyer.clinic.id):
        ref = GatewayCustomer.objects.get(customer_id=buyer.clinic.id).ref
    charge = Charge(f"k-{uuid4()}", ref, card.token, "card", 2_000, "USD", True, "", {"nobody": "1"})
    refused = operations.gateway("stripe").charge(charge)
    assert (refused.state, refused.code) == (S.DECLINED, "authentication_required")


def test_a_bank_that_does_not_recognise_its_customer_declines(shop: OpenShop) -> None:
    buyer = shop()
    buyer.becomes("4000002760003184")
    bought = buyer.buy()
    requests.post(bought.action_url, {"answer": "no"}, timeout=20, allow_redirects=False)
    after = topups.ask(customer_id=buyer.clinic.id, top_up_id=bought.top_up.id, now=timezone.now())
    assert (after.payment_state, after.failure_code) == (S.DECLINED, "authentication_failed")
    assert buyer.clinic.available == 0


@pytest.mark.parametrize(("account", "end"), [("000123456789", "succeeded"), ("000222222227", "failed")])
def test_a_payment_may_be_processed_for_days_and_is_credited_only_when_it_is_there(
    shop: OpenShop, account: str, end: str
) -> None:
    # S-019 A-21 A-22
    buyer = shop()
    buyer.becomes(account)
    bought = buyer.buy()
    assert (bought.payment_state, bought.top_up.state) == (S.PROCESSING, "pending")
    figures = topup_queries.figures(customer_id=buyer.clinic.id, wallet=buyer.clinic.pool)
    assert (figures.available_micros, figures.incoming_micros) == (0, 20 * MICROS)
    buyer.stage.settle()
    until(lambda: buyer.state(bought)[1] == end, "the bank's last word")
    assert buyer.clinic.available == (20 * MICROS if end == "succeeded" else 0)


# --- faults


LOST_ANSWERS = ["timeout_after_success", "reset_after_headers", "garbage", "error_500_after"]


@pytest.mark.parametrize("fault", LOST_ANSWERS)
def test_an_answer_that_is_lost_is_found_out_and_credited_once(shop: OpenShop, impatient: None, fault: str) -> None:
    # A-23 A-22 F16 F18 F19 F20
    buyer = shop()
    buyer.fault("lose", event="payment_intent.*")
    buyer.fault(fault)
    bought = buyer.buy()
    assert buyer.state(bought)[0] in (S.UNKNOWN, S.SUCCEEDED)
    for _ in range(3):
        buyer.resume()
        buyer.resume(timedelta(hours=25))  # after the key's life the gateway is asked, not charged
    assert buyer.state(bought) == (S.SUCCEEDED, "succeeded")
    assert (buyer.clinic.available, len(buyer.charges())) == (20 * MICROS, 1)


@pytest.mark.parametrize("fault", ["timeout_before", "error_500_before", "throttle_429", "conflict_409"])
def test_a_question_that_never_arrived_is_put_again_with_the_same_key(shop: OpenShop, impatient: None, fault: str) -> None:
    # F15 F17 F21 F22
    buyer = shop()
    buyer.fault(fault)
    bought = buyer.buy()
    assert buyer.state(bought) == (S.UNKNOWN, "pending")
    assert buyer.resume(timedelta()) == 0, "its turn has not come yet"
    assert buyer.resume() == 1
    assert buyer.state(bought) == (S.SUCCEEDED, "succeeded")
    assert (buyer.clinic.available, len(buyer.charges())) == (20 * MICROS, 1)


def test_another_amount_than_asked_for_is_not_credited_and_told_once(shop: OpenShop) -> None:
    # F27
    buyer = shop()
    buyer.fault("different_amount")
    bought = buyer.buy()
    for hours in range(1, 4):
        buyer.resume(timedelta(hours=hours))
    found = topups.purchase(customer_id=buyer.clinic.id, top_up_id=bought.top_up.id)
    assert (found.payment_state, found.failure_code) == (S.UNKNOWN, "mismatch")
    assert buyer.clinic.available == 0
    assert buyer.told("payment.mismatch") == 1


def test_another_currency_than_asked_for_is_not_credited(shop: OpenShop) -> None:
    # F27
    buyer = shop()
    buyer.becomes("4000002760003184")
    bought = buyer.buy()
    word = Outcome(S.SUCCEEDED, ref="pi_other", amount_minor=2_000, currency="JPY")
    topups.settle(customer_id=buyer.clinic.id, payment_id=bought.top_up.payment_id, outcome=word, now=timezone.now())
    assert buyer.state(bought) == (S.UNKNOWN, "pending")
    assert buyer.clinic.available == 0


def test_pauses_between_questions_grow_to_a_quarter_of_an_hour(shop: OpenShop) -> None:
    buyer = shop()
    buyer.becomes("000123456789")
    begun = timezone.now()
    buyer.buy(now=begun)
    asked = [minute for minute in range(120) if topups.resume(customer_id=buyer.clinic.id, now=begun + timedelta(minutes=minute))]
    assert asked[:5] == [2, 4, 8, 16, 31]
    assert {later - sooner for sooner, later in pairwise(asked[4:])} == {15}


# --- callbacks


def test_callbacks_in_any_number_and_order_credit_once(shop: OpenShop) -> None:
    # A-22 F31 F32
    buyer = shop()
    buyer.fault("duplicate", count=3, event="payment_intent.*")
    buyer.fault("reorder", event="payment_intent.*")
    bought = buyer.buy()
    buyer.stage.settle()
    assert buyer.state(bought) == (S.SUCCEEDED, "succeeded")
    assert (buyer.clinic.available, buyer.told("top_up.succeeded"), buyer.told("invoice.issued")) == (20 * MICROS, 1, 1)


def test_a_callback_may_come_before_the_answer(shop: OpenShop) -> None:
    # F33
    buyer = shop()
    buyer.fault("event_first")
    bought = buyer.buy()
    buyer.stage.settle()
    assert buyer.state(bought) == (S.SUCCEEDED, "succeeded")
    assert (buyer.clinic.available, len(buyer.charges())) == (20 * MICROS, 1)


@pytest.mark.parametrize(("age", "secret"), [(0, "whsec_of_somebody_else"), (3_600, "")])
def test_a_forged_or_old_callback_changes_nothing(shop: OpenShop, age: int, secret: str) -> None:
    # F36
    buyer = shop()
    buyer.becomes("4000002760003184")
    bought = buyer.buy()
    body = event_of(buyer, bought)
    signature = signed(body, secret or settings.STRIPE["webhook_secret"], age)
    with pytest.raises(Forged):
        operations.gateway("stripe").read(body=body.encode(), headers={"stripe-signature": signature})
    answer = requests.post(f"{buyer.stage.url}/callbacks/stripe", body, headers={"Stripe-Signature": signature}, timeout=20)
    assert answer.status_code == 400
    assert buyer.state(bought) == (S.REQUIRES_ACTION, "pending")


def test_a_true_callback_is_believed_once(shop: OpenShop) -> None:
    buyer = shop()
    buyer.becomes("4000002760003184")
    bought = buyer.buy()
    body = event_of(buyer, bought)
    for _ in range(3):
        headers = {"Stripe-Signature": signed(body, settings.STRIPE["webhook_secret"], 0)}
        assert requests.post(f"{buyer.stage.url}/callbacks/stripe", body, headers=headers, timeout=20).status_code == 200
    assert buyer.state(bought) == (S.SUCCEEDED, "succeeded")
    assert (buyer.clinic.available, buyer.told("invoice.issued")) == (20 * MICROS, 1)


def test_a_callback_about_nobodys_payment_credits_nobody(shop: OpenShop) -> None:
    buyer = shop()
    buyer.becomes("4000002760003184")
    bought = buyer.buy()
    for facts in ({"customer": str(buyer.clinic.id), "payment": "1"}, {"customer": "x"}, {}):
        body = event_of(buyer, bought, facts=facts)
        headers = {"Stripe-Signature": signed(body, settings.STRIPE["webhook_secret"], 0)}
        answer = requests.post(f"{buyer.stage.url}/callbacks/stripe", body, headers=headers, timeout=20)
        assert answer.status_code in (200, 404, 409), answer.text
    assert (buyer.state(bought)[1], buyer.clinic.available) == ("pending", 0)


def event_of(buyer: Shop, bought: topups.Purchase, *, facts: dict[str, str] | None = None) -> str:
    """What Stripe would post if this payment had succeeded."""
    own = {"customer": str(buyer.clinic.id), "payment": str(bought.top_up.payment_id)}
    intent = {
        "id": f"pi_{uuid4().hex}",
        "object": "payment_intent",
        "status": "succeeded",
        "amount": 2_000,
        "amount_received": 2_000,
        "currency": "usd",
        "last_payment_error": None,
        "next_action": None,
        "metadata": own if facts is None else facts,
    }
    event = {"id": f"evt_{uuid4().hex}", "object": "event", "type": "payment_intent.succeeded", "data": {"object": intent}}
    return json.dumps(event)


def signed(body: str, secret: str, age: int) -> str:
    at = int(timezone.now().timestamp()) - age
    digest = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
