"""The ledger against a model in plain dicts: whatever is asked, in any order and again, the books balance and agree."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from postmeter.db import calls, scope
from postmeter.ledger import operations as ledger
from postmeter.ledger import queries
from postmeter.ledger.operations import Action, Posting, Word
from tests.cast import at
from tests.laws.books import Model, Side
from tests.laws.profile import law

amounts = st.integers(1, 400) | st.sampled_from([1, 99, 100, 101, 10**12])
bad_amounts = st.sampled_from([0, -1, -(10**12)])
lists = st.lists(amounts | bad_amounts, min_size=1, max_size=6)
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Call:
    """Something that was asked of the ledger, ready to be asked again with the same ids."""

    of_ledger: Callable[[], list[Word]]
    of_model: Callable[[], list[Word]]


class LedgerLaws(RuleBasedStateMachine):
    """One customer with a wallet that may not be overdrawn, its debt, and three accounts without a limit."""

    def __init__(self) -> None:
        super().__init__()
        self.customer_id = calls.next_id()
        self.model = Model()
        self.wallet = self.account("wallet", "credit", limited=True)
        self.savings = self.account("wallet", "credit", limited=True, ref_id=2)
        self.receivable = self.account("receivable", "debit", limited=True)
        self.usage = self.account("usage", "credit")
        self.clearing = self.account("clearing:test", "debit")
        self.points = self.account("usage", "credit", unit="POINTS")
        self.accounts = [self.wallet, self.savings, self.receivable, self.usage, self.clearing, self.points]
        self.calls: list[Call] = []

    def account(self, kind: str, normal: str, *, limited: bool = False, unit: str = "USD", ref_id: int = 1) -> int:
        opened = [
            ledger.open_account(customer_id=self.customer_id, kind=kind, unit=unit, ref_id=ref_id, limited=limited, normal=normal)
            for _ in range(2)
        ]
        assert opened[0] == opened[1], "an account is opened once"
        self.model.accounts[opened[0]] = Side(normal, unit, limited)
        return opened[0]

    def ask(self, of_ledger: Callable[[], list[Word]], of_model: Callable[[], list[Word]]) -> None:
        assert of_ledger() == of_model()
        self.calls.append(Call(of_ledger, of_model))

    @initialize(amount=st.integers(0, 1_000))
    def begin_with(self, amount: int) -> None:
        if amount:
            self.give(amount)

    @rule(amount=amounts)
    def give(self, amount: int) -> None:
        self._in_two(ledger.give, self.model.give, amount, source_id=self.clearing)

    @rule(amount=amounts)
    def take(self, amount: int) -> None:
        self._in_two(ledger.take, self.model.take, amount, target_id=self.clearing)

    def _in_two(
        self, of_ledger: Callable[..., Word], of_model: Callable[[Posting, Posting], Word], amount: int, **other: int
    ) -> None:
        [id_, debt_id] = calls.next_ids(2)
        sides = [
            (self.clearing, account) if "source_id" in other else (account, self.clearing)
            for account in (self.wallet, self.receivable)
        ]
        first, debt = (Posting(i, *side, amount, "two", 1) for i, side in zip((id_, debt_id), sides, strict=True))
        now = at()
        self.ask(
            lambda: [
                of_ledger(
                    customer_id=self.customer_id,
                    now=now,
                    id=id_,
                    debt_id=debt_id,
                    wallet_id=self.wallet,
                    receivable_id=self.receivable,
                    amount_micros=amount,
                    code="two",
                    ref_id=1,
                    **other,
                )
            ],
            lambda: [of_model(first, debt)],
        )

    @rule(asked=lists)
    def hold(self, asked: list[int]) -> None:
        self._hold(calls.next_ids(len(asked)), asked)

    @rule(asked=lists, data=st.data())
    @precondition(lambda self: self.model.holds)
    def hold_some_known_ids(self, asked: list[int], data: st.DataObject) -> None:
        ids = calls.next_ids(len(asked))
        position = data.draw(st.integers(0, len(asked) - 1))
        ids[position] = data.draw(st.sampled_from(sorted(self.model.holds)))
        self._hold(ids, asked)

    def _hold(self, ids: list[int], asked: list[int]) -> None:
        now = at()
        self.ask(
            lambda: ledger.hold(
                customer_id=self.customer_id,
                now=now,
                debit_id=self.wallet,
                credit_id=self.usage,
                code="sms",
                expires_at=now + timedelta(days=1),
                ids=ids,
                amounts_micros=asked,
                refs=ids,
            ),
            lambda: self.model.hold(self.wallet, self.usage, ids, asked),
        )

    @rule(data=st.data())
    @precondition(lambda self: self.model.holds)
    def resolve(self, data: st.DataObject) -> None:
        known = st.sampled_from(sorted(self.model.holds))
        ids = data.draw(st.lists(known, min_size=1, max_size=6))
        if data.draw(st.booleans()):
            ids.append(calls.next_id())  # never held
        actions = [data.draw(st.sampled_from(Action)) for _ in ids]
        asked = [data.draw(amounts | bad_amounts | st.just(self._amount_of(id_))) for id_ in ids]
        self.ask(
            lambda: ledger.resolve(customer_id=self.customer_id, now=at(), hold_ids=ids, actions=actions, amounts_micros=asked),
            lambda: self.model.resolve(ids, actions, asked),
        )

    def _amount_of(self, id_: int) -> int:
        return self.model.holds[id_].amount if id_ in self.model.holds else 1

    @rule(data=st.data(), linked=st.booleans())
    def post(self, data: st.DataObject, linked: bool) -> None:
        account = st.sampled_from([*self.accounts, 1])  # 1 is nobody's
        postings = [
            Posting(id_, data.draw(account), data.draw(account), data.draw(amounts | bad_amounts), "move", 7)
            for id_ in calls.next_ids(data.draw(st.integers(1, 4)))
        ]
        self.ask(
            lambda: ledger.post(customer_id=self.customer_id, now=at(), postings=postings, linked=linked),
            lambda: self.model.post(postings, linked=linked),
        )

    @rule(data=st.data())
    @precondition(lambda self: self.model.transfers)
    def post_another_thing_under_a_known_id(self, data: st.DataObject) -> None:
        known = self.model.transfers[data.draw(st.sampled_from(sorted(self.model.transfers)))]
        other = Posting(known.id, known.debit_id, known.credit_id, known.amount_micros + 1, known.code, known.ref_id)
        self.ask(lambda: ledger.post(customer_id=self.customer_id, now=at(), postings=[other]), lambda: self.model.post([other]))

    @rule(data=st.data())
    @precondition(lambda self: self.calls)
    def ask_again(self, data: st.DataObject) -> None:
        """Any earlier call, word for word. What was accepted then changes nothing now."""
        call = data.draw(st.sampled_from(self.calls))
        before = self.books()
        words = call.of_ledger()
        assert words == call.of_model()
        if set(words) <= {Word.EXISTS}:
            assert self.books() == before

    def books(self) -> object:
        balances = queries.balances(customer_id=self.customer_id, account_ids=self.accounts)
        return balances, queries.counts(customer_id=self.customer_id)

    @invariant()
    def the_books_balance_and_agree(self) -> None:
        with scope.customer(self.customer_id):
            for check in queries.CHECKS:  # I01, I02, I06, I07
                assert queries.wrong_rows(customer_id=self.customer_id, check=check) == [], check
            kept = queries.balances(customer_id=self.customer_id, account_ids=self.accounts)
            for id_, side in self.model.accounts.items():
                if side.limited:  # I03, I05
                    assert (kept[id_].posted_micros, kept[id_].held_micros) == (side.posted, side.held)
                    assert kept[id_].available_micros >= 0
                else:
                    added = queries.balance_at(customer_id=self.customer_id, account_id=id_, at=FOREVER)
                    assert added == side.credits - side.debits

    @invariant()
    def money_only_moves(self) -> None:  # I02
        for unit in ("USD", "POINTS"):
            sides = [side for side in self.model.accounts.values() if side.unit == unit]
            assert sum(side.credits for side in sides) == sum(side.debits for side in sides)


TestLedgerLaws = LedgerLaws.TestCase
TestLedgerLaws.settings = law(worlds=12, steps=25)
