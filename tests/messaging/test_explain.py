"""A trail tells what became of a message, why, and where every micro of it is."""

import pytest

from postmeter.messaging import queries
from postmeter.messaging.explain import explain, steps
from postmeter.messaging.operations import dispatch, sweep
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.cancel import cancel
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.queries import Trail
from postmeter.messaging.states import State
from tests.cast import FEE, PRICE, Cast, Clinic, at, number

EACH = PRICE + FEE


def sent(clinic: Clinic, *said: tuple[str, State, str, str, bool], body: str = "Hello") -> Trail:
    [id_] = submit(Submission(clinic.id, [number()], [body], clinic.actor), now=at()).ids
    if said:
        dispatch.claim(customer_id=clinic.id, at_most=1, now=at())
    for source, state, status, error, billable in said:
        fact = Fact(id_, source, "twilio", state, f"SM{id_}", status, error, billable, refused=status == "refused")
        record(customer_id=clinic.id, facts=[fact], now=at())
    return queries.trail(customer_id=clinic.id, message_id=id_)


ACCEPTED = ("reply", State.SENT, "accepted", "", False)
SENT = ("callback", State.SENT, "sent", "", True)
DELIVERED = ("callback", State.DELIVERED, "delivered", "", True)
UNREACHABLE = ("callback", State.UNDELIVERED, "undelivered", "30003", True)
REFUSED = ("reply", State.FAILED, "refused", "21211", False)


def test_a_queued_message_says_what_is_held_and_that_it_can_be_taken_back(cast: Cast) -> None:
    told = explain(sent(cast.clinic()))
    assert told[0] == "It is queued and goes out as soon as a worker takes it."
    assert "$0.0114 is held for it and charged only if it goes out." in told
    assert told[-1] == "You can still take it back."


def test_a_delivered_message_says_so_first_and_what_it_cost(cast: Cast) -> None:
    assert explain(sent(cast.clinic(), ACCEPTED, SENT, DELIVERED)) == [
        "It was delivered.",
        "$0.0114 was charged.",
        "The text is 1 segment in GSM-7.",
    ]


def test_a_refused_message_says_why_and_that_nothing_was_charged(cast: Cast) -> None:
    told = explain(sent(cast.clinic(), REFUSED))
    assert told[1] == "The number is not a valid one. (error 21211)"
    assert told[2] == "Nothing was charged: the $0.0114 held for it is available again."


def test_a_message_that_was_charged_and_given_back_says_both(cast: Cast) -> None:
    told = explain(sent(cast.clinic(), ACCEPTED, SENT, UNREACHABLE))
    assert told[1] == "The phone was switched off or out of reach. (error 30003)"
    assert told[2] == "$0.0114 was charged and $0.0114 of it given back, as your price list says for this end."


def test_a_text_in_ucs2_names_the_characters_that_made_it_so(cast: Cast) -> None:
    told = explain(sent(cast.clinic(), body="It’s today 🎉" + "!" * 60))
    assert "The text is 2 segments in UCS-2, because of ’ (right single quotation mark), 🎉 (party popper)." in told


def test_nobody_knows_is_said_plainly(cast: Cast) -> None:
    clinic = cast.clinic()
    trail = sent(clinic, ("reply", State.UNKNOWN, "unknown", "", False))
    assert "Twilio was asked and gave no clear answer. It is not sent again" in explain(trail)[0]
    sweep.give_up(customer_id=clinic.id, asked=[trail.message.id], now=trail.message.changed_at + 2 * sweep.UNKNOWN_FOR)
    closed = explain(queries.trail(customer_id=clinic.id, message_id=trail.message.id))
    assert "For a day nobody could say what became of it, so it was closed." in closed


@pytest.mark.parametrize("said", [(), (ACCEPTED,), (ACCEPTED, SENT, DELIVERED), (ACCEPTED, SENT, UNREACHABLE), (REFUSED,)])
def test_the_steps_of_a_trail_add_up_to_what_the_balance_lost(
    cast: Cast, said: tuple[tuple[str, State, str, str, bool], ...]
) -> None:
    clinic = cast.clinic()
    before = clinic.available
    trail = sent(clinic, *said)
    assert sum(step.micros or 0 for step in steps(trail)) == clinic.available - before
    assert [step.at for step in steps(trail)] == sorted(step.at for step in steps(trail))


def test_a_message_that_was_taken_back_shows_the_release(cast: Cast) -> None:
    clinic = cast.clinic()
    trail = sent(clinic)
    cancel(customer_id=clinic.id, message_id=trail.message.id, now=at(), actor=clinic.actor)
    trail = queries.trail(customer_id=clinic.id, message_id=trail.message.id)
    assert explain(trail)[0] == "It was taken back before it went out."
    assert {step.title for step in steps(trail)} == {"Accepted", "Held", "Released", "Somebody took it back"}
