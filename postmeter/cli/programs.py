"""The programs of an instance, and who is told what.

Each gets a login of its own and no more: only `prepare` sees the owner's address, and the simulator knows nothing of ours but the
credentials that we send it.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import postmeter
from postmeter.cli.home import Home
from postmeter.cli.processes import Program

OURS_ALONE = {
    "DATABASE_URL",
    "POSTMETER_OWNER_DATABASE_URL",
    "POSTMETER_DATABASE_URL",
    "POSTMETER_APP_PASSWORD",
    "POSTMETER_WORKER_PASSWORD",
    "POSTMETER_OPERATOR_PASSWORD",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """Where an instance lives."""

    home: Home
    port: int
    simulator_port: int
    console_port: int
    owner_url: str

    @property
    def url(self) -> str:
        return os.environ.get("POSTMETER_PUBLIC_URL") or f"http://127.0.0.1:{self.port}"

    @property
    def console_url(self) -> str:
        return os.environ.get("POSTMETER_CONSOLE_URL") or f"http://127.0.0.1:{self.console_port}"

    @property
    def simulator_mail_port(self) -> int:
        """The mailboxes of the street; ours are next to them."""
        return self.port + 3

    @property
    def mail_port(self) -> int:
        return self.port + 4

    @property
    def trunk_url(self) -> str:
        return f"http://127.0.0.1:{self.port + 5}"

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.simulator_port}"


def preparation_of(setting: Setting) -> Program:
    secrets = setting.home.secrets()
    environment = {
        **_common(setting),
        "POSTMETER_OWNER_DATABASE_URL": setting.owner_url,
        "POSTMETER_APP_PASSWORD": secrets["POSTMETER_APP_PASSWORD"],
        "POSTMETER_WORKER_PASSWORD": secrets["POSTMETER_WORKER_PASSWORD"],
        "POSTMETER_OPERATOR_PASSWORD": secrets["POSTMETER_OPERATOR_PASSWORD"],
    }
    return Program("prepare", [sys.executable, "-m", "postmeter.cli", "prepare"], environment)


def programs_of(setting: Setting) -> list[Program]:
    """In the order of their start; they stop the other way round: first no new work, then what is under way, then the carrier."""
    python = [sys.executable, "-m"]
    granian = [*python, "granian", "--interface", "asgi", "--host", "127.0.0.1", "--no-ws"]
    granian += ["--workers", "1", "--workers-kill-timeout", "8", "--log-level", "warning"]
    web = [*granian, "--port", str(setting.port), "postmeter.config.asgi:application"]
    console = [*granian, "--port", str(setting.console_port), "postmeter.config.console:application"]
    simulator = [*python, "postmeter.simulator", "--port", str(setting.simulator_port)]
    simulator += ["--data", str(setting.home.path / "simulator")]
    simulator += ["--stripe-webhook-url", f"http://127.0.0.1:{setting.port}/callbacks/stripe"]
    simulator += ["--paypal-webhook-url", f"http://127.0.0.1:{setting.port}/callbacks/paypal"]
    simulator += ["--twilio-inbound-url", f"http://127.0.0.1:{setting.port}/callbacks/twilio/inbound"]
    simulator += ["--sinch-inbound-url", f"http://127.0.0.1:{setting.port}/callbacks/sinch/inbound"]
    simulator += ["--mail-port", str(setting.simulator_mail_port), "--mail-to", f"lmtp://127.0.0.1:{setting.mail_port}"]
    if smpp_port := os.environ.get("POSTMETER_SIMULATOR_SMPP_PORT"):
        simulator += ["--smpp-port", smpp_port]
    trunk = Program("trunk", [*python, "postmeter.trunk"], _trunk_environment(setting), patience_seconds=75)
    return [
        *([trunk] if os.environ.get("POSTMETER_SIP_HOST") else []),
        Program("simulator", simulator, _simulator_environment(setting), patience_seconds=5),
        Program("worker", [*python, "postmeter.config.worker"], worker_environment(setting), patience_seconds=40),
        Program("mail", [*python, "postmeter.callbacks.mail"], _web_environment(setting), patience_seconds=10),
        Program("console", console, _console_environment(setting), patience_seconds=10),
        Program("web", web, _web_environment(setting), patience_seconds=10),
    ]


def worker_environment(setting: Setting) -> dict[str, str]:
    password = setting.home.secrets()["POSTMETER_WORKER_PASSWORD"]
    return _common(setting) | {"POSTMETER_DATABASE_URL": login(setting.owner_url, "worker", password)}


def _web_environment(setting: Setting) -> dict[str, str]:
    password = setting.home.secrets()["POSTMETER_APP_PASSWORD"]
    return _common(setting) | {"POSTMETER_DATABASE_URL": login(setting.owner_url, "app", password)}


def _console_environment(setting: Setting) -> dict[str, str]:
    password = setting.home.secrets()["POSTMETER_OPERATOR_PASSWORD"]
    return _common(setting) | {"POSTMETER_DATABASE_URL": login(setting.owner_url, "operator", password)}


def _simulator_environment(setting: Setting) -> dict[str, str]:
    ours = {name: value for name, value in _inherited().items() if not name.startswith("POSTMETER_")}
    theirs = ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"]
    theirs += ["PAYPAL_CLIENT_ID", "PAYPAL_SECRET"]
    secrets = setting.home.secrets()
    return ours | {f"SIMULATOR_{name}": secrets[f"POSTMETER_{name}"] for name in theirs}


def _trunk_environment(setting: Setting) -> dict[str, str]:
    """It knows the carrier's password and no database."""
    told = {name: value for name, value in _inherited().items() if not name.startswith("POSTMETER_")}
    ours = {name: value for name, value in _common(setting).items() if name.startswith("POSTMETER_SIP_")}
    return told | ours | {"POSTMETER_HOME": str(setting.home.path)}


def _common(setting: Setting) -> dict[str, str]:
    secrets = {name: value for name, value in setting.home.secrets().items() if name not in OURS_ALONE}
    defaults = {
        "POSTMETER_TWILIO_BASE_URL": setting.simulator_url,
        "POSTMETER_TWILIO_CONSENTS_URL": "" if os.environ.get("POSTMETER_TWILIO_BASE_URL") else setting.simulator_url,
        "POSTMETER_SINCH_BASE_URL": setting.simulator_url,
        "POSTMETER_STRIPE_BASE_URL": setting.simulator_url,
        "POSTMETER_PAYPAL_BASE_URL": f"{setting.simulator_url}/paypal",
        "POSTMETER_PAYPAL_WEBHOOK_ID": "SIMULATED",
        "POSTMETER_PAYMENT_KINDS": "card,bank_debit,paypal",
        "POSTMETER_SIP_URL": setting.trunk_url,
    }
    if smpp_port := os.environ.get("POSTMETER_SIMULATOR_SMPP_PORT"):
        defaults |= {"POSTMETER_SMPP_HOST": "127.0.0.1", "POSTMETER_SMPP_PORT": smpp_port}
        defaults |= {"POSTMETER_SMPP_SYSTEM_ID": "postmeter", "POSTMETER_SMPP_PASSWORD": "demopass"}
    return {
        **defaults,
        **_inherited(),
        **secrets,
        "POSTMETER_HOME": str(setting.home.path),
        "POSTMETER_PORT": str(setting.port),
        "POSTMETER_SIMULATOR_PORT": str(setting.simulator_port),
        "POSTMETER_SIMULATOR_URL": setting.simulator_url,
        "POSTMETER_SIMULATOR_MAIL_PORT": str(setting.simulator_mail_port),
        "POSTMETER_MAIL_PORT": str(setting.mail_port),
        "POSTMETER_CONSOLE_URL": setting.console_url,
        "POSTMETER_PUBLIC_URL": setting.url,
    }


def _inherited() -> dict[str, str]:
    """Our own environment without the logins, and with this checkout first on Python's path."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS_ALONE}
    checkout = str(Path(postmeter.__file__).parent.parent)
    path = os.pathsep.join(part for part in (checkout, os.environ.get("PYTHONPATH")) if part)
    return kept | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def login(owner_url: str, role: str, password: str) -> str:
    """The address of the same database for the role `<database>_<role>` (see postmeter/db/roles.py)."""
    parts = urlsplit(owner_url)
    _, _, place = parts.netloc.rpartition("@")
    name = parts.path.lstrip("/")
    return urlunsplit(parts._replace(netloc=f"{name}_{role}:{quote(password, safe='')}@{place}"))
