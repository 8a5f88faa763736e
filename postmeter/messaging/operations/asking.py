"""Opt-in: whoever has not agreed is asked just before their first message, which waits for the answer and ends without one (S-049 … S-054).

Fax is exempt (S-051) unless it advertises: then it goes to whoever has agreed and nobody is asked, for a question by fax would come as
unasked for as the advertisement (47 U.S.C. 227(b)(1)(C)). So are our own answers.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from postmeter.consent import operations as consent
from postmeter.consent import queries
from postmeter.consent.models import Permission
from postmeter.customers import queries as customers
from postmeter.customers.models import Customer
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.kit.refusals import Refusal
from postmeter.messaging.addresses import agree_url
from postmeter.messaging.answers import question, question_by_email
from postmeter.messaging.callsettings import rules
from postmeter.messaging.channels import CHANNELS, voice
from postmeter.messaging.kinds import ADVERTISING, ANSWER, CODE, OPT_IN
from postmeter.messaging.operations.accept import Submission, submit_together

ANSWER_WITHIN = timedelta(hours=48)
AGAIN_AFTER = timedelta(hours=1)  # how soon a message that waits is looked at again when nobody answers
ASKED_ON = frozenset({"sms", "mms", "voice", "email"})
EXEMPT = frozenset({ANSWER, OPT_IN, CODE})  # whoever wants a code has asked for it


@dataclass(frozen=True, slots=True)
class Gate:
    """What is known of some recipients' consent; `is_shut` is False for a customer that asks nobody."""

    is_shut: bool
    known: Mapping[tuple[str, str], Permission]  # by the channel that consent is kept for, and address

    def holds(self, recipient: str, channel: str, kind: str) -> bool:
        """Whether a message must wait for its recipient's answer."""
        known = self.known.get((CHANNELS[channel].opted_out_of, recipient))
        is_asked_for = channel in ASKED_ON or kind == ADVERTISING
        return self.is_shut and is_asked_for and kind not in EXEMPT and (known is None or known.state != "given")

    def looks_again(self, recipient: str, channel: str, useful_until: datetime | None, now: datetime) -> datetime | None:
        """When a message that is held is looked at again; None when nobody has answered in time, or nobody is asked. They are asked
        once (A-71)."""
        if channel not in ASKED_ON:
            return None
        known = self.known.get((CHANNELS[channel].opted_out_of, recipient))
        ends = [moment for moment in (useful_until, known and known.changed_at + ANSWER_WITHIN) if moment]
        if ends and min(ends) <= now:
            return None
        return min([now + AGAIN_AFTER, *ends])


def gate(customer: Customer, addresses: Collection[str]) -> Gate:
    if not customer.opt_in:
        return Gate(False, {})
    return Gate(True, queries.permissions_of(customer_id=customer.id, addresses=addresses))


@dataclass(frozen=True, slots=True)
class Silent:
    """Whose consent a message waits for. `message_id`: of one that waits, `sender`: which number of ours sends it, for `actor`."""

    recipient: str
    channel: str
    message_id: int
    sender: str
    actor: str


@scoped
def ask(*, customer_id: int, waiting: Iterable[Silent], now: datetime) -> None:
    """Ask each of them once. What credit does not cover is asked when there is some: no answer is lost.

    All are reserved before the first costs anything: two workers that ask the same people never wait for each other.
    """
    silent: dict[str, dict[str, Silent]] = {}
    for one in waiting:
        silent.setdefault(CHANNELS[one.channel].opted_out_of, {})[one.recipient] = one
    for channel in sorted(silent):
        _ask(customer_id, channel, silent[channel], now)


def _ask(customer_id: int, channel: str, silent: Mapping[str, Silent], now: datetime) -> None:
    mine = consent.reserve(customer_id=customer_id, channel=channel, addresses=silent.keys(), now=now)
    if not mine:
        return
    words = _words(customers.customer(customer_id=customer_id), channel)
    questions = [_question(customer_id, channel, words, silent[to]) for to in mine]
    answers = submit_together(questions, now=now)
    refused = [to for to, answer in zip(mine, answers, strict=True) if isinstance(answer, Refusal)]
    consent.not_asked(customer_id=customer_id, channel=channel, addresses=refused)
    asked = [to for to in mine if to not in refused]
    consent.asked(customer_id=customer_id, channel=channel, addresses=asked, words=words, now=now)


def _words(customer: Customer, channel: str) -> str:
    if channel == "email":
        return question_by_email(name=customer.name, language=customer.language)
    if channel == "voice":
        return voice.question(rules(customer_id=customer.id).language)  # the language of its voice
    return question(name=customer.name, language=customer.language)


def _question(customer_id: int, channel: str, words: str, of: Silent) -> Submission:
    by_email = channel == "email"
    body = f"{words}\n\n{agree_url(customer_id, of.message_id)}" if by_email else words
    sender = None if by_email else of.sender
    return Submission(customer_id, [of.recipient], [body], of.actor, channel=channel, kind=OPT_IN, sender=sender)


@scoped
def go_on(*, customer_id: int, recipient: str, now: datetime) -> int:
    """They agreed: what waited for that goes out now. Returns how many messages."""
    return len(
        calls.rows(
            """UPDATE messaging_message m SET due_at = %s, changed_at = %s
               WHERE m.customer_id = %s AND m.recipient = %s AND m.state = 'queued' AND m.due_at > %s AND EXISTS (
                   SELECT 1 FROM messaging_receipt r WHERE r.customer_id = m.customer_id AND r.message_id = m.id
                       AND r.source = 'us' AND r.status = 'waits_for_consent')
               RETURNING m.id""",
            [now, now, customer_id, recipient, now],
        )
    )
