"""A ledger in plain dicts: what the SQL functions must answer, written a second time and as simply as possible."""

from dataclasses import dataclass, field

from postmeter.ledger.operations import Action, Posting, Word


@dataclass
class Side:
    """One account as the model sees it. Only limited accounts can refuse."""

    normal: str
    unit: str = "USD"
    limited: bool = False
    credits: int = 0
    debits: int = 0
    held: int = 0

    @property
    def posted(self) -> int:
        return self.credits - self.debits if self.normal == "credit" else self.debits - self.credits

    @property
    def available(self) -> int:
        return self.posted - self.held

    def may_give(self, amount: int) -> bool:
        return not (self.limited and self.normal == "credit") or amount <= self.available

    def may_take(self, amount: int) -> bool:
        return not (self.limited and self.normal == "debit") or amount <= self.posted


@dataclass
class Held:
    debit: int
    credit: int
    amount: int
    done: tuple[Action, int] | None = None


@dataclass
class Model:
    """Every call answers the words that the ledger must answer, and moves the model as the ledger must move."""

    accounts: dict[int, Side] = field(default_factory=dict)
    holds: dict[int, Held] = field(default_factory=dict)
    transfers: dict[int, Posting] = field(default_factory=dict)

    def hold(self, debit: int, credit: int, ids: list[int], amounts: list[int]) -> list[Word]:
        words, asked = [], 0
        room = self.accounts[debit].available
        for id_, amount in zip(ids, amounts, strict=True):
            if id_ in self.holds or id_ in self.transfers:
                words.append(Word.EXISTS)
                continue
            if amount <= 0:
                words.append(Word.BAD_AMOUNT)
                continue
            asked += amount
            words.append(Word.OK if asked <= room else Word.EXCEEDS_AVAILABLE)
            if asked <= room:
                self.holds[id_] = Held(debit, credit, amount)
                self.accounts[debit].held += amount
        return words

    def resolve(self, ids: list[int], actions: list[Action], amounts: list[int]) -> list[Word]:
        return [self._resolve(*row) for row in zip(ids, actions, amounts, strict=True)]

    def _resolve(self, id_: int, action: Action, amount: int) -> Word:
        hold = self.holds.get(id_)
        if hold is None:
            return Word.NOT_FOUND
        if hold.done:
            same = hold.done[0] is action and (action is not Action.POST or hold.done[1] == amount)
            done = {
                Action.POST: Word.ALREADY_POSTED,
                Action.VOID: Word.ALREADY_VOIDED,
                Action.EXPIRE: Word.ALREADY_EXPIRED,
            }
            return Word.EXISTS if same else done[hold.done[0]]
        if action is Action.POST and amount > hold.amount:
            return Word.EXCEEDS_HOLD
        if action is Action.POST and amount <= 0:
            return Word.BAD_AMOUNT
        taken = amount if action is Action.POST else 0
        hold.done = (action, taken)
        self.accounts[hold.debit].held -= hold.amount
        self.accounts[hold.debit].debits += taken
        self.accounts[hold.credit].credits += taken
        return Word.OK

    def post(self, postings: list[Posting], *, linked: bool = False) -> list[Word]:
        before = {id_: (side.credits, side.debits) for id_, side in self.accounts.items()}
        known = dict(self.transfers)
        words = [self._post(posting) for posting in postings]
        if linked and not set(words) <= {Word.OK, Word.EXISTS}:
            self.transfers = known
            for id_, (credits, debits) in before.items():
                self.accounts[id_].credits, self.accounts[id_].debits = credits, debits
            return [Word.LINKED_FAILED if word is Word.OK else word for word in words]
        return words

    def _post(self, posting: Posting) -> Word:
        if posting.id in self.holds:
            return Word.DIFFERS
        if posting.id in self.transfers:
            return Word.EXISTS if self.transfers[posting.id] == posting else Word.DIFFERS
        debit, credit = self.accounts.get(posting.debit_id), self.accounts.get(posting.credit_id)
        if debit is None or credit is None or debit is credit:
            return Word.NO_ACCOUNT
        if debit.unit != credit.unit:
            return Word.UNIT_MISMATCH
        if posting.amount_micros <= 0:
            return Word.BAD_AMOUNT
        if not debit.may_give(posting.amount_micros) or not credit.may_take(posting.amount_micros):
            return Word.EXCEEDS_AVAILABLE
        self.transfers[posting.id] = posting
        debit.debits += posting.amount_micros
        credit.credits += posting.amount_micros
        return Word.OK

    def give(self, first: Posting, debt: Posting) -> Word:
        """`first` reaches the wallet, `debt` pays the receivable; both carry the whole amount."""
        if self._knows(first.id, debt.id):
            return Word.EXISTS
        return self._in_two(first, debt, second=min(self.accounts[debt.credit_id].posted, first.amount_micros))

    def take(self, first: Posting, debt: Posting) -> Word:
        """`first` leaves the wallet as far as it goes, `debt` becomes the receivable's."""
        if self._knows(first.id, debt.id):
            return Word.EXISTS
        there = max(0, min(first.amount_micros, self.accounts[first.debit_id].available))
        return self._in_two(first, debt, second=first.amount_micros - there)

    def _in_two(self, first: Posting, debt: Posting, *, second: int) -> Word:
        amounts = [(first, first.amount_micros - second), (debt, second)]
        for posting, amount in amounts:
            if amount:
                word = self._post(Posting(posting.id, posting.debit_id, posting.credit_id, amount, posting.code, posting.ref_id))
                assert word is Word.OK, word
        return Word.OK

    def _knows(self, *ids: int) -> bool:
        return any(id_ in self.transfers or id_ in self.holds for id_ in ids)
