"""Every write about invoices."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from postmeter.customers import queries as customers
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.invoicing.models import Invoice, Mailing, Seller
from postmeter.kit.money import from_minor, to_minor

PPM = 1_000_000
MAILING_LEASE = timedelta(minutes=2)  # longer than any time limit of ours at a mail server


class BeingMailed(Exception):
    """Another job has the claim on this mail."""


@dataclass(frozen=True, slots=True)
class Line:
    """What an invoice lists; amounts include tax, in micro-units of the invoice's currency."""

    description: str
    quantity: int
    total_micros: int


def included_tax(total_micros: int, rate_ppm: int, currency: str) -> int:
    """The tax inside a total that includes it, to the currency's minor unit, half up: for 10 % it is 1/11 of the total."""
    minor = to_minor(total_micros, currency)
    return from_minor((2 * minor * rate_ppm + PPM + rate_ppm) // (2 * (PPM + rate_ppm)), currency)


@scoped
def issue(*, customer_id: int, subject_id: int, currency: str, lines: Sequence[Line], now: datetime) -> Invoice:
    """Issue the invoice of a payment, once: a second call answers the first one's invoice.

    The number is taken last, from a counter row that stays locked until the transaction ends: a transaction that fails
    gives its number back, so the series has no gaps (S-020, Article 226).
    """
    found = Invoice.objects.filter(customer_id=customer_id, kind="invoice", subject_id=subject_id).first()
    if found:
        return found
    seller = Seller.objects.get(id=1)
    customer = customers.customer(customer_id=customer_id)
    total = sum(line.total_micros for line in lines)
    tax = included_tax(total, seller.tax_rate_ppm, currency) if seller.tax_name else 0
    series = f"C{customer.number}"
    number = calls.value(
        """INSERT INTO invoicing_series AS s (customer_id, name, last_number) VALUES (%s, %s, 1)
           ON CONFLICT (customer_id, name) DO UPDATE SET last_number = s.last_number + 1 RETURNING last_number""",
        [customer_id, series],
    )
    invoice = Invoice(
        customer_id=customer_id,
        id=calls.next_id(),
        kind="invoice",
        series=series,
        number=number,
        subject_id=subject_id,
        currency=currency,
        seller={
            "name": seller.name,
            "address": seller.address,
            "country": seller.country,
            "tax_id": seller.tax_id,
            "tax_name": seller.tax_name,
            "tax_rate_ppm": seller.tax_rate_ppm,
            "email": seller.email,
        },
        buyer={
            "name": customer.name,
            "address": customer.address,
            "country": customer.country,
            "tax_id": customer.tax_id,
            "email": customer.email,
            "time_zone": customer.time_zone,
        },
        lines=[asdict(line) for line in lines],
        net_micros=total - tax,
        tax_micros=tax,
        total_micros=total,
        issued_at=now,
    )
    invoice.save(force_insert=True)
    events.record("invoice.issued", customer_id=customer_id, subject_id=invoice.id, now=now, data={"number": number_of(invoice)})
    return invoice


def number_of(invoice: Invoice) -> str:
    """The number as it is printed."""
    return f"{invoice.series}-{invoice.number:06d}"


@scoped
def start_mailing(*, customer_id: int, invoice_id: int, now: datetime) -> Mailing | None:
    """Claim the mail of an invoice; None if it was sent. One whose sending died is claimed again after the lease.

    Raises BeingMailed while another job holds the claim: relays repeat jobs, and two that cross must not mail twice.
    """
    invoice = Invoice.objects.get(customer_id=customer_id, id=invoice_id)
    claimed = calls.rows(
        """INSERT INTO invoicing_mailing (customer_id, id, invoice_id, address, started_at) VALUES (%s, next_id(), %s, %s, %s)
           ON CONFLICT (customer_id, invoice_id) DO UPDATE SET started_at = excluded.started_at
               WHERE invoicing_mailing.sent_at IS NULL AND invoicing_mailing.started_at <= %s RETURNING id""",
        [customer_id, invoice_id, invoice.buyer["email"], now, now - MAILING_LEASE],
    )
    mailing = Mailing.objects.get(customer_id=customer_id, invoice_id=invoice_id)
    if claimed:
        return mailing
    if mailing.sent_at:
        return None
    raise BeingMailed


@scoped
def finish_mailing(*, customer_id: int, invoice_id: int, now: datetime) -> None:
    if Mailing.objects.filter(customer_id=customer_id, invoice_id=invoice_id, sent_at=None).update(sent_at=now):
        events.record("invoice.mailed", customer_id=customer_id, subject_id=invoice_id, now=now)
