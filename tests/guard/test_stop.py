"""The breaker of one customer: it stops sending and automatic top-ups at once, and only a person lifts it."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.customers import operations as customers
from postmeter.customers import permissions
from postmeter.customers import queries as customer_queries
from postmeter.db import calls, scope
from postmeter.guard import operations, queries
from postmeter.guard import tasks as guard_tasks
from postmeter.guard.operations import LimitPassed, SendingStopped
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import Conflict, NotCovered
from postmeter.messaging import queries as messages
from postmeter.messaging.kinds import ANSWER
from postmeter.messaging.operations import dispatch, payers
from postmeter.messaging.operations.accept import Accepted, Submission, submit, submit_together
from postmeter.notifications import queries as notices
from postmeter.notifications import tasks as notification_tasks
from postmeter.notifications.words import words
from postmeter.terms import agreement, stops
from postmeter.topups import automation, tasks
from tests.cast import FEE, PRICE, Cast, Clinic, number
from tests.journeys.shop import saved_card
from tests.messaging.test_inbound import hear
from tests.stage import Stage
from tests.topups.test_automation import automatic, buy, jobs, rule, state

EACH = PRICE + FEE


@pytest.fixture
def harbour(cast: Cast) -> Clinic:
    return cast.clinic(credit_micros=100 * MICROS, guarded=True)


def a_key(clinic: Clinic, name: str = "Booking") -> str:
    key, _ = customers.create_api_key(
        customer_id=clinic.id, name=name, mode="live", scopes=permissions.SCOPES, now=timezone.now(), actor=clinic.actor
    )
    return f"key:{key.id}"


def send(clinic: Clinic, people: list[str], actor: str = "") -> list[str]:
    return submit(Submission(clinic.id, people, ["Hello"] * len(people), actor or clinic.actor), now=timezone.now()).words


def pump(clinic: Clinic, actor: str = "", first: int = 0) -> None:
    """Pass the limit of a prefix with one list too many."""
    with pytest.raises(LimitPassed, match="500 messages within an hour"):
        send(clinic, [number(first + n) for n in range(501)], actor)


def lift(clinic: Clinic, *, top_ups: bool = False, take_back: bool = True) -> None:
    stops.lift(customer_id=clinic.id, top_ups_go_on=top_ups, take_back=take_back, actor=clinic.actor, now=timezone.now())


def kinds(clinic: Clinic) -> list[str]:
    with scope.customer(clinic.id):
        rows = calls.rows(
            "SELECT kind FROM events_event WHERE customer_id = %s AND kind <> 'wallet.fell' ORDER BY id", [clinic.id]
        )
    return [row[0] for row in rows if row[0].startswith(("guard", "customer.", "automation"))]


def opened(clinic: Clinic) -> int:
    """The fact that says so."""
    with scope.customer(clinic.id):
        [[event_id]] = calls.rows("SELECT id FROM events_event WHERE customer_id = %s AND kind = 'guard.opened'", [clinic.id])
    return int(event_id)


# Stopping


def test_a_list_that_passes_a_limit_is_refused_whole_and_stops_the_customer(harbour: Clinic) -> None:
    pump(harbour)
    assert messages.messages(customer_id=harbour.id) == []
    assert harbour.held == 0
    stop = queries.standing(customer_id=harbour.id)
    assert stop
    assert (stop.limit, stop.most, stop.reached, stop.prefix, stop.actor) == ("prefix", 500, 501, "+1555000", harbour.actor)
    assert customer_queries.customer(customer_id=harbour.id).suspended_at
    assert kinds(harbour)[-2:] == ["customer.suspended", "guard.opened"]


def test_a_stopped_customer_is_refused_even_where_its_payer_is_remembered(harbour: Clinic) -> None:
    send(harbour, [number(1)])
    pump(harbour)
    for _ in range(2):
        with pytest.raises(SendingStopped) as refused:
            send(harbour, [number(1)])
        assert "Limits and countries" in str(refused.value.remedy)
        [answer] = submit_together([Submission(harbour.id, [number(2)], ["Hello"], harbour.actor)], now=timezone.now())
        assert isinstance(answer, SendingStopped)
        payers.forget()  # and then where it is read anew
    assert len(messages.messages(customer_id=harbour.id)) == 1


def test_what_was_accepted_before_waits_and_an_answer_to_stop_still_goes(harbour: Clinic) -> None:
    send(harbour, [number(1), number(2)])
    pump(harbour)
    hear(harbour, "STOP", sender=number(31))
    claimed = dispatch.claim(customer_id=harbour.id, at_most=100, now=timezone.now())
    assert [each.recipient for each in claimed] == [number(31)]
    waiting = messages.messages(customer_id=harbour.id, state="queued")
    assert {message.recipient for message in waiting} == {number(1), number(2)}
    assert ANSWER not in {message.kind for message in waiting}
    assert harbour.held == 2 * EACH


def test_one_customers_stop_is_nobody_elses(cast: Cast, harbour: Clinic) -> None:
    rival = cast.clinic(name="Rival", guarded=True)
    send(rival, [number(1)])
    pump(harbour)
    assert queries.standing(customer_id=rival.id) is None
    assert len(dispatch.claim(customer_id=rival.id, at_most=100, now=timezone.now())) == 1
    together = [Submission(clinic.id, [number(5)], ["Hello"], clinic.actor) for clinic in (harbour, rival)]
    first, second = submit_together(together, now=timezone.now())
    assert isinstance(first, SendingStopped) and isinstance(second, Accepted)
    with scope.customer(rival.id):
        found = {row.customer_id for row in queries.history(customer_id=rival.id)}
    assert found == set()


def test_masters_the_billing_contact_and_the_operator_are_told_once(harbour: Clinic, settings: object) -> None:
    settings.OPERATOR_EMAIL = "desk@operator.example"  # type: ignore[attr-defined]
    pump(harbour, a_key(harbour))
    event_id = opened(harbour)
    for _ in range(2):
        notification_tasks.tell_of_stop(customer_id=harbour.id, event_id=event_id)
    guard_tasks.tell_operator(customer_id=harbour.id, event_id=event_id)
    made = [notice for notice in notices.notices(customer_id=harbour.id) if notice.kind == "stopped"]
    assert {notice.address for notice in made} == {harbour.customer.email, harbour.master.email}
    assert len(made) == 2
    said = words(made[0], now=timezone.now())
    assert "An API key would have passed a limit: 500 messages within an hour" in said.sentences[0]
    assert said.path == "/settings/limits/"
    assert [message.to for message in mail.outbox] == [["desk@operator.example"]]
    assert "postmeter guard lift" in mail.outbox[0].body


# Automatic top-ups


@pytest.fixture
def buyer(stage: Stage, cast: Cast) -> Clinic:
    """A guarded clinic with $30, one good card, and a rule that tops up below ten."""
    clinic = cast.clinic(credit_micros=0, guarded=True)
    buy(clinic, saved_card(stage, clinic), 30)
    automation.save(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        rule=rule(),
        accepts_charge_micros=None,
        actor=clinic.actor,
        now=timezone.now(),
    )
    jobs()
    return clinic


def fall(clinic: Clinic) -> None:
    """The balance falls below the threshold, whoever took it."""
    clinic.take(25 * MICROS)


def test_no_card_is_charged_while_it_is_open_even_before_the_rule_is_paused(buyer: Clinic) -> None:
    pump(buyer)
    fall(buyer)
    jobs()
    assert automatic(buyer) == []
    assert state(buyer).paused_at is None, "the check is the breaker's own row, not the pause"
    now = timezone.now() + timedelta(hours=1)
    assert automation.react(customer_id=buyer.id, wallet_id=buyer.pool.id, now=now) is None
    tasks.stop_for_guard(customer_id=buyer.id, event_id=opened(buyer))
    assert state(buyer).paused_for == "guard"
    with pytest.raises(Conflict, match="Sending is stopped"):
        automation.start_again(customer_id=buyer.id, wallet_id=buyer.pool.id, actor=buyer.actor, now=now)


@pytest.mark.parametrize("is_paused", [True, False], ids=["the job was done", "the job comes late"])
def test_top_ups_stay_off_after_lifting_unless_the_person_says_so(buyer: Clinic, is_paused: bool) -> None:
    pump(buyer)
    if is_paused:
        tasks.stop_for_guard(customer_id=buyer.id, event_id=opened(buyer))
    fall(buyer)
    lift(buyer)
    if not is_paused:
        tasks.stop_for_guard(customer_id=buyer.id, event_id=opened(buyer))
    jobs()
    assert automatic(buyer) == []
    assert state(buyer).paused_for == "guard"
    automation.start_again(
        customer_id=buyer.id, wallet_id=buyer.pool.id, actor=buyer.actor, now=timezone.now() + timedelta(minutes=6)
    )
    jobs()
    assert [top_up.amount_micros for top_up in automatic(buyer)] == [20 * MICROS]


@pytest.mark.parametrize("is_paused", [True, False])
def test_top_ups_go_on_where_the_person_says_so(buyer: Clinic, is_paused: bool) -> None:
    pump(buyer)
    if is_paused:
        tasks.stop_for_guard(customer_id=buyer.id, event_id=opened(buyer))
    lift(buyer, top_ups=True)
    tasks.stop_for_guard(customer_id=buyer.id, event_id=opened(buyer))  # said again, too late: it pauses nothing
    assert state(buyer).paused_at is None
    fall(buyer)
    jobs()
    assert [top_up.amount_micros for top_up in automatic(buyer)] == [20 * MICROS]


def test_a_stolen_key_pumps_one_prefix_and_is_stopped_with_its_card_untouched(buyer: Clinic) -> None:  # G31 I36
    """Ten thousand numbers in one prefix, as fast as the door takes them."""
    stolen = a_key(buyer)
    operations.set_limits(
        customer_id=buyer.id, unit="USD", most={"prefix": 2_000}, by_operator=True, actor="operator", now=timezone.now()
    )
    operations.set_limits(
        customer_id=buyer.id, unit="USD", most={"key_spend": 5 * MICROS}, by_operator=False, actor=buyer.actor, now=timezone.now()
    )
    payers.forget()
    begun, went = timezone.now(), 0
    for part in range(20):
        many = [Submission(buyer.id, [number(500 * part + n)], ["Win a prize"], stolen) for n in range(500)]
        went += sum(isinstance(answer, Accepted) for answer in submit_together(many, now=timezone.now()))
        jobs()
    spent = went * EACH
    assert 5 * MICROS - 2 * EACH < spent <= 5 * MICROS, "the cap, and nothing of it is lost to honest senders"
    assert buyer.held == spent
    stop = queries.standing(customer_id=buyer.id)
    assert stop and stop.limit == "key_spend" and stop.actor == stolen
    assert stop.at - begun < timedelta(seconds=60)
    assert dispatch.claim(customer_id=buyer.id, at_most=1_000, now=timezone.now()) == []
    fall(buyer)
    jobs()
    tasks.stop_for_guard(customer_id=buyer.id, event_id=opened(buyer))
    assert automatic(buyer) == []
    lift(buyer)
    assert buyer.held == 0, "what the thief had queued is taken back"
    assert send(buyer, [number(1)]) == ["ok"]
    assert verify_all().ok


# Lifting


def test_lifting_lets_sending_go_on_and_counts_anew(harbour: Clinic) -> None:
    send(harbour, [number(n) for n in range(500)])
    pump(harbour, first=1_000)
    lift(harbour, take_back=False)
    assert queries.standing(customer_id=harbour.id) is None
    assert customer_queries.customer(customer_id=harbour.id).suspended_at is None
    assert send(harbour, [number(3_000 + n) for n in range(500)]) == ["ok"] * 500
    assert len(dispatch.claim(customer_id=harbour.id, at_most=2_000, now=timezone.now())) == 1_000
    assert kinds(harbour)[-2:] == ["guard.lifted", "customer.reinstated"]
    [stop] = queries.history(customer_id=harbour.id)
    assert stop.lifted_by == harbour.actor


def test_lifting_takes_back_what_the_one_who_passed_the_limit_has_waiting(harbour: Clinic) -> None:
    stolen = a_key(harbour)
    send(harbour, [number(1)])
    send(harbour, [number(2), number(3)], stolen)
    pump(harbour, stolen, first=10)
    lift(harbour)
    assert {message.recipient: message.state for message in messages.messages(customer_id=harbour.id)} == {
        number(1): "queued",
        number(2): "cancelled",
        number(3): "cancelled",
    }
    assert harbour.held == EACH


def test_a_second_lift_is_refused_and_a_second_stop_is_a_new_one(harbour: Clinic) -> None:
    pump(harbour)
    lift(harbour)
    with pytest.raises(Conflict, match="not stopped"):
        lift(harbour)
    pump(harbour)
    assert len(queries.history(customer_id=harbour.id)) == 2


def test_what_else_suspends_a_customer_outlasts_the_stop_and_the_other_way_round(harbour: Clinic) -> None:
    def suspended() -> bool:
        return customer_queries.customer(customer_id=harbour.id).suspended_at is not None

    agreement.suspend(customer_id=harbour.id, reason=agreement.BY_HAND, actor="operator", now=timezone.now())
    agreement.reinstate(customer_id=harbour.id, actor="operator", now=timezone.now())
    pump(harbour)
    agreement.suspend(customer_id=harbour.id, reason=agreement.OVERDUE, actor="system", now=timezone.now())
    lift(harbour)
    assert suspended(), "the bill is still overdue"
    agreement.reinstate(customer_id=harbour.id, actor="system", now=timezone.now(), only_for=agreement.OVERDUE)
    assert not suspended()
    pump(harbour)
    agreement.suspend(customer_id=harbour.id, reason=agreement.OVERDUE, actor="system", now=timezone.now())
    agreement.reinstate(customer_id=harbour.id, actor="system", now=timezone.now(), only_for=agreement.OVERDUE)
    assert suspended(), "the breaker is still open"


def test_a_list_that_is_not_covered_opens_nothing(cast: Cast) -> None:
    poor = cast.clinic(credit_micros=EACH, guarded=True)
    with pytest.raises(NotCovered):
        send(poor, [number(n) for n in range(600)])
    assert queries.standing(customer_id=poor.id) is None


def test_the_console_lists_who_is_stopped(harbour: Clinic) -> None:
    pump(harbour)
    assert harbour.id in {each.customer.id for each in queries.all_standing()}
    lift(harbour)
    assert harbour.id not in {each.customer.id for each in queries.all_standing()}
