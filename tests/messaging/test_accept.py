"""Pump 1: what is accepted is covered, once, at the price that was said."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection

from postmeter.cli.checks import verify_all
from postmeter.consent import operations as consent
from postmeter.customers.models import Customer
from postmeter.db import scope
from postmeter.kit.refusals import BadInput, Refusal
from postmeter.messaging import queries
from postmeter.messaging.operations import payers, quote
from postmeter.messaging.operations.accept import KeyReused, NotCoveredList, Submission, submit, submit_together
from postmeter.messaging.operations.payers import MessagingOff
from postmeter.messaging.operations.quote import Wanted
from postmeter.rating import operations as rating
from postmeter.rating import queries as prices
from tests.cast import FEE, PRICE, Cast, Clinic, at, number

EACH = PRICE + FEE


def texts(clinic: Clinic, count: int, **more: object) -> Submission:
    return Submission(
        customer_id=clinic.id,
        recipients=[number(n) for n in range(count)],
        bodies=["Your appointment is tomorrow."] * count,
        actor=clinic.actor,
        **more,  # type: ignore[arg-type]
    )


def test_a_list_is_accepted_whole_and_held_to_the_micro(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=10 * EACH)
    accepted = submit(texts(harbour, 10), now=at())
    assert accepted.words == ["ok"] * 10
    assert (harbour.available, harbour.held) == (0, 10 * EACH)  # cost == available is allowed
    assert {m.state for m in queries.messages(customer_id=harbour.id)} == {"queued"}


def test_a_list_that_is_not_covered_leaves_nothing_behind(cast: Cast) -> None:  # A-46 S-094
    harbour = cast.clinic(credit_micros=9 * EACH)
    key = uuid4()
    with pytest.raises(NotCoveredList) as refused:
        submit(texts(harbour, 10, key=key, digest=key), now=at())
    assert refused.value.facts["needed_micros"] == 10 * EACH
    assert queries.messages(customer_id=harbour.id) == []
    assert harbour.held == 0
    cast.give(harbour.id, harbour.pool, EACH)
    assert submit(texts(harbour, 10, key=key, digest=key), now=at()).words == ["ok"] * 10


def test_send_what_i_can_takes_the_first_that_fit(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=7 * EACH + 1)
    accepted = submit(texts(harbour, 10, whole=False), now=at())
    assert accepted.words == ["ok"] * 7 + ["exceeds_available"] * 3
    assert len(queries.messages(customer_id=harbour.id)) == 7
    assert harbour.available == 1


def test_the_same_list_again_is_the_same_answer_and_costs_nothing(cast: Cast) -> None:
    harbour, key = cast.clinic(), uuid4()
    first = submit(texts(harbour, 3, key=key, digest=key), now=at())
    again = submit(texts(harbour, 3, key=key, digest=key), now=at())
    assert again.ids == first.ids
    assert again.batch_id == first.batch_id
    assert harbour.held == 3 * EACH


def test_a_key_used_for_another_list_is_refused(cast: Cast) -> None:
    harbour, key = cast.clinic(), uuid4()
    submit(texts(harbour, 3, key=key, digest=key), now=at())
    with pytest.raises(KeyReused):
        submit(texts(harbour, 4, key=key, digest=uuid4()), now=at())
    assert harbour.held == 3 * EACH


def test_a_key_of_one_customer_means_nothing_to_another(cast: Cast) -> None:  # I24
    key = uuid4()
    for clinic in (cast.clinic(), cast.clinic()):
        assert submit(texts(clinic, 1, key=key, digest=key), now=at()).words == ["ok"]


@pytest.mark.parametrize(
    ("recipient", "body", "field"),
    [
        ("0155501", "hello", "to"),
        ("+15550000001", "", "text"),
        ("+15550000001", "   ", "text"),
        ("+15550000001", "a\x00b", "text"),
        ("+15550000001", "\ud83d", "text"),
        ("+15550000001", "x" * 100_000, "text"),
        ("+99955500001", "hello", "to"),
        ("+19005550100", "hello", "to"),  # premium, and its prefix is priced as the country's (promises.md 3.4)
        ("+12129760100", "hello", "to"),
        ("+٣٣٣٣٣٣٣٣٣٣", "hello", "to"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_its_field_and_half_of_nothing_is_done(
    cast: Cast, recipient: str, body: str, field: str
) -> None:
    harbour = cast.clinic()
    with pytest.raises(BadInput) as refused:
        submit(Submission(customer_id=harbour.id, recipients=[recipient], bodies=[body], actor=harbour.actor), now=at())
    assert refused.value.field == field
    assert refused.value.remedy
    assert queries.messages(customer_id=harbour.id) == []


def test_a_bad_row_in_a_list_is_named_by_its_place(cast: Cast) -> None:
    harbour = cast.clinic()
    with pytest.raises(BadInput) as refused:
        submit(Submission(customer_id=harbour.id, recipients=[number(1), "nobody"], bodies=["a", "b"], actor="x"), now=at())
    assert refused.value.facts["errors"][0]["position"] == 1  # type: ignore[index]


def test_messaging_that_is_off_accepts_nothing(cast: Cast) -> None:  # S-047
    harbour = cast.clinic()
    with scope.customer(harbour.id):
        Customer.objects.filter(id=harbour.id).update(messaging_enabled=False)
    with pytest.raises(MessagingOff):
        submit(texts(harbour, 1), now=at())


def test_who_opted_out_is_not_written_to_while_the_rest_of_the_list_is(cast: Cast) -> None:
    harbour = cast.clinic()
    consent.opt_out(customer_id=harbour.id, channel="sms", address=number(1), source="STOP", now=at(), actor="recipient")
    accepted = submit(texts(harbour, 3), now=at())
    assert accepted.words == ["ok", "opted_out", "ok"]
    assert harbour.held == 2 * EACH


def test_five_hundred_at_once_with_credit_for_123_are_exactly_123(cast: Cast) -> None:  # I05
    harbour = cast.clinic(credit_micros=123 * EACH)
    answers: list[str] = []

    def send() -> None:
        for _ in range(50):
            try:
                answers.extend(submit(texts(harbour, 1), now=at()).words)
            except NotCoveredList:
                answers.append("refused")
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 500
    assert answers.count("ok") == 123
    assert (harbour.available, harbour.held) == (0, 123 * EACH)
    assert verify_all().ok


def test_single_requests_collected_together_answer_each_for_itself(cast: Cast) -> None:
    harbour, rival, key = cast.clinic(credit_micros=2 * EACH), cast.clinic(), uuid4()
    one = texts(harbour, 1, key=key, digest=key)
    answers = submit_together(
        [one, texts(rival, 1), one, texts(harbour, 1), texts(harbour, 1), Submission(harbour.id, ["nobody"], ["x"], "a")],
        now=at(),
    )
    words = [answer.code if isinstance(answer, Refusal) else answer.words[0] for answer in answers]
    assert words == ["ok", "ok", "exists", "ok", "exceeds_available", "bad_input"]
    assert answers[0].ids == answers[2].ids  # type: ignore[union-attr]
    assert (harbour.held, rival.held) == (2 * EACH, EACH)


def test_a_refusal_for_lack_of_credit_does_not_use_up_the_key(cast: Cast) -> None:
    harbour, key = cast.clinic(credit_micros=0), uuid4()
    one = texts(harbour, 1, key=key, digest=key)
    assert isinstance(submit_together([one], now=at())[0], NotCoveredList)
    cast.give(harbour.id, harbour.pool, EACH)
    assert submit_together([one], now=at())[0].words == ["ok"]  # type: ignore[union-attr]


def test_a_quote_is_charged_at_its_price_though_the_list_changed(cast: Cast) -> None:  # D-02, A-26
    harbour = cast.clinic()
    found = quote.make(customer_id=harbour.id, wanted=[Wanted(number(1), "Hello")], actor=harbour.actor, now=at())
    assert (found.price_micros, found.fee_micros) == (PRICE, FEE)
    with scope.customer(harbour.id):
        price_list = prices.price_list_of(customer_id=harbour.id, plan="standard")
        rating.set_rates(
            price_list=price_list,
            new=[rating.NewRate("sms", "out", "1", "US", 10 * PRICE, FEE)],
            valid_from=at(),
            now=at(),
            actor="operator",
        )
    payers.forget()
    assert quote.make(customer_id=harbour.id, wanted=[Wanted(number(1), "Hello")], actor="x", now=at()).price_micros == 10 * PRICE
    quote.send(customer_id=harbour.id, quote_id=found.id, actor=harbour.actor, now=at())
    assert harbour.held == EACH


def test_a_quote_names_who_is_excluded_and_why(cast: Cast) -> None:
    harbour = cast.clinic()
    consent.opt_out(customer_id=harbour.id, channel="sms", address="+12025550103", source="STOP", now=at(), actor="recipient")
    wanted = [
        Wanted("(202) 555-0101", "Hi", 2),
        Wanted("+1 202 555 0101", "Hi", 3),
        Wanted("+12025550103", "Hi", 4),
        Wanted("not a number", "Hi", 5),
        Wanted("+12025550104", "", 6),
        Wanted("+99312345678", "Hi", 7),
    ]
    found = quote.make(customer_id=harbour.id, wanted=wanted, actor=harbour.actor, now=at())
    rows = queries.quote_items(customer_id=harbour.id, quote_id=found.id, excluded=True)
    assert [(row.line, row.excluded_code) for row in rows] == [
        (3, "duplicate"),
        (4, "opted_out"),
        (5, "bad_to"),
        (6, "bad_text"),
        (7, "bad_destination"),
    ]
    assert "line 2" in rows[0].excluded_text
    assert (found.recipients, found.excluded, found.total_micros) == (1, 5, EACH)


def test_a_quote_shows_what_made_a_text_dear_and_a_cheaper_spelling(cast: Cast) -> None:
    harbour = cast.clinic()
    body = "We’ll see you tomorrow at ten o’clock — please bring your referral letter and your insurance card with you."
    found = quote.make(customer_id=harbour.id, wanted=[Wanted(number(1), body)], actor="x", now=at())
    [row] = queries.quote_items(customer_id=harbour.id, quote_id=found.id)
    assert (row.segments, row.cheaper_segments) == (2, 1)
    assert row.forced_by == "’—"


def test_a_quote_is_sent_once_however_often_it_is_pressed(cast: Cast) -> None:
    harbour = cast.clinic()
    found = quote.make(customer_id=harbour.id, wanted=[Wanted(number(n), "Hi") for n in range(5)], actor="x", now=at())
    first = quote.send(customer_id=harbour.id, quote_id=found.id, actor="x", now=at())
    again = quote.send(customer_id=harbour.id, quote_id=found.id, actor="x", now=at() + timedelta(hours=2))
    assert first.ids == again.ids
    assert first.batch_id == again.batch_id != 0
    assert harbour.held == 5 * EACH


def test_a_quote_whose_time_is_up_is_not_sent(cast: Cast) -> None:
    harbour = cast.clinic()
    found = quote.make(customer_id=harbour.id, wanted=[Wanted(number(1), "Hi")], actor="x", now=at())
    with pytest.raises(quote.QuoteExpired):
        quote.send(customer_id=harbour.id, quote_id=found.id, actor="x", now=at() + timedelta(hours=1, seconds=1))
    assert harbour.held == 0


def test_test_keys_spend_play_money(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=0)
    accepted = submit(texts(harbour, 1, mode="test"), now=at())
    [message] = queries.messages(customer_id=harbour.id)
    assert accepted.words == ["ok"]
    assert (message.provider, message.wallet_id) == ("sandbox", harbour.sandbox.id)
    assert harbour.held == 0


def test_the_texts_of_old_quotes_are_forgotten_and_their_sums_stay(cast: Cast) -> None:
    harbour = cast.clinic()
    found = quote.make(customer_id=harbour.id, wanted=[Wanted(number(1), "Hi")], actor="x", now=at())
    assert quote.forget_old(customer_id=harbour.id, before=at()) == 0
    assert quote.forget_old(customer_id=harbour.id, before=at() + timedelta(days=1)) == 1
    assert queries.quote_items(customer_id=harbour.id, quote_id=found.id) == []
    assert queries.quote(customer_id=harbour.id, quote_id=found.id).total_micros == EACH


class TestByHand:
    """S-083 S-084: what members send themselves is part of the plan; what programs send is charged (S-085)."""

    @pytest.fixture
    def clinic(self, cast: Cast) -> Clinic:
        """Texts by hand to North America cost the carriers' fee alone; elsewhere what they cost programs."""
        made = cast.clinic()
        with scope.customer(made.id):
            own, now = prices.own_list(customer_id=made.id), at()
            assert own is not None
            new = [rating.NewRate("sms", "hand", "1", "US", 0, FEE)]
            rating.set_rates(price_list=own, new=new, valid_from=now, now=now, actor="operator")
        payers.forget()
        return made

    def cost(self, clinic: Clinic, actor: str, to: str) -> int:
        accepted = submit(Submission(clinic.id, [to], ["Hi " * 60], actor), now=at())
        return accepted.priced.prices[0] + accepted.priced.fees[0]

    def test_a_member_pays_the_carriers_and_a_program_each_segment(self, clinic: Clinic) -> None:  # S-083 S-084 S-085 S-086
        assert self.cost(clinic, clinic.actor, number(1)) == 2 * FEE
        assert self.cost(clinic, "key:1", number(1)) == 2 * (PRICE + FEE)
        assert clinic.held == 2 * FEE + 2 * (PRICE + FEE)
        assert verify_all().ok

    def test_where_it_is_not_part_of_the_plan_it_costs_the_same(self, clinic: Clinic) -> None:
        british = "+447400123456"
        assert self.cost(clinic, clinic.actor, british) == self.cost(clinic, "key:1", british) == 2 * 46_300

    def test_a_quote_says_the_same(self, clinic: Clinic) -> None:
        for actor, each in ((clinic.actor, FEE), ("key:1", PRICE + FEE)):
            made = quote.make(customer_id=clinic.id, wanted=[Wanted(number(1), "Hi")], actor=actor, now=at())
            assert made.total_micros == each
