"""Who carries messages: one file of pure functions each, and one line here.

A provider builds the request, reads the reply, verifies a callback and reads its facts. It does no I/O: `carriers` own
connections, time limits and the difference between *never left* (a retry is safe) and *no answer* (unknown).
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from typing import Protocol, cast

from postmeter.messaging.states import State
from postmeter.rating.price import up_to_a_micro


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
    ref: str = ""  # the provider's name for it, where it is known already
    call: "Call | None" = None  # how it is called, where it is spoken


@dataclass(frozen=True, slots=True)
class Call:
    """How a call is made. `seconds`: when the provider ends it, from when it was answered; `asks`: where it asks what to say."""

    seconds: int
    asks: str
    finds_machines: bool


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

    @property
    def said(self) -> dict[str, object]:
        return read_json(self.body)


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
    files: Mapping[str, bytes] = field(default_factory=dict)  # of a form


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
    """A text that came in, or a fax."""

    sender: str
    recipient: str
    body: str
    ref: str
    answered: bool = False  # the provider heard STOP, START or HELP in it and has answered itself
    media: Sequence[str] = ()  # where the provider keeps the files that came with it
    channel: str = "sms"  # or fax; a text with files is a picture message
    pages: int = 0  # of a fax
    files: Sequence[Media] = ()  # that came along
    heard: str = ""  # stop or start: it has put its sender on its own list, or taken them off, whatever words it knows for that


@dataclass(frozen=True, slots=True)
class Heard:
    """What a provider says when it asks what to say on a call: that somebody answered, pressed a key, or was put through."""

    ref: str
    machine: bool = False
    key: str = ""
    connected: bool | None = None  # whether the one who was to be put through answered; None: nobody was


@dataclass(frozen=True, slots=True)
class Speech:
    """What is to be said next on a call; then it ends, unless a key is pressed. `otherwise` is said where none was.

    `keys_to`: where a key is told; `connect`: who is called then and put through, for at most `seconds`, as `sender`; our name for that
    second call is `connect_ref`, its receipts go to `connect_receipts`, and `connect_ended` is asked what to say afterwards.
    """

    voice: str
    language: str
    says: Sequence[str]
    otherwise: Sequence[str] = ()
    keys_to: str = ""
    connect: str = ""
    sender: str = ""
    seconds: int = 0
    connect_ref: str = ""
    connect_receipts: str = ""
    connect_ended: str = ""


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


@dataclass(frozen=True, slots=True)
class Billed:
    """What a provider says that one thing costs; `price_micros` is None while it does not know. `kind`: message, received or fee."""

    kind: str
    ref: str
    units: int
    price_micros: int | None
    currency: str


@dataclass(frozen=True, slots=True)
class BillPage:
    """A page of a bill; `next_page` is what to ask for the next one, empty after the last."""

    records: Sequence[Billed]
    next_page: str


class BillingProvider(HttpProvider, Protocol):
    """One whose bill can be read, in `bill_parts` parts."""

    bill_parts: int

    def bill(self, part: int, day: date, page: str) -> Request:
        """Ask for a page of one part of a day's bill; an empty `page` is the first."""
        ...

    def billed(self, part: int, day: date, reply: Reply) -> BillPage | None:
        """What it says; None for an answer that is none, which is asked for again."""
        ...


@dataclass(frozen=True, slots=True)
class Consent:
    """That somebody opted out, or came back. `ref` is our name for it."""

    ref: int
    address: str
    is_out: bool
    at: datetime


class ConsentProvider(HttpProvider, Protocol):
    """One that keeps a list of who opted out, and can be told of others: at most `consents_at_once`."""

    consents_at_once: int

    def tell_consents(self, sender: str, consents: Sequence[Consent]) -> Request: ...
    def consents_told(self, reply: Reply) -> dict[int, str] | None:
        """What it said of each, by our name: nothing where it has it, else why it never will; None: tell it again."""
        ...


class CallProvider(HttpProvider, Protocol):
    """One that makes calls, too: it asks what to say, and can be told while a call goes on."""

    speaks: str  # the content type of what it is answered

    def heard(self, callback: Callback) -> Heard: ...
    def speak(self, speech: Speech) -> bytes:
        """What it is answered."""
        ...

    def let_go_on(self, ref: str, seconds: int) -> Request:
        """A call may go on until so many seconds after it was answered."""
        ...

    def interrupt(self, ref: str, speech: Speech) -> Request:
        """Say this on a call now, whatever goes on there."""
        ...


def read_json(body: bytes) -> dict[str, object]:
    """What a provider said in JSON; nothing, where that cannot be read."""
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def basic(user: str, password: str) -> str:
    """The header that says who we are (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


TAKE_TIFF = frozenset({"sip"})  # faxes as they were drawn; the others take PDF

# Mail services that django-anymail asks by HTTP without a library of theirs (`carriers/esp.py`).
MAIL_SERVICES = ("brevo", "mailersend", "mailgun", "mailjet", "mandrill", "postal", "postmark", "resend", "sendgrid", "sparkpost")
PROVIDERS = {
    "sinch": "postmeter.messaging.providers.sinch.Sinch",
    "sip": "postmeter.messaging.providers.sip.Sip",
    "twilio": "postmeter.messaging.providers.twilio.Twilio",
}


def call_provider(name: str, settings: Mapping[str, str]) -> CallProvider:
    """The same, of one that makes calls. Raises KeyError for another."""
    made = provider(name, settings)
    if "voice" not in made.channels:
        raise KeyError(name)
    return cast(CallProvider, made)


def billing_provider(name: str, settings: Mapping[str, str]) -> BillingProvider | None:
    """The same, of one whose bill can be read; None for another."""
    made = provider(name, settings)
    return cast(BillingProvider, made) if hasattr(made, "bill_parts") else None


def amount_micros(said: object) -> int | None:
    """A decimal amount of money as a provider writes it, rounded up to a micro; costs are said with and without a minus."""
    try:
        return up_to_a_micro(abs(Decimal(str(said)))) if said not in (None, "") else None
    except ArithmeticError:
        return None


def provider(name: str, settings: Mapping[str, str]) -> HttpProvider:
    """The provider of that name, made from its settings."""
    module, _, class_name = PROVIDERS[name].rpartition(".")
    made: HttpProvider = getattr(import_module(module), class_name)(settings)
    return made
