"""Reads of payment methods and payments."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from postmeter.db import scope
from postmeter.db.scope import scoped
from postmeter.kit.refusals import NotFound
from postmeter.payments.health import has_expired as has_expired
from postmeter.payments.health import is_chargeable
from postmeter.payments.models import Payment, PaymentMethod
from postmeter.payments.states import OPEN

ANSWER_EXPECTED_IN = timedelta(minutes=2)
ASK_AT_LEAST_EVERY = timedelta(minutes=15)


@scoped
def methods(*, customer_id: int, member_id: int = 0) -> list[PaymentMethod]:
    """The customer's, or a member's own (A-25), in their order."""
    rows = PaymentMethod.objects.filter(customer_id=customer_id, member_id=member_id, removed_at=None)
    return list(rows.order_by("position", "id"))


@scoped
def method(*, customer_id: int, method_id: int) -> PaymentMethod:
    found = PaymentMethod.objects.filter(customer_id=customer_id, id=method_id, removed_at=None).first()
    if found is None:
        raise NotFound("There is no such payment method.")
    return found


def chargeable(*, customer_id: int, now: datetime) -> list[PaymentMethod]:
    """The methods that may be charged automatically at this moment, in the order in which they are tried (S-113, S-117)."""
    return [row for row in methods(customer_id=customer_id) if is_chargeable(row, now=now)]


def primary(rows: Sequence[PaymentMethod], *, now: datetime) -> PaymentMethod | None:
    """Of methods in their order, the one that is charged first: the first that is chargeable (A-27)."""
    return next((row for row in rows if is_chargeable(row, now=now)), None)


@scoped
def payment(*, customer_id: int, payment_id: int) -> Payment:
    found = Payment.objects.filter(customer_id=customer_id, id=payment_id).first()
    if found is None:
        raise NotFound("There is no such payment.")
    return found


@scoped
def payments(*, customer_id: int, payment_ids: list[int]) -> dict[int, Payment]:
    return {row.id: row for row in Payment.objects.filter(customer_id=customer_id, id__in=payment_ids)}


@scoped
def methods_named(*, customer_id: int, method_ids: Collection[int]) -> dict[int, PaymentMethod]:
    """Methods by id, removed ones too: old payments name them."""
    return {row.id: row for row in PaymentMethod.objects.filter(customer_id=customer_id, id__in=method_ids)}


@scoped
def due_to_ask(*, customer_id: int, now: datetime) -> list[Payment]:
    """Payments without an end whose turn to be asked about has come, the longest silent first.

    The pauses double from two minutes to a quarter of an hour: a bank debit is under way for days, and asking all the
    time would be refused when it matters.
    """
    rows = Payment.objects.filter(customer_id=customer_id, state__in=[str(s) for s in OPEN]).order_by("changed_at")
    return [row for row in rows if now - _last_heard(row) >= _pause(row)]


def without_end(*, older_than: datetime, at_most: int = 200) -> list[Payment]:
    """Payments of all customers that were begun before and have no end yet, the oldest first. Only who may see every customer."""
    with scope.every_customer():
        rows = Payment.objects.filter(state__in=[str(s) for s in OPEN], created_at__lt=older_than)
        return list(rows.order_by("created_at")[:at_most])


def _last_heard(payment: Payment) -> datetime:
    return max(payment.changed_at, payment.asked_at or payment.changed_at)


def _pause(payment: Payment) -> timedelta:
    return min(max(_last_heard(payment) - payment.created_at, ANSWER_EXPECTED_IN), ASK_AT_LEAST_EVERY)
