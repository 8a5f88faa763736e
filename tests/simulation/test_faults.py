"""Every fault of the switch is seen to fire, strikes what it should and nothing else, and does so again for the same seed."""

import json
import urllib.error
from typing import Any
from uuid import uuid4

import pytest
import requests
import stripe

from postmeter.simulator.faults import ON_CALLBACKS, Fault
from postmeter.simulator.process import SimulatorProcess
from tests.simulation.conftest import CREDENTIALS, Carrier, Faults, a_number, settled
from tests.simulation.listener import Listener, eventually
from tests.simulation.test_stripe import a_customer, a_saved, pay

HAPPENED = {
    Fault.TIMEOUT_BEFORE: 0,
    Fault.TIMEOUT_AFTER_SUCCESS: 1,
    Fault.ERROR_500_BEFORE: 0,
    Fault.ERROR_500_AFTER: 1,
    Fault.RESET_AFTER_HEADERS: 1,
    Fault.GARBAGE: 1,
    Fault.THROTTLE_429: 0,
    Fault.CONFLICT_409: 0,
}
SPECIAL = {Fault.SLOW, Fault.TWICE, Fault.DIFFERENT_AMOUNT, Fault.HIDDEN, Fault.EVENT_FIRST}


def test_every_fault_has_a_test() -> None:
    assert set(Fault) == set(HAPPENED) | SPECIAL | ON_CALLBACKS


class Impatient(stripe.RequestsClient):
    def __init__(self) -> None:
        super().__init__(timeout=0.7)


@pytest.fixture
def impatient(simulator: SimulatorProcess) -> stripe.StripeClient:
    """A client that gives up after a moment, as ours must sometimes do."""
    return stripe.StripeClient(
        CREDENTIALS.stripe_secret_key, base_addresses={"api": simulator.url}, max_network_retries=0, http_client=Impatient()
    )


def charges_for(simulator: SimulatorProcess, key: str) -> list[dict[str, Any]]:
    return [charge for charge in simulator.control("GET", "/log/payments")["charges"] if charge["idempotency_key"] == key]


@pytest.mark.parametrize(("fault", "happened"), HAPPENED.items())
def test_a_payment_under_a_fault_happens_once_or_not_at_all_and_the_same_key_finds_out(  # F15-F22, F29
    gateway: stripe.StripeClient,
    impatient: stripe.StripeClient,
    simulator: SimulatorProcess,
    faults: Faults,
    fault: Fault,
    happened: int,
) -> None:
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id)
    key = uuid4().hex
    rule = faults.set("stripe", fault, count=1, match={"path": "/v1/payment_intents"})
    with pytest.raises((stripe.StripeError, ValueError)):
        pay(impatient, customer.id, method.id, key)
    assert faults.fired(rule) == 1
    assert len(charges_for(simulator, key)) == happened
    if fault is Fault.ERROR_500_AFTER:
        with pytest.raises(stripe.APIError) as again:
            pay(impatient, customer.id, method.id, key)
        assert again.value.http_status == 500
    else:
        assert pay(impatient, customer.id, method.id, key).status == "succeeded"
    assert len(charges_for(simulator, key)) == 1


@pytest.mark.parametrize(("fault", "happened"), HAPPENED.items())
def test_a_message_under_a_fault_is_sent_or_not(  # F41, F42, F50, F51
    carrier: Carrier, simulator: SimulatorProcess, faults: Faults, fault: Fault, happened: int
) -> None:
    to = a_number()
    rule = faults.set("twilio", fault, match={"number": to})
    try:
        answer = carrier.send(to, timeout=0.7)
        broken = answer.status_code in (409, 429, 500) or answer.json() is None
    except requests.RequestException:
        broken = True
    assert broken
    assert faults.fired(rule) == 1
    assert len(simulator.control("GET", f"/log/messages?to=%2B{to[1:]}")["messages"]) == happened
    assert carrier.send(a_number()).status_code == 201


def test_a_request_may_be_taken_twice_and_answered_once(
    carrier: Carrier, simulator: SimulatorProcess, faults: Faults
) -> None:  # F42
    to = a_number()
    rule = faults.set("twilio", "twice", match={"number": to})
    sid = carrier.send(to).json()["sid"]
    taken = [message["sid"] for message in simulator.control("GET", f"/log/messages?to=%2B{to[1:]}")["messages"]]
    assert faults.fired(rule) == 1
    assert len(set(taken)) == 2
    assert sid in taken


def test_a_key_in_flight_is_answered_409(gateway: stripe.StripeClient, impatient: stripe.StripeClient, faults: Faults) -> None:
    key = uuid4().hex
    rule = faults.set("stripe", "slow", seconds=30, count=1, match={"path": "/v1/customers"})
    with pytest.raises(stripe.APIConnectionError):
        impatient.v1.customers.create({"name": "Ann"}, {"idempotency_key": key})
    assert faults.fired(rule) == 1
    with pytest.raises(stripe.StripeError) as busy:
        gateway.v1.customers.create({"name": "Ann"}, {"idempotency_key": key})
    assert busy.value.http_status == 409


def test_slowness_is_measured_on_the_simulators_clock(carrier: Carrier, simulator: SimulatorProcess, faults: Faults) -> None:
    to = a_number()
    rule = faults.set("twilio", "slow", seconds=5000, match={"number": to})
    simulator.control("POST", "/clock", {"rate": 100_000})
    try:
        assert carrier.send(to).status_code == 201
    finally:
        simulator.control("POST", "/clock", {"rate": 1})
    assert faults.fired(rule) == 1


def test_the_gateway_may_take_another_amount_than_it_was_asked(  # F27
    gateway: stripe.StripeClient, simulator: SimulatorProcess, faults: Faults
) -> None:
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id)
    faults.set("stripe", "different_amount", count=1, match={"path": "/v1/payment_intents"})
    key = uuid4().hex
    intent = pay(gateway, customer.id, method.id, key)
    assert (intent.amount, intent.amount_received) == (2500, 2499)
    assert [charge["amount"] for charge in charges_for(simulator, key)] == [2499]


def test_a_lookup_may_miss_at_first_and_find_later(
    gateway: stripe.StripeClient, simulator: SimulatorProcess, faults: Faults
) -> None:  # F30
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id)
    faults.set("stripe", "hidden", seconds=600, count=1, match={"path": "/v1/payment_intents", "method": "POST"})
    intent = pay(gateway, customer.id, method.id)
    assert gateway.v1.payment_intents.list({"customer": customer.id}).data == []
    simulator.control("POST", "/clock", {"advance": 601})
    assert [one.id for one in gateway.v1.payment_intents.list({"customer": customer.id}).data] == [intent.id]


def test_events_may_come_before_the_answer(  # F33
    gateway: stripe.StripeClient, simulator: SimulatorProcess, faults: Faults, listener: Listener
) -> None:
    simulator.control("PATCH", "/settings", {"event_delay": 30})
    try:
        rule = faults.set("stripe", "event_first", count=1, match={"path": "/v1/customers"})
        customer = a_customer(gateway)
        assert [post for post in listener.at("/stripe") if customer.id.encode() in post.body]
        assert faults.fired(rule) == 1
    finally:
        simulator.control("PATCH", "/settings", {"event_delay": 0})


def test_callbacks_may_be_duplicated_lost_delayed_and_reordered(  # F31-F35, F44-F47
    carrier: Carrier, simulator: SimulatorProcess, faults: Faults, listener: Listener
) -> None:
    to = a_number()
    faults.set("twilio", "duplicate", match={"number": to, "event": "queued"})
    faults.set("twilio", "lose", match={"number": to, "event": "sent"})
    rule = faults.set("twilio", "delay", seconds=7200, match={"number": to, "event": "delivered"})
    sid = carrier.send(to, StatusCallback=f"{listener.url}/status").json()["sid"]

    def told() -> list[str]:
        return [post.form["MessageStatus"] for post in listener.at("/status") if post.form["MessageSid"] == sid]

    eventually(lambda: faults.fired(rule) == 1)
    settled(simulator)
    assert told() == ["queued", "queued"]
    simulator.control("POST", "/clock", {"advance": 7201})
    eventually(lambda: told() == ["queued", "queued", "delivered"])
    assert [entry["event"] for entry in simulator.control("GET", f"/log?kind=callback.lost&subject={sid}")["entries"]] == ["sent"]


def test_events_may_come_out_of_order(
    gateway: stripe.StripeClient, simulator: SimulatorProcess, faults: Faults, listener: Listener
) -> None:
    rule = faults.set("stripe", "reorder", count=1, match={"event": "customer.created"})
    customer = a_customer(gateway)
    gateway.v1.customers.update(customer.id, {"name": "Bo"})
    eventually(lambda: faults.fired(rule) == 1)

    def told() -> list[str]:
        return [json.loads(post.body)["type"] for post in listener.at("/stripe") if customer.id.encode() in post.body]

    eventually(lambda: told() == ["customer.updated"])
    simulator.control("POST", "/clock", {"advance": 6})
    eventually(lambda: told() == ["customer.updated", "customer.created"])


@pytest.mark.parametrize("fault", ["bad_signature", "old_timestamp"])
def test_forged_and_old_events_come_first_and_are_followed_by_true_ones(  # F36
    gateway: stripe.StripeClient, simulator: SimulatorProcess, faults: Faults, listener: Listener, fault: str
) -> None:
    simulator.control("POST", "/clock", {"now": _wall()})
    listener.answers = lambda post: 204 if _is_true(post) else 400
    faults.set("stripe", fault, count=1, match={"event": "customer.created"})
    customer = a_customer(gateway)

    def told() -> list[bool]:
        return [_is_true(post) for post in listener.at("/stripe") if customer.id.encode() in post.body]

    eventually(lambda: told() == [False])
    settled(simulator)
    simulator.control("POST", "/clock", {"advance": 6})
    eventually(lambda: told() == [False, True])


def _wall() -> float:
    import time

    return time.time()


def _is_true(post: Any) -> bool:
    try:
        stripe.Webhook.construct_event(post.body, post.headers["Stripe-Signature"], CREDENTIALS.stripe_webhook_secret)
    except stripe.SignatureVerificationError:
        return False
    return True


def test_the_same_seed_strikes_the_same_requests(carrier: Carrier, faults: Faults) -> None:
    def pattern(seed: int) -> list[int]:
        body = uuid4().hex
        number = faults.set("twilio", "error_500_before", probability=0.5, seed=seed, match={"body": body})
        statuses = [carrier.send(a_number(), body).status_code for _ in range(30)]
        assert faults.fired(number) == statuses.count(500)
        return statuses

    first, again, other = pattern(7), pattern(7), pattern(8)
    assert first == again != other
    assert {201, 500} == set(first)


def test_a_made_up_event_is_about_something_nobody_knows(simulator: SimulatorProcess, listener: Listener) -> None:  # F40
    event = simulator.control("POST", "/events", {"type": "payment_intent.succeeded", "object": {"id": "pi_of_nobody"}})
    post = eventually(lambda: [post for post in listener.at("/stripe") if b"pi_of_nobody" in post.body])[0]
    assert json.loads(post.body) == event


def test_every_fault_that_fired_is_counted_and_listed(carrier: Carrier, simulator: SimulatorProcess, faults: Faults) -> None:
    to = a_number()
    rule = faults.set("twilio", "throttle_429", count=2, match={"number": to})
    before = simulator.control("GET", "/faults")["fired"].get("twilio.throttle_429", 0)
    assert [carrier.send(to).status_code for _ in range(3)] == [429, 429, 201]
    listing = simulator.control("GET", "/faults")
    assert listing["fired"]["twilio.throttle_429"] == before + 2
    assert next((one["seen"], one["fired"]) for one in listing["rules"] if one["id"] == rule) == (3, 2)
    entries = simulator.control("GET", f"/log?kind=fault.fired&subject=%2B{to[1:]}")["entries"]
    assert [(entry["fault"], entry["rule"]) for entry in entries] == [("throttle_429", rule)] * 2


@pytest.mark.parametrize(
    "rule", [{"service": "twilio"}, {"service": "post", "fault": "slow"}, {"service": "stripe", "fault": "slow", "matches": {}}]
)
def test_a_rule_that_makes_no_sense_is_refused(simulator: SimulatorProcess, rule: dict[str, Any]) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        simulator.control("POST", "/faults", rule)
    assert refusal.value.code == 422
    assert json.loads(refusal.value.read())["remedy"]
    refusal.value.close()
