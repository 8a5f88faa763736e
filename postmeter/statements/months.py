"""Calendar months, each named by its first day."""

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from postmeter.kit.refusals import BadInput

_WRITTEN = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)


def read(text: str) -> date:
    """The month of "2026-11". Refuses BadInput."""
    found = _WRITTEN.fullmatch(text)
    if not found:
        raise BadInput("This is not a month.", field="month", remedy="Write it as in 2026-11.")
    return date(int(found[1]), int(found[2]), 1)


def written(month: date) -> str:
    return f"{month:%Y-%m}"


def after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def before(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


def begins(day: date, time_zone: str) -> datetime:
    """The moment at which a day begins in that zone."""
    return datetime.combine(day, time(), ZoneInfo(time_zone))


def last_complete(now: datetime, time_zone: str) -> date:
    """The month before the one that it is there now."""
    return before(now.astimezone(ZoneInfo(time_zone)).date().replace(day=1))
