"""What waits for credit, in the order in which it will go: by the deadline (A-43, A-45)."""

from dataclasses import dataclass
from datetime import datetime

from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.messaging.models import Message


@dataclass(frozen=True, slots=True)
class Queue:
    """The messages of one wallet that wait for its credit; micro-units."""

    count: int
    micros: int
    first_lapses_at: datetime | None
    lapsing: int  # of no use any more by the moment that was asked about


@scoped
def queue(*, customer_id: int, wallet_id: int, by: datetime) -> Queue:
    """How many wait, what they cost, and how many of them lapse `by` then."""
    row = calls.rows(
        """SELECT count(*), coalesce(sum(price_micros + fee_micros), 0)::bigint, min(useful_until),
               count(*) FILTER (WHERE useful_until <= %s)
           FROM messaging_message WHERE customer_id = %s AND wallet_id = %s AND state = 'waiting'""",
        [by, customer_id, wallet_id],
    )[0]
    return Queue(*row)


@scoped
def page(*, customer_id: int, wallet_id: int, at_most: int) -> list[Message]:
    """The first ones to go."""
    rows = Message.objects.filter(customer_id=customer_id, wallet_id=wallet_id, state="waiting")
    return list(rows.order_by("useful_until", "id")[:at_most])


@scoped
def released(*, customer_id: int, wallet_id: int, micros: list[int]) -> list[int]:
    """How many go with each of these amounts of free credit, the first deadlines first."""
    return [
        int(row[0])
        for row in calls.rows(
            """SELECT count(m.id) FILTER (WHERE m.running <= a.micros) FROM unnest(%s::bigint[]) WITH ORDINALITY a (micros, place)
               LEFT JOIN (
                   SELECT id, sum(price_micros + fee_micros) OVER (ORDER BY useful_until, id) AS running FROM messaging_message
                   WHERE customer_id = %s AND wallet_id = %s AND state = 'waiting') m ON true
               GROUP BY a.place ORDER BY a.place""",
            [micros, customer_id, wallet_id],
        )
    ]


def waiting_wallets() -> list[tuple[int, int]]:
    """(customer, wallet) wherever something waits, but in the sandbox."""
    with scope.every_customer():
        return [
            (int(row[0]), int(row[1]))
            for row in calls.rows(
                """SELECT DISTINCT customer_id, wallet_id FROM messaging_message
                   WHERE state = 'waiting' AND provider <> 'sandbox' ORDER BY 1, 2"""
            )
        ]
