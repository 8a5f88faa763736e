"""Changes that a customer asks for and an account manager decides about: previewed, and with a way back (S-100, S-144, A-60)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.refusals import BadInput, Conflict
from postmeter.terms import queries
from postmeter.terms.changes import CHANGES, Shown
from postmeter.terms.models import ChangeRequest


class Decided(Conflict):
    """This request is decided already."""

    code = "decided"


@scoped
def ask(*, customer_id: int, kind: str, wanted: Mapping[str, Any], reason: str, actor: str, now: datetime) -> ChangeRequest:
    """Ask for a change; one of a kind may wait at a time. Raises BadInput with its field, Conflict."""
    if kind not in CHANGES:
        raise BadInput("There is no such change.", field="kind", remedy=f"One of {', '.join(CHANGES)}.")
    if len(reason) > 1000:
        raise BadInput("This is too long.", field="reason", remedy="Up to 1000 characters.")
    checked = CHANGES[kind].check(customer_id, wanted, now)
    row = ChangeRequest(
        customer_id=customer_id,
        id=calls.next_id(),
        kind=kind,
        wanted=checked,
        reason=" ".join(reason.split()),
        state="asked",
        asked_by=actor,
        asked_at=now,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise Conflict("This was asked for already.", field="kind", remedy="Withdraw that request first.") from None
    events.record("change_request.asked", customer_id=customer_id, subject_id=row.id, now=now, actor=actor, data={"kind": kind})
    return row


@scoped
def preview(*, customer_id: int, kind: str, wanted: Mapping[str, Any], now: datetime) -> list[Shown]:
    """What would be different, line by line. Raises BadInput, Conflict like `ask`."""
    change = CHANGES[kind]
    return change.preview(customer_id, change.check(customer_id, wanted, now), now)


@scoped
def withdraw(*, customer_id: int, request_id: int, actor: str, now: datetime) -> ChangeRequest:
    """The customer does not want it any more. Raises NotFound, Decided."""
    row = _decide(customer_id, request_id, "asked", "withdrawn", actor, now, note="")
    events.record("change_request.withdrawn", customer_id=customer_id, subject_id=row.id, now=now, actor=actor)
    return row


@scoped
def approve(
    *, customer_id: int, request_id: int, actor: str, now: datetime, note: str = "", given: Mapping[str, Any] | None = None
) -> ChangeRequest:
    """Make the change, in this transaction. `given`: what the account manager sets, such as a limit. Raises NotFound, Decided."""
    row = _decide(customer_id, request_id, "asked", "approved", actor, now, note=note)
    row.wanted = row.wanted | dict(given or {})
    row.before = CHANGES[row.kind].apply(customer_id, row.wanted, actor, now)
    row.save(update_fields=["wanted", "before"])
    events.record(
        "change_request.approved", customer_id=customer_id, subject_id=row.id, now=now, actor=actor, data={"kind": row.kind}
    )
    return row


@scoped
def decline(*, customer_id: int, request_id: int, actor: str, now: datetime, note: str) -> ChangeRequest:
    """Say no, and why. Raises NotFound, Decided, BadInput."""
    if not note.strip():
        raise BadInput("Say why.", field="note", remedy="The customer reads it.")
    row = _decide(customer_id, request_id, "asked", "declined", actor, now, note=note)
    events.record(
        "change_request.declined", customer_id=customer_id, subject_id=row.id, now=now, actor=actor, data={"kind": row.kind}
    )
    return row


@scoped
def reverse(*, customer_id: int, request_id: int, actor: str, now: datetime, note: str = "") -> ChangeRequest:
    """Take an approved change back to what was before. Raises NotFound, Decided, and Conflict where that is no longer possible."""
    row = _decide(customer_id, request_id, "approved", "reversed", actor, now, note=note)
    CHANGES[row.kind].undo(customer_id, row.before, actor, now)
    events.record(
        "change_request.reversed", customer_id=customer_id, subject_id=row.id, now=now, actor=actor, data={"kind": row.kind}
    )
    return row


def _decide(
    customer_id: int, request_id: int, source: str, target: str, actor: str, now: datetime, *, note: str
) -> ChangeRequest:
    """The row is the lock: of two who decide at once the second one is told."""
    row = ChangeRequest.objects.select_for_update().filter(customer_id=customer_id, id=request_id).first()
    row = row or queries.request(customer_id=customer_id, request_id=request_id)  # which says that there is none
    if row.state != source:
        raise Decided(f"This request is {row.state} already.", remedy="Look at the page anew.")
    row.state, row.decided_by, row.decided_at, row.note = target, actor, now, " ".join(note.split())[:1000]
    row.save(update_fields=["state", "decided_by", "decided_at", "note"])
    return row
