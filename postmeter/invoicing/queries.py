"""Reads of invoices."""

from collections.abc import Collection
from datetime import date, datetime

from django.db.models import QuerySet, Sum

from postmeter.customers import queries as customers
from postmeter.db import scope
from postmeter.db.scope import scoped
from postmeter.invoicing import tax
from postmeter.invoicing.models import Invoice, Kind, Seller, TaxRule
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


def latest(*, before: int | None = None, at_most: int = 50) -> list[Invoice]:
    """Documents of all customers, the newest first. Only who may see every customer."""
    with scope.every_customer():
        rows = Invoice.objects.order_by("-id")
        return list((rows.filter(id__lt=before) if before else rows)[:at_most])


@scoped
def credit_notes(*, customer_id: int, invoice_id: int) -> list[Invoice]:
    """What corrects this document, the oldest first."""
    return list(Invoice.objects.filter(customer_id=customer_id, credits_id=invoice_id).order_by("id"))


@scoped
def invoices_named(*, customer_id: int, invoice_ids: Collection[int]) -> dict[int, Invoice]:
    return {row.id: row for row in Invoice.objects.filter(customer_id=customer_id, id__in=invoice_ids)}


def seller() -> Seller | None:
    """Who issues documents; None on an install that is not set up yet."""
    return Seller.objects.filter(id=1).first()


def tax_rules(*, scheme: str) -> list[TaxRule]:
    """The rules of a scheme, by country and day."""
    return list(TaxRule.objects.filter(scheme=scheme).order_by("country", "buyer", "valid_from"))


def numbered(number: str) -> Invoice:
    """The document of any customer that has this printed number: for the operator. Raises NotFound."""
    series, _, count = number.partition("-")
    with scope.every_customer():
        found = (
            Invoice.objects.filter(series=series, number=int(count)).first() if count.isascii() and count.isdecimal() else None
        )
    if found is None:
        raise NotFound(f"There is no document {number}.")
    return found


@scoped
def rule_changes(*, customer_id: int, after: date, before: date) -> list[date]:
    """The days between the two on which a tax rule begins that may concern this customer."""
    country = customers.customer(customer_id=customer_id).country
    return tax.changes(Seller.objects.get(id=1).tax_scheme, country=country, after=after, before=before)


@scoped
def of_use(*, customer_id: int, first: date) -> Invoice | None:
    """The tax invoice of the use from this day on."""
    return Invoice.objects.filter(customer_id=customer_id, kind=Kind.USAGE_INVOICE, subject_id=int(f"{first:%Y%m%d}")).first()


@scoped
def used_until(*, customer_id: int) -> date | None:
    """The last day whose use was invoiced."""
    latest = Invoice.objects.filter(customer_id=customer_id, kind=Kind.USAGE_INVOICE).order_by("-supplied_until").first()
    return latest.supplied_until if latest else None


@scoped
def covered(*, customer_id: int, currency: str, before: datetime, first: date, until: date) -> tuple[int, int]:
    """What was bought before that moment, and what of it tax invoices cover: those of purchases, and of use before `first`.

    A bill, which comes after the month's end, counts as bought in its month: the days before `until`.

    Less what credit notes took back of purchases; a note on an invoice of use does not make the use untaxed again.
    """
    documents = Invoice.objects.filter(customer_id=customer_id, currency=currency)

    def total(*kinds: Kind) -> int:
        issued = documents.filter(kind__in=kinds, issued_at__lt=before)
        notes = documents.filter(credits_id__in=issued.values("id"), issued_at__lt=before)
        return _sum(issued) - _sum(notes)

    use = documents.filter(kind=Kind.USAGE_INVOICE, supplied_until__lt=first)
    billed = documents.filter(kind=Kind.BILL, supplied_until__lt=until)
    credited = documents.filter(credits_id__in=billed.values("id"), issued_at__lt=before)
    return total(Kind.INVOICE, Kind.RECEIPT) + _sum(billed) - _sum(credited), total(Kind.INVOICE) + _sum(use)


def _sum(documents: QuerySet[Invoice]) -> int:
    return int(documents.aggregate(sum=Sum("total_micros"))["sum"] or 0)
