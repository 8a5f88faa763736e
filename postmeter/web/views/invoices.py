"""Invoices, receipts and credit notes: list, page and PDF; and the PDF behind the mail's link (S-020 ... S-023).

The link opens without signing in.
"""

from typing import Any
from zoneinfo import ZoneInfo

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from postmeter.customers import permissions
from postmeter.customers import queries as customers
from postmeter.invoicing import mail, operations, pdf, queries
from postmeter.invoicing.models import Invoice, Kind
from postmeter.kit.refusals import NotFound
from postmeter.web import cursors
from postmeter.web.session import MemberRequest, member_page


class BadLink(NotFound):
    """This link is not complete."""


@require_safe
@member_page(permission=permissions.READ_INVOICES)
def invoices(request: MemberRequest) -> HttpResponse:
    """GET /invoices/?before=IN…"""
    customer_id = request.seat.customer_id
    page = cursors.page(
        request, "IN", lambda before, at_most: queries.invoices(customer_id=customer_id, before=before, at_most=at_most)
    )
    rows = [_row(row) for row in page.rows]
    return render(request, "web/invoices.html", {"page": page, "rows": rows, "may_change_details": _may_change(request)})


def _row(found: Invoice) -> dict[str, Any]:
    """A line of the list. What is credited is taken off."""
    sign = -1 if found.kind == Kind.CREDIT_NOTE else 1
    return {
        "invoice": found,
        "number": operations.number_of(found),
        "title": pdf.title(found),
        "tax_micros": sign * found.tax_micros,
        "total_micros": sign * found.total_micros,
    }


@require_safe
@member_page(permission=permissions.READ_INVOICES)
def invoice(request: MemberRequest, invoice_id: int) -> HttpResponse:
    """GET /invoices/IN…/: the document as a page."""
    found = queries.invoice(customer_id=request.seat.customer_id, invoice_id=invoice_id)
    facts = pdf.facts_of(found, ZoneInfo(request.customer.time_zone))
    notes = queries.credit_notes(customer_id=request.seat.customer_id, invoice_id=invoice_id)
    shown = {"row": found, "invoice": facts, "credit_notes": notes, "may_change_details": _may_change(request)}
    return render(request, "web/invoice.html", shown)


def _may_change(request: MemberRequest) -> bool:
    return permissions.MANAGE_BILLING_DETAILS in request.seat.permissions


@require_safe
@member_page(permission=permissions.READ_INVOICES)
def invoice_pdf(request: MemberRequest, invoice_id: int) -> HttpResponse:
    """GET /invoices/IN…/pdf/"""
    return _pdf(queries.invoice(customer_id=request.seat.customer_id, invoice_id=invoice_id))


@require_safe
def linked_pdf(request: HttpRequest, token: str) -> HttpResponse:
    """GET /invoices/pdf/<token>/: the one invoice that the mail's signed link is for, and nothing else."""
    try:
        found = mail.of_link(token)
    except (signing.BadSignature, ValueError) as error:
        raise BadLink(remedy="Copy the whole link from the mail, or sign in and open it under Invoices.") from error
    return _pdf(found)


def _pdf(found: Invoice) -> HttpResponse:
    zone = ZoneInfo(customers.customer(customer_id=found.customer_id).time_zone)
    answer = HttpResponse(pdf.render(found, zone), content_type="application/pdf")
    answer["Content-Disposition"] = f'inline; filename="{operations.number_of(found)}.pdf"'
    answer["Cache-Control"] = "private, no-store"
    return answer
