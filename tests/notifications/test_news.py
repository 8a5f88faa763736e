"""Mails about messages: to each member as often as they want, saying how many and never who or what."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core import mail

from postmeter.customers.models import Role
from postmeter.customers.queries import Seat
from postmeter.db import scope
from postmeter.kit.refusals import BadInput
from postmeter.messaging import inbox
from postmeter.messaging.operations import dispatch
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import State
from postmeter.notifications import mail as notices
from postmeter.notifications import news, queries
from postmeter.notifications.models import Notice
from tests.cast import Cast, Clinic, at, number
from tests.messaging.test_inbound import hear, threads

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def told(clinic: Clinic) -> list[tuple[str, int, int]]:
    """(address, new, errors) of each mail about messages."""
    with scope.customer(clinic.id):
        rows = list(Notice.objects.filter(customer_id=clinic.id, kind="news").order_by("id"))
    return [(row.address, row.facts["new"], row.facts["errors"]) for row in rows]


def often(seat: Seat, frequency: str, now: datetime) -> None:
    news.subscribe(customer_id=seat.customer_id, member_id=seat.member_id, frequency=frequency, now=now)


def test_a_member_is_mailed_when_a_message_comes_in_and_not_what_it_says(cast: Cast) -> None:  # S-061 S-073
    harbour = cast.clinic()
    hear(harbour, "My knee hurts again")
    for _ in range(2):
        news.tell_at_once(customer_id=harbour.id, now=at())
    assert told(harbour) == [(harbour.master.email, 1, 0)]
    with scope.customer(harbour.id):
        row = Notice.objects.get(customer_id=harbour.id, kind="news")
    mail.outbox.clear()
    notices.send(customer_id=harbour.id, notice_id=row.id, now=at())
    (sent,) = mail.outbox
    assert sent.subject == "You have a new message"
    assert "/inbox/" in sent.body and "/settings/me/" in sent.body
    assert "knee" not in sent.body and number(31) not in sent.body


def test_everybody_chooses_for_themselves_how_often(cast: Cast) -> None:  # S-079 S-080 S-082
    harbour = cast.clinic()
    hourly, daily, never = (cast.member(harbour, Role.SENDER) for _ in range(3))
    start = datetime(2027, 3, 10, 6, 30, tzinfo=ZoneInfo("America/New_York"))
    for seat, frequency in ((hourly, "hour"), (daily, "day"), (never, "never")):
        often(seat, frequency, start)
    for minutes in (1, 2, 3):
        hear(harbour, f"text {minutes}", now=start + minutes * MINUTE)
        news.tell_at_once(customer_id=harbour.id, now=start + minutes * MINUTE)
    assert [address for address, _, _ in told(harbour)] == [harbour.master.email] * 3
    for hours in range(1, 4):
        news.tell_by_the_hour(customer_id=harbour.id, now=start + hours * HOUR)
    assert told(harbour)[3:] == [(hourly.email, 3, 0), (daily.email, 3, 0)]
    hear(harbour, "later", now=start + 4 * HOUR)
    news.tell_by_the_hour(customer_id=harbour.id, now=start + 5 * HOUR)
    assert daily.email not in [address for address, _, _ in told(harbour)[5:]], "once a day"
    news.tell_by_the_hour(customer_id=harbour.id, now=start + 26 * HOUR)
    assert (daily.email, 1, 0) in told(harbour)[5:]
    assert never.email not in [address for address, _, _ in told(harbour)]
    with pytest.raises(BadInput):
        often(never, "yearly", start)


def test_stop_and_what_was_read_and_what_is_anothers_is_no_news(cast: Cast) -> None:
    harbour = cast.clinic()
    other = cast.member(harbour, Role.SENDER)
    hear(harbour, "STOP", sender=number(1))
    hear(harbour, "read already", sender=number(2))
    inbox.mark_read(customer_id=harbour.id, thread_id=threads(harbour)[0].thread.id)
    hear(harbour, "for the other", sender=number(3))
    inbox.assign(
        customer_id=harbour.id,
        thread_id=threads(harbour)[0].thread.id,
        member_id=other.member_id,
        actor=harbour.actor,
        now=at(),
    )
    news.tell_at_once(customer_id=harbour.id, now=at())
    assert told(harbour) == [(other.email, 1, 0)]


def test_a_number_that_does_not_exist_is_told_to_who_wrote_to_it(cast: Cast) -> None:  # S-076
    harbour = cast.clinic()
    sender, program = cast.member(harbour, Role.SENDER), "key:1"
    for who, code in ((f"member:{sender.member_id}", "30005"), (program, "21614"), (program, "30003")):
        id_ = submit(Submission(harbour.id, [number(5)], ["Hi"], who), now=at()).ids[0]
        dispatch.claim(customer_id=harbour.id, at_most=10, now=at())
        fact = Fact(id_, "callback", "twilio", State.UNDELIVERED, f"SM{id_}", "undelivered", code)
        record(customer_id=harbour.id, facts=[fact], now=at())
    for _ in range(2):
        news.tell_by_the_hour(customer_id=harbour.id, now=at() + MINUTE)
    assert sorted(told(harbour)) == sorted([(sender.email, 0, 1), (harbour.master.email, 0, 1)])
    assert queries.notices(customer_id=harbour.id) == [], "the list of what was told about credit is not about messages"
