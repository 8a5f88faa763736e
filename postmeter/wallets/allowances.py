"""Allowances: a member's credit is filled from the pool at the beginning of each period, without a card (A-20)."""

from datetime import date, datetime, timedelta
from uuid import NAMESPACE_OID, uuid5
from zoneinfo import ZoneInfo

from postmeter.customers import queries as customers
from postmeter.customers.models import Role
from postmeter.customers.queries import Seat
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.money import exact_minor
from postmeter.kit.refusals import BadInput, NotAllowed
from postmeter.wallets import accounts, queries, sharing, transfers
from postmeter.wallets.models import Allowance

PERIODS = ("day", "week", "month")


@scoped
def allowances(*, customer_id: int) -> dict[int, Allowance]:
    """By wallet."""
    return {row.wallet_id: row for row in Allowance.objects.filter(customer_id=customer_id)}


@scoped
def set_allowance(
    *, customer_id: int, seat: Seat, wallet_id: int, up_to_micros: int, period: str, now: datetime
) -> Allowance | None:
    """Fill a member's credit up to this much each period, from the next one on; 0 ends it. Only a master may (R-05).

    Raises BadInput, NotAllowed, NotFound.
    """
    if Role.MASTER not in seat.roles:
        raise NotAllowed("Allowances are drawn from System Credits.", remedy="Ask a master.")
    account = accounts.account(customer_id=customer_id, seat=seat, wallet_id=wallet_id)
    if account.seat is None or account.is_frozen:
        raise BadInput("Only members who may send have an allowance.", field="wallet", remedy="Choose one of them.")
    if period not in PERIODS:
        raise BadInput("Choose how often.", field="period", remedy=f"One of {', '.join(PERIODS)}.")
    exact_minor(up_to_micros, account.wallet.unit)
    if up_to_micros < 0:
        raise BadInput("An amount is not below zero.", field="amount", remedy="Enter 0 to end it.")
    actor = f"member:{seat.member_id}"
    data = {"up_to_micros": up_to_micros, "period": period}
    events.record("allowance.changed", customer_id=customer_id, subject_id=wallet_id, now=now, actor=actor, data=data)
    if not up_to_micros:
        Allowance.objects.filter(customer_id=customer_id, wallet_id=wallet_id).delete()
        return None
    row, _ = Allowance.objects.update_or_create(
        customer_id=customer_id,
        wallet_id=wallet_id,
        defaults={"up_to_micros": up_to_micros, "period": period, "changed_by": actor, "changed_at": now, "filled_for": None},
        create_defaults={
            "id": calls.next_id(), "up_to_micros": up_to_micros, "period": period, "changed_by": actor, "changed_at": now,
        },
    )  # fmt: skip
    return row


def fill_due(*, customer_id: int, now: datetime) -> int:
    """Fill each allowance once a period, as far as the pool goes. Returns how many got something."""
    return sum(_fill(customer_id=customer_id, wallet_id=wallet_id, now=now) for wallet_id in allowances(customer_id=customer_id))


@scoped
def _fill(*, customer_id: int, wallet_id: int, now: datetime) -> bool:
    row = Allowance.objects.select_for_update().filter(customer_id=customer_id, wallet_id=wallet_id).first()
    if row is None or not sharing.sharing(customer_id=customer_id).individual:
        return False
    first = _first_day(row.period, now, customers.customer(customer_id=customer_id).time_zone)
    if row.filled_for == first:
        return False
    row.filled_for = first
    row.save(update_fields=["filled_for"])
    pool, wallet = queries.pool(customer_id=customer_id), queries.wallet(customer_id=customer_id, wallet_id=wallet_id)
    there, own = (queries.balance(customer_id=customer_id, wallet=each) for each in (pool, wallet))
    missing = row.up_to_micros - (own.posted_micros - own.held_micros)
    amount = min(missing, there.posted_micros + there.debt_micros - there.held_micros)
    if amount <= 0:
        return False
    key = uuid5(NAMESPACE_OID, f"allowance {row.id} {first}")
    transfers.move(source=pool, target=wallet, amount_micros=amount, note="Allowance", key=key, actor=events.SYSTEM, now=now)
    return True


def _first_day(period: str, now: datetime, time_zone: str) -> date:
    today = now.astimezone(ZoneInfo(time_zone)).date()
    if period == "week":
        return today - timedelta(days=today.weekday())
    return today.replace(day=1) if period == "month" else today
