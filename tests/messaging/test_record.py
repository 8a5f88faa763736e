"""Pump 3: whatever providers say, in any order and however often, a message ends once and is billed at most once."""

import itertools
import threading
from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmeter.cli.checks import verify_all
from postmeter.consent import operations as consent
from postmeter.consent import queries as consent_queries
from postmeter.db import calls, scope
from postmeter.messaging import queries
from postmeter.messaging.operations import dispatch, sweep
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.cancel import TooLate, cancel, cancel_batch
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import MACHINE, State
from tests.cast import FEE, PRICE, Cast, Clinic, at, number

EACH = PRICE + FEE
REPLY = ("reply", State.SENT, "accepted", "", False)
QUEUED = ("callback", State.SENT, "queued", "", False)
SENT = ("callback", State.SENT, "sent", "", True)
DELIVERED = ("callback", State.DELIVERED, "delivered", "", True)
UNREACHABLE = ("callback", State.UNDELIVERED, "undelivered", "30003", True)
Said = tuple[str, State, str, str, bool]


def queue(clinic: Clinic, count: int = 1) -> list[int]:
    submission = Submission(clinic.id, [number(n) for n in range(count)], ["Hello"] * count, clinic.actor)
    return submit(submission, now=at()).ids


def claim(clinic: Clinic, count: int = 1) -> list[int]:
    """Queued and claimed: the provider is being asked."""
    ids = queue(clinic, count)
    assert [m.id for m in dispatch.claim(customer_id=clinic.id, at_most=count, now=at())] == ids
    return ids


def say(clinic: Clinic, id_: int, *said: Said) -> None:
    for source, state, status, error, billable in said:
        fact = Fact(id_, source, "twilio", state, f"SM{id_}", status, error, billable)
        record(customer_id=clinic.id, facts=[fact], now=at())


def end(clinic: Clinic, id_: int) -> tuple[str, int, int]:
    message = queries.message(customer_id=clinic.id, message_id=id_)
    return message.state, message.charged_micros, message.refunded_micros


def test_a_delivered_message_is_charged_its_price(cast: Cast) -> None:
    harbour = cast.clinic()
    [id_] = claim(harbour)
    say(harbour, id_, REPLY, QUEUED)
    assert end(harbour, id_) == ("sent", 0, 0)
    say(harbour, id_, SENT)
    assert end(harbour, id_) == ("sent", EACH, 0)
    say(harbour, id_, DELIVERED)
    assert end(harbour, id_) == ("delivered", EACH, 0)
    assert harbour.held == 0


def test_a_message_that_the_carrier_gave_up_is_given_back_when_the_list_says_so(cast: Cast) -> None:  # A-50, D-08
    harbour = cast.clinic(payable={"undelivered": True, "undelivered:unreachable": False})
    before = harbour.posted
    unreachable, filtered = claim(harbour, 2)
    say(harbour, unreachable, REPLY, SENT, UNREACHABLE)
    say(harbour, filtered, REPLY, SENT, ("callback", State.UNDELIVERED, "undelivered", "30007", True))
    assert end(harbour, unreachable) == ("undelivered", EACH, EACH)
    assert end(harbour, filtered) == ("undelivered", EACH, 0)
    assert harbour.posted == before - EACH
    kinds = [entry.kind for entry in queries.trail(customer_id=harbour.id, message_id=unreachable).entries]
    assert kinds == ["hold", "post", "transfer"]


def test_a_refusal_by_the_provider_is_released_and_never_charged(cast: Cast) -> None:
    harbour = cast.clinic()
    [id_] = claim(harbour)
    refused = Fact(id_, "reply", "twilio", State.FAILED, "", "refused", "21211", refused=True)
    record(customer_id=harbour.id, facts=[refused], now=at())
    assert end(harbour, id_) == ("failed", 0, 0)
    assert harbour.held == 0
    say(harbour, id_, ("callback", State.FAILED, "failed", "30008", True))
    assert end(harbour, id_) == ("failed", 0, 0)


def test_a_block_by_the_provider_opts_out_once_and_its_repeat_takes_back_no_start(cast: Cast) -> None:  # F49
    harbour = cast.clinic()
    ids = claim(harbour, 2)
    blocked = [
        Fact(ids[1], "reply", "twilio", State.FAILED, "", "refused", "21610", refused=True, opted_out=True),
        Fact(ids[0], "callback", "twilio", State.UNDELIVERED, "SM0", "undelivered", "21610", billable=True, opted_out=True),
    ]
    both = [number(0), number(1)]
    record(customer_id=harbour.id, facts=blocked, now=at())
    assert consent_queries.opted_out(customer_id=harbour.id, channel="sms", addresses=both) == set(both)
    for phone in both:
        consent.opt_in(customer_id=harbour.id, channel="sms", address=phone, now=at(), actor="recipient")
    record(customer_id=harbour.id, facts=blocked, now=at())
    assert consent_queries.opted_out(customer_id=harbour.id, channel="sms", addresses=both) == frozenset()


def test_an_unknown_outcome_keeps_its_hold_until_somebody_knows(cast: Cast) -> None:
    harbour = cast.clinic()
    [id_] = claim(harbour)
    say(harbour, id_, ("reply", State.UNKNOWN, "unknown", "", False))
    assert (end(harbour, id_)[0], harbour.held) == ("unknown", EACH)
    assert dispatch.claim(customer_id=harbour.id, at_most=10, now=at()) == []
    say(harbour, id_, DELIVERED)
    assert end(harbour, id_) == ("delivered", EACH, 0)


def test_a_late_word_never_moves_a_message_back(cast: Cast) -> None:
    harbour = cast.clinic()
    [id_] = claim(harbour)
    say(harbour, id_, REPLY, DELIVERED, SENT, UNREACHABLE, QUEUED)
    assert end(harbour, id_) == ("delivered", EACH, 0)
    receipts = queries.trail(customer_id=harbour.id, message_id=id_).receipts
    assert {receipt.status for receipt in receipts} == {"accepted", "delivered", "sent", "undelivered", "queued"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.sampled_from([(REPLY, QUEUED, SENT, DELIVERED), (REPLY, QUEUED, SENT, UNREACHABLE), (REPLY, SENT)]),
    data=st.data(),
)
def test_any_order_and_any_repetition_comes_to_the_same_end(
    cast: Cast, words: tuple[Said, ...], data: st.DataObject
) -> None:  # I26
    said = data.draw(st.permutations(words * 2))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(said) - 1))))
    harbour = cast.clinic()
    [in_order, mixed] = claim(harbour, 2)
    say(harbour, in_order, *words)
    facts = [
        Fact(mixed, source, "twilio", state, f"SM{mixed}", status, error, bill) for source, state, status, error, bill in said
    ]
    for start, stop in itertools.pairwise([0, *cuts, len(facts)]):
        record(customer_id=harbour.id, facts=facts[start:stop], now=at())
    state, charged, refunded = end(harbour, in_order)
    mixed_state, mixed_charged, mixed_refunded = end(harbour, mixed)
    assert (mixed_state, mixed_charged - mixed_refunded) == (state, charged - refunded)
    assert harbour.held == 0 or state == "sent"


def test_receipts_of_many_processes_at_once_bill_once(cast: Cast) -> None:  # I16
    harbour = cast.clinic()
    ids = claim(harbour, 20)
    before = harbour.posted

    def speak() -> None:
        for id_ in ids:
            say(harbour, id_, SENT, DELIVERED)
        connection.close()

    threads = [threading.Thread(target=speak) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert harbour.posted == before - 20 * EACH
    assert verify_all().ok


def test_two_workers_never_claim_the_same_message(cast: Cast) -> None:
    harbour = cast.clinic()
    ids = queue(harbour, 60)
    claimed: list[int] = []

    def work() -> None:
        while found := dispatch.claim(customer_id=harbour.id, at_most=7, now=at()):
            claimed.extend(message.id for message in found)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == ids


def test_an_opt_out_that_commits_before_the_claim_is_obeyed(cast: Cast) -> None:  # I19
    harbour = cast.clinic()
    ids = queue(harbour, 2)
    consent.opt_out(customer_id=harbour.id, channel="sms", address=number(0), source="STOP", now=at(), actor="recipient")
    assert [m.id for m in dispatch.claim(customer_id=harbour.id, at_most=10, now=at())] == ids[1:]
    assert end(harbour, ids[0]) == ("cancelled", 0, 0)
    assert harbour.held == EACH


def test_what_is_no_longer_useful_is_not_sent(cast: Cast) -> None:
    harbour = cast.clinic()
    soon = at() + timedelta(minutes=5)
    submit(Submission(harbour.id, [number(1)], ["Hello"], "x", useful_until=soon), now=at())
    assert dispatch.claim(customer_id=harbour.id, at_most=10, now=soon) == []
    [message] = queries.messages(customer_id=harbour.id)
    assert (message.state, harbour.held) == ("expired", 0)


def test_what_is_due_later_waits(cast: Cast) -> None:
    harbour = cast.clinic()
    later = at() + timedelta(hours=1)
    submit(Submission(harbour.id, [number(1)], ["Hello"], "x", due_at=later), now=at())
    assert dispatch.claim(customer_id=harbour.id, at_most=10, now=at()) == []
    assert len(dispatch.claim(customer_id=harbour.id, at_most=10, now=later)) == 1


def test_a_message_is_put_back_later_each_time_and_gives_up_released(cast: Cast) -> None:
    harbour = cast.clinic()
    [id_] = queue(harbour)
    now = at()
    for attempt in range(1, dispatch.ATTEMPTS_AT_MOST + 1):
        claimed = dispatch.claim(customer_id=harbour.id, at_most=1, now=now)
        assert [message.attempts for message in claimed] == [attempt]
        dispatch.put_back(customer_id=harbour.id, claimed=claimed, now=now)
        assert dispatch.claim(customer_id=harbour.id, at_most=1, now=now) == []
        now += min(timedelta(seconds=2**attempt), dispatch.PAUSE_AT_MOST)
    assert now - at() > timedelta(minutes=20)
    assert end(harbour, id_) == ("failed", 0, 0)
    assert harbour.held == 0


def test_a_worker_that_was_overtaken_puts_nothing_back(cast: Cast) -> None:  # F60
    harbour, now = cast.clinic(), at()
    queue(harbour)
    first = dispatch.claim(customer_id=harbour.id, at_most=1, now=now)
    dispatch.put_back(customer_id=harbour.id, claimed=first, now=now)
    now += timedelta(seconds=2)
    [second] = dispatch.claim(customer_id=harbour.id, at_most=1, now=now)
    dispatch.put_back(customer_id=harbour.id, claimed=first, now=now)
    assert end(harbour, second.id)[0] == "sending"


def test_taking_back_works_until_a_worker_has_it(cast: Cast) -> None:
    harbour = cast.clinic()
    first, second = queue(harbour, 2)
    cancel(customer_id=harbour.id, message_id=first, now=at(), actor="x")
    cancel(customer_id=harbour.id, message_id=first, now=at(), actor="x")
    assert end(harbour, first) == ("cancelled", 0, 0)
    assert harbour.held == EACH
    dispatch.claim(customer_id=harbour.id, at_most=10, now=at())
    with pytest.raises(TooLate):
        cancel(customer_id=harbour.id, message_id=second, now=at(), actor="x")


def test_stopping_a_list_takes_back_what_has_not_gone(cast: Cast) -> None:
    harbour = cast.clinic()
    ids = queue(harbour, 10)
    dispatch.claim(customer_id=harbour.id, at_most=4, now=at())
    batch_id = queries.message(customer_id=harbour.id, message_id=ids[0]).batch_id
    assert cancel_batch(customer_id=harbour.id, batch_id=batch_id, now=at(), actor="x") == 6
    progress = queries.progress(customer_id=harbour.id, batch_id=batch_id)
    assert progress.states == {"sending": 4, "cancelled": 6}
    assert harbour.held == progress.held_micros == 4 * EACH


def test_a_worker_that_died_leaves_its_messages_unknown_and_a_day_later_released(cast: Cast) -> None:  # A-09, I28
    harbour, now = cast.clinic(), at()
    [id_] = claim(harbour)
    assert sweep.end_leases(customer_id=harbour.id, now=now) == 0
    now += dispatch.LEASE + timedelta(seconds=1)
    assert sweep.end_leases(customer_id=harbour.id, now=now) == 1
    assert end(harbour, id_)[0] == "unknown"
    now += sweep.UNKNOWN_FOR + timedelta(seconds=1)
    assert sweep.give_up(customer_id=harbour.id, asked=[], now=now) == 0
    assert sweep.give_up(customer_id=harbour.id, asked=[id_], now=now) == 1
    assert end(harbour, id_) == ("expired", 0, 0)
    assert harbour.held == 0


def test_a_message_whose_receipt_never_comes_is_charged_after_days(cast: Cast) -> None:  # F46
    harbour = cast.clinic()
    [id_] = claim(harbour)
    say(harbour, id_, REPLY)
    later = at() + sweep.RECEIPT_WITHIN + timedelta(minutes=1)
    assert sweep.settle_silent(customer_id=harbour.id, now=later) == 1
    assert end(harbour, id_) == ("sent", EACH, 0)
    say(harbour, id_, UNREACHABLE)
    assert end(harbour, id_) == ("undelivered", EACH, EACH)  # F47


@pytest.mark.parametrize("source", list(State))
@pytest.mark.parametrize("target", list(State))
def test_only_arrows_move(source: State, target: State) -> None:  # I18
    assert MACHINE.allows(source, target) == (target in MACHINE.arrows[source])
    if source in MACHINE.finals:
        assert not any(MACHINE.allows(source, other) for other in State)


def test_a_fact_about_another_customers_message_moves_nothing(cast: Cast) -> None:  # I24
    harbour, rival = cast.clinic(), cast.clinic()
    [id_] = claim(harbour)
    assert (
        record(customer_id=rival.id, facts=[Fact(id_, "callback", "twilio", State.DELIVERED, billable=True)], now=at()).moved == 0
    )
    assert end(harbour, id_)[0] == "sending"
    with scope.customer(rival.id):
        assert calls.value("SELECT count(*) FROM messaging_receipt WHERE message_id = %s", [id_]) == 0
