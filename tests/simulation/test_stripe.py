"""The gateway answers as Stripe does, takes each payment once, and tells it in signed events."""

import json
from typing import Any
from uuid import uuid4

import pytest
import requests
import stripe

from postmeter.simulator.process import SimulatorProcess
from tests.simulation.conftest import CREDENTIALS, settled
from tests.simulation.listener import Listener, eventually


def a_customer(gateway: stripe.StripeClient) -> stripe.Customer:
    return gateway.v1.customers.create({"email": "ann@example.com", "name": "Ann", "metadata": {"customer": "7"}})


def a_saved(gateway: stripe.StripeClient, customer: str, number: str = "4242424242424242") -> stripe.PaymentMethod:
    card: Any = {"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    method = gateway.v1.payment_methods.create({"type": "card", "card": card})
    return gateway.v1.payment_methods.attach(method.id, {"customer": customer})


def pay(gateway: stripe.StripeClient, customer: str, method: str, key: str | None = None, **rest: Any) -> stripe.PaymentIntent:
    params: Any = {"amount": 2500, "currency": "usd", "customer": customer, "payment_method": method, "confirm": True}
    return gateway.v1.payment_intents.create({**params, **rest}, {"idempotency_key": key or uuid4().hex})


def events_about(listener: Listener, object_id: str) -> list[str]:
    """The kinds of event that came for this object, in their order of arrival."""
    return [
        event["type"]
        for event in (json.loads(post.body) for post in listener.at("/stripe"))
        if event["data"]["object"]["id"] == object_id
    ]


def test_a_card_saved_on_the_hosted_page_pays_off_session(
    gateway: stripe.StripeClient, simulator: SimulatorProcess, listener: Listener
) -> None:
    customer = a_customer(gateway)
    session = gateway.v1.checkout.sessions.create(
        {
            "mode": "setup",
            "customer": customer.id,
            "currency": "usd",
            "success_url": "http://127.0.0.1:1/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://127.0.0.1:1/back",
        }
    )
    assert session.url
    page = requests.get(session.url, timeout=20)
    assert page.status_code == 200
    assert "http://127.0.0.1:1/back" in page.text
    card = {"number": "4242 4242 4242 4242", "expiry": "12 / 40", "cvc": "123", "name": "Ann"}
    answer = requests.post(session.url, card, timeout=20, allow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"http://127.0.0.1:1/done?session={session.id}")
    finished = gateway.v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent.payment_method"]})
    assert (finished.status, finished.url) == ("complete", None)
    setup: Any = finished.setup_intent
    assert (setup.status, setup.payment_method.card.last4, setup.payment_method.customer) == ("succeeded", "4242", customer.id)
    methods = gateway.v1.customers.payment_methods.list(customer.id, {"type": "card"}).data
    assert [method.id for method in methods] == [setup.payment_method.id]
    intent = pay(gateway, customer.id, methods[0].id, off_session=True)
    assert (intent.status, intent.amount_received) == ("succeeded", 2500)
    settled(simulator)
    assert set(events_about(listener, session.id)) == {"checkout.session.completed"}
    assert sorted(events_about(listener, intent.id)) == ["payment_intent.created", "payment_intent.succeeded"]


def test_events_are_signed_as_stripes_own_library_checks(gateway: stripe.StripeClient, listener: Listener) -> None:
    customer = a_customer(gateway)
    post = eventually(lambda: [post for post in listener.at("/stripe") if customer.id.encode() in post.body])[0]
    event = stripe.Webhook.construct_event(post.body, post.headers["Stripe-Signature"], CREDENTIALS.stripe_webhook_secret)
    assert (event.type, event.data.object["id"]) == ("customer.created", customer.id)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(post.body + b" ", post.headers["Stripe-Signature"], CREDENTIALS.stripe_webhook_secret)


def test_the_same_key_charges_once_and_gives_the_same_answer(gateway: stripe.StripeClient, simulator: SimulatorProcess) -> None:
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id)
    key = uuid4().hex
    first, second = (pay(gateway, customer.id, method.id, key) for _ in range(2))
    assert first.id == second.id
    assert second.last_response.headers["idempotent-replayed"] == "true"
    charges = simulator.control("GET", "/log/payments")["charges"]
    assert [charge["payment_intent"] for charge in charges if charge["idempotency_key"] == key] == [first.id]
    with pytest.raises(stripe.IdempotencyError) as refusal:
        pay(gateway, customer.id, method.id, key, amount=2501)
    assert refusal.value.http_status == 400
