"""Transfers that a master has to approve: above a limit that masters set, none without one (A-62)."""

from datetime import datetime
from uuid import UUID

from postmeter.customers.models import Role
from postmeter.customers.queries import Seat
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.money import exact_minor
from postmeter.kit.refusals import BadInput, Conflict, NotAllowed, NotFound
from postmeter.wallets import queries
from postmeter.wallets.models import Sharing, TransferRequest, Wallet


@scoped
def set_limit(*, customer_id: int, seat: Seat, above_micros: int | None, now: datetime) -> None:
    """Above which amount a transfer by anybody but a master waits for one; None: none does. Raises NotAllowed, BadInput."""
    _must_be_master(seat)
    if above_micros is not None:
        exact_minor(above_micros, queries.pool(customer_id=customer_id).unit)
        if above_micros < 0:
            raise BadInput("A limit is zero or more.", field="amount", remedy="Leave it empty for no limit.")
    Sharing.objects.update_or_create(customer_id=customer_id, defaults={"approve_above_micros": above_micros})
    data = {"approve_above_micros": above_micros}
    actor = f"member:{seat.member_id}"
    events.record("sharing.limit_changed", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data=data)


def wanted(*, seat: Seat, sharing: Sharing, amount_micros: int) -> bool:
    """Whether a transfer of this amount by this member waits for a master."""
    limit = sharing.approve_above_micros
    return limit is not None and amount_micros > limit and Role.MASTER not in seat.roles


def ask(
    *, source: Wallet, target: Wallet, amount_micros: int, note: str, key: UUID, actor: str, now: datetime, agreed: str
) -> TransferRequest:
    """Keep it for a master, in the scope that is open: nothing moves, and nothing is held. The same `key` is the same request."""
    customer_id = source.customer_id
    added = calls.rows(
        """INSERT INTO wallets_transfer_request
               (customer_id, id, source_id, target_id, amount_micros, note, key, agreed, asked_by, asked_at, state)
           VALUES (%s, next_id(), %s, %s, %s, %s, %s, %s, %s, %s, 'asked') ON CONFLICT (customer_id, key) DO NOTHING RETURNING id""",
        [customer_id, source.id, target.id, amount_micros, note, key, agreed, actor, now],
    )
    row = TransferRequest.objects.get(customer_id=customer_id, key=key)
    if not added:
        if (row.source_id, row.target_id, row.amount_micros) != (source.id, target.id, amount_micros):
            raise Conflict("This form was used for another transfer.", field="key", remedy="Begin a new one.")
        return row
    events.record("transfer.asked", customer_id=customer_id, subject_id=row.id, now=now, actor=actor, data=_said(row))
    return row


@scoped
def decline(*, customer_id: int, seat: Seat, request_id: int, now: datetime) -> TransferRequest:
    """Raises NotAllowed, NotFound, and Conflict once it is decided."""
    row = asked(customer_id=customer_id, seat=seat, request_id=request_id)
    decide(row, "declined", seat, now)
    events.record("transfer.declined", customer_id=customer_id, subject_id=row.id, now=now, actor=row.decided_by, data=_said(row))
    return row


@scoped
def waiting(*, customer_id: int) -> list[TransferRequest]:
    """What nobody has decided about, the oldest first."""
    return list(TransferRequest.objects.filter(customer_id=customer_id, state="asked").order_by("id"))


@scoped
def request(*, customer_id: int, request_id: int) -> TransferRequest:
    found = TransferRequest.objects.filter(customer_id=customer_id, id=request_id).first()
    if found is None:
        raise NotFound("There is no such transfer.")
    return found


def asked(*, customer_id: int, seat: Seat, request_id: int) -> TransferRequest:
    """One that waits, locked, for this master to decide. Raises NotAllowed, NotFound, Conflict."""
    _must_be_master(seat)
    row = TransferRequest.objects.select_for_update().filter(customer_id=customer_id, id=request_id).first()
    if row is None:
        raise NotFound("There is no such transfer.")
    if row.state != "asked":
        raise Conflict("This transfer is decided already.", remedy="Nothing is to be done.")
    return row


def decide(row: TransferRequest, state: str, seat: Seat, now: datetime) -> None:
    """Write a master's word, in the scope that is open."""
    row.state, row.decided_by, row.decided_at = state, f"member:{seat.member_id}", now
    row.save(update_fields=["state", "decided_by", "decided_at"])


def _said(row: TransferRequest) -> dict[str, object]:
    return {"wallet": row.source_id, "amount_micros": row.amount_micros, "asked_by": row.asked_by}


def _must_be_master(seat: Seat) -> None:
    if Role.MASTER not in seat.roles:
        raise NotAllowed("Masters decide about this.", remedy="Ask one of them.")
