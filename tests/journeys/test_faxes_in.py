"""Faxes that come in: kept before they are acknowledged, drawn to be looked at, paid by the page, at zero credit too."""

import asyncio
import base64
import http.client
import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import typst
from django.conf import settings
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.db import scope
from postmeter.events.models import Event
from postmeter.messaging import inbound, inbox, media
from postmeter.messaging.carriers.files import NotFetched
from postmeter.messaging.models import Inbound
from postmeter.messaging.models import Media as File
from postmeter.messaging.providers import basic
from postmeter.messaging.providers.sinch import USER
from tests.cast import Cast, Clinic, number, set_price
from tests.journeys.house import House

PAGE = 30_000
DOCTOR = number(77)
HUNG_UP = 0


def letter(pages: int) -> bytes:
    return bytes(typst.compile("\n#pagebreak()\n".join(["#lorem(60)"] * pages).encode(), format="pdf"))


def fax(house: House, clinic: Clinic, content: bytes, *, along: bool = True, phone: str = DOCTOR) -> None:
    asked: dict[str, Any] = {"phone": phone, "to": clinic.customer.sender, "along": along}
    house.simulator.control("POST", "/fax", asked | {"content": base64.b64encode(content).decode()})
    house.stage.settle()


def kept(clinic: Clinic) -> list[Inbound]:
    with scope.customer(clinic.id):
        return list(Inbound.objects.filter(customer_id=clinic.id).order_by("id"))


def drawn(clinic: Clinic) -> int:
    """What the worker's job does with each that came in."""
    with scope.customer(clinic.id):
        events = list(Event.objects.filter(customer_id=clinic.id, kind="message.received"))
    for event in events:
        inbound.fetch_files(event=event, settings=settings.PROVIDERS, now=timezone.now())
    return sum(inbound.draw_pages(event=event, now=timezone.now()) for event in events)


def files(clinic: Clinic) -> list[File]:
    [row] = kept(clinic)
    return media.listed(customer_id=clinic.id, message_ids=[row.id]).get(row.id, [])


def books_balance() -> bool:
    return not [(check.name, check.wrong) for check in verify_all().checks if check.wrong]


@pytest.mark.parametrize("along", [True, False])
def test_a_fax_comes_into_the_inbox_with_its_pages_and_is_paid_by_them(
    house: House, harbour: Clinic, along: bool
) -> None:  # S-040 S-060 S-062
    set_price(harbour, "fax", PAGE, direction="in")
    before = harbour.posted
    fax(house, harbour, letter(3), along=along)
    [row] = kept(harbour)
    assert (row.channel, row.sender, row.text, row.charged_micros) == ("fax", DOCTOR, "Fax, 3 pages", 3 * PAGE)
    assert before - harbour.posted == 3 * PAGE
    assert drawn(harbour) == 3
    assert drawn(harbour) == 0  # again changes nothing
    pdf, pages = files(harbour)
    assert (pdf.content_type, pdf.pages, pages.pages) == ("application/pdf", 0, 3)
    assert media.content(customer_id=harbour.id, media_id=pdf.id).content.startswith(b"%PDF")
    [found] = inbox.threads(customer_id=harbour.id, which="attention", member_id=harbour.master.member_id, at_most=5)
    assert found.person.faxes == (DOCTOR,)
    [line] = inbox.lines(customer_id=harbour.id, conversation=found)
    assert len(line.files) == 2
    assert books_balance()


def test_a_fax_that_is_told_twice_is_kept_and_paid_once(house: House, harbour: Clinic) -> None:
    set_price(harbour, "fax", PAGE, direction="in")
    before = harbour.posted
    house.simulator.control("POST", "/faults", {"service": "sinch", "fault": "duplicate", "match": {"event": "COMPLETED"}})
    fax(house, harbour, letter(1))
    assert (len(kept(harbour)), before - harbour.posted) == (1, PAGE)
    assert house.simulator.control("GET", "/faults")["fired"]["sinch.duplicate"] >= 1


def test_a_fax_with_a_wrong_password_is_not_taken_and_the_true_one_is(house: House, harbour: Clinic) -> None:
    house.simulator.control("POST", "/faults", {"service": "sinch", "fault": "bad_signature", "match": {"event": "COMPLETED"}})
    fax(house, harbour, letter(1))
    assert len(kept(harbour)) == 1


@pytest.mark.parametrize("content", [b"%PDF-1.7 broken", b"no document at all", b""])
def test_a_fax_that_cannot_be_drawn_is_kept_as_it_came(house: House, harbour: Clinic, content: bytes) -> None:
    fax(house, harbour, content)
    [row] = kept(harbour)
    assert row.text == "Fax, 1 page"
    if content:
        assert drawn(harbour) == 0
        [file] = files(harbour)
        assert media.content(customer_id=harbour.id, media_id=file.id).content == content
    else:
        with pytest.raises(NotFetched):  # the provider has nothing yet: the job is tried again
            drawn(harbour)


def test_a_large_fax_is_taken(house: House, harbour: Clinic) -> None:
    fax(house, harbour, letter(2) + b"%" * 12_000_000)
    assert drawn(harbour) == 2


def test_a_fax_comes_in_at_zero_credit_and_below_a_bound_it_is_free(house: House, cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    set_price(clinic, "fax", 2_000_000, direction="in")
    for _ in range(3):
        fax(house, clinic, letter(1))
    assert [row.charged_micros for row in kept(clinic)] == [2_000_000, 2_000_000, 0]
    assert books_balance()


def test_who_hides_their_number_is_kept_too(house: House, harbour: Clinic) -> None:
    fax(house, harbour, letter(1), phone="anonymous")
    [row] = kept(harbour)
    assert row.sender == "anonymous"


def test_a_fax_to_a_number_of_nobody_is_not_ours(house: House, harbour: Clinic) -> None:
    house.simulator.control("POST", "/fax", {"phone": DOCTOR, "to": "+15559999999", "content": ""})
    house.stage.settle()
    assert kept(harbour) == []


def test_doors_that_die_over_a_fax_hear_it_again_and_keep_it_once(house: House, harbour: Clinic) -> None:
    set_price(harbour, "fax", PAGE, direction="in")
    before = harbour.posted
    house.open_doors(crash_at="callbacks.text_written")
    asked = {"phone": DOCTOR, "to": harbour.customer.sender, "content": base64.b64encode(letter(1)).decode()}
    house.simulator.control("POST", "/fax", asked)
    house.wait_for_the_doors_to_die("callbacks.text_written")
    house.open_doors()
    house.stage.settle()
    assert (len(kept(harbour)), before - harbour.posted, drawn(harbour)) == (1, PAGE, 1)


def test_two_workers_that_draw_the_same_fax_keep_its_pages_once(house: House, harbour: Clinic) -> None:
    fax(house, harbour, letter(2))
    with scope.customer(harbour.id):
        [event] = Event.objects.filter(customer_id=harbour.id, kind="message.received")

    async def both() -> list[int]:
        draw = asyncio.to_thread
        return list(await asyncio.gather(*(draw(_draw, event) for _ in range(2))))

    assert sorted(asyncio.run(both())) == [0, 2]
    assert [file.pages for file in files(harbour)] == [0, 2]


def _draw(event: Event) -> int:
    from django.db import connections

    try:
        return inbound.draw_pages(event=event, now=timezone.now())
    finally:
        connections.close_all()


def told(clinic: Clinic, house: House, ref: str, content: bytes) -> urllib.request.Request:
    """The same call of Sinch's as often as somebody likes."""
    said = {
        "event": "INCOMING_FAX",
        "fax": {"id": ref, "direction": "INBOUND", "from": DOCTOR, "to": clinic.customer.sender, "numberOfPages": 1},
        "file": base64.b64encode(content).decode(),
    }
    headers = {"Content-Type": "application/json", "Authorization": basic(USER, settings.SINCH["callback_password"])}
    return urllib.request.Request(f"{house.stage.url}/callbacks/sinch/inbound", json.dumps(said).encode(), headers)


def answered(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except urllib.error.URLError:
        return HUNG_UP


def test_a_fax_that_is_told_by_many_at_once_is_kept_and_paid_once(house: House, harbour: Clinic) -> None:
    set_price(harbour, "fax", PAGE, direction="in")
    before, request = harbour.posted, told(harbour, house, "01RACE", letter(1))
    with ThreadPoolExecutor(8) as callers:
        assert set(callers.map(answered, [request] * 8)) == {200}
    assert (len(kept(harbour)), before - harbour.posted, drawn(harbour)) == (1, PAGE, 1)
    assert len(files(harbour)) == 2
    assert books_balance()


def test_a_fax_that_is_larger_than_may_be_is_refused_and_nothing_of_it_kept(house: House, harbour: Clinic) -> None:
    # The answer may come before all was said; then the line is cut.
    assert answered(told(harbour, house, "01LARGE", b"%" * 31_000_000)) in (413, HUNG_UP)
    assert kept(harbour) == []
    assert answered(told(harbour, house, "01SMALL", letter(1))) == 200


def test_a_fax_that_is_told_while_the_door_dies_is_told_again_and_kept_once(house: House, harbour: Clinic) -> None:
    set_price(harbour, "fax", PAGE, direction="in")
    before, request = harbour.posted, told(harbour, house, "01CRASH", letter(1))
    house.open_doors(crash_at="callbacks.text_written")
    try:
        with pytest.raises(http.client.HTTPException):
            answered(request)
    finally:
        house.open_doors()
    assert len(kept(harbour)) == 1  # written, and not acknowledged
    assert answered(request) == 200
    assert (len(kept(harbour)), before - harbour.posted, drawn(harbour)) == (1, PAGE, 1)
    assert books_balance()
