"""The breaker: it opens at the first money that nobody can explain, and then nobody is charged automatically."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from click.testing import CliRunner
from django.core import mail
from django.utils import timezone

from postmeter.cli import postmeter as main
from postmeter.db import calls, scope
from postmeter.events.models import Event
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput
from postmeter.payments.gateways import Outcome
from postmeter.payments.operations import apply
from postmeter.payments.states import PaymentState
from postmeter.topups import automation, breaker
from postmeter.topups.models import Automation
from tests.cast import Cast, Clinic
from tests.payments.cards import a_card, intent, told
from tests.stage import Stage
from tests.topups.test_automation import automatic, harbour, jobs, save, send

__all__ = ["harbour"]


@pytest.fixture(autouse=True)
def calm() -> Iterator[None]:
    """What other tests left behind is known and explained."""
    known()
    yield
    known()


def known() -> None:
    breaker.trip(reason="a test begins", actor="operator", now=timezone.now())
    breaker.reset(reason="all is explained", actor="operator", now=timezone.now())


def mismatch(clinic: Clinic) -> None:
    """A gateway says that it took $20 where $20.00 of another currency were asked for."""
    payment = intent(clinic, a_card(clinic), now=timezone.now())
    word = Outcome(PaymentState.SUCCEEDED, ref=f"pi_{payment.id}", amount_minor=2_000, currency="JPY")
    apply(customer_id=clinic.id, payment_id=payment.id, outcome=word, now=timezone.now())


def test_the_first_payment_of_another_amount_stops_everybodys_automatic_top_up(harbour: Clinic, cast: Cast) -> None:
    # F27 the breaker of promises.md 1, T6
    save(harbour)
    assert not breaker.look(now=timezone.now())
    mismatch(cast.clinic())
    assert breaker.look(now=timezone.now())
    send(harbour, 25)
    jobs()
    assert automatic(harbour) == []
    found = breaker.standing()
    assert found and "another amount" in found.reason
    assert not breaker.look(now=timezone.now()), "it opens once"


def test_a_person_may_still_buy_and_what_waited_goes_on_when_it_is_closed(harbour: Clinic) -> None:
    save(harbour)
    breaker.trip(reason="We look at something.", actor="operator:7", now=timezone.now())
    send(harbour, 25)
    jobs()
    with scope.customer(harbour.id):
        waits = Automation.objects.get(customer_id=harbour.id, wallet_id=harbour.pool.id).try_after
    assert waits and automatic(harbour) == []
    assert breaker.reset(reason="It was nothing.", actor="operator:7", now=timezone.now())
    automation.react(customer_id=harbour.id, wallet_id=harbour.pool.id, now=timezone.now() + automation.BREAKER_PAUSE)
    [bought] = automatic(harbour)
    assert (bought.state, bought.amount_micros) == ("succeeded", 20 * MICROS)


def test_charges_of_many_customers_without_an_answer_open_it_and_one_customers_does_not(cast: Cast) -> None:
    # F24 promises.md 1, T6
    later = timezone.now() + breaker.UNKNOWN_FOR + timedelta(minutes=1)
    for customers in range(1, breaker.CUSTOMERS_WITHOUT_ANSWER + 1):
        assert not breaker.trouble(now=later).reason
        assert not breaker.look(now=later)
        clinic = cast.clinic()
        for _ in range(2):
            told(intent(clinic, a_card(clinic), now=timezone.now()), PaymentState.UNKNOWN, now=timezone.now())
        assert breaker.trouble(now=later).customers_without_answer == customers
        assert breaker.trouble(now=timezone.now()).customers_without_answer == 0, "an hour has not gone by"
    assert breaker.look(now=later)


def test_too_many_automatic_charges_in_an_hour_open_it(harbour: Clinic, settings: object) -> None:
    # promises.md 1, T5; the count of charges is itself watched
    settings.AUTOMATIC_PER_HOUR = 0  # type: ignore[attr-defined]
    save(harbour)
    assert not breaker.look(now=timezone.now())
    send(harbour, 25)
    jobs()
    assert breaker.look(now=timezone.now())


def test_what_a_person_has_seen_does_not_open_it_again(cast: Cast) -> None:
    mismatch(cast.clinic())
    assert breaker.look(now=timezone.now())
    breaker.reset(reason="The gateway has given it back.", actor="operator:7", now=timezone.now())
    assert not breaker.look(now=timezone.now())


def test_the_operator_is_told_by_mail_and_every_change_is_kept(cast: Cast) -> None:
    before = len(mail.outbox)
    breaker.trip(reason="Something is wrong.", actor="system", now=timezone.now())
    breaker.reset(reason="It is right again.", actor="operator:7", now=timezone.now())
    with scope.customer(scope.EVERYBODY):
        facts = list(Event.objects.filter(customer_id=scope.EVERYBODY, kind__startswith="breaker.").order_by("-id")[:2])
    assert [(fact.kind, fact.actor) for fact in facts] == [("breaker.closed", "operator:7"), ("breaker.opened", "system")]
    for fact in facts:
        breaker.tell(event_id=fact.id)
    closed, opened = mail.outbox[before:]
    assert (opened.subject, closed.subject) == (
        "[Postmeter] Automatic top-ups are stopped for everybody",
        "[Postmeter] Automatic top-ups go on",
    )
    assert "Something is wrong." in opened.body and "It is right again." in closed.body


def test_customers_logins_may_read_it_and_not_change_it(stage: Stage) -> None:
    privileges = calls.rows(
        """SELECT privilege_type FROM information_schema.role_table_grants
           WHERE table_name = 'topups_breaker' AND grantee = current_database() || '_app' ORDER BY 1"""
    )
    assert privileges == [("SELECT",)]


def test_a_reason_is_asked_for() -> None:
    for act in (breaker.trip, breaker.reset):
        with pytest.raises(BadInput) as refusal:
            act(reason="  ", actor="operator", now=timezone.now())
        assert refusal.value.field == "reason"


def test_it_is_opened_and_closed_from_the_command_line() -> None:
    run = CliRunner().invoke
    assert "Closed." in run(main, ["breaker", "show"]).output
    assert "nobody is charged" in run(main, ["breaker", "open", "--reason", "A drill."]).output
    assert "open already" in run(main, ["breaker", "open", "--reason", "A drill."]).output
    assert "A drill." in run(main, ["breaker", "show"]).output
    assert "go on" in run(main, ["breaker", "close", "--reason", "It is over."]).output
    assert "closed already" in run(main, ["breaker", "close", "--reason", "It is over."]).output
