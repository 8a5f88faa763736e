"""Pump 2's writes: claim what is queued, and put back what the provider surely did not take.

The re-check of consent stands in the claim's transaction: an opt-out that committed before the claim is obeyed (I19).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from postmeter.customers import bodies
from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.kit.crash import crash_point
from postmeter.messaging.kinds import ANSWER
from postmeter.messaging.night import night
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import State

ATTEMPTS_AT_MOST = 6
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
def claim(*, customer_id: int, at_most: int, now: datetime) -> list[Claimed]:
    """Take up to `at_most` queued messages for sending.

    What lapsed or opted out meanwhile ends here, released; what it is too early or too late in the day for waits for its morning.
    """
    found = calls.rows(
        """SELECT id, recipient, channel, useful_until, kind, provider FROM messaging_message
           WHERE customer_id = %s AND state = 'queued' AND due_at <= %s ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED""",
        [customer_id, now, at_most],
    )
    if not found:
        return []
    out = {
        (row[0], row[1])
        for row in calls.rows(
            "SELECT channel, address FROM consent_opt_out WHERE customer_id = %s AND address = ANY (%b)",
            [customer_id, [r[1] for r in found]],
        )
    }
    by_day = night(customer_id=customer_id, now=now)
    ended: list[Fact] = []
    later: list[tuple[int, datetime]] = []
    ids: list[int] = []
    for id_, recipient, channel, useful_until, kind, provider in found:
        opens = now if provider == "sandbox" else by_day.opens_at(recipient, channel, kind)
        if useful_until is not None and useful_until <= now:
            ended.append(Fact(id_, "us", "", State.EXPIRED, status="expired", refused=True))
        elif (channel, recipient) in out and kind != ANSWER:
            ended.append(Fact(id_, "us", "", State.CANCELLED, status="opted_out", refused=True))
        elif useful_until is not None and useful_until <= opens:
            ended.append(Fact(id_, "us", "", State.EXPIRED, status="quiet_hours", refused=True))
        elif opens > now:
            later.append((id_, opens))
        else:
            ids.append(id_)
    if later:
        _wait_for_day(customer_id, later, now)
    if ended:
        record(customer_id=customer_id, facts=ended, now=now)
    if not ids:
        return []
    claimed = calls.rows(
        """UPDATE messaging_message SET state = 'sending', attempts = attempts + 1, changed_at = %s
           WHERE customer_id = %s AND id BETWEEN %s AND %s AND id = ANY (%b)
           RETURNING customer_id, id, provider, sender, recipient, body, attempts""",
        [now, customer_id, ids[0], ids[-1], ids],
    )
    crash_point("messaging.claim_uncommitted")
    return [
        Claimed(owner, id_, provider, sender, recipient, bodies.unseal(customer_id, body), attempts)
        for owner, id_, provider, sender, recipient, body, attempts in claimed
    ]


def _wait_for_day(customer_id: int, later: Sequence[tuple[int, datetime]], now: datetime) -> None:
    """Put off what would come in the night; its price stays on hold, and its trail says why it waits (A-55)."""
    facts = [Fact(id_, "us", "", State.QUEUED, status="quiet_hours") for id_, _ in later]
    record(customer_id=customer_id, facts=facts, now=now)
    calls.rows(
        """UPDATE messaging_message m SET due_at = u.at, changed_at = %s FROM unnest(%b::bigint[], %b::timestamptz[]) AS u(id, at)
           WHERE m.customer_id = %s AND m.id = u.id""",
        [now, [id_ for id_, _ in later], [at for _, at in later], customer_id],
    )


@scoped
def put_back(*, customer_id: int, claimed: Sequence[Claimed], now: datetime) -> None:
    """Queue again what the provider surely did not take, later each time; after too many attempts it fails, released.

    Said twice, or too late, it changes nothing: who has claimed a message since then has a higher attempt (F60).
    """
    rows = calls.rows(
        """SELECT m.id, m.attempts FROM messaging_message m
           JOIN unnest(%b::bigint[], %b::smallint[]) AS c(id, attempts) ON c.id = m.id AND c.attempts = m.attempts
           WHERE m.customer_id = %s AND m.state = 'sending' ORDER BY m.id FOR NO KEY UPDATE OF m""",
        [[message.id for message in claimed], [message.attempts for message in claimed], customer_id],
    )
    spent = [Fact(id_, "us", "", State.FAILED, status="gave_up", refused=True) for id_, n in rows if n >= ATTEMPTS_AT_MOST]
    if spent:
        record(customer_id=customer_id, facts=spent, now=now)
    for id_, attempts in rows:
        if attempts < ATTEMPTS_AT_MOST:
            calls.rows(
                "UPDATE messaging_message SET state = 'queued', due_at = %s, changed_at = %s WHERE customer_id = %s AND id = %s",
                [now + timedelta(seconds=2**attempts), now, customer_id, id_],
            )
