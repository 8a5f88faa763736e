"""Quiet hours: what would come in the night waits for the recipient's morning, and what is of no use by then does not go."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from postmeter.cli.checks import verify_all
from postmeter.customers import operations as customers
from postmeter.kit.refusals import BadInput
from postmeter.messaging import queries
from postmeter.messaging.explain import explain
from postmeter.messaging.operations import dispatch
from postmeter.messaging.operations.accept import Submission, submit, submit_together
from tests.cast import FEE, PRICE, Cast, Clinic, at

EACH = PRICE + FEE
EAST, WEST = "+12125551212", "+14155550111"


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York"))


NIGHT, MORNING = new_york("2027-03-10T22:30"), new_york("2027-03-11T08:00")


@pytest.fixture
def harbour(cast: Cast) -> Clinic:
    clinic = cast.clinic()
    customers.switch_quiet_hours(customer_id=clinic.id, kept=True, now=at(), actor=clinic.actor)
    return clinic


def send(clinic: Clinic, to: str, *, kind: str = "ad_hoc", mode: str = "live", until: datetime | None = None) -> int:
    return submit(
        Submission(clinic.id, [to], ["See you"], clinic.actor, mode=mode, kind=kind, useful_until=until), now=NIGHT
    ).ids[0]


def claim(clinic: Clinic, now: datetime) -> list[int]:
    return [message.id for message in dispatch.claim(customer_id=clinic.id, at_most=100, now=now)]


def test_a_text_of_the_night_waits_for_the_recipients_morning_and_says_why(harbour: Clinic) -> None:
    east, west = send(harbour, EAST), send(harbour, WEST)
    assert claim(harbour, NIGHT) == [west], "it is half past seven on the other coast"
    told = queries.trail(customer_id=harbour.id, message_id=east)
    assert (told.message.state, told.message.due_at) == ("queued", MORNING)
    assert "where the recipient is" in " ".join(explain(told))
    assert harbour.held == 2 * EACH
    assert claim(harbour, MORNING - timedelta(seconds=1)) == []
    assert claim(harbour, MORNING) == [east]


def test_what_is_of_no_use_in_the_morning_ends_and_costs_nothing(harbour: Clinic) -> None:
    lapses, lasts = send(harbour, EAST, until=MORNING), send(harbour, EAST, until=MORNING + timedelta(hours=1))
    assert claim(harbour, NIGHT) == []
    ended = queries.trail(customer_id=harbour.id, message_id=lapses)
    assert (ended.message.state, ended.receipts[-1].status) == ("expired", "quiet_hours")
    assert queries.message(customer_id=harbour.id, message_id=lasts).state == "queued"
    assert harbour.held == EACH
    assert verify_all().ok


def test_codes_and_the_sandbox_know_no_night_and_neither_does_who_keeps_none(harbour: Clinic, cast: Cast) -> None:
    wakeful = cast.clinic(name="Night Shift")
    assert claim(harbour, NIGHT) == []
    code, played = send(harbour, EAST, kind="code"), send(harbour, EAST, mode="test")
    assert set(claim(harbour, NIGHT)) == {code, played}
    text = send(wakeful, EAST)
    assert claim(wakeful, NIGHT) == [text]


def test_a_kind_decides_whether_and_how_long_a_message_waits_for_credit(cast: Cast) -> None:  # A-43 A-44
    poor = cast.clinic(credit_micros=0)
    now = at()
    kinds = ["notice", "billing", "late_payment", "form", "reminder", "contact", "ad_hoc"]
    answers = submit_together([Submission(poor.id, [EAST], ["Hi"], "key:1", kind=kind) for kind in kinds], now=now)
    words = [answer.words[0] if not isinstance(answer, Exception) else answer.code for answer in answers]
    assert words == ["waits"] * 4 + ["exceeds_available"] * 3
    lasting = {row.kind: row.useful_until for row in queries.messages(customer_id=poor.id)}
    assert lasting == {
        "notice": now + timedelta(hours=24),
        "billing": now + timedelta(days=7),
        "late_payment": now + timedelta(days=7),
        "form": now + timedelta(days=7),
    }
    soon = now + timedelta(hours=3)
    found = submit(Submission(poor.id, [EAST], ["Hi"], "key:1", kind="reminder", useful_until=soon), now=now)
    assert found.words == ["waits"]
    with pytest.raises(BadInput) as refused:
        submit(Submission(poor.id, [EAST], ["Hi"], "key:1", kind="answer"), now=now)
    assert refused.value.field == "kind"
