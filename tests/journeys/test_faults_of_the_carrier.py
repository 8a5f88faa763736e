"""Everything that a carrier can do to a text: whatever it was, the text ends once, is sent at most once and is billed as it ended.

The simulator's magic numbers and its fault switch make the trouble (F41 … F51) and our own clocks the rest (F55 … F60); each test
sees that it struck, and compares our books with the simulator's log. F54 is in test_faxes.py; F52 and F53 are faults of calls, which
this release does not carry.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.consent import queries as consent
from postmeter.db import calls
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput
from postmeter.messaging import dispatch as dispatcher
from postmeter.messaging import queries, reconcile
from postmeter.messaging.carriers import http
from postmeter.messaging.dispatch import Dispatcher
from postmeter.messaging.explain import explain
from postmeter.messaging.models import Message
from postmeter.messaging.operations import dispatch, sweep
from postmeter.messaging.operations.accept import Submission, submit
from tests.cast import FEE, PRICE, Clinic
from tests.journeys.house import House, assert_all_is_right
from tests.stage import PATIENCE_SECONDS, until

EACH = PRICE + FEE
AT_ONCE = timedelta(0)
DAYS = timedelta(days=5)


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A second is long enough to wait for somebody who never answers."""
    monkeypatch.setattr(http, "TOTAL_SECONDS", 1.0)
    yield


@dataclass(frozen=True)
class End:
    """What becomes of a text: its state, what is charged and given back, and how often the carrier took it."""

    state: str
    charged: int = 0
    refunded: int = 0
    carried: int = 1
    fault: str = ""  # that must have struck
    error: str = ""


DELIVERED = End("delivered", EACH)
ENDS = {
    # the request
    "0408": End("expired", carried=0, fault="timeout_before"),
    "0409": End("delivered", EACH, fault="timeout_after_success"),  # F41
    "0410": End("delivered", EACH, fault="timeout_after_success"),
    "0429": End("delivered", EACH, fault="throttle_429"),  # F50
    "0444": End("delivered", EACH, fault="reset_after_headers"),
    "0500": End("expired", carried=0, fault="error_500_before"),  # F51
    "0501": End("delivered", EACH, fault="error_500_after"),
    "0503": End("expired", carried=0, fault="error_500_before"),  # unknown at the first 500, and not sent again
    "0600": End("delivered", EACH, fault="garbage"),
    # the end
    "3001": End("failed", error="30001"),  # F43
    "3003": End("undelivered", EACH, EACH, error="30003"),
    "3005": End("undelivered", EACH, EACH, error="30005"),
    "1211": End("failed", carried=0, error="21211"),
    "1408": End("failed", carried=0, error="21408"),
    "1614": End("failed", carried=0, error="21614"),
    # the receipts
    "0700": End("sent", EACH, fault="lose"),  # F46
    "0701": DELIVERED,  # F47
    "0702": End("delivered", EACH, fault="duplicate"),  # F44
    "0703": End("delivered", EACH, fault="reorder"),  # F45
    "0704": End("undelivered", EACH, EACH, error="30008"),  # and yet delivered: what was given back stays so
    "0705": DELIVERED,
    "0706": DELIVERED,  # F48: more segments than we count
    "0707": DELIVERED,  # F48: three times the price
    "0708": End("delivered", EACH, fault="bad_signature"),
}


@pytest.mark.parametrize(("ending", "end"), ENDS.items(), ids=list(ENDS))
def test_a_text_ends_once_whatever_the_carrier_does(house: House, harbour: Clinic, ending: str, end: End) -> None:
    before = fired(house, end.fault)
    text = send(harbour, ending)
    dispatch_in_a_while(harbour)
    house.stage.settle()
    house.let_time_pass(harbour)
    assert_ended(house, harbour, text, end)
    assert not end.fault or fired(house, end.fault) > before, "the fault did not strike"


# The request


@pytest.mark.parametrize("fault", ["timeout_after_success", "reset_after_headers", "error_500_after", "garbage"])
def test_a_text_whose_answer_and_receipts_are_lost_is_found_at_the_carrier(house: House, harbour: Clinic, fault: str) -> None:
    """F41, F46: nobody tells us anything; asking does."""
    lost = break_it(house, "lose")
    unanswered = break_it(house, fault, match={"method": "POST"})
    text = send(harbour, "6041")
    dispatch_in_a_while(harbour)
    house.stage.settle()
    assert the(harbour, text).state == "unknown"
    house.let_time_pass(harbour)
    assert (struck(house, unanswered), struck(house, lost)) == (1, 3)
    assert "lookup" in {receipt.source for receipt in queries.trail(customer_id=harbour.id, message_id=text).receipts}
    assert_ended(house, harbour, text, DELIVERED)


def test_a_text_that_never_came_to_the_carrier_is_given_back_and_not_sent_again(house: House, harbour: Clinic) -> None:  # F41
    rule = break_it(house, "timeout_before", match={"method": "POST"})
    text = send(harbour, "6141")
    dispatch_in_a_while(harbour)
    house.let_time_pass(harbour)
    assert struck(house, rule) == 1
    assert_ended(house, harbour, text, End("expired", carried=0))


def test_texts_that_never_left_keep_nobody_from_asking_about_those_that_did(house: House, harbour: Clinic) -> None:  # F41, I28
    send_many(harbour, reconcile.AT_ONCE + 10)
    dispatch.claim(customer_id=harbour.id, at_most=1_000, now=timezone.now())  # by a worker that dies now
    break_it(house, "lose")
    break_it(house, "timeout_after_success", match={"method": "POST"})
    found = [send(harbour, f"9{n:03}") for n in range(3)]
    go(harbour, AT_ONCE)
    for _ in range(2):
        house.reconcile(harbour, timezone.now() + timedelta(minutes=10))
    assert [the(harbour, text).state for text in found] == ["delivered"] * 3, "minutes, not a day (G9)"
    house.let_time_pass(harbour)
    assert states(harbour) == {"delivered": 3, "expired": reconcile.AT_ONCE + 10}
    assert_all_is_right(house, harbour)


def test_a_text_that_the_carrier_takes_twice_is_charged_once(house: House, harbour: Clinic) -> None:  # F42
    """The one fault that leaves the carrier's log longer than our books: what it did twice is its own, or the operator's, to pay."""
    rule = break_it(house, "twice", match={"method": "POST"})
    text = send(harbour, "6042")
    go(harbour, AT_ONCE)
    house.stage.settle()
    house.let_time_pass(harbour)
    assert struck(house, rule) == 1
    taken = house.carried(harbour)
    assert [(message["to"], message["status"]) for message in taken] == [(the(harbour, text).recipient, "delivered")] * 2
    assert the(harbour, text).provider_ref in {message["sid"] for message in taken}
    assert (the(harbour, text).state, the(harbour, text).charged_micros) == ("delivered", EACH)
    assert (harbour.held, harbour.posted) == (0, 100 * MICROS - EACH)
    assert verify_all().ok


def test_a_text_that_the_carrier_took_and_then_refused_costs_nothing(house: House, harbour: Clinic) -> None:  # F43
    text = send(harbour, "3001")
    go(harbour, AT_ONCE)
    house.stage.settle()
    told = queries.trail(customer_id=harbour.id, message_id=text)
    assert "accepted" in {receipt.status for receipt in told.receipts}, "a receipt may overtake the answer to the request"
    assert [entry.kind for entry in told.entries] == ["hold", "void"]
    assert_ended(house, harbour, text, End("failed", error="30001"))


# The receipts


def test_receipts_that_come_twice_charge_once(house: House, harbour: Clinic) -> None:  # F44
    rule = break_it(house, "duplicate")
    text = send(harbour, "6044")
    go(harbour, AT_ONCE)
    house.stage.settle()
    assert struck(house, rule) == 3
    told = [receipt.status for receipt in queries.trail(customer_id=harbour.id, message_id=text).receipts]
    assert sorted(told) == ["accepted", "delivered", "queued", "sent"]
    assert_ended(house, harbour, text, DELIVERED)


@pytest.mark.parametrize("late", ["queued", "sent"])
def test_receipts_that_overtake_each_other_come_to_the_same_end(house: House, harbour: Clinic, late: str) -> None:  # F45
    rule = break_it(house, "reorder", match={"event": late})
    text = send(harbour, "6045")
    go(harbour, AT_ONCE)
    house.stage.settle()
    assert struck(house, rule) == 1
    told = [receipt.status for receipt in queries.trail(customer_id=harbour.id, message_id=text).receipts]
    assert told[-1] == late
    assert_ended(house, harbour, text, DELIVERED)


def test_a_text_without_any_receipt_is_charged_after_days_as_the_carrier_bills_it(house: House, harbour: Clinic) -> None:  # F46
    rule = break_it(house, "lose")
    text = send(harbour, "6046")
    go(harbour, AT_ONCE)
    house.stage.settle()
    assert struck(house, rule) == 3
    assert (the(harbour, text).state, harbour.held) == ("sent", EACH)
    house.let_time_pass(harbour)
    assert_ended(house, harbour, text, End("sent", EACH))


def test_receipts_that_come_after_we_settled_without_them_charge_nothing_more(house: House, harbour: Clinic) -> None:  # F47
    rule = break_it(house, "delay", seconds=10 * 86_400)
    text = send(harbour, "6047")
    go(harbour, AT_ONCE)
    until(lambda: struck(house, rule) == 3, "the receipts to be put off")
    house.reconcile(harbour, timezone.now() + DAYS)
    assert (the(harbour, text).state, the(harbour, text).charged_micros) == ("sent", EACH)
    house.stage.settle()
    assert_ended(house, harbour, text, DELIVERED)


def test_a_delivery_that_comes_after_the_money_was_given_back_takes_nothing_again(house: House, harbour: Clinic) -> None:  # F47
    text = send(harbour, "0704")  # undelivered, and yet delivered an hour later
    go(harbour, AT_ONCE)
    house.stage.settle()
    told = [receipt.status for receipt in queries.trail(customer_id=harbour.id, message_id=text).receipts]
    assert told[-2:] == ["undelivered", "delivered"]
    assert_ended(house, harbour, text, End("undelivered", EACH, EACH, error="30008"))


def test_a_receipt_that_comes_when_all_is_over_is_kept_and_moves_nothing(house: House, harbour: Clinic) -> None:  # F47, F30
    """Here our books and the carrier's log differ for good: what we have called closed and free stays free."""
    rule = break_it(house, "delay", seconds=2 * 86_400)
    text = send(harbour, "0410")  # accepted without an answer, and look-ups miss it
    dispatch_in_a_while(harbour)
    for later in (timedelta(minutes=3), timedelta(hours=25)):
        house.reconcile(harbour, timezone.now() + later)
    assert (the(harbour, text).state, harbour.held) == ("expired", 0)
    house.stage.settle()
    assert struck(house, rule) == 3
    assert (the(harbour, text).state, the(harbour, text).charged_micros) == ("expired", 0)
    assert "delivered" in {receipt.status for receipt in queries.trail(customer_id=harbour.id, message_id=text).receipts}
    assert [message["sid"] for message in house.carried(harbour)] == [the(harbour, text).provider_ref]
    assert (harbour.held, harbour.posted) == (0, 100 * MICROS)
    assert verify_all().ok


@pytest.mark.parametrize(("ending", "segments", "price"), [("0706", 2, 15_800), ("0707", 1, 23_700)])
def test_a_carrier_that_counts_or_prices_otherwise_changes_nothing_for_the_customer(
    house: House, harbour: Clinic, ending: str, segments: int, price: int
) -> None:  # F48
    """The fault is in the carrier's bill, so the switch does not know it: a magic number makes it."""
    text = send(harbour, ending)
    go(harbour, AT_ONCE)
    house.stage.settle()
    [theirs] = house.carried(harbour)
    assert (theirs["segments"], theirs["price_micros"]) == (segments, price)
    told = queries.trail(customer_id=harbour.id, message_id=text)
    assert told.message.segments == 1
    counted = {str(receipt.raw.get("num_segments")) for receipt in told.receipts}
    assert str(segments) in counted, "the trail shows what the carrier counted"
    assert_ended(house, harbour, text, DELIVERED)


# Whom the provider blocks


def test_a_recipient_whom_the_provider_blocks_is_opted_out_here_too(house: House, harbour: Clinic) -> None:  # F49
    """Their STOP came to the carrier and never to us. The refusal of our next text tells us."""
    phone = "+15550006049"
    lost = break_it(house, "lose", match={"number": phone})
    house.simulator.control("PATCH", "/settings", {"carrier_opt_out": True})
    try:
        house.simulator.control("POST", "/inbound", {"phone": phone, "to": harbour.customer.sender, "body": "STOP"})
        house.stage.settle()
        assert struck(house, lost) == 1
        assert consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[phone]) == frozenset()
        text, other = send(harbour, "6049"), send(harbour, "6149")
        later = send(harbour, "6049", due_at=timezone.now() + timedelta(minutes=1))
        dispatch_in_a_while(harbour)
        house.stage.settle()
    finally:
        house.simulator.control("PATCH", "/settings", {"carrier_opt_out": False})
    assert consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[phone, the(harbour, other).recipient]) == {phone}
    assert [(the(harbour, t).state, the(harbour, t).error_code) for t in (text, later, other)] == [
        ("failed", "21610"),
        ("cancelled", ""),
        ("delivered", ""),
    ]
    why = "The recipient has answered STOP and gets no more messages. (error 21610)"
    assert why in explain(queries.trail(customer_id=harbour.id, message_id=text))
    assert "The recipient opted out before it went." in explain(queries.trail(customer_id=harbour.id, message_id=later))
    with pytest.raises(BadInput, match="opted out"):
        send(harbour, "6049")
    assert (harbour.held, harbour.posted) == (0, 100 * MICROS - EACH)
    assert_all_is_right(house, harbour)


# Too much, and nothing at all


def test_a_storm_of_rate_limits_delays_and_loses_nothing(house: House, harbour: Clinic) -> None:  # F50
    rule = break_it(house, "throttle_429", count=60)
    send_many(harbour, 40)
    dispatch_in_a_while(harbour)
    house.stage.settle()
    assert struck(house, rule) == 60
    assert states(harbour) == {"delivered": 40}
    assert harbour.posted == 100 * MICROS - 40 * EACH
    assert_all_is_right(house, harbour)


def test_an_outage_of_the_provider_is_waited_out(house: House, harbour: Clinic) -> None:  # F51
    """No text goes over to another provider: this release has one, and whom to fail over to is the operator's to say."""
    send_many(harbour, 20)
    house.simulator.stop()
    try:
        go(harbour, AT_ONCE)
        assert states(harbour) == {"queued": 20}
    finally:
        house.stage.start_simulator()
    dispatch_in_a_while(harbour)
    house.stage.settle()
    assert states(harbour) == {"delivered": 20}
    assert_all_is_right(house, harbour)


def test_an_outage_that_lasts_ends_with_everything_released(house: House, harbour: Clinic) -> None:  # F51, I28
    send_many(harbour, 5)
    house.simulator.stop()
    try:
        for attempt in range(dispatch.ATTEMPTS_AT_MOST):
            go(harbour, timedelta(minutes=5 * attempt))
    finally:
        house.stage.start_simulator()
    assert states(harbour) == {"failed": 5}
    assert (harbour.held, harbour.posted) == (0, 100 * MICROS)
    assert_all_is_right(house, harbour)


def test_a_provider_that_answers_500_gets_no_text_twice(house: House, harbour: Clinic) -> None:  # F51
    rule = break_it(house, "error_500_before", match={"method": "POST"})
    send_many(harbour, 5)
    dispatch_in_a_while(harbour)
    house.simulator.control("DELETE", f"/faults/{rule}")
    house.let_time_pass(harbour)
    assert states(harbour) == {"expired": 5}
    assert house.carried(harbour) == []
    assert_all_is_right(house, harbour)


def test_a_token_that_the_provider_no_longer_takes_fails_nobodys_text(
    house: House, harbour: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_many(harbour, 5)
    with monkeypatch.context() as wrong:
        wrong.setitem(settings.TWILIO, "auth_token", "revoked")
        go(harbour, AT_ONCE)
    assert states(harbour) == {"queued": 5}
    dispatch_in_a_while(harbour)
    house.stage.settle()
    assert states(harbour) == {"delivered": 5}
    assert_all_is_right(house, harbour)


# Clocks


@pytest.mark.parametrize("late", [dispatch.LEASE + timedelta(seconds=5), timedelta(days=3650)])
def test_a_lease_that_ends_while_its_owner_lives_neither_sends_nor_charges_twice(
    house: House, harbour: Clinic, monkeypatch: pytest.MonkeyPatch, late: timedelta
) -> None:  # F60, F55
    """The carrier thinks for an hour; meanwhile another worker's clock has reached the lease's end, or jumped ten years ahead."""
    monkeypatch.setattr(http, "TOTAL_SECONDS", PATIENCE_SECONDS)
    rule = break_it(house, "slow", seconds=3600, match={"method": "POST"})
    text = send(harbour, "6060")
    with ThreadPoolExecutor(1) as owner:
        going = owner.submit(go, harbour, AT_ONCE)
        try:
            until(lambda: struck(house, rule) == 1, "the owner to ask")
            house.reconcile(harbour, timezone.now() + late)
            assert the(harbour, text).state == "unknown"
            assert dispatch.claim(customer_id=harbour.id, at_most=1, now=timezone.now() + late) == []
        finally:
            house.simulator.control("POST", "/clock", {"advance": 3600})
        going.result(PATIENCE_SECONDS)
    house.simulator.control("POST", "/clock", {"advance": -3600})
    house.stage.settle()
    house.let_time_pass(harbour)
    assert_ended(house, harbour, text, DELIVERED)


def test_a_clock_that_jumps_back_makes_a_text_wait_and_no_more(house: House, harbour: Clinic) -> None:  # F56
    text = send(harbour, "6056")
    go(harbour, timedelta(hours=-1))
    assert the(harbour, text).state == "queued"
    go(harbour, AT_ONCE)
    for function in (sweep.end_leases, sweep.settle_silent):
        assert function(customer_id=harbour.id, now=timezone.now() - timedelta(days=1)) == 0
    house.stage.settle()
    assert_ended(house, harbour, text, DELIVERED)


def test_workers_whose_clocks_differ_by_hours_share_a_list_and_send_each_text_once(house: House, harbour: Clinic) -> None:  # F57
    send_many(harbour, 60)

    async def work() -> list[int]:
        return await asyncio.gather(
            worker(harbour, AT_ONCE, share=1).drain(), worker(harbour, timedelta(hours=2), share=1).drain()
        )

    handled = asyncio.run(work())
    assert sum(handled) == 60
    assert min(handled) > 0, "one worker did it all"
    house.reconcile(harbour, timezone.now() + timedelta(hours=2))
    house.stage.settle()
    assert states(harbour) == {"delivered": 60}
    assert len(house.carried(harbour)) == 60
    assert_all_is_right(house, harbour)


@pytest.mark.parametrize("at", [datetime(2026, 3, 8, 6, 59, 30, tzinfo=UTC), datetime(2026, 11, 1, 5, 59, 30, tzinfo=UTC)])
def test_a_lease_lasts_as_long_on_the_night_that_the_clocks_change(house: House, harbour: Clinic, at: datetime) -> None:  # F58
    """Directly on the operations: a carrier knows no local time. The session is in New York, where an hour is missing or double."""
    send(harbour, "6058", due_at=at)
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'America/New_York'")
    try:
        assert len(dispatch.claim(customer_id=harbour.id, at_most=1, now=at)) == 1
        assert sweep.end_leases(customer_id=harbour.id, now=at + dispatch.LEASE) == 0
        assert sweep.end_leases(customer_id=harbour.id, now=at + dispatch.LEASE + timedelta(seconds=1)) == 1
        assert sweep.give_up(customer_id=harbour.id, asked=ids(harbour), now=at + sweep.UNKNOWN_FOR) == 0
    finally:
        connection.close()
    house.let_time_pass(harbour)
    assert states(harbour) == {"expired": 1}
    assert_all_is_right(house, harbour)


def test_no_moment_of_a_message_hangs_on_the_tables_of_time_zones(house: House) -> None:  # F59
    """No switch changes those tables. What is stored are moments, so new rules for local time move none of them."""
    local = calls.rows(
        """SELECT table_name, column_name FROM information_schema.columns
           WHERE table_schema = 'public' AND data_type IN ('timestamp without time zone', 'time without time zone')
             AND table_name ~ '^(messaging|consent|ledger)_'"""
    )
    assert local == []


# Small parts


def break_it(house: House, fault: str, **more: object) -> int:
    return int(house.simulator.control("POST", "/faults", {"service": "twilio", "fault": fault, **more})["id"])


def struck(house: House, rule: int) -> int:
    """How often this rule has struck."""
    [found] = [it for it in house.simulator.control("GET", "/faults")["rules"] if it["id"] == rule]
    return int(found["fired"])


def send(clinic: Clinic, ending: str, *, due_at: datetime | None = None) -> int:
    """One text to a number that ends so."""
    return submit(Submission(clinic.id, [f"+1555000{ending}"], ["Hello"], clinic.actor, due_at=due_at), now=timezone.now()).ids[0]


def send_many(clinic: Clinic, count: int) -> None:
    recipients = [f"+1555000{5_000 + n}" for n in range(count)]
    submit(Submission(clinic.id, recipients, ["Hello"] * count, clinic.actor), now=timezone.now())


def go(clinic: Clinic, later: timedelta) -> None:
    """One worker's turn, so much later."""
    asyncio.run(worker(clinic, later).drain())


def worker(clinic: Clinic, later: timedelta, *, share: int = dispatcher.SHARE) -> Dispatcher:
    """A worker whose clock is so far ahead, and who serves this clinic."""
    return Dispatcher(
        settings=settings.PROVIDERS,
        clock=lambda: timezone.now() + later,
        work=lambda: [clinic.id] if _due(clinic, later) else [],
        share=share,
    )


def dispatch_in_a_while(clinic: Clinic) -> None:
    """Turns enough for everything that is put back to have been tried again."""
    for minutes in range(0, 2 * dispatch.ATTEMPTS_AT_MOST, 2):
        go(clinic, timedelta(minutes=minutes))


def _due(clinic: Clinic, later: timedelta) -> bool:
    now = timezone.now() + later
    return any(m.due_at <= now for m in queries.messages(customer_id=clinic.id, state="queued", at_most=1_000))


def the(clinic: Clinic, text: int) -> Message:
    return queries.message(customer_id=clinic.id, message_id=text)


def ids(clinic: Clinic) -> list[int]:
    return [message.id for message in queries.messages(customer_id=clinic.id, at_most=1_000)]


def states(clinic: Clinic) -> dict[str, int]:
    found: dict[str, int] = {}
    for message in queries.messages(customer_id=clinic.id, at_most=1_000):
        found[message.state] = found.get(message.state, 0) + 1
    return found


def fired(house: House, fault: str) -> int:
    """How often this fault has struck so far, asked for by a rule or by a number."""
    return int(house.simulator.control("GET", "/faults")["fired"].get(f"twilio.{fault}", 0))


def assert_ended(house: House, clinic: Clinic, text: int, end: End) -> None:
    message = the(clinic, text)
    found = End(
        message.state,
        message.charged_micros,
        message.refunded_micros,
        len(house.carried(clinic)),
        end.fault,
        message.error_code,
    )
    assert found == end
    assert (clinic.held, clinic.posted) == (0, 100 * MICROS - end.charged + end.refunded)
    assert_all_is_right(house, clinic)
