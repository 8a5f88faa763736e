"""Emails that come to us: replies and their files into the inbox, bounces and complaints to the message that they speak of.

One transaction for each, committed before the mail server is told that we have it; else it keeps it and says it again.
"""

import logging
import re
from collections.abc import Callable
from datetime import datetime

from postmeter.consent import operations as consent
from postmeter.consent import queries as consents
from postmeter.consent import words
from postmeter.consent.models import ALL
from postmeter.consent.words import Wish
from postmeter.contacts import operations as contacts
from postmeter.customers import queries as customers
from postmeter.db import scope
from postmeter.events import operations as events
from postmeter.kit import cards
from postmeter.kit.crash import crash_point
from postmeter.kit.refusals import NotFound, Refusal
from postmeter.messaging import inbox, media, queries
from postmeter.messaging.addresses import COMPLAINTS, Box, read_mailbox, read_token
from postmeter.messaging.answers import question_by_email
from postmeter.messaging.channels import email
from postmeter.messaging.inbox import Attention, Come
from postmeter.messaging.kinds import PURPOSES
from postmeter.messaging.letters import Letter, Report, enhanced, read
from postmeter.messaging.models import Message
from postmeter.messaging.operations import asking
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.operations.stopping import Stop, purpose_of, stop
from postmeter.messaging.states import State

log = logging.getLogger("postmeter.mail")
PROVIDER = "smtp"
SAID_BRIEFLY = 200  # characters: a wish to stop is said in a few words; a letter that holds such words is for people to read
_TOKEN = re.compile(r"<([0-9a-f]{32})@")
# What mail servers report (RFC 3464 2.3.3). What is delayed, relayed or expanded moves nothing.
_MOVES = {"failed": (State.UNDELIVERED, "returned"), "delivered": (State.DELIVERED, "arrived")}


class Nobody(NotFound):
    """There is no mailbox of that name here."""


def look_for(address: str) -> Box:
    """What an address of ours stands for. Raises Nobody."""
    box = read_mailbox(address)
    if box is None:
        raise Nobody
    if box.number and customers.customer_of_mailbox(box.number) is None:
        raise Nobody
    if box.message_id and _message(box) is None:
        raise Nobody
    return box


def deliver(*, recipient: str, sender: str, raw: bytes, now: datetime) -> bool:
    """Take in one email for one of our addresses, from the envelope's sender. Says whether it is new. Raises Nobody."""
    box, letter = look_for(recipient), read(raw)
    if box.way == COMPLAINTS or letter.report:
        about = _about(box, letter)
        return _hear(about, letter.report, now) if about and letter.report else False
    return _WAYS.get(box.way, _keep)(box, sender, letter, now)


def hear(*, token: str, action: str, words: str, now: datetime) -> bool:
    """What a mail service says of an email that we gave it with this token. Says whether it is new."""
    pair = read_token(token)
    message = _message(Box("", *pair)) if pair else None
    if message is None or message.channel != "email":
        return False
    status = enhanced(words, "5.0.0") if action == "failed" else ""
    return _hear(message, Report(action, status, words[:200].replace("\x00", "")), now)


def _about(box: Box, letter: Letter) -> Message | None:
    found = _TOKEN.search(letter.report.about) if letter.report else None
    pair = read_token(found[1]) if found else None
    return _message(Box("", *pair) if pair else box)


def _message(box: Box) -> Message | None:
    if not box.message_id:
        return None
    try:
        with scope.customer(box.customer_id):
            return queries.message(customer_id=box.customer_id, message_id=box.message_id)
    except Refusal:
        return None


def _hear(message: Message, report: Report, now: datetime) -> bool:
    """A bounce (S-074, S-075), or that its recipient called it unwanted, which is the plainest way to opt out."""
    if report.action == "complaint":
        return _stop(message, "complaint", report.words, now)
    if report.action not in _MOVES:
        return False
    state, status = _MOVES[report.action]
    fact = Fact(message.id, "callback", message.provider, state, "", status, report.status, raw={"report": report.words})
    return bool(record(customer_id=message.customer_id, facts=[fact], now=now).new)


def _stop(message: Message, source: str, said: str, now: datetime, purpose: str = ALL) -> bool:
    asked = Stop("email", message.recipient, source, "recipient", said, purpose)
    return bool(stop(customer_id=message.customer_id, stops=[asked], now=now))


def whose(*, customer_id: int, message_id: int) -> tuple[str, str]:
    """Whose email this was, and whom it went to. Raises NotFound."""
    recipient = _email(customer_id, message_id).recipient
    return customers.customer(customer_id=customer_id).name, recipient


def unsubscribe(*, customer_id: int, message_id: int, source: str, now: datetime, only_its_kind: bool = False) -> bool:
    """The recipient of this email wants no more of them, or no more of its kind. Says whether that is new. Raises NotFound."""
    found = _email(customer_id, message_id)
    return _stop(found, source, "", now, purpose_of(found.kind) if only_its_kind else ALL)


def stops(*, customer_id: int, message_id: int, now: datetime) -> tuple[str, str]:
    """What the kind of this email is called, where it can be stopped by itself, and how far a STOP reaches. Raises NotFound."""
    kind = _email(customer_id, message_id).kind
    return PURPOSES.get(kind, ""), consents.stop_rules(customer_id=customer_id, now=now)[0]


def _email(customer_id: int, message_id: int) -> Message:
    found = _message(Box("", customer_id, message_id))
    if found is None or found.channel != "email":
        raise NotFound("There is no such email.", remedy="Open the link as it stands in the email.")
    return found


def _by_mail(box: Box, sender: str, letter: Letter, now: datetime) -> bool:
    return unsubscribe(customer_id=box.customer_id, message_id=box.message_id, source="unsubscribe mail", now=now)


def _bounced(box: Box, sender: str, letter: Letter, now: datetime) -> bool:
    """What is no report but was written by a machine is an answer of "out of office": it moves nothing."""
    return False if letter.said_by_machine else _keep(box, sender, letter, now)


def _keep(box: Box, sender: str, letter: Letter, now: datetime) -> bool:
    """A person's words: kept with their files in the conversation of whom our email went to, or of who writes (S-060, S-063)."""
    about = _message(box)
    customer_id = box.customer_id or customers.customer_of_mailbox(box.number) or 0
    writer = _writer(letter.sender, sender, about)
    with scope.customer(customer_id):
        of = about.recipient if about and about.channel == "email" else writer
        contact_id = contacts.of_address(customer_id=customer_id, medium="email", value=of, actor="system", now=now)
        thread_id = inbox.thread_of(customer_id=customer_id, contact_id=contact_id, now=now)
        wish = _wish(customer_id, of, letter)
        # A card number is never kept (promises.md 3.4).
        text = cards.mask(f"{letter.subject}\n{letter.text}")
        come = Come("email", writer, about.sender if about else "", text, PROVIDER, letter.ref, wish or "")
        new = inbox.keep(customer_id=customer_id, thread_id=thread_id, come=come, now=now)
        if new is None:
            return False
        if letter.media:
            kept = media.keep(customer_id=customer_id, files=letter.media, actor="recipient", now=now)
            media.attach(customer_id=customer_id, message_ids=[new], media_ids=kept)
        attention = Attention.NONE if letter.said_by_machine else _obey(customer_id, of, wish, letter.new, now)
        inbox.came_in(customer_id=customer_id, thread_id=thread_id, attention=attention, now=now)
        events.record("message.received", customer_id=customer_id, subject_id=new, now=now, data={"wish": wish})
        crash_point("messaging.mail_uncommitted")
    return True


def _writer(said: str, envelope: str, about: Message | None) -> str:
    """Who writes: the address that the email names, else the envelope's, else whom ours went to."""
    for address in (said, envelope, about.recipient if about else ""):
        try:
            return email.read(address)
        except Refusal:
            continue
    raise Nobody("This email does not say who writes it.")


def _wish(customer_id: int, address: str, letter: Letter) -> Wish | None:
    said = letter.new or letter.subject
    if letter.said_by_machine or len(said) > SAID_BRIEFLY:
        return None
    found = words.wish(said)
    return Wish.AGREE if found in (None, Wish.START) and words.agrees(said) and _is_asked(customer_id, address) else found


def _is_asked(customer_id: int, address: str) -> bool:
    known = consents.permissions(customer_id=customer_id, channel="email", addresses=[address]).get(address)
    return known is not None and known.state == "asked"


def agree(*, customer_id: int, message_id: int, now: datetime) -> None:
    """Whom this email waits for agrees to get it, by the page that they were shown (S-050). Raises NotFound."""
    found = _email(customer_id, message_id)
    with scope.customer(customer_id):
        said = question_by_email(name=customers.customer(customer_id=customer_id).name)
        _give(customer_id, found.recipient, "page", said, now)


def _give(customer_id: int, address: str, source: str, said: str, now: datetime) -> None:
    consent.give(customer_id=customer_id, channel="email", address=address, source=source, words=said, now=now, actor="recipient")
    asking.go_on(customer_id=customer_id, recipient=address, now=now)


def _obey(customer_id: int, address: str, wish: Wish | None, said: str, now: datetime) -> Attention:
    """Do what is asked for. An email is not confirmed by another: machines would go on answering each other."""
    if wish in (Wish.STOP, Wish.WRONG_NUMBER):
        wrong = wish is Wish.WRONG_NUMBER
        asked = Stop("email", address, "wrong address" if wrong else "reply", "recipient", said, is_wrong=wrong)
        stop(customer_id=customer_id, stops=[asked], now=now)
        return Attention.WRONG_NUMBER if wish is Wish.WRONG_NUMBER else Attention.NONE
    if wish is Wish.AGREE:
        _give(customer_id, address, "reply", said, now)
        return Attention.NONE
    if wish is Wish.START:
        consent.opt_in(customer_id=customer_id, channel="email", address=address, now=now, actor="recipient", words=said)
        return Attention.NONE
    return Attention.REPLY


_WAYS: dict[str, Callable[[Box, str, Letter, datetime], bool]] = {"stop": _by_mail, "bounce": _bounced}
