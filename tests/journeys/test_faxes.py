"""Faxes to a street of machines: drawn, held by the page, sent, and paid by the pages that arrived."""

import asyncio
from datetime import timedelta

import pytest
import typst
from django.conf import settings
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.db import scope
from postmeter.kit.refusals import NotCovered
from postmeter.messaging import media, queries, reconcile
from postmeter.messaging.explain import explain
from postmeter.messaging.models import Message
from postmeter.messaging.operations import fax
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.providers import Media
from tests.cast import Clinic, set_price
from tests.journeys.house import House
from tests.journeys.test_first_journey import dispatch_all
from tests.stage import until

PAGE = 70_000
PAGES = 4  # three of the document, and the cover sheet


@pytest.fixture(autouse=True)
def prices(harbour: Clinic) -> None:
    set_price(harbour, "fax", PAGE)


def drawn(clinic: Clinic, text: str = "Dear Dr Weiß") -> int:
    document = typst.compile(b"#lorem(50)\n#pagebreak()\n#lorem(50)\n#pagebreak()\n#lorem(50)", format="pdf")
    now = timezone.now()
    [file] = media.keep(customer_id=clinic.id, files=[Media("a.pdf", "", document)], actor=clinic.actor, now=now)
    return fax.draw_kept(customer_id=clinic.id, text=text, media_ids=[file], actor=clinic.actor, now=now)


def send(clinic: Clinic, last: str) -> int:
    now = timezone.now()
    asked = Submission(clinic.id, [f"+1555010{last}"], ["Dear Dr Weiß"], clinic.actor, channel="fax", media=[drawn(clinic)])
    return submit(asked, now=now).ids[0]


def ended(clinic: Clinic, message_id: int) -> tuple[str, int]:
    row = queries.message(customer_id=clinic.id, message_id=message_id)
    return row.state, row.charged_micros


@pytest.mark.parametrize(
    ("last", "state", "pages"),
    [
        ("7777", "delivered", PAGES),
        ("2100", "undelivered", 0),
        ("2101", "undelivered", 0),
        ("2102", "undelivered", 2),  # F54: what arrived is paid for, and nothing else
        ("2103", "undelivered", 0),  # nobody says how many
        ("2104", "failed", 0),
        ("0702", "delivered", PAGES),  # F44: told twice
        ("0429", "delivered", PAGES),  # F50
    ],
)
def test_a_fax_is_paid_by_the_pages_that_arrived(
    house: House, harbour: Clinic, last: str, state: str, pages: int
) -> None:  # S-040 S-044 A-07 F54
    before = harbour.posted
    sent = send(harbour, last)
    assert harbour.held == PAGES * PAGE
    for _ in range(6):
        dispatch_all(harbour.id)
        if ended(harbour, sent)[0] != "queued":
            break
        with scope.customer(harbour.id):
            Message.objects.filter(customer_id=harbour.id, id=sent).update(due_at=timezone.now())
    house.stage.settle()
    until(lambda: ended(harbour, sent)[0] == state, f"the fax to be {state}")
    assert (ended(harbour, sent)[1], harbour.held, before - harbour.posted) == (pages * PAGE, 0, pages * PAGE)
    said = " ".join(explain(queries.trail(customer_id=harbour.id, message_id=sent)))
    assert f"The fax is {PAGES} pages" in said
    assert ("2 of 4 pages arrived" in said) is (pages == 2)
    assert not [check.name for check in verify_all().checks if check.wrong]


def test_a_fax_whose_end_nobody_told_is_asked_about(house: House, harbour: Clinic) -> None:  # F46
    sent = send(harbour, "0700")
    dispatch_all(harbour.id)
    house.stage.settle()
    assert ended(harbour, sent) == ("sent", 0)
    soon, later = timezone.now() + timedelta(minutes=5), timezone.now() + timedelta(hours=2)
    asyncio.run(reconcile.sweep_all(settings=settings.PROVIDERS, now=soon))
    assert ended(harbour, sent) == ("sent", 0)
    asyncio.run(reconcile.sweep_all(settings=settings.PROVIDERS, now=later))
    assert ended(harbour, sent) == ("delivered", PAGES * PAGE)


def test_a_fax_that_was_taken_without_an_answer_is_found_by_its_label_and_never_sent_twice(
    house: House, harbour: Clinic
) -> None:  # F41 F42
    house.simulator.control("POST", "/faults", {"service": "sinch", "fault": "lose", "match": {"number": "*0501"}})
    sent = send(harbour, "0501")
    dispatch_all(harbour.id)
    assert ended(harbour, sent) == ("unknown", 0)
    house.stage.settle()
    asyncio.run(reconcile.sweep_all(settings=settings.PROVIDERS, now=timezone.now()))
    assert ended(harbour, sent) == ("delivered", PAGES * PAGE)
    taken = house.simulator.control("GET", "/log?kind=fax.accepted")["entries"]
    assert [entry["pages"] for entry in taken if entry["to"].endswith("0501")] == [PAGES]


def test_faxes_that_are_not_covered_do_not_go(harbour: Clinic) -> None:  # S-001 S-006
    many = [f"+1555011{n:04}" for n in range(600)]
    asked = Submission(harbour.id, many, [""] * 600, harbour.actor, channel="fax", media=[drawn(harbour, text="")])
    with pytest.raises(NotCovered):
        submit(asked, now=timezone.now())
    assert (harbour.held, harbour.posted) == (0, 100_000_000)
