"""Jobs about top-ups."""

from django.utils import timezone
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from postmeter.events import queries as events
from postmeter.guard import queries as guard
from postmeter.guard.operations import REASON
from postmeter.topups import automation, breaker


@app.task(queue="money", pass_context=False)
def react(*, customer_id: int, event_id: int, **later: object) -> None:
    """A wallet fell below what is watched for, or its rule was saved while it was below: then the charge was agreed to."""
    event = events.event(customer_id=customer_id, event_id=event_id)
    automation.react(customer_id=customer_id, wallet_id=event.subject_id, now=timezone.now(), trigger=event_id)


@app.task(queue="money", pass_context=False)
def stop_for_guard(*, customer_id: int, event_id: int, **later: object) -> None:
    """The customer's breaker opened: what would have waited for it to close waits for a person's word."""
    if guard.standing(customer_id=customer_id):
        automation.stop_all(customer_id=customer_id, reason=REASON, now=timezone.now())


@app.task(queue="mail", retry=RetryStrategy(max_attempts=10, exponential_wait=4), pass_context=False)
def tell_of_breaker(*, customer_id: int, event_id: int, **later: object) -> None:
    """Automatic top-ups were stopped for everybody, or go on."""
    breaker.tell(event_id=event_id)


@app.task(queue="money", pass_context=False)
def follow(*, customer_id: int, event_id: int, **later: object) -> None:
    """A top-up ended."""
    event = events.event(customer_id=customer_id, event_id=event_id)
    automation.follow(customer_id=customer_id, top_up_id=event.subject_id, now=timezone.now())
