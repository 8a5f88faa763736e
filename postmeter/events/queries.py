"""Reads of facts."""

from postmeter.db import scope
from postmeter.db.scope import scoped
from postmeter.events.models import Event


@scoped
def event(*, customer_id: int, event_id: int) -> Event:
    return Event.objects.get(customer_id=customer_id, id=event_id)


def by_operators(*, before: int | None = None, at_most: int = 50) -> list[Event]:
    """What the operator's people did, for whichever customer, the newest first. Only who may see every customer."""
    with scope.every_customer():
        # As the index has it (events/migrations), else the planner reads every fact.
        rows = Event.objects.extra(where=["actor LIKE 'operator%%'"]).order_by("-id")
        return list((rows.filter(id__lt=before) if before else rows)[:at_most])


@scoped
def events_of(*, customer_id: int, subject_id: int, at_most: int = 100) -> list[Event]:
    """What happened to one thing, oldest first."""
    return list(Event.objects.filter(customer_id=customer_id, subject_id=subject_id).order_by("id")[:at_most])
