"""What a centre says, kept: parts in any order, twice or never, and receipts that come before anybody knows whose they are."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import permutations

import pytest
from django.db import connection
from django.utils import timezone

from postmeter.consent import queries as consent
from postmeter.db import calls, scope
from postmeter.messaging import queries
from postmeter.messaging.explain import explain, steps
from postmeter.messaging.models import Inbound
from postmeter.messaging.operations import dispatch, heard
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.providers import Outbound, Received
from postmeter.messaging.providers.smpp import PartReceipt, TextPart
from postmeter.messaging.states import State
from tests.cast import FEE, PRICE, Cast, Clinic, at, number
from tests.messaging.smpp.line import send, the

ANA = number(401)
LONG = "Your appointment is on Monday. " * 12  # three parts


def came_in(clinic: Clinic) -> list[str]:
    with scope.customer(clinic.id):
        return [row.body for row in Inbound.objects.filter(customer_id=clinic.id).order_by("id")]


def parts(clinic: Clinic, *texts: str, reference: int = 7) -> list[TextPart]:
    return [
        TextPart(ANA, clinic.customer.sender, reference, len(texts), n, "gsm", text.encode()) for n, text in enumerate(texts, 1)
    ]


def went(clinic: Clinic, refs: Sequence[str], *, body: str = LONG, to: str = ANA) -> int:
    """A text that the centre took under these ids."""
    message_id = send(clinic, body, to=to)
    dispatch.claim(customer_id=clinic.id, at_most=10, now=timezone.now())
    record(
        customer_id=clinic.id,
        facts=[Fact(message_id, "reply", "smpp", State.SENT, ",".join(refs), "accepted")],
        now=timezone.now(),
    )
    return message_id


def word(clinic: Clinic, ref: str, state: State = State.DELIVERED, *, to: str = ANA, text: str = "") -> PartReceipt:
    stat, code = {
        State.DELIVERED: ("DELIVRD", ""),
        State.UNDELIVERED: ("UNDELIV", "30008"),
        State.FAILED: ("REJECTD", "30007"),
        State.SENT: ("ENROUTE", ""),
    }[state]
    return PartReceipt(ref, to, clinic.customer.sender, state, stat, code, state is not State.FAILED, text)


def refs(count: int = 3) -> list[str]:
    return [f"{calls.next_id():x}" for _ in range(count)]


# Texts


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_parts_in_any_order_and_twice_are_one_text(cast: Cast, order: Sequence[int]) -> None:
    harbour = cast.clinic()
    given = parts(harbour, "I cannot ", "come on ", "Monday.")
    new = [heard.text(word=given[n], now=at()) for n in (*order, *order)]
    assert came_in(harbour) == ["I cannot come on Monday."]
    assert new == [True] * 3 + [False] * 3


def test_parts_on_two_sessions_at_once_are_one_text(cast: Cast) -> None:
    harbour = cast.clinic()
    given = parts(harbour, *"abcdefgh")

    def keep(part: TextPart) -> bool:
        try:
            return heard.text(word=part, now=at())
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(keep, given))
    assert came_in(harbour) == ["abcdefgh"]


def test_a_part_that_never_comes_leaves_a_gap_and_loses_nothing(cast: Cast) -> None:
    harbour, now = cast.clinic(), at()
    first, _, third = parts(harbour, "Please ", "do ", "call me.")
    for part in (third, first):
        heard.text(word=part, now=now)
    heard.join_overdue(now=now + timedelta(minutes=1))
    assert came_in(harbour) == []
    heard.join_overdue(now=now + heard.INCOMPLETE_AFTER + timedelta(seconds=1))
    assert came_in(harbour) == ["Please  […] call me."]
    heard.join_overdue(now=now + timedelta(hours=1))
    assert len(came_in(harbour)) == 1


def test_a_reference_that_a_phone_uses_again_mixes_no_texts(cast: Cast) -> None:
    harbour, now = cast.clinic(), at()
    heard.text(word=parts(harbour, "Lost ", "half")[0], now=now)
    for part in parts(harbour, "See you ", "at nine"):
        heard.text(word=part, now=now)
    for part in parts(harbour, "Or rather ", "at ten"):
        heard.text(word=part, now=now + timedelta(minutes=1))
    assert came_in(harbour) == ["Lost  […] ", "See you at nine", "Or rather at ten"]


def test_a_text_that_is_delivered_again_is_kept_once_and_a_second_stop_is_heard(cast: Cast) -> None:
    harbour, now = cast.clinic(), at()

    def write(text: str, minutes: int) -> bool:
        said = Received(ANA, harbour.customer.sender, text, "")
        return heard.text(word=said, now=now + timedelta(minutes=minutes))

    assert [write("STOP", 0), write("STOP", 1), write("START", 1), write("STOP", 2), write("1", 3), write("1", 20)] == [
        *(True, False, True, True),
        *(True, True),
    ]
    assert consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[ANA]) == {ANA}


def test_a_text_to_nobodys_number_is_not_ours_to_keep() -> None:
    assert not heard.text(word=Received(ANA, "+15550999999", "Hello", ""), now=at())
    assert not heard.text(word=TextPart(ANA, "+15550999999", 1, 2, 1, "gsm", b"Hello"), now=at())


# Receipts


def test_a_text_is_delivered_when_all_its_parts_are_whatever_the_order(cast: Cast) -> None:
    harbour = cast.clinic()
    for order in permutations(range(3)):
        given = refs()
        message_id = went(harbour, given)
        for n, position in enumerate(order):
            assert the(harbour, message_id).state == "sent"
            for state in (State.SENT, State.DELIVERED, State.DELIVERED, State.SENT):
                heard.receipts(words=[word(harbour, given[position], state)], now=timezone.now())
            assert the(harbour, message_id).state == ("delivered" if n == 2 else "sent")
        assert the(harbour, message_id).charged_micros == 3 * (PRICE + FEE)


@pytest.mark.parametrize(("state", "code"), [(State.UNDELIVERED, "30008"), (State.FAILED, "30007")])
def test_a_text_of_which_one_part_failed_has_failed(cast: Cast, state: State, code: str) -> None:
    """The price list of the cast does not charge what is undelivered; one of a part that failed is the list's too."""
    harbour = cast.clinic()
    given = refs()
    message_id = went(harbour, given)
    heard.receipts(words=[word(harbour, given[0]), word(harbour, given[2]), word(harbour, given[1], state)], now=timezone.now())
    message = the(harbour, message_id)
    assert (message.state, message.error_code, harbour.held) == (state, code, 0)
    assert message.charged_micros in (0, message.refunded_micros, 3 * (PRICE + FEE))


def test_the_parts_of_one_text_told_at_once_on_many_sessions_are_charged_once(cast: Cast) -> None:
    harbour = cast.clinic()
    given = refs()
    message_id = went(harbour, given)

    def tell(ref: str) -> int:
        try:
            return heard.receipts(words=[word(harbour, ref)], now=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(tell, given * 2)) == 6
    message = the(harbour, message_id)
    assert (message.state, message.charged_micros, harbour.held) == ("delivered", 3 * (PRICE + FEE), 0)


def test_a_receipt_that_overtakes_our_own_row_is_kept_until_there_is_one(cast: Cast) -> None:
    harbour = cast.clinic()
    given = refs(1)
    said = word(harbour, given[0], text="Hello, Ana")
    assert heard.receipts(words=[said, said], now=timezone.now()) == 0
    with scope.every_customer():
        [(kept,)] = calls.rows("SELECT said::text FROM messaging_unplaced WHERE ref = %s", [given[0]])
    assert "Hello" not in kept
    message_id = went(harbour, given, body="Hello, Ana")
    assert heard.place(now=timezone.now()) >= 1  # and what other tests have left
    assert the(harbour, message_id).state == "delivered"
    assert not is_kept(given[0])


def is_kept(ref: str) -> bool:
    with scope.every_customer():
        return bool(calls.rows("SELECT 1 FROM messaging_unplaced WHERE ref = %s", [ref]))


def test_a_receipt_of_nobody_is_kept_for_days_and_then_forgotten(cast: Cast) -> None:
    said, now = word(cast.clinic(), refs(1)[0]), timezone.now()
    assert heard.receipts(words=[said, said], now=now) == 0
    heard.place(now=now + heard.KEPT_FOR - timedelta(minutes=1))
    assert is_kept(said.ref)
    heard.place(now=now + heard.KEPT_FOR + timedelta(minutes=1))
    assert not is_kept(said.ref)


def test_a_receipt_about_an_id_that_a_centre_has_used_before_is_about_the_number_it_names(cast: Cast) -> None:
    harbour, rival = cast.clinic(), cast.clinic()
    given = refs(1)
    first = went(harbour, given, body="Hello", to=number(411))
    second = went(rival, given, body="Hello", to=number(412))
    heard.receipts(words=[word(harbour, given[0], to=number(411))], now=timezone.now())
    assert (the(harbour, first).state, the(rival, second).state) == ("delivered", "sent")


@pytest.mark.parametrize("count", [1, 3])
def test_a_receipt_that_says_that_somebody_opted_out_with_the_carrier_opts_them_out_here(cast: Cast, count: int) -> None:
    harbour = cast.clinic()
    ids = refs(count)
    went(harbour, ids, body=LONG if count > 1 else "Hi")
    said = [word(harbour, ref, State.UNDELIVERED) for ref in ids]
    blocked = [replace(one, error_code="21610") for one in said]  # what POSTMETER_SMPP_ERRORS makes of the vendor's code
    heard.receipts(words=blocked, now=at())
    assert consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[ANA]) == {ANA}
    start = Received(ANA, harbour.customer.sender, "START", "")
    heard.text(word=start, now=at())
    assert not consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[ANA])


def test_an_unknown_text_is_found_only_in_receipts_that_fit_all_its_parts(cast: Cast) -> None:
    harbour, to, now = cast.clinic(), number(421), timezone.now()
    given = refs()
    quoted = ["Your appointment is ", "", "e\u0301"]
    for ref, text in zip(given[:2], quoted, strict=False):
        heard.receipts(words=[word(harbour, ref, to=to, text=text)], now=now)
    ask = partial(heard.look_up, message=Outbound(1, harbour.customer.sender, to, LONG, ""), now=now + timedelta(minutes=3))
    assert ask(taken=frozenset()) is None
    heard.receipts(words=[word(harbour, given[2], State.UNDELIVERED, to=to, text=quoted[2])], now=now)
    found = ask(taken=frozenset())
    assert found is not None
    assert (found.state, set(found.ref.split(","))) == (State.UNDELIVERED, set(given))
    assert ask(taken=frozenset({f"other,{given[1]}"})) is None
    other = Outbound(1, harbour.customer.sender, to, "Other words. " * 30, "")
    assert heard.look_up(message=other, taken=frozenset(), now=now + timedelta(minutes=3)) is None
    assert heard.look_up(message=other, taken=frozenset(), now=now) is None


def test_the_trail_tells_part_by_part(cast: Cast) -> None:
    harbour = cast.clinic()
    given = refs()
    message_id = went(harbour, given)
    heard.receipts(words=[word(harbour, ref) for ref in given], now=timezone.now())
    trail = queries.trail(customer_id=harbour.id, message_id=message_id)
    titles = [step.title for step in steps(trail)]
    assert {"Part 1 of 3 delivered", "Part 2 of 3 delivered", "Part 3 of 3 delivered", "The phone confirmed it"} <= set(titles)
    assert explain(trail)[0] == "It was delivered."


def test_a_receipt_finds_its_message_by_an_index(cast: Cast) -> None:
    harbour = cast.clinic()
    went(harbour, refs(1), body="Hello")
    with scope.every_customer():
        calls.rows("SET LOCAL enable_seqscan = off")
        calls.rows("SET LOCAL enable_indexscan = off")
        plan = calls.rows(
            """EXPLAIN SELECT customer_id, id FROM messaging_message WHERE provider = 'smpp' AND provider_ref <> ''
               AND string_to_array(provider_ref, ',') && ARRAY['a'] AND id >= db_id_at(now() - interval '7 days')"""
        )
    assert any("Bitmap Index Scan on messaging_message" in row[0] and "string_to_array" in row[0] for row in plan), plan
