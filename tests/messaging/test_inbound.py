"""Texts that come in: kept whatever the balance is, obeyed, answered once, priced, and put into their conversation."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import pytest
from django.db import connection

from postmeter.cli.checks import verify_all
from postmeter.consent import queries as consent
from postmeter.consent.words import Wish
from postmeter.customers.models import Customer
from postmeter.db import calls, scope
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput
from postmeter.messaging import inbound, inbox, queries
from postmeter.messaging.answers import answer
from postmeter.messaging.channels import sms
from postmeter.messaging.inbox import Attention, Conversation
from postmeter.messaging.kinds import ANSWER
from postmeter.messaging.models import Inbound, Message
from postmeter.messaging.operations import dispatch
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.providers import Callback, Received, provider
from postmeter.messaging.states import State
from postmeter.wallets import queries as wallets
from tests.cast import Cast, Clinic, at, number

PRICE_IN = 7_500
ANA = number(31)


def text(clinic: Clinic, body: str, *, sender: str = ANA, ref: str = "", answered: bool = False) -> Received:
    return Received(sender, clinic.customer.sender, body, ref or f"SM{calls.next_id()}", answered)


def hear(clinic: Clinic, body: str, *, now: datetime | None = None, sender: str = ANA, answered: bool = False) -> bool:
    return inbound.receive(provider="twilio", word=text(clinic, body, sender=sender, answered=answered), now=now or at())


def answers(clinic: Clinic) -> list[Message]:
    return [message for message in reversed(queries.messages(customer_id=clinic.id)) if message.kind == ANSWER]


def threads(clinic: Clinic, which: str = "all") -> list[Conversation]:
    return inbox.threads(customer_id=clinic.id, which=which, member_id=clinic.master.member_id, at_most=50)


def kept(clinic: Clinic) -> Sequence[Inbound]:
    with scope.customer(clinic.id):
        return list(Inbound.objects.filter(customer_id=clinic.id).order_by("id"))


def debt(clinic: Clinic) -> int:
    return wallets.balance(customer_id=clinic.id, wallet=clinic.pool).debt_micros


def deliver(clinic: Clinic, now: datetime | None = None) -> list[str]:
    """Claim what may go, and have it delivered."""
    claimed = dispatch.claim(customer_id=clinic.id, at_most=100, now=now or at())
    facts = [Fact(each.id, "callback", "twilio", State.DELIVERED, f"SM{each.id}", "delivered") for each in claimed]
    record(customer_id=clinic.id, facts=facts, now=now or at())
    return [each.body for each in claimed]


# Obeyed, and answered once


@pytest.mark.parametrize("suspended", [False, True])
def test_stop_is_confirmed_once_without_credit_and_while_suspended(cast: Cast, suspended: bool) -> None:
    harbour = cast.clinic(credit_micros=0)
    if suspended:
        Customer.objects.filter(id=harbour.id).update(suspended_at=at(), messaging_enabled=False)
    for _ in range(3):
        hear(harbour, "STOP")
    confirmed = deliver(harbour)
    assert confirmed == [answer(Wish.STOP, name="Harbour Physio", email=harbour.customer.email)]
    assert [(each.state, each.charged_micros) for each in answers(harbour)] == [("delivered", 0)]
    assert consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[ANA])
    assert verify_all().ok


def test_stops_that_come_together_are_confirmed_once(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=0)

    def stop(n: int) -> None:
        try:
            hear(harbour, "STOP")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(stop, range(16)))
    assert len(answers(harbour)) == 1
    assert len(kept(harbour)) == 16


def test_a_confirmation_that_could_not_go_within_five_minutes_does_not_go(cast: Cast) -> None:  # 47 CFR 64.1200(a)(12)
    harbour = cast.clinic()
    hear(harbour, "STOP")
    assert deliver(harbour, at() + timedelta(minutes=6)) == []
    assert [each.state for each in answers(harbour)] == ["expired"]


def test_a_provider_that_confirms_by_itself_is_the_only_one_that_does(cast: Cast) -> None:
    harbour = cast.clinic()
    hear(harbour, "STOP", answered=True)
    assert answers(harbour) == []
    assert consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[ANA])
    adapter = provider("twilio", {"base_url": "http://127.0.0.1", "account_sid": "AC1", "auth_token": "t"})
    form = {"From": ANA, "To": "+15550000001", "Body": "STOP", "MessageSid": "SM1"}
    (plain,) = adapter.facts(Callback("", form, {}))
    (heard,) = adapter.facts(Callback("", {**form, "OptOutType": "STOP"}, {}))
    assert isinstance(plain, Received) and isinstance(heard, Received)
    assert (plain.answered, heard.answered) == (False, True)


@pytest.mark.parametrize(
    ("said", "kind", "out"), [("BYE", "STOP", True), ("JOIN", "START", False), ("Yes", "START", True), ("STOP", "START", True)]
)
def test_what_a_provider_puts_on_its_own_list_or_takes_off_it_is_so_on_ours(cast: Cast, said: str, kind: str, out: bool) -> None:
    """An account's own words with Advanced Opt-Out; a yes stays a yes (A-66), and STOP goes before everything."""
    harbour = cast.clinic()
    if kind == "START":
        hear(harbour, "STOP", answered=True)
    adapter = provider("twilio", {"base_url": "http://127.0.0.1", "account_sid": "AC1", "auth_token": "t"})
    form = {"From": ANA, "To": harbour.customer.sender, "Body": said, "MessageSid": f"SM{calls.next_id()}", "OptOutType": kind}
    (word,) = adapter.facts(Callback("", form, {}))
    assert isinstance(word, Received)
    inbound.receive(provider="twilio", word=word, now=at())
    assert bool(consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[ANA])) is out
    assert answers(harbour) == [], "they have answered"


def test_start_is_welcomed_and_help_is_given_once_an_hour(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=0)
    now = at()
    hear(harbour, "START", now=now)  # was not out: nothing to say
    hear(harbour, "STOP", now=now)
    hear(harbour, "START", now=now)
    assert [each.body for each in answers(harbour)][-1] == answer(Wish.START, name="Harbour Physio", email="")
    helped = cast.clinic(credit_micros=0)
    for minutes in (0, 1, 59, 61):
        hear(helped, "HELP", now=now + timedelta(minutes=minutes))
    assert len(answers(helped)) == 2
    assert helped.customer.email in answers(helped)[0].body


def test_the_answer_is_in_the_language_of_the_word(cast: Cast) -> None:
    for word, says in (("BAJA", "Se dio de baja"), ("ARRET", "désabonné"), ("STOP", "You are opted out"), ("AYUDA", "ayuda")):
        harbour = cast.clinic(credit_micros=0)
        hear(harbour, word)
        assert str(sms.plainly(says)) in answers(harbour)[0].body


@pytest.mark.parametrize("language", ["en", "es", "fr"])
@pytest.mark.parametrize("wish", list(Wish))
@pytest.mark.parametrize("stands", [False, True])
def test_every_answer_is_one_segment_and_says_who_writes(wish: Wish, language: str, stands: bool) -> None:
    said = answer(
        wish,
        name="Saint-Jérôme Children’s Physiotherapy Practice",
        email="front.desk@harbour.example",
        language=language,
        stands=stands,
    )
    assert said.startswith("Saint-Jérome Children's Physiotherapy")
    assert sms.count(said) == (sms.Encoding.GSM7, 1)
    assert answer(wish, name="北港诊所", email="a@b.example", language=language).startswith("北港诊所:")


# CANCEL


def test_cancel_after_a_reminder_opts_out_says_that_the_appointment_stands_and_asks_for_somebody(cast: Cast) -> None:
    harbour = cast.clinic()
    submit(Submission(harbour.id, [ANA], ["See you on Tuesday at 9."], harbour.actor), now=at())
    deliver(harbour)
    hear(harbour, "Cancel please")
    assert "NOT cancelled" in answers(harbour)[0].body
    assert consent.opted_out(customer_id=harbour.id, channel="sms", addresses=[ANA])
    (found,) = threads(harbour, "attention")
    assert found.thread.attention == Attention.MAY_CANCEL
    hear(harbour, "ok thanks, bye")
    assert threads(harbour, "attention")[0].thread.attention == Attention.MAY_CANCEL, "the graver reason stays"


def test_cancel_out_of_the_blue_is_an_opt_out_like_any_other(cast: Cast) -> None:
    harbour = cast.clinic()
    hear(harbour, "CANCEL")
    assert "NOT cancelled" not in answers(harbour)[0].body
    assert threads(harbour, "attention") == []


# Kept and paid for


def test_a_text_is_kept_once_whoever_sent_it_and_costs_its_segments(cast: Cast) -> None:  # S-002 A-58
    harbour = cast.clinic()
    before = harbour.posted
    word = text(harbour, "x" * 200)
    assert inbound.receive(provider="twilio", word=word, now=at())
    assert not inbound.receive(provider="twilio", word=word, now=at())
    (row,) = kept(harbour)
    assert (row.charged_micros, row.wallet_id) == (2 * PRICE_IN, harbour.pool.id)
    assert before - harbour.posted == 2 * PRICE_IN
    assert verify_all().ok


def test_at_zero_credit_texts_are_owed_up_to_a_bound_and_kept_beyond_it(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=0)
    harbour.take(inbound.DEBT_AT_MOST - PRICE_IN - 1)
    hear(harbour, "first")
    hear(harbour, "second")
    assert [(row.body, row.charged_micros) for row in kept(harbour)] == [("first", PRICE_IN), ("second", 0)]
    assert debt(harbour) == inbound.DEBT_AT_MOST - 1
    cast.give(harbour.id, harbour.pool, 10 * MICROS)
    hear(harbour, "third")
    assert kept(harbour)[-1].charged_micros == PRICE_IN
    assert (harbour.posted, debt(harbour)) == (10 * MICROS - inbound.DEBT_AT_MOST + 1 - PRICE_IN, 0)
    assert verify_all().ok


def test_texts_that_come_together_do_not_owe_more_than_the_bound(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=0)
    harbour.take(inbound.DEBT_AT_MOST - 3 * PRICE_IN)

    def come(n: int) -> None:
        try:
            hear(harbour, f"text {n}", sender=number(200 + n))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come, range(12)))
    assert debt(harbour) == inbound.DEBT_AT_MOST
    assert len(kept(harbour)) == 12
    assert verify_all().ok


def test_what_has_no_price_is_free_and_so_is_what_no_unit_counts(cast: Cast) -> None:
    harbour, counted = cast.clinic(), cast.clinic(unit="SMS")
    hear(harbour, "from abroad", sender="+447700900123")
    hear(harbour, "")
    hear(counted, "hello")
    assert [row.charged_micros for row in kept(harbour)] == [0, PRICE_IN]
    assert [row.charged_micros for row in kept(counted)] == [0]


def test_a_card_number_is_not_kept(cast: Cast) -> None:
    harbour = cast.clinic()
    hear(harbour, "take it from 4242 4242 4242 4242 please")
    assert kept(harbour)[0].body == "take it from [card number ending in 4242] please"


# The conversation


def test_a_contact_has_one_conversation_with_both_sides_in_order(cast: Cast) -> None:  # S-060 S-062
    harbour, rival = cast.clinic(), cast.clinic(name="Rival Physio")
    submit(Submission(harbour.id, [ANA], ["Can you come at 9?"], harbour.actor), now=at())
    deliver(harbour)
    hear(harbour, "Yes, see you")
    (found,) = threads(harbour)
    assert (found.thread.unread, found.thread.attention, found.person.is_known) == (1, Attention.REPLY, False)
    said = inbox.lines(customer_id=harbour.id, conversation=found)
    assert [(line.mine, line.said.text) for line in said] == [(True, "Can you come at 9?"), (False, "Yes, see you")]
    assert inbox.unread(customer_id=harbour.id) == 1
    inbox.mark_read(customer_id=harbour.id, thread_id=found.thread.id)
    assert inbox.unread(customer_id=harbour.id) == 0
    inbox.answered(customer_id=harbour.id, thread_id=found.thread.id, now=at())
    assert threads(harbour, "attention") == []
    assert threads(rival) == []


def test_somebody_sees_to_it_and_says_when_it_is_done(cast: Cast) -> None:
    harbour, rival = cast.clinic(), cast.clinic(name="Rival Physio")
    hear(harbour, "wrong number")
    (found,) = threads(harbour, "attention")
    assert found.thread.attention == Attention.WRONG_NUMBER
    id_, now = found.thread.id, at()
    assign = partial(inbox.assign, customer_id=harbour.id, thread_id=id_, actor=harbour.actor, now=now)
    assign(member_id=harbour.master.member_id)
    assert [each.thread.id for each in threads(harbour, "mine")] == [found.thread.id]
    with pytest.raises(BadInput):
        assign(member_id=rival.master.member_id)
    inbox.settle(customer_id=harbour.id, thread_id=id_, actor=harbour.actor, now=now)
    assert threads(harbour, "attention") == []
    assign(member_id=None)
    assert threads(harbour, "mine") == []
