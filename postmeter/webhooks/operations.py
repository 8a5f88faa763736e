"""Every write about webhooks: write the intent, commit, post, write the result."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.db import connection

from postmeter.db import calls, scope
from postmeter.db.public_ids import public_ids
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.events import queries as event_queries
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from postmeter.webhooks import outgoing, queries, signing
from postmeter.webhooks.kinds import KINDS, TEST, body_of
from postmeter.webhooks.models import Delivery, Endpoint

MOST_ENDPOINTS = 10
LEASE = timedelta(minutes=1)  # of one attempt: another worker takes over after that
# As Standard Webhooks recommends: seconds first, days at the end.
BACK_OFF = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
DISABLE_AFTER = timedelta(days=5)  # without a single success
GONE = 410


@scoped
def add(*, customer_id: int, url: str, kinds: Sequence[str], actor: str, now: datetime) -> Endpoint:
    """Begin to tell an address; no kinds mean all. Raises BadInput with its field."""
    outgoing.check(url)
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise BadInput(f"There is no {min(unknown)!r}.", field="kinds", remedy=f"There are {', '.join(KINDS)}.")
    if len(queries.endpoints(customer_id=customer_id)) >= MOST_ENDPOINTS:
        raise Conflict(f"There are {MOST_ENDPOINTS} addresses already.", field="url", remedy="Remove one first.")
    row = Endpoint(
        customer_id=customer_id, id=calls.next_id(), url=url, kinds=sorted(set(kinds)), created_by=actor, created_at=now
    )
    row.save(force_insert=True)
    events.record("webhook.added", customer_id=customer_id, subject_id=row.id, now=now, actor=actor)
    return row


@scoped
def remove(*, customer_id: int, endpoint_id: int, actor: str, now: datetime) -> None:
    """Tell an address no more; what waited for it is dropped. Raises NotFound."""
    row = _endpoint(customer_id, endpoint_id)
    row.removed_at = now
    row.save(update_fields=["removed_at"])
    Delivery.objects.filter(customer_id=customer_id, endpoint_id=endpoint_id, state="pending").update(
        state="failed", ended_at=now, problem="The address was removed."
    )
    events.record("webhook.removed", customer_id=customer_id, subject_id=endpoint_id, now=now, actor=actor)


@scoped
def enable(*, customer_id: int, endpoint_id: int, actor: str, now: datetime) -> None:
    """Tell an address again that we had given up. Raises NotFound."""
    row = _endpoint(customer_id, endpoint_id)
    row.disabled_at = row.failing_since = None
    row.save(update_fields=["disabled_at", "failing_since"])
    events.record("webhook.enabled", customer_id=customer_id, subject_id=endpoint_id, now=now, actor=actor)


@scoped
def fan_out(*, customer_id: int, event_id: int, now: datetime) -> list[int]:
    """Write down for each address that wants it what it is to be told. A repeat writes nothing. Returns the new deliveries."""
    wanting = [row for row in queries.endpoints(customer_id=customer_id) if row.disabled_at is None]
    if not wanting:
        return []
    event = event_queries.event(customer_id=customer_id, event_id=event_id)
    body = json.dumps(body_of(event.kind, subject_id=event.subject_id, data=event.data, at=event.at))
    wanting = [row for row in wanting if not row.kinds or event.kind in row.kinds]
    return [id_ for row in wanting for id_ in _write(row, event_id, event.kind, body, now)]


@scoped
def try_out(*, customer_id: int, endpoint_id: int, now: datetime) -> int:
    """Write down a message that only tries the address. Returns the delivery."""
    row, test_id = _endpoint(customer_id, endpoint_id), calls.next_id()
    body = json.dumps({"type": TEST, "timestamp": now.isoformat(), "data": {"text": "It works."}})
    return _write(row, test_id, TEST, body, now)[0]


@scoped
def again(*, customer_id: int, delivery_id: int, now: datetime) -> None:
    """Try one that was given up, or delivered, once more. Raises NotFound, and Conflict while it is being tried."""
    row = _delivery(customer_id, delivery_id)
    if row.state == "pending":
        raise Conflict("It is being tried already.", remedy="Look again in a moment.")
    row.state, row.attempts, row.due_at, row.ended_at = "pending", 0, now, None
    row.save()


def deliver(*, customer_id: int, delivery_id: int, now: datetime) -> bool:
    """One attempt, if it is due and nobody else makes it. Says whether it was taken."""
    assert not connection.in_atomic_block, "nobody is called inside a transaction"
    claimed = _claim(customer_id=customer_id, delivery_id=delivery_id, now=now)
    if claimed is None:
        return False
    row, endpoint = claimed
    name = public_ids().encode("WD", row.id)
    answer = outgoing.post(
        endpoint.url, body=row.body, headers=signing.headers(endpoint_id=endpoint.id, delivery=name, body=row.body, now=now)
    )
    _write_answer(customer_id=customer_id, delivery_id=delivery_id, answer=answer, now=now)
    return answer.is_taken


def deliver_due(*, now: datetime, at_most: int = 50) -> int:
    """The worker's round. Returns how many were tried."""
    with scope.every_customer():
        due = calls.rows(
            "SELECT customer_id, id FROM webhooks_delivery WHERE state = 'pending' AND due_at <= %s ORDER BY due_at LIMIT %s",
            [now, at_most],
        )
    for customer_id, delivery_id in due:
        deliver(customer_id=customer_id, delivery_id=delivery_id, now=now)
    return len(due)


@scoped
def _claim(*, customer_id: int, delivery_id: int, now: datetime) -> tuple[Delivery, Endpoint] | None:
    row = Delivery.objects.select_for_update().filter(customer_id=customer_id, id=delivery_id).first()
    if row is None or row.state != "pending" or row.due_at > now:
        return None
    row.attempts, row.due_at = row.attempts + 1, now + LEASE
    row.save(update_fields=["attempts", "due_at"])
    return row, Endpoint.objects.get(customer_id=customer_id, id=row.endpoint_id)


@scoped
def _write_answer(*, customer_id: int, delivery_id: int, answer: outgoing.Answer, now: datetime) -> None:
    row = _delivery(customer_id, delivery_id)
    if row.state != "pending":
        return  # the address was removed meanwhile
    endpoint = Endpoint.objects.select_for_update().get(customer_id=customer_id, id=row.endpoint_id)
    row.status, row.problem = answer.status, answer.problem
    if answer.is_taken:
        row.state, row.ended_at = "delivered", now
        endpoint.failing_since = None
    else:
        _put_off(row, now)
        endpoint.failing_since = endpoint.failing_since or now
        if answer.status == GONE or now - endpoint.failing_since >= DISABLE_AFTER:
            _disable(endpoint, now)
    row.save()
    endpoint.save()


def _put_off(row: Delivery, now: datetime) -> None:
    if row.attempts > len(BACK_OFF):
        row.state, row.ended_at = "failed", now
    else:
        row.due_at = now + BACK_OFF[row.attempts - 1]


def _disable(endpoint: Endpoint, now: datetime) -> None:
    if endpoint.disabled_at is None:
        endpoint.disabled_at = now
        data = {"host": urlsplit(endpoint.url).hostname}
        events.record("webhook.disabled", customer_id=endpoint.customer_id, subject_id=endpoint.id, now=now, data=data)


def _write(endpoint: Endpoint, event_id: int, kind: str, body: str, now: datetime) -> list[int]:
    added = calls.rows(
        """INSERT INTO webhooks_delivery (customer_id, id, endpoint_id, event_id, kind, body, state, attempts, due_at, problem, created_at)
           VALUES (%s, next_id(), %s, %s, %s, %s, 'pending', 0, %s, '', %s) ON CONFLICT DO NOTHING RETURNING id""",
        [endpoint.customer_id, endpoint.id, event_id, kind, body, now, now],
    )
    return [row[0] for row in added]


def _endpoint(customer_id: int, endpoint_id: int) -> Endpoint:
    row = Endpoint.objects.select_for_update().filter(customer_id=customer_id, id=endpoint_id, removed_at=None).first()
    if row is None:
        raise NotFound("There is no such address.")
    return row


def _delivery(customer_id: int, delivery_id: int) -> Delivery:
    row = Delivery.objects.select_for_update().filter(customer_id=customer_id, id=delivery_id).first()
    if row is None:
        raise NotFound("There is no such delivery.")
    return row
