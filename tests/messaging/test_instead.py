"""Where credit is short, a text goes as a free email to whom we know an address of."""

from uuid import uuid4

import pytest
from django.conf import settings

from postmeter.consent import operations as consent
from postmeter.messaging import queries
from postmeter.messaging.explain import explain
from postmeter.messaging.models import Message
from postmeter.messaging.operations.accept import NotCoveredList, Submission, TooManyEmails, submit
from postmeter.messaging.operations.instead import submit_or_email
from tests.cast import FEE, PRICE, Cast, Clinic, at, knows, number

EACH = PRICE + FEE


def texts(clinic: Clinic, *who: int, **more: object) -> Submission:
    to = [number(n) for n in who]
    return Submission(clinic.id, to, ["See you at ten"] * len(to), clinic.actor, **more)  # type: ignore[arg-type]


def messages(clinic: Clinic) -> dict[str, Message]:
    return {row.recipient: row for row in queries.messages(customer_id=clinic.id)}


def test_what_the_credit_covers_goes_as_a_text_and_the_rest_by_email_for_nothing(cast: Cast) -> None:  # A-43 S-006 S-045
    clinic = cast.clinic(credit_micros=EACH + 1)
    for n in (1, 2, 3):
        knows(clinic, n, f"p{n}@patients.example", f"other{n}@patients.example")
    accepted = submit_or_email(texts(clinic, 1, 2, 3), subject="Your visit", now=at())
    sent = messages(clinic)
    assert set(sent) == {number(1), "p2@patients.example", "p3@patients.example"}
    assert [sent[to].id for to in (number(1), "p2@patients.example", "p3@patients.example")] == accepted.ids
    assert (sent["p2@patients.example"].subject, sent["p2@patients.example"].text) == ("Your visit", "See you at ten")
    assert clinic.held == EACH
    told = explain(queries.trail(customer_id=clinic.id, message_id=accepted.ids[1]))
    assert any("credit did not cover" in sentence for sentence in told)


def test_a_list_goes_whole_or_not_at_all_when_somebody_can_be_reached_neither_way(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=EACH)
    knows(clinic, 2, "p2@patients.example")
    with pytest.raises(NotCoveredList):
        submit_or_email(texts(clinic, 1, 2, 3), now=at())
    assert (messages(clinic), clinic.held) == ({}, 0)
    accepted = submit_or_email(texts(clinic, 1, 2, 3, whole=False), now=at())
    assert accepted.words == ["ok", "ok", "exceeds_available"]


@pytest.mark.parametrize("credit", [0, EACH])
def test_a_repeat_with_the_same_key_answers_the_same_and_sends_nothing_more(cast: Cast, credit: int) -> None:
    clinic, key = cast.clinic(credit_micros=credit), uuid4()
    for n in (1, 2):
        knows(clinic, n, f"p{n}@patients.example")
    first = submit_or_email(texts(clinic, 1, 2, key=key, digest=key), now=at())
    again = submit_or_email(texts(clinic, 1, 2, key=key, digest=key), now=at())
    assert (again.ids, again.words) == (first.ids, ["exists", "exists"])
    assert len(messages(clinic)) == 2


def test_one_text_for_nobody_who_can_be_emailed_is_refused_as_ever(cast: Cast) -> None:
    with pytest.raises(NotCoveredList):
        submit_or_email(texts(cast.clinic(credit_micros=0), 1), now=at())


def test_whoever_wants_no_emails_gets_none_instead_either(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    knows(clinic, 1, "p1@patients.example")
    consent.opt_out(customer_id=clinic.id, channel="email", address="p1@patients.example", source="reply", now=at(), actor="x")
    with pytest.raises(NotCoveredList):
        submit_or_email(texts(clinic, 1), now=at())
    assert messages(clinic) == {}


def test_another_customers_addresses_are_not_used(cast: Cast) -> None:  # I24
    clinic, rival = cast.clinic(credit_micros=0), cast.clinic()
    knows(rival, 1, "p1@patients.example")
    with pytest.raises(NotCoveredList):
        submit_or_email(texts(clinic, 1), now=at())


def test_emails_have_an_hourly_limit_of_their_own(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "EMAILS_PER_HOUR", 3)
    clinic = cast.clinic()
    emails = Submission(clinic.id, ["a@x.example", "b@x.example"], ["Hi\nthere"] * 2, clinic.actor, channel="email")
    submit(emails, now=at())
    with pytest.raises(TooManyEmails, match="3 emails an hour; 2 were"):
        submit(emails, now=at())
