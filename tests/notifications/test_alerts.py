"""Alerts tell once, in time, and never pay."""

import threading
from datetime import datetime, timedelta

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from postmeter.config.reactions import REACTIONS
from postmeter.db import calls, scope
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.notifications import mail as notices
from postmeter.notifications import operations, queries, rounds
from postmeter.notifications.models import Alert, Notice
from postmeter.notifications.operations import Level
from postmeter.topups import queries as topups
from postmeter.wallets import operations as wallets
from tests.cast import FEE, PRICE, Cast, Clinic, number

EACH = PRICE + FEE
FIVE, ZERO = Level("money", 5 * MICROS), Level("money", 0)


@pytest.fixture
def harbour(cast: Cast) -> Clinic:
    """$10 of credit and the usual levels."""
    clinic = cast.clinic(credit_micros=10 * MICROS)
    operations.open_alerts(customer_id=clinic.id, wallet_id=clinic.pool.id, now=timezone.now())
    return clinic


def spend(clinic: Clinic, micros: int, *, wait: bool = False) -> None:
    count = micros // EACH
    now = timezone.now()
    until = now + timedelta(hours=9) if wait else None
    submit(
        Submission(clinic.id, [number(1)] * count, ["Hi"] * count, clinic.actor, whole=False, wait=wait, useful_until=until),
        now=now,
    )


def give(clinic: Clinic, dollars: int) -> None:
    with scope.customer(clinic.id):
        wallets.credit(
            customer_id=clinic.id,
            wallet=clinic.pool,
            source_kind="clearing",
            amount_micros=dollars * MICROS,
            code="top_up",
            ref_id=1,
            transfer_ids=(calls.next_id(), calls.next_id()),
            now=timezone.now(),
        )


def hear(clinic: Clinic, *, at: datetime | None = None) -> None:
    """What the jobs do with `wallet.fell` and `top_up.succeeded`, twice."""
    for _ in range(2):
        operations.look(customer_id=clinic.id, wallet_id=clinic.pool.id, now=at or timezone.now())


def told(clinic: Clinic) -> list[tuple[str, int]]:
    rows = reversed(queries.notices(customer_id=clinic.id))
    return [(row.facts["kind"], row.facts["level"]) for row in rows if row.kind in ("low_balance", "runway")]


def falls(clinic: Clinic) -> int:
    """How often the books said that the wallet fell."""
    with scope.customer(clinic.id):
        return int(calls.value("SELECT count(*) FROM events_event WHERE customer_id = %s AND kind = 'wallet.fell'", [clinic.id]))


def test_a_new_wallet_warns_below_five_and_when_nothing_is_left(harbour: Clinic) -> None:  # S-007 S-008
    levels = queries.alerts(customer_id=harbour.id, wallet_id=harbour.pool.id)
    assert [(row.kind, row.level) for row in levels] == [("money", 5 * MICROS), ("money", 0)]
    spend(harbour, 4 * MICROS)
    assert falls(harbour) == 0
    spend(harbour, 2 * MICROS)
    assert falls(harbour) == 1, "in the posting transaction, not by polling (A-81)"
    hear(harbour)
    assert told(harbour) == [("money", 5 * MICROS)]


def test_the_facts_wake_the_jobs() -> None:
    for kind, name in (("wallet.fell", "look"), ("top_up.succeeded", "look_after_top_up"), ("wallet.opened", "open_alerts")):
        assert any(job.name.endswith(f"notifications.tasks.{name}") for job in REACTIONS[kind])


def test_a_balance_that_hovers_is_told_once_until_it_is_well_above(harbour: Clinic) -> None:
    spend(harbour, 6 * MICROS)
    hear(harbour)
    for _ in range(3):
        give(harbour, 1)
        hear(harbour)
        spend(harbour, MICROS)
        hear(harbour)
    assert told(harbour) == [("money", 5 * MICROS)]
    give(harbour, 10)
    hear(harbour)
    spend(harbour, 10 * MICROS)
    hear(harbour)
    assert len(told(harbour)) == 1, "armed again, but mailed today already"
    give(harbour, 10)
    hear(harbour)
    spend(harbour, 10 * MICROS)
    hear(harbour, at=timezone.now() + timedelta(hours=25))
    assert len(told(harbour)) == 2


def test_several_levels_passed_at_once_are_one_mail_of_the_most_urgent(harbour: Clinic) -> None:
    set_levels(harbour, FIVE, ZERO, Level("money", 8 * MICROS), Level("money", 2 * MICROS))
    spend(harbour, 9 * MICROS)
    hear(harbour)
    assert told(harbour) == [("money", 2 * MICROS)]


def test_a_worse_level_is_told_although_a_milder_one_was_mailed_today(harbour: Clinic) -> None:
    spend(harbour, 6 * MICROS)
    hear(harbour)
    give(harbour, 1)
    with scope.customer(harbour.id):
        spend(harbour, 5 * MICROS - 1)
        harbour.take(2 * MICROS)
    hear(harbour)
    assert told(harbour) == [("money", 5 * MICROS), ("money", 0)]


def test_a_debt_is_told_in_the_transaction_that_makes_it(cast: Cast) -> None:  # S-008
    clinic = cast.clinic(credit_micros=0)
    operations.open_alerts(customer_id=clinic.id, wallet_id=clinic.pool.id, now=timezone.now())
    assert told(clinic) == [], "that a new wallet is empty is news to nobody"
    give(clinic, 20)
    hear(clinic)
    before = falls(clinic)
    clinic.take(25 * MICROS)
    assert falls(clinic) > before
    hear(clinic)
    assert told(clinic) == [("money", 0)]


def test_alerts_charge_nobody(harbour: Clinic) -> None:  # S-005 S-130
    spend(harbour, 9 * MICROS)
    hear(harbour)
    assert topups.top_ups(customer_id=harbour.id) == []


def test_many_jobs_at_once_tell_once(harbour: Clinic) -> None:
    spend(harbour, 6 * MICROS)

    def job() -> None:
        hear(harbour)
        connection.close()

    threads = [threading.Thread(target=job) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told(harbour) == [("money", 5 * MICROS)]


def set_levels(clinic: Clinic, *levels: Level) -> list[Alert]:
    return operations.set_alerts(
        customer_id=clinic.id, wallet_id=clinic.pool.id, levels=levels, actor=clinic.actor, now=timezone.now()
    )


def test_own_levels_replace_the_usual_ones_and_unchanged_ones_stay_told(harbour: Clinic) -> None:  # S-126
    spend(harbour, 6 * MICROS)
    hear(harbour)
    set_levels(harbour, FIVE, Level("money", 3 * MICROS))
    assert len(told(harbour)) == 1
    spend(harbour, 2 * MICROS)
    hear(harbour)
    assert told(harbour)[-1] == ("money", 3 * MICROS)
    set_levels(harbour)
    assert queries.alerts(customer_id=harbour.id, wallet_id=harbour.pool.id) == []
    before = falls(harbour)
    spend(harbour, 2 * MICROS)
    assert falls(harbour) == before


@pytest.mark.parametrize(
    ("level", "field"),
    [
        (Level("money", 10**16), "level"),
        (Level("days", 0), "level"),
        (Level("days", 61), "level"),
        (Level("limit", 101), "level"),
        (Level("often", 5), "kind"),
    ],
)
def test_what_cannot_be_a_level_is_refused(harbour: Clinic, level: Level, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        set_levels(harbour, FIVE, level)
    assert refused.value.field == field
    assert len(queries.alerts(customer_id=harbour.id, wallet_id=harbour.pool.id)) == 2


def test_an_overdraft_is_told_by_the_part_that_is_used(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=10 * MICROS)
    limit(clinic, 20)
    set_levels(clinic, Level("limit", 50), Level("money", -5 * MICROS))
    spend(clinic, 14 * MICROS)
    hear(clinic)
    assert told(clinic) == []
    spend(clinic, 2 * MICROS)
    hear(clinic)
    spend(clinic, 5 * MICROS)
    hear(clinic)
    assert told(clinic) == [("money", -5 * MICROS), ("limit", 50)]


def limit(clinic: Clinic, dollars: int) -> None:
    wallets.set_limit(
        customer_id=clinic.id, wallet=clinic.pool, limit_micros=dollars * MICROS, actor="operator", now=timezone.now()
    )


def test_a_notice_is_mailed_once_and_says_what_to_do(harbour: Clinic) -> None:
    spend(harbour, 6 * MICROS)
    hear(harbour)
    [notice] = queries.notices(customer_id=harbour.id)
    now = timezone.now()
    assert notices.send(customer_id=harbour.id, notice_id=notice.id, now=now)
    assert not notices.send(customer_id=harbour.id, notice_id=notice.id, now=now)
    [sent] = [message for message in mail.outbox if message.to == [notice.address]]
    assert sent.subject == "Credit is below $5.00"
    assert "The balance is $4." in sent.body
    assert "Automatic top-up is off: no card is charged unless somebody buys." in sent.body
    assert "/credit/top-up/" in sent.body
    assert "it charges nothing" in sent.body


def test_a_mail_that_another_job_has_claimed_is_left_to_it(harbour: Clinic) -> None:
    spend(harbour, 6 * MICROS)
    hear(harbour)
    [notice] = queries.notices(customer_id=harbour.id)
    now = timezone.now()
    operations.start_mailing(customer_id=harbour.id, notice_id=notice.id, now=now)
    with pytest.raises(operations.BeingMailed):
        notices.send(customer_id=harbour.id, notice_id=notice.id, now=now)
    assert notices.send(customer_id=harbour.id, notice_id=notice.id, now=now + timedelta(minutes=3)), "its job died"


def test_the_hour_tells_of_days_that_run_out(harbour: Clinic) -> None:
    set_levels(harbour, Level("days", 5))
    spend(harbour, 3 * MICROS)
    charge_all(harbour)
    rounds.hourly(customer_id=harbour.id, now=timezone.now())
    assert told(harbour) == [], "what is spent on the first day says nothing of the next ones"
    tomorrow = timezone.now() + timedelta(days=1)
    rounds.hourly(customer_id=harbour.id, now=tomorrow)
    rounds.hourly(customer_id=harbour.id, now=tomorrow)
    assert told(harbour) == [("days", 5)]


def charge_all(clinic: Clinic) -> None:
    """As if every message had been delivered."""
    from postmeter.messaging import queries as messaging
    from postmeter.messaging.operations import dispatch
    from postmeter.messaging.operations.record import Fact, record
    from postmeter.messaging.states import State

    now = timezone.now()
    ids = [row.id for row in messaging.messages(customer_id=clinic.id, at_most=1_000)]
    dispatch.claim(customer_id=clinic.id, at_most=1_000, now=now)
    facts = [Fact(id_, "callback", "twilio", State.DELIVERED, f"SM{id_}", "delivered", "", True) for id_ in ids]
    record(customer_id=clinic.id, facts=facts, now=now)


def test_a_runway_knows_what_waits(harbour: Clinic) -> None:  # D-05
    spend(harbour, 12 * MICROS, wait=True)
    figures = topups.figures(customer_id=harbour.id, wallet=harbour.pool)
    found = queries.runway(customer_id=harbour.id, figures=figures, now=timezone.now())
    assert found.waiting > 0
    assert found.to_buy_micros == 10 * MICROS


def test_news_of_the_automation_are_told_once_each(harbour: Clinic) -> None:  # A-34 A-78
    from postmeter.events import operations as events
    from postmeter.events import queries as recorded

    now = timezone.now()
    facts = {
        "automation.failed": {"reason": "insufficient_funds", "strikes": 1, "try_after": (now + timedelta(hours=1)).isoformat()},
        "automation.paused": {"reason": "no_method"},
        "automation.capped": {"cap": "day", "amount": 20 * MICROS, "opens_at": (now + timedelta(hours=9)).isoformat()},
    }
    for kind, data in facts.items():
        with scope.customer(harbour.id):
            event_id = events.record(kind, customer_id=harbour.id, subject_id=harbour.pool.id, now=now, data=data)
        for _ in range(2):
            rounds.tell_of_automation(recorded.event(customer_id=harbour.id, event_id=event_id), now=now)
    made = queries.notices(customer_id=harbour.id)
    assert sorted(row.kind for row in made) == ["top_up_capped", "top_up_failed", "top_up_paused"]
    for row in made:
        assert notices.send(customer_id=harbour.id, notice_id=row.id, now=now)
    said = "\n".join(message.body for message in mail.outbox)
    assert "The bank says that there is not enough money on this card." in said
    assert "No card could be charged." in said
    assert "A charge of $20.00 would exceed what you allow a day." in said


def test_cards_that_expire_are_told_of_a_month_and_a_week_before(harbour: Clinic) -> None:
    from postmeter.payments.models import PaymentMethod

    with scope.customer(harbour.id):
        PaymentMethod.objects.create(
            customer_id=harbour.id,
            id=calls.next_id(),
            gateway="stripe",
            token=f"pm_{harbour.id}",
            brand="visa",
            last4="4242",
            expires_year=2026,
            expires_month=12,
            position=1,
            auto_charge=True,
            created_at=timezone.now(),
        )
    for day in ("2026-11-30", "2026-12-02", "2026-12-03", "2026-12-25", "2026-12-31", "2027-01-01"):
        rounds.hourly(customer_id=harbour.id, now=datetime.fromisoformat(f"{day}T12:00:00+00:00"))
    made: list[Notice] = [row for row in reversed(queries.notices(customer_id=harbour.id)) if row.kind == "card_expires"]
    assert [row.facts["within"] for row in made] == [30, 7]
    assert notices.send(customer_id=harbour.id, notice_id=made[0].id, now=timezone.now())
    assert mail.outbox[-1].subject == "Visa •••• 4242 expires at the end of December 2026"
