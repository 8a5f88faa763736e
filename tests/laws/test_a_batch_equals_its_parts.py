"""One list of n and n lists of one come to the same books, to the same words, and to the same messages."""

from hypothesis import given
from hypothesis import strategies as st

from postmeter.db import calls
from postmeter.ledger import operations as ledger
from postmeter.ledger import queries as books
from postmeter.ledger.operations import Action, Posting, Word
from postmeter.messaging import queries as messages
from postmeter.messaging.operations import dispatch
from postmeter.messaging.operations.accept import Accepted, NotCoveredList, Submission, submit, submit_together
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import State
from tests.cast import FEE, PRICE, Cast, Clinic, at, number
from tests.laws.profile import law
from tests.ledger.test_ledger import Books

few = law(worlds=25)


@few
@given(
    held=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    data=st.data(),
)
def test_resolving_a_list_equals_resolving_its_rows(held: list[int], data: st.DataObject) -> None:  # I07
    rows = data.draw(
        st.lists(st.tuples(st.integers(0, len(held)), st.sampled_from(Action), st.integers(-1, 10)), min_size=1, max_size=8)
    )
    words, ends = [], []
    for at_once in (True, False):
        own = Books(100)
        ids, _ = own.hold(*held)
        ids = [*ids, calls.next_id()]  # the last was never held
        said: list[Word] = []
        for part in [rows] if at_once else [[row] for row in rows]:
            said += ledger.resolve(
                customer_id=own.customer_id,
                now=at(),
                hold_ids=[ids[position] for position, _, _ in part],
                actions=[action for _, action, _ in part],
                amounts_micros=[amount for _, _, amount in part],
            )
        assert own.balanced()
        words.append(said)
        ends.append((own.balance.posted_micros, own.balance.held_micros))
    assert words[0] == words[1]
    assert ends[0] == ends[1]


@few
@given(amounts=st.lists(st.integers(-1, 60), min_size=1, max_size=8), credit=st.integers(0, 150))
def test_holding_a_list_equals_holding_its_rows_until_the_money_is_gone(amounts: list[int], credit: int) -> None:
    whole, parts = Books(credit), Books(credit)
    _, words = whole.hold(*amounts)
    said: list[Word] = []
    for amount in amounts:
        if amount > 0 and Word.EXCEEDS_AVAILABLE in said:
            said.append(Word.EXCEEDS_AVAILABLE)  # the first that fit, and no more
        else:
            said += parts.hold(amount)[1]
    assert words == said
    assert whole.balance.held_micros == parts.balance.held_micros
    assert whole.balanced()


@few
@given(
    moves=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(-1, 60)), min_size=1, max_size=8),
)
def test_posting_a_list_equals_posting_its_rows(moves: list[tuple[int, int, int]]) -> None:
    words, ends = [], []
    for at_once in (True, False):
        own = Books(100)
        accounts = [own.wallet, own.receivable, own.usage, own.clearing]
        postings = [Posting(calls.next_id(), accounts[d], accounts[c], amount, "move", 1) for d, c, amount in moves]
        said: list[Word] = []
        for part in [postings] if at_once else [[posting] for posting in postings]:
            said += ledger.post(customer_id=own.customer_id, now=at(), postings=part)
        assert own.balanced()
        words.append(said)
        ends.append((own.balance.posted_micros, own.debt))
    assert words[0] == words[1]
    assert ends[0] == ends[1]


# Texts of one and of three segments, to a dear and to a cheap country.
texts = st.lists(
    st.tuples(st.sampled_from([number(1), number(2), "+447700900123"]), st.sampled_from(["Hi", "x" * 400])),
    min_size=1,
    max_size=6,
)
Text = tuple[str, str]


@law(worlds=12)
@given(wanted=texts, whole_price=st.booleans(), short=st.integers(1, 60_000))
def test_a_list_of_texts_equals_its_texts(wanted: list[Text], whole_price: bool, short: int) -> None:
    """Priced, held, dispatched and charged alike, whether they come as one list, one by one, or collected by the door."""
    price = _price(wanted)
    credit = price if whole_price else max(0, price - short)
    ends = []
    for ask in (_as_a_list, _one_by_one, _collected):
        clinic = Cast().clinic(credit_micros=credit)
        ask(clinic, wanted)
        held = clinic.held
        _deliver(clinic)
        sent = sorted((m.recipient, m.body, m.segments, m.total_micros, m.charged_micros, m.state) for m in _all(clinic))
        ends.append((held, clinic.posted, clinic.held, sent, _balanced(clinic)))
    assert ends[0] == ends[1] == ends[2]
    assert ends[0][-1] == []


@law(worlds=12)
@given(ends=st.lists(st.sampled_from([State.DELIVERED, State.UNDELIVERED, State.FAILED]), min_size=1, max_size=6))
def test_a_list_of_receipts_equals_its_receipts(ends: list[State]) -> None:  # I26
    found = []
    for at_once in (True, False):
        clinic = Cast().clinic()
        _as_a_list(clinic, [(number(n), "Hi") for n in range(len(ends))])
        claimed = dispatch.claim(customer_id=clinic.id, at_most=10, now=at())
        facts = [
            Fact(message.id, "callback", "twilio", state, f"SM{message.id}", str(state), billable=state is not State.FAILED)
            for message, state in zip(sorted(claimed, key=lambda m: m.id), ends, strict=True)
        ]
        for part in [facts] if at_once else [[fact] for fact in facts]:
            record(customer_id=clinic.id, facts=part, now=at())
        sent = sorted((m.recipient, m.state, m.charged_micros, m.refunded_micros) for m in _all(clinic))
        found.append((clinic.posted, clinic.held, sent, _balanced(clinic)))
    assert found[0] == found[1]
    assert found[0][-1] == []


def _price(wanted: list[Text]) -> int:
    each = {"+1": PRICE + FEE, "+4": 46_300}
    return sum(each[to[:2]] * (1 if body == "Hi" else 3) for to, body in wanted)


def _as_a_list(clinic: Clinic, wanted: list[Text]) -> None:
    try:
        submit(_submission(clinic, wanted), now=at())
    except NotCoveredList:
        assert not _all(clinic), "what is refused leaves nothing behind"


def _one_by_one(clinic: Clinic, wanted: list[Text]) -> None:
    """Until the money is gone, as a list does."""
    for text in wanted:
        try:
            submit(_submission(clinic, [text]), now=at())
        except NotCoveredList:
            return


def _collected(clinic: Clinic, wanted: list[Text]) -> None:
    answers = submit_together([_submission(clinic, [text]) for text in wanted], now=at())
    assert all(isinstance(answer, Accepted | NotCoveredList) for answer in answers)


def _submission(clinic: Clinic, wanted: list[Text]) -> Submission:
    return Submission(clinic.id, [to for to, _ in wanted], [body for _, body in wanted], clinic.actor, whole=False)


def _deliver(clinic: Clinic) -> None:
    claimed = dispatch.claim(customer_id=clinic.id, at_most=100, now=at())
    facts = [Fact(m.id, "callback", "twilio", State.DELIVERED, f"SM{m.id}", "delivered", billable=True) for m in claimed]
    record(customer_id=clinic.id, facts=facts, now=at())


def _all(clinic: Clinic) -> list[messages.Message]:
    return messages.messages(customer_id=clinic.id)


def _balanced(clinic: Clinic) -> list[tuple[object, ...]]:
    return [row for check in books.CHECKS for row in books.wrong_rows(customer_id=clinic.id, check=check)]
