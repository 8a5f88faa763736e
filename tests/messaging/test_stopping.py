"""How far a wish to be left alone reaches: a kind of message, a channel, or everything (A-72, 47 CFR 64.1200(a)(10))."""

from datetime import timedelta

import pytest
from django.db import DatabaseError

from postmeter.consent import operations as consent
from postmeter.consent import queries as consents
from postmeter.consent.models import ALL, CHANNEL, EVERYTHING, StopRule
from postmeter.contacts.models import Address
from postmeter.db import calls, scope
from postmeter.kit.refusals import BadInput
from postmeter.messaging import queries
from postmeter.messaging.explain import explain
from postmeter.messaging.kinds import PURPOSES
from postmeter.messaging.operations import dispatch, quote, stopping
from postmeter.messaging.operations.accept import Accepted, Submission, submit, submit_together
from postmeter.messaging.operations.quote import Wanted
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.operations.stopping import Stop
from postmeter.messaging.states import State
from tests.cast import Cast, Clinic, at, number
from tests.messaging.test_inbound import ANA, hear

ANNS = "ana@patients.example"


def out_of(clinic: Clinic) -> set[tuple[str, str, str]]:
    rows = consents.opt_outs(customer_id=clinic.id, addresses=[ANA, ANNS, number(5)])
    return {(row.channel, row.address, row.purpose) for row in rows}


def stop(clinic: Clinic, purpose: str = ALL, *, channel: str = "sms", address: str = ANA) -> int:
    asked = Stop(channel, address, "page", "recipient", purpose=purpose)
    return stopping.stop(customer_id=clinic.id, stops=[asked], now=at())


def everything(clinic: Clinic, *, after: timedelta = timedelta()) -> None:
    now = at()
    consent.set_stop_rule(customer_id=clinic.id, reach=EVERYTHING, since=now + after, actor=clinic.actor, now=now)


def has_an_email(clinic: Clinic) -> None:
    with scope.customer(clinic.id):
        contact = calls.next_id()
        for medium, value in (("phone", ANA), ("email", ANNS)):
            Address.objects.create(
                customer_id=clinic.id, id=calls.next_id(), contact_id=contact, medium=medium, value=value, created_at=at()
            )


def test_who_wants_no_messages_of_one_kind_gets_all_others(cast: Cast) -> None:
    harbour = cast.clinic()
    assert stop(harbour, "billing") == 1 and stop(harbour, "billing") == 0
    kinds = ["billing", "late_payment", "reminder", "code"]
    asked = [Submission(harbour.id, [ANA], ["Hi"], harbour.actor, kind=kind) for kind in kinds]
    answers = submit_together(asked, now=at())
    assert [isinstance(answer, Accepted) for answer in answers] == [False, True, True, True]
    with pytest.raises(BadInput) as refused:
        submit(asked[0], now=at())
    assert (refused.value.field, "opted out" in str(refused.value)) == ("to", True)
    assert queries.messages(customer_id=harbour.id)[0].kind == "code"


def test_one_kind_that_was_stopped_while_it_waited_ends_and_costs_nothing(cast: Cast) -> None:
    harbour = cast.clinic()
    sent = {
        kind: submit(Submission(harbour.id, [ANA], ["Hi"], harbour.actor, kind=kind), now=at()).ids[0]
        for kind in ("billing", "reminder")
    }
    held = harbour.held
    stop(harbour, "billing")
    assert [message.id for message in dispatch.claim(customer_id=harbour.id, at_most=9, now=at())] == [sent["reminder"]]
    found = queries.trail(customer_id=harbour.id, message_id=sent["billing"])
    assert (found.message.state, harbour.held) == ("cancelled", held // 2)
    assert "opted out before it went" in " ".join(explain(found))


def test_a_quote_leaves_out_who_wants_nothing_written_by_hand_and_nobody_for_other_kinds(cast: Cast) -> None:
    harbour = cast.clinic()
    stop(harbour, "ad_hoc")
    stop(harbour, "billing", address=number(5))
    wanted = [Wanted(ANA, "Hi"), Wanted(number(5), "Hi")]
    made = quote.make(customer_id=harbour.id, wanted=wanted, actor=harbour.actor, now=at())
    assert (made.recipients, made.excluded) == (1, 1)


def test_a_stop_by_text_is_for_every_kind_on_its_channel_and_start_takes_that_back_alone(cast: Cast) -> None:
    harbour = cast.clinic()
    has_an_email(harbour)
    stop(harbour, "advertising")
    hear(harbour, "STOP")
    assert out_of(harbour) == {("sms", ANA, ALL), ("sms", ANA, "advertising")}
    assert stop(harbour, "billing") == 0, "it is in the STOP already"
    hear(harbour, "START")
    assert out_of(harbour) == {("sms", ANA, "advertising")}
    told = consents.evidence_of(customer_id=harbour.id, addresses=[ANA], at_most=9)
    assert [(row.purpose, row.said, row.words) for row in told] == [
        (ALL, "returned", "START"),
        (ALL, "withdrawn", "STOP"),
        ("advertising", "withdrawn", ""),
    ]


def test_where_a_stop_is_for_everything_it_reaches_every_address_of_theirs_from_its_day_on(cast: Cast) -> None:
    harbour, rival = cast.clinic(), cast.clinic(name="Rival Physio")
    has_an_email(harbour)
    everything(harbour, after=timedelta(days=60))
    stop(harbour)
    assert out_of(harbour) == {("sms", ANA, ALL)}, "its day has not come"
    everything(harbour)
    stop(harbour, "billing", channel="email", address=ANNS)
    assert ("email", ANNS, ALL) not in out_of(harbour), "one kind is one kind"
    assert stop(harbour) == 0, "the same STOP again is no news to them"
    assert {row[:2] for row in out_of(harbour) if row[2] == ALL} == {("sms", ANA), ("fax", ANA), ("voice", ANA), ("email", ANNS)}
    with pytest.raises(BadInput):
        submit(Submission(harbour.id, [ANNS], ["Hi\nHi"], harbour.actor, channel="email"), now=at())
    assert out_of(rival) == set()
    told = consents.evidence_of(customer_id=harbour.id, addresses=[ANNS], at_most=9)
    assert [(row.purpose, row.source) for row in told] == [(ALL, "page on sms"), ("billing", "page")]


def test_a_block_by_the_provider_reaches_as_far_as_their_stop_would_have(cast: Cast) -> None:
    harbour = cast.clinic()
    has_an_email(harbour)
    everything(harbour)
    sent = submit(Submission(harbour.id, [ANA], ["Hi"], harbour.actor), now=at()).ids[0]
    dispatch.claim(customer_id=harbour.id, at_most=9, now=at())
    word = Fact(sent, "reply", "twilio", State.FAILED, error_code="21610", refused=True, opted_out=True)
    for _ in range(2):
        record(customer_id=harbour.id, facts=[word], now=at())
    assert ("email", ANNS, ALL) in out_of(harbour)


def test_a_wrong_number_is_nobodys_wish_about_their_other_addresses(cast: Cast) -> None:
    harbour = cast.clinic()
    has_an_email(harbour)
    everything(harbour)
    hear(harbour, "Wrong number")
    assert out_of(harbour) == {("sms", ANA, ALL), ("fax", ANA, ALL), ("voice", ANA, ALL)}


def test_the_rule_is_data_with_a_day_and_what_was_set_is_never_changed(cast: Cast) -> None:
    harbour, now = cast.clinic(), at()
    assert consents.stop_rules(customer_id=harbour.id, now=now) == (CHANNEL, [])
    day = now + timedelta(days=68)
    for reach in (EVERYTHING, CHANNEL, EVERYTHING):
        consent.set_stop_rule(customer_id=harbour.id, reach=reach, since=day, actor=harbour.actor, now=now)
    held, later = consents.stop_rules(customer_id=harbour.id, now=now)
    assert (held, [(row.reach, row.since) for row in later]) == (CHANNEL, [(EVERYTHING, day)]), "the last word of a day holds"
    assert consents.stop_rules(customer_id=harbour.id, now=day)[0] == EVERYTHING
    for reach, since, field in (("planet", day, "reach"), (CHANNEL, now - timedelta(seconds=1), "since")):
        with pytest.raises(BadInput) as refused:
            consent.set_stop_rule(customer_id=harbour.id, reach=reach, since=since, actor=harbour.actor, now=now)
        assert refused.value.field == field
    with scope.customer(harbour.id), pytest.raises(DatabaseError):
        StopRule.objects.filter(customer_id=harbour.id).update(reach=CHANNEL)


WRITTEN = {"on": "sms", "to": ANA, "region": "US", "purpose": "billing", "words": "On the phone, 3 March", "source": "member"}


def test_a_member_writes_down_what_somebody_asked_for_and_that_they_came_back(cast: Cast) -> None:
    harbour = cast.clinic()
    for new in (True, False):
        assert stopping.write_down(customer_id=harbour.id, actor=harbour.actor, now=at(), **WRITTEN) is new
    for new in (True, False):
        assert stopping.take_back(customer_id=harbour.id, actor=harbour.actor, now=at(), **WRITTEN) is new
    told = consents.evidence_of(customer_id=harbour.id, addresses=[ANA], at_most=9)
    assert [(row.said, row.purpose, row.words, row.source, row.actor) for row in told] == [
        (said, "billing", "On the phone, 3 March", "member", harbour.actor) for said in ("returned", "withdrawn")
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"purpose": "code"}, "purpose"),
        ({"purpose": "everything"}, "purpose"),
        ({"on": "pigeon"}, "channel"),
        ({"to": "Ana"}, "to"),
        ({"words": "x" * 501}, "words"),
        ({"words": "a\0b"}, "words"),
    ],
)
def test_what_cannot_be_written_down_is_refused_by_its_field(cast: Cast, change: dict[str, str], field: str) -> None:
    harbour = cast.clinic()
    for write in (stopping.write_down, stopping.take_back):
        with pytest.raises(BadInput) as refused:
            write(customer_id=harbour.id, actor=harbour.actor, now=at(), **(WRITTEN | change))
        assert refused.value.field == field
    assert consents.evidence(customer_id=harbour.id, after=0, at_most=9) == []


@pytest.mark.parametrize(("change", "field"), [({"words": " "}, "words"), ({"purpose": ALL}, "purpose")])
def test_nobody_comes_back_without_a_word_of_theirs(cast: Cast, change: dict[str, str], field: str) -> None:
    harbour = cast.clinic()
    hear(harbour, "STOP")
    with pytest.raises(BadInput) as refused:
        stopping.take_back(customer_id=harbour.id, actor=harbour.actor, now=at(), **(WRITTEN | change))
    assert refused.value.field == field
    assert out_of(harbour) == {("sms", ANA, ALL)}


def test_every_kind_that_can_be_stopped_by_itself_has_a_name_for_pages() -> None:
    assert set(PURPOSES) == {"ad_hoc", "reminder", "notice", "billing", "late_payment", "form", "contact", "advertising"}
