"""Reads of facts."""

from postmeter.db.scope import scoped
from postmeter.events.models import Event


@scoped
def event(*, customer_id: int, event_id: int) -> Event:
    return Event.objects.get(customer_id=customer_id, id=event_id)


@scoped
def events_of(*, customer_id: int, subject_id: int, at_most: int = 100) -> list[Event]:
    """What happened to one thing, oldest first."""
    return list(Event.objects.filter(customer_id=customer_id, subject_id=subject_id).order_by("id")[:at_most])
