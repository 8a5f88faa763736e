"""Retry: what failed is tried again by a person, once, and not by accident."""

from collections.abc import Callable
from threading import Barrier, Thread
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.db import scope
from postmeter.events.models import Event
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import Conflict, NotFound
from postmeter.notifications import mail as notices
from postmeter.notifications import queries as told
from postmeter.notifications import rounds
from postmeter.payments import operations
from postmeter.payments import queries as payments
from postmeter.payments.health import Health, health
from postmeter.payments.models import PaymentMethod
from postmeter.topups import automation, queries
from postmeter.topups import operations as purchases
from postmeter.topups import retry as topups
from postmeter.topups.models import TopUp
from postmeter.topups.operations import Purchase
from postmeter.topups.retry import AlreadyFull, NotFailed
from tests.cast import Cast, Clinic
from tests.journeys.shop import confirm_at_bank, saved_card, saved_card_after_question
from tests.stage import Stage
from tests.topups.test_automation import AUTHENTICATE, DECLINED, auto_charge, automatic, buy, jobs, save, send, state
from tests.topups.test_buying_twice import buy as press


@pytest.fixture
def harbour(stage: Stage, cast: Cast) -> Clinic:
    """A clinic whose first purchase of $20 was declined, and which has a good card too."""
    clinic = cast.clinic(credit_micros=0)
    press(clinic, saved_card(stage, clinic, DECLINED).id)
    saved_card(stage, clinic)
    return clinic


def failed_of(clinic: Clinic) -> TopUp:
    return next(top_up for top_up in queries.top_ups(customer_id=clinic.id) if top_up.state == "failed")


def good_of(clinic: Clinic) -> PaymentMethod:
    return next(card for card in payments.methods(customer_id=clinic.id) if card.last4 == "4242")


def retry(clinic: Clinic, top_up: TopUp, **how: object) -> Purchase:
    return topups.retry(customer_id=clinic.id, top_up_id=top_up.id, actor=clinic.actor, now=timezone.now(), **how)  # type: ignore[arg-type]


def test_a_failed_purchase_is_tried_again_with_another_card_once(harbour: Clinic) -> None:  # S-137
    failed = failed_of(harbour)
    made = retry(harbour, failed, method_id=good_of(harbour).id)
    assert (made.top_up.state, made.top_up.amount_micros, made.top_up.retry_of) == ("succeeded", 20 * MICROS, failed.id)
    assert retry(harbour, failed, method_id=good_of(harbour).id).top_up.id == made.top_up.id
    with pytest.raises(Conflict):
        retry(harbour, failed)
    assert harbour.available == 20 * MICROS
    assert queries.bought(customer_id=harbour.id, top_up_id=failed.id).retried_by == made.top_up.id
    with pytest.raises(NotFailed):
        retry(harbour, made.top_up)
    assert verify_all().ok


def test_many_presses_by_many_people_are_one_charge(harbour: Clinic) -> None:
    failed, card, start = failed_of(harbour), good_of(harbour), Barrier(8)
    found: list[object] = []

    def one() -> None:
        start.wait()
        try:
            found.append(retry(harbour, failed, method_id=card.id).top_up.id)
        except BaseException as error:
            found.append(error)
        finally:
            connection.close()

    threads = [Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1, found
    assert harbour.available == 20 * MICROS


def test_what_fails_again_is_tried_again_itself(harbour: Clinic) -> None:
    again = retry(harbour, failed_of(harbour)).top_up
    assert again.state == "failed"
    assert retry(harbour, again, method_id=good_of(harbour).id).top_up.state == "succeeded"


def test_it_asks_when_credit_has_come_meanwhile(harbour: Clinic) -> None:
    failed = failed_of(harbour)
    buy(harbour, good_of(harbour), 50)
    with pytest.raises(AlreadyFull, match=r"\$50\.00 was bought since then; the balance is \$50\.00\. Charge anyway\?"):
        retry(harbour, failed, method_id=good_of(harbour).id)
    assert harbour.available == 50 * MICROS
    assert retry(harbour, failed, method_id=good_of(harbour).id, charge_anyway=True).top_up.state == "succeeded"
    assert harbour.available == 70 * MICROS


def test_two_failures_tried_again_at_once_are_one_charge_and_one_question(harbour: Clinic) -> None:
    press(harbour, next(card.id for card in payments.methods(customer_id=harbour.id) if card.last4 != "4242"))
    failures = queries.top_ups(customer_id=harbour.id)
    assert [row.state for row in failures] == ["failed", "failed"]
    card = good_of(harbour)
    found = at_once(*(lambda row=row: retry(harbour, row, method_id=card.id).top_up.state for row in failures))  # type: ignore[misc]
    assert sorted(found) == ["already_full", "succeeded"]
    assert harbour.available == 20 * MICROS


def test_a_retry_and_the_rules_next_method_fill_one_gap_once(stage: Stage, cast: Cast) -> None:  # A-31 S-117
    clinic = cast.clinic(credit_micros=0)
    buy(clinic, saved_card(stage, clinic), 30)
    save(clinic)
    [good] = payments.methods(customer_id=clinic.id)
    bad = saved_card(stage, clinic, DECLINED)
    auto_charge(clinic, bad)
    operations.reorder(customer_id=clinic.id, method_ids=[bad.id, good.id], now=timezone.now(), actor=clinic.actor)
    send(clinic, 25)
    automation.react(customer_id=clinic.id, wallet_id=clinic.pool.id, now=timezone.now())
    [failed] = automatic(clinic)
    assert failed.state == "failed"

    def by_rule() -> str:
        automation.follow(customer_id=clinic.id, top_up_id=failed.id, now=timezone.now())
        return "followed"

    at_once(by_rule, lambda: retry(clinic, failed, method_id=good.id).top_up.state)
    assert clinic.posted == (30 + 20) * MICROS
    with pytest.raises(Conflict):
        topups.retry(customer_id=clinic.id, top_up_id=failed.id, actor=clinic.actor, now=timezone.now())
    assert verify_all().ok


def test_it_tells_what_is_on_its_way_to_a_balance_below_the_threshold(stage: Stage, cast: Cast) -> None:
    clinic, failed = failed_by_rule(stage, cast)
    purchases.intend(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        method_id=good_of(clinic).id,
        amount_micros=10 * MICROS,
        key=uuid4(),
        actor=clinic.actor,
        now=timezone.now(),
    )
    with pytest.raises(AlreadyFull, match=r"is \$5\.\d+ and \$10\.00 is on its way, above your threshold\. Charge anyway\?"):
        retry(clinic, failed)


def test_a_rule_by_the_calendar_has_no_threshold_to_be_above(stage: Stage, cast: Cast) -> None:
    clinic, failed = failed_by_rule(stage, cast)
    save(clinic, kind="weekly", enabled=True)
    assert topups.full_words(customer_id=clinic.id, top_up_id=failed.id) == ""


def failed_by_rule(stage: Stage, cast: Cast) -> tuple[Clinic, TopUp]:
    """About $5 are left of $30, and the automatic top-up of $20 was declined; the good card is not charged automatically."""
    clinic = cast.clinic(credit_micros=0)
    buy(clinic, saved_card(stage, clinic), 30)
    [good] = payments.methods(customer_id=clinic.id)
    operations.set_auto_charge(customer_id=clinic.id, method_id=good.id, on=False, now=timezone.now(), actor=clinic.actor)
    auto_charge(clinic, saved_card(stage, clinic, DECLINED))
    save(clinic)
    send(clinic, 25)
    jobs()
    [failed] = automatic(clinic)
    assert failed.state == "failed"
    return clinic, failed


def at_once(*acts: Callable[[], str]) -> list[str]:
    """What came of acts that start together: their answers, or the codes of their refusals."""
    start, found = Barrier(len(acts)), list[str]()

    def one(act: Callable[[], str]) -> None:
        start.wait()
        try:
            found.append(act())
        except Conflict as refusal:
            found.append(refusal.code)
        finally:
            connection.close()

    threads = [Thread(target=one, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(acts), "one of them broke"
    return found


def test_a_success_restores_the_card(stage: Stage, cast: Cast) -> None:  # S-138 A-32
    clinic = cast.clinic(credit_micros=0)
    card = saved_card(stage, clinic, DECLINED)
    press(clinic, card.id)
    failed = failed_of(clinic)
    assert health(payments.method(customer_id=clinic.id, method_id=card.id), now=timezone.now()) is Health.COOLING
    stage.simulator.control("POST", f"/payment_methods/{card.token}", {"number": "4242424242424242"})  # there is money again
    assert retry(clinic, failed).top_up.state == "succeeded"
    assert health(payments.method(customer_id=clinic.id, method_id=card.id), now=timezone.now()) is Health.WELL
    with scope.customer(clinic.id):
        told_of = Event.objects.get(customer_id=clinic.id, kind="payment_method.restored")
    assert (told_of.subject_id, told_of.actor) == (card.id, clinic.actor)


def test_another_customers_top_up_is_not_found(harbour: Clinic, cast: Cast) -> None:
    stranger = cast.clinic()
    with pytest.raises(NotFound):
        retry(stranger, failed_of(harbour))


def test_a_bank_that_wants_its_cardholder_is_answered_by_the_link_of_the_mail(stage: Stage, cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    card = saved_card_after_question(stage, clinic, AUTHENTICATE)
    buy(clinic, saved_card(stage, clinic), 30)
    order = [card.id, *(other.id for other in payments.methods(customer_id=clinic.id) if other.id != card.id)]
    operations.reorder(customer_id=clinic.id, method_ids=order, now=timezone.now(), actor=clinic.actor)
    save(clinic)
    send(clinic, 25)
    jobs()
    [failed] = automatic(clinic)
    assert (failed.state, state(clinic).paused_for) == ("failed", "authentication_required")
    [notice] = tell(clinic)
    notices.send(customer_id=clinic.id, notice_id=notice, now=timezone.now())
    link = next(word for word in mail.outbox[-1].body.split() if "/credit/confirm/" in word)
    token = urlsplit(link).path.removeprefix("/credit/confirm/").strip("/")
    assert topups.of_path(token) == (clinic.id, failed.id)
    asked = retry(clinic, failed)
    assert asked.payment_state == "requires_action"
    confirm_at_bank(asked.action_url)
    stage.settle()
    jobs()
    assert queries.bought(customer_id=clinic.id, top_up_id=asked.top_up.id).top_up.state == "succeeded"
    assert state(clinic).paused_at is None, "it goes on by itself"


def tell(clinic: Clinic) -> list[int]:
    """What the jobs make of the automation's news."""
    with scope.customer(clinic.id):
        facts = list(Event.objects.filter(customer_id=clinic.id, kind__in=rounds.KINDS))
    for fact in facts:
        rounds.tell_of_automation(fact, now=timezone.now())
    return [row.id for row in told.notices(customer_id=clinic.id)]
