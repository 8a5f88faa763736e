"""What every gateway's adapter keeps, whoever it is: the same tests for each kind of payment method."""

import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
import requests

from postmeter.payments.gateways import (
    GATEWAYS,
    KINDS,
    NEVER,
    Charge,
    Forged,
    Gateway,
    GatewayDown,
    Outcome,
    Saved,
    Word,
    gateway,
)
from postmeter.payments.gateways import paypal as paypal_adapter
from postmeter.payments.gateways import stripe as stripe_adapter
from postmeter.payments.reasons import WORDS
from postmeter.payments.states import PaymentState
from postmeter.simulator.process import SimulatorProcess
from postmeter.simulator.settings import Credentials
from tests.journeys.shop import fill_in_card
from tests.simulation.listener import Listener

S = PaymentState
OURS = Credentials()
# How each kind behaves by name: what is typed in or chosen on the hosted page.
BEHAVIOUR = {
    "card": {"pays": "4242424242424242", "poor": "4000034100009995", "closed": "4000034100009979"},
    "bank_debit": {"pays": "000123456789", "poor": "000222222227", "closed": "000111111116"},
    "paypal": {"pays": "payer@example.com", "poor": "empty@example.com", "closed": "closed@example.com"},
}
AT_ONCE = {"card": S.SUCCEEDED, "bank_debit": S.PROCESSING, "paypal": S.SUCCEEDED}
TAKES = {"stripe": "/v1/payment_intents", "paypal": "/v2/checkout/orders"}


@dataclass
class Peer:
    """One kind of method at its gateway, the simulator behind it, and who hears its events."""

    kind: str
    simulator: SimulatorProcess
    listener: Listener

    @property
    def name(self) -> str:
        return KINDS[self.kind]

    @property
    def gateway(self) -> Gateway:
        return self.at(self.simulator.url)

    def at(self, url: str) -> Gateway:
        known = {
            "stripe": {"base_url": url, "secret_key": OURS.stripe_secret_key, "webhook_secret": OURS.stripe_webhook_secret},
            "paypal": {
                "base_url": f"{url}/paypal",
                "client_id": OURS.paypal_client_id,
                "secret": OURS.paypal_secret,
                "webhook_id": "SIMULATED",
            },
        }
        return gateway(self.name, known[self.name])

    def saved(self, behaviour: str = "pays") -> tuple[str, Saved]:
        """Add one on the hosted page. Returns our customer's name there and what was saved."""
        ref = self.gateway.create_customer(key=uuid4().hex, email="ann@example.com", name="Ann", facts={"customer": "7"})
        session, page = self.visit(ref)
        choice = BEHAVIOUR[self.kind][behaviour]
        if self.kind == "card":
            fill_in_card(page, choice)
        else:
            form = {"account": choice} if self.kind == "bank_debit" else {"email": choice}
            answer = requests.post(page, form, timeout=20, allow_redirects=False)
            assert answer.status_code in (302, 303), answer.text
        saved = self.gateway.finish_setup(key=uuid4().hex, session_ref=session)
        assert saved is not None
        return ref, saved

    def visit(self, ref: str) -> tuple[str, str]:
        return self.gateway.start_setup(
            kind=self.kind,
            key=uuid4().hex,
            customer_ref=ref,
            success_url=f"{self.listener.url}/done",
            cancel_url=f"{self.listener.url}/cancelled",
            facts={"customer": "7", "setup": "1"},
        )

    def charge(self, behaviour: str = "pays", cents: int = 2_000) -> Charge:
        ref, saved = self.saved(behaviour)
        facts = {"customer": "7", "payment": str(uuid4().int)[:12]}
        return Charge(f"payment-{uuid4()}", ref, saved.token, self.kind, cents, "USD", True, "", facts)

    def taken(self, charge: Charge) -> int:
        """How often money was really taken, or is under way, for this charge."""
        log = self.simulator.control("GET", "/log/payments")["charges"]
        return sum(
            row["kind"] in ("charge.succeeded", "charge.pending") and row["metadata"].get("payment") == charge.facts["payment"]
            for row in log
        )

    def given_back(self, charge: Charge) -> int:
        """Cents that really went back of this charge."""
        log = self.simulator.control("GET", "/log/payments")
        named = {row.get("payment_intent") for row in log["charges"] if row["metadata"].get("payment") == charge.facts["payment"]}
        ours = [
            row
            for row in log["refunds"]
            if (row.get("metadata") or {}).get("payment") == charge.facts["payment"]
            or row.get("payment_intent") in named - {None}
        ]
        return sum(row["amount"] for row in ours)

    def fault(self, name: str, *, path: str = "") -> None:
        rule = {"service": self.name, "fault": name, "match": {"path": path or TAKES[self.name]}, "count": 1}
        self.simulator.control("POST", "/faults", rule)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimulatorProcess, Listener]]:
    with Listener() as listener:
        hooks = {"stripe_webhook_url": f"{listener.url}/stripe", "paypal_webhook_url": f"{listener.url}/paypal"}
        with SimulatorProcess(tmp_path_factory.mktemp("gateways"), **hooks) as simulator:
            simulator.control("PATCH", "/settings", {"event_delay": 0})
            yield simulator, listener


@pytest.fixture(params=sorted(BEHAVIOUR))
def peer(
    request: pytest.FixtureRequest, street: tuple[SimulatorProcess, Listener], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Peer]:
    for adapter in (stripe_adapter, paypal_adapter):
        monkeypatch.setattr(adapter, "SECONDS", 2)  # nobody waits half a minute for an answer that does not come
    yield Peer(request.param, *street)
    street[0].control("DELETE", "/faults")


def test_every_gateway_is_played_through_here() -> None:
    assert {KINDS[kind] for kind in BEHAVIOUR} == set(GATEWAYS)
    assert set(BEHAVIOUR) == set(KINDS)


def test_what_is_saved_can_be_told_from_others(peer: Peer) -> None:
    # S-140
    _, saved = peer.saved()
    assert saved.token
    assert saved.last4 or saved.label
    assert saved.expires == NEVER or saved.expires > (2026, 1)


def test_a_visit_that_was_not_finished_saves_nothing(peer: Peer) -> None:
    ref = peer.gateway.create_customer(key=uuid4().hex, email="ann@example.com", name="Ann", facts={"customer": "7"})
    session, page = peer.visit(ref)
    assert urllib.parse.urlsplit(page).scheme == "http"
    assert peer.gateway.finish_setup(key=uuid4().hex, session_ref=session) is None


def test_a_charge_takes_what_it_says_and_can_be_asked_for(peer: Peer) -> None:
    #
    charge = peer.charge()
    outcome = peer.gateway.charge(charge)
    assert (outcome.state, outcome.amount_minor, outcome.currency, outcome.facts) == (
        AT_ONCE[peer.kind],
        2_000,
        "USD",
        dict(charge.facts),
    )
    found = peer.gateway.fetch(ref=outcome.ref, facts=charge.facts)
    assert (found, peer.taken(charge)) == (outcome, 1)


def test_the_same_key_takes_once_and_answers_the_same(peer: Peer) -> None:
    # F29
    charge = peer.charge()
    assert peer.gateway.charge(charge) == peer.gateway.charge(charge)
    assert peer.taken(charge) == 1


LOST = ["timeout_after_success", "reset_after_headers", "garbage"]


@pytest.mark.parametrize("fault", [*LOST, "timeout_before", "error_500_before", "throttle_429", "conflict_409"])
def test_no_answer_is_unknown_and_the_same_key_finds_out(peer: Peer, fault: str) -> None:
    # A-23 F15 F16 F17 F19 F20 F21 F22
    charge = peer.charge()
    peer.fault(fault)
    lost = peer.gateway.charge(charge)
    assert (lost.state, lost.code in ("no_answer", "rate_limited")) == (S.UNKNOWN, True)
    assert peer.taken(charge) == (1 if fault in LOST else 0)
    assert peer.gateway.charge(charge).state == AT_ONCE[peer.kind]
    assert peer.taken(charge) == 1


def test_less_money_than_was_asked_for_is_said_to_be_less(peer: Peer) -> None:
    # F27
    if peer.kind == "bank_debit":
        return  # what a bank will have paid is known in days only
    charge = peer.charge()
    peer.fault("different_amount")
    outcome = peer.gateway.charge(charge)
    assert (outcome.state, outcome.amount_minor) == (S.SUCCEEDED, 1_999)


@pytest.mark.parametrize("behaviour", ["poor", "closed"])
def test_a_refusal_has_a_reason_in_our_words(peer: Peer, behaviour: str) -> None:
    # S-133 A-30
    outcome = peer.gateway.charge(peer.charge(behaviour))
    if peer.kind == "bank_debit":
        assert outcome.state == S.PROCESSING
        peer.simulator.control("POST", "/flush")
        after = peer.gateway.fetch(ref=outcome.ref, facts={})
        assert after is not None
        outcome = after
    assert outcome.state == S.DECLINED
    assert outcome.code in WORDS
    assert outcome.text


def test_a_gateway_that_is_away_took_nothing_that_we_know_of(peer: Peer) -> None:
    # F41
    charge, away = peer.charge(), peer.at("http://127.0.0.1:9")
    assert away.charge(charge).state == S.UNKNOWN
    with pytest.raises(GatewayDown):
        away.fetch(ref="PI000", facts={})
    with pytest.raises(GatewayDown):
        away.cancel(ref="PI000")


def paid(peer: Peer) -> tuple[Charge, str]:
    """A charge whose money is there, and the gateway's name of it."""
    charge = peer.charge()
    outcome = peer.gateway.charge(charge)
    if outcome.state == S.PROCESSING:
        peer.simulator.control("POST", "/flush")
        found = peer.gateway.fetch(ref=outcome.ref, facts={})
        assert found is not None
        outcome = found
    assert outcome.state == S.SUCCEEDED
    return charge, outcome.ref


def test_money_is_given_back_in_parts_and_never_more_than_was_paid(peer: Peer) -> None:
    #
    charge, ref = paid(peer)
    for cents, word in ((500, Word.DONE), (1_500, Word.DONE), (1, Word.REFUSED)):
        said = peer.gateway.give_back(key=uuid4().hex, ref=ref, amount_minor=cents, currency="USD")
        assert (said.word, bool(said.ref or said.text)) == (word, True), said
    assert peer.given_back(charge) == 2_000


@pytest.mark.parametrize("fault", [*LOST, "timeout_before", "error_500_before", "throttle_429", "conflict_409"])
def test_a_refund_without_an_answer_is_unknown_and_the_same_key_gives_back_once(peer: Peer, fault: str) -> None:
    # A-13 A-23
    charge, ref = paid(peer)
    peer.fault(fault, path="*refund*")
    refund = {"key": uuid4().hex, "ref": ref, "amount_minor": 700, "currency": "USD"}
    assert peer.gateway.give_back(**refund).word == Word.UNKNOWN
    assert peer.given_back(charge) == (700 if fault in LOST else 0)
    assert [peer.gateway.give_back(**refund).word for _ in range(2)] == [Word.DONE, Word.DONE]
    assert peer.given_back(charge) == 700


def test_a_gateway_that_is_away_gave_nothing_back_that_we_know_of(peer: Peer) -> None:
    away = peer.at("http://127.0.0.1:9")
    assert away.give_back(key=uuid4().hex, ref="PI000", amount_minor=1, currency="USD").word == Word.UNKNOWN


def test_a_callback_says_what_the_answer_said_and_a_forged_one_nothing(peer: Peer) -> None:
    # F36
    charge = peer.charge()
    ref = peer.gateway.charge(charge).ref
    peer.simulator.control("POST", "/flush")
    known = peer.gateway.fetch(ref=ref, facts=charge.facts)
    posts = [
        (post.body, {name.lower(): value for name, value in post.headers.items()})
        for post in peer.listener.at(f"/{peer.name}")
        if ref.encode() in post.body
    ]
    heard = [word for body, headers in posts for word in peer.gateway.read(body=body, headers=headers)]
    assert known in [word for word in heard if isinstance(word, Outcome)]
    body, headers = posts[-1]
    signed = {
        name: value[:-1] + "?" if name in ("stripe-signature", "paypal-transmission-sig") else value
        for name, value in headers.items()
    }
    for forged, by in ((body, {}), (body, signed), (body.replace(ref.encode(), b"X" * len(ref)), headers), (b"[]", headers)):
        with pytest.raises(Forged):
            peer.gateway.read(body=forged, headers=by)
