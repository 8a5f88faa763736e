"""Messages under anything that customers, providers and clocks may do: the books balance, and nobody pays twice."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from postmeter.consent import operations as consent
from postmeter.db import calls, scope
from postmeter.kit.refusals import Refusal
from postmeter.ledger import queries as books
from postmeter.messaging import queries
from postmeter.messaging.models import Message
from postmeter.messaging.operations import dispatch, sweep
from postmeter.messaging.operations.accept import Accepted, NotCoveredList, Submission, submit, submit_together
from postmeter.messaging.operations.cancel import TooLate, cancel, cancel_batch
from postmeter.messaging.operations.dispatch import Claimed
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import CANCELLABLE, MACHINE, State
from postmeter.wallets import queries as wallets
from tests.cast import FEE, PRICE, Cast, at, number
from tests.laws.profile import law

EACH = PRICE + FEE
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
people = [number(n) for n in range(5)]
somebody = st.sampled_from(people)
texts = st.lists(st.tuples(somebody, st.sampled_from(["Hi", "x" * 200])), min_size=1, max_size=5)
Text = tuple[str, str]
# What a provider may say about a message: state, its word, its error, whether it bills from then on.
WORDS = [
    (State.SENT, "queued", "", False),
    (State.SENT, "sent", "", True),
    (State.DELIVERED, "delivered", "", True),
    (State.UNDELIVERED, "undelivered", "30003", True),
    (State.UNDELIVERED, "undelivered", "30007", True),
    (State.FAILED, "failed", "30001", False),
]


def _reachable() -> dict[State, set[State]]:
    """All states that can still come after each: the arrows, followed to their ends."""
    found = {state: {state} for state in State}
    for _ in State:
        for state in State:
            found[state] |= {end for next_ in MACHINE.arrows[state] for end in found[next_]}
    return found


REACHABLE = _reachable()


@dataclass
class Asked:
    """A submission and what it was answered."""

    key: UUID
    texts: list[Text]
    ids: list[int]


class MessagingLaws(RuleBasedStateMachine):
    """One customer, five people, a price list that gives back what could not be delivered but to a filter."""

    def __init__(self) -> None:
        super().__init__()
        self.cast = Cast()
        self.clinic = self.cast.clinic(
            credit_micros=0, payable={"undelivered": False, "undelivered:filtered": True, "failed": False}
        )
        self.now = at()
        self.credit = 0
        self.asked: list[Asked] = []
        self.claimed: dict[int, Claimed] = {}
        self.sent: set[int] = set()
        self.said: list[Fact] = []
        self.opted_out: set[str] = set()
        self.last: dict[int, Message] = {}

    # What customers do

    @initialize()
    def begin_with_some_credit(self) -> None:
        self.top_up(20)

    @rule(price_of=st.integers(1, 12))
    def top_up(self, price_of: int) -> None:
        self.cast.give(self.clinic.id, self.clinic.pool, price_of * EACH)
        self.credit += price_of * EACH

    @rule(wanted=texts, whole=st.booleans())
    def accept_a_list(self, wanted: list[Text], whole: bool) -> None:
        key, before = uuid4(), self.clinic.available
        try:
            accepted = submit(self._submission(wanted, key, whole=whole), now=self.now)
        except NotCoveredList:
            assert sum(self._price(text) for text in wanted) > before
            assert self.clinic.available == before
        except Refusal as refusal:
            assert len(wanted) == 1
            assert refusal.text == "This recipient has opted out."
            assert wanted[0][0] in self.opted_out
        else:
            taken = [text for text, word in zip(wanted, accepted.words, strict=True) if word == "ok"]
            assert before - self.clinic.available == sum(map(self._price, taken))
            self._none_opted_out(taken)
            self.asked.append(Asked(key, wanted, accepted.ids))

    @rule(wanted=texts)
    def accept_singles_together(self, wanted: list[Text]) -> None:
        keys = [uuid4() for _ in wanted]
        before = self.clinic.available
        answers = submit_together([self._submission([t], k) for t, k in zip(wanted, keys, strict=True)], now=self.now)
        taken = []
        for text, key, answer in zip(wanted, keys, answers, strict=True):
            if isinstance(answer, Accepted):
                taken.append(text)
                self.asked.append(Asked(key, [text], answer.ids))
        assert before - self.clinic.available == sum(map(self._price, taken))
        self._none_opted_out(taken)

    @rule(data=st.data())
    @precondition(lambda self: self.asked)
    def ask_again_with_the_same_key(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(self.asked))
        before = self.books()
        if len(asked.texts) == 1 and data.draw(st.booleans()):
            [answer] = submit_together([self._submission(asked.texts, asked.key)], now=self.now)
            assert isinstance(answer, Accepted)
            assert answer.ids == asked.ids
        else:
            assert submit(self._submission(asked.texts, asked.key), now=self.now).ids == asked.ids
        assert self.books() == before

    @rule(data=st.data())
    @precondition(lambda self: self.last)
    def cancel(self, data: st.DataObject) -> None:
        message = self.last[data.draw(st.sampled_from(sorted(self.last)))]
        try:
            cancel(customer_id=self.clinic.id, message_id=message.id, now=self.now, actor="x")
        except TooLate:
            assert message.state not in CANCELLABLE | {State.CANCELLED}

    @rule(data=st.data())
    @precondition(lambda self: self.asked)
    def stop_a_list(self, data: st.DataObject) -> None:
        first = data.draw(st.sampled_from(self.asked)).ids[0]
        if first in self.last and self.last[first].batch_id:
            cancel_batch(customer_id=self.clinic.id, batch_id=self.last[first].batch_id, now=self.now, actor="x")

    @rule(address=somebody)
    def opt_out(self, address: str) -> None:
        consent.opt_out(
            customer_id=self.clinic.id, channel="sms", address=address, source="STOP", now=self.now, actor="recipient"
        )
        self.opted_out.add(address)

    @rule(address=somebody)
    def opt_in(self, address: str) -> None:
        consent.opt_in(customer_id=self.clinic.id, channel="sms", address=address, now=self.now, actor="recipient")
        self.opted_out.discard(address)

    # What workers and providers do

    @rule(at_most=st.integers(1, 8))
    def claim(self, at_most: int) -> None:
        for message in dispatch.claim(customer_id=self.clinic.id, at_most=at_most, now=self.now):
            assert message.recipient not in self.opted_out  # I19
            assert message.id not in self.sent, "what the provider may have is never sent again"
            self.claimed[message.id] = message

    @rule(data=st.data(), how=st.sampled_from(["accepted", "refused", "unknown", "later", "died"]))
    @precondition(lambda self: self.claimed)
    def end_a_send(self, data: st.DataObject, how: str) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.claimed)))
        message = self.claimed.pop(id_)
        facts = {
            "accepted": Fact(id_, "reply", "twilio", State.SENT, f"SM{id_}", "accepted"),
            "refused": Fact(id_, "reply", "twilio", State.FAILED, "", "refused", "21211", refused=True),
            "unknown": Fact(id_, "reply", "twilio", State.UNKNOWN, "", "unknown"),
        }
        if how == "later":
            dispatch.put_back(customer_id=self.clinic.id, claimed=[message], now=self.now)
            return
        if how != "refused":
            self.sent.add(id_)
        if how in facts:
            self._say([facts[how]])

    @rule(data=st.data())
    @precondition(lambda self: self.sent)
    def receipts(self, data: st.DataObject) -> None:
        """Any words about any messages, in any order, some of them twice."""
        ids = data.draw(st.lists(st.sampled_from(sorted(self.sent)), min_size=1, max_size=4))
        facts = [
            Fact(id_, "callback", "twilio", state, f"SM{id_}", status, error, billable)
            for id_ in ids
            for state, status, error, billable in data.draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
        ]
        self._say(facts)

    @rule(data=st.data())
    @precondition(lambda self: self.said)
    def the_same_words_again(self, data: st.DataObject) -> None:  # I26
        facts = data.draw(st.lists(st.sampled_from(self.said), min_size=1, max_size=4))
        before = self.books()
        record(customer_id=self.clinic.id, facts=facts, now=self.now)
        assert self.books() == before

    @rule(later=st.sampled_from([timedelta(seconds=20), timedelta(minutes=2), timedelta(hours=25), timedelta(days=4)]))
    def time_passes_and_the_sweeper_comes(self, later: timedelta) -> None:
        self.now += later
        sweep.end_leases(customer_id=self.clinic.id, now=self.now)
        asked = [message.id for message in sweep.lost(customer_id=self.clinic.id, now=self.now)]
        sweep.give_up(customer_id=self.clinic.id, asked=asked, now=self.now)
        sweep.settle_silent(customer_id=self.clinic.id, now=self.now)
        # Keys stay here: a key's life is told in tests/messaging.
        self.claimed = {id_: m for id_, m in self.claimed.items() if self._state(id_) is State.SENDING}

    # What must hold

    @invariant()
    def the_books_balance(self) -> None:
        with scope.customer(self.clinic.id):
            for name, check in (books.CHECKS | queries.CHECKS).items():  # I01, I02, I03, I05, I06, I07, I16, I17
                assert calls.rows(check, {"customer": self.clinic.id}) == [], name
            found = {m.id: m for m in Message.objects.filter(customer_id=self.clinic.id)}
            balance = wallets.balance(customer_id=self.clinic.id, wallet=self.clinic.pool)
            moved = wallets.statement(
                customer_id=self.clinic.id, wallet=self.clinic.pool, since=datetime(2000, 1, 1, tzinfo=UTC), until=FOREVER
            )
        assert moved.closing_micros == balance.posted_micros == sum(line.amount_micros for line in moved.lines)
        assert balance.available_micros >= 0
        spent = sum(m.charged_micros - m.refunded_micros for m in found.values())
        assert balance.posted_micros == self.credit - spent
        waiting = [m for m in found.values() if State(m.state) not in MACHINE.finals and not m.charged_micros]
        assert balance.held_micros == sum(m.total_micros for m in waiting)
        for message in found.values():
            self._never_back(message)
        self.last = found

    def _never_back(self, message: Message) -> None:  # I16, I18
        assert 0 <= message.refunded_micros <= message.charged_micros <= message.total_micros
        before = self.last.get(message.id)
        if before is not None:
            assert State(message.state) in REACHABLE[State(before.state)]
            assert message.charged_micros >= before.charged_micros
            assert message.refunded_micros >= before.refunded_micros

    # Small parts

    def _say(self, facts: list[Fact]) -> None:
        record(customer_id=self.clinic.id, facts=facts, now=self.now)
        self.said += facts

    def _state(self, id_: int) -> State:
        return State(queries.message(customer_id=self.clinic.id, message_id=id_).state)

    def _submission(self, wanted: list[Text], key: UUID, *, whole: bool = False) -> Submission:
        return Submission(
            self.clinic.id,
            [to for to, _ in wanted],
            [body for _, body in wanted],
            self.clinic.actor,
            key=key,
            digest=UUID(int=hash(tuple(wanted)) % 2**128),
            whole=whole,
        )

    @staticmethod
    def _price(text: Text) -> int:
        return EACH if text[1] == "Hi" else 2 * EACH

    def _none_opted_out(self, taken: list[Text]) -> None:  # I19
        assert not {to for to, _ in taken} & self.opted_out

    def books(self) -> object:
        with scope.customer(self.clinic.id):
            wallet = wallets.balance(customer_id=self.clinic.id, wallet=self.clinic.pool)
            ends = Message.objects.filter(customer_id=self.clinic.id).values_list(
                "id", "state", "charged_micros", "refunded_micros"
            )
            return wallet.posted_micros, wallet.held_micros, sorted(ends), books.counts(customer_id=self.clinic.id)


TestMessagingLaws = MessagingLaws.TestCase
TestMessagingLaws.settings = law(worlds=12, steps=30)
