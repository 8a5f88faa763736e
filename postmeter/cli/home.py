"""The home of an instance: where its data, its secrets and its logs are."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

# Made once and kept. The last four open nothing but the simulator; an operator's own come from the environment, which wins.
SECRETS: dict[str, Callable[[], str]] = {
    "POSTMETER_SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "POSTMETER_ID_KEY": lambda: secrets.token_hex(16),
    "POSTMETER_APP_PASSWORD": lambda: secrets.token_urlsafe(24),
    "POSTMETER_WORKER_PASSWORD": lambda: secrets.token_urlsafe(24),
    "POSTMETER_TWILIO_ACCOUNT_SID": lambda: f"AC{secrets.token_hex(16)}",
    "POSTMETER_TWILIO_AUTH_TOKEN": lambda: secrets.token_hex(16),
    "POSTMETER_STRIPE_SECRET_KEY": lambda: f"sk_test_{secrets.token_hex(16)}",
    "POSTMETER_STRIPE_WEBHOOK_SECRET": lambda: f"whsec_{secrets.token_hex(16)}",
}


class Home:
    """A folder that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def logs(self) -> Path:
        return self.path / "logs"

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


def _read(path: Path) -> dict[str, str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
