"""The stage: our doors and a simulator as processes of their own, on the test's database."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
from django.conf import settings
from django.db import connection

from postmeter.db.roles import roles_of
from postmeter.simulator.process import SimulatorProcess

PATIENCE_SECONDS = 90.0


class Stage:
    """Pages, API and callbacks at `url`, the simulator at `simulator.url`; Django's settings in the test point at both."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.mail_port, self.street_mail_port = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="postmeter-stage-"))
        self.simulator = SimulatorProcess(
            self.folder / "simulator",
            stripe_webhook_url=f"{self.url}/callbacks/stripe",
            paypal_webhook_url=f"{self.url}/callbacks/paypal",
            twilio_inbound_url=f"{self.url}/callbacks/twilio/inbound",
            sinch_inbound_url=f"{self.url}/callbacks/sinch/inbound",
            mail_port=self.street_mail_port,
            mail_to=f"lmtp://127.0.0.1:{self.mail_port}",
        )
        self._mail: subprocess.Popen[bytes] | None = None
        self._doors: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        settings.PUBLIC_URL = self.url
        try:
            self.start_simulator()
            settings.TWILIO["base_url"] = settings.SINCH["base_url"] = settings.STRIPE["base_url"] = self.simulator.url
            settings.PAYPAL["base_url"] = f"{self.simulator.url}/paypal"
            settings.MAIL["port"] = str(self.street_mail_port)
            self.open_doors()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        try:
            self.close_doors()
            self.close_mail()
        finally:
            self.simulator.stop()

    def start_simulator(self) -> None:
        """With our credentials, in its own environment only: other tests start simulators with their defaults."""
        ours = {
            "SIMULATOR_TWILIO_ACCOUNT_SID": settings.TWILIO["account_sid"],
            "SIMULATOR_TWILIO_AUTH_TOKEN": settings.TWILIO["auth_token"],
            "SIMULATOR_STRIPE_SECRET_KEY": settings.STRIPE["secret_key"],
            "SIMULATOR_STRIPE_WEBHOOK_SECRET": settings.STRIPE["webhook_secret"],
            "SIMULATOR_PAYPAL_CLIENT_ID": settings.PAYPAL["client_id"],
            "SIMULATOR_PAYPAL_SECRET": settings.PAYPAL["secret"],
        }
        with pytest.MonkeyPatch.context() as patched:
            for name, value in ours.items():
                patched.setenv(name, value)
            self.simulator.start()

    def open_doors(self) -> None:
        """Start the web process and wait until it answers."""
        command = [
            sys.executable,
            "-m",
            "granian",
            "--interface",
            "asgi",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--workers",
            "1",
        ]
        with (self.folder / "doors.log").open("ab") as log:
            self._doors = subprocess.Popen(
                [*command, "postmeter.config.asgi:application"], env=self.environment(), stdout=log, stderr=log
            )
        until(lambda: answers(f"{self.url}/readyz"), "the doors to open", lambda: (self.folder / "doors.log").read_text()[-3000:])

    def close_doors(self, *, kill: bool = False) -> None:
        if self._doors:
            end(self._doors, signal.SIGKILL if kill else signal.SIGTERM)
            self._doors = None

    def open_mail(self, *, crash_at: str = "") -> None:
        """Start the process that takes mail, and wait until it does."""
        self.close_mail()
        environment = self.environment() | {"POSTMETER_CRASH_AT": crash_at}
        with (self.folder / "mail.log").open("ab") as log:
            self._mail = subprocess.Popen(
                [sys.executable, "-m", "postmeter.callbacks.mail"], env=environment, stdout=log, stderr=log
            )
        until(lambda: listens(self.mail_port), "the mail's door to open", lambda: (self.folder / "mail.log").read_text()[-3000:])

    def wait_for_the_mail_to_die(self) -> None:
        assert self._mail is not None
        try:
            assert self._mail.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        finally:
            self.close_mail()

    def close_mail(self) -> None:
        if self._mail:
            mail, self._mail = self._mail, None
            end(mail, signal.SIGTERM)

    def environment(self, *, worker: bool = False) -> dict[str, str]:
        """What a process of ours is told; the application's login, or the worker's."""
        database = connection.settings_dict
        roles = roles_of(str(database["NAME"]))
        login, password = (roles.worker, "worker-password") if worker else (roles.app, "app-password")
        return os.environ | {
            "POSTMETER_DATABASE_URL": f"postgresql://{login}:{password}@{database['HOST']}:{database['PORT']}/{database['NAME']}",
            "POSTMETER_PUBLIC_URL": self.url,
            "POSTMETER_TWILIO_BASE_URL": self.simulator.url,
            "POSTMETER_SINCH_BASE_URL": self.simulator.url,
            "POSTMETER_STRIPE_BASE_URL": self.simulator.url,
            "POSTMETER_PAYPAL_BASE_URL": f"{self.simulator.url}/paypal",
            "POSTMETER_SIMULATOR_URL": self.simulator.url,
            "POSTMETER_MAIL_URL": f"smtp://127.0.0.1:{self.street_mail_port}",
            "POSTMETER_MAIL_LISTEN": f"lmtp://127.0.0.1:{self.mail_port}",
        }

    def settle(self) -> None:
        """Wait until the simulator owes nobody a callback."""
        self.simulator.control("POST", "/flush")
        until(lambda: bool(self.simulator.control("GET", "/idle")["idle"]), "the simulator to fall idle")


def end(process: "subprocess.Popen[bytes]", how: signal.Signals) -> None:
    """Stop a process. One that does not stop is killed: it must not work on in other tests."""
    process.send_signal(how)
    try:
        process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()


def until(done: Callable[[], bool], what: str, detail: Callable[[], str] = str) -> None:
    """Ask again until it is so, or fail naming what was waited for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, f"waited in vain for {what}\n{detail()}"
        time.sleep(0.02)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
