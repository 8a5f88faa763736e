"""The page of what waits for credit, and the one mail about it (A-43)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.utils import timezone

from postmeter.customers.models import Role
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import MICROS
from postmeter.messaging import queries, queue
from postmeter.messaging.operations import wait
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.notifications import mail as notices
from postmeter.notifications import rounds
from postmeter.notifications.models import Notice
from postmeter.notifications.queries import next_morning
from tests.cast import FEE, PRICE, Cast, Clinic, at, number
from tests.messaging.test_wait import waiting
from tests.web.conftest import SignedIn
from tests.web.test_records import words_of

PAGE = "/messages/waiting/"
EACH = PRICE + FEE
NEW_YORK = ZoneInfo("America/New_York")


def many(clinic: Clinic, count: int, until: datetime) -> None:
    numbers, texts = [number(n) for n in range(count)], ["See you"] * count
    submit(Submission(clinic.id, numbers, texts, clinic.actor, wait=True, useful_until=until), now=at())


def test_nothing_waits_where_everything_is_covered(cast: Cast, signed_in: SignedIn) -> None:
    assert "Nothing waits" in words_of(signed_in(cast.clinic().master).get(PAGE).content.decode())


def test_it_says_how_many_wait_which_lapse_and_what_a_top_up_would_release(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=0)
    morning = next_morning(at(), NEW_YORK)
    many(clinic, 5, morning - timedelta(minutes=1))
    many(clinic, 1_200, morning + timedelta(days=2))
    browser = signed_in(clinic.master)
    shown = words_of(browser.get(PAGE).content.decode())
    assert "1,205 messages wait for $13.7370 of credit, and 5 of them will lapse by" in shown
    assert f"$10.00 {10 * MICROS // EACH} of 1,205" in shown
    assert "$13.74 1,205 of 1,205" in shown
    assert "The first 100 of 1,205." in shown
    listed = words_of(browser.get("/messages/").content.decode())
    assert "needs $0.0114" in listed and "$0.0114 held" not in listed, "what waits holds nothing"
    page = browser.get(PAGE).content.decode()
    assert "/credit/top-up/?amount=13.74&amp;next=/messages/waiting/" in page
    assert 'href="/messages/waiting/"' in browser.get("/").content.decode(), "the overview leads here"


def test_what_is_said_to_be_released_is_released(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    many(clinic, 10, at() + timedelta(hours=1))
    amounts = [0, EACH - 1, EACH, 7 * EACH + 1, 10 * EACH, 99 * EACH]
    said = queue.released(customer_id=clinic.id, wallet_id=clinic.pool.id, micros=amounts)
    assert said == [0, 0, 1, 7, 10, 10]
    cast.give(clinic.id, clinic.pool, 7 * EACH + 1)
    assert wait.resume(customer_id=clinic.id, now=at()) == 7
    assert queue.queue(customer_id=clinic.id, wallet_id=clinic.pool.id, by=at()).count == 3


def test_one_is_taken_back_from_there(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=0)
    [message_id] = waiting(clinic, 1).ids
    browser = signed_in(clinic.master)
    cancel = f"/messages/{public_ids().encode('SM', message_id)}/cancel/"
    assert cancel in browser.get(PAGE).content.decode()
    browser.post(cancel)
    assert queries.message(customer_id=clinic.id, message_id=message_id).state == "cancelled"
    assert "Nothing waits" in words_of(browser.get(PAGE).content.decode())


def test_who_may_not_read_messages_or_belongs_elsewhere_sees_nothing_of_it(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=0)
    waiting(clinic, 3)
    assert "Nothing waits" in words_of(signed_in(cast.clinic().master).get(PAGE).content.decode())
    reader = signed_in(cast.member(clinic, Role.BILLING_ADMIN)).get(PAGE).content.decode()
    assert "3 messages wait" in words_of(reader)
    assert "Take back" not in reader, "who may not send takes nothing back"


def tell(clinic: Clinic, now: datetime) -> Notice | None:
    return rounds.tell_of_waiting(customer_id=clinic.id, wallet_id=clinic.pool.id, now=now)


def test_one_mail_a_day_names_how_many_wait_and_lapse(cast: Cast) -> None:
    clinic, now = cast.clinic(credit_micros=0), timezone.now()
    assert tell(clinic, now) is None
    morning = next_morning(now, NEW_YORK)
    many(clinic, 5, morning)
    many(clinic, 32, morning + timedelta(days=1))
    assert (clinic.id, clinic.pool.id) in queue.waiting_wallets()
    notice = tell(clinic, now)
    assert notice is not None
    assert tell(clinic, now) is None
    notices.send(customer_id=clinic.id, notice_id=notice.id, now=now)
    sent = mail.outbox[-1]
    assert (sent.to, sent.subject) == ([clinic.customer.email], "37 messages wait for credit, 5 will lapse soon")
    assert "5 of them will be of no use any more by 09:00" in sent.body
    assert "/messages/waiting/" in sent.body
    assert tell(clinic, now + timedelta(days=1)) is not None, "what still waits is told again the next day"


@pytest.mark.parametrize(
    ("now", "nine"),
    [
        ("2026-11-23T08:59-05:00", "2026-11-23T09:00-05:00"),
        ("2026-11-23T09:00-05:00", "2026-11-24T09:00-05:00"),
        ("2026-11-23T23:30-05:00", "2026-11-24T09:00-05:00"),
        ("2026-03-07T22:00-05:00", "2026-03-08T09:00-04:00"),  # the night of the leap forward
        ("2026-10-31T22:00-04:00", "2026-11-01T09:00-05:00"),  # and back
    ],
)
def test_the_next_morning_is_nine_where_the_customer_is(now: str, nine: str) -> None:
    found = next_morning(datetime.fromisoformat(now).astimezone(UTC), NEW_YORK)
    assert found == datetime.fromisoformat(nine)
