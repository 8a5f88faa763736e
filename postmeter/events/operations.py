"""Recording facts. `record` belongs inside the transaction that makes the fact true."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from postmeter.db import calls

SYSTEM = "system"


_RECORD = """
INSERT INTO events_event (customer_id, kind, actor, subject_id, data, at) VALUES (%s, %s, %s, %s, %s::jsonb, %s) RETURNING id
"""


def record(
    kind: str, *, customer_id: int, subject_id: int, now: datetime, actor: str = SYSTEM, data: Mapping[str, Any] | None = None
) -> int:
    """Write one fact and put it into the outbox. Returns the event's id."""
    assert connection.in_atomic_block, "a fact is recorded inside the transaction that makes it true"
    event_id = int(calls.value(_RECORD, [customer_id, kind, actor, subject_id, json.dumps(data or {}), now]))
    calls.rows("INSERT INTO events_outbox (customer_id, id, kind) VALUES (%s, %s, %s)", [customer_id, event_id, kind])
    return event_id
