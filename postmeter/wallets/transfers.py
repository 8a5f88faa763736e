"""Credit from one wallet of a customer to another: only what is free, atomic, agreed to, once (S-151, S-164, A-10, A-62, A-63)."""

import hashlib
from datetime import datetime
from uuid import UUID

from postmeter.customers.queries import Seat
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.money import exact_minor, format_amount
from postmeter.kit.refusals import BadInput, Conflict, NotAllowed, NotCovered
from postmeter.ledger import operations as ledger
from postmeter.ledger.operations import Posting
from postmeter.wallets import accounts, approvals, queries
from postmeter.wallets.models import Sharing, Transfer, TransferRequest, Wallet

CONDITIONS = (
    "The credit leaves the one account and is in the other at once. It cannot be called back: whoever has it may spend it or "
    "transfer it on. Both sides are told, and the transfer stays in the logs of both accounts. (Version of 1 November 2026)"
)
CODE = "transfer"
NOTE_AT_MOST = 200


def agreed_hash() -> str:
    """Names the text that is ticked, word by word."""
    return hashlib.sha256(CONDITIONS.encode()).hexdigest()


@scoped
def transfer(
    *,
    customer_id: int,
    seat: Seat,
    source_id: int,
    target_id: int,
    amount_micros: int,
    note: str,
    agreed: str,
    key: UUID,
    now: datetime,
) -> Transfer | TransferRequest:
    """Transfer credit between two accounts that this member may use so. The same `key` is the same transfer.

    Above the limit that masters have set it waits for one of them: then it is a request (A-62).

    Raises BadInput with its field, NotAllowed, NotCovered, and Conflict where the key was used for another one.
    """
    if agreed != agreed_hash():
        raise BadInput("Agree to the conditions first.", field="agree", remedy="Read them, and tick the box.")
    if source_id == target_id:
        raise BadInput("Both are the same account.", field="target", remedy="Choose another one.")
    note = " ".join(note.split())
    if len(note) > NOTE_AT_MOST:
        raise BadInput("This note is too long.", field="note", remedy=f"Up to {NOTE_AT_MOST} characters.")
    sharing = Sharing.objects.filter(customer_id=customer_id, individual=True).first()
    if sharing is None:
        raise Conflict("All members share one pool.", remedy="A master can ask for individual credits under Terms.")
    visible = {row.wallet.id: row for row in accounts.visible(customer_id=customer_id, seat=seat)}
    source, target = visible.get(source_id), visible.get(target_id)
    if source is None or not source.may_give:
        raise NotAllowed("You may not transfer from this account.", field="source", remedy="Choose one of yours.")
    if target is None or not target.may_take:
        raise NotAllowed("You may not transfer to this account.", field="target", remedy="Choose an active member who may send.")
    exact_minor(amount_micros, source.wallet.unit)
    if amount_micros <= 0:
        raise BadInput("An amount must be above zero.", field="amount")
    wait = approvals.wanted(seat=seat, sharing=sharing, amount_micros=amount_micros)
    return (approvals.ask if wait else move)(
        source=source.wallet,
        target=target.wallet,
        amount_micros=amount_micros,
        note=note,
        key=key,
        actor=f"member:{seat.member_id}",
        now=now,
        agreed=agreed,
    )


@scoped
def approve(*, customer_id: int, seat: Seat, request_id: int, now: datetime) -> Transfer:
    """A master's yes: transfer what was asked for, as long as it is free. Raises NotAllowed, NotFound, NotCovered, Conflict."""
    row = approvals.asked(customer_id=customer_id, seat=seat, request_id=request_id)
    visible = {each.wallet.id: each for each in accounts.visible(customer_id=customer_id, seat=seat)}
    source, target = visible.get(row.source_id), visible.get(row.target_id)
    if source is None or target is None or not target.may_take:
        raise Conflict("One of these accounts cannot be transferred between any more.", remedy="Decline it.")
    approvals.decide(row, "approved", seat, now)
    return move(
        source=source.wallet,
        target=target.wallet,
        amount_micros=row.amount_micros,
        note=row.note,
        key=row.key,
        actor=row.asked_by,
        now=now,
        agreed=row.agreed,
    )


def move(
    *, source: Wallet, target: Wallet, amount_micros: int, note: str, key: UUID, actor: str, now: datetime, agreed: str = ""
) -> Transfer:
    """The posting with its row and its fact, in the scope that is open. Raises NotCovered, Conflict."""
    customer_id = source.customer_id
    added = calls.rows(
        """INSERT INTO wallets_transfer (customer_id, id, source_id, target_id, amount_micros, note, key, agreed, actor, at)
           VALUES (%s, next_id(), %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (customer_id, key) DO NOTHING RETURNING id""",
        [customer_id, source.id, target.id, amount_micros, note, key, agreed, actor, now],
    )
    row = Transfer.objects.get(customer_id=customer_id, key=key)
    if not added:
        if (row.source_id, row.target_id, row.amount_micros) != (source.id, target.id, amount_micros):
            raise Conflict("This form was used for another transfer.", field="key", remedy="Begin a new one.")
        return row
    ledger.lock(customer_id=customer_id, account_ids=[source.account_id, target.account_id])
    balance = queries.balance(customer_id=customer_id, wallet=source)
    # Neither what is held for messages under way nor what may only be borrowed can be given away.
    free = balance.posted_micros + balance.debt_micros - balance.held_micros
    if free < amount_micros:
        there = format_amount(max(free, 0), source.unit)
        raise NotCovered(f"Only {there} of this account is free.", field="amount", remedy="Enter at most that much.")
    posting = Posting(row.id, source.account_id, target.account_id, amount_micros, CODE, row.id)
    words = ledger.post(customer_id=customer_id, now=now, postings=[posting])
    assert words == [ledger.Word.OK], f"transfer refused: {words}"
    data = {"source": source.id, "target": target.id, "amount_micros": amount_micros}
    events.record("credit.transferred", customer_id=customer_id, subject_id=row.id, now=now, actor=actor, data=data)
    return row


@scoped
def reclaim(*, customer_id: int, source: Wallet, target: Wallet, key: UUID, actor: str, now: datetime) -> Transfer | None:
    """Bring all that is free in a frozen wallet into the pool (R-07, A-61); None where nothing is."""
    known = Transfer.objects.filter(customer_id=customer_id, key=key).first()
    if known:
        return known
    ledger.lock(customer_id=customer_id, account_ids=[source.account_id, target.account_id])
    balance = queries.balance(customer_id=customer_id, wallet=source)
    free = balance.posted_micros + balance.debt_micros - balance.held_micros
    if free <= 0:
        return None
    return move(source=source, target=target, amount_micros=free, note="Taken back", key=key, actor=actor, now=now)


@scoped
def of(*, customer_id: int, transfer_id: int) -> Transfer:
    return Transfer.objects.get(customer_id=customer_id, id=transfer_id)
