"""Incidents that others had with automatic charges, credits and refunds, each replayed (promises.md 1.5 and 1.6)."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from django.db import InternalError, connection
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.invoicing import operations as invoicing
from postmeter.kit.money import MICROS
from postmeter.payments.gateways import Outcome
from postmeter.payments.gateways import Reversal as Fact
from postmeter.payments.states import PaymentState
from postmeter.topups import automation, breaker, operations, queries, reversals
from tests.cast import Cast, Clinic
from tests.journeys.shop import saved_card
from tests.payments.cards import a_card
from tests.stage import Stage
from tests.topups.test_automation import DECLINED, auto_charge, automatic, buy, harbour, jobs, save, send, state
from tests.topups.test_bills import use
from tests.topups.test_breaker import calm, known

__all__ = ["calm", "harbour"]
ROUNDS, DEBITS, THREADS = 20, 1_000, 8


def react(clinic: Clinic, after: timedelta = timedelta()) -> None:
    automation.react(customer_id=clinic.id, wallet_id=clinic.pool.id, now=timezone.now() + after)


def taken(stage: Stage, clinic: Clinic) -> int:
    """How often the gateway was asked for this clinic's money, declined or not."""
    rows = stage.simulator.control("GET", "/log/payments")["charges"]
    return sum(row["metadata"].get("customer") == str(clinic.id) for row in rows)


@contextmanager
def owner() -> Iterator["psycopg.Connection[object]"]:
    """The database as its owner sees it: nobody of ours logs in so."""
    parts = urlsplit(os.environ["POSTMETER_TEST_DATABASE_URL"])
    with psycopg.connect(urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}")), autocommit=True) as admin:
        yield admin


def test_twilio_2013_balances_that_were_lost_charge_nobody(stage: Stage, harbour: Clinic) -> None:
    # T3 T4: the store came up with every balance zero, and cards were charged for them
    save(harbour)
    send(harbour, 1)
    before = taken(stage, harbour)
    with owner() as admin:
        kept = admin.execute(
            "SELECT credits_posted, debits_posted, debits_pending FROM ledger_account WHERE id = %s", [harbour.pool.account_id]
        ).fetchone()
        admin.execute(
            "UPDATE ledger_account SET credits_posted = 0, debits_posted = 0, debits_pending = 0 WHERE id = %s",
            [harbour.pool.account_id],
        )
    try:
        for minutes in range(100):
            react(harbour, timedelta(minutes=minutes))
        assert taken(stage, harbour) == before
        assert state(harbour).paused_for == "unproven"
        assert breaker.look(now=timezone.now()), "nobody else is charged either"
    finally:
        with owner() as admin:
            admin.execute(
                "UPDATE ledger_account SET credits_posted = %s, debits_posted = %s, debits_pending = %s WHERE id = %s",
                [*kept, harbour.pool.account_id],  # type: ignore[misc]
            )
        known()


def test_twilio_2013_a_store_that_cannot_be_written_charges_nobody(stage: Stage, harbour: Clinic) -> None:
    # T1: the card was charged first, and the write that should have told of it failed
    save(harbour)
    send(harbour, 25)
    before = taken(stage, harbour)
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    try:
        for _ in range(20):
            with pytest.raises(InternalError, match="read-only"):
                react(harbour)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
    assert taken(stage, harbour) == before
    jobs()
    assert len(automatic(harbour)) == 1


def test_a_thousand_parallel_debits_across_the_threshold_are_one_charge_each_round(stage: Stage, harbour: Clinic) -> None:
    # S-103
    # A-16, twenty times
    save(harbour, day_cap_micros=100_000 * MICROS, month_cap_micros=100_000 * MICROS)
    for round_ in range(1, ROUNDS + 1):
        _debits(harbour, 20 * MICROS + (1 if round_ == 1 else 0))
        jobs()
        bought = automatic(harbour)
        assert [each.state for each in bought] == ["succeeded"] * round_, f"round {round_}"
    assert taken(stage, harbour) == ROUNDS + 1, "and the purchase that armed it"
    assert verify_all().ok


def _debits(clinic: Clinic, micros: int) -> None:
    """A thousand debits by threads that all look whether to top up; together they take this much."""
    each, last = divmod(micros, DEBITS)

    def spend(count: int, first: int) -> None:
        for turn in range(count):
            use(clinic, first + each if turn == 0 else each, at=timezone.now())
            if turn % 25 == 0:
                react(clinic)
        connection.close()

    threads = [threading.Thread(target=spend, args=(DEBITS // THREADS, last if n == 0 else 0)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_lago_1962_and_autumn_3332_a_top_up_that_is_processed_for_days_is_not_made_again(stage: Stage, harbour: Clinic) -> None:
    save(harbour)
    token = state(harbour) and queries.history(customer_id=harbour.id)[0].method.token
    stage.simulator.control("POST", f"/payment_methods/{token}", {"number": "000123456789"})
    send(harbour, 25)
    jobs()
    for hours in range(0, 72, 3):
        react(harbour, timedelta(hours=hours))
    assert [bought.state for bought in automatic(harbour)] == ["pending"]
    stage.settle()


@pytest.mark.parametrize(
    ("every", "until"), [(timedelta(seconds=24), timedelta(minutes=8)), (timedelta(minutes=10), timedelta(hours=24))]
)
def test_openstory_1337_and_lago_6176_a_declined_card_is_not_hammered(
    stage: Stage, cast: Cast, every: timedelta, until: timedelta
) -> None:
    # once in eight minutes, three times in a day
    clinic = cast.clinic(credit_micros=0)
    buy(clinic, saved_card(stage, clinic), 30)
    token = queries.history(customer_id=clinic.id)[0].method.token
    save(clinic)
    stage.simulator.control("POST", f"/payment_methods/{token}", {"number": DECLINED})
    send(clinic, 25)
    after = timedelta()
    while after <= until:
        react(clinic, after)
        jobs()
        after += every
    assert taken(stage, clinic) - 1 <= (1 if until < timedelta(hours=1) else 3)


def test_akash_3660_a_failure_keeps_its_claim_however_often_its_job_is_repeated(stage: Stage, cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    good = saved_card(stage, clinic)
    buy(clinic, good, 30)
    auto_charge(clinic, saved_card(stage, clinic, DECLINED))
    save(clinic)
    token = queries.history(customer_id=clinic.id)[0].method.token
    stage.simulator.control("POST", f"/payment_methods/{token}", {"number": DECLINED})
    send(clinic, 25)
    jobs()
    tried = taken(stage, clinic)
    for _ in range(100):
        for top_up in automatic(clinic):
            automation.follow(customer_id=clinic.id, top_up_id=top_up.id, now=timezone.now())
    assert taken(stage, clinic) == tried <= 1 + 2, "the purchase, and each card once"


def test_chipotle_447_the_cap_is_exact_however_many_look_at_once(stage: Stage, harbour: Clinic) -> None:
    save(harbour, day_cap_micros=40 * MICROS, month_cap_micros=40 * MICROS)
    for _ in range(3):
        _debits(harbour, 21 * MICROS)
        jobs()
    assert sum(bought.amount_micros for bought in automatic(harbour)) == 40 * MICROS
    assert harbour.available == 7 * MICROS, "the third time it was capped"


def test_librechat_13812_an_effect_that_failed_is_not_marked_as_done(
    stage: Stage, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = cast.clinic(credit_micros=0)
    top_up, word = asked(clinic)
    with monkeypatch.context() as broken:
        broken.setattr(invoicing, "issue", lambda **_: (_ for _ in ()).throw(RuntimeError("the disk is full")))
        with pytest.raises(RuntimeError):
            operations.settle(customer_id=clinic.id, payment_id=top_up.payment_id, outcome=word, now=timezone.now())
    assert clinic.available == 0
    assert operations.settle(customer_id=clinic.id, payment_id=top_up.payment_id, outcome=word, now=timezone.now())
    assert clinic.available == 20 * MICROS


def test_frappe_1175_a_callback_that_is_repeated_by_many_at_once_credits_once(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    top_up, word = asked(clinic)

    def hear() -> None:
        operations.settle(customer_id=clinic.id, payment_id=top_up.payment_id, outcome=word, now=timezone.now())

    at_once(hear)
    assert clinic.available == 20 * MICROS
    assert verify_all().ok


def at_once(work: Callable[[], None]) -> None:
    """Eight do the same at the same moment."""

    def alone() -> None:
        work()
        connection.close()

    threads = [threading.Thread(target=alone) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def asked(clinic: Clinic) -> tuple[queries.TopUp, Outcome]:
    """A purchase whose gateway was asked, and its success that nobody has heard yet."""
    top_up = operations.intend(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        method_id=a_card(clinic).id,
        amount_micros=20 * MICROS,
        key=uuid4(),
        actor=clinic.actor,
        now=timezone.now(),
    )
    return top_up, Outcome(PaymentState.SUCCEEDED, ref=f"pi_{top_up.id}", amount_minor=2_000, currency="USD")


def test_latere_a_second_partial_refund_is_no_replay_of_the_first(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    top_up, word = asked(clinic)
    operations.settle(customer_id=clinic.id, payment_id=top_up.payment_id, outcome=word, now=timezone.now())
    for ref in ("re_1", "re_2", "re_1"):
        fact = Fact("refund", ref, word.ref, 500, "USD")
        reversals.book(customer_id=clinic.id, payment_id=top_up.payment_id, fact=fact, now=timezone.now())
    assert clinic.posted == 10 * MICROS
    assert verify_all().ok


@pytest.mark.parametrize("cents", [0, -500, 2_001])
def test_hyperswitch_11491_a_refund_of_nothing_less_or_more_than_was_paid_moves_nothing(cast: Cast, cents: int) -> None:
    clinic = cast.clinic(credit_micros=0)
    top_up, word = asked(clinic)
    operations.settle(customer_id=clinic.id, payment_id=top_up.payment_id, outcome=word, now=timezone.now())
    with pytest.raises(reversals.BadReversal):
        fact = Fact("refund", "re_1", word.ref, cents, "USD")
        reversals.book(customer_id=clinic.id, payment_id=top_up.payment_id, fact=fact, now=timezone.now())
    assert clinic.posted == 20 * MICROS


def test_hyperswitch_11491_the_same_refund_heard_by_many_at_once_is_booked_once(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    top_up, word = asked(clinic)
    operations.settle(customer_id=clinic.id, payment_id=top_up.payment_id, outcome=word, now=timezone.now())

    def hear() -> None:
        fact = Fact("refund", "re_1", word.ref, 2_000, "USD")
        reversals.book(customer_id=clinic.id, payment_id=top_up.payment_id, fact=fact, now=timezone.now())

    at_once(hear)
    assert clinic.posted == 0
    assert verify_all().ok
