"""Taking back what has not gone out."""

from datetime import datetime

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.refusals import Conflict, NotFound
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import CANCELLABLE, State


class TooLate(Conflict):
    """This message can no longer be taken back."""

    code = "too_late"


@scoped
def cancel(*, customer_id: int, message_id: int, now: datetime, actor: str) -> None:
    """Take a message back before a worker claims it; its hold is released. Cancelling twice changes nothing."""
    rows = calls.rows(
        "SELECT state FROM messaging_message WHERE customer_id = %s AND id = %s FOR NO KEY UPDATE", [customer_id, message_id]
    )
    if not rows:
        raise NotFound("There is no such message.")
    state = State(rows[0][0])
    if state is State.CANCELLED:
        return
    if state not in CANCELLABLE:
        raise TooLate(f"This message is {state}; it can no longer be taken back.", remedy="Only waiting and queued messages can.")
    fact = Fact(message_id, "us", "", State.CANCELLED, status="cancelled", refused=True, raw={"actor": actor})
    record(customer_id=customer_id, facts=[fact], now=now)
    events.record("message.cancelled", customer_id=customer_id, subject_id=message_id, now=now, actor=actor)


@scoped
def cancel_batch(*, customer_id: int, batch_id: int, now: datetime, actor: str) -> int:
    """Stop a list: everything of it that has not gone out is taken back. Returns how many."""
    rows = calls.rows(
        """SELECT id FROM messaging_message WHERE customer_id = %s AND batch_id = %s AND state IN ('waiting', 'queued')
           ORDER BY id FOR NO KEY UPDATE""",
        [customer_id, batch_id],
    )
    facts = [Fact(row[0], "us", "", State.CANCELLED, status="cancelled", refused=True, raw={"actor": actor}) for row in rows]
    if facts:
        record(customer_id=customer_id, facts=facts, now=now)
        events.record(
            "batch.stopped", customer_id=customer_id, subject_id=batch_id, now=now, actor=actor, data={"count": len(facts)}
        )
    return len(facts)


@scoped
def cancel_of(*, customer_id: int, sender: str, now: datetime, actor: str) -> int:
    """Take back everything of one sender (`member:…`, `key:…`) that has not gone out. Returns how many."""
    rows = calls.rows(
        """SELECT id FROM messaging_message WHERE customer_id = %s AND created_by = %s AND state IN ('waiting', 'queued')
           ORDER BY id FOR NO KEY UPDATE""",
        [customer_id, sender],
    )
    facts = [Fact(row[0], "us", "", State.CANCELLED, status="cancelled", refused=True, raw={"actor": actor}) for row in rows]
    record(customer_id=customer_id, facts=facts, now=now)
    return len(facts)
