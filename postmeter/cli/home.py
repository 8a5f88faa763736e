"""The home of an instance: where its data, its secrets and its logs are."""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import postmeter

# Made once and kept. The last six open nothing but the simulator; an operator's own come from the environment, which wins.
SECRETS: dict[str, Callable[[], str]] = {
    "POSTMETER_SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "POSTMETER_ID_KEY": lambda: secrets.token_hex(16),
    "POSTMETER_BODY_KEYS": lambda: f"first:{secrets.token_hex(32)}",
    "POSTMETER_APP_PASSWORD": lambda: secrets.token_urlsafe(24),
    "POSTMETER_WORKER_PASSWORD": lambda: secrets.token_urlsafe(24),
    "POSTMETER_OPERATOR_PASSWORD": lambda: secrets.token_urlsafe(24),
    "POSTMETER_SIP_SECRET": lambda: secrets.token_hex(24),
    "POSTMETER_TWILIO_ACCOUNT_SID": lambda: f"AC{secrets.token_hex(16)}",
    "POSTMETER_TWILIO_AUTH_TOKEN": lambda: secrets.token_hex(16),
    "POSTMETER_STRIPE_SECRET_KEY": lambda: f"sk_test_{secrets.token_hex(16)}",
    "POSTMETER_STRIPE_WEBHOOK_SECRET": lambda: f"whsec_{secrets.token_hex(16)}",
    "POSTMETER_PAYPAL_CLIENT_ID": lambda: f"client_{secrets.token_hex(16)}",
    "POSTMETER_PAYPAL_SECRET": lambda: secrets.token_hex(16),
}


class Home:
    """A folder that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def lock(self) -> Path:
        """Held by the process that runs here."""
        return self.path / "run.lock"

    @property
    def demo_logins(self) -> Path:
        return self.path / "demo.json"

    def make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.logs.mkdir(mode=0o700, exist_ok=True)

    def secrets(self) -> dict[str, str]:
        """The secrets of this home, made at the first call; one that the environment names is taken from there."""
        path = self.path / "secrets.env"
        kept = _read(path) if path.exists() else {}
        missing = {name: make() for name, make in SECRETS.items() if name not in kept}
        if missing:
            kept |= missing
            draft = path.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            draft.touch(mode=0o600)
            draft.write_text("".join(f"{name}={value}\n" for name, value in kept.items()))
            draft.replace(path)  # never half a file: these keys cannot be made a second time
        return {name: os.environ.get(name) or kept[name] for name in SECRETS}

    @contextlib.contextmanager
    def running(self, environment: Mapping[str, str]) -> Iterator[None]:
        """While this lasts, other commands of this home find what they need to reach what runs here."""
        path = self.path / "running.json"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps({name: value for name, value in environment.items() if name.startswith("POSTMETER_")}))
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def what_runs(self) -> dict[str, str]:
        """The environment that leads to what runs here; empty when nothing does, even if the last run was killed."""
        path = self.path / "running.json"
        if not path.exists() or not _is_held(self.lock):
            return {}
        environment: dict[str, str] = json.loads(path.read_text())
        return environment


def home_of(environment: Mapping[str, str]) -> Path:
    """POSTMETER_HOME, else a folder in this checkout."""
    return Path(environment.get("POSTMETER_HOME") or Path(postmeter.__file__).parent.parent / ".postmeter")


def _is_held(lock: Path) -> bool:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _read(path: Path) -> dict[str, str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
