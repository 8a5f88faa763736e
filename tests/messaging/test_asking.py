"""Opt-in: asked once, just before the first message, which waits for the answer; without one it ends and costs nothing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connection

from postmeter.cli.checks import verify_all
from postmeter.consent import operations as consent
from postmeter.consent import queries as consents
from postmeter.consent.words import agrees
from postmeter.customers import operations as customers
from postmeter.db import scope
from postmeter.messaging import queries
from postmeter.messaging.answers import question
from postmeter.messaging.explain import explain
from postmeter.messaging.models import Message
from postmeter.messaging.operations import asking, dispatch
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.fax import draw_kept
from postmeter.notifications import news
from postmeter.rating import operations as rating
from postmeter.rating.models import PriceList
from tests.cast import FEE, PRICE, Cast, Clinic, at, number
from tests.messaging.test_inbound import ANA, answers, deliver, hear

EACH = PRICE + FEE
HOUR = timedelta(hours=1)


@pytest.fixture
def harbour(cast: Cast) -> Clinic:
    clinic = cast.clinic()
    customers.switch_opt_in(customer_id=clinic.id, wanted=True, now=at(), actor=clinic.actor)
    return clinic


def send(clinic: Clinic, text: str = "See you", *, to: str = ANA, until: datetime | None = None, kind: str = "ad_hoc") -> int:
    return submit(Submission(clinic.id, [to], [text], clinic.actor, kind=kind, useful_until=until), now=at()).ids[0]


def the(clinic: Clinic, id_: int) -> Message:
    return queries.message(customer_id=clinic.id, message_id=id_)


def said(clinic: Clinic) -> list[tuple[str, str]]:
    return [(row.said, row.words) for row in consents.evidence(customer_id=clinic.id, after=0, at_most=100)]


def test_the_first_message_is_preceded_by_a_question_and_goes_after_a_yes(harbour: Clinic) -> None:
    """S-049 S-050 S-052 S-053 S-054 S-056."""
    words = question(name="Harbour Physio")
    first, second = send(harbour), send(harbour, "And bring your card")
    assert deliver(harbour) == []
    assert "has not answered yet" in " ".join(explain(queries.trail(customer_id=harbour.id, message_id=first)))
    assert deliver(harbour) == [words], "one question for both"
    assert harbour.held == 2 * EACH
    hear(harbour, "Yes please!")
    assert sorted(deliver(harbour)) == sorted(["See you", "And bring your card", answers(harbour)[0].body])
    assert "Thank you" in answers(harbour)[0].body
    assert [the(harbour, id_).state for id_ in (first, second)] == ["delivered"] * 2
    send(harbour, "Third")
    assert deliver(harbour) == ["Third"], "nobody is asked twice"
    assert said(harbour) == [("asked", words), ("given", "Yes please!")]
    assert verify_all().ok


@pytest.mark.parametrize(("language", "yes"), [("es", "Sí"), ("fr", "Oui"), ("fr", "d'accord")])
def test_people_are_asked_in_the_customers_language_and_may_answer_in_it(
    harbour: Clinic, language: str, yes: str
) -> None:  # S-052
    customers.set_language(customer_id=harbour.id, language=language, now=at(), actor=harbour.actor)
    send(harbour)
    asked = question(name="Harbour Physio", language=language)
    deliver(harbour)  # asks
    assert deliver(harbour) == [asked]
    hear(harbour, yes)
    assert "See you" in deliver(harbour)
    assert said(harbour) == [("asked", asked), ("given", yes)]


def test_without_an_answer_it_ends_costs_nothing_and_is_told(harbour: Clinic) -> None:  # S-077 S-078 A-71
    before, now = harbour.posted, at()
    waiting, short = send(harbour), send(harbour, "Soon", until=now + 2 * HOUR)
    deliver(harbour)
    question_cost = EACH * 1
    deliver(harbour)
    assert before - harbour.posted == question_cost, "the question costs what a text costs"
    deliver(harbour, now + 2 * HOUR)
    assert (the(harbour, short).state, the(harbour, waiting).state) == ("expired", "queued")
    deliver(harbour, now + asking.ANSWER_WITHIN + HOUR)
    found = queries.trail(customer_id=harbour.id, message_id=waiting)
    assert (found.message.state, found.receipts[-1].status) == ("expired", "no_consent")
    assert "did not agree in time" in " ".join(explain(found))
    assert (harbour.held, before - harbour.posted) == (0, question_cost)
    news.tell_by_the_hour(customer_id=harbour.id, now=at() + HOUR)
    assert queries.ended_badly(customer_id=harbour.id, actor=harbour.actor, with_programs=False, since=now - HOUR) == (0, 1)
    later = send(harbour, "Again")
    deliver(harbour, now + asking.ANSWER_WITHIN + HOUR)
    assert the(harbour, later).state == "expired", "they are asked once"
    assert [kind for kind, _ in said(harbour)] == ["asked"]


def test_stop_to_the_question_is_an_opt_out(harbour: Clinic) -> None:
    waiting = send(harbour)
    deliver(harbour), deliver(harbour)
    hear(harbour, "STOP")
    deliver(harbour, at() + 2 * HOUR)
    assert the(harbour, waiting).state == "cancelled"
    assert [kind for kind, _ in said(harbour)] == ["asked", "withdrawn"]
    hear(harbour, "START")
    send(harbour, "Welcome back")
    assert "Welcome back" in deliver(harbour)
    assert said(harbour)[-1] == ("returned", "START")


@pytest.mark.parametrize("text", ["yes", "Y", "Yes!", "ok", "sí", "Oui", "START"])
def test_a_plain_yes_answers_the_question(harbour: Clinic, text: str) -> None:
    send(harbour)
    deliver(harbour), deliver(harbour)
    hear(harbour, text)
    assert "See you" in deliver(harbour)


def test_a_yes_that_nobody_asked_for_is_for_people(cast: Cast) -> None:
    clinic = cast.clinic()
    hear(clinic, "Yes")
    assert (said(clinic), answers(clinic)) == ([], [])
    assert not agrees("STOP") and not agrees("yes, but not on Tuesday")


def test_codes_go_at_once_and_so_does_everything_where_nobody_is_asked(harbour: Clinic, cast: Cast) -> None:
    other = cast.clinic(name="Rival Physio")
    send(harbour, "Your code is 123", kind="code")
    send(other, "Hello")
    assert (deliver(harbour), deliver(other)) == (["Your code is 123"], ["Hello"])


def test_a_question_that_is_not_covered_is_asked_when_there_is_credit(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=EACH)
    customers.switch_opt_in(customer_id=clinic.id, wanted=True, now=at(), actor=clinic.actor)
    send(clinic)
    now = at()
    assert deliver(clinic) == []
    assert deliver(clinic, now + HOUR) == []
    assert said(clinic) == []
    cast.give(clinic.id, clinic.pool, EACH)
    deliver(clinic, now + 3 * HOUR)
    assert deliver(clinic, now + 3 * HOUR) == [question(name="Harbour Physio")]
    assert verify_all().ok


def test_workers_that_claim_together_ask_each_person_once(harbour: Clinic) -> None:
    people = [number(300 + n) for n in range(12)]
    for _ in range(3):
        for person in people:
            send(harbour, to=person)

    def claim(_: int) -> None:
        try:
            dispatch.claim(customer_id=harbour.id, at_most=5, now=at())
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(claim, range(18)))
    asked = [message.recipient for message in queries.messages(customer_id=harbour.id, at_most=200) if message.kind == "opt_in"]
    assert sorted(asked) == people
    assert [kind for kind, _ in said(harbour)] == ["asked"] * 12


def test_consent_that_was_given_on_paper_counts(harbour: Clinic) -> None:
    words = "Signed the form of 3 March"
    for _ in range(2):
        consent.give(
            customer_id=harbour.id, channel="sms", address=ANA, source="form", words=words, now=at(), actor=harbour.actor
        )
    send(harbour)
    assert deliver(harbour) == ["See you"]
    assert said(harbour) == [("given", words)]


def fax(clinic: Clinic, kind: str) -> int:
    with scope.customer(clinic.id):
        found = PriceList.objects.get(customer_id=clinic.id)
        new = [rating.NewRate("fax", "out", "1", "US", 70_000, 0)]
        rating.set_rates(price_list=found, new=new, valid_from=at(), now=at(), actor="operator")
    pages = draw_kept(customer_id=clinic.id, text="Dear Dr Weiß", media_ids=[], actor=clinic.actor, now=at())
    asked = Submission(clinic.id, [ANA], ["Dear Dr Weiß"], clinic.actor, channel="fax", kind=kind, media=[pages])
    return submit(asked, now=at()).ids[0]


def test_a_fax_needs_no_opt_in(harbour: Clinic) -> None:  # S-051
    sent = fax(harbour, "contact")
    assert [message.id for message in dispatch.claim(customer_id=harbour.id, at_most=9, now=at())] == [sent]
    assert said(harbour) == []


def test_a_fax_that_advertises_goes_to_who_has_agreed_and_nobody_is_asked_by_fax(harbour: Clinic) -> None:  # S-051
    unasked = fax(harbour, "advertising")
    assert dispatch.claim(customer_id=harbour.id, at_most=9, now=at()) == []
    found = queries.trail(customer_id=harbour.id, message_id=unasked)
    assert (found.message.state, found.receipts[-1].status, harbour.held) == ("expired", "no_consent", 0)
    assert said(harbour) == []
    consent.give(customer_id=harbour.id, channel="fax", address=ANA, source="form", words="Signed", now=at(), actor=harbour.actor)
    agreed = fax(harbour, "advertising")
    assert [message.id for message in dispatch.claim(customer_id=harbour.id, at_most=9, now=at())] == [agreed]
