"""Which promotional credit was used, pure: the soonest to expire first, all of it before what was bought, the oldest first (A-12)."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Lot:
    """One grant: so much, from a moment on, until another or for ever; micro-units."""

    id: int
    amount_micros: int
    granted_at: datetime
    expires_at: datetime | None


def left(lots: Sequence[Lot], used_until: Callable[[datetime], int], now: datetime) -> dict[int, int]:
    """What of each lot is not used: at its end where that is past, else now.

    `used_until(moment)` is all use before it. Between two moments at which a lot begins or ends, use is taken from the lots
    that are good then, in their order; what they do not cover was bought credit.
    """
    remaining = {lot.id: lot.amount_micros for lot in lots}
    moments = {lot.granted_at for lot in lots} | {lot.expires_at for lot in lots if lot.expires_at} | {now}
    times = sorted(moment for moment in moments if moment <= now)
    for begin, end in itertools.pairwise(times):
        use = used_until(end) - used_until(begin)
        good = [lot for lot in lots if lot.granted_at <= begin and (lot.expires_at is None or lot.expires_at >= end)]
        for lot in sorted(good, key=_turn):
            taken = max(0, min(use, remaining[lot.id]))
            remaining[lot.id] -= taken
            use -= taken
    return remaining


def _turn(lot: Lot) -> tuple[bool, float, datetime, int]:
    expires = lot.expires_at
    return expires is None, expires.timestamp() if expires else 0.0, lot.granted_at, lot.id
