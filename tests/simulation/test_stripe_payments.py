"""Declines, authentication, settlement, refunds and disputes: each card does what Stripe says it does."""

import re
from typing import Any
from uuid import uuid4

import pytest
import requests
import stripe

from postmeter.simulator.process import SimulatorProcess
from postmeter.simulator.stripe.cards import CARDS, Card
from tests.simulation.conftest import settled
from tests.simulation.listener import Listener, eventually
from tests.simulation.test_stripe import a_customer, a_saved, events_about, pay

SUCCEED = [card for card in CARDS.values() if not card.decline and not card.authentication]
DECLINED_AT_SAVING = [card for card in CARDS.values() if card.decline and not card.attaches]
DECLINED_AT_CHARGING = [card for card in CARDS.values() if card.decline and card.attaches]
AUTHENTICATE = [card for card in CARDS.values() if card.authentication]
BANK: dict[str, Any] = {"account_number": "000123456789", "routing_number": "110000000", "account_holder_type": "company"}


def by_number(card: Card) -> str:
    return card.number


@pytest.mark.parametrize("card", SUCCEED, ids=by_number)
def test_good_cards_pay(gateway: stripe.StripeClient, card: Card) -> None:
    customer = a_customer(gateway)
    assert pay(gateway, customer.id, a_saved(gateway, customer.id, card.number).id, off_session=True).status == "succeeded"


@pytest.mark.parametrize("card", DECLINED_AT_SAVING, ids=by_number)
def test_bad_cards_cannot_be_saved(gateway: stripe.StripeClient, card: Card) -> None:
    assert card.decline
    with pytest.raises(stripe.CardError) as refusal:
        a_saved(gateway, a_customer(gateway).id, card.number)
    assert (refusal.value.code, refusal.value.error.decline_code, refusal.value.http_status) == (*card.decline, 402)


@pytest.mark.parametrize("card", DECLINED_AT_CHARGING, ids=by_number)
def test_cards_that_turn_bad_are_declined_when_charged(
    gateway: stripe.StripeClient, simulator: SimulatorProcess, listener: Listener, card: Card
) -> None:
    assert card.decline
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id, card.number)
    key = uuid4().hex
    with pytest.raises(stripe.CardError) as refusal:
        pay(gateway, customer.id, method.id, key, off_session=True)
    error = refusal.value.error
    assert (error.code, error.decline_code, refusal.value.http_status) == (*card.decline, 402)
    intent = gateway.v1.payment_intents.retrieve(error.payment_intent.id, {"expand": ["latest_charge"]})
    assert (intent.status, intent.payment_method, intent.amount_received) == ("requires_payment_method", None, 0)
    assert intent.last_payment_error.decline_code == card.decline[1]
    charge: Any = intent.latest_charge
    assert (charge.status, charge.paid, charge.outcome.reason) == ("failed", False, card.decline[1])
    with pytest.raises(stripe.CardError):
        pay(gateway, customer.id, method.id, key, off_session=True)  # the decline is replayed, not tried again
    settled(simulator)
    assert events_about(listener, intent.id).count("payment_intent.payment_failed") == 1


@pytest.mark.parametrize("card", AUTHENTICATE, ids=by_number)
def test_off_session_a_card_that_asks_for_its_holder_is_declined(gateway: stripe.StripeClient, card: Card) -> None:
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id, card.number)
    with pytest.raises(stripe.CardError) as refusal:
        pay(gateway, customer.id, method.id, off_session=True)
    assert (refusal.value.http_status, refusal.value.code) == (402, "authentication_required")
    assert refusal.value.error.payment_intent.status == "requires_payment_method"


@pytest.mark.parametrize(("answer", "status"), [("yes", "succeeded"), ("no", "requires_payment_method")])
def test_on_session_the_holder_is_asked_on_the_banks_page(gateway: stripe.StripeClient, answer: str, status: str) -> None:
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id, "4000002760003184")
    intent = pay(gateway, customer.id, method.id, return_url="http://127.0.0.1:1/back?a=b")
    assert (intent.status, intent.amount_received) == ("requires_action", 0)
    assert intent.next_action and intent.next_action.redirect_to_url
    page = intent.next_action.redirect_to_url.url
    assert page
    assert "25.00 USD" in requests.get(page, timeout=20).text
    back = requests.post(page, {"answer": answer}, timeout=20, allow_redirects=False).headers["location"]
    assert back.startswith(f"http://127.0.0.1:1/back?a=b&payment_intent={intent.id}&")
    assert gateway.v1.payment_intents.retrieve(intent.id).status == status


def test_a_card_saved_on_the_hosted_page_may_ask_for_its_holder_first(
    gateway: stripe.StripeClient, simulator: SimulatorProcess
) -> None:
    session = gateway.v1.checkout.sessions.create({"mode": "setup", "success_url": "http://127.0.0.1:1/ok", "currency": "usd"})
    card = {"number": "4000002500003155", "expiry": "1/40", "cvc": "123"}
    bank = requests.post(str(session.url), card, timeout=20, allow_redirects=False).headers["location"]
    assert re.fullmatch(r"/authenticate/seti_\w+", bank)
    answer = requests.post(simulator.url + bank, {"answer": "yes"}, timeout=20, allow_redirects=False)
    assert answer.headers["location"] == "http://127.0.0.1:1/ok"
    finished = gateway.v1.checkout.sessions.retrieve(session.id)
    assert finished.status == "complete"
    assert [
        method.card.last4 for method in gateway.v1.customers.payment_methods.list(str(finished.customer)).data if method.card
    ] == ["3155"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("number", "4242 4242 4242 4241", "card number is incorrect"),
        ("number", "4000 0000 0000 0002", "was declined"),
        ("expiry", "1/20", "in the past"),
        ("expiry", "13/40", "month is invalid"),
        ("expiry", "nonsense", "expiry date is incomplete"),
        ("cvc", "1", "security code is incomplete"),
    ],
)
def test_the_hosted_page_says_what_is_wrong_and_loses_nothing(
    gateway: stripe.StripeClient, field: str, value: str, words: str
) -> None:
    session = gateway.v1.checkout.sessions.create({"mode": "setup", "success_url": "http://127.0.0.1:1/ok", "currency": "usd"})
    card = {"number": "4242424242424242", "expiry": "12/40", "cvc": "123", "name": "Ann <b>", field: value}
    answer = requests.post(str(session.url), card, timeout=20, allow_redirects=False)
    assert answer.status_code == 422
    assert words in answer.text
    assert "Ann &lt;b&gt;" in answer.text
    assert gateway.v1.checkout.sessions.retrieve(session.id).status == "open"


def test_a_session_that_nobody_finished_expires_after_a_day(gateway: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    session = gateway.v1.checkout.sessions.create({"mode": "setup", "success_url": "http://127.0.0.1:1/ok", "currency": "usd"})
    simulator.control("POST", "/clock", {"advance": 86400})
    assert gateway.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert "expired" in requests.get(str(session.url), timeout=20).text


@pytest.mark.parametrize(
    ("account", "status"),
    [("000123456789", "succeeded"), ("000111111116", "requires_payment_method"), ("000222222227", "requires_payment_method")],
)
def test_a_bank_debit_settles_or_comes_back_days_later(
    gateway: stripe.StripeClient, simulator: SimulatorProcess, listener: Listener, account: str, status: str
) -> None:
    customer = a_customer(gateway)
    method = gateway.v1.payment_methods.create(
        {"type": "us_bank_account", "us_bank_account": {**BANK, "account_number": account}}
    )
    gateway.v1.payment_methods.attach(method.id, {"customer": customer.id})
    intent = pay(gateway, customer.id, method.id, off_session=True)
    assert (intent.status, intent.amount_received) == ("processing", 0)
    simulator.control("POST", "/clock", {"advance": 3 * 86400})
    settled(simulator)
    assert gateway.v1.payment_intents.retrieve(intent.id).status == "processing"
    simulator.control("POST", "/clock", {"advance": 2 * 86400})
    eventually(lambda: gateway.v1.payment_intents.retrieve(intent.id).status == status)
    settled(simulator)
    last = "payment_intent.succeeded" if status == "succeeded" else "payment_intent.payment_failed"
    assert sorted(events_about(listener, intent.id)) == sorted(["payment_intent.created", "payment_intent.processing", last])


def test_refunds_in_parts_never_exceed_the_charge(gateway: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    customer = a_customer(gateway)
    intent = pay(gateway, customer.id, a_saved(gateway, customer.id).id)
    parts = [gateway.v1.refunds.create({"payment_intent": intent.id, "amount": amount}) for amount in (1000, 500)]
    assert [part.status for part in parts] == ["succeeded", "succeeded"]
    for amount in (1001, 0, -5):
        with pytest.raises(stripe.InvalidRequestError):
            gateway.v1.refunds.create({"payment_intent": intent.id, "amount": amount})
    assert gateway.v1.refunds.create({"payment_intent": intent.id}).amount == 1000
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        gateway.v1.refunds.create({"payment_intent": intent.id})
    assert refusal.value.code == "charge_already_refunded"
    charge = gateway.v1.charges.retrieve(str(intent.latest_charge))
    assert (charge.amount_refunded, charge.refunded) == (2500, True)
    refunds = simulator.control("GET", "/log/payments")["refunds"]
    assert [refund["amount"] for refund in refunds if refund["payment_intent"] == intent.id] == [1000, 500, 1000]


def test_a_dispute_takes_the_money_at_once_and_gives_it_back_when_won(
    gateway: stripe.StripeClient, simulator: SimulatorProcess, listener: Listener
) -> None:
    customer = a_customer(gateway)
    intent = pay(gateway, customer.id, a_saved(gateway, customer.id).id)
    dispute = simulator.control("POST", "/disputes", {"payment_intent": intent.id})
    assert (dispute["status"], [movement["amount"] for movement in dispute["balance_transactions"]]) == (
        "needs_response",
        [-2500],
    )
    with pytest.raises(stripe.InvalidRequestError):
        gateway.v1.refunds.create({"payment_intent": intent.id})
    won = simulator.control("POST", f"/disputes/{dispute['id']}", {"status": "won"})
    assert [movement["amount"] for movement in won["balance_transactions"]] == [-2500, 2500]
    settled(simulator)
    told = ["created", "funds_withdrawn", "closed", "funds_reinstated"]
    assert sorted(events_about(listener, dispute["id"])) == sorted(f"charge.dispute.{what}" for what in told)
    assert gateway.v1.disputes.retrieve(dispute["id"]).status == "won"


def test_an_inquiry_takes_no_money_until_it_becomes_a_dispute(gateway: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    customer = a_customer(gateway)
    intent = pay(gateway, customer.id, a_saved(gateway, customer.id).id)
    inquiry = simulator.control("POST", "/disputes", {"payment_intent": intent.id, "inquiry": True})
    assert (inquiry["status"], inquiry["balance_transactions"]) == ("warning_needs_response", [])
    dispute = simulator.control("POST", f"/disputes/{inquiry['id']}", {"status": "needs_response"})
    assert [movement["amount"] for movement in dispute["balance_transactions"]] == [-2500]
    lost = simulator.control("POST", f"/disputes/{inquiry['id']}", {"status": "lost"})
    assert (lost["status"], len(lost["balance_transactions"])) == ("lost", 1)


def test_the_disputed_card_is_disputed_ten_days_later(gateway: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    customer = a_customer(gateway)
    intent = pay(gateway, customer.id, a_saved(gateway, customer.id, "4000000000000259").id)
    assert gateway.v1.disputes.list({"payment_intent": intent.id}).data == []
    simulator.control("POST", "/clock", {"advance": 11 * 86400})
    disputes = eventually(lambda: gateway.v1.disputes.list({"payment_intent": intent.id}).data)
    assert [(dispute.status, dispute.amount) for dispute in disputes] == [("needs_response", 2500)]


def test_the_bank_can_change_its_mind_about_a_saved_card(gateway: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id)
    assert pay(gateway, customer.id, method.id).status == "succeeded"
    simulator.control("POST", f"/payment_methods/{method.id}", {"number": "4000000000009995"})
    with pytest.raises(stripe.CardError) as refusal:
        pay(gateway, customer.id, method.id)
    assert refusal.value.error.decline_code == "insufficient_funds"


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        (49, "usd", "amount_too_small"),
        (50, "usd", None),
        (49, "jpy", "amount_too_small"),
        (500, "jpy", None),
        (29, "gbp", "amount_too_small"),
        (100_000_000, "usd", "amount_too_large"),
        (-1, "usd", "parameter_invalid_integer"),
        (1001, "kwd", "parameter_invalid_integer_steps"),
        (1010, "kwd", None),
    ],
)
def test_amounts_are_minor_units_within_the_currencys_bounds(
    gateway: stripe.StripeClient, amount: int, currency: str, code: str | None
) -> None:
    create: Any = {"amount": amount, "currency": currency}
    if code is None:
        intent = gateway.v1.payment_intents.create(create)
        assert (intent.amount, intent.currency, intent.status) == (amount, currency, "requires_payment_method")
        return
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        gateway.v1.payment_intents.create(create)
    assert (refusal.value.code, refusal.value.param) == (code, "amount")


def test_a_payment_is_found_by_its_metadata(gateway: stripe.StripeClient) -> None:
    customer = a_customer(gateway)
    ours = uuid4().hex
    intent = pay(gateway, customer.id, a_saved(gateway, customer.id).id, metadata={"payment": ours})
    found = gateway.v1.payment_intents.search({"query": f"metadata['payment']:'{ours}' AND status:'succeeded'"})
    assert [one.id for one in found.data] == [intent.id]
    assert gateway.v1.payment_intents.search({"query": f"metadata['payment']:'{uuid4().hex}'"}).data == []
    assert [one.id for one in gateway.v1.payment_intents.list({"customer": customer.id}).data] == [intent.id]


def test_lists_page_newest_first(gateway: stripe.StripeClient) -> None:
    customer = a_customer(gateway)
    made = [
        gateway.v1.payment_intents.create({"amount": 100 + n, "currency": "usd", "customer": customer.id}).id for n in range(5)
    ]
    pages = gateway.v1.payment_intents.list({"customer": customer.id, "limit": 2}).auto_paging_iter()
    assert [intent.id for intent in pages] == made[::-1]
    earlier = gateway.v1.payment_intents.list({"customer": customer.id, "ending_before": made[1], "limit": 2})
    assert [intent.id for intent in earlier.data] == [made[3], made[2]]


def test_an_intent_can_be_cancelled_and_then_never_confirmed(gateway: stripe.StripeClient) -> None:
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id)
    intent = gateway.v1.payment_intents.create(
        {"amount": 500, "currency": "usd", "customer": customer.id, "payment_method": method.id}
    )
    assert gateway.v1.payment_intents.cancel(intent.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        gateway.v1.payment_intents.confirm(intent.id)
    assert refusal.value.code == "payment_intent_unexpected_state"


def test_a_detached_card_pays_no_more(gateway: stripe.StripeClient) -> None:
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id)
    gateway.v1.payment_methods.detach(method.id)
    with pytest.raises(stripe.InvalidRequestError):
        pay(gateway, customer.id, method.id)


def test_wrong_keys_unknown_things_and_unknown_parameters_are_refused_as_stripe_does(
    gateway: stripe.StripeClient, simulator: SimulatorProcess
) -> None:
    with pytest.raises(stripe.AuthenticationError):
        stripe.StripeClient("sk_test_other", base_addresses={"api": simulator.url}).v1.customers.list()
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        gateway.v1.payment_intents.retrieve("pi_unknown")
    assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        gateway.v1.payment_intents.create({"amount": 500, "currency": "usd", "capture_method": "manual"})
    assert (refusal.value.code, refusal.value.param) == ("parameter_unknown", "capture_method")


def test_webhooks_made_through_the_api_have_their_own_secret_and_kinds(
    gateway: stripe.StripeClient, listener: Listener, simulator: SimulatorProcess
) -> None:
    endpoint = gateway.v1.webhook_endpoints.create({"url": f"{listener.url}/own", "enabled_events": ["customer.created"]})
    customer = a_customer(gateway)
    gateway.v1.customers.update(customer.id, {"name": "Bo"})
    post = eventually(lambda: [post for post in listener.at("/own") if customer.id.encode() in post.body])[0]
    event = stripe.Webhook.construct_event(post.body, post.headers["Stripe-Signature"], str(endpoint.secret))
    assert event.type == "customer.created"
    settled(simulator)
    assert len([post for post in listener.at("/own") if customer.id.encode() in post.body]) == 1
    assert gateway.v1.events.retrieve(event.id).type == "customer.created"
    gateway.v1.webhook_endpoints.delete(endpoint.id)


def _alike(ours: Any, theirs: Any) -> bool:
    """Null fits everything: most fields may be null on both sides."""
    return ours is None or theirs is None or type(ours) is type(theirs)


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "customer",
            "checkout.session",
            "setup_intent",
            "payment_method",
            "payment_intent",
            "charge",
            "refund",
            "dispute",
            "event",
        ),
        *("webhook_endpoint", "balance_transaction"),
    ],
)
def test_things_have_all_the_fields_of_stripes_own_examples(
    gateway: stripe.StripeClient, simulator: SimulatorProcess, fixtures: dict[str, Any], kind: str
) -> None:
    ours, theirs = one_of_each(gateway, simulator)[kind], fixtures[kind]
    assert set(theirs) - set(ours) == set()
    assert [name for name in theirs if not _alike(ours[name], theirs[name])] == []


def one_of_each(gateway: stripe.StripeClient, simulator: SimulatorProcess) -> dict[str, Any]:
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id)
    session = gateway.v1.checkout.sessions.create({"mode": "setup", "success_url": "http://127.0.0.1:1/ok", "currency": "usd"})
    intent = pay(gateway, customer.id, method.id)
    refund = gateway.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    dispute = simulator.control("POST", "/disputes", {"payment_intent": intent.id})
    endpoint = gateway.v1.webhook_endpoints.create({"url": "http://127.0.0.1:1/", "enabled_events": ["never.happens"]})
    gateway.v1.webhook_endpoints.delete(endpoint.id)
    things = [customer, method, session, intent, refund, endpoint, gateway.v1.events.list({"limit": 1}).data[0]]
    things += [
        gateway.v1.setup_intents.retrieve(str(session.setup_intent)),
        gateway.v1.charges.retrieve(str(intent.latest_charge)),
    ]
    found = {thing.to_dict()["object"]: thing.to_dict() for thing in things}
    return {**found, "dispute": dispute, "balance_transaction": dispute["balance_transactions"][0]}
