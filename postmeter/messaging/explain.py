"""A trail in plain words: what became of a message, why, and where its money is. Pure: the pages and the API say the same.

`explain` answers first, in a few sentences; `steps` tells it in order, each step with its moment and its movement of money.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from postmeter.kit.money import format_amount
from postmeter.ledger.queries import Entry
from postmeter.messaging.channels import sms
from postmeter.messaging.kinds import TALK
from postmeter.messaging.models import Message, Receipt
from postmeter.messaging.operations.extensions import OVERRUN
from postmeter.messaging.queries import Trail
from postmeter.messaging.states import CANCELLABLE, MACHINE, State
from postmeter.rating.price import ERROR_CLASSES

_PROVIDERS = {
    "twilio": "Twilio",
    "smpp": "the carrier",
    "sip": "the SIP trunk",
    "smtp": "the mail server",
    "anymail": "the mail service",
}
_NAMED = 3  # characters that a sentence names

_STANDS = {
    State.WAITING: "It waits for credit or for the recipient's consent, and goes out by itself when it may.",
    State.QUEUED: "It is queued and goes out as soon as a worker takes it.",
    State.SENDING: "It is being handed to {provider} now.",
    State.SENT: "{provider} has it; the phone's receipt is still to come.",
    State.UNKNOWN: "{provider} was asked and gave no clear answer. It is not sent again, for that could deliver it twice.",
    State.DELIVERED: "It was delivered.",
    State.UNDELIVERED: "It was sent but did not reach the phone.",
    State.FAILED: "It failed before it reached the carriers.",
    State.EXPIRED: "It ended without being delivered, because its time was up.",
    State.CANCELLED: "It was taken back before it went out.",
}

_EMAIL_STANDS = {
    State.SENT: "{provider} has it. Mail servers report only what they could not deliver.",
    State.UNDELIVERED: "It was sent but did not reach the mailbox.",
    State.FAILED: "It failed before it was on its way.",
}

_FAX_STANDS = {
    State.SENT: "{provider} has it and calls the fax machine; it calls again where nobody answers.",
    State.DELIVERED: "It was delivered: the fax machine confirmed its pages.",
    State.UNDELIVERED: "It did not get through to the fax machine.",
    State.FAILED: "It failed before anybody was called.",
}

_VOICE_STANDS = {
    State.SENDING: "{provider} is asked to call.",
    State.SENT: "{provider} is calling, or the call goes on.",
    State.DELIVERED: "The call was answered, and it was said.",
    State.UNDELIVERED: "Nobody heard it.",
    State.FAILED: "The call could not be made.",
}
_TALK_STANDS = {
    State.SENDING: "{provider} is asked to call you.",
    State.DELIVERED: "You were called and talked.",
    State.UNDELIVERED: "You did not answer.",
}
_UNHEARD = {
    "machine": "An answering machine took the call, and your settings leave it nothing.",
    "silent": "Somebody answered, but {provider} did not hear from us what to say.",
}

_CLASSES = {
    "unreachable": "The phone was switched off or out of reach.",
    "blocked": "The recipient's carrier blocked it.",
    "unknown_number": "The number does not exist or is no longer in service.",
    "landline": "The number is a landline, or of a carrier that takes no texts.",
    "filtered": "The carrier filtered it as unwanted.",
    "unknown": "The carrier gave no reason.",
    "internal": "Something went wrong at {provider}.",
}
# Refusals before anything was sent (Twilio's numbers, which the other adapters translate to).
_REFUSALS = {
    "21211": "The number is not a valid one.",
    "21408": "Sending to this country is not switched on at {provider}.",
    "21606": "The sender's number may not send texts.",
    "21610": "The recipient has answered STOP and gets no more messages.",
    "21612": "There is no way from this sender to this number.",
    "21614": "The number cannot receive texts.",
    "21617": "The text is too long.",
}
# Why the trunk's calls fail: the SIP status (RFC 3261, 21), or its own word.
_SIP = {
    "sip-401": "The carrier did not let us call: its user name or password is wrong.",
    "sip-403": "The carrier did not let us call this number, or with this sender.",
    "sip-404": "The number does not exist or is no longer in service.",
    "sip-407": "The carrier did not let us call: its user name or password is wrong.",
    "sip-410": "The number does not exist or is no longer in service.",
    "sip-484": "The number is not whole.",
    "sip-503": "The carrier could not take the call.",
    "sip-604": "The number does not exist or is no longer in service.",
    "no_line": "All lines of the trunk were taken.",
    "not_called": "The trunk was stopped before it called.",
    "no_way": "The trunk does not reach the carrier.",
}
# What mail servers say (RFC 3463), the longer beginnings first.
_MAIL = {
    "5.2.2": "The mailbox is full.",
    "5.1.": "There is no such mailbox.",
    "5.2.": "The mailbox takes no mail.",
    "5.3.4": "It is too big for the mail server there.",
    "5.4.": "The mail server there could not be reached.",
    "5.7.": "The mail server there took it for unwanted.",
    "5": "The mail server there refused it.",
}
# Our own words in receipts (dispatch, sweep, cancel).
_OURS = {
    "cancelled": "Somebody took it back.",
    "opted_out": "The recipient opted out before it went.",
    "waits_for_consent": "The recipient was asked whether they want your messages and has not answered yet.",
    "instead_of_text": "The credit did not cover a text message, so it went as an email, which is free.",
    "unreadable": "Its text cannot be read any more, so nothing was sent.",
    "no_consent": "The recipient did not agree in time to get your messages.",
    "quiet_hours": "It was night, or too early or late in the day, where the recipient is.",
    "expired": "The time until which it was useful had passed.",
    "gave_up": "{provider} could not take it, however often we tried.",
    "lease_ended": "The worker that had it stopped; {provider} may have it or not.",
    "never_known": "For a day nobody could say what became of it, so it was closed.",
    "no_receipt": "No receipt came for days. {provider} bills what it took, so it is charged.",
}
_WAITS = frozenset({"quiet_hours", "waits_for_consent"})
_THEIRS = {
    "accepted": "{provider} took it.",
    "queued": "{provider} queued it.",
    "sending": "{provider} is sending it.",
    "sent": "{provider} handed it to the carrier.",
    "delivered": "The phone confirmed it.",
    "read": "It was read.",
    "undelivered": "The carrier gave up on it.",
    "returned": "It came back.",
    "arrived": "It reached the mailbox.",
    "failed": "{provider} could not send it.",
    "in_progress": "{provider} is calling.",
    "completed": "The fax machine confirmed its pages.",
    "failure": "It did not get through.",
    "canceled": "{provider} cancelled it.",
    "initiated": "{provider} is calling.",
    "ringing": "The telephone rings.",
    "in-progress": "The call was answered.",
    "answered": "The call was answered.",
    "busy": "The line was busy.",
    "no-answer": "Nobody answered.",
    "broken": "It broke off before its end.",
    "lost": "{provider} stopped while it went on.",
    "refused": "{provider} refused it.",
    "unknown": "{provider} gave no clear answer.",
}
_STATE_OF_STATUS = {
    "accepted": State.SENT,
    "queued": State.SENT,
    "read": State.DELIVERED,
    "canceled": State.FAILED,
    "refused": State.FAILED,
    "returned": State.UNDELIVERED,
    "in_progress": State.SENT,
    "initiated": State.SENT,
    "ringing": State.SENT,
    "in-progress": State.SENT,
    "answered": State.SENT,
    "busy": State.UNDELIVERED,
    "no-answer": State.UNDELIVERED,
    "broken": State.UNDELIVERED,
    "lost": State.UNDELIVERED,
    "completed": State.DELIVERED,
    "failure": State.UNDELIVERED,
    "arrived": State.DELIVERED,
    "gave_up": State.FAILED,
    "opted_out": State.CANCELLED,
    "lease_ended": State.UNKNOWN,
    "never_known": State.EXPIRED,
    "no_receipt": State.SENT,
}
_SOURCES = {
    "reply": "{provider}'s answer",
    "callback": "{provider}'s report",
    "lookup": "{provider}, asked again",
    "us": "Postmeter",
}
_LEDGER = {
    "hold": ("Held", "{amount} is promised to this message and cannot be spent twice.", "waiting"),
    "post": ("Charged", "{amount} was taken from what was held.", "paid"),
    "void": ("Released", "Nothing was charged; all that was held is available again.", "cancelled"),
    "expire": ("Released", "The hold ran out; all of it is available again.", "cancelled"),
    OVERRUN: ("Charged", "The call lasted longer than was held for: {amount} more.", "paid"),
    "transfer": ("Given back", "The charge stays as it was written; this is its refund.", "cancelled"),
}


_NEXT_MINUTES = {
    "hold": "{amount} is promised to the next minutes of the call.",
    "void": "The next minutes were not talked: what was held for them is available again.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. `state` names its icon; `micros` is what the available balance gained or lost by it."""

    at: datetime
    state: str
    title: str
    text: str
    micros: int | None = None
    entry_id: int | None = None  # of the ledger, where it is one


def explain(trail: Trail) -> list[str]:
    """What became of the message, why, what it cost, and how it was measured: two to five sentences."""
    message = trail.message
    state = State(message.state)
    stands = _stands_of(message).get(state)
    sentences = [_with_provider(stands or _STANDS[state], message), *_why(trail, state), _money(trail, state)]
    if message.channel != "email":
        sentences.append(_measured(message))
    elif any(receipt.status == "instead_of_text" for receipt in trail.receipts):
        sentences.append(_OURS["instead_of_text"])
    if state in CANCELLABLE:
        sentences.append("You can still take it back.")
    return sentences


def steps(trail: Trail) -> list[Step]:
    """Everything that happened, the oldest first: the acceptance, who said what, and the ledger's entries."""
    message = trail.message
    told = [Step(message.created_at, State.QUEUED, "Accepted", _measured(message))]
    holds = {entry.hold_id: entry.amount_micros for entry in trail.entries if entry.kind == "hold"}
    told += [_entry(entry, message, holds) for entry in trail.entries if entry.kind == "hold"]
    told += [_receipt(receipt, message) for receipt in trail.receipts]
    told += [_entry(entry, message, holds) for entry in trail.entries if entry.kind != "hold"]
    return sorted(told, key=lambda step: step.at)  # stable: what was said at a moment stands before what it cost


def _stands_of(message: Message) -> Mapping[State, str]:
    """How this channel says where a message stands, where it says it otherwise than a text."""
    if message.kind == TALK:
        return _VOICE_STANDS | _TALK_STANDS
    return {"email": _EMAIL_STANDS, "fax": _FAX_STANDS, "voice": _VOICE_STANDS}.get(message.channel, {})


def _with_provider(text: str, message: Message) -> str:
    name = message.provider
    said = text.format(provider=_PROVIDERS.get(name, name.capitalize() or "the provider"))
    return said[:1].upper() + said[1:]


def _why(trail: Trail, state: State) -> list[str]:
    waits = [receipt.status for receipt in trail.receipts if receipt.source == "us" and receipt.status in _WAITS]
    if state is State.QUEUED and waits:
        return [_OURS[waits[-1]]] + (["It waits for the morning there."] if waits[-1] == "quiet_hours" else [])
    if state not in MACHINE.finals or state is State.DELIVERED:
        return []
    message = trail.message
    if message.error_code:
        said = (_words_of(receipt) for receipt in trail.receipts if receipt.error_code == message.error_code)
        return [_error(message.error_code, message, next(filter(None, said), ""))]
    unanswered = [receipt.status for receipt in trail.receipts if receipt.status in ("busy", "no-answer")]
    if unanswered:
        return [_THEIRS[unanswered[-1]]]
    ours = [receipt.status for receipt in trail.receipts if receipt.source == "us" and receipt.status in _OURS]
    return [_with_provider(_OURS[ours[-1]], message)] if ours and ours[-1] != "cancelled" else []


def _words_of(receipt: Receipt) -> str:
    """How a provider explained the failure of a call or a fax, if it did; of texts the code says more."""
    return str(receipt.raw.get("errorMessage") or receipt.raw.get("words") or "")


def _error(code: str, message: Message, words: str = "") -> str:
    if code in _UNHEARD:
        return _with_provider(_UNHEARD[code], message)
    if message.channel == "email":
        came_back = next((words for begin, words in _MAIL.items() if code.startswith(begin)), "It came back.")
        return f"{came_back} (status {code})"
    known = _SIP.get(code) or _REFUSALS.get(code) or _CLASSES.get(ERROR_CLASSES.get(int(code), "") if code.isdigit() else "")
    if words and not known:
        known = f"{{provider}} says: {words.rstrip('.').replace('{', '').replace('}', '')}."
    return _with_provider(f"{known or 'The reason that {provider} gave is only a number.'} (error {code})", message)


def _money(trail: Trail, state: State) -> str:
    message = trail.message
    total, charged, refunded = (
        format_amount(micros, message.unit) for micros in (message.total_micros, message.charged_micros, message.refunded_micros)
    )
    if not message.total_micros:
        return "It is free."
    if message.refunded_micros:
        return f"{charged} was charged and {refunded} of it given back, as your price list says for this end."
    if message.charged_micros < message.total_micros and message.charged_micros:
        used = message.charged_micros * message.segments // message.total_micros
        what = (
            f"{used} of {message.segments} minutes were talked"
            if message.channel == "voice"
            else f"{used} of {message.segments} pages arrived"
        )
        return f"{charged} was charged: {what}. The rest of the {total} held is available again."
    if message.charged_micros:
        return f"{charged} was charged."
    if state is State.WAITING:
        return f"Nothing is held for it yet: it costs {total} when it goes out."
    if not trail.entries:
        return "Nothing was held for it and nothing charged."
    if state in MACHINE.finals:
        return f"Nothing was charged: the {total} held for it is available again."
    return f"{total} is held for it and charged only if it goes out."


def _measured(message: Message) -> str:
    if message.channel == "email":
        return "An email is free."
    if message.channel == "mms":
        return "A picture message is one unit, whatever its text."
    if message.channel == "fax":
        return (
            f"The fax is {message.segments} page{'s' if message.segments > 1 else ''}; pages that do not arrive are not charged."
        )
    if message.channel == "voice":
        return "Its minutes are held before they are talked; those that are not talked are not charged."
    count = "1 segment" if message.segments == 1 else f"{message.segments} segments"
    if message.encoding != sms.Encoding.UCS2:
        return f"The text is {count} in {message.encoding}."
    forcing = [f"{it.character} ({it.name.lower()})" for it in sms.measure(message.body).forcing]
    shown = ", ".join(forcing[:_NAMED]) + (f" and {len(forcing) - _NAMED} more" if len(forcing) > _NAMED else "")
    return f"The text is {count} in {message.encoding}, because of {shown}."


def _entry(entry: Entry, message: Message, holds: Mapping[int, int]) -> Step:
    """What the available balance gains or loses: a hold takes all of it at once, so that a charge only gives back the rest."""
    kind = OVERRUN if entry.code == OVERRUN else entry.kind
    amount, held = entry.amount_micros, holds.get(entry.hold_id, 0)
    title, text, icon = _LEDGER[kind]
    if entry.hold_id != message.id and kind in _NEXT_MINUTES:
        text = _NEXT_MINUTES[kind]
    moved = {"hold": -amount, "post": held - amount, "void": held, "expire": held, "transfer": amount, OVERRUN: -amount}[kind]
    return Step(entry.at, icon, title, text.format(amount=format_amount(amount, message.unit)), moved or None, entry.id)


def _receipt(receipt: Receipt, message: Message) -> Step:
    ours = receipt.source == "us"
    theirs = _THEIRS | ({"completed": "The call ended."} if message.channel == "voice" else {})
    words = (_OURS if ours else theirs).get(receipt.status, receipt.status.replace("_", " ").capitalize() + ".")
    state = _STATE_OF_STATUS.get(receipt.status, receipt.status)
    said = [_SOURCES.get(receipt.source, receipt.source) + f": {receipt.status}."] if not ours else []
    if receipt.error_code:
        said.append(_error(receipt.error_code, message, _words_of(receipt)))
    return Step(receipt.at, state, _with_provider(words, message).rstrip("."), _with_provider(" ".join(said), message))
