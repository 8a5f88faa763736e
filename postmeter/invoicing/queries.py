"""Reads of invoices."""

from collections.abc import Collection

from postmeter.db.scope import scoped
from postmeter.invoicing.models import Invoice
from postmeter.kit.refusals import NotFound


@scoped
def invoice(*, customer_id: int, invoice_id: int) -> Invoice:
    found = Invoice.objects.filter(customer_id=customer_id, id=invoice_id).first()
    if found is None:
        raise NotFound("There is no such invoice.")
    return found


@scoped
def invoices(*, customer_id: int, before: int | None = None, at_most: int = 50) -> list[Invoice]:
    """The newest first; `before` is the id of the last one seen."""
    rows = Invoice.objects.filter(customer_id=customer_id).order_by("-id")
    return list((rows.filter(id__lt=before) if before else rows)[:at_most])


@scoped
def credit_notes(*, customer_id: int, invoice_id: int) -> list[Invoice]:
    """What corrects this document, the oldest first."""
    return list(Invoice.objects.filter(customer_id=customer_id, credits_id=invoice_id).order_by("id"))


@scoped
def invoices_named(*, customer_id: int, invoice_ids: Collection[int]) -> dict[int, Invoice]:
    return {row.id: row for row in Invoice.objects.filter(customer_id=customer_id, id__in=invoice_ids)}
