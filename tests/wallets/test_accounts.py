"""Who sees whose credit, and may do what with it: a table (R-02, R-03, R-04, R-09, S-147, S-169)."""

import pytest

from postmeter.customers import operations as customers
from postmeter.customers.models import Role
from postmeter.customers.queries import Seat
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import NotFound
from postmeter.wallets import accounts
from tests.cast import Cast, at
from tests.wallets.team import Team, team


@pytest.fixture
def house(cast: Cast) -> Team:
    return team(cast)


def seen(house: Team, seat: Seat) -> dict[str, tuple[bool, bool, bool]]:
    """By e-mail address, "pool" for System Credits: (may give, may take, may buy)."""
    rows = accounts.visible(customer_id=house.clinic.id, seat=seat)
    return {row.seat.email if row.seat else "pool": (row.may_give, row.may_take, row.may_buy) for row in rows}


def test_a_master_sees_system_credits_and_all_who_may_send(house: Team) -> None:
    sam, rob = house.seat(Role.SENDER), house.seat(Role.OFFICE_MANAGER)
    house.seat(Role.BILLING_ADMIN)
    every = (True, True, True)
    assert seen(house, house.master) == {"pool": every, house.master.email: every, sam.email: every, rob.email: every}


def test_an_office_manager_sees_the_staff_of_each_of_their_offices_and_no_system_credits(house: Team) -> None:
    boss, one, two, far = (house.seat(role) for role in (Role.OFFICE_MANAGER, Role.SENDER, Role.SENDER, Role.SENDER))
    house.group("office", boss, one)
    house.group("office", boss, two)
    house.group("team", boss, far)
    every = (True, True, True)
    assert seen(house, boss) == {boss.email: every, one.email: every, two.email: every}


def test_others_see_themselves_and_their_team_and_give_only_their_own(house: Team) -> None:
    sam, mate, far = (house.seat(Role.SENDER) for _ in range(3))
    house.group("team", sam, mate)
    house.group("office", sam, far)
    assert seen(house, sam) == {sam.email: (True, True, True), mate.email: (False, True, True)}


def test_who_may_not_send_has_a_row_only_while_there_is_credit_to_take_back(house: Team) -> None:
    gone, empty, mate = (house.seat(Role.SENDER) for _ in range(3))
    house.group("team", gone, mate)
    house.give(gone, 10)
    for seat in (gone, empty):
        customers.remove_member(customer_id=house.clinic.id, member_id=seat.member_id, now=at(), actor="x")
    found = seen(house, house.master)
    assert found[gone.email] == (True, False, False)
    assert empty.email not in found
    assert gone.email not in seen(house, mate)


def test_an_account_that_is_not_theirs_to_see_is_not_there(house: Team, cast: Cast) -> None:
    sam, far = house.seat(Role.SENDER), house.seat(Role.SENDER)
    for wallet in (house.clinic.pool, house.wallet(far), cast.clinic().pool):
        with pytest.raises(NotFound):
            accounts.account(customer_id=house.clinic.id, seat=sam, wallet_id=wallet.id)
    assert house.clinic.posted == 100 * MICROS
