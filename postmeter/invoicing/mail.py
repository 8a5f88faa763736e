"""The mail that is itself the tax invoice (S-020 ... S-023): complete in its text, with a link to its PDF."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from postmeter.customers import queries as customers
from postmeter.db.public_ids import public_ids
from postmeter.invoicing import operations, pdf, queries
from postmeter.invoicing.models import Invoice
from postmeter.kit.crash import crash_point

LINK_SALT = "invoice-pdf"


def send(*, customer_id: int, invoice_id: int, now: datetime) -> bool:
    """Mail an invoice unless it was mailed. Says whether it went."""
    mailing = operations.start_mailing(customer_id=customer_id, invoice_id=invoice_id, now=now)
    if mailing is None:
        return False
    crash_point("invoicing.mail_claimed")
    invoice = queries.invoice(customer_id=customer_id, invoice_id=invoice_id)
    zone = ZoneInfo(customers.customer(customer_id=customer_id).time_zone)
    facts = {"invoice": pdf.facts_of(invoice, zone), "link": link(invoice)}
    message = EmailMultiAlternatives(
        subject=f"{pdf.title(invoice)} {operations.number_of(invoice)} from {invoice.seller['name']}",
        body=render_to_string("invoicing/mail.txt", facts),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[mailing.address],
        headers={"Message-ID": f"<invoice-{public_ids().encode('IN', invoice.id)}@postmeter>"},
    )
    message.attach_alternative(render_to_string("invoicing/mail.html", facts), "text/html")
    message.send()
    crash_point("invoicing.mail_sent")
    operations.finish_mailing(customer_id=customer_id, invoice_id=invoice_id, now=now)
    crash_point("invoicing.mail_written")
    return True


def link(invoice: Invoice) -> str:
    """The address of the PDF: signed, so that it opens from the mail without signing in, and for this invoice only."""
    ids = public_ids()
    token = signing.dumps([ids.encode("CU", invoice.customer_id), ids.encode("IN", invoice.id)], salt=LINK_SALT, compress=True)
    return f"{settings.PUBLIC_URL}/invoices/pdf/{token}/"


def of_link(token: str) -> Invoice:
    """The invoice that a link is for. Raises signing.BadSignature."""
    customer, invoice = signing.loads(token, salt=LINK_SALT)
    ids = public_ids()
    return queries.invoice(customer_id=ids.decode("CU", customer), invoice_id=ids.decode("IN", invoice))
