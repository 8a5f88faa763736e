"""From bought credit to a telephone that really rings: our doors, the trunk, and the telephones behind its carrier."""

import asyncio
import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest
import typst
from django.conf import settings
from django.utils import timezone

from postmeter.consent.models import OptOut
from postmeter.db import scope
from postmeter.messaging import callsettings, media, queries
from postmeter.messaging.callsettings import CallRules
from postmeter.messaging.explain import explain
from postmeter.messaging.models import Message
from postmeter.messaging.operations import fax
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.providers import Media
from postmeter.trunk.voices import spoken
from tests.cast import Clinic, set_price
from tests.journeys.house import House, set_in_environment
from tests.journeys.test_calls import books_balance
from tests.journeys.test_first_journey import dispatch_all
from tests.stage import until
from tests.trunk.conftest import needs_telephony
from tests.trunk.street import SECRET, Street
from tests.trunk.test_calls import likeness
from tests.trunk.test_faxes import frames

MINUTE, PAGE = 30_000, 70_000
TEXT = "Your visit is on Tuesday at nine."
PRACTICE = "+15550107704"  # takes the call, and hangs up after a second


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    needs_telephony()
    with Street(tmp_path_factory.mktemp("street")) as street:
        yield street


@pytest.fixture(scope="module")
def house(database: str, street: Street) -> Iterator[House]:
    told = street.environment()
    ours = {name: told[name] for name in ("POSTMETER_SIP_HOST", "POSTMETER_SIP_URL", "POSTMETER_SIP_SECRET")}
    with set_in_environment(**ours), House(database, f"{database.rsplit('/', 1)[1]}_house") as house:
        yield house


@pytest.fixture(autouse=True)
def by_the_trunk(street: Street, harbour: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.PROVIDERS, "sip", {"url": f"http://127.0.0.1:{street.port}", "secret": SECRET})
    monkeypatch.setitem(settings.ROUTES, "voice", ("sip",))
    monkeypatch.setitem(settings.ROUTES, "fax", ("sip",))
    set_price(harbour, "voice", MINUTE)
    set_price(harbour, "fax", PAGE)


def call(clinic: Clinic, number: str) -> int:
    useful = timezone.now() + timedelta(days=1)
    asked = Submission(clinic.id, [f"+{number}"], [TEXT], clinic.actor, channel="voice", kind="reminder", useful_until=useful)
    sent = submit(asked, now=timezone.now()).ids[0]
    dispatch_all(clinic.id)
    return sent


def ended(clinic: Clinic, sent: int) -> Message:
    until(lambda: not queries.message(customer_id=clinic.id, message_id=sent).is_open, "it to end")
    return queries.message(customer_id=clinic.id, message_id=sent)


def told(clinic: Clinic, sent: int) -> str:
    return " ".join(explain(queries.trail(customer_id=clinic.id, message_id=sent)))


def test_a_reminder_is_heard_and_paid_by_its_minute(street: Street, harbour: Clinic) -> None:  # S-042 S-044
    before = harbour.posted
    row = ended(harbour, call(harbour, "15550107155"))
    assert (row.provider, row.state, row.charged_micros, harbour.held) == ("sip", "delivered", MINUTE, 0)
    assert before - harbour.posted == MINUTE
    assert likeness(asyncio.run(spoken("Polly.Joanna", TEXT)), street.heard_by("15550107155")) > 0.9
    assert books_balance()


def test_keys_opt_out_and_put_through_and_both_legs_are_paid(harbour: Clinic) -> None:  # S-065 A-06 A-74
    responding = CallRules(responses=True, confirms=True, cancels=True, talk_number=PRACTICE)
    callsettings.save(customer_id=harbour.id, wanted=responding, actor=harbour.actor, now=timezone.now())
    out, talks = call(harbour, "15550107119"), call(harbour, "15550107110")
    assert (ended(harbour, out).state, ended(harbour, talks).state) == ("delivered", "delivered")
    with scope.customer(harbour.id):
        assert list(OptOut.objects.filter(customer_id=harbour.id).values_list("address", "source")) == [("+15550107119", "key")]
        leg = Message.objects.get(customer_id=harbour.id, kind="talk")
    leg = ended(harbour, leg.id)
    assert (leg.state, leg.recipient, leg.charged_micros, harbour.held) == ("delivered", PRACTICE, MINUTE, 0)
    assert books_balance()


def test_pages_arrive_and_are_paid_for(street: Street, harbour: Clinic) -> None:  # S-040 S-046 A-07
    now, document = timezone.now(), typst.compile(b"Results", format="pdf")
    [file] = media.keep(customer_id=harbour.id, files=[Media("a.pdf", "", document)], actor=harbour.actor, now=now)
    drawn = fax.draw_kept(customer_id=harbour.id, text="Dear Dr Weiß", media_ids=[file], actor=harbour.actor, now=now)
    asked = Submission(harbour.id, ["+15550107130"], ["Dear Dr Weiß"], harbour.actor, channel="fax", media=[drawn])
    sent = submit(asked, now=now).ids[0]
    dispatch_all(harbour.id)
    row = ended(harbour, sent)
    assert (row.state, row.charged_micros, harbour.held) == ("delivered", 2 * PAGE, 0)
    assert len(frames(street.folder / "15550107130.tiff")) == 2
    assert books_balance()


@pytest.mark.parametrize(
    ("number", "state", "words"),
    [
        ("15550107100", "undelivered", "Nobody heard it. The line was busy."),
        ("15550107102", "failed", "The number does not exist or is no longer in service. (error sip-404)"),
    ],
)
def test_a_call_that_nobody_takes_costs_nothing_and_says_why(
    harbour: Clinic, number: str, state: str, words: str
) -> None:
    sent = call(harbour, number)
    row = ended(harbour, sent)
    assert (row.state, row.charged_micros, harbour.held) == (state, 0, 0)
    assert words in told(harbour, sent)


def test_while_the_trunk_is_down_calls_wait_and_none_is_lost(street: Street, harbour: Clinic) -> None:
    street.stop()
    sent = call(harbour, "15550107171")
    assert queries.message(customer_id=harbour.id, message_id=sent).state == "queued"
    street.start()
    with scope.customer(harbour.id):
        Message.objects.filter(customer_id=harbour.id, id=sent).update(due_at=timezone.now())
    dispatch_all(harbour.id)
    assert ended(harbour, sent).state == "delivered"
    assert street.count(rings="15550107171") == 1


def test_a_trunk_that_dies_over_a_call_leaves_it_undelivered_and_its_minute_paid(street: Street, harbour: Clinic) -> None:
    sent = call(harbour, "15550107172")
    until(lambda: street.has(answered="15550107172"), "an answer")
    until(lambda: answered(harbour, sent), "our side to know")
    street.stop(signal.SIGKILL)
    street.start()
    row = ended(harbour, sent)
    assert (row.state, row.charged_micros, harbour.held) == ("undelivered", MINUTE, 0)
    assert street.count(rings="15550107172") == 1
    assert books_balance()


def answered(clinic: Clinic, sent: int) -> bool:
    return any(receipt.status == "answered" for receipt in queries.trail(customer_id=clinic.id, message_id=sent).receipts)
