"""Invoices as PDF, by typst. What people wrote goes in as data, never as markup."""

import json
from datetime import tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import typst

from postmeter.invoicing import operations
from postmeter.invoicing.models import Invoice
from postmeter.kit.money import format_amount
from postmeter.kit.phone import country_name

TEMPLATE = Path(__file__).parent / "invoice.typ"


def title(invoice: Invoice) -> str:
    """A seller who is not registered for tax must not say "tax invoice"."""
    return "Tax invoice" if invoice.seller["tax_name"] else "Invoice"


def facts_of(invoice: Invoice, zone: tzinfo) -> dict[str, Any]:
    """Everything that the document says, ready to print; the mail and the page say the same.

    Its date is the day in the zone that it was issued for, whatever the customer's zone is now; `zone` is for a document that
    does not say.
    """
    zone = ZoneInfo(invoice.buyer["time_zone"]) if "time_zone" in invoice.buyer else zone
    unit = invoice.currency
    rate = invoice.seller["tax_rate_ppm"] / 10_000
    return {
        "title": title(invoice),
        "number": operations.number_of(invoice),
        "issued": f"{invoice.issued_at.astimezone(zone):%d %B %Y}",
        "seller": invoice.seller,
        "buyer": invoice.buyer | {"country": country_name(invoice.buyer["country"])},
        "lines": [
            {
                "description": line["description"],
                "quantity": str(line["quantity"]),
                "total": format_amount(line["total_micros"], unit),
            }
            for line in invoice.lines
        ],
        "net": format_amount(invoice.net_micros, unit),
        "tax": format_amount(invoice.tax_micros, unit),
        "total": format_amount(invoice.total_micros, unit),
        "currency": unit,
        "tax_label": f"{invoice.seller['tax_name']} {rate:g} %" if invoice.seller["tax_name"] else "",
        "tax_note": f"Total price includes {invoice.seller['tax_name']}." if invoice.seller["tax_name"] else "",
    }


def render(invoice: Invoice, zone: tzinfo) -> bytes:
    """The PDF. Made anew from the row each time: the same row gives the same document."""
    made = typst.compile(TEMPLATE.read_bytes(), sys_inputs={"invoice": json.dumps(facts_of(invoice, zone))}, format="pdf")
    assert isinstance(made, bytes)
    return made
