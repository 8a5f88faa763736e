"""The guard's breaker is lifted: a person says what becomes of the messages that wait and of automatic top-ups."""

from datetime import datetime

from postmeter.customers import operations as customers
from postmeter.db.scope import scoped
from postmeter.guard import operations as guard
from postmeter.guard.models import Stop
from postmeter.messaging.operations import cancel
from postmeter.terms import queries
from postmeter.topups import automation


@scoped
def lift(*, customer_id: int, top_ups_go_on: bool, take_back: bool, actor: str, now: datetime) -> Stop:
    """Send again. `take_back`: not what waits of the one who passed the limit. Raises Conflict where sending is not stopped."""
    stop = guard.lift(customer_id=customer_id, top_ups_go_on=top_ups_go_on, actor=actor, now=now)
    if take_back:
        cancel.cancel_of(customer_id=customer_id, sender=stop.actor, now=now, actor=actor)
    if top_ups_go_on:
        automation.start_all(customer_id=customer_id, reason=guard.REASON, actor=actor, now=now)
    else:
        automation.stop_all(customer_id=customer_id, reason=guard.REASON, now=now)
    if not queries.agreement(customer_id=customer_id).suspended_for:
        customers.reinstate(customer_id=customer_id, now=now, actor=actor)
    return stop
