"""Every write about alerts and notices. Nothing here pays for anything (S-130)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from postmeter.customers import queries as customers
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.money import MICROS, format_amount
from postmeter.kit.refusals import BadInput
from postmeter.notifications import queries
from postmeter.notifications.models import Alert, Notice
from postmeter.topups import queries as topups
from postmeter.topups.queries import Figures
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets
from postmeter.wallets.models import Wallet

USUAL = (5 * MICROS, 0)  # S-007, S-008
MOST_LEVELS = 8
AT_MOST_EVERY = timedelta(hours=24)  # one mail a level, however often a balance crosses it
MAILING_LEASE = timedelta(minutes=2)
LONGEST_DAYS = 60
LEAST_MICROS, MOST_MICROS = -1_000_000 * MICROS, 1_000_000 * MICROS


class BeingMailed(Exception):
    """Another job has the claim on this mail."""


@dataclass(frozen=True, slots=True, order=True)
class Level:
    """Where an alert stands: `money` in micro-units (below zero for an overdraft, A-42), `days`, or `limit` in percent."""

    kind: str
    level: int


@scoped
def open_alerts(*, customer_id: int, wallet_id: int, now: datetime) -> None:
    """The usual levels for a new wallet, unless somebody has set its alerts already. That it is empty is news to nobody."""
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    if wallet.kind != "pool" or Alert.objects.filter(customer_id=customer_id, wallet_id=wallet_id).exists():
        return
    for level in USUAL:
        Alert.objects.create(
            customer_id=customer_id,
            id=calls.next_id(),
            wallet_id=wallet_id,
            kind="money",
            level=level,
            told_at=now,
            created_by="system",
            created_at=now,
        )
    look(customer_id=customer_id, wallet_id=wallet_id, now=now)


@scoped
def set_alerts(*, customer_id: int, wallet_id: int, levels: Sequence[Level], actor: str, now: datetime) -> list[Alert]:
    """Have exactly these levels. Those that were there keep what they have told. Raises BadInput."""
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    for level in levels:
        _check(level, wallet)
    wanted = set(levels)
    if len(wanted) > MOST_LEVELS:
        raise BadInput(f"More than {MOST_LEVELS} levels.", field="level", remedy="Remove one first.")
    there = {Level(row.kind, row.level): row for row in _locked(customer_id, wallet_id)}
    for gone in there.keys() - wanted:
        _set_watch(wallet, there[gone], None)
        there[gone].delete()
    for new in wanted - there.keys():
        Alert.objects.get_or_create(
            customer_id=customer_id,
            wallet_id=wallet_id,
            kind=new.kind,
            level=new.level,
            defaults={"id": calls.next_id(), "created_by": actor, "created_at": now},
        )
    if there.keys() != wanted:
        said = [{"kind": level.kind, "level": level.level} for level in sorted(wanted)]
        events.record(
            "alerts.changed", customer_id=customer_id, subject_id=wallet_id, now=now, actor=actor, data={"levels": said}
        )
    look(customer_id=customer_id, wallet_id=wallet_id, now=now)
    return queries.alerts(customer_id=customer_id, wallet_id=wallet_id)


def _check(level: Level, wallet: Wallet) -> None:
    if wallet.kind == "sandbox":
        raise BadInput("Nobody runs out of sandbox credit.", field="wallet", remedy="Choose the live wallet.")
    if level.kind == "money" and not LEAST_MICROS <= level.level <= MOST_MICROS:
        most = format_amount(MOST_MICROS, wallet.unit)
        raise BadInput("That level is out of reach.", field="level", remedy=f"Enter an amount between −{most} and {most}.")
    if level.kind == "days" and not 1 <= level.level <= LONGEST_DAYS:
        raise BadInput("That is no number of days.", field="level", remedy=f"Enter 1 to {LONGEST_DAYS}.")
    if level.kind == "limit" and not 1 <= level.level <= 100:
        raise BadInput("That is no percentage.", field="level", remedy="Enter 1 to 100.")
    if level.kind not in ("money", "days", "limit"):
        raise BadInput("There is no such kind of alert.", field="kind", remedy="Use money, days or limit.")


@scoped
def look(*, customer_id: int, wallet_id: int, now: datetime) -> Notice | None:
    """Compare a wallet with its levels: tell of those that it fell below, arm those that it is well above again.

    One mail names the most urgent level. Returns its notice, if there is one.
    """
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    rows = _locked(customer_id, wallet_id)
    figures = topups.figures(customer_id=customer_id, wallet=wallet)
    days_left = queries.days_left(customer_id=customer_id, figures=figures, now=now) if _asks_for_days(rows) else None
    passed = []
    for row in rows:
        at = _place(row, figures, days_left)
        if at is None:
            continue
        if row.told_at is None and at.passed:
            row.told_at = now
            row.save(update_fields=["told_at"])
            passed.append(row)
        elif row.told_at is not None and at.well_above:
            row.told_at = None
            row.save(update_fields=["told_at"])
        _watch(wallet, row, figures)
    # A level that was mailed today says nothing new; one that was not does.
    fresh = [row for row in passed if row.mailed_at is None or now - row.mailed_at >= AT_MOST_EVERY]
    if not fresh:
        return None
    for row in passed:
        row.mailed_at = now
        row.save(update_fields=["mailed_at"])
    worst = min(
        fresh, key=lambda row: (row.kind == "days", row.kind == "money", -row.level if row.kind == "limit" else row.level)
    )
    facts = {"wallet": wallet_id, "kind": worst.kind, "level": worst.level}
    kind = "runway" if worst.kind == "days" else "low_balance"
    return notify(customer_id=customer_id, kind=kind, key=f"{worst.id}:{now:%Y-%m-%dT%H:%M:%S.%f}", facts=facts, now=now)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a wallet stands as against one level. Between the two nothing changes: that is the latch (A-77)."""

    passed: bool
    well_above: bool


def _place(row: Alert, figures: Figures, days_left: int | None) -> _Place | None:
    """None where the level says nothing: no overdraft, or nothing is known of the days to come."""
    shown = figures.posted_micros - figures.held_micros
    if row.kind == "days":
        return None if days_left is None else _Place(days_left < row.level, 5 * days_left >= 6 * row.level)
    if row.kind == "limit":
        if not figures.limit_micros:
            return None
        used = max(-shown, 0) * 100
        return _Place(used >= row.level * figures.limit_micros, used * 6 < 5 * row.level * figures.limit_micros)
    # Prepaid credit stops at zero, so the level of zero is passed when nothing is left.
    fell = shown < row.level or (row.level == 0 and shown <= 0)
    return _Place(fell, shown >= row.level + max(abs(row.level) // 5, MICROS))


def _watch(wallet: Wallet, row: Alert, figures: Figures) -> None:
    """Have the books tell when an armed level is passed; days are looked at by the hour."""
    if row.kind == "days":
        return
    level = -figures.limit_micros * row.level // 100 + 1 if row.kind == "limit" else row.level + (row.level == 0)
    _set_watch(wallet, row, level if row.told_at is None else None)


def _set_watch(wallet: Wallet, row: Alert, below_micros: int | None) -> None:
    """None ends it. The level of zero is passed by a debt too, which the wallet's own account does not show."""
    customer_id, name = wallet.customer_id, f"alert:{row.id}"
    wallet_operations.watch(customer_id=customer_id, wallet=wallet, name=name, below_micros=below_micros)
    if row.kind == "money" and row.level == 0:
        wallet_operations.watch_debt(customer_id=customer_id, wallet=wallet, name=name, wanted=below_micros is not None)


def _asks_for_days(rows: Sequence[Alert]) -> bool:
    return any(row.kind == "days" for row in rows)


def _locked(customer_id: int, wallet_id: int) -> list[Alert]:
    """The wallet's levels under lock, so that of many jobs that look at once one tells."""
    return list(Alert.objects.select_for_update().filter(customer_id=customer_id, wallet_id=wallet_id).order_by("id"))


@scoped
def notify(*, customer_id: int, kind: str, key: str, facts: dict[str, object], now: datetime, address: str = "") -> Notice | None:
    """Have the customer told by mail, at its own address unless there is one, once for each `key`. None if that was said already.

    `facts` are ids, numbers and codes, never names or texts: the words are made when the mail goes.
    """
    address = address or customers.customer(customer_id=customer_id).email
    notice, is_new = Notice.objects.get_or_create(
        customer_id=customer_id,
        kind=kind,
        key=key,
        defaults={"id": calls.next_id(), "facts": facts, "address": address, "created_at": now},
    )
    if not is_new:
        return None
    events.record("notice.made", customer_id=customer_id, subject_id=notice.id, now=now, data={"kind": kind})
    return notice


@scoped
def start_mailing(*, customer_id: int, notice_id: int, now: datetime) -> Notice | None:
    """Claim a notice's mail; None if it went. Raises BeingMailed while another job holds the claim."""
    claimed = calls.rows(
        """UPDATE notifications_notice SET started_at = %s WHERE customer_id = %s AND id = %s AND mailed_at IS NULL
               AND (started_at IS NULL OR started_at <= %s) RETURNING id""",
        [now, customer_id, notice_id, now - MAILING_LEASE],
    )
    notice = Notice.objects.get(customer_id=customer_id, id=notice_id)
    if claimed:
        return notice
    if notice.mailed_at:
        return None
    raise BeingMailed


@scoped
def finish_mailing(*, customer_id: int, notice_id: int, now: datetime) -> None:
    Notice.objects.filter(customer_id=customer_id, id=notice_id, mailed_at=None).update(mailed_at=now)
