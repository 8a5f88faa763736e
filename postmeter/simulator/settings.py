"""What the simulator is told when it starts: where its log lies, whom it calls back, which credentials it accepts."""

import os
from dataclasses import dataclass, field
from pathlib import Path

# Published with the code: they open nothing but a simulator, and `postmeter/config/secrets.py` refuses them anywhere else.
DEMO = {
    "SIMULATOR_TWILIO_ACCOUNT_SID": "AC00000000000000000000000000de3000",
    "SIMULATOR_TWILIO_AUTH_TOKEN": "demo_auth_token_of_the_simulator",
    "SIMULATOR_SINCH_PROJECT_ID": "de30de30-0000-4000-8000-000000000000",
    "SIMULATOR_SINCH_KEY_ID": "demo_key_of_the_simulator",
    "SIMULATOR_SINCH_KEY_SECRET": "demo_key_secret_of_the_simulator",
    "SIMULATOR_SINCH_CALLBACK_PASSWORD": "demo_callback_password_of_the_simulator",
    "SIMULATOR_STRIPE_SECRET_KEY": "sk_test_demo_of_the_simulator",
    "SIMULATOR_STRIPE_WEBHOOK_SECRET": "whsec_demo_of_the_simulator",
    "SIMULATOR_PAYPAL_CLIENT_ID": "demo_client_of_the_simulator",
    "SIMULATOR_PAYPAL_SECRET": "demo_secret_of_the_simulator",
    "SIMULATOR_SMPP_SYSTEM_ID": "postmeter",
    "SIMULATOR_SMPP_PASSWORD": "demopass",
}


def _told(name: str) -> str:
    return os.environ.get(name) or DEMO[name]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Demo values unless the environment says otherwise."""

    twilio_account_sid: str = field(default_factory=lambda: _told("SIMULATOR_TWILIO_ACCOUNT_SID"))
    sinch_project_id: str = field(default_factory=lambda: _told("SIMULATOR_SINCH_PROJECT_ID"))
    sinch_key_id: str = field(default_factory=lambda: _told("SIMULATOR_SINCH_KEY_ID"))
    sinch_callback_password: str = field(default_factory=lambda: _told("SIMULATOR_SINCH_CALLBACK_PASSWORD"))
    sinch_key_secret: str = field(default_factory=lambda: _told("SIMULATOR_SINCH_KEY_SECRET"))
    twilio_auth_token: str = field(default_factory=lambda: _told("SIMULATOR_TWILIO_AUTH_TOKEN"))
    stripe_secret_key: str = field(default_factory=lambda: _told("SIMULATOR_STRIPE_SECRET_KEY"))
    stripe_webhook_secret: str = field(default_factory=lambda: _told("SIMULATOR_STRIPE_WEBHOOK_SECRET"))
    paypal_client_id: str = field(default_factory=lambda: _told("SIMULATOR_PAYPAL_CLIENT_ID"))
    paypal_secret: str = field(default_factory=lambda: _told("SIMULATOR_PAYPAL_SECRET"))
    smpp_system_id: str = field(default_factory=lambda: _told("SIMULATOR_SMPP_SYSTEM_ID"))
    smpp_password: str = field(default_factory=lambda: _told("SIMULATOR_SMPP_PASSWORD"))


@dataclass(frozen=True, slots=True)
class Settings:
    """`folder` holds the log; `public_url` is where people's browsers reach the hosted pages (no slash at the end).

    `mail_port`: where mail servers bring us mail; `mail_to`: where people's answers are handed in.
    """

    folder: Path
    public_url: str
    stripe_webhook_url: str | None = None
    paypal_webhook_url: str | None = None
    twilio_inbound_url: str | None = None
    sinch_inbound_url: str | None = None
    mail_port: int | None = None
    mail_to: str | None = None
    smpp_port: int | None = None
    credentials: Credentials = field(default_factory=Credentials)
