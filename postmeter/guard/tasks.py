"""Jobs of the guard."""

from django.conf import settings
from django.core.mail import send_mail
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from postmeter.customers import queries as customers
from postmeter.events import queries as events
from postmeter.guard import queries
from postmeter.guard.limits import LIMITS, said


@app.task(queue="mail", retry=RetryStrategy(max_attempts=10, exponential_wait=4), pass_context=False)
def tell_operator(*, customer_id: int, event_id: int, **later: object) -> None:
    """A customer's breaker opened."""
    event = events.event(customer_id=customer_id, event_id=event_id)
    stop, customer = queries.stop(customer_id=customer_id, stop_id=event.subject_id), customers.customer(customer_id=customer_id)
    body = (
        f"Sending of {customer.name} (number {customer.number}) is stopped since {stop.at:%Y-%m-%d %H:%M} UTC, and so are its automatic"
        f" top-ups.\n\n{stop.actor} would have passed the limit of {said(LIMITS[stop.limit], stop.most, stop.unit)}.\n\n"
        "A master of the customer or an account manager has to lift it: on the operator's pages at the customer, or with:\n"
        f"postmeter guard lift {customer.number}\n"
    )
    send_mail(f"[Postmeter] Sending of {customer.name} is stopped", body, settings.DEFAULT_FROM_EMAIL, [settings.OPERATOR_EMAIL])
