"""The relay: turns facts into jobs, at least once.

A job is never deferred inside a business transaction: jobs live in tables of their own, which on a distributed database do
not commit together with the business data. The outbox row goes only after its jobs are in; a crash between the two makes a
job twice, and jobs are idempotent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from postmeter.db import calls, scope
from postmeter.kit.crash import crash_point

AT_MOST = 500
Defer = Callable[[Any, int, int], None]


def relay(reactions: Mapping[str, Sequence[Any]], defer: Defer) -> int:
    """One round over every customer with facts in the outbox. `defer(job, customer_id, event_id)`. Returns the facts handled."""
    with scope.every_customer():
        rows = calls.rows("SELECT customer_id, id, kind FROM events_outbox ORDER BY id LIMIT %s", [AT_MOST])
    done: dict[int, list[int]] = {}
    for customer_id, event_id, kind in rows:
        for job in reactions[kind]:
            defer(job, customer_id, event_id)
        done.setdefault(customer_id, []).append(event_id)
    if rows:
        crash_point("events.jobs_deferred")
    for customer_id, ids in done.items():
        with scope.customer(customer_id):
            calls.rows("DELETE FROM events_outbox WHERE customer_id = %s AND id = ANY (%b)", [customer_id, ids])
    return len(rows)
