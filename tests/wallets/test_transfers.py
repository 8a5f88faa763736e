"""Transfers: only what is free, whole or not at all, agreed to, once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import psycopg
import pytest
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from postmeter.cli.checks import verify_all
from postmeter.customers import operations as customers
from postmeter.customers.models import Role
from postmeter.customers.queries import Seat
from postmeter.db import calls, scope
from postmeter.events.models import Event
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict, NotAllowed, NotCovered, NotFound, Refusal
from postmeter.notifications import mail as notices
from postmeter.notifications import queries as told
from postmeter.notifications import rounds
from postmeter.wallets import approvals, queries, transfers
from postmeter.wallets import operations as wallets
from postmeter.wallets.models import Transfer, TransferRequest
from tests.cast import FEE, PRICE, Cast
from tests.wallets.team import Team, actor, send, team

EACH = PRICE + FEE


@pytest.fixture
def house(cast: Cast) -> Team:
    return team(cast)


def test_a_transfer_is_there_at_once_with_its_agreement_and_both_are_told(house: Team) -> None:
    # S-151 S-152 S-163 S-164 S-166 R-08 A-62 A-63
    sam = house.seat(Role.SENDER)
    row = house.transfer(house.master, None, sam, 30 * MICROS)
    assert (house.has(None), house.has(sam)) == (70, 30)
    assert (row.agreed, row.note, row.actor) == (transfers.agreed_hash(), "for May", actor(house.master))
    with scope.customer(house.clinic.id):
        event = Event.objects.get(customer_id=house.clinic.id, kind="credit.transferred")
    for _ in range(2):
        rounds.tell_of_transfer(event, now=timezone.now())
    for notice in told.notices(customer_id=house.clinic.id, at_most=9):
        notices.send(customer_id=house.clinic.id, notice_id=notice.id, now=timezone.now())
    subjects = {message.to[0]: message.subject for message in mail.outbox[-2:]}
    assert subjects == {
        sam.email: "$30.00 came into your account",
        house.clinic.customer.email: "$30.00 left your account",
    }
    assert verify_all().ok


def test_a_second_press_moves_nothing_and_another_transfer_needs_its_own_key(house: Team) -> None:
    sam, key = house.seat(Role.SENDER), uuid4()
    rows = [house.transfer(house.master, None, sam, 30 * MICROS, key=key) for _ in range(3)]
    assert len({row.id for row in rows}) == 1
    assert house.has(None) == 70
    with pytest.raises(Conflict):
        house.transfer(house.master, None, sam, 31 * MICROS, key=key)


def test_without_the_tick_for_these_very_conditions_nothing_moves(house: Team) -> None:  # S-164 A-63
    sam = house.seat(Role.SENDER)
    for agreed in ("", "0" * 64):
        with pytest.raises(BadInput) as refused:
            house.transfer(house.master, None, sam, MICROS, agreed=agreed)
        assert refused.value.field == "agree"
    assert house.has(None) == 100


def test_what_is_held_or_only_lent_cannot_be_given_away(house: Team) -> None:
    sam, rob = house.seat(Role.SENDER), house.seat(Role.SENDER)
    house.give(sam, 1)
    send(house.clinic, actor(sam), 10)
    with pytest.raises(NotCovered) as refused:
        house.transfer(house.master, sam, rob, MICROS)
    assert refused.value.field == "amount"
    wallets.set_limit(
        customer_id=house.clinic.id, wallet=house.clinic.pool, limit_micros=50 * MICROS, actor="x", now=timezone.now()
    )
    with pytest.raises(NotCovered):
        house.transfer(house.master, None, sam, 101 * MICROS)
    with scope.customer(house.clinic.id):
        assert Transfer.objects.filter(customer_id=house.clinic.id).count() == 0


def test_nobody_gives_what_is_not_theirs_nor_to_who_may_not_send(house: Team) -> None:  # R-02 R-03 R-04 S-162
    sam, mate, far = (house.seat(Role.SENDER) for _ in range(3))
    boss = house.seat(Role.OFFICE_MANAGER)
    house.group("team", sam, mate)
    house.group("office", boss, far)
    for seat in (sam, mate, far):
        house.give(seat, 10)
    house.transfer(sam, sam, mate, MICROS)
    house.transfer(boss, far, boss, MICROS)
    for who, source, target, field in (
        (sam, mate, sam, "source"),
        (sam, sam, far, "target"),
        (sam, None, sam, "source"),
        (sam, sam, None, "target"),
        (boss, sam, boss, "source"),
        (boss, None, boss, "source"),
    ):
        with pytest.raises(NotAllowed) as refused:
            house.transfer(who, source, target, MICROS)
        assert refused.value.field == field
    customers.remove_member(customer_id=house.clinic.id, member_id=mate.member_id, now=timezone.now(), actor="x")
    with pytest.raises(NotAllowed):
        house.transfer(sam, sam, mate, MICROS)
    house.transfer(house.master, mate, None, 11 * MICROS)  # what is left of who left goes back
    assert (house.has(mate), house.has(None)) == (0, 111)
    assert verify_all().ok


@pytest.mark.parametrize(("micros", "field"), [(0, "amount"), (-MICROS, "amount"), (1, "amount")])
def test_bad_amounts_are_refused_by_name(house: Team, micros: int, field: str) -> None:
    sam = house.seat(Role.SENDER)
    with pytest.raises(BadInput) as refused:
        house.transfer(house.master, None, sam, micros)
    assert refused.value.field == field


def test_under_one_pool_there_is_nothing_to_transfer(cast: Cast) -> None:
    clinic = cast.clinic()
    house = Team(clinic, cast)
    sam = cast.member(clinic, Role.SENDER)
    with pytest.raises(Conflict):
        house.transfer(clinic.master, None, sam, MICROS)


def test_a_transfer_is_never_changed(house: Team) -> None:
    row = house.transfer(house.master, None, house.seat(Role.SENDER), MICROS)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), scope.customer(house.clinic.id), transaction.atomic():
        calls.rows("UPDATE wallets_transfer SET note = 'x' WHERE customer_id = %s AND id = %s", [house.clinic.id, row.id])


def test_sending_and_giving_away_the_same_cents_is_one_of_the_two(house: Team) -> None:
    for _ in range(10):
        sam = house.seat(Role.SENDER)
        wallet = house.wallet(sam)
        house.cast.give(house.clinic.id, wallet, 20_000)  # one text, or two cents
        start = Barrier(2)

        def one(act: int, sam: object = sam, start: Barrier = start) -> bool:
            start.wait()
            try:
                if act:
                    send(house.clinic, actor(sam))  # type: ignore[arg-type]
                else:
                    house.transfer(house.master, sam, None, 20_000)  # type: ignore[arg-type]
            except Refusal:
                return False
            finally:
                connection.close()
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(one, range(2))) == 1
        balance = queries.balance(customer_id=house.clinic.id, wallet=wallet)
        assert balance.available_micros >= 0
    assert verify_all().ok


def test_transfers_in_both_directions_at_once_wait_for_each_other_and_lose_nothing(house: Team) -> None:
    sam, rob = house.seat(Role.SENDER), house.seat(Role.SENDER)
    house.give(sam, 50)
    house.give(rob, 50)

    def one(n: int) -> None:
        try:
            house.transfer(house.master, *((sam, rob) if n % 2 else (rob, sam)), MICROS)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(40)))
    assert (house.has(sam), house.has(rob)) == (50, 50)
    assert verify_all().ok


@settings(max_examples=20)
@given(moves=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 40)), max_size=12))
def test_whatever_is_transferred_the_sum_stays_and_none_goes_below_zero(moves: list[tuple[int, int, int]]) -> None:
    house = team(Cast(), pool=60)
    seats = [None, *(house.seat(Role.SENDER) for _ in range(3))]
    model = [60, 0, 0, 0]
    for source, target, dollars in moves:
        try:
            house.transfer(house.master, seats[source], seats[target], dollars * MICROS)
        except Refusal:
            assert source == target or model[source] < dollars
        else:
            model[source] -= dollars
            model[target] += dollars
    assert [house.has(seat) for seat in seats] == model


class TestApproval:
    """A-62: above a limit that masters set, a transfer by anybody else waits for one of them."""

    def asked(self, house: Team, *, limit: int = 5, amount: int = 8) -> tuple[Seat, Seat, TransferRequest]:
        sam, mate = house.seat(Role.SENDER), house.seat(Role.SENDER)
        house.group("team", sam, mate)
        house.give(sam, 20)
        approvals.set_limit(customer_id=house.clinic.id, seat=house.master, above_micros=limit * MICROS, now=timezone.now())
        row = house.transfer(sam, sam, mate, amount * MICROS)
        assert isinstance(row, TransferRequest)
        return sam, mate, row

    def approve(self, house: Team, row: TransferRequest, seat: Seat | None = None) -> Transfer:
        return transfers.approve(customer_id=house.clinic.id, seat=seat or house.master, request_id=row.id, now=timezone.now())

    def test_it_moves_when_a_master_says_so_and_once(self, house: Team) -> None:
        sam, mate, row = self.asked(house)
        assert (house.has(sam), house.has(mate)) == (20, 0)
        done = self.approve(house, row)
        assert (house.has(sam), house.has(mate)) == (12, 8)
        assert (done.actor, done.agreed, done.key) == (actor(sam), transfers.agreed_hash(), row.key)
        with pytest.raises(Conflict):
            self.approve(house, row)
        assert verify_all().ok

    def test_many_masters_at_once_move_it_once(self, house: Team) -> None:
        sam, mate, row = self.asked(house)
        start = Barrier(5)

        def press() -> bool:
            start.wait()
            try:
                self.approve(house, row)
            except Conflict:
                return False
            finally:
                connection.close()
            return True

        with ThreadPoolExecutor(5) as pool:
            assert [each.result() for each in [pool.submit(press) for _ in range(5)]].count(True) == 1
        assert (house.has(sam), house.has(mate)) == (12, 8)

    def test_what_is_declined_never_moves_and_who_asked_is_told(self, house: Team) -> None:
        sam, _, row = self.asked(house)
        approvals.decline(customer_id=house.clinic.id, seat=house.master, request_id=row.id, now=timezone.now())
        with pytest.raises(Conflict):
            self.approve(house, row)
        assert house.has(sam) == 20
        subjects = self.mailed(house)
        assert subjects[house.master.email] == "A transfer of $8.00 waits for you"
        assert subjects[sam.email] == "Your transfer of $8.00 was declined"

    def mailed(self, house: Team) -> dict[str, str]:
        with scope.customer(house.clinic.id):
            facts = list(Event.objects.filter(customer_id=house.clinic.id, kind__in=["transfer.asked", "transfer.declined"]))
        for event in [*facts, *facts]:
            rounds.tell_of_approval(event, now=timezone.now())
        for notice in told.notices(customer_id=house.clinic.id, at_most=9):
            notices.send(customer_id=house.clinic.id, notice_id=notice.id, now=timezone.now())
        assert len(facts) == 2
        return {message.to[0]: message.subject for message in mail.outbox[-2:]}

    def test_what_was_spent_meanwhile_is_not_transferred(self, house: Team) -> None:
        sam, mate, row = self.asked(house, amount=20)
        house.transfer(house.master, sam, None, 15 * MICROS)
        with pytest.raises(NotCovered):
            self.approve(house, row)
        assert (house.has(sam), house.has(mate)) == (5, 0)
        assert [each.id for each in approvals.waiting(customer_id=house.clinic.id)] == [row.id], "it can still be decided"

    def test_masters_and_small_amounts_need_nobody(self, house: Team) -> None:
        sam, mate, _ = self.asked(house)
        assert isinstance(house.transfer(sam, sam, mate, 5 * MICROS), Transfer), "the limit itself goes"
        assert isinstance(house.transfer(house.master, sam, mate, 9 * MICROS), Transfer)

    def test_a_second_press_is_the_same_request(self, house: Team) -> None:
        sam, mate, _ = self.asked(house)
        key = uuid4()
        rows = {house.transfer(sam, sam, mate, 6 * MICROS, key=key).id for _ in range(3)}
        assert len(rows) == 1
        with pytest.raises(Conflict):
            house.transfer(sam, sam, mate, 7 * MICROS, key=key)

    def test_nobody_else_decides_or_sets_the_limit(self, house: Team, cast: Cast) -> None:
        sam, _, row = self.asked(house)
        for seat in (sam, house.seat(Role.OFFICE_MANAGER)):
            with pytest.raises(NotAllowed):
                self.approve(house, row, seat)
            with pytest.raises(NotAllowed):
                approvals.set_limit(customer_id=house.clinic.id, seat=seat, above_micros=None, now=timezone.now())
        other = team(cast)
        with pytest.raises(NotFound):
            transfers.approve(customer_id=other.clinic.id, seat=other.master, request_id=row.id, now=timezone.now())

    def test_an_account_that_was_frozen_meanwhile_gets_nothing(self, house: Team) -> None:
        _, mate, row = self.asked(house)
        customers.remove_member(customer_id=house.clinic.id, member_id=mate.member_id, now=timezone.now(), actor="x")
        with pytest.raises(Conflict):
            self.approve(house, row)
