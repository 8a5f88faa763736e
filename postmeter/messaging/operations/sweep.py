"""Nothing stays open for ever: leases that ran out, outcomes nobody knows, receipts that never came (A-09, I28).

Each function serves one customer and says how many messages it moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from postmeter.customers import bodies
from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.messaging.operations.dispatch import LEASE
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import State

UNKNOWN_FOR = timedelta(hours=24)
ENDS_WITHIN = timedelta(hours=1)  # a call; a fax, with all calls that are made for it
TOLD_AT_THE_END = ["fax", "voice"]  # channels whose last word says how much is to be paid for
RECEIPT_WITHIN = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Lost:
    """A message whose outcome, or whose end, is unknown: what the provider is asked about."""

    id: int
    provider: str
    sender: str
    recipient: str
    body: str
    channel: str
    ref: str
    taken_refs: frozenset[str]


def customers_with_open_messages() -> list[int]:
    with scope.every_customer():
        return [
            row[0]
            for row in calls.rows(
                "SELECT DISTINCT customer_id FROM messaging_message WHERE state IN ('waiting', 'sending', 'sent', 'unknown')"
            )
        ]


@scoped
def end_leases(*, customer_id: int, now: datetime) -> int:
    """Messages whose worker died between claim and outcome: the provider may have them, so they are unknown."""
    rows = calls.rows(
        """SELECT id FROM messaging_message WHERE customer_id = %s AND state = 'sending' AND changed_at < %s
           ORDER BY id LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED""",
        [customer_id, now - LEASE],
    )
    facts = [Fact(row[0], "us", "", State.UNKNOWN, status="lease_ended") for row in rows]
    return record(customer_id=customer_id, facts=facts, now=now).moved


@scoped
def lost(*, customer_id: int, now: datetime, after: int = 0, at_most: int = 100) -> list[Lost]:
    """Unknown messages after this id to ask the provider about, with its names of our other messages to the same number; and faxes and
    calls whose end should have been told: only it says how much of them is to be paid for."""
    rows = calls.rows(
        """SELECT m.id, m.provider, m.sender, m.recipient, m.body, m.channel, m.provider_ref,
                  ARRAY(SELECT o.provider_ref FROM messaging_message o WHERE o.customer_id = m.customer_id
                        AND o.recipient = m.recipient
                        AND o.provider_ref <> '' AND o.id <> m.id AND o.id >= m.id - (7 * 86400000::bigint << 21))
           FROM messaging_message m WHERE m.customer_id = %s AND m.id > %s
               AND (m.state = 'unknown' OR m.state = 'sent' AND m.channel = ANY (%s) AND m.changed_at < %s)
           ORDER BY m.id LIMIT %s""",
        [customer_id, after, TOLD_AT_THE_END, now - ENDS_WITHIN, at_most],
    )
    return [
        Lost(id_, provider, sender, recipient, bodies.unseal(customer_id, body), channel, ref, frozenset(refs))
        for id_, provider, sender, recipient, body, channel, ref, refs in rows
    ]


@scoped
def give_up(*, customer_id: int, asked: Sequence[int], now: datetime) -> int:
    """Unknown for a day, and among those `asked` about in this round: released and named, never resent.

    A receipt that comes later is kept beside it.
    """
    rows = calls.rows(
        """SELECT id FROM messaging_message WHERE customer_id = %s AND state = 'unknown' AND id = ANY (%b) AND changed_at < %s
           ORDER BY id FOR NO KEY UPDATE SKIP LOCKED""",
        [customer_id, list(asked), now - UNKNOWN_FOR],
    )
    facts = [Fact(row[0], "us", "", State.EXPIRED, status="never_known", refused=True) for row in rows]
    return record(customer_id=customer_id, facts=facts, now=now).moved


@scoped
def settle_silent(*, customer_id: int, now: datetime) -> int:
    """Taken by the provider, and no receipt for days: charged, because the provider bills what it took. The state stays sent."""
    rows = calls.rows(
        """SELECT id FROM messaging_message WHERE customer_id = %s AND state = 'sent' AND charged_micros = 0
               AND price_micros + fee_micros > 0 AND changed_at < %s ORDER BY id LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED""",
        [customer_id, now - RECEIPT_WITHIN],
    )
    facts = [Fact(row[0], "us", "", State.SENT, status="no_receipt", billable=True) for row in rows]
    return record(customer_id=customer_id, facts=facts, now=now).moved


@scoped
def forget_keys(*, customer_id: int, now: datetime) -> int:
    """Idempotency keys past their time."""
    return len(calls.rows("DELETE FROM messaging_key WHERE customer_id = %s AND expires_at < %s RETURNING 1", [customer_id, now]))
