"""Invoices as people read them: the facts that mail, page and paper print, and the PDF, by typst.

What people wrote goes in as data, never as markup. The PDF is PDF/A-3; a seller in the EU has the electronic invoice inside.
"""

import json
from collections.abc import Mapping
from datetime import date, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import facturx
import typst

from postmeter.invoicing import einvoice, operations, queries
from postmeter.invoicing.models import Invoice, Kind
from postmeter.kit.money import format_amount
from postmeter.kit.phone import country_name

TEMPLATE = Path(__file__).parent / "invoice.typ"
_NOT_TAX_INVOICE = (
    "This is a receipt for money paid in advance and not a tax invoice. A tax invoice follows each month for what was used."
)
_BILL_NOT_TAX_INVOICE = "This is a bill and not a tax invoice. The tax invoice of the month's use covers what it lists."


def title(invoice: Invoice) -> str:
    """A seller who is not registered for tax must not say "tax invoice"."""
    if invoice.kind == Kind.CREDIT_NOTE:
        return "Adjustment note" if invoice.tax["scheme"] == "au_gst" else "Credit note"
    if invoice.kind == Kind.RECEIPT:
        return "Payment receipt"
    if invoice.kind == Kind.BILL:
        return "Bill"
    return "Tax invoice" if invoice.tax["name"] else "Invoice"


def facts_of(invoice: Invoice, zone: tzinfo) -> dict[str, Any]:
    """Everything that the document says, ready to print; the mail, the page and the paper say the same.

    Its date is the day in the zone that it was issued for, whatever the customer's zone is now; `zone` is for a document that
    does not say. Lines are shown without tax, as Article 226 (8) asks.
    """
    unit, tax, issued = invoice.currency, invoice.tax, _issued(invoice, zone)
    rate = f"{tax['rate_ppm'] / 10_000:g} %" if tax["name"] else ""
    local = tax.get("local_micros")
    return {
        "title": title(invoice),
        "number": operations.number_of(invoice),
        "issued": _day(issued),
        "day": [issued.year, issued.month, issued.day],
        "supplied_label": _supplied_label(_original(invoice)),
        "supplied": _supplied(invoice),
        "credits": _credits(invoice, zone),
        "reason": invoice.reason,
        "seller": invoice.seller,
        "buyer": invoice.buyer | {"country": country_name(invoice.buyer["country"])},
        "lines": [
            {
                "description": line["description"],
                "quantity": str(line["quantity"]),
                "unit_price": format_amount(round(net / line["quantity"]), unit),
                "rate": rate,
                "net": format_amount(net, unit),
            }
            for line, net in zip(invoice.lines, einvoice.nets(invoice), strict=True)
        ],
        "net": format_amount(invoice.net_micros, unit),
        "tax": format_amount(invoice.tax_micros, unit),
        "total": format_amount(invoice.total_micros, unit),
        "currency": unit,
        "tax_name": tax["name"],
        "tax_label": f"{tax['name']} {rate}" if tax["name"] else "",
        "tax_local_label": f"{tax['name']} in {tax['currency']}" if local is not None else "",
        "tax_local": format_amount(local, tax["currency"]) if local is not None else "",
        "notes": _notes(invoice),
    }


def render(invoice: Invoice, zone: tzinfo) -> bytes:
    """The PDF. Made anew from the row each time: the same row gives the same document."""
    made = typeset(TEMPLATE, {"invoice": facts_of(invoice, zone)})
    if not einvoice.is_due(invoice):
        return made
    xml = einvoice.build(invoice, _issued(invoice, zone))
    embedded = facturx.generate_from_binary(
        made, xml, flavor="factur-x", level="en16931", check_xsd=False, afrelationship="alternative"
    )
    assert isinstance(embedded, bytes)
    return embedded


def typeset(template: Path, data: Mapping[str, Any]) -> bytes:
    """A PDF/A-3 of a template and its data; a plain PDF where a name is written in letters that our font does not have."""
    source, inputs = template.read_bytes(), {name: json.dumps(value) for name, value in data.items()}
    try:
        made = typst.compile(source, sys_inputs=inputs, format="pdf", pdf_standards="a-3b")
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
        made = typst.compile(source, sys_inputs=inputs, format="pdf")
    assert isinstance(made, bytes)
    return made


def _issued(invoice: Invoice, zone: tzinfo) -> date:
    return invoice.issued_at.astimezone(ZoneInfo(invoice.buyer["time_zone"]) if "time_zone" in invoice.buyer else zone).date()


def _supplied_label(invoice: Invoice) -> str:
    return "Period of supply" if invoice.kind == Kind.USAGE_INVOICE or invoice.due_on else "Paid on"


def _original(invoice: Invoice) -> Invoice:
    """The document itself, or the one that a credit note corrects."""
    if invoice.credits_id is None:
        return invoice
    return queries.invoice(customer_id=invoice.customer_id, invoice_id=invoice.credits_id)


def _supplied(invoice: Invoice) -> str:
    first, last = invoice.supplied_from, invoice.supplied_until
    if first is None or last is None:
        return ""
    return _day(first) if first == last else f"{_day(first)} to {_day(last)}"


def _credits(invoice: Invoice, zone: tzinfo) -> str:
    if invoice.credits_id is None:
        return ""
    original = _original(invoice)
    return f"{title(original)} {operations.number_of(original)} of {_day(_issued(original, zone))}"


def _notes(invoice: Invoice) -> list[str]:
    notes = []
    if invoice.due_on:
        notes.append(f"Please pay by {_day(invoice.due_on)}. Your balance has been set back to zero by this amount.")
    elif invoice.kind == Kind.INVOICE:
        notes.append("Paid in full.")
    if invoice.kind == Kind.USAGE_INVOICE:
        notes.append("Paid in full from credit bought before.")
    if invoice.kind == Kind.RECEIPT:
        notes.append(_NOT_TAX_INVOICE)
    if invoice.kind == Kind.BILL:
        notes.append(_BILL_NOT_TAX_INVOICE)
    if invoice.tax["scheme"] == "au_gst" and invoice.tax_micros and invoice.kind != Kind.CREDIT_NOTE:
        notes.append("Total price includes GST.")
    return [*notes, invoice.tax["words"]] if invoice.tax["words"] else notes


def _day(day: date) -> str:
    return f"{day:%d %B %Y}"
