"""Invoices, as data and as the PDF that was mailed."""

from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from postmeter.api.messages import Amount
from postmeter.api.operation import Call, Reply, operation
from postmeter.api.paging import PageQuery, page, position_of
from postmeter.customers import queries as customers
from postmeter.customers.permissions import READ_INVOICES
from postmeter.db.public_ids import public_ids
from postmeter.invoicing import models, operations, pdf, queries
from postmeter.kit.money import decimal_string
from postmeter.kit.refusals import BadInput, NotFound

PDF = "application/pdf"


class InvoiceLine(msgspec.Struct, kw_only=True):
    """What was bought."""

    description: str
    quantity: int
    total: Amount


class Invoice(msgspec.Struct, kw_only=True):
    """A document as it was issued; it never changes."""

    id: Annotated[str, Meta(examples=["IN0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
    number: str
    kind: Annotated[str, Meta(description="invoice, receipt, usage_invoice, credit_note")]
    title: Annotated[str, Meta(description="What it calls itself.", examples=["Tax invoice"])]
    currency: str
    net: Amount
    tax: Amount
    total: Amount
    tax_name: Annotated[str, Meta(description="Empty where no tax is charged.", examples=["GST"])]
    tax_percent: Annotated[str, Meta(examples=["10", "25.5"])]
    tax_category: Annotated[str, Meta(description="UNCL5305: S standard, AE reverse charge, G export, O outside the scope.")]
    lines: list[InvoiceLine]
    supplied_from: date | None
    supplied_until: date | None
    credits: Annotated[str | None, Meta(description="The invoice that a credit note corrects.")]
    reason: str | None
    issued_at: datetime


class InvoicePage(msgspec.Struct, kw_only=True):
    """Invoices, the newest first."""

    data: list[Invoice]
    next_cursor: str | None


@operation(
    "GET",
    "/v1/invoices",
    scope=READ_INVOICES,
    summary="List invoices",
    query=PageQuery,
    answer=InvoicePage,
    live_only=True,
    refusals=(BadInput,),
)
def list_invoices(call: Call[None, PageQuery]) -> InvoicePage:
    """The newest first."""
    before = position_of(call.query.cursor, "in")
    rows = queries.invoices(customer_id=call.customer_id, before=before, at_most=call.query.limit + 1)
    shown, cursor = page(rows, call.query.limit, "in", _id_of)
    return InvoicePage(data=[_shape(row) for row in shown], next_cursor=cursor)


@operation(
    "GET",
    "/v1/invoices/{id}",
    of="IN",
    scope=READ_INVOICES,
    summary="One invoice",
    answer=Invoice,
    live_only=True,
    refusals=(NotFound,),
)
def get_invoice(call: Call[None, None]) -> Invoice:
    """Its number, lines and tax."""
    return _shape(queries.invoice(customer_id=call.customer_id, invoice_id=call.id))


@operation(
    "GET",
    "/v1/invoices/{id}/pdf",
    of="IN",
    scope=READ_INVOICES,
    summary="An invoice's PDF",
    answer=bytes,
    media_type=PDF,
    live_only=True,
    refusals=(NotFound,),
)
def get_invoice_pdf(call: Call[None, None]) -> Reply:
    """The document that was mailed."""
    found = queries.invoice(customer_id=call.customer_id, invoice_id=call.id)
    zone = ZoneInfo(customers.customer(customer_id=call.customer_id).time_zone)
    name = f'attachment; filename="{operations.number_of(found)}.pdf"'
    return Reply(pdf.render(found, zone), {"Content-Disposition": name}, PDF)


def _id_of(row: models.Invoice) -> int:
    return row.id


def _shape(row: models.Invoice) -> Invoice:
    return Invoice(
        id=public_ids().encode("IN", row.id),
        number=operations.number_of(row),
        kind=row.kind,
        title=pdf.title(row),
        currency=row.currency,
        net=decimal_string(row.net_micros),
        tax=decimal_string(row.tax_micros),
        total=decimal_string(row.total_micros),
        lines=[
            InvoiceLine(description=line["description"], quantity=line["quantity"], total=decimal_string(line["total_micros"]))
            for line in row.lines
        ],
        tax_name=row.tax["name"],
        tax_percent=decimal_string(row.tax["rate_ppm"] * 100),
        tax_category=row.tax["category"],
        supplied_from=row.supplied_from,
        supplied_until=row.supplied_until,
        credits=public_ids().encode("IN", row.credits_id) if row.credits_id else None,
        reason=row.reason or None,
        issued_at=row.issued_at,
    )
