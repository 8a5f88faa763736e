"""When credit ends, from what is scheduled and what is usual on each weekday. Plain arithmetic on micro-units."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import isqrt

HORIZON_DAYS = 60
BUY_FOR_DAYS = 30
# 1.28 standard deviations to each side hold four of five outcomes of a normal spread.
SPREAD_NUMERATOR, SPREAD_DENOMINATOR = 128, 100


@dataclass(frozen=True, slots=True)
class Pace:
    """What is spent on a Monday … Sunday: mean in micro-units and variance in micro-units squared."""

    means: tuple[int, ...]
    variances: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """What is likely left at the end of a day, and the range that holds four of five outcomes."""

    day: date
    likely_micros: int
    low_micros: int
    high_micros: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """`ends_on`: the day on which credit likely ends, `earliest` and `latest` its range; None beyond the horizon."""

    days: tuple[Day, ...]
    ends_on: date | None
    earliest: date | None
    latest: date | None
    month_micros: int  # likely use of the next thirty days

    @property
    def days_left(self) -> int | None:
        """Whole days that credit likely lasts."""
        return (self.ends_on - self.days[0].day).days if self.ends_on else None


def pace(spent: Sequence[tuple[date, int]]) -> Pace | None:
    """From what each day cost, in order and without gaps; days before the first spending do not count. None: nothing is known.

    A weekday that has not come yet is taken to be like all days.
    """
    first = next((place for place, (_, micros) in enumerate(spent) if micros > 0), len(spent))
    known = spent[first:]
    if not known:
        return None
    means, variances = [], []
    for weekday in range(7):
        costs = [micros for day, micros in known if day.weekday() == weekday] or [micros for _, micros in known]
        mean = sum(costs) // len(costs)
        means.append(mean)
        variances.append(sum((cost - mean) ** 2 for cost in costs) // len(costs))
    return Pace(tuple(means), tuple(variances))


def forecast(
    *, available_micros: int, usual: Pace, today: date, spent_today_micros: int = 0, scheduled: Mapping[date, int] | None = None
) -> Forecast:
    """Day by day from today. `scheduled` is held already: that much of a day's usual spending has been paid for."""
    days = tuple(_days(available_micros, usual, today, spent_today_micros, scheduled or {}))
    likely = [day.likely_micros for day in days]
    end = min(BUY_FOR_DAYS, len(days)) - 1
    return Forecast(
        days,
        _first_without(days, likely),
        _first_without(days, [day.low_micros for day in days]),
        _first_without(days, [day.high_micros for day in days]),
        available_micros - likely[end],
    )


def to_buy(forecast: Forecast, *, available_micros: int, least_micros: int) -> int:
    """What to buy so that credit lasts thirty days: in steps of the smallest purchase; 0 if it does already."""
    missing = forecast.month_micros - available_micros
    return -(-missing // least_micros) * least_micros if missing > 0 else 0


def _days(left: int, usual: Pace, today: date, spent_today: int, scheduled: Mapping[date, int]) -> Iterator[Day]:
    variance = 0
    for offset in range(HORIZON_DAYS):
        day = today + timedelta(days=offset)
        known = scheduled.get(day, 0) + (spent_today if offset == 0 else 0)
        left -= max(usual.means[day.weekday()] - known, 0)
        variance += usual.variances[day.weekday()]
        spread = isqrt(variance) * SPREAD_NUMERATOR // SPREAD_DENOMINATOR
        yield Day(day, left, left - spread, left + spread)


def _first_without(days: Sequence[Day], left: Sequence[int]) -> date | None:
    return next((day.day for day, micros in zip(days, left, strict=True) if micros <= 0), None)
