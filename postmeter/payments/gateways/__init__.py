"""Who takes money: one file each, and one line here.

A gateway turns our words into its calls and its answers into ours. It never decides what happens next, and it never raises
for what a bank or a network does: an outcome that we cannot be sure of is `Unknown`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from importlib import import_module
from typing import Protocol

from postmeter.payments.states import PaymentState


class Forged(Exception):
    """A callback whose signature does not fit, or is too old."""


class GatewayDown(Exception):
    """The gateway could not be asked; nothing that takes money was under way."""


NEVER = (9999, 12)  # year and month in which what does not expire expires


@dataclass(frozen=True, slots=True)
class Saved:
    """A payment method that the gateway keeps: a token and what may be shown of it."""

    token: str
    brand: str
    last4: str = ""
    expires: tuple[int, int] = NEVER
    label: str = ""  # what tells it from others where there are no four digits: the name of the account


@dataclass(frozen=True, slots=True)
class Charge:
    """What to take. `id` is the idempotency key: the same id always goes with the same content."""

    id: str
    customer_ref: str
    token: str
    kind: str
    amount_minor: int
    currency: str
    off_session: bool
    return_url: str
    facts: Mapping[str, str]  # comes back with callbacks: whose payment it is


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a charge, as far as the gateway says. `amount_minor` and `currency` are what it really took."""

    state: PaymentState
    ref: str = ""
    code: str = ""
    text: str = ""
    action_url: str = ""
    amount_minor: int = 0
    currency: str = ""
    facts: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SetupDone:
    """Somebody finished adding a payment method on the hosted page."""

    session_ref: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reversal:
    """Money that a gateway took back after a success, or gave us again: each movement once for its `ref` and direction."""

    kind: str  # refund | dispute
    ref: str
    payment_ref: str
    amount_minor: int
    currency: str
    is_back: bool = False  # what was taken comes again: a dispute that was won, a refund that failed
    facts: Mapping[str, str] | None = None  # whose payment it is, where the gateway says so itself


class Word(StrEnum):
    """What a gateway says to a refund that we ask for."""

    DONE = "done"
    PENDING = "pending"  # its callback says how it ends
    REFUSED = "refused"  # nothing moved, and nothing will
    UNKNOWN = "unknown"  # the same key finds out


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What became of a refund that we asked for."""

    word: Word
    ref: str = ""
    text: str = ""


class Gateway(Protocol):
    name: str
    keys_live: timedelta  # within this a question with the same key cannot charge twice, with an hour to spare

    def create_customer(self, *, key: str, email: str, name: str, facts: Mapping[str, str]) -> str: ...
    def start_setup(
        self, *, kind: str, key: str, customer_ref: str, success_url: str, cancel_url: str, facts: Mapping[str, str]
    ) -> tuple[str, str]: ...
    def finish_setup(self, *, key: str, session_ref: str) -> Saved | None: ...
    def charge(self, charge: Charge) -> Outcome: ...
    def fetch(self, *, ref: str, facts: Mapping[str, str]) -> Outcome | None: ...
    def cancel(self, *, ref: str) -> Outcome: ...
    def give_back(self, *, key: str, ref: str, amount_minor: int, currency: str) -> GivenBack: ...
    def read(self, *, body: bytes, headers: Mapping[str, str]) -> Sequence[Outcome | SetupDone | Reversal]: ...


GATEWAYS = {
    "stripe": "postmeter.payments.gateways.stripe.Stripe",
    "paypal": "postmeter.payments.gateways.paypal.PayPal",
}
KINDS = {"card": "stripe", "bank_debit": "stripe", "paypal": "paypal"}
"""Which gateway keeps a kind of payment method. `settings.PAYMENT_KINDS` says which of them an install offers."""


def gateway(name: str, settings: Mapping[str, str]) -> Gateway:
    """The gateway of that name, made from its settings."""
    module, _, class_name = GATEWAYS[name].rpartition(".")
    made: Gateway = getattr(import_module(module), class_name)(settings)
    return made
