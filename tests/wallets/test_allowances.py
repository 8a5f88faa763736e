"""Allowances: filled from the pool, once a period, as far as it goes (A-20)."""

from datetime import UTC, datetime, timedelta

import pytest

from postmeter.customers.models import Role
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, NotAllowed, NotFound
from postmeter.wallets import allowances, sharing
from tests.cast import Cast
from tests.wallets.team import Team, team

MONDAY = datetime(2026, 11, 23, 15, tzinfo=UTC)


@pytest.fixture
def house(cast: Cast) -> Team:
    return team(cast)


def allow(house: Team, seat: object, dollars: int, period: str = "month", *, by: object = None) -> None:
    allowances.set_allowance(
        customer_id=house.clinic.id,
        seat=by or house.master,  # type: ignore[arg-type]
        wallet_id=house.wallet(seat).id,  # type: ignore[arg-type]
        up_to_micros=dollars * MICROS,
        period=period,
        now=MONDAY,
    )


def fill(house: Team, now: datetime = MONDAY) -> int:
    return allowances.fill_due(customer_id=house.clinic.id, now=now)


def test_it_is_filled_up_once_a_period_and_never_beyond(house: Team) -> None:
    sam = house.seat(Role.SENDER)
    house.give(sam, 5)
    allow(house, sam, 20)
    assert [fill(house), fill(house), fill(house, MONDAY + timedelta(days=6))] == [1, 0, 0]
    assert (house.has(sam), house.has(None)) == (20, 85)
    house.transfer(house.master, sam, None, 12 * MICROS)
    assert fill(house, MONDAY + timedelta(days=9)) == 1  # December
    assert house.has(sam) == 20


@pytest.mark.parametrize(("period", "same", "other"), [("day", 9, 15), ("week", 24 * 5, 24 * 7)])
def test_days_and_weeks_begin_where_the_customer_is(house: Team, period: str, same: int, other: int) -> None:
    sam = house.seat(Role.SENDER)
    allow(house, sam, 10, period)
    fill(house)
    house.transfer(house.master, sam, None, 4 * MICROS)
    assert fill(house, MONDAY + timedelta(hours=same)) == 0
    assert fill(house, MONDAY + timedelta(hours=other)) == 1


def test_a_pool_that_has_less_gives_what_it_has(cast: Cast) -> None:
    house = team(cast, pool=7)
    sam = house.seat(Role.SENDER)
    allow(house, sam, 20)
    fill(house)
    assert (house.has(sam), house.has(None)) == (7, 0)


def test_only_masters_set_one_and_zero_ends_it(house: Team) -> None:
    sam, boss = house.seat(Role.SENDER), house.seat(Role.OFFICE_MANAGER)
    house.group("office", boss, sam)
    with pytest.raises(NotAllowed):
        allow(house, sam, 10, by=boss)
    allow(house, sam, 10)
    allow(house, sam, 0)
    assert fill(house) == 0
    for dollars, period in ((-1, "month"), (10, "year")):
        with pytest.raises(BadInput):
            allow(house, sam, dollars, period)
    with pytest.raises(NotFound):
        allowances.set_allowance(
            customer_id=house.clinic.id, seat=house.master, wallet_id=1, up_to_micros=MICROS, period="day", now=MONDAY
        )


def test_under_one_pool_nothing_is_filled(house: Team) -> None:
    sam = house.seat(Role.SENDER)
    allow(house, sam, 10)
    sharing.switch(customer_id=house.clinic.id, individual=False, actor="x", now=MONDAY)
    assert fill(house) == 0
