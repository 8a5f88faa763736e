"""Quiet hours: when nobody is written to, by the recipient's clock (A-55, 47 CFR 64.1200(c)(1) and what states make of it). Pure.

Where a number may be in several zones, it must be day in all of them. A number that tells no zone is taken to be where the customer is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import geocoder
from phonenumbers import timezone as zones_of_numbers

Window = tuple[int, int]  # hours of the day: from the first on, before the second
_EVERY_DAY = 7


@dataclass(frozen=True, slots=True)
class Rule:
    """When people of a state may be written to, Monday first; it holds from `since` on, until a later one does."""

    state: str
    since: date
    windows: tuple[Window, ...]


def _each_day(first: int, last: int) -> tuple[Window, ...]:
    return ((first, last),) * _EVERY_DAY


ALWAYS = date.min
DEFAULT = _each_day(8, 21)
# promises.md 3.1. The federal hours hold where a state says nothing.
RULES = (
    Rule("CT", ALWAYS, _each_day(9, 20)),
    Rule("FL", ALWAYS, _each_day(8, 20)),
    Rule("MD", ALWAYS, _each_day(8, 20)),
    Rule("MS", ALWAYS, _each_day(8, 20)),
    Rule("NJ", ALWAYS, _each_day(8, 20)),
    Rule("OK", ALWAYS, _each_day(8, 20)),
    Rule("RI", ALWAYS, ((9, 18),) * 5 + ((10, 17),) * 2),
    Rule("TX", date(2025, 9, 1), ((9, 21),) * 6 + ((12, 21),)),  # SB 140
)
_NAMES = {
    "Connecticut": "CT",
    "Florida": "FL",
    "Maryland": "MD",
    "Mississippi": "MS",
    "New Jersey": "NJ",
    "Oklahoma": "OK",
    "Rhode Island": "RI",
    "Texas": "TX",
}
_ZONES_AT_MOST = 12  # more than that is no place: freephone and satellite numbers, whole countries of many zones
_DAYS_AHEAD = 4


def opens_at(number: str, now: datetime, *, home: str) -> datetime:
    """The first moment from `now` on at which this number (E.164) may be written to; `home` is the customer's zone.

    Zones that are never awake together leave the customer's to decide.
    """
    zones, state = _place_of(number)
    moment = _first_in_all([ZoneInfo(zone) for zone in zones or (home,)], state, now)
    return moment or _first_in_all([ZoneInfo(home)], state, now) or now


def _first_in_all(zones: Sequence[ZoneInfo], state: str, now: datetime) -> datetime | None:
    moment = now
    while moment < now + timedelta(days=_DAYS_AHEAD):
        latest = max(_first(zone, state, moment) for zone in zones)
        if latest == moment:
            return moment
        moment = latest
    return None


def _first(zone: ZoneInfo, state: str, moment: datetime) -> datetime:
    local = moment.astimezone(zone)
    for days in range(_DAYS_AHEAD):
        day = local.date() + timedelta(days=days)
        first, last = windows_of(state, day)[day.weekday()]
        if moment < _at(day, last, zone):
            return max(moment, _at(day, first, zone))
    raise AssertionError("every day has its hours")


def _at(day: date, hour: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


def windows_of(state: str, day: date) -> tuple[Window, ...]:
    """The hours of a state's week that hold on this day."""
    held = [rule for rule in RULES if rule.state == state and rule.since <= day]
    return max(held, key=lambda rule: rule.since).windows if held else DEFAULT


@lru_cache(maxsize=65_536)
def _place_of(number: str) -> tuple[tuple[str, ...], str]:
    """The zones that a number may be in, and the state of the US whose rule holds for it; empty where it does not say."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return (), ""
    zones = tuple(zone for zone in zones_of_numbers.time_zones_for_number(parsed) if zone != zones_of_numbers.UNKNOWN_TIMEZONE)
    said = geocoder.description_for_number(parsed, "en") if parsed.country_code == 1 else ""
    state = _NAMES.get(said) or said.rpartition(", ")[2]
    return (zones if len(zones) <= _ZONES_AT_MOST else ()), state
