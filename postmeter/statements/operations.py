"""Closing months, and mailing that they were."""

from datetime import date, datetime, timedelta

from postmeter.customers import queries as customers
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.refusals import Conflict
from postmeter.statements import documents, months, queries
from postmeter.statements.models import Statement
from postmeter.wallets import queries as wallets

GRACE = timedelta(hours=1)  # longer than any transaction: after it nothing is written into the month any more
MAILING_LEASE = timedelta(minutes=2)


class BeingMailed(Exception):
    """Another job has the claim on this mail."""


def close(*, customer_id: int, wallet_id: int, month: date, now: datetime) -> Statement:
    """Write down a month's balances and the hash of its movements, once: a second call answers the first one's row.

    Raises Conflict until an hour after its end, and NotFound.
    """
    known = queries.statement(customer_id=customer_id, wallet_id=wallet_id, month=month)
    if known:
        return known
    found = queries.month(customer_id=customer_id, wallet_id=wallet_id, month=month, now=now)
    if now < found.until + GRACE:
        raise Conflict("This month is not over.", field="month", remedy="Statements are closed an hour after the month's end.")
    return _write(customer_id=customer_id, found=found, sha256=documents.sha256_of(found), now=now)


@scoped
def _write(*, customer_id: int, found: queries.Month, sha256: str, now: datetime) -> Statement:
    added = calls.rows(
        """INSERT INTO statements_statement (customer_id, id, wallet_id, month, time_zone, since, until, unit, opening_micros,
               closing_micros, movements, sha256, closed_at)
           VALUES (%s, next_id(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (customer_id, wallet_id, month) DO NOTHING RETURNING id""",
        [
            customer_id,
            found.wallet.id,
            found.month,
            found.time_zone,
            found.since,
            found.until,
            found.wallet.unit,
            found.opening_micros,
            found.closing_micros,
            found.movements,
            sha256,
            now,
        ],
    )
    if added:
        data = {"month": months.written(found.month), "sha256": sha256}
        events.record("statement.closed", customer_id=customer_id, subject_id=added[0][0], now=now, data=data)
    return Statement.objects.get(customer_id=customer_id, wallet_id=found.wallet.id, month=found.month)


def close_due(*, customer_id: int, now: datetime) -> list[Statement]:
    """Close every month of every live wallet that is over: those since the last closed one, else the last one."""
    closed = []
    for wallet in wallets.wallets(customer_id=customer_id):
        if wallet.kind == "sandbox":
            continue
        zone = customers.customer(customer_id=customer_id).time_zone
        last = months.last_complete(now - GRACE, zone)
        latest = queries.statements(customer_id=customer_id, wallet_id=wallet.id, at_most=1)
        month = months.after(latest[0].month) if latest else last
        while month <= last and wallet.created_at < months.begins(months.after(month), zone):
            closed.append(close(customer_id=customer_id, wallet_id=wallet.id, month=month, now=now))
            month = months.after(month)
    return closed


@scoped
def start_mailing(*, customer_id: int, statement_id: int, now: datetime) -> Statement | None:
    """Claim the mail of a statement; None if it was sent, or nothing moved. Raises BeingMailed while another job has the claim."""
    found = queries.statement_of(customer_id=customer_id, statement_id=statement_id)
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=found.wallet_id)
    if found.mailed_at or not found.movements or wallet.kind != "pool":
        return None
    claimed = calls.rows(
        """UPDATE statements_statement SET mail_started_at = %s WHERE customer_id = %s AND id = %s AND mailed_at IS NULL
           AND (mail_started_at IS NULL OR mail_started_at <= %s) RETURNING id""",
        [now, customer_id, statement_id, now - MAILING_LEASE],
    )
    if not claimed:
        raise BeingMailed
    return found


@scoped
def finish_mailing(*, customer_id: int, statement_id: int, now: datetime) -> None:
    if Statement.objects.filter(customer_id=customer_id, id=statement_id, mailed_at=None).update(mailed_at=now):
        events.record("statement.mailed", customer_id=customer_id, subject_id=statement_id, now=now)
