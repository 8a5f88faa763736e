"""Reads of terms."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from postmeter.customers import queries as customers
from postmeter.db import scope
from postmeter.db.scope import scoped
from postmeter.kit.refusals import NotFound
from postmeter.statements import months
from postmeter.statements import queries as statements
from postmeter.terms.models import Adjustment, Agreement, ChangeRequest, Grant
from postmeter.wallets import queries as wallets

MOST_WAITING = 500


@scoped
def agreement(*, customer_id: int) -> Agreement:
    """What was agreed on, or what holds for everybody."""
    return Agreement.objects.filter(customer_id=customer_id).first() or Agreement(customer_id=customer_id)


@dataclass(frozen=True, slots=True)
class Spent:
    """What was charged for messages in a month, less what was given back; micro-units."""

    month: date
    amount_micros: int


@scoped
def spent(*, customer_id: int, now: datetime, count: int = 3) -> list[Spent]:
    """The last complete months, whoever's credit it was, the oldest first."""
    here, unit = zone(customer_id=customer_id), wallets.pool(customer_id=customer_id).unit
    month, found = months.last_complete(now, here), []
    for _ in range(count):
        since, until = (
            statements.used_before(customer_id=customer_id, unit=unit, at=months.begins(day, here))
            for day in (month, months.after(month))
        )
        found.append(Spent(month, until - since))
        month = months.before(month)
    return found[::-1]


@scoped
def adjustments(*, customer_id: int, at_most: int = 50) -> list[Adjustment]:
    """The newest first."""
    return list(Adjustment.objects.filter(customer_id=customer_id).order_by("-id")[:at_most])


@scoped
def adjustment(*, customer_id: int, adjustment_id: int) -> Adjustment:
    return Adjustment.objects.get(customer_id=customer_id, id=adjustment_id)


@scoped
def grant(*, customer_id: int, grant_id: int) -> Grant:
    return Grant.objects.get(customer_id=customer_id, id=grant_id)


@scoped
def requests(*, customer_id: int, at_most: int = 50) -> list[ChangeRequest]:
    """The newest first."""
    return list(ChangeRequest.objects.filter(customer_id=customer_id).order_by("-id")[:at_most])


@scoped
def request(*, customer_id: int, request_id: int) -> ChangeRequest:
    found = ChangeRequest.objects.filter(customer_id=customer_id, id=request_id).first()
    if found is None:
        raise NotFound("There is no such request.")
    return found


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for an account manager, the oldest first."""

    requests: list[ChangeRequest]
    adjustments: list[Adjustment]


def waiting() -> Waiting:
    """Of all customers. Only who may see every customer."""
    with scope.every_customer():
        return Waiting(
            list(ChangeRequest.objects.filter(state="asked").order_by("id")[:MOST_WAITING]),
            list(Adjustment.objects.filter(state="proposed").order_by("id")[:MOST_WAITING]),
        )


@scoped
def zone(*, customer_id: int) -> str:
    return str(customers.customer(customer_id=customer_id).time_zone)


def today(customer_id: int, now: datetime) -> date:
    """The day that it is where the customer is."""
    return now.astimezone(ZoneInfo(zone(customer_id=customer_id))).date()


# Each check is a query that returns the rows that are wrong.
CHECKS = {
    "every adjustment that is done stands in the ledger with its amount, and no other does": """
        SELECT a.id, a.state, a.amount_micros, moved.amount FROM terms_adjustment a
        LEFT JOIN LATERAL (SELECT sum(amount_micros) AS amount FROM ledger_transfer l WHERE l.customer_id = a.customer_id
            AND l.ref_id = a.id AND NOT l.pending) moved ON true
        WHERE a.customer_id = %(customer)s
            AND moved.amount IS DISTINCT FROM CASE a.state WHEN 'posted' THEN abs(a.amount_micros) END""",
    "every grant stands in the ledger with its amount, and ended with at most that": """
        SELECT g.id, g.amount_micros, given.amount, g.expired_micros, ended.amount FROM terms_grant g
        LEFT JOIN LATERAL (SELECT sum(amount_micros) AS amount FROM ledger_transfer l WHERE l.customer_id = g.customer_id
            AND l.ref_id = g.id AND l.code = 'promotion' AND NOT l.pending) given ON true
        LEFT JOIN LATERAL (SELECT sum(amount_micros) AS amount FROM ledger_transfer l WHERE l.customer_id = g.customer_id
            AND l.ref_id = g.id AND l.code = 'promotion_expired' AND NOT l.pending) ended ON true
        WHERE g.customer_id = %(customer)s AND (given.amount IS DISTINCT FROM g.amount_micros
            OR coalesce(ended.amount, 0) <> g.expired_micros OR g.expired_micros > g.amount_micros)""",
}
