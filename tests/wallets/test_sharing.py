"""One pool, or credit of each member's own: who pays, and the change between the two."""

import pytest

from postmeter.cli.checks import verify_all
from postmeter.customers import operations as customers
from postmeter.customers.models import Role
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import Conflict, NotCovered
from postmeter.messaging import queries as messaging
from postmeter.terms import requests
from postmeter.wallets import queries, sharing
from postmeter.wallets.sharing import NoPayer
from tests.cast import FEE, PRICE, Cast, at
from tests.wallets.team import actor, send, team

EACH = PRICE + FEE


def test_who_sends_pays_with_their_own_credit_and_nobody_elses(cast: Cast) -> None:  # R-01 R-05 R-06 S-143
    house = team(cast)
    sam, rob = house.seat(Role.SENDER), house.seat(Role.SENDER)
    house.give(sam, 10)
    sent = send(house.clinic, actor(sam))
    assert sent.words == ["ok"]
    balance = queries.balance(customer_id=house.clinic.id, wallet=house.wallet(sam))
    assert balance.held_micros == EACH
    assert house.clinic.held == 0
    with pytest.raises(NotCovered):
        send(house.clinic, actor(rob))  # the pool has 100 dollars, but it must be given to somebody first
    assert messaging.messages(customer_id=house.clinic.id, at_most=5)[0].wallet_id == house.wallet(sam).id
    assert verify_all().ok


def test_what_nobody_sends_by_hand_needs_a_masters_word(cast: Cast) -> None:
    house = team(cast)
    with pytest.raises(NoPayer, match="programs have none"):
        send(house.clinic, "key:7")
    sharing.let_programs(customer_id=house.clinic.id, allowed=True, actor=house.clinic.actor, now=at())
    assert send(house.clinic, "key:7").words == ["ok"]
    assert house.clinic.held == EACH


def test_who_may_not_send_any_more_cannot_use_what_is_left(cast: Cast) -> None:  # R-07 A-61
    house = team(cast)
    sam = house.seat(Role.SENDER)
    house.give(sam, 10)
    customers.change_roles(customer_id=house.clinic.id, member_id=sam.member_id, roles=[Role.BILLING_ADMIN], now=at(), actor="x")
    with pytest.raises(NoPayer):
        send(house.clinic, actor(sam))
    customers.remove_member(customer_id=house.clinic.id, member_id=sam.member_id, now=at(), actor="x")
    with pytest.raises(NoPayer):
        send(house.clinic, actor(sam))
    assert house.has(sam) == 10


def test_under_one_pool_everybody_sends_from_it(cast: Cast) -> None:
    clinic = cast.clinic()
    sam = cast.member(clinic, Role.SENDER)
    send(clinic, actor(sam))
    send(clinic, "key:7")
    assert clinic.held == 2 * EACH


def test_a_change_is_asked_for_shown_made_and_taken_back(cast: Cast) -> None:  # S-144 A-60
    clinic = cast.clinic(credit_micros=100 * MICROS)
    sam = cast.member(clinic, Role.SENDER)

    def ask(*, individual: bool) -> int:
        row = requests.ask(
            customer_id=clinic.id, kind="individual_credits", wanted={"individual": individual}, reason="", actor="x", now=at()
        )
        return row.id

    first = ask(individual=True)
    assert not sharing.sharing(customer_id=clinic.id).individual
    requests.approve(customer_id=clinic.id, request_id=first, actor="operator:1", now=at())
    assert clinic.posted == 100 * MICROS  # the pool is left, not given to anybody
    own = sharing.wallet_of(customer_id=clinic.id, member_id=sam.member_id, now=at())
    cast.give(clinic.id, own, 30 * MICROS)
    send(clinic, actor(sam))
    shown = requests.preview(customer_id=clinic.id, kind="individual_credits", wanted={"individual": False}, now=at())
    free = 30 * MICROS - EACH
    assert [(line.before, line.after) for line in shown[1:2]] == [("$100.00", "$129.9886")]
    second = ask(individual=False)
    requests.approve(customer_id=clinic.id, request_id=second, actor="operator:1", now=at())
    assert clinic.posted == 100 * MICROS + free
    assert queries.balance(customer_id=clinic.id, wallet=own).posted_micros == EACH  # held for a message under way
    requests.reverse(customer_id=clinic.id, request_id=second, actor="operator:1", now=at())
    assert clinic.posted == 100 * MICROS
    assert queries.balance(customer_id=clinic.id, wallet=own).posted_micros == 30 * MICROS
    with pytest.raises(Conflict):
        ask(individual=True)
    assert verify_all().ok


def test_what_was_used_since_cannot_be_given_back_and_then_nothing_changes(cast: Cast) -> None:
    house = team(cast, pool=0)
    sam = house.seat(Role.SENDER)
    house.give(sam, 1)
    row = requests.ask(
        customer_id=house.clinic.id, kind="individual_credits", wanted={"individual": False}, reason="", actor="x", now=at()
    )
    requests.approve(customer_id=house.clinic.id, request_id=row.id, actor="operator:1", now=at())
    send(house.clinic, actor(house.master), 50)
    with pytest.raises(NotCovered):
        requests.reverse(customer_id=house.clinic.id, request_id=row.id, actor="operator:1", now=at())
    assert not sharing.sharing(customer_id=house.clinic.id).individual


def test_what_comes_free_after_the_change_follows_into_the_pool(cast: Cast) -> None:
    house = team(cast, pool=0)
    sam = house.seat(Role.SENDER)
    sharing.switch(customer_id=house.clinic.id, individual=False, actor="x", now=at())
    house.give(sam, 5)  # such as a refund of a message that was sent before
    assert sharing.sweep(customer_id=house.clinic.id, actor="system", now=at())
    assert (house.has(sam), house.has(None)) == (0, 5)
    assert sharing.sweep(customer_id=house.clinic.id, actor="system", now=at()) == {}
