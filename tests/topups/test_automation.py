"""Automatic top-up: it charges when it was asked to, once, for the whole gap; and nobody when anything is uncertain."""

import threading
from datetime import datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.config.reactions import REACTIONS
from postmeter.db import calls, scope
from postmeter.events.relay import relay
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.payments import operations as payments
from postmeter.payments.models import PaymentMethod
from postmeter.topups import automation, operations, queries
from postmeter.topups.automation import Rule, WouldCharge
from postmeter.topups.models import Automation, TopUp
from postmeter.wallets import operations as wallets
from tests.cast import FEE, PRICE, Cast, Clinic, number
from tests.journeys.shop import saved_card, saved_card_after_question
from tests.stage import Stage

DECLINED, AUTHENTICATE = "4000000000000341", "4000002760003184"  # saved without a word, refused when charged
EACH = PRICE + FEE


def rule(**changes: object) -> Rule:
    facts: dict[str, object] = {
        "enabled": True,
        "threshold_micros": 10 * MICROS,
        "kind": "refill",
        "amount_micros": 20 * MICROS,
        "day_cap_micros": 100 * MICROS,
        "month_cap_micros": 500 * MICROS,
    }
    return Rule(**(facts | changes))  # type: ignore[arg-type]


@pytest.fixture
def harbour(stage: Stage, cast: Cast) -> Clinic:
    """A clinic that has bought once, $30 in its wallet, with one good card."""
    clinic = cast.clinic(credit_micros=0)
    card = saved_card(stage, clinic)
    buy(clinic, card, 30)
    return clinic


def buy(clinic: Clinic, card: PaymentMethod, dollars: int) -> None:
    operations.buy(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        method_id=card.id,
        amount_micros=dollars * MICROS,
        key=uuid4(),
        actor=clinic.actor,
        now=timezone.now(),
    )


def save(clinic: Clinic, accepts: int | None = None, **changes: object) -> Automation:
    found = automation.save(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        rule=rule(**changes),
        accepts_charge_micros=accepts,
        actor=clinic.actor,
        now=timezone.now(),
    )
    jobs()
    return found


def send(clinic: Clinic, dollars: int) -> None:
    """Messages worth this much, held in one transaction."""
    count = dollars * MICROS // EACH
    submit(Submission(clinic.id, [number(1)] * count, ["Hi"] * count, clinic.actor), now=timezone.now())


def jobs() -> None:
    """What the worker does with the facts: each job done twice, because relays repeat themselves."""
    todo: list[tuple[str, int, int]] = []

    def defer(job: object, customer_id: int, event_id: int) -> None:
        todo.append((job.name.rsplit(".", 1)[1], customer_id, event_id))  # type: ignore[attr-defined]

    from postmeter.topups import tasks

    ours = {"react": tasks.react, "follow": tasks.follow}
    for _ in range(8):
        while relay(REACTIONS, defer):  # other tests leave facts behind too
            pass
        found, todo[:] = [one for one in todo if one[0] in ours], []
        if not found:
            return
        for name, customer_id, event_id in found * 2:
            ours[name](customer_id=customer_id, event_id=event_id)
    raise AssertionError("the jobs wake each other for ever")


def automatic(clinic: Clinic) -> list[TopUp]:
    return [top_up for top_up in reversed(queries.top_ups(customer_id=clinic.id)) if top_up.automatic]


def state(clinic: Clinic) -> Automation:
    with scope.customer(clinic.id):
        return Automation.objects.get(customer_id=clinic.id, wallet_id=clinic.pool.id)


def test_a_balance_that_falls_below_its_threshold_is_filled_once(harbour: Clinic) -> None:  # S-102 S-117 S-122 A-04 A-16
    save(harbour)
    send(harbour, 20)  # 30 - 20 is not below 10: whole messages cost a little less
    jobs()
    assert automatic(harbour) == []
    send(harbour, 1)
    jobs()
    [bought] = automatic(harbour)
    assert (bought.state, bought.amount_micros) == ("succeeded", 20 * MICROS)
    assert bought.why["threshold_micros"] == 10 * MICROS
    assert 8 * MICROS < bought.why["balance_micros"] < 10 * MICROS
    assert bought.why["trigger"]
    send(harbour, 1)
    jobs()
    assert len(automatic(harbour)) == 1
    send(harbour, 20)
    jobs()
    assert len(automatic(harbour)) == 2, "the watch is set again once the credit has come"
    assert verify_all().ok


def test_one_charge_closes_the_whole_gap(harbour: Clinic) -> None:  # A-17, Lago #6177
    save(harbour, threshold_micros=25 * MICROS, amount_micros=10 * MICROS)
    send(harbour, 29)
    jobs()
    [bought] = automatic(harbour)
    assert bought.amount_micros == 30 * MICROS
    with scope.customer(harbour.id):
        assert queries.figures(customer_id=harbour.id, wallet=harbour.pool).available_micros >= 25 * MICROS


def test_what_is_owed_is_paid_by_the_same_charge_and_once(harbour: Clinic) -> None:
    save(harbour, kind="target", amount_micros=50 * MICROS)
    harbour.take(33 * MICROS)
    jobs()
    [bought] = automatic(harbour)
    assert (bought.amount_micros, bought.why["debt_micros"]) == (53 * MICROS, 3 * MICROS)
    figures = queries.figures(customer_id=harbour.id, wallet=harbour.pool)
    assert (figures.posted_micros, figures.debt_micros) == (50 * MICROS, 0)


def test_a_target_is_reached_to_the_cent(harbour: Clinic) -> None:
    save(harbour, kind="target", amount_micros=50 * MICROS)
    send(harbour, 25)
    jobs()
    [bought] = automatic(harbour)
    assert bought.amount_micros % 10_000 == 0
    available = queries.figures(customer_id=harbour.id, wallet=harbour.pool).available_micros
    assert 50 * MICROS <= available < 50 * MICROS + 10_000


def test_it_is_armed_by_the_first_purchase(stage: Stage, cast: Cast) -> None:  # S-029 S-030 A-15
    clinic = cast.clinic(credit_micros=5 * MICROS)
    card = saved_card(stage, clinic)
    save(clinic)
    jobs()
    assert automatic(clinic) == []
    buy(clinic, card, 10)
    send(clinic, 9)
    jobs()
    assert len(automatic(clinic)) == 1


def test_a_rule_that_would_charge_now_says_how_much_and_waits_for_a_yes(harbour: Clinic) -> None:
    with pytest.raises(WouldCharge) as refused:
        save(harbour, threshold_micros=45 * MICROS)
    assert refused.value.facts["needed_micros"] == 20 * MICROS
    assert automatic(harbour) == []
    save(harbour, accepts=20 * MICROS, threshold_micros=45 * MICROS)
    assert [bought.amount_micros for bought in automatic(harbour)] == [20 * MICROS]


def test_the_next_method_pays_when_the_first_one_surely_did_not(stage: Stage, cast: Cast) -> None:  # S-117 A-23
    clinic = cast.clinic(credit_micros=0)
    poor, good = saved_card(stage, clinic, DECLINED), saved_card(stage, clinic)
    auto_charge(clinic, good)
    buy(clinic, good, 30)
    save(clinic)
    send(clinic, 25)
    jobs()
    first, second = automatic(clinic)
    assert [(top_up.state, method_of(clinic, top_up)) for top_up in (first, second)] == [
        ("failed", poor.id),
        ("succeeded", good.id),
    ]
    assert state(clinic).strikes == 0
    assert verify_all().ok


def test_without_a_method_that_may_be_charged_nothing_is(stage: Stage, harbour: Clinic) -> None:  # S-109
    save(harbour)
    with scope.customer(harbour.id):
        PaymentMethod.objects.filter(customer_id=harbour.id).update(auto_charge=False)
    send(harbour, 25)
    jobs()
    assert automatic(harbour) == []
    assert state(harbour).strikes == 1, "it says so and tries again later"


def test_three_strikes_end_it_until_a_person_says_so(stage: Stage, cast: Cast) -> None:  # S-104 A-34, akash #3660, Lago #6176
    clinic = cast.clinic(credit_micros=5 * MICROS)
    good = saved_card(stage, clinic)
    buy(clinic, good, 30)
    payments.remove_method(customer_id=clinic.id, method_id=good.id, now=timezone.now(), actor=clinic.actor)
    poor = saved_card(stage, clinic, DECLINED)
    auto_charge(clinic, poor)
    save(clinic)
    send(clinic, 30)
    jobs()
    assert (len(automatic(clinic)), state(clinic).strikes) == (1, 1)
    for _ in range(5):
        jobs()
        automation.react(customer_id=clinic.id, wallet_id=clinic.pool.id, now=timezone.now())
    assert len(automatic(clinic)) == 1, "it is not asked again and again"
    now = timezone.now()
    for strikes, pause in ((2, timedelta(hours=1)), (3, timedelta(hours=12))):
        now += pause + timedelta(minutes=1)
        heal(clinic, poor)
        assert automation.due(customer_id=clinic.id, now=now) == [clinic.pool.id]
        automation.react(customer_id=clinic.id, wallet_id=clinic.pool.id, now=now)
        for top_up in automatic(clinic):
            automation.follow(customer_id=clinic.id, top_up_id=top_up.id, now=now)
        assert state(clinic).strikes == strikes
    paused = state(clinic)
    assert paused.paused_at
    assert paused.paused_for == "declined"
    automation.react(customer_id=clinic.id, wallet_id=clinic.pool.id, now=now + timedelta(days=30))
    assert len(automatic(clinic)) == 3
    assert verify_all().ok


def test_a_bank_that_wants_the_cardholder_pauses_it_at_once(stage: Stage, cast: Cast) -> None:  # S-136 A-33, akash #3809
    clinic = cast.clinic(credit_micros=0)
    good = saved_card(stage, clinic)
    buy(clinic, good, 30)
    payments.remove_method(customer_id=clinic.id, method_id=good.id, now=timezone.now(), actor=clinic.actor)
    asking = saved_card_after_question(stage, clinic, AUTHENTICATE)
    auto_charge(clinic, asking)
    save(clinic)
    send(clinic, 25)
    jobs()
    assert state(clinic).paused_for == "authentication_required"
    assert len(automatic(clinic)) == 1


def test_an_unknown_outcome_goes_on_to_no_other_card(stage: Stage, harbour: Clinic) -> None:  # A-23 A-30 F15
    auto_charge(harbour, saved_card(stage, harbour))
    save(harbour)
    stage.simulator.control(
        "POST", "/faults", {"service": "stripe", "fault": "timeout_after_success", "match": {"path": "/v1/payment_intents"}}
    )
    try:
        send(harbour, 25)
        jobs()
    finally:
        stage.simulator.control("DELETE", "/faults")
    for _ in range(3):
        automation.react(customer_id=harbour.id, wallet_id=harbour.pool.id, now=timezone.now())
    assert len(automatic(harbour)) == 1


def test_a_cap_holds_it_back_until_the_next_day(harbour: Clinic) -> None:
    save(harbour, day_cap_micros=20 * MICROS)
    send(harbour, 25)
    jobs()
    send(harbour, 20)
    jobs()
    assert len(automatic(harbour)) == 1
    waits = state(harbour).try_after
    assert waits
    assert waits > timezone.now()
    assert automation.due(customer_id=harbour.id, now=waits) == [harbour.pool.id]
    automation.react(customer_id=harbour.id, wallet_id=harbour.pool.id, now=waits + timedelta(seconds=1))
    assert len(automatic(harbour)) == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount_micros": 9 * MICROS}, "amount"),
        ({"kind": "target", "amount_micros": 12 * MICROS}, "amount"),
        ({"kind": "often"}, "kind"),
        ({"day_cap_micros": 15 * MICROS}, "day_cap"),
        ({"month_cap_micros": 50 * MICROS}, "month_cap"),
        ({"threshold_micros": 1}, "threshold"),
    ],
)
def test_a_rule_that_could_never_charge_is_refused_when_it_is_saved(
    cast: Cast, changes: dict[str, object], field: str
) -> None:  # A-18, Lago #5992
    with pytest.raises(BadInput) as refused:
        save(cast.clinic(), **changes)
    assert (refused.value.field, bool(refused.value.remedy)) == (field, True)


def test_many_sends_across_the_threshold_make_one_charge(harbour: Clinic) -> None:  # A-16, autumn #3332
    save(harbour)

    def one(dollars: int) -> None:
        send(harbour, dollars)
        automation.react(customer_id=harbour.id, wallet_id=harbour.pool.id, now=timezone.now())
        connection.close()

    threads = [threading.Thread(target=one, args=(3,)) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    jobs()
    assert [(bought.state, bought.amount_micros) for bought in automatic(harbour)] == [("succeeded", 20 * MICROS)]
    assert verify_all().ok


def test_every_way_that_a_balance_falls_is_told_in_its_own_transaction_and_once(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=30 * MICROS)
    with scope.customer(clinic.id):
        wallets.watch(customer_id=clinic.id, wallet=clinic.pool, name="test", below_micros=20 * MICROS)
    for _ in range(3):
        send(clinic, 6)
    assert facts(clinic) == 1
    with scope.customer(clinic.id):
        wallets.watch(customer_id=clinic.id, wallet=clinic.pool, name="test", below_micros=20 * MICROS)
    assert facts(clinic) == 2, "what is below already is told at once"


def test_several_watches_of_one_wallet_are_each_told_once(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=30 * MICROS)
    with scope.customer(clinic.id):
        for name, dollars in (("a", 20), ("b", 20), ("c", 5), ("d", 10)):
            wallets.watch(customer_id=clinic.id, wallet=clinic.pool, name=name, below_micros=dollars * MICROS)
        wallets.watch(customer_id=clinic.id, wallet=clinic.pool, name="d", below_micros=None)
    for _ in range(5):
        send(clinic, 6)
    assert told(clinic) == [["a", "b"], ["c"]]


def told(clinic: Clinic) -> list[list[str]]:
    with scope.customer(clinic.id):
        facts = calls.rows(
            """SELECT ARRAY(SELECT jsonb_array_elements_text(data -> 'watches')) FROM events_event
               WHERE customer_id = %s AND kind = 'wallet.fell' ORDER BY id""",
            [clinic.id],
        )
    return [row[0] for row in facts]


def facts(clinic: Clinic) -> int:
    with scope.customer(clinic.id):
        return int(calls.value("SELECT count(*) FROM events_event WHERE customer_id = %s AND kind = 'wallet.fell'", [clinic.id]))


def auto_charge(clinic: Clinic, method: PaymentMethod) -> None:
    with scope.customer(clinic.id):
        PaymentMethod.objects.filter(customer_id=clinic.id, id=method.id).update(auto_charge=True)


def heal(clinic: Clinic, method: PaymentMethod) -> None:
    """As if its cool-down were over."""
    with scope.customer(clinic.id):
        PaymentMethod.objects.filter(customer_id=clinic.id, id=method.id).update(cooling_until=timezone.now())


def method_of(clinic: Clinic, top_up: TopUp) -> int:
    return queries.bought(customer_id=clinic.id, top_up_id=top_up.id).method.id


def test_a_weekly_top_up_comes_on_monday_if_something_was_used(harbour: Clinic) -> None:
    monday = save(harbour, kind="weekly", threshold_micros=0).next_at
    assert monday is not None
    assert (monday.astimezone(ZoneInfo("America/New_York")).weekday(), monday.astimezone(ZoneInfo("America/New_York")).hour) == (
        0,
        0,
    )
    react(harbour, monday)
    assert automatic(harbour) == [], "nothing was used"
    assert state(harbour).next_at == monday + timedelta(days=7)
    harbour.take(2 * MICROS)
    react(harbour, monday + timedelta(days=6))
    assert automatic(harbour) == [], "its day has not come"
    for _ in range(3):
        react(harbour, monday + timedelta(days=7))
        jobs()
    [bought] = automatic(harbour)
    assert (bought.state, bought.amount_micros, bought.why["kind"]) == ("succeeded", 20 * MICROS, "weekly")


def test_a_monthly_top_up_that_is_declined_goes_on_to_the_next_card_and_charges_once(stage: Stage, cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    saved_card(stage, clinic, DECLINED)
    good = saved_card(stage, clinic)
    auto_charge(clinic, good)
    buy(clinic, good, 30)
    first = save(clinic, kind="monthly").next_at
    assert first is not None
    assert first.astimezone(ZoneInfo("America/New_York")).day == 1
    clinic.take(2 * MICROS)
    react(clinic, first)
    follow_all(clinic, first)
    react(clinic, first + timedelta(days=1))
    assert [bought.state for bought in automatic(clinic)] == ["failed", "succeeded"]
    assert state(clinic).next_at > first + timedelta(days=27)


def react(clinic: Clinic, at: datetime) -> None:
    """The worker's round at that time."""
    for wallet_id in automation.due(customer_id=clinic.id, now=at):
        automation.react(customer_id=clinic.id, wallet_id=wallet_id, now=at)


def follow_all(clinic: Clinic, at: datetime) -> None:
    for _ in range(3):
        for bought in automatic(clinic):
            automation.follow(customer_id=clinic.id, top_up_id=bought.id, now=at)
