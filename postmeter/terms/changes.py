"""What may be asked for: one entry each in `CHANGES`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from postmeter.kit.money import MICROS, format_amount
from postmeter.kit.refusals import BadInput, Conflict
from postmeter.terms import agreement, queries
from postmeter.topups import automation
from postmeter.topups import queries as topups
from postmeter.wallets import queries as wallets
from postmeter.wallets import sharing
from postmeter.wallets.operations import LIMIT_AT_MOST

POST_PAID_FROM_MICROS = 5_000 * MICROS  # in each of the last three months


@dataclass(frozen=True, slots=True)
class Shown:
    """One line of a preview, in words."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """One kind: may it be asked for, what would be different, doing it (returns the way back), and undoing it."""

    title: str
    check: Callable[[int, Mapping[str, Any], datetime], dict[str, Any]]
    preview: Callable[[int, Mapping[str, Any], datetime], list[Shown]]
    apply: Callable[[int, Mapping[str, Any], str, datetime], dict[str, Any]]
    undo: Callable[[int, Mapping[str, Any], str, datetime], None]


def _limit(wanted: Mapping[str, Any]) -> int:
    limit = wanted.get("limit_micros")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= LIMIT_AT_MOST:
        raise BadInput("That is no limit.", field="limit", remedy=f"Enter an amount up to {LIMIT_AT_MOST // MICROS:,}.")
    return limit


def _ask_for_limit(customer_id: int, wanted: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {"limit_micros": _limit(wanted)}


def _show_limit(customer_id: int, wanted: Mapping[str, Any], now: datetime) -> list[Shown]:
    figures = topups.figures(customer_id=customer_id, wallet=wallets.pool(customer_id=customer_id))
    unit, more = figures.wallet.unit, wanted["limit_micros"] - figures.limit_micros
    return [
        Shown("May go below zero by", format_amount(figures.limit_micros, unit), format_amount(wanted["limit_micros"], unit)),
        Shown(
            "Available", format_amount(figures.available_micros, unit, 2), format_amount(figures.available_micros + more, unit, 2)
        ),
    ]


def _set_limit(customer_id: int, wanted: Mapping[str, Any], actor: str, now: datetime) -> dict[str, Any]:
    before = queries.agreement(customer_id=customer_id).limit_micros
    agreement.set_limit(customer_id=customer_id, limit_micros=_limit(wanted), actor=actor, now=now)
    return {"limit_micros": before}


def _reset_limit(customer_id: int, before: Mapping[str, Any], actor: str, now: datetime) -> None:
    agreement.set_limit(customer_id=customer_id, limit_micros=before["limit_micros"], actor=actor, now=now)


def _ask_for_post_paid(customer_id: int, wanted: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Open to who spent more than $5,000 in each of the last three months (S-100)."""
    if queries.agreement(customer_id=customer_id).post_paid_since:
        raise Conflict("You pay afterwards already.", field="kind", remedy="Nothing is to be done.")
    unit = wallets.pool(customer_id=customer_id).unit
    spent = queries.spent(customer_id=customer_id, now=now)
    if not all(each.amount_micros > POST_PAID_FROM_MICROS for each in spent):
        months = ", ".join(f"{format_amount(each.amount_micros, unit, 2)} in {each.month:%B}" for each in spent)
        most = format_amount(POST_PAID_FROM_MICROS, unit)
        raise Conflict(
            f"Paying afterwards is open to who spent more than {most} in each of the last three months. You spent {months}.",
            field="kind",
            remedy="Ask your account manager for a limit below zero instead.",
        )
    # What three months cost at most is what one month is likely to need.
    return {"limit_micros": wanted.get("limit_micros") or max(each.amount_micros for each in spent) * 3 // 2 // MICROS * MICROS}


def _show_post_paid(customer_id: int, wanted: Mapping[str, Any], now: datetime) -> list[Shown]:
    return [
        Shown("You pay", "before you send", "at each month's end, by invoice"),
        Shown("Credit that you have", "is used", "is used first"),
        Shown("Automatic top-up", "as set", "off"),
        *_show_limit(customer_id, wanted, now),
    ]


def _make_post_paid(customer_id: int, wanted: Mapping[str, Any], actor: str, now: datetime) -> dict[str, Any]:
    before = _set_limit(customer_id, wanted, actor, now)
    agreement.set_post_paid(customer_id=customer_id, since=now, actor=actor, now=now)
    wallet = wallets.pool(customer_id=customer_id)
    automation.stop(customer_id=customer_id, wallet_id=wallet.id, reason="post_paid", now=now)
    return before


def _make_prepaid(customer_id: int, before: Mapping[str, Any], actor: str, now: datetime) -> None:
    _reset_limit(customer_id, before, actor, now)
    agreement.set_post_paid(customer_id=customer_id, since=None, actor=actor, now=now)


def _ask_for_sharing(customer_id: int, wanted: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    individual = wanted.get("individual")
    if not isinstance(individual, bool):
        raise BadInput("Choose one pool or individual credits.", field="individual")
    if sharing.sharing(customer_id=customer_id).individual == individual:
        raise Conflict("It is so already.", field="kind", remedy="Nothing is to be done.")
    return {"individual": individual}


def _show_sharing(customer_id: int, wanted: Mapping[str, Any], now: datetime) -> list[Shown]:
    return [
        Shown("Who pays", *(("the pool", "who sends") if wanted["individual"] else ("who sends", "the pool"))),
        *(
            Shown(each.name, format_amount(each.before_micros, each.unit), format_amount(each.after_micros, each.unit))
            for each in sharing.preview(customer_id=customer_id, individual=wanted["individual"])
        ),
    ]


def _switch_sharing(customer_id: int, wanted: Mapping[str, Any], actor: str, now: datetime) -> dict[str, Any]:
    swept = sharing.switch(customer_id=customer_id, individual=wanted["individual"], actor=actor, now=now)
    return {"individual": not wanted["individual"], "amounts": swept}


def _switch_sharing_back(customer_id: int, before: Mapping[str, Any], actor: str, now: datetime) -> None:
    sharing.switch(customer_id=customer_id, individual=before["individual"], actor=actor, now=now)
    sharing.give_back(customer_id=customer_id, amounts=before["amounts"], actor=actor, now=now)


CHANGES = {
    "overdraft": Change("A limit below zero", _ask_for_limit, _show_limit, _set_limit, _reset_limit),
    "post_paid": Change("Paying afterwards", _ask_for_post_paid, _show_post_paid, _make_post_paid, _make_prepaid),
    "individual_credits": Change(
        "Credit of each member's own", _ask_for_sharing, _show_sharing, _switch_sharing, _switch_sharing_back
    ),
}
