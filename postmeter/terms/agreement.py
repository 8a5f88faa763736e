"""The limit, how bills are paid, and what happens when they are not (S-095 … S-100, A-38 … A-41, A-14)."""

from datetime import datetime

from postmeter.customers import operations as customers
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.guard import queries as guard
from postmeter.kit.refusals import BadInput
from postmeter.ledger import operations as ledger
from postmeter.statements import months
from postmeter.statements.operations import GRACE
from postmeter.terms import queries
from postmeter.terms.models import Agreement
from postmeter.topups import bills
from postmeter.topups import queries as topups
from postmeter.topups.models import Bill
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets

OVERDUE, DISPUTED, BY_HAND = "overdue", "disputed", "by_hand"
MOST_DAYS = 365


@scoped
def set_limit(*, customer_id: int, limit_micros: int, actor: str, now: datetime) -> Agreement:
    """Let a customer's pool go below zero by this much (S-095, A-39). Raises BadInput, and Conflict where more is used already.

    While a bill is overdue it is kept for when that is paid.
    """
    row = _locked(customer_id)
    row.limit_micros = limit_micros
    if row.stopped_at is None:
        wallet = wallets.pool(customer_id=customer_id)
        wallet_operations.set_limit(customer_id=customer_id, wallet=wallet, limit_micros=limit_micros, actor=actor, now=now)
    row.save()
    return row


@scoped
def set_policy(
    *,
    customer_id: int,
    days_to_pay: int,
    stop_after_days: int,
    suspend_after_days: int | None,
    suspend_on_dispute: bool,
    actor: str,
    now: datetime,
) -> Agreement:
    """Say when bills are due and what happens after that. Raises BadInput with its field."""
    given = {"days_to_pay": days_to_pay, "stop_after_days": stop_after_days, "suspend_after_days": suspend_after_days}
    for field, days in given.items():
        if days is not None and not 0 <= days <= MOST_DAYS:
            raise BadInput("That is no number of days.", field=field, remedy=f"Enter 0 to {MOST_DAYS}.")
    row = _locked(customer_id)
    for field, value in (given | {"suspend_on_dispute": suspend_on_dispute}).items():
        setattr(row, field, value)
    row.save()
    data = given | {"suspend_on_dispute": suspend_on_dispute}
    events.record("terms.changed", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data=data)
    return row


@scoped
def set_post_paid(*, customer_id: int, since: datetime | None, actor: str, now: datetime) -> None:
    """Since when a customer pays afterwards; None: it pays ahead."""
    row = _locked(customer_id)
    row.post_paid_since = since
    row.save()
    data = {"post_paid": since is not None}
    events.record("terms.changed", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data=data)


@scoped
def suspend(*, customer_id: int, reason: str, actor: str, now: datetime) -> bool:
    """Accept no more messages until somebody lifts it; what was accepted goes its way. Says whether it was not so before."""
    row = _locked(customer_id)
    if row.suspended_for:
        return False
    row.suspended_for = reason
    row.save()
    customers.suspend(customer_id=customer_id, reason=reason, now=now, actor=actor)
    return True


@scoped
def reinstate(*, customer_id: int, actor: str, now: datetime, only_for: str = "") -> bool:
    """Accept messages again. `only_for`: where it was suspended for that, and for nothing else. Says whether it was suspended."""
    row = _locked(customer_id)
    if not row.suspended_for or only_for not in ("", row.suspended_for):
        return False
    row.suspended_for = ""
    row.save()
    if guard.standing(customer_id=customer_id) is None:
        customers.reinstate(customer_id=customer_id, now=now, actor=actor)
    return True


def bill_due(*, customer_id: int, now: datetime) -> Bill | None:
    """Bill the last complete month of a customer that may go below zero, once (S-097, S-099: monthly, whatever its plan)."""
    row = queries.agreement(customer_id=customer_id)
    wallet = wallets.pool(customer_id=customer_id)
    limit = wallets.balance(customer_id=customer_id, wallet=wallet).limit_micros
    if not limit and not row.limit_micros:
        return None
    zone = queries.zone(customer_id=customer_id)
    month = months.last_complete(now - GRACE, zone)
    return bills.issue(
        customer_id=customer_id,
        wallet_id=wallet.id,
        month=month,
        ends=months.begins(months.after(month), zone),
        days_to_pay=row.days_to_pay,
        now=now,
    )


@scoped
def follow_bills(*, customer_id: int, now: datetime) -> None:
    """Lend nothing more while a bill is long overdue, and, where that was agreed, send nothing more; both end when it is paid."""
    if not Agreement.objects.filter(customer_id=customer_id).exists() and not bills.open_bills(customer_id=customer_id):
        return
    row, today = _locked(customer_id), queries.today(customer_id, now)
    late = max(((today - bill.due_on).days for bill in bills.open_bills(customer_id=customer_id)), default=-1)
    if late > row.stop_after_days:
        _lend_no_more(row, now)
    elif row.stopped_at:
        _lend_again(row, now)
    if row.suspend_after_days is not None and late > row.suspend_after_days:
        suspend(customer_id=customer_id, reason=OVERDUE, actor=events.SYSTEM, now=now)
    elif late < 0 or row.suspend_after_days is None:
        reinstate(customer_id=customer_id, actor=events.SYSTEM, now=now, only_for=OVERDUE)


def _lend_no_more(row: Agreement, now: datetime) -> None:
    """The limit is what is used or promised now, so nothing is left of it; what comes in lowers it in the next round."""
    wallet = wallets.pool(customer_id=row.customer_id)
    ledger.lock(customer_id=row.customer_id, account_ids=[wallet.account_id])
    balance = wallets.balance(customer_id=row.customer_id, wallet=wallet)
    used = max(0, balance.held_micros - balance.posted_micros - balance.debt_micros)
    if used < balance.limit_micros:
        wallet_operations.set_limit(customer_id=row.customer_id, wallet=wallet, limit_micros=used, actor=events.SYSTEM, now=now)
    if row.stopped_at is None:
        row.stopped_at = now
        row.limit_micros = max(row.limit_micros, balance.limit_micros)
        row.save()
        events.record("terms.overdraft_stopped", customer_id=row.customer_id, subject_id=wallet.id, now=now)


def _lend_again(row: Agreement, now: datetime) -> None:
    row.stopped_at = None
    row.save()
    set_limit(customer_id=row.customer_id, limit_micros=row.limit_micros, actor=events.SYSTEM, now=now)
    wallet = wallets.pool(customer_id=row.customer_id)
    events.record("terms.overdraft_restored", customer_id=row.customer_id, subject_id=wallet.id, now=now)


@scoped
def follow_dispute(*, customer_id: int, wallet_id: int, is_back: bool, now: datetime) -> None:
    """A payment that was spent is disputed: nothing more is sent until it is won, or somebody lifts it (A-14), where so agreed."""
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    if is_back:
        if not topups.disputed_micros(customer_id=customer_id):
            reinstate(customer_id=customer_id, actor=events.SYSTEM, now=now, only_for=DISPUTED)
    elif (
        queries.agreement(customer_id=customer_id).suspend_on_dispute
        and topups.figures(customer_id=customer_id, wallet=wallet).debt_micros
    ):
        suspend(customer_id=customer_id, reason=DISPUTED, actor=events.SYSTEM, now=now)


def _locked(customer_id: int) -> Agreement:
    """The customer's row, made if it is not there; what it says is decided by one at a time."""
    Agreement.objects.get_or_create(customer_id=customer_id)
    return Agreement.objects.select_for_update().get(customer_id=customer_id)
