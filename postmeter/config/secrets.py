"""What a process that serves must have been told, before it serves anybody.

A value that is published with the code, or none, would let anybody sign what we sign or what a provider signs.
"""

import os
from urllib.parse import urlsplit

from django.conf import settings

from postmeter.kit.refusals import BadInput
from postmeter.messaging.providers import MAIL_SERVICES, provider, smpp
from postmeter.payments.gateways import KINDS
from postmeter.simulator.settings import DEMO

OURS = {
    "POSTMETER_SECRET_KEY": "python -c 'import secrets; print(secrets.token_urlsafe(48))'",
    "POSTMETER_BODY_KEYS": "python -c 'import secrets; print(\"first:\" + secrets.token_hex(32))'",
    "POSTMETER_ID_KEY": "python -c 'import secrets; print(secrets.token_hex(16))'",
}
SECRET_AT_LEAST = 16
CARRIED = {
    "smpp": frozenset({"sms"}),
    "smtp": frozenset({"email"}),
    "anymail": frozenset({"email"}),
}  # by those that are not asked by HTTP
THEIRS = {
    "POSTMETER_TWILIO_AUTH_TOKEN": "TWILIO",
    "POSTMETER_SINCH_KEY_SECRET": "SINCH",
    "POSTMETER_SINCH_CALLBACK_PASSWORD": "SINCH",
    "POSTMETER_STRIPE_SECRET_KEY": "STRIPE",
    "POSTMETER_STRIPE_WEBHOOK_SECRET": "STRIPE",
    "POSTMETER_PAYPAL_SECRET": "PAYPAL",
}


def refuse_without() -> None:
    """End the process with exit 1 and one sentence on stderr when a secret is missing, or is the simulator's and meant for more.

    Ours are the same on every process of an install; `postmeter run` makes them once and keeps them in its home.
    """
    for name, recipe in OURS.items():
        if not os.environ.get(name):
            raise SystemExit(
                f"postmeter: {name} is not set; give every process of this install the same value, made once with: {recipe}"
            )
    unknown = set(settings.PAYMENT_KINDS) - set(KINDS)
    if unknown:
        raise SystemExit(f"postmeter: POSTMETER_PAYMENT_KINDS names {min(unknown)!r}; there are {', '.join(KINDS)}.")
    if settings.SMPP["host"]:
        _refuse_smpp_without()
    if settings.SIP["host"] and len(settings.SIP["secret"]) < SECRET_AT_LEAST:
        raise SystemExit(
            "postmeter: POSTMETER_SIP_SECRET is not set; give our processes and the trunk's the same one: openssl rand -hex 24"
        )
    if settings.ANYMAIL_ESP:
        _refuse_esp_without()
    _refuse_wrong_routes()
    for name, whose in THEIRS.items():
        if whose == "PAYPAL" and "paypal" not in settings.PAYMENT_KINDS:
            continue
        address, value = getattr(settings, whose)["base_url"], os.environ.get(name)
        if _is_simulator(address):
            continue
        if not value or value == DEMO[name.replace("POSTMETER", "SIMULATOR")]:
            why = "is the simulator's published one" if value else "is not set"
            raise SystemExit(f"postmeter: {name} {why}, and {address} is no simulator; set the one that its console shows.")


def _refuse_esp_without() -> None:
    if settings.ANYMAIL_ESP not in MAIL_SERVICES:
        raise SystemExit(f"postmeter: POSTMETER_ANYMAIL_ESP is {settings.ANYMAIL_ESP!r}; there are {', '.join(MAIL_SERVICES)}.")
    user, _, password = settings.ANYMAIL.get("WEBHOOK_SECRET", "").partition(":")
    if not user or len(password) < 16:
        raise SystemExit(
            "postmeter: POSTMETER_ANYMAIL_WEBHOOK_SECRET is not set; write user:password with 16 characters or more, and the same"
            " into the addresses of the service's webhooks."
        )


def _refuse_wrong_routes() -> None:
    """A route to a provider that does not carry its channel would have a call sent as a text."""
    for route, names in settings.ROUTES.items():
        channel = route.partition(":")[0]
        for name in names:
            carried = CARRIED.get(name) or provider(name, settings.PROVIDERS[name]).channels
            if channel not in carried:
                raise SystemExit(
                    f"postmeter: POSTMETER_ROUTES sends {channel} by {name}, which carries {', '.join(sorted(carried))}."
                )


def _refuse_smpp_without() -> None:
    try:
        account = smpp.Account.read(settings.SMPP)
    except BadInput as wrong:
        raise SystemExit(f"postmeter: {wrong}") from None
    if account.password == DEMO["SIMULATOR_SMPP_PASSWORD"] and account.host not in settings.LOOPBACK:
        raise SystemExit(
            f"postmeter: POSTMETER_SMPP_PASSWORD is the simulator's published one, and {account.host} is no simulator; "
            "set the one that the carrier gave you."
        )


def _is_simulator(address: str) -> bool:
    """Whether it is on this machine or where POSTMETER_SIMULATOR_URL says: there, credit and messages are play."""
    place = urlsplit(address)
    return place.hostname in settings.LOOPBACK or place.netloc == urlsplit(settings.SIMULATOR_URL).netloc
