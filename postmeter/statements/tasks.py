"""Jobs about months."""

from django.utils import timezone
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from postmeter.events import queries as events
from postmeter.statements import mail


@app.task(queue="mail", retry=RetryStrategy(max_attempts=10, exponential_wait=4), pass_context=False)
def mail_statement(*, customer_id: int, event_id: int, **later: object) -> None:
    """Mail the month that this event closed, once."""
    event = events.event(customer_id=customer_id, event_id=event_id)
    mail.send(customer_id=customer_id, statement_id=event.subject_id, now=timezone.now())
