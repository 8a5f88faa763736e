"""Pump 2's writes: claim what is queued, and put back what the provider surely did not take.

The re-check of consent stands in the claim's transaction: an opt-out that committed before the claim is obeyed (I19).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from postmeter.consent.models import ALL
from postmeter.customers import bodies
from postmeter.customers import queries as customers
from postmeter.customers.models import Customer
from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.kit.crash import crash_point
from postmeter.messaging import callsettings, media, routes
from postmeter.messaging.channels import CHANNELS
from postmeter.messaging.kinds import ANSWER
from postmeter.messaging.night import Night, night_of
from postmeter.messaging.operations import asking
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.providers import Media
from postmeter.messaging.routes import SANDBOX
from postmeter.messaging.states import State

# Twice as long each time, five minutes at most: a provider that is away for twenty minutes fails nobody's message.
ATTEMPTS_AT_MOST = 12
PAUSE_AT_MOST = timedelta(minutes=5)
LEASE = timedelta(seconds=90)  # longer than any time limit of ours at a provider


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that this worker alone will send now."""

    customer_id: int
    id: int
    provider: str
    sender: str
    recipient: str
    body: str
    attempts: int
    channel: str
    kind: str
    media: tuple[Media, ...] = ()
    name: str = ""  # the customer's, and its address: an email says both
    postal_address: str = ""
    time_zone: str = ""
    units: int = 1
    finds_machines: bool = False  # on a call


# A loose scan of the queue's index: as many probes as customers with work, however long their queues are.
_CUSTOMERS = """
WITH RECURSIVE c AS (
    (SELECT customer_id FROM messaging_message WHERE state = 'queued' ORDER BY customer_id LIMIT 1)
    UNION ALL
    SELECT (SELECT m.customer_id FROM messaging_message m WHERE m.state = 'queued' AND m.customer_id > c.customer_id
            ORDER BY m.customer_id LIMIT 1)
    FROM c WHERE c.customer_id IS NOT NULL)
SELECT customer_id FROM c WHERE customer_id IS NOT NULL"""


def customers_with_work() -> list[int]:
    """The customers that have queued messages, in order of id, so that the worker can go round them."""
    with scope.every_customer():
        return [row[0] for row in calls.rows(_CUSTOMERS)]


@scoped
def claim(*, customer_id: int, at_most: int, now: datetime, down: frozenset[str] = frozenset()) -> list[Claimed]:
    """Take up to `at_most` queued messages for sending, each by its provider; `down` are passed over.

    While the guard's breaker is open only our answers go.

    What lapsed or opted out meanwhile ends here, released; what it is too early or too late in the day for waits for its morning,
    and what nobody has agreed to get waits for their answer.
    """
    found = [
        _Due(*row)
        for row in calls.rows(
            """SELECT id, sender, recipient, channel, useful_until, kind, provider, created_by, attempts FROM messaging_message
               WHERE customer_id = %s AND state = 'queued' AND due_at <= %s AND (kind = %s OR NOT EXISTS (
                   SELECT 1 FROM guard_stop s WHERE s.customer_id = %s AND s.lifted_at IS NULL))
               ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED""",
            [customer_id, now, ANSWER, customer_id, at_most],
        )
    ]
    if not found:
        return []
    customer = customers.customer(customer_id=customer_id)
    rules = _rules(customer, found, now)
    fates = [(due, rules.fate_of(due)) for due in found]
    _put_off(customer_id, [(due, fate) for due, fate in fates if fate.until], now)
    ended = [Fact(due.id, "us", "", fate.ends, status=fate.why, refused=True) for due, fate in fates if fate.ends is not None]
    if ended:
        record(customer_id=customer_id, facts=ended, now=now)
    going = [due for due, fate in fates if fate is GOES]
    if not going:
        return []
    claimed = calls.rows(
        """UPDATE messaging_message m SET state = 'sending', provider = u.provider, attempts = attempts + 1, changed_at = %s
           FROM unnest(%b::bigint[], %b::text[]) AS u(id, provider)
           WHERE m.customer_id = %s AND m.id BETWEEN %s AND %s AND m.id = u.id
           RETURNING m.customer_id, m.id, m.provider, m.sender, m.recipient, m.body, m.attempts, m.channel, m.kind, m.segments""",
        [now, [due.id for due in going], [due.by(down) for due in going], customer_id, going[0].id, going[-1].id],
    )
    crash_point("messaging.claim_uncommitted")
    files = media.of_messages(customer_id=customer_id, message_ids=[row[1] for row in claimed if row[7] in media.CHANNELS])
    finds_machines = any(row[7] == "voice" for row in claimed) and callsettings.rules(customer_id=customer_id).finds_machines
    opened = [
        Claimed(
            owner,
            id_,
            provider,
            sender,
            recipient,
            bodies.unseal(customer_id, body),
            attempts,
            channel,
            kind,
            files.get(id_, ()),
            customer.name,
            customer.address,
            customer.time_zone,
            units,
            finds_machines,
        )
        for owner, id_, provider, sender, recipient, body, attempts, channel, kind, units in claimed
    ]
    # What says that a text cannot be read is for our pages, not for its recipient.
    lost = [message for message in opened if message.body == bodies.GONE]
    if lost:
        facts = [Fact(message.id, "us", "", State.FAILED, status="unreadable", refused=True) for message in lost]
        record(customer_id=customer_id, facts=facts, now=now)
    return [message for message in opened if message.body != bodies.GONE]


@dataclass(frozen=True, slots=True)
class _Due:
    """A queued message whose time has come."""

    id: int
    sender: str
    recipient: str
    channel: str
    useful_until: datetime | None
    kind: str
    provider: str
    created_by: str
    attempts: int

    def by(self, down: frozenset[str]) -> str:
        """Who carries it. An answer of ours goes by the provider through which its recipient wrote."""
        fixed = self.provider == SANDBOX or self.kind == ANSWER
        return self.provider if fixed else routes.choose(self.channel, self.recipient, self.attempts, down)


@dataclass(frozen=True, slots=True)
class _Fate:
    """What becomes of it now: it goes, ends in a state, or is looked at again; `why` stands in its trail."""

    ends: State | None = None
    why: str = ""
    until: datetime | None = None


GOES = _Fate()


@dataclass(frozen=True, slots=True)
class _Rules:
    """What is asked of each message once more before it goes, all of it read in the claim's transaction."""

    out: frozenset[tuple[str, str, str]]
    by_day: Night
    gate: asking.Gate
    now: datetime

    def fate_of(self, due: _Due) -> _Fate:
        ends = due.useful_until
        if ends is not None and ends <= self.now:
            return _Fate(State.EXPIRED, "expired")
        if due.kind != ANSWER and self._is_out(due):
            return _Fate(State.CANCELLED, "opted_out")
        if due.provider == SANDBOX:
            return GOES
        opens = self.by_day.opens_at(due.recipient, due.channel, due.kind)
        if ends is not None and ends <= opens:
            return _Fate(State.EXPIRED, "quiet_hours")
        if opens > self.now:
            return _Fate(until=opens, why="quiet_hours")
        if self.gate.holds(due.recipient, due.channel, due.kind):
            again = self.gate.looks_again(due.recipient, due.channel, ends, self.now)
            return _Fate(until=again, why="waits_for_consent") if again else _Fate(State.EXPIRED, "no_consent")
        return GOES

    def _is_out(self, due: _Due) -> bool:
        address = CHANNELS[due.channel].opted_out_of, due.recipient
        return (*address, ALL) in self.out or (*address, due.kind) in self.out


def _rules(customer: Customer, found: Sequence[_Due], now: datetime) -> _Rules:
    customer_id, addresses = customer.id, [due.recipient for due in found]
    out = calls.rows(
        "SELECT channel, address, purpose FROM consent_opt_out WHERE customer_id = %s AND address = ANY (%b)",
        [customer_id, addresses],
    )
    return _Rules(
        frozenset((channel, address, purpose) for channel, address, purpose in out),
        night_of(customer, now),
        asking.gate(customer, addresses),
        now,
    )


def _put_off(customer_id: int, later: Sequence[tuple[_Due, _Fate]], now: datetime) -> None:
    """Look at these again: its price stays on hold, and its trail says what it waits for. Whose consent is missing is asked."""
    if not later:
        return
    record(customer_id=customer_id, facts=[Fact(due.id, "us", "", State.QUEUED, status=fate.why) for due, fate in later], now=now)
    calls.rows(
        """UPDATE messaging_message m SET due_at = u.at, changed_at = %s FROM unnest(%b::bigint[], %b::timestamptz[]) AS u(id, at)
           WHERE m.customer_id = %s AND m.id = u.id""",
        [now, [due.id for due, _ in later], [fate.until for _, fate in later], customer_id],
    )
    silent = [
        asking.Silent(due.recipient, due.channel, due.id, due.sender, due.created_by)
        for due, fate in later
        if fate.why == "waits_for_consent"
    ]
    if silent:
        asking.ask(customer_id=customer_id, waiting=silent, now=now)


@scoped
def put_back(*, customer_id: int, claimed: Sequence[Claimed], now: datetime) -> None:
    """Queue again what the provider surely did not take, later each time; after too many attempts it fails, released.

    Said twice, or too late, it changes nothing: who has claimed a message since then has a higher attempt (F60).
    """
    rows = calls.rows(
        """SELECT m.id, m.attempts, m.channel, m.recipient, m.kind FROM messaging_message m
           JOIN unnest(%b::bigint[], %b::smallint[]) AS c(id, attempts) ON c.id = m.id AND c.attempts = m.attempts
           WHERE m.customer_id = %s AND m.state = 'sending' ORDER BY m.id FOR NO KEY UPDATE OF m""",
        [[message.id for message in claimed], [message.attempts for message in claimed], customer_id],
    )
    spent = [Fact(row[0], "us", "", State.FAILED, status="gave_up", refused=True) for row in rows if row[1] >= ATTEMPTS_AT_MOST]
    if spent:
        record(customer_id=customer_id, facts=spent, now=now)
    for id_, attempts, channel, recipient, kind in rows:
        if attempts < ATTEMPTS_AT_MOST:
            others = 1 if kind == ANSWER else len(routes.order(channel, recipient))
            # Whom nobody has asked yet is asked at once.
            wait = timedelta(0) if attempts < others else min(timedelta(seconds=2**attempts), PAUSE_AT_MOST)
            calls.rows(
                "UPDATE messaging_message SET state = 'queued', due_at = %s, changed_at = %s WHERE customer_id = %s AND id = %s",
                [now + wait, now, customer_id, id_],
            )
