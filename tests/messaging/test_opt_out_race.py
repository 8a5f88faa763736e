"""An opt-out against dispatch, ten thousand times: what was committed before a claim began is obeyed by it (I19, A-73)."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.db import connection

from postmeter.cli.checks import verify_all
from postmeter.consent import operations as consent
from postmeter.consent import queries as consents
from postmeter.messaging import queries
from postmeter.messaging.operations import dispatch
from postmeter.messaging.operations.accept import LIST_AT_MOST, Submission, submit
from tests.cast import Cast, at, number

ROUNDS = LIST_AT_MOST


@pytest.mark.parametrize("purpose", ["all", "billing"])  # of everything, or of this kind of message alone
def test_no_message_leaves_after_an_opt_out_that_was_committed_before_its_claim(cast: Cast, purpose: str) -> None:
    clinic = cast.clinic(credit_micros=1_000_000_000)
    people = [number(n) for n in range(ROUNDS)]
    submit(Submission(clinic.id, people, ["Hello"] * ROUNDS, clinic.actor, kind="billing"), now=at())
    out_at: dict[str, float] = {}
    claimed_at: dict[str, float] = {}
    done = Event()

    def opt_out(some: list[str]) -> None:
        try:
            for person in some:
                if done.is_set():
                    return
                consent.opt_out(
                    customer_id=clinic.id,
                    channel="sms",
                    address=person,
                    source="reply",
                    now=at(),
                    actor="recipient",
                    purpose=purpose,
                )
                out_at[person] = time.monotonic()  # it is committed
        finally:
            connection.close()

    def claim() -> None:
        try:
            while True:
                begun = time.monotonic()
                found = dispatch.claim(customer_id=clinic.id, at_most=50, now=at())
                claimed_at.update({message.recipient: begun for message in found})
                if not found and not queries.messages(customer_id=clinic.id, state="queued", at_most=1):
                    return
        finally:
            done.set()
            connection.close()

    shuffled = random.sample(people, ROUNDS)
    with ThreadPoolExecutor(3) as pool:
        threads = [pool.submit(opt_out, shuffled[half::2]) for half in range(2)] + [pool.submit(claim)]
        for thread in threads:
            thread.result()
    leaked = [person for person, begun in claimed_at.items() if out_at.get(person, begun) < begun]
    assert leaked == []
    raced = set(out_at)
    assert len(raced) > 100 and len(claimed_at) > 100, "both of them ran"
    states = {message.recipient: message.state for message in queries.messages(customer_id=clinic.id, at_most=ROUNDS)}
    cancelled = {person for person, state in states.items() if state == "cancelled"}
    assert cancelled | set(claimed_at) == set(people) and not cancelled & set(claimed_at)
    assert cancelled <= consents.opted_out(customer_id=clinic.id, channel="sms", addresses=people, purpose="billing")
    assert clinic.held == len(claimed_at) * 11_400
    assert verify_all().ok
