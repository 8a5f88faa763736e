"""Credit given or taken by hand: with a reason, and above a limit by two people (ASVS 2.3.5)."""

from datetime import datetime
from uuid import UUID

from django.conf import settings

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.money import MICROS, exact_minor, format_amount
from postmeter.kit.refusals import BadInput, Conflict, NotAllowed, NotFound
from postmeter.ledger import operations as ledger
from postmeter.terms.models import Adjustment
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets

MOST_MICROS = 100_000 * MICROS
CODE = "adjustment"


class SecondPerson(NotAllowed):
    """Who proposed it cannot approve it."""

    code = "second_person"


@scoped
def propose(
    *, customer_id: int, wallet_id: int, amount_micros: int, reason: str, key: UUID, actor: str, now: datetime
) -> Adjustment:
    """Give credit (above zero) or take it (below). At once up to `ADJUSTMENT_ALONE`; above it a second person has to approve.

    The same `key` is the same adjustment. Raises BadInput with its field, and Conflict where the key was used for another one.
    """
    wallet, reason = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id), reason_of(reason)
    exact_minor(amount_micros, wallet.unit)
    if not amount_micros or abs(amount_micros) > MOST_MICROS:
        most = format_amount(MOST_MICROS, wallet.unit)
        raise BadInput("That is no adjustment.", field="amount", remedy=f"Up to {most}, or −{most} to take.")
    added = calls.rows(
        """INSERT INTO terms_adjustment (customer_id, id, wallet_id, amount_micros, reason, key, state, proposed_by, proposed_at,
               decided_by, transfer_id, debt_transfer_id)
           VALUES (%s, next_id(), %s, %s, %s, %s, 'proposed', %s, %s, '', next_id(), next_id())
           ON CONFLICT (customer_id, key) DO NOTHING RETURNING id""",
        [customer_id, wallet_id, amount_micros, reason, key, actor, now],
    )
    row = Adjustment.objects.select_for_update().get(customer_id=customer_id, key=key)
    if (row.wallet_id, row.amount_micros) != (wallet_id, amount_micros):
        raise Conflict("This key was used for another adjustment.", field="key", remedy="Begin a new one.")
    if added:
        data = {"amount_micros": amount_micros, "wallet": wallet_id}
        events.record("adjustment.proposed", customer_id=customer_id, subject_id=row.id, now=now, actor=actor, data=data)
        if abs(amount_micros) <= settings.ADJUSTMENT_ALONE_MICROS:
            _post(row, actor, now)
    return row


@scoped
def approve(*, customer_id: int, adjustment_id: int, actor: str, now: datetime) -> Adjustment:
    """The second person's word. Raises SecondPerson, NotFound, and Conflict where it is decided already."""
    row = _waiting(customer_id, adjustment_id)
    if row.proposed_by == actor:
        raise SecondPerson("You proposed it yourself.", remedy="Ask another account manager to approve it.")
    _post(row, actor, now)
    return row


@scoped
def decline(*, customer_id: int, adjustment_id: int, actor: str, now: datetime) -> Adjustment:
    """Whoever proposed it may take it back, and anybody else may decline it."""
    row = _waiting(customer_id, adjustment_id)
    _decide(row, "declined", actor, now)
    events.record("adjustment.declined", customer_id=customer_id, subject_id=row.id, now=now, actor=actor)
    return row


def reason_of(text: str) -> str:
    reason = " ".join(text.split())
    if not 1 <= len(reason) <= 500:
        raise BadInput("Say why.", field="reason", remedy="Write up to 500 characters: the customer reads them.")
    return reason


def _post(row: Adjustment, actor: str, now: datetime) -> None:
    """What is taken beyond the wallet becomes debt, as after a refund."""
    wallet = wallets.wallet(customer_id=row.customer_id, wallet_id=row.wallet_id)
    other = ledger.open_account(customer_id=row.customer_id, kind=CODE, unit=wallet.unit, normal="debit")
    if row.amount_micros > 0:
        wallet_operations.credit(
            customer_id=row.customer_id,
            wallet=wallet,
            source_kind=CODE,
            amount_micros=row.amount_micros,
            code=CODE,
            ref_id=row.id,
            transfer_ids=(row.transfer_id, row.debt_transfer_id),
            now=now,
        )
    else:
        wallet_operations.take(
            customer_id=row.customer_id,
            wallet=wallet,
            target_id=other,
            amount_micros=-row.amount_micros,
            code=CODE,
            ref_id=row.id,
            transfer_ids=(row.transfer_id, row.debt_transfer_id),
            now=now,
        )
    _decide(row, "posted", actor, now)
    data = {"amount_micros": row.amount_micros, "wallet": row.wallet_id}
    events.record("adjustment.posted", customer_id=row.customer_id, subject_id=row.id, now=now, actor=actor, data=data)


def _decide(row: Adjustment, state: str, actor: str, now: datetime) -> None:
    row.state, row.decided_by, row.decided_at = state, actor, now
    row.save(update_fields=["state", "decided_by", "decided_at"])


def _waiting(customer_id: int, adjustment_id: int) -> Adjustment:
    row = Adjustment.objects.select_for_update().filter(customer_id=customer_id, id=adjustment_id).first()
    if row is None:
        raise NotFound("There is no such adjustment.")
    if row.state != "proposed":
        raise Conflict("This adjustment is decided already.", remedy="Propose another one.")
    return row
