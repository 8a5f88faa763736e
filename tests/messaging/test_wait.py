"""What the credit does not cover may wait for it, without a hold, until it is no use any more."""

from datetime import timedelta

import pytest

from postmeter.cli.checks import verify_all
from postmeter.consent import operations as consent
from postmeter.customers import operations as customers
from postmeter.kit.refusals import BadInput
from postmeter.messaging import explain, queries
from postmeter.messaging.operations import cancel, dispatch, wait
from postmeter.messaging.operations.accept import Accepted, Submission, submit, submit_together
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import State
from tests.cast import FEE, PRICE, Cast, Clinic, at, number
from tests.messaging.test_night import EAST, WEST, new_york

EACH = PRICE + FEE
SOON = timedelta(hours=1)


def waiting(clinic: Clinic, count: int, until: timedelta = SOON) -> Accepted:
    texts = [f"Text {n}" for n in range(count)]
    numbers = [number(n) for n in range(count)]
    return submit(Submission(clinic.id, numbers, texts, clinic.actor, wait=True, useful_until=at() + until), now=at())


def states(clinic: Clinic) -> list[str]:
    return [message.state for message in sorted(queries.messages(customer_id=clinic.id), key=lambda message: message.id)]


def test_what_fits_is_queued_and_the_rest_waits_without_a_hold(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=2 * EACH)
    accepted = waiting(harbour, 5)
    assert accepted.words == ["ok", "ok", "waits", "waits", "waits"]
    assert states(harbour) == ["queued"] * 2 + ["waiting"] * 3
    assert harbour.held == 2 * EACH
    progress = queries.progress(customer_id=harbour.id, batch_id=accepted.batch_id)
    assert (progress.batch.accepted, progress.batch.refused, progress.held_micros) == (5, 0, 2 * EACH)
    assert verify_all().ok


def test_credit_releases_what_waits_by_deadline_as_far_as_it_goes_at_the_price_that_was_said(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=0)
    late = waiting(harbour, 1, until=timedelta(hours=9)).ids
    early = waiting(harbour, 2, until=timedelta(hours=2)).ids
    assert wait.resume(customer_id=harbour.id, now=at()) == 0
    cast.give(harbour.id, harbour.pool, 2 * EACH)
    assert wait.resume(customer_id=harbour.id, now=at()) == 2
    assert {id_: queries.message(customer_id=harbour.id, message_id=id_).state for id_ in late + early} == {
        late[0]: "waiting",
        early[0]: "queued",
        early[1]: "queued",
    }
    assert harbour.held == 2 * EACH
    claimed = dispatch.claim(customer_id=harbour.id, at_most=10, now=at())
    facts = [Fact(message.id, "callback", "twilio", State.DELIVERED, f"SM{message.id}", "delivered") for message in claimed]
    record(customer_id=harbour.id, facts=facts, now=at())
    assert (harbour.posted, harbour.held) == (0, 0)
    assert verify_all().ok


def test_what_goes_on_is_asked_again_for_consent_and_for_the_hour(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=0)
    customers.switch_quiet_hours(customer_id=harbour.id, kept=True, now=at(), actor=harbour.actor)
    day, night = new_york("2027-03-10T12:00"), new_york("2027-03-10T22:30")
    people = [EAST, WEST, number(3)]
    submit(
        Submission(harbour.id, people, ["Hi"] * 3, harbour.actor, wait=True, useful_until=day + timedelta(days=3)),
        now=day,
    )
    consent.opt_out(customer_id=harbour.id, channel="sms", address=number(3), source="reply", now=day, actor="recipient")
    cast.give(harbour.id, harbour.pool, 3 * EACH)
    assert wait.resume(customer_id=harbour.id, now=night) == 3
    claimed = dispatch.claim(customer_id=harbour.id, at_most=10, now=night)
    assert [message.recipient for message in claimed] == [WEST], "it is day on the other coast"
    assert states(harbour) == ["queued", "sending", "cancelled"]
    assert harbour.held == 2 * EACH


def test_what_lapses_while_it_waits_ends_by_name_and_costs_nothing(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=0)
    [message_id] = waiting(harbour, 1).ids
    cast.give(harbour.id, harbour.pool, EACH)
    assert wait.resume(customer_id=harbour.id, now=at() + SOON) == 1
    trail = queries.trail(customer_id=harbour.id, message_id=message_id)
    assert (trail.message.state, trail.message.charged_micros, list(trail.entries)) == ("expired", 0, [])
    assert "Nothing was held for it and nothing charged." in explain.explain(trail)
    assert (harbour.posted, harbour.held) == (EACH, 0)
    assert verify_all().ok


def test_what_waits_can_be_taken_back(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=0)
    [message_id] = waiting(harbour, 1).ids
    cancel.cancel(customer_id=harbour.id, message_id=message_id, now=at(), actor=harbour.actor)
    cast.give(harbour.id, harbour.pool, EACH)
    assert wait.resume(customer_id=harbour.id, now=at()) == 0
    assert states(harbour) == ["cancelled"]
    assert verify_all().ok


def test_a_wait_without_an_end_is_refused(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=0)
    endless = Submission(harbour.id, [number(1)], ["Hi"], harbour.actor, wait=True)
    with pytest.raises(BadInput) as refused:
        submit(endless, now=at())
    assert refused.value.field == "useful_until"
    [answer] = submit_together([endless], now=at())
    assert isinstance(answer, BadInput)
    assert states(harbour) == []


def test_messages_collected_by_the_door_wait_each_for_itself(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=EACH)
    kinds = [True, True, False]
    answers = submit_together(
        [
            Submission(harbour.id, [number(n)], ["Hi"], harbour.actor, wait=kind, useful_until=at() + SOON if kind else None)
            for n, kind in enumerate(kinds)
        ],
        now=at(),
    )
    assert [answer.words if isinstance(answer, Accepted) else answer.code for answer in answers] == [
        ["ok"],
        ["waits"],
        "exceeds_available",
    ]
    assert states(harbour) == ["queued", "waiting"]
