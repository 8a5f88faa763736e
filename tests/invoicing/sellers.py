"""Sellers of other countries, each for the length of a test: there is one seller row, and tests share the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from postmeter.customers import operations as customers
from postmeter.db import calls, scope
from postmeter.invoicing import operations, queries
from postmeter.invoicing.models import Invoice, Seller
from postmeter.invoicing.operations import Line
from postmeter.kit.money import MICROS
from tests.cast import Clinic, at

GERMAN = {
    "name": "Nordlicht Nachrichten GmbH",
    "address": "Beispielweg 12\n20095 Hamburg\nDeutschland",
    "country": "DE",
    "tax_id": "DE 136 695 976",
    "email": "rechnung@nordlicht.example",
    "tax_scheme": "eu_vat",
    "tax_point": "purchase",
}
AUSTRALIAN = {
    "name": "Northlight Messaging Pty Ltd",
    "address": "12 Example Street\nSydney NSW 2000",
    "country": "AU",
    "tax_id": "51 824 753 556",
    "email": "billing@northlight.example",
    "tax_scheme": "au_gst",
    "tax_point": "purchase",
}
IRISH_VAT, GERMAN_VAT, FRENCH_VAT = "IE6433435F", "DE136695976", "FR40303265045"


@contextmanager
def selling(seller: dict[str, str], **other: str) -> Iterator[Seller]:
    """This is the seller until the end of the block."""
    was = Seller.objects.get(id=1)
    try:
        yield operations.set_seller(**(seller | other), now=at())
    finally:
        with scope.every_customer():
            was.save()


def settle_in(
    clinic: Clinic, country: str, *, tax_id: str = "", time_zone: str = "Europe/Berlin", name: str = "Praxis am Hafen"
) -> None:
    """The clinic moves."""
    customers.change_details(
        customer_id=clinic.id,
        name=name,
        address="Kai 7\n1234 Hafenstadt",
        country=country,
        tax_id=tax_id,
        email=clinic.customer.email,
        time_zone=time_zone,
        now=at(),
        actor=clinic.actor,
    )


def bought(
    clinic: Clinic, micros: int = 119 * MICROS, *, currency: str = "EUR", now: datetime | None = None, **more: Any
) -> Invoice:
    """The document of a purchase."""
    lines = more.pop("lines", [Line("Message credit", 1, micros)])
    return operations.issue(
        customer_id=clinic.id, subject_id=calls.next_id(), currency=currency, lines=lines, now=now or at(), **more
    )


def again(invoice: Invoice) -> Invoice:
    """As the database has it."""
    return queries.invoice(customer_id=invoice.customer_id, invoice_id=invoice.id)


NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
