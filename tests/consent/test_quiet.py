"""Quiet hours by the recipient's clock: on every day of every zone, on the nights when clocks change, and by state."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.consent.quiet import DEFAULT, RULES, opens_at, windows_of

NOBODY = "+15550001234"  # tells no zone: the customer's decides
NEW_YORK = "America/New_York"
NOONS = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day) for day in range(365)]


def local(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("number", "asked", "zone", "opens"),
    [
        ("+12125551212", "2026-11-24T07:59", NEW_YORK, "2026-11-24T08:00"),
        ("+12125551212", "2026-11-24T08:00", NEW_YORK, "2026-11-24T08:00"),
        ("+12125551212", "2026-11-24T20:59", NEW_YORK, "2026-11-24T20:59"),
        ("+12125551212", "2026-11-24T21:00", NEW_YORK, "2026-11-25T08:00"),
        ("+14155550111", "2026-11-24T23:30", "America/Los_Angeles", "2026-11-25T08:00"),
        ("+13055551234", "2026-11-24T20:00", NEW_YORK, "2026-11-25T08:00"),  # Florida: 8 to 20
        ("+12035551234", "2026-11-24T08:30", NEW_YORK, "2026-11-24T09:00"),  # Connecticut: 9 to 20
        ("+14015551234", "2026-11-27T18:00", NEW_YORK, "2026-11-28T10:00"),  # Rhode Island, into the weekend
        ("+14015551234", "2026-11-28T17:00", NEW_YORK, "2026-11-29T10:00"),
        ("+17135551234", "2026-11-29T09:00", "America/Chicago", "2026-11-29T12:00"),  # Texas on a Sunday
        ("+17135551234", "2025-08-31T08:30", "America/Chicago", "2025-08-31T08:30"),  # and before its law
        ("+442079460018", "2026-07-01T07:00", "Europe/London", "2026-07-01T08:00"),
    ],
)
def test_it_opens_by_the_recipients_clock_and_the_states_rule(number: str, asked: str, zone: str, opens: str) -> None:
    assert opens_at(number, local(asked, zone), home="Asia/Tokyo") == local(opens, zone)


def test_a_number_of_several_zones_must_be_awake_in_all_of_them() -> None:
    """An Australian mobile may be in Sydney, in Perth or on the Cocos Islands."""
    found = opens_at("+61491570156", local("2026-11-24T06:00", "Australia/Sydney"), home="Australia/Sydney")
    assert found == local("2026-11-24T08:00", "Indian/Cocos")
    evening = opens_at("+61491570156", local("2026-11-24T21:00", "Australia/Sydney"), home="Australia/Sydney")
    assert evening == local("2026-11-25T08:00", "Indian/Cocos"), "it is night in Sydney"


@pytest.mark.parametrize("number", [NOBODY, "+18005551212", "+447700900123"])
def test_a_number_that_tells_no_place_is_where_the_customer_is(number: str) -> None:
    assert opens_at(number, local("2026-11-24T05:00", "Asia/Tokyo"), home="Asia/Tokyo") == local("2026-11-24T08:00", "Asia/Tokyo")


def test_the_nights_when_clocks_change_open_at_eight_in_every_zone() -> None:
    alike: dict[tuple[timedelta | None, ...], str] = {}  # zones whose clocks show the same all year are tried once
    for zone in sorted(available_timezones() - {"Factory", "localtime"}):
        alike.setdefault(tuple(noon.astimezone(ZoneInfo(zone)).utcoffset() for noon in NOONS), zone)
    nights = 0
    for zone in alike.values():
        place = ZoneInfo(zone)
        for day in _changes(place) or [date(2026, 3, 29)]:
            nights += 1
            for hours in range(24):
                now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hours)
                found = opens_at(NOBODY, now, home=zone).astimezone(place)
                assert now <= found and 8 <= found.hour < 21, (zone, now)
                if found.astimezone(UTC) != now:
                    assert (found.hour, found.minute) == (8, 0), (zone, now)
                    assert not 8 <= now.astimezone(place).hour < 21, (zone, now)
    assert nights > 100


def _changes(place: ZoneInfo) -> list[date]:
    """The days on which the zone's clocks are set, and those before."""
    found = [b.date() for a, b in pairwise(NOONS) if a.astimezone(place).utcoffset() != b.astimezone(place).utcoffset()]
    return [day - timedelta(days=before) for day in found for before in (1, 0)]


@given(
    st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2027, 12, 31), timezones=st.just(UTC)),
    st.sampled_from(["+12125551212", "+14015551234", "+17135551234", "+61491570156", "+442079460018", NOBODY]),
)
def test_it_never_opens_before_it_was_asked_and_stays_open_where_it_opens(now: datetime, number: str) -> None:
    found = opens_at(number, now, home=NEW_YORK)
    assert now <= found <= now + timedelta(days=2)
    assert opens_at(number, found, home=NEW_YORK) == found


def test_every_rule_has_a_week_within_the_federal_hours() -> None:
    for rule in RULES:
        assert len(rule.windows) == 7
        assert all(8 <= first < last <= 21 for first, last in rule.windows), rule.state
    assert windows_of("NY", date(2026, 1, 1)) == DEFAULT
    assert windows_of("TX", date(2025, 8, 31)) == DEFAULT
