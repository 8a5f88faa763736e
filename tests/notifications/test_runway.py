"""When credit ends: plain arithmetic."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from postmeter.kit.money import MICROS
from postmeter.notifications import runway

MONDAY = date(2026, 11, 23)


def history(*weeks: list[int]) -> list[tuple[date, int]]:
    """Weeks of seven days, the last one ending on the Sunday before."""
    costs = [cost for week in weeks for cost in week]
    return [(MONDAY - timedelta(days=len(costs) - n), cost * MICROS) for n, cost in enumerate(costs)]


def test_a_practice_that_rests_at_the_weekend_runs_out_on_a_working_day() -> None:
    usual = runway.pace(history([10, 10, 10, 10, 10, 0, 0], [10, 10, 10, 10, 10, 0, 0]))
    assert usual is not None
    found = runway.forecast(available_micros=55 * MICROS, usual=usual, today=MONDAY)
    assert (found.ends_on, found.earliest, found.latest) == (date(2026, 11, 30),) * 3
    assert found.days_left == 7
    assert found.month_micros == 220 * MICROS
    assert runway.to_buy(found, available_micros=55 * MICROS, least_micros=10 * MICROS) == 170 * MICROS


def test_what_is_scheduled_is_paid_for_already_and_what_was_spent_today_is_not_spent_again() -> None:
    usual = runway.pace(history([10] * 7))
    assert usual is not None
    scheduled = {MONDAY + timedelta(days=1): 25 * MICROS}
    found = runway.forecast(
        available_micros=30 * MICROS, usual=usual, today=MONDAY, spent_today_micros=4 * MICROS, scheduled=scheduled
    )
    assert [day.likely_micros // MICROS for day in found.days[:4]] == [24, 24, 14, 4]


def test_noisy_days_make_the_range_wide() -> None:
    usual = runway.pace(history([10] * 7, [30] * 7, [2] * 7))
    assert usual is not None
    found = runway.forecast(available_micros=200 * MICROS, usual=usual, today=MONDAY)
    assert found.earliest and found.ends_on and found.latest
    assert found.earliest < found.ends_on < found.latest


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert runway.pace([]) is None
    assert runway.pace([(MONDAY, 0)]) is None


def test_a_young_account_is_judged_by_the_days_it_has() -> None:
    usual = runway.pace([(MONDAY - timedelta(days=2), 0), (MONDAY - timedelta(days=1), 7 * MICROS)])
    assert usual is not None
    assert set(usual.means) == {7 * MICROS}


def test_credit_that_outlasts_the_horizon_has_no_end() -> None:
    usual = runway.pace(history([1] * 7))
    assert usual is not None
    found = runway.forecast(available_micros=10_000 * MICROS, usual=usual, today=MONDAY)
    assert (found.ends_on, found.days_left) == (None, None)
    assert runway.to_buy(found, available_micros=10_000 * MICROS, least_micros=10 * MICROS) == 0


@settings(deadline=None)
@given(
    costs=st.lists(st.integers(0, 10**12), min_size=1, max_size=60),
    available=st.integers(0, 10**13),
    more=st.integers(0, 10**12),
)
def test_more_credit_never_ends_sooner_and_the_range_holds_the_likely_day(costs: list[int], available: int, more: int) -> None:
    usual = runway.pace([(MONDAY - timedelta(days=len(costs) - n), cost) for n, cost in enumerate(costs)])
    if usual is None:
        return
    less, rich = (runway.forecast(available_micros=a, usual=usual, today=MONDAY) for a in (available, available + more))
    ends = [found.ends_on or date.max for found in (less, rich)]
    assert ends[0] <= ends[1]
    assert (less.earliest or date.max) <= ends[0] <= (less.latest or date.max)
    bought = runway.to_buy(less, available_micros=available, least_micros=10 * MICROS)
    if bought and less.month_micros:
        refilled = runway.forecast(available_micros=available + bought, usual=usual, today=MONDAY)
        assert refilled.days[29].likely_micros >= 0
