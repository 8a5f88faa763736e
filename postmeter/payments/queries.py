"""Reads of payment methods and payments."""

from datetime import datetime

from postmeter.db.scope import scoped
from postmeter.kit.refusals import NotFound
from postmeter.payments.models import Payment, PaymentMethod
from postmeter.payments.states import OPEN


@scoped
def methods(*, customer_id: int) -> list[PaymentMethod]:
    return list(PaymentMethod.objects.filter(customer_id=customer_id, removed_at=None).order_by("position", "id"))


@scoped
def method(*, customer_id: int, method_id: int) -> PaymentMethod:
    found = PaymentMethod.objects.filter(customer_id=customer_id, id=method_id, removed_at=None).first()
    if found is None:
        raise NotFound("There is no such payment method.")
    return found


def has_expired(method: PaymentMethod, *, now: datetime) -> bool:
    """A card is good to the end of its month."""
    return (method.expires_year, method.expires_month) < (now.year, now.month)


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
def open_payments(*, customer_id: int, changed_before: datetime) -> list[Payment]:
    """Payments without an end that nobody has heard of lately."""
    rows = Payment.objects.filter(customer_id=customer_id, state__in=[str(s) for s in OPEN], changed_at__lt=changed_before)
    return list(rows.order_by("changed_at"))
