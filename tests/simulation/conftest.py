"""One simulator and one listener for the tests of a file; each test uses numbers and customers of its own."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe
from requests import Response, Session
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from postmeter.simulator.process import SimulatorProcess
from postmeter.simulator.settings import Credentials
from tests.simulation.listener import Listener, eventually

CREDENTIALS = Credentials()
_counter = itertools.count(1_000_000)


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with Listener() as listener:
        yield listener


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory, listener: Listener) -> Iterator[SimulatorProcess]:
    with SimulatorProcess(
        tmp_path_factory.mktemp("simulator"),
        stripe_webhook_url=f"{listener.url}/stripe",
        twilio_inbound_url=f"{listener.url}/inbound",
    ) as simulator:
        simulator.control("PATCH", "/settings", {"receipt_delay": 0, "event_delay": 0})
        yield simulator


@pytest.fixture(autouse=True)
def _everybody_takes_callbacks_again(listener: Listener) -> Iterator[None]:
    yield
    listener.answers = lambda post: 204


@pytest.fixture
def faults(simulator: SimulatorProcess) -> Iterator["Faults"]:
    yield Faults(simulator)
    simulator.control("DELETE", "/faults")


class Faults:
    def __init__(self, simulator: SimulatorProcess) -> None:
        self._simulator = simulator

    def set(self, service: str, fault: str, **rest: Any) -> int:
        return int(self._simulator.control("POST", "/faults", {"service": service, "fault": fault, **rest})["id"])

    def fired(self, number: int) -> int:
        return next(rule["fired"] for rule in self._simulator.control("GET", "/faults")["rules"] if rule["id"] == number)


def a_number(ending: str = "9000") -> str:
    """A recipient of its own whose last four digits are these."""
    return f"+6140{next(_counter)}{ending}"


class Rewritten(TwilioHttpClient):
    """Sends Twilio's own client to the simulator instead."""

    def __init__(self, url: str) -> None:
        super().__init__(pool_connections=False, timeout=30)
        self._url = url

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        parts = urlsplit(url)
        return super().request(method, f"{self._url}{parts.path}{'?' + parts.query if parts.query else ''}", *args, **options)


@pytest.fixture
def twilio(simulator: SimulatorProcess) -> Client:
    return Client(CREDENTIALS.twilio_account_sid, CREDENTIALS.twilio_auth_token, http_client=Rewritten(simulator.url))


class Carrier:
    """Twilio's API without a client in between, to see each byte."""

    def __init__(self, url: str) -> None:
        self.path = f"/2010-04-01/Accounts/{CREDENTIALS.twilio_account_sid}/Messages.json"
        self._url = url
        self._session = Session()
        self._session.auth = (CREDENTIALS.twilio_account_sid, CREDENTIALS.twilio_auth_token)

    def send(self, to: str, body: str = "Hello", timeout: float = 20, **form: str) -> Response:
        return self._session.post(
            self._url + self.path, {"To": to, "From": "+15005550006", "Body": body, **form}, timeout=timeout
        )

    def get(self, path: str | None = None, **query: str) -> Any:
        return self._session.get(self._url + (path or self.path), params=query, timeout=20).json()

    def close(self) -> None:
        self._session.close()


@pytest.fixture
def carrier(simulator: SimulatorProcess) -> Iterator[Carrier]:
    carrier = Carrier(simulator.url)
    yield carrier
    carrier.close()


@pytest.fixture
def gateway(simulator: SimulatorProcess) -> stripe.StripeClient:
    return stripe.StripeClient(CREDENTIALS.stripe_secret_key, base_addresses={"api": simulator.url}, max_network_retries=0)


@pytest.fixture(scope="session")
def fixtures(reference: Path) -> dict[str, Any]:
    """Stripe's own example of each resource."""
    found: dict[str, Any] = json.loads((reference / "stripe" / "fixtures3.json").read_text())["resources"]
    return found


def settled(simulator: SimulatorProcess) -> None:
    """Waits until nothing is due or under way."""
    eventually(lambda: not (now := simulator.control("GET", "/idle"))["due"] and not now["under_way"])
