"""What a process must have been told before it serves anybody."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from pytest_django import Settings

from postmeter.config.secrets import OURS, THEIRS, refuse_without
from postmeter.simulator.settings import DEMO

WORKER = ["postmeter.config.worker"]
WEB = ["granian", "--interface", "asgi", "--port", "18998", "postmeter.config.asgi:application"]


def start(command: list[str], **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *command], env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("process", [WORKER, WEB], ids=["worker", "web"])
def test_a_process_without_its_secrets_says_which_and_serves_nobody(name: str, process: list[str]) -> None:
    done = start(process, **{name: ""})
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("postmeter: ")]
    assert len(said) == 1
    assert f"{name} is not set" in said[0]
    assert "python -c 'import secrets" in said[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["00", "not hexadecimal digits at all, 32", "00112233445566778899aabbccddeeff00"])
def test_a_key_for_ids_that_is_none_is_refused_by_name(value: str) -> None:
    done = start(WORKER, POSTMETER_ID_KEY=value)
    assert done.returncode == 1
    assert done.stderr.startswith("postmeter: POSTMETER_ID_KEY is not 32 hexadecimal digits")


def test_no_key_is_the_same_in_two_processes_that_were_told_none() -> None:
    script = "from django.conf import settings; print(settings.SECRET_KEY, settings.ID_KEY.hex())"
    told = os.environ | dict.fromkeys(OURS, "") | {"DJANGO_SETTINGS_MODULE": "postmeter.config.settings"}
    one, two = (
        subprocess.run([sys.executable, "-c", script], env=told, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    )
    assert not {*one} & {*two}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"password": ""}, "POSTMETER_SMPP_PASSWORD cannot be used. Write at most 8 plain characters"),
        ({"password": "demopass"}, "POSTMETER_SMPP_PASSWORD is the simulator's published one, and smsc.example is no simulator"),
        ({"long": "sms"}, "POSTMETER_SMPP_LONG cannot be used. Choose one of: payload, sar, udh."),
    ],
)
def test_what_a_message_centre_needs_is_asked_for_at_the_start(told: dict[str, str], said: str) -> None:
    values = {"host": "smsc.example", "system_id": "postmeter", "password": "secret", **told}
    done = start(WORKER, **{f"POSTMETER_SMPP_{name.upper()}": value for name, value in values.items()})
    assert done.returncode == 1
    assert done.stderr.startswith(f"postmeter: {said}")


class TestTheProvidersSecrets:
    @pytest.fixture(autouse=True)
    def real_addresses(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(settings.TWILIO, "base_url", "https://api.twilio.example")
        monkeypatch.setitem(settings.SINCH, "base_url", "https://api.sinch.example")
        monkeypatch.setenv("POSTMETER_SINCH_KEY_SECRET", "a key of ours")
        monkeypatch.setenv("POSTMETER_SINCH_CALLBACK_PASSWORD", "a password of ours")
        monkeypatch.setitem(settings.STRIPE, "base_url", "https://api.stripe.example")
        monkeypatch.setitem(settings.PAYPAL, "base_url", "https://api.paypal.example")

    @pytest.mark.parametrize("name", THEIRS)
    def test_an_empty_one_is_refused(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(name)
        with pytest.raises(
            SystemExit, match=rf"{name} is not set, and https://api\.(twilio|sinch|stripe|paypal)\.example is no simulator"
        ):
            refuse_without()

    @pytest.mark.parametrize("name", THEIRS)
    def test_the_simulators_published_one_is_refused(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(name, DEMO[name.replace("POSTMETER", "SIMULATOR")])
        with pytest.raises(SystemExit, match=f"{name} is the simulator's published one"):
            refuse_without()

    def test_paypals_are_not_asked_for_where_it_is_not_offered(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("POSTMETER_PAYPAL_SECRET")
        settings.PAYMENT_KINDS = ("card",)
        refuse_without()

    def test_a_kind_of_payment_method_that_there_is_not_is_refused(self, settings: Settings) -> None:
        settings.PAYMENT_KINDS = ("card", "cheque")
        with pytest.raises(SystemExit, match="POSTMETER_PAYMENT_KINDS names 'cheque'; there are card, bank_debit, paypal"):
            refuse_without()

    def test_an_operators_own_are_taken(self) -> None:
        refuse_without()

    @pytest.mark.parametrize("address", ["http://127.0.0.1:8001", "http://simulator.example:8001"])
    def test_a_simulator_takes_any(self, address: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.SIMULATOR_URL = "http://simulator.example:8001"
        for name, whose in THEIRS.items():
            monkeypatch.delenv(name)
            monkeypatch.setitem(getattr(settings, whose), "base_url", address)
        refuse_without()


@pytest.mark.parametrize(
    ("esp", "told", "said"),
    [
        ("pigeon", {}, "POSTMETER_ANYMAIL_ESP is 'pigeon'; there are brevo, "),
        ("postmark", {}, "POSTMETER_ANYMAIL_WEBHOOK_SECRET is not set"),
        ("postmark", {"WEBHOOK_SECRET": "user:short"}, "POSTMETER_ANYMAIL_WEBHOOK_SECRET is not set"),
    ],
)
def test_what_a_mail_service_needs_is_asked_for_at_the_start(
    monkeypatch: pytest.MonkeyPatch, esp: str, told: dict[str, str], said: str
) -> None:
    monkeypatch.setattr(settings, "ANYMAIL_ESP", esp)
    monkeypatch.setattr(settings, "ANYMAIL", told)
    with pytest.raises(SystemExit, match=said):
        refuse_without()


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"voice": ("sinch",)}, "POSTMETER_ROUTES sends voice by sinch, which carries fax."),
        ({"voice:44": ("twilio", "smtp")}, "POSTMETER_ROUTES sends voice by smtp, which carries email."),
        ({"fax": ("twilio",)}, "POSTMETER_ROUTES sends fax by twilio, which carries mms, sms, voice."),
    ],
)
def test_a_route_to_who_does_not_carry_its_channel_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, route: dict[str, tuple[str, ...]], said: str
) -> None:
    refuse_without()
    for name, providers in route.items():
        monkeypatch.setitem(settings.ROUTES, name, providers)
    with pytest.raises(SystemExit, match=said):
        refuse_without()
