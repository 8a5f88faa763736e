"""The adapter against a Stripe that somebody else wrote (localstripe), as far as it is one: cards, payments, signed events."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4

import pytest
import requests
import stripe

from postmeter.payments.gateways import Charge, Outcome
from postmeter.payments.gateways.stripe import Stripe
from postmeter.payments.states import PaymentState
from tests.stage import free_port, until

pytestmark = pytest.mark.peer
SECRET = "whsec_from_a_peer"
RUN = "import sys, localstripe.server as s; from aiohttp import web; web.run_app(s.app, host='127.0.0.1', port=int(sys.argv[1]))"


@pytest.fixture(scope="module")
def peer() -> Iterator[str]:
    """Its address. A process of its own: it binds to loopback only and shares nothing with us."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", RUN, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until(lambda: _listens(port), "localstripe")
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(20)


@pytest.fixture
def gateway(peer: str) -> Stripe:
    return Stripe({"base_url": peer, "secret_key": "sk_test_peer", "webhook_secret": SECRET})


def a_charge(peer: str, gateway: Stripe, number: str) -> Charge:
    """A charge of $20 for a saved card with this number."""
    customer = gateway.create_customer(key=uuid4().hex, email="ann@example.com", name="Ann", facts={"customer": "7"})
    client = stripe.StripeClient("sk_test_peer", base_addresses={"api": peer})
    card = {"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    method = client.v1.payment_methods.create({"type": "card", "card": card})  # type: ignore[typeddict-item]
    client.v1.payment_methods.attach(method.id, {"customer": customer})
    return Charge(uuid4().hex, customer, method.id, "card", 2_000, "USD", True, "", {"customer": "7", "payment": "9"})


def test_a_saved_card_is_charged_and_the_payment_can_be_asked_for(peer: str, gateway: Stripe) -> None:
    outcome = gateway.charge(a_charge(peer, gateway, "4242424242424242"))
    assert (outcome.state, outcome.amount_minor, outcome.currency) == (PaymentState.SUCCEEDED, 2_000, "USD")
    found = gateway.fetch(ref=outcome.ref, facts={})
    assert found is not None
    assert (found.state, found.facts) == (PaymentState.SUCCEEDED, {"customer": "7", "payment": "9"})


def test_a_card_that_can_be_saved_may_be_declined(peer: str, gateway: Stripe) -> None:
    outcome = gateway.charge(a_charge(peer, gateway, "4000000000000341"))
    assert (outcome.state, outcome.code) == (PaymentState.DECLINED, "declined")


def test_its_signed_event_says_what_its_answer_said(peer: str, gateway: Stripe) -> None:
    with _Mailbox() as mailbox:
        hook = {"url": mailbox.url, "secret": SECRET}
        requests.post(f"{peer}/_config/webhooks/{uuid4().hex}", json=hook, timeout=20).raise_for_status()
        outcome = gateway.charge(a_charge(peer, gateway, "4242424242424242"))
        until(lambda: any(outcome.ref in body.decode() for body, _ in mailbox.posts), "its event")
        words = [
            word for body, signature in mailbox.posts for word in gateway.read(body=body, headers={"stripe-signature": signature})
        ]
    told = [word for word in words if isinstance(word, Outcome) and word.ref == outcome.ref]
    assert {word.state for word in told} == {PaymentState.SUCCEEDED}
    assert told[0].facts == {"customer": "7", "payment": "9"}


class _Mailbox:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.posts: list[tuple[bytes, str]] = []
        posts = self.posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.append((body, self.headers["Stripe-Signature"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "_Mailbox":
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
