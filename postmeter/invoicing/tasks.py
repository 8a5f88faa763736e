"""Jobs about invoices."""

from django.utils import timezone
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from postmeter.events import queries as events
from postmeter.invoicing import mail


@app.task(queue="mail", retry=RetryStrategy(max_attempts=10, exponential_wait=4), pass_context=False)
def mail_invoice(*, customer_id: int, event_id: int, **later: object) -> None:
    """Mail the invoice that this event issued, once."""
    event = events.event(customer_id=customer_id, event_id=event_id)
    mail.send(customer_id=customer_id, invoice_id=event.subject_id, now=timezone.now())
