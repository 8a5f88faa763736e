"""A worker at the simulator's message centre: what goes, what comes, and every fault of a carrier that a session can have."""

import asyncio
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from postmeter.consent import queries as consent
from postmeter.db import scope
from postmeter.messaging import queries, reconcile
from postmeter.messaging.models import Inbound
from postmeter.messaging.operations import heard, sweep
from postmeter.messaging.providers import Outbound
from tests.cast import FEE, PRICE, Cast, Clinic, number
from tests.messaging.smpp.conftest import Centre
from tests.messaging.smpp.line import Worker, reaches, send, the
from tests.stage import until

LONG = "Your appointment with Dr Reyes is on Monday. " * 8  # three parts


def statuses(clinic: Clinic, message_id: int) -> list[str]:
    return [receipt.status for receipt in queries.trail(customer_id=clinic.id, message_id=message_id).receipts]


def came_in(clinic: Clinic) -> list[str]:
    with scope.customer(clinic.id):
        return [row.body for row in Inbound.objects.filter(customer_id=clinic.id).order_by("id")]


def test_a_text_goes_to_the_centre_and_its_receipt_charges_it(cast: Cast, centre: Centre) -> None:
    harbour, to = cast.clinic(), number(101)
    with Worker(harbour, centre.port):
        message = reaches(harbour, send(harbour, "See you at 9 {€5}", to=to), "delivered")
    assert centre.texts(to) == ["See you at 9 {€5}"]
    assert (message.charged_micros, message.provider) == (PRICE + FEE, "smpp")
    assert harbour.held == 0


@pytest.mark.parametrize("long", ["udh", "sar", "payload"])
def test_a_long_text_arrives_whole_and_is_delivered_when_all_its_parts_are(cast: Cast, centre: Centre, long: str) -> None:
    harbour, to = cast.clinic(), number({"udh": 111, "sar": 112, "payload": 113}[long])
    with Worker(harbour, centre.port, long=long):
        message = reaches(harbour, send(harbour, LONG, to=to), "delivered")
    parts = 1 if long == "payload" else 3
    assert centre.texts(to) == [LONG]
    assert (len(centre.parts(to)), message.segments, message.charged_micros) == (parts, 3, 3 * (PRICE + FEE))
    told = [status for status in statuses(harbour, message.id) if status.startswith("part")]
    assert sorted(told) == ([] if parts == 1 else [f"part_{n}_of_3_delivered" for n in (1, 2, 3)])


def test_a_centre_that_asks_to_slow_down_gets_the_text_later_and_once(cast: Cast, centre: Centre) -> None:  # F50
    harbour, to = cast.clinic(), number(121)
    rule = centre.fault("throttle_429", match={"number": to}, count=1)
    with Worker(harbour, centre.port):
        reaches(harbour, send(harbour, LONG, to=to), "delivered")
    assert (centre.fired(rule), centre.texts(to), len(centre.parts(to))) == (1, [LONG], 3)


def test_a_centre_that_goes_on_asking_is_obeyed_and_the_text_is_queued_again(cast: Cast, centre: Centre) -> None:
    harbour, to = cast.clinic(), number(122)
    rule = centre.fault("throttle_429", match={"number": to})
    with Worker(harbour, centre.port):
        message_id = send(harbour, "Hello", to=to)
        until(lambda: the(harbour, message_id).attempts == 1 and the(harbour, message_id).state == "queued", "the queue")
        assert harbour.held == PRICE + FEE
    assert centre.fired(rule) >= 2
    assert centre.parts(to) == []


@pytest.mark.parametrize(("ending", "code"), [("1211", "21211"), ("1610", "30008"), ("1614", "21211")])
def test_a_refusal_ends_the_text_and_charges_nothing(cast: Cast, centre: Centre, ending: str, code: str) -> None:
    harbour = cast.clinic()
    with Worker(harbour, centre.port):
        message = reaches(harbour, send(harbour, "Hello", to=f"+1555012{ending}"), "failed")
    assert (message.error_code, message.charged_micros, harbour.held) == (code, 0, 0)


def test_a_vendors_own_status_means_what_the_operator_was_told(cast: Cast, centre: Centre) -> None:  # F49
    harbour, to = cast.clinic(), "+15550131610"
    with Worker(harbour, centre.port, statuses="0x443:21610"):
        message = reaches(harbour, send(harbour, "Hello", to=to), "failed")
    assert message.error_code == "21610"
    assert consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[to]) == {to}


@pytest.mark.parametrize("fault", ["reset_after_headers", "timeout_after_success", "garbage"])
def test_a_text_whose_answer_is_lost_is_unknown_and_never_sent_again(cast: Cast, centre: Centre, fault: str) -> None:  # A-23, F41
    harbour, to = cast.clinic(), number(1_300 + len(fault))
    centre.fault("lose", match={"number": to})
    rule = centre.fault(fault, match={"number": to}, count=1)
    with Worker(harbour, centre.port):
        message_id = send(harbour, "Hello", to=to)
        reaches(harbour, message_id, "unknown")
        reaches(harbour, send(harbour, "The next one", n=131), "delivered")  # over a session that was opened again
    assert (centre.fired(rule), len(centre.parts(to))) == (1, 1)
    assert the(harbour, message_id).state == "unknown"
    assert harbour.held == PRICE + FEE


def test_a_text_whose_answer_is_lost_is_found_by_its_receipts(
    cast: Cast, centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    harbour, to = cast.clinic(), number(141)
    centre.fault("timeout_after_success", match={"number": to}, count=1)
    monkeypatch.setattr(heard, "OF_NOBODY_AFTER", timedelta())
    with Worker(harbour, centre.port):
        message_id = send(harbour, "Hello", to=to)
        reaches(harbour, message_id, "unknown")
        until(lambda: look_up(harbour, message_id) is not None, "the receipt of nobody")
        found = look_up(harbour, message_id)
        assert found is not None
    [lost] = sweep.lost(customer_id=harbour.id, now=timezone.now())
    told = {"smpp": {"host": "127.0.0.1"}}
    moved = asyncio.run(reconcile._ask(harbour.id, [lost], told, timezone.now()))
    assert (moved, the(harbour, message_id).state, the(harbour, message_id).provider_ref) == (1, "delivered", found)
    assert the(harbour, message_id).charged_micros == PRICE + FEE


def look_up(clinic: Clinic, message_id: int) -> str | None:
    message = the(clinic, message_id)
    words = Outbound(message.id, message.sender, message.recipient, message.body, "")
    found = heard.look_up(message=words, taken=frozenset(), now=timezone.now())
    return found.ref if found else None


def test_a_later_part_that_is_refused_ends_the_text_unpaid_and_nothing_goes_twice(cast: Cast, centre: Centre) -> None:
    """Two of three have gone: the recipient has no whole text, so the customer pays for none of it."""
    harbour, to = cast.clinic(), number(151)
    with Worker(harbour, centre.port):
        for _ in range(2):
            centre.fault("slow", match={"number": to}, count=1, seconds=0.01)  # the first two parts
        rule = centre.fault("error_500_before", match={"number": to})
        message = reaches(harbour, send(harbour, LONG, to=to), "failed", "delivered")
    assert centre.fired(rule) == 1
    assert [part["position"] for part in centre.parts(to)] == [1, 2]
    assert (message.state, message.charged_micros, harbour.held) == ("failed", 0, 0)
    [receipt] = [r for r in queries.trail(customer_id=harbour.id, message_id=message.id).receipts if r.source == "reply"]
    assert "parts had gone, and are not sent again" in receipt.raw["message"]


@pytest.mark.parametrize("fault", ["duplicate", "reorder"])
def test_receipts_twice_or_out_of_order_end_the_same(cast: Cast, centre: Centre, fault: str) -> None:  # F44, F45, A-51
    harbour, to = cast.clinic(), number({"duplicate": 161, "reorder": 162}[fault])
    rule = centre.fault(fault, match={"number": to}, count=2, seconds=0.3)
    with Worker(harbour, centre.port):
        message = reaches(harbour, send(harbour, LONG, to=to), "delivered")
        until(lambda: centre.simulator.control("GET", "/idle")["idle"], "all receipts")
    assert centre.fired(rule) == 2
    assert (message.charged_micros, harbour.held) == (3 * (PRICE + FEE), 0)
    assert len(statuses(harbour, message.id)) == len(set(statuses(harbour, message.id)))


def test_a_receipt_that_never_comes_leaves_the_text_sent(cast: Cast, centre: Centre) -> None:  # F46
    harbour, to = cast.clinic(), number(171)
    rule = centre.fault("lose", match={"number": to})
    with Worker(harbour, centre.port):
        message = reaches(harbour, send(harbour, "Hello", to=to), "sent")
        until(lambda: centre.fired(rule) == 1, "the loss")
    assert (the(harbour, message.id).state, harbour.held) == ("sent", PRICE + FEE)


def test_receipts_of_another_worker_are_placed_by_whoever_hears_them(cast: Cast, centre: Centre) -> None:
    """Two sessions: the centre tells any of them, and a restart forgets nothing."""
    harbour = cast.clinic()
    ids = []
    with Worker(harbour, centre.port), Worker(harbour, centre.port, work=list):
        for n in range(20):
            ids.append(send(harbour, "Hello", n=1_000 + n))
        for message_id in ids:
            reaches(harbour, message_id, "delivered")


def test_a_receipt_finds_its_text_after_a_restart(cast: Cast, centre: Centre) -> None:
    harbour, to = cast.clinic(), number(181)
    centre.fault("delay", match={"number": to}, seconds=2)
    with Worker(harbour, centre.port):
        message_id = send(harbour, LONG, to=to)
        reaches(harbour, message_id, "sent")
    with Worker(harbour, centre.port, work=list):
        reaches(harbour, message_id, "delivered")


def test_a_worker_without_a_session_puts_the_text_back_and_one_comes_back_by_itself(cast: Cast, centre: Centre) -> None:
    harbour = cast.clinic()
    with Worker(harbour, centre.port, password="wrong"):
        message_id = send(harbour, "Hello", n=191)
        until(lambda: the(harbour, message_id).state == "queued" and the(harbour, message_id).attempts == 1, "the queue")
    with Worker(harbour, centre.port):
        reaches(harbour, message_id, "delivered")
        before = len(centre.note("smpp.bound"))
        assert centre.simulator.control("POST", "/smpp/drop")["dropped"] == 1
        until(lambda: len(centre.note("smpp.bound")) == before + 1, "the session")
        reaches(harbour, send(harbour, "Hello again", n=192), "delivered")


# Texts that come in


@pytest.mark.parametrize("body", ["Yes, that suits me", "Ça va? 👍", "I cannot come, can we move it to Friday? " * 8, "¿" * 200])
def test_a_text_comes_in_whole(cast: Cast, centre: Centre, body: str) -> None:
    harbour = cast.clinic()
    before = len(centre.note("smpp.bound"))
    with Worker(harbour, centre.port):
        until(lambda: len(centre.note("smpp.bound")) > before, "a session")
        centre.write(number(201), harbour.customer.sender, body)
        until(lambda: bool(came_in(harbour)), "the text")
    assert came_in(harbour) == [body]


@pytest.mark.parametrize("trouble", [OperationalError, RuntimeError])
def test_stop_is_committed_before_it_is_acknowledged(
    cast: Cast, centre: Centre, monkeypatch: pytest.MonkeyPatch, trouble: type[Exception]
) -> None:
    """The first time the database is away: the centre is told to say it again, and does."""
    harbour, ana = cast.clinic(), number(211)
    true_text, times = heard.text, iter([True])

    def away_once(**words: object) -> bool:
        if next(times, False):
            raise trouble("away")
        return true_text(**words)  # type: ignore[arg-type]

    monkeypatch.setattr(heard, "text", away_once)
    before, refused = len(centre.note("smpp.bound")), refusals(centre)
    with Worker(harbour, centre.port):
        until(lambda: len(centre.note("smpp.bound")) > before, "a session")
        centre.write(ana, harbour.customer.sender, "STOP")
        until(lambda: refusals(centre) > refused, "the refusal")
        assert came_in(harbour) == []
        centre.simulator.control("POST", "/clock", {"advance": 10})
        until(lambda: came_in(harbour) == ["STOP"], "the repetition")
        assert consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[ana]) == {ana}


def refusals(centre: Centre) -> int:
    return sum(entry["status"] == 0x64 for entry in centre.note("smpp.not_delivered"))
