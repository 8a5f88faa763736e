"""Starts a simulator of its own and stops it again: for tests, the demo and benchmarks."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

PATIENCE_SECONDS = 90  # a busy machine is slow
HOME = Path(__file__).parents[2]  # where `postmeter` can be imported from


class SimulatorDidNotStart(Exception):
    """The simulator ended, or did not answer in time."""


class SimulatorProcess:
    """`with SimulatorProcess(folder) as simulator: simulator.control("GET", "/clock")`. A port of 0 takes a free one."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        stripe_webhook_url: str | None = None,
        paypal_webhook_url: str | None = None,
        twilio_inbound_url: str | None = None,
        sinch_inbound_url: str | None = None,
        mail_port: int | None = None,
        mail_to: str | None = None,
        smpp_port: int | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.port = port or _free_port()
        self._options = [
            ("--stripe-webhook-url", stripe_webhook_url),
            ("--paypal-webhook-url", paypal_webhook_url),
            ("--twilio-inbound-url", twilio_inbound_url),
            ("--sinch-inbound-url", sinch_inbound_url),
            ("--mail-port", str(mail_port) if mail_port else None),
            ("--mail-to", mail_to),
            ("--smpp-port", str(smpp_port or "")),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it answers; raises SimulatorDidNotStart."""
        options = [part for name, value in self._options if value for part in (name, value)]
        command = [sys.executable, "-m", "postmeter.simulator", "--port", str(self.port), "--data", str(self.folder), *options]
        self._process = subprocess.Popen(command, cwd=HOME)  # noqa: S603 - our own module
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SimulatorDidNotStart(f"The simulator did not answer on port {self.port}.")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """With SIGKILL it dies as in a crash; the log stays."""
        if self._process:
            self._process.send_signal(how)
            try:
                self._process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def control(self, method: str, path: str, content: object = None) -> Any:
        """One call of the control API; `path` begins behind `/control`. Raises urllib.error.HTTPError."""
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.url}/control{path}", data=data, method=method, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:  # noqa: S310
            return json.loads(reply.read() or b"null")

    def _answers(self) -> bool:
        try:
            self.control("GET", "/clock")
        except (urllib.error.URLError, OSError):
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
