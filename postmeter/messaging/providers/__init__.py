"""Who carries messages: one file of pure functions each, and one line here.

A provider builds the request, reads the reply, verifies a callback and reads its facts. It does no I/O: `carriers` own
connections, time limits and the difference between *never left* (a retry is safe) and *no answer* (unknown).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from postmeter.messaging.states import State


class Forged(Exception):
    """A callback whose signature does not fit."""


@dataclass(frozen=True, slots=True)
class Media:
    """A file of a message: a picture, a document. `url` is where a provider that fetches it finds it."""

    name: str
    content_type: str
    content: bytes
    url: str = ""


@dataclass(frozen=True, slots=True)
class Outbound:
    """What goes to a provider: addresses (E.164 numbers, or mailboxes), the text, its files, and where its receipts are to go."""

    id: int
    sender: str
    recipient: str
    body: str
    callback_url: str
    media: Sequence[Media] = ()
    customer_id: int = 0
    name: str = ""  # whose message it is, and where they are: an email says both
    postal_address: str = ""
    kind: str = ""
    time_zone: str = ""  # of who sends: a fax says when it went


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    url: str
    headers: Mapping[str, str]
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has it."""

    ref: str
    raw: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider surely does not have it and never will."""

    code: str
    text: str
    raw: Mapping[str, object]
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class TryLater:
    """The provider surely does not have it; sending again is safe."""

    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have it. Never resent blindly (A-23)."""

    text: str


Outcome = Accepted | Refused | TryLater | Unknown


@dataclass(frozen=True, slots=True)
class Callback:
    """What was posted to us, with the address as the provider saw it."""

    url: str
    form: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's word about one message."""

    state: State
    ref: str
    status: str
    error_code: str
    raw: Mapping[str, object]
    billable: bool  # from this word on the provider bills us for it
    opted_out: bool = False  # the provider blocks this recipient, who wrote STOP to it
    units: int | None = None  # how many of the units held for were used, where that is known at the end only


@dataclass(frozen=True, slots=True)
class Received:
    """A text that came in."""

    sender: str
    recipient: str
    body: str
    ref: str
    answered: bool = False  # the provider heard STOP, START or HELP in it and has answered itself
    media: Sequence[str] = ()  # where the provider keeps the files that came with it
    heard: str = ""  # stop or start: it has put its sender on its own list, or taken them off, whatever words it knows for that


class HttpProvider(Protocol):
    """A provider that is asked by HTTP, and that posts its receipts to us."""

    name: str
    channels: frozenset[str]

    def request(self, message: Outbound) -> Request: ...
    def outcome(self, reply: Reply) -> Outcome: ...
    def lookup(self, message: Outbound) -> Request: ...
    def found(self, message: Outbound, reply: Reply, taken: frozenset[str]) -> Receipt | None: ...
    def verify(self, callback: Callback) -> None: ...
    def facts(self, callback: Callback) -> Sequence[Receipt | Received]: ...
    def file(self, url: str) -> Request: ...


PROVIDERS = {
    "sinch": "postmeter.messaging.providers.sinch.Sinch",
    "twilio": "postmeter.messaging.providers.twilio.Twilio",
}


def provider(name: str, settings: Mapping[str, str]) -> HttpProvider:
    """The provider of that name, made from its settings."""
    module, _, class_name = PROVIDERS[name].rpartition(".")
    made: HttpProvider = getattr(import_module(module), class_name)(settings)
    return made
