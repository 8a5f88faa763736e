"""Reads of alerts and notices, and the runway of a wallet."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from postmeter.customers import queries as customers
from postmeter.db.scope import scoped
from postmeter.kit.refusals import NotFound
from postmeter.messaging import queries as messaging
from postmeter.notifications import runway as arithmetic
from postmeter.notifications.models import Alert, Notice
from postmeter.notifications.runway import Forecast
from postmeter.topups import price as prices
from postmeter.topups.queries import Figures

HISTORY_DAYS = 56


@dataclass(frozen=True, slots=True)
class Runway:
    """How long credit lasts. `spent` is what each of the last days cost, today included; without spending before today there is
    no `forecast`.

    `waiting` messages have no credit; the first of them lapses at `first_lapses_at`. `to_buy_micros` makes credit last a month.
    """

    spent: list[tuple[date, int]]
    forecast: Forecast | None
    waiting: int
    waiting_micros: int
    first_lapses_at: datetime | None
    to_buy_micros: int


@scoped
def alerts(*, customer_id: int, wallet_id: int) -> list[Alert]:
    """A wallet's levels, the highest amount first, then days and percent."""
    rows = Alert.objects.filter(customer_id=customer_id, wallet_id=wallet_id)
    return sorted(rows, key=lambda row: ({"money": 0, "days": 1, "limit": 2}[row.kind], -row.level))


@scoped
def notices(*, customer_id: int, before: int | None = None, at_most: int = 50) -> list[Notice]:
    """What a customer was told of its credit, the newest first; `before` is the id of the last one seen."""
    rows = Notice.objects.filter(customer_id=customer_id).exclude(kind="news").order_by("-id")
    return list((rows.filter(id__lt=before) if before else rows)[:at_most])


@scoped
def notice(*, customer_id: int, notice_id: int) -> Notice:
    found = Notice.objects.filter(customer_id=customer_id, id=notice_id).first()
    if found is None:
        raise NotFound("There is no such notice.")
    return found


def next_morning(now: datetime, zone: tzinfo) -> datetime:
    """The next nine o'clock in that zone: until then whoever sleeps now cannot buy."""
    local = now.astimezone(zone)
    nine = local.replace(hour=9, minute=0, second=0, microsecond=0)
    return nine if local < nine else nine + timedelta(days=1)


@scoped
def runway(*, customer_id: int, figures: Figures, now: datetime) -> Runway:
    """When the wallet's credit ends, from what is scheduled, what waits, and what is usual by weekday."""
    zone = ZoneInfo(customers.customer(customer_id=customer_id).time_zone)
    today = now.astimezone(zone).date()
    waiting = messaging.waiting(customer_id=customer_id)
    spent = spent_by_day(customer_id=customer_id, first=today - timedelta(days=HISTORY_DAYS), last=today, zone=zone)
    usual = arithmetic.pace(spent[:-1])
    least = prices.least(customer_id=customer_id, wallet=figures.wallet, now=now)
    if usual is None:
        missing = max(waiting.micros - max(figures.available_micros, 0), 0)
        to_buy = max(missing, least) if waiting.count else 0
        return Runway(spent, None, waiting.count, waiting.micros, waiting.first_lapses_at, to_buy)
    available = figures.available_micros - figures.debt_micros - waiting.micros
    scheduled = messaging.held_by_day(customer_id=customer_id, since=now, time_zone=str(zone))
    forecast = arithmetic.forecast(
        available_micros=available, usual=usual, today=today, spent_today_micros=spent[-1][1], scheduled=scheduled
    )
    to_buy = arithmetic.to_buy(forecast, available_micros=available + figures.incoming_micros, least_micros=least)
    return Runway(spent, forecast, waiting.count, waiting.micros, waiting.first_lapses_at, to_buy)


def days_left(*, customer_id: int, figures: Figures, now: datetime) -> int | None:
    """Whole days that credit likely lasts, the horizon if it outlasts that; None while nothing is known."""
    forecast = runway(customer_id=customer_id, figures=figures, now=now).forecast
    if forecast is None:
        return None
    return arithmetic.HORIZON_DAYS if forecast.days_left is None else forecast.days_left


@scoped
def spent_by_day(*, customer_id: int, first: date, last: date, zone: ZoneInfo) -> list[tuple[date, int]]:
    """What the messages of each day cost, in order and without gaps, both days included; micro-units."""
    since, until = (datetime.combine(day, time(), zone) for day in (first, last + timedelta(days=1)))
    rows = messaging.spend_per_day(customer_id=customer_id, since=since, until=until, time_zone=str(zone))
    by_day = {date.fromisoformat(text): micros for text, micros, _ in rows}
    return [(day, by_day.get(day, 0)) for day in (first + timedelta(days=n) for n in range((last - first).days + 1))]
