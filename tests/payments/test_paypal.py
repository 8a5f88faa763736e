"""PayPal from the page to the books, and each request and answer against PayPal's own description."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jsonschema
import pytest
import requests
from django.conf import settings
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput
from postmeter.payments import operations
from postmeter.payments import queries as payments
from postmeter.payments.gateways.paypal import PayPal
from postmeter.payments.health import Health, health
from postmeter.payments.models import PaymentMethod
from postmeter.payments.states import PaymentState
from postmeter.topups import operations as topups
from postmeter.topups import queries as topup_queries
from postmeter.topups import refunds
from tests.cast import Cast, Clinic
from tests.stage import Stage, until

S = PaymentState


def saved_account(stage: Stage, clinic: Clinic, email: str = "payer@example.com") -> PaymentMethod:
    """Let PayPal charge this account, as a browser would."""
    setup_id, page = operations.start_setup(
        customer_id=clinic.id,
        kind="paypal",
        actor=clinic.actor,
        success_url=f"{stage.simulator.url}/control/clock?setup=SETUP",
        cancel_url=f"{stage.simulator.url}/control/clock",
        now=timezone.now(),
    )
    assert email in requests.get(page, timeout=20).text
    requests.post(page, {"email": email}, timeout=20, allow_redirects=False)
    method = operations.finish_setup(customer_id=clinic.id, setup_id=setup_id, now=timezone.now())
    assert method is not None
    again = operations.finish_setup(customer_id=clinic.id, setup_id=setup_id, now=timezone.now())
    assert again is not None and again.id == method.id
    return method


def buy(clinic: Clinic, method: PaymentMethod) -> topups.Purchase:
    return topups.buy(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        method_id=method.id,
        amount_micros=20 * MICROS,
        key=uuid4(),
        actor=clinic.actor,
        now=timezone.now(),
    )


def now_is(clinic: Clinic, bought: topups.Purchase) -> tuple[PaymentState, str]:
    found = topups.purchase(customer_id=clinic.id, top_up_id=bought.top_up.id)
    return found.payment_state, found.top_up.state


@pytest.fixture
def clinic(stage: Stage, cast: Cast) -> Iterator[Clinic]:
    yield cast.clinic(credit_micros=0)
    stage.simulator.control("DELETE", "/faults")


def test_an_account_is_added_charged_and_credited_once(stage: Stage, clinic: Clinic) -> None:
    # S-140 S-108
    method = saved_account(stage, clinic)
    assert (method.name, method.kind, method.auto_charge, method.expires) == ("PayPal payer@example.com", "paypal", True, False)
    assert not payments.has_expired(method, now=timezone.now())
    bought = buy(clinic, method)
    assert (bought.payment_state, bought.top_up.state, clinic.available) == (S.SUCCEEDED, "succeeded", 20 * MICROS)
    stage.settle()
    assert clinic.available == 20 * MICROS, "its callback credits nothing again"
    assert verify_all().ok


def test_a_refusal_cools_the_account_and_a_closed_one_needs_a_person(stage: Stage, clinic: Clinic) -> None:
    # S-131 A-30
    for email, code, state in (
        ("empty@example.com", "insufficient_funds", Health.COOLING),
        ("closed@example.com", "account_closed", Health.NEEDS_PERSON),
        ("revoked@example.com", "payment_forbidden", Health.NEEDS_PERSON),
    ):
        method = saved_account(stage, clinic, email)
        bought = buy(clinic, method)
        assert (bought.payment_state, bought.failure_code) == (S.DECLINED, code)
        now = timezone.now()
        assert health(payments.method(customer_id=clinic.id, method_id=method.id), now=now) is state
    assert clinic.available == 0


def test_a_payer_who_must_confirm_is_led_there_and_credited_on_the_way_back(stage: Stage, clinic: Clinic) -> None:
    # S-136 A-33
    bought = buy(clinic, saved_account(stage, clinic, "asks@example.com"))
    assert bought.payment_state == S.REQUIRES_ACTION
    assert "/paypal/approve/" in bought.action_url
    waiting = topups.ask(customer_id=clinic.id, top_up_id=bought.top_up.id, now=timezone.now())
    assert (waiting.payment_state, waiting.action_url) == (S.REQUIRES_ACTION, bought.action_url)
    requests.post(bought.action_url, {"email": "asks@example.com"}, timeout=20, allow_redirects=False)
    after = topups.ask(customer_id=clinic.id, top_up_id=bought.top_up.id, now=timezone.now())
    assert (after.payment_state, clinic.available) == (S.SUCCEEDED, 20 * MICROS)


def test_what_was_given_up_is_never_taken_though_its_payer_approves_later(stage: Stage, clinic: Clinic) -> None:
    bought = buy(clinic, saved_account(stage, clinic, "asks@example.com"))
    topups.give_up(customer_id=clinic.id, top_up_id=bought.top_up.id, now=timezone.now())
    assert now_is(clinic, bought) == (S.CANCELLED, "failed")
    requests.post(bought.action_url, {"email": "asks@example.com"}, timeout=20, allow_redirects=False)
    topups.resume(customer_id=clinic.id, now=timezone.now() + timedelta(hours=2))
    stage.settle()
    assert (now_is(clinic, bought), clinic.available) == ((S.CANCELLED, "failed"), 0)


@pytest.mark.parametrize(("email", "end"), [("echeck@example.com", "succeeded"), ("bounces@example.com", "failed")])
def test_money_that_comes_from_a_bank_is_credited_when_it_is_there(stage: Stage, clinic: Clinic, email: str, end: str) -> None:
    # A-21 A-22
    bought = buy(clinic, saved_account(stage, clinic, email))
    assert (bought.payment_state, clinic.available) == (S.PROCESSING, 0)
    stage.settle()
    until(lambda: now_is(clinic, bought)[1] == end, "PayPal's last word")
    assert clinic.available == (20 * MICROS if end == "succeeded" else 0)


@pytest.mark.parametrize("fault", ["timeout_after_success", "garbage", "error_500_before"])
def test_a_lost_answer_is_found_out_and_credited_once(
    stage: Stage, clinic: Clinic, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A-23 F16 F17 F20 F35
    method = saved_account(stage, clinic)
    monkeypatch.setattr("postmeter.payments.gateways.paypal.SECONDS", 2)
    for rule in ({"fault": "lose"}, {"fault": fault, "match": {"path": "/v2/checkout/orders"}, "count": 1}):
        stage.simulator.control("POST", "/faults", {"service": "paypal", **rule})
    bought = buy(clinic, method)
    assert now_is(clinic, bought)[0] == S.UNKNOWN
    for _ in range(3):
        topups.resume(customer_id=clinic.id, now=timezone.now() + timedelta(minutes=3))
    assert now_is(clinic, bought) == (S.SUCCEEDED, "succeeded")
    taken = stage.simulator.control("GET", "/log/payments")["charges"]
    mine = [row for row in taken if row["metadata"].get("payment") == str(bought.top_up.payment_id)]
    assert (clinic.available, len(mine)) == (20 * MICROS, 1)


def test_after_the_life_of_its_key_an_unknown_payment_is_not_asked_again(
    stage: Stage, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    # F28 A-23
    method = saved_account(stage, clinic)
    monkeypatch.setattr("postmeter.payments.gateways.paypal.SECONDS", 2)
    for rule in ({"fault": "lose"}, {"fault": "garbage", "match": {"path": "/v2/checkout/orders"}, "count": 1}):
        stage.simulator.control("POST", "/faults", {"service": "paypal", **rule})
    bought = buy(clinic, method)
    for hours in (6, 8, 30):
        topups.resume(customer_id=clinic.id, now=timezone.now() + timedelta(hours=hours))
    assert now_is(clinic, bought) == (S.UNKNOWN, "pending")
    taken = stage.simulator.control("GET", "/log/payments")["charges"]
    assert sum(row["metadata"].get("payment") == str(bought.top_up.payment_id) for row in taken) == 1


@pytest.mark.parametrize(("way", "kind"), [("refund", "refund"), ("reverse", "dispute")])
def test_money_that_goes_back_takes_its_credit_back_once(stage: Stage, clinic: Clinic, way: str, kind: str) -> None:
    #
    bought = buy(clinic, saved_account(stage, clinic))
    capture = next(
        row["subject"]
        for row in stage.simulator.control("GET", "/log/payments")["charges"]
        if row["metadata"].get("payment") == str(bought.top_up.payment_id)
    )
    stage.simulator.control("POST", "/faults", {"service": "paypal", "fault": "duplicate", "count": 1})
    stage.simulator.control("POST", f"/paypal/captures/{capture}/{way}")
    stage.settle()
    until(lambda: clinic.available == 0, "the credit to go back")
    figures = topup_queries.figures(customer_id=clinic.id, wallet=clinic.pool)
    assert (figures.posted_micros, figures.debt_micros) == (0, 0)
    assert verify_all().ok


def test_what_an_install_does_not_offer_cannot_be_added(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PAYMENT_KINDS", ("card",))
    for kind in ("paypal", "bank_debit", "cheque"):
        with pytest.raises(BadInput) as refusal:
            operations.start_setup(
                customer_id=clinic.id, kind=kind, actor="member:1", success_url="x", cancel_url="y", now=timezone.now()
            )
        assert refusal.value.field == "kind"


# --- PayPal's own description


@pytest.fixture(scope="session")
def described(reference: Path) -> dict[str, dict[str, Any]]:
    """Each path's description by PayPal, in JSON Schema's dialect.

    One thing is ours: the vault's description knows tokens of old agreements only, its guide the SETUP_TOKEN that we use.
    """
    found = {}
    for file in sorted((reference / "paypal").glob("*.json")):
        document = json.loads(file.read_text())
        token = document["components"]["schemas"].get("token_id_request")
        if token:
            token["properties"]["type"]["enum"].append("SETUP_TOKEN")
        for path, calls in document["paths"].items():
            found[path] = {"calls": calls, "components": document["components"]}
    return found


def _schema(place: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    return {**content["content"]["application/json"]["schema"], "components": place["components"]}


def test_each_request_and_answer_is_as_paypal_describes_it(
    stage: Stage, clinic: Clinic, described: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[httpx.Request, httpx.Response]] = []
    send = httpx.Client.send

    def watched(self: httpx.Client, request: httpx.Request, **more: Any) -> httpx.Response:
        answer = send(self, request, **more)
        answer.read()
        seen.append((request, answer))
        return answer

    monkeypatch.setattr(httpx.Client, "send", watched)
    paid = buy(clinic, saved_account(stage, clinic))
    stage.settle()
    refunds.refund(
        customer_id=clinic.id,
        top_up_id=paid.top_up.id,
        paid_micros=10 * MICROS,
        reason="Left us",
        key=uuid4(),
        actor="operator",
        now=timezone.now(),
    )
    bought = buy(clinic, saved_account(stage, clinic, "asks@example.com"))
    requests.post(bought.action_url, {"email": "asks@example.com"}, timeout=20, allow_redirects=False)
    topups.ask(customer_id=clinic.id, top_up_id=bought.top_up.id, now=timezone.now())
    buy(clinic, saved_account(stage, clinic, "empty@example.com"))
    stage.settle()
    checked = set()
    for request, answer in seen:
        path = request.url.path.removeprefix("/paypal")
        place = next((p for p in described if _fits(p, path)), None)
        if place is None:
            assert path == "/v1/oauth2/token"
            continue
        call = described[place]["calls"][request.method.lower()]
        if "requestBody" in call and request.content:
            jsonschema.validate(json.loads(request.content), _schema(described[place], call["requestBody"]))
        responses = call["responses"]
        said = responses.get(str(answer.status_code), responses.get("default"))
        if answer.status_code < 300:
            jsonschema.validate(answer.json(), _schema(described[place], said))
        checked.add((request.method, place))
    assert {
        ("POST", "/v3/vault/setup-tokens"),
        ("GET", "/v3/vault/setup-tokens/{id}"),
        ("POST", "/v3/vault/payment-tokens"),
        ("POST", "/v2/checkout/orders"),
        ("GET", "/v2/checkout/orders/{id}"),
        ("POST", "/v2/checkout/orders/{id}/capture"),
        ("POST", "/v2/payments/captures/{capture_id}/refund"),
    } <= checked


def _fits(described: str, path: str) -> bool:
    theirs, ours = described.split("/"), path.split("/")
    return len(theirs) == len(ours) and all(a.startswith("{") or a == b for a, b in zip(theirs, ours, strict=True))


def test_a_refund_that_does_not_carry_our_name_is_traced_by_its_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(_: PayPal, method: str, path: str, **__: object) -> dict[str, Any]:
        asked.append((method, path))
        return {"custom_id": "7.9"}

    monkeypatch.setattr(PayPal, "_ask", ask)
    refund = {
        "id": "R1",
        "amount": {"currency_code": "USD", "value": "5.00"},
        "links": [{"rel": "up", "href": "https://api-m.paypal.com/v2/payments/captures/C1"}],
    }
    found = PayPal(settings.PAYPAL)._reversal("refund", refund)
    assert asked == [("GET", "/v2/payments/captures/C1")]
    assert (found.facts, found.amount_minor, found.kind) == ({"customer": "7", "payment": "9"}, 500, "refund")
