"""How a customer's calls sound, what answering machines are told, and which keys there are (S-064 … S-071)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from postmeter.customers import queries as customers
from postmeter.customers.models import Customer
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.guard import queries as guarding
from postmeter.kit.phone import normalize
from postmeter.kit.refusals import BadInput
from postmeter.messaging.channels.voice import LANGUAGES, VOICES, Key, Script
from postmeter.messaging.kinds import AUTOMATED, OPT_IN
from postmeter.messaging.models import CallSetting
from postmeter.rating import queries as rating

KEYS = {Key.REPEAT: "1", Key.CONFIRM: "2", Key.CANCEL: "3", Key.STOP: "9", Key.TALK: "0"}
AGREES = "1"  # to the question whether they may be called
DIGITS = "0123456789"
TALK_MINUTES, TALK_MINUTES_AT_MOST = 30, 120


class Machines(StrEnum):
    """What is done where a machine answers."""

    SHORT = "short"  # who called, and to call back: nothing of the message
    WHOLE = "whole"
    HANG_UP = "hang_up"
    AS_PEOPLE = "as_people"  # nobody listens for machines: it is said at once to whoever answers


@dataclass(frozen=True, slots=True)
class CallRules:
    """As they hold now; what a customer has not set is as usual."""

    language: str = "en-US"
    voice: str = "Polly.Joanna"
    machines: Machines = Machines.SHORT
    responses: bool = False
    confirms: bool = False
    cancels: bool = False
    talk_number: str = ""
    talk_minutes: int = TALK_MINUTES
    keys: Mapping[Key, str] = field(default_factory=lambda: dict(KEYS))

    @property
    def finds_machines(self) -> bool:
        return self.machines is not Machines.AS_PEOPLE

    def keys_for(self, kind: str) -> dict[Key, str]:
        """Those that work on a call of this kind. Only automated calls are answered (S-065, S-066); any may be heard again and stopped."""
        if kind == OPT_IN:
            return {Key.AGREE: AGREES, Key.STOP: self.keys[Key.STOP]}
        answers = self.responses and kind in AUTOMATED
        about_visit = answers and kind in ("reminder", "notice")
        offered = {
            Key.STOP: True,
            Key.CONFIRM: about_visit and self.confirms,
            Key.CANCEL: about_visit and self.cancels,
            Key.TALK: answers and bool(self.talk_number),
            Key.REPEAT: True,
        }
        return {key: self.keys[key] for key, is_offered in offered.items() if is_offered}


@scoped
def rules(*, customer_id: int) -> CallRules:
    row = CallSetting.objects.filter(customer_id=customer_id).first()
    if row is None:
        return CallRules()
    return CallRules(
        row.language,
        row.voice,
        Machines(row.machines),
        row.responses,
        row.confirms,
        row.cancels,
        row.talk_number,
        row.talk_minutes,
        {Key(key): digit for key, digit in row.keys.items()},
    )


def script_of(customer: Customer, known: CallRules, *, kind: str, sender: str) -> Script:
    """What is said around a text of this kind."""
    return Script(known.language, customer.name, known.talk_number or sender, known.keys_for(kind))


@scoped
def save(*, customer_id: int, wanted: CallRules, actor: str, now: datetime) -> CallRules:
    """Set them all. Raises BadInput naming the field."""
    customer = customers.customer(customer_id=customer_id)
    number = wanted.talk_number.strip()
    if number:
        number = normalize(number, customer.country, field="talk_number")
        _check_talk(customer_id, customer.plan, number, now)
    if wanted.language not in LANGUAGES:
        raise BadInput("We do not speak this language.", field="language", remedy=f"Choose one of: {', '.join(LANGUAGES)}.")
    if wanted.voice not in VOICES[wanted.language]:
        raise BadInput(
            "This voice does not speak that language.",
            field="voice",
            remedy=f"Choose one of: {', '.join(VOICES[wanted.language])}.",
        )
    if not 1 <= wanted.talk_minutes <= TALK_MINUTES_AT_MOST:
        raise BadInput(
            "This is no length for a conversation.", field="talk_minutes", remedy=f"Give 1 to {TALK_MINUTES_AT_MOST} minutes."
        )
    _check_keys(wanted.keys)
    values = {
        "language": wanted.language,
        "voice": wanted.voice,
        "machines": str(wanted.machines),
        "responses": wanted.responses,
        "confirms": wanted.confirms,
        "cancels": wanted.cancels,
        "talk_number": number,
        "talk_minutes": wanted.talk_minutes,
        "keys": {str(key): digit for key, digit in wanted.keys.items()},
        "changed_at": now,
    }
    CallSetting.objects.update_or_create(
        customer_id=customer_id, defaults=values, create_defaults=values | {"id": calls.next_id()}
    )
    # The number is a person's, or may be: the audit log says that it changed, not to which.
    data = {name: values[name] for name in ("language", "voice", "machines", "responses", "confirms", "cancels", "talk_minutes")}
    events.record("calls.set", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data=data)
    return rules(customer_id=customer_id)


def _check_talk(customer_id: int, plan: str, number: str, now: datetime) -> None:
    """It is called for every recipient who asks: it must have a price, and its country must be open."""
    rate = rating.prices(customer_id=customer_id, plan=plan, channel="voice", direction="out", now=now).table.find(number)
    if rate is None:
        raise BadInput("There is no price for calls to this number.", field="talk_number", remedy="See the price list.")
    country = customers.customer(customer_id=customer_id).country
    if rate.country != country and not {rate.country, "*"} & guarding.opened_countries(customer_id=customer_id):
        raise guarding.closed(rate.country)


def _check_keys(keys: Mapping[Key, str]) -> None:
    for key in KEYS:
        digit = keys.get(key, "")
        if len(digit) != 1 or digit not in DIGITS:
            raise BadInput("This is no key.", field=f"key_{key}", remedy="Give one digit, 0 to 9.")
        same = next((other for other in KEYS if other < key and keys.get(other) == digit), None)
        if same:
            raise BadInput(f"Key {digit} is for “{same}” already.", field=f"key_{key}", remedy="Give each its own.")
