"""However often and however fast somebody presses, a purchase is one charge, one credit and one invoice."""

from threading import Barrier, Thread
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.invoicing import queries as invoices
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from postmeter.payments import operations as payments
from postmeter.payments.operations import MethodUnusable
from postmeter.payments.states import PaymentState
from postmeter.topups import operations as topups
from postmeter.topups import queries
from tests.cast import Cast, Clinic
from tests.journeys.shop import saved_card
from tests.stage import Stage


def buy(clinic: Clinic, card_id: int, **changes: object) -> topups.Purchase:
    wanted: dict[str, object] = {
        "wallet_id": clinic.pool.id,
        "method_id": card_id,
        "amount_micros": 20 * MICROS,
        "key": uuid4(),
        "actor": clinic.actor,
        "now": timezone.now(),
    }
    return topups.buy(customer_id=clinic.id, **(wanted | changes))  # type: ignore[arg-type]


def test_ten_presses_at_once_are_one_purchase(stage: Stage, cast: Cast) -> None:
    # S-018 A-52
    clinic, key, start = cast.clinic(credit_micros=0), uuid4(), Barrier(10)
    card = saved_card(stage, clinic)
    found: list[object] = []

    def press() -> None:
        start.wait()
        try:
            found.append(buy(clinic, card.id, key=key).top_up.id)
        except BaseException as error:
            found.append(error)
        finally:
            connection.close()

    threads = [Thread(target=press) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1, found
    assert len(queries.top_ups(customer_id=clinic.id)) == 1
    assert clinic.available == 20 * MICROS
    assert [invoice.total_micros for invoice in invoices.invoices(customer_id=clinic.id)] == [20 * MICROS]  # S-020
    assert verify_all().ok


def test_a_key_belongs_to_one_amount_and_one_card(stage: Stage, cast: Cast) -> None:
    clinic, key = cast.clinic(credit_micros=0), uuid4()
    card, other = saved_card(stage, clinic), saved_card(stage, clinic, "5555555555554444")
    first = buy(clinic, card.id, key=key)
    for change in ({"amount_micros": 21 * MICROS}, {"method_id": other.id}):
        with pytest.raises(Conflict):
            buy(clinic, card.id, **({"key": key} | change))
    assert buy(clinic, card.id, key=key).top_up.id == first.top_up.id
    assert clinic.available == 20 * MICROS


@pytest.mark.parametrize("micros", [0, -10 * MICROS, 9_990_000, 10_005_000, 50_001 * MICROS])
def test_no_purchase_below_ten_dollars_or_finer_than_a_cent(stage: Stage, cast: Cast, micros: int) -> None:
    # S-015
    clinic = cast.clinic(credit_micros=0)
    card = saved_card(stage, clinic)
    with pytest.raises(BadInput):
        buy(clinic, card.id, amount_micros=micros)
    assert queries.top_ups(customer_id=clinic.id) == []


def test_only_ones_own_live_wallet_and_good_cards_are_bought_with(stage: Stage, cast: Cast) -> None:
    # S-018 A-25
    clinic, rival = cast.clinic(credit_micros=0), cast.clinic(credit_micros=0)
    card, theirs = saved_card(stage, clinic), saved_card(stage, rival)
    for change in ({"method_id": theirs.id}, {"wallet_id": rival.pool.id}):
        with pytest.raises(NotFound):
            buy(clinic, card.id, **change)
    with pytest.raises(BadInput):
        buy(clinic, card.id, wallet_id=clinic.sandbox.id)
    with pytest.raises(MethodUnusable):
        buy(clinic, card.id, now=timezone.now().replace(year=2041))
    payments.remove_method(customer_id=clinic.id, method_id=card.id, now=timezone.now(), actor=clinic.actor)
    with pytest.raises(NotFound):
        buy(clinic, card.id)
    assert queries.top_ups(customer_id=clinic.id) == []


def test_a_purchase_whose_process_died_before_it_asked_goes_on(stage: Stage, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    # F02: after the intent is committed
    clinic = cast.clinic(credit_micros=0)
    card = saved_card(stage, clinic)
    with monkeypatch.context() as dead:
        dead.setattr(topups, "charge", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            buy(clinic, card.id)
    [top_up] = queries.top_ups(customer_id=clinic.id)
    assert (top_up.state, clinic.available) == ("pending", 0)
    topups.resume(customer_id=clinic.id, now=timezone.now() + topups.GIVE_UP_AFTER / 2)
    assert clinic.available == 20 * MICROS


def test_a_purchase_that_nobody_was_asked_about_for_a_day_is_given_up(
    stage: Stage, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = cast.clinic(credit_micros=0)
    card = saved_card(stage, clinic)
    with monkeypatch.context() as dead:
        dead.setattr(topups, "charge", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            buy(clinic, card.id)
    topups.resume(customer_id=clinic.id, now=timezone.now() + topups.GIVE_UP_AFTER * 2)
    [top_up] = queries.top_ups(customer_id=clinic.id)
    found = topups.purchase(customer_id=clinic.id, top_up_id=top_up.id)
    assert (found.payment_state, top_up.state) == (PaymentState.CANCELLED, "failed")
    assert clinic.available == 0


def test_a_purchase_that_waited_a_day_for_the_bank_is_called_off(stage: Stage, cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    card = saved_card(stage, clinic)
    stage.simulator.control("POST", f"/payment_methods/{card.token}", {"number": "4000002760003184"})
    bought = buy(clinic, card.id)
    assert queries.figures(customer_id=clinic.id, wallet=clinic.pool).incoming_micros == 20 * MICROS
    topups.resume(customer_id=clinic.id, now=timezone.now() + topups.GIVE_UP_AFTER * 2)
    found = topups.purchase(customer_id=clinic.id, top_up_id=bought.top_up.id)
    assert (found.payment_state, found.top_up.state) == (PaymentState.CANCELLED, "failed")
    assert queries.figures(customer_id=clinic.id, wallet=clinic.pool).incoming_micros == 0
