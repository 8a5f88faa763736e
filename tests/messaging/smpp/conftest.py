"""One simulator with a message centre for the tests of a file."""

from collections.abc import Iterator

import pytest
from django.conf import settings

from postmeter.simulator.process import SimulatorProcess
from tests.messaging.smpp.line import hurry
from tests.stage import free_port


class Centre:
    """The simulator's message centre, its log and its faults."""

    def __init__(self, simulator: SimulatorProcess, port: int) -> None:
        self.simulator, self.port = simulator, port

    def fault(self, name: str, **rest: object) -> int:
        return int(self.simulator.control("POST", "/faults", {"service": "smpp", "fault": name, **rest})["id"])

    def fired(self, rule: int) -> int:
        return next(int(r["fired"]) for r in self.simulator.control("GET", "/faults")["rules"] if r["id"] == rule)

    def parts(self, to: str) -> list[dict[str, object]]:
        """Each part that it took for this number: the truth about what was sent."""
        entries = self.simulator.control("GET", "/log?kind=smpp.part&limit=100000")["entries"]
        return [entry for entry in entries if entry["to"] == to]

    def texts(self, to: str) -> list[str]:
        return [row["body"] for row in self.simulator.control("GET", f"/log/messages?to=%2B{to[1:]}")["messages"]]

    def write(self, phone: str, to: str, body: str) -> None:
        self.simulator.control("POST", "/inbound", {"phone": phone, "to": to, "body": body})

    def note(self, kind: str) -> list[dict[str, object]]:
        return list(self.simulator.control("GET", f"/log?kind={kind}&limit=100000")["entries"])


@pytest.fixture(scope="module")
def simulator_with_centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    port = free_port()
    with SimulatorProcess(tmp_path_factory.mktemp("centre"), smpp_port=port) as simulator:
        simulator.control("PATCH", "/settings", {"receipt_delay": 0})
        yield Centre(simulator, port)


@pytest.fixture
def centre(simulator_with_centre: Centre, monkeypatch: pytest.MonkeyPatch) -> Iterator[Centre]:
    hurry(monkeypatch)
    yield simulator_with_centre
    simulator_with_centre.simulator.control("DELETE", "/faults")


@pytest.fixture(autouse=True)
def texts_go_to_the_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.ROUTES, "sms", ("smpp",))
