"""Payment methods: their order, their switch, and the health that declines take and successes give back."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection

from postmeter.kit.refusals import BadInput, NotFound
from postmeter.payments import operations, queries, reasons
from postmeter.payments.gateways.stripe import REASONS
from postmeter.payments.health import COOL_DOWN, Health, health
from postmeter.payments.models import PaymentMethod
from postmeter.payments.reasons import Kind, kind_of
from postmeter.payments.states import PaymentState
from tests.cast import Cast, Clinic, at
from tests.payments.cards import a_card, attempt, facts, intent, look, told

S = PaymentState
HARD = ["card_invalid", "card_lost_or_stolen", "account_closed", "payment_forbidden"]
SOFT = ["insufficient_funds", "card_expired", "declined", "authentication_failed", "a_reason_of_tomorrow"]
HARMLESS = ["bank_unavailable", "gateway_refused", "not_asked"]
MONDAY = datetime(2031, 3, 3, 9, tzinfo=UTC)


@pytest.fixture
def clinic(cast: Cast) -> Clinic:
    return cast.clinic(credit_micros=0)


def chargeable(clinic: Clinic, now: datetime | None = None) -> list[int]:
    return [row.id for row in queries.chargeable(customer_id=clinic.id, now=now or at())]


def order(clinic: Clinic) -> list[int]:
    return [row.id for row in queries.methods(customer_id=clinic.id)]


def at_once(*works: Callable[[], object]) -> None:
    """Each in a thread and on a connection of its own, let go together."""
    start = Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        try:
            connection.ensure_connection()
            start.wait(30)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(run, work) for work in works]:
            done.result(60)


# --- which failures do what


def test_every_reason_that_a_gateway_may_give_has_its_words() -> None:
    assert {*REASONS.values(), *reasons.KINDS} <= set(reasons.WORDS)
    assert {kind_of(code) for code in HARD} == {Kind.HARD}
    assert {kind_of(code) for code in SOFT} == {Kind.ISSUER}
    assert {kind_of(code) for code in HARMLESS} == {Kind.HARMLESS}


@pytest.mark.parametrize("actor", ["member:7", "system"])
@pytest.mark.parametrize("code", SOFT)
def test_an_issuers_decline_cools_for_48_hours_whoever_paid_and_the_method_comes_back_to_its_place(
    clinic: Clinic, code: str, actor: str
) -> None:
    # S-131 S-132 S-133 S-134 S-135 S-136 A-28 A-29 A-30 F23
    first, second = a_card(clinic), a_card(clinic)
    attempt(clinic, first, S.DECLINED, code, actor=actor, now=MONDAY)
    last_moment = MONDAY + timedelta(hours=48) - timedelta(microseconds=1)
    assert health(look(first), now=last_moment) is Health.COOLING
    assert chargeable(clinic, MONDAY) == chargeable(clinic, last_moment) == [second.id]
    assert order(clinic) == [first.id, second.id]
    assert chargeable(clinic, MONDAY + timedelta(hours=48)) == [first.id, second.id]
    (fact,) = facts(clinic, "payment_method.cooled")
    assert fact[1]["code"] == code
    assert fact[1]["until"] == (MONDAY + COOL_DOWN).isoformat()


@pytest.mark.parametrize("code", HARD)
def test_a_hard_decline_never_comes_back_by_itself(clinic: Clinic, code: str) -> None:
    # A-30 F24
    card = a_card(clinic)
    attempt(clinic, card, S.DECLINED, code, now=MONDAY)
    years_later = MONDAY + timedelta(days=2_000)
    assert health(look(card), now=years_later) is Health.NEEDS_PERSON
    assert chargeable(clinic, years_later) == []
    assert facts(clinic, "payment_method.cooled")[0][1]["needs_person"] is True


@pytest.mark.parametrize(
    ("state", "code"),
    [
        *[(S.DECLINED, code) for code in HARMLESS],
        (S.DECLINED, "authentication_required"),
        (S.UNKNOWN, "no_answer"),
        (S.PROCESSING, ""),
        (S.REQUIRES_ACTION, ""),
        (S.CANCELLED, ""),  # the buyer's own way out of 3-D Secure
    ],
)
def test_what_the_bank_did_not_decide_cools_nothing(clinic: Clinic, state: S, code: str) -> None:
    # A-23 A-29 A-30
    card = a_card(clinic)
    attempt(clinic, card, state, code)
    assert chargeable(clinic) == [card.id]
    assert facts(clinic, "payment_method.cooled") == []


def test_a_method_that_the_bank_wants_to_see_says_so_and_stays_well(clinic: Clinic) -> None:
    #
    card = a_card(clinic)
    attempt(clinic, card, S.DECLINED, "authentication_required")
    assert look(card).failure_code == "authentication_required"
    assert health(look(card), now=at()) is Health.WELL


def test_the_buyer_who_turns_back_at_the_bank_cools_nothing_but_failing_there_does(clinic: Clinic) -> None:
    # A-29 S-136
    card = a_card(clinic)
    turned_back, failed = intent(clinic, card), intent(clinic, card)
    told(turned_back, S.REQUIRES_ACTION)
    told(turned_back, S.CANCELLED)
    assert chargeable(clinic) == [card.id]
    told(failed, S.REQUIRES_ACTION)
    told(failed, S.DECLINED, "authentication_failed")
    assert chargeable(clinic) == []


def test_money_of_another_amount_restores_nothing(clinic: Clinic) -> None:
    # F27
    card = a_card(clinic)
    attempt(clinic, card, S.DECLINED, "declined")
    payment = intent(clinic, card)
    outcome = operations.Outcome(S.SUCCEEDED, ref="pi_x", amount_minor=1, currency="USD")
    operations.apply(customer_id=clinic.id, payment_id=payment.id, outcome=outcome, now=at())
    assert chargeable(clinic) == []


@pytest.mark.parametrize("code", ["insufficient_funds", "card_lost_or_stolen"])
def test_a_success_restores_the_method_at_once_and_says_who_paid(clinic: Clinic, code: str) -> None:
    # S-138 A-32
    card = a_card(clinic)
    attempt(clinic, card, S.DECLINED, code)
    attempt(clinic, card, S.SUCCEEDED, actor="member:7")
    assert chargeable(clinic) == [card.id]
    assert (look(card).failure_code, look(card).failed_at) == ("", None)
    assert [actor for actor, _ in facts(clinic, "payment_method.restored")] == ["member:7"]
    attempt(clinic, card, S.SUCCEEDED)
    assert len(facts(clinic, "payment_method.restored")) == 1, "there was nothing to restore"


def test_a_decline_that_is_overtaken_by_the_money_restores_the_method(clinic: Clinic) -> None:
    # F32
    card = a_card(clinic)
    payment = intent(clinic, card)
    told(payment, S.DECLINED, "declined")
    told(payment, S.SUCCEEDED)
    assert chargeable(clinic) == [card.id]


def test_the_same_decline_again_does_not_cool_for_longer(clinic: Clinic) -> None:
    # F31 F34
    card = a_card(clinic)
    payment = intent(clinic, card, now=MONDAY)
    assert told(payment, S.DECLINED, "declined", now=MONDAY)
    assert not told(payment, S.DECLINED, "declined", now=MONDAY + timedelta(hours=40))
    assert look(card).cooling_until == MONDAY + COOL_DOWN
    assert len(facts(clinic, "payment_method.cooled")) == 1


def test_a_stolen_card_does_not_become_one_that_merely_lacks_money(clinic: Clinic) -> None:
    card = a_card(clinic)
    attempt(clinic, card, S.DECLINED, "card_lost_or_stolen")
    attempt(clinic, card, S.DECLINED, "insufficient_funds")
    assert (look(card).needs_person, look(card).failure_code) == (True, "card_lost_or_stolen")


def test_one_methods_decline_is_no_others(clinic: Clinic, cast: Cast) -> None:
    rival = cast.clinic()
    card, other, theirs = a_card(clinic), a_card(clinic), a_card(rival)
    attempt(clinic, card, S.DECLINED, "declined")
    assert chargeable(clinic) == [other.id]
    assert chargeable(rival) == [theirs.id]


# --- at once


def test_two_declines_at_once_cool_once_each_and_neither_is_lost(clinic: Clinic) -> None:
    card = a_card(clinic)
    soft, hard = intent(clinic, card), intent(clinic, card)
    at_once(lambda: told(soft, S.DECLINED, "declined"), lambda: told(hard, S.DECLINED, "card_lost_or_stolen"))
    assert look(card).needs_person
    assert look(card).failure_code == "card_lost_or_stolen"


def test_of_a_success_and_a_decline_at_once_the_last_word_stands_and_the_facts_tell_the_same(clinic: Clinic) -> None:
    for _ in range(5):
        card = a_card(clinic)
        attempt(clinic, card, S.DECLINED, "declined")
        paid, refused = intent(clinic, card), intent(clinic, card)
        at_once(
            lambda paid=paid: told(paid, S.SUCCEEDED),  # type: ignore[misc]
            lambda refused=refused: told(refused, S.DECLINED, "insufficient_funds"),  # type: ignore[misc]
        )
        assert queries.payment(customer_id=clinic.id, payment_id=paid.id).state == S.SUCCEEDED
        assert queries.payment(customer_id=clinic.id, payment_id=refused.id).state == S.DECLINED
        cooled = [data["payment"] for _, data in facts(clinic, "payment_method.cooled")]
        assert str(refused.id) in cooled
        assert look(card).failure_code in ("", "insufficient_funds"), "the first decline was forgotten by the success"
        assert (look(card).cooling_until is None) is (look(card).failure_code == "")


def test_orders_that_are_given_at_once_do_not_mix(clinic: Clinic) -> None:
    ids = [a_card(clinic).id for _ in range(4)]
    forth, back = ids[1:] + ids[:1], ids[::-1]
    at_once(*(lambda wish=wish: arrange(clinic, wish) for wish in (forth, back, forth, back)))  # type: ignore[misc]
    assert order(clinic) in (forth, back)
    assert [row.position for row in queries.methods(customer_id=clinic.id)] == [1, 2, 3, 4]


# --- order and switch


def arrange(clinic: Clinic, ids: list[int]) -> list[PaymentMethod]:
    return operations.reorder(customer_id=clinic.id, method_ids=ids, now=at(), actor=clinic.actor)


def test_the_first_chargeable_method_is_primary_whatever_stands_above_it(clinic: Clinic) -> None:
    # S-112 S-114 S-123 A-27
    off, gone_by, well, spare = (
        a_card(clinic, auto_charge=False), a_card(clinic, expires=(2020, 1)), a_card(clinic), a_card(clinic),
    )  # fmt: skip
    rows = queries.methods(customer_id=clinic.id)
    assert [row.id for row in rows] == [off.id, gone_by.id, well.id, spare.id]
    first = queries.primary(rows, now=at())
    assert first is not None
    assert first.id == well.id
    assert chargeable(clinic) == [well.id, spare.id]
    assert queries.primary([], now=at()) is None


def test_a_card_is_good_to_the_end_of_its_month(clinic: Clinic) -> None:
    #
    card = a_card(clinic, expires=(2031, 3))
    assert chargeable(clinic, datetime(2031, 3, 31, 23, 59, tzinfo=UTC)) == [card.id]
    assert chargeable(clinic, datetime(2031, 4, 1, tzinfo=UTC)) == []


def test_a_removed_method_is_neither_charged_nor_cooled_nor_moved(clinic: Clinic) -> None:
    card, other = a_card(clinic), a_card(clinic)
    payment = intent(clinic, card)
    operations.remove_method(customer_id=clinic.id, method_id=card.id, now=at(), actor=clinic.actor)
    assert told(payment, S.DECLINED, "declined")
    assert (chargeable(clinic), facts(clinic, "payment_method.cooled")) == ([other.id], [])
    with pytest.raises(BadInput):
        arrange(clinic, [other.id, card.id])
    with pytest.raises(NotFound):
        operations.set_auto_charge(customer_id=clinic.id, method_id=card.id, on=True, now=at(), actor=clinic.actor)


def test_the_switch_is_a_fact_with_its_actor_once_per_change_and_heals_nothing(clinic: Clinic) -> None:
    # S-108 S-111
    card = a_card(clinic)
    attempt(clinic, card, S.DECLINED, "declined")
    for on in (False, False, True, True):
        operations.set_auto_charge(customer_id=clinic.id, method_id=card.id, on=on, now=at(), actor=clinic.actor)
        assert look(card).auto_charge is on
    assert facts(clinic, "payment_method.auto_charge_switched") == [(clinic.actor, {"on": False}), (clinic.actor, {"on": True})]
    assert health(look(card), now=at()) is Health.COOLING


def test_every_order_can_be_given_and_the_same_again_is_no_fact(clinic: Clinic) -> None:
    # S-113 S-116
    ids = [a_card(clinic).id for _ in range(3)]
    wishes = [list(wish) for wish in itertools.permutations(ids)][1:]
    for wish in wishes:
        assert [row.id for row in arrange(clinic, wish)] == order(clinic) == wish
        arrange(clinic, wish)
    told = facts(clinic, "payment_method.reordered")
    assert told == [(clinic.actor, {"order": [str(each) for each in wish]}) for wish in wishes]


def test_a_list_that_is_not_exactly_the_methods_is_refused_and_nothing_moves(clinic: Clinic, cast: Cast) -> None:
    first, second, theirs = a_card(clinic).id, a_card(clinic).id, a_card(cast.clinic()).id
    for wrong in ([], [first], [first, first], [first, second, second], [second, theirs], [first, second, theirs], [0, 1]):
        with pytest.raises(BadInput) as refusal:
            arrange(clinic, wrong)
        assert (refusal.value.field, bool(refusal.value.remedy)) == ("order", True)
    assert order(clinic) == [first, second]


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_method_is_moved_to_a_place_and_the_others_keep_their_order(clinic: Clinic, place: int) -> None:
    # S-115 A-37
    ids = [a_card(clinic).id for _ in range(3)]
    for moved in ids:
        others = [each for each in order(clinic) if each != moved]
        operations.move(customer_id=clinic.id, method_id=moved, position=place, now=at(), actor=clinic.actor)
        assert order(clinic) == [*others[: place - 1], moved, *others[place - 1 :]]


def test_there_is_no_place_outside_the_list_and_no_moving_of_others_methods(clinic: Clinic, cast: Cast) -> None:
    card, theirs = a_card(clinic), a_card(cast.clinic())
    for place in (0, 2, -1):
        with pytest.raises(BadInput):
            operations.move(customer_id=clinic.id, method_id=card.id, position=place, now=at(), actor=clinic.actor)
    with pytest.raises(NotFound):
        operations.move(customer_id=clinic.id, method_id=theirs.id, position=1, now=at(), actor=clinic.actor)
    with pytest.raises(NotFound):
        operations.set_auto_charge(customer_id=clinic.id, method_id=theirs.id, on=False, now=at(), actor=clinic.actor)
