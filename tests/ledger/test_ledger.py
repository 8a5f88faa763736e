"""What the ledger's functions answer, and that nothing but they can write."""

from datetime import timedelta

import psycopg
import pytest

from postmeter.db import calls, scope
from postmeter.ledger import operations as ledger
from postmeter.ledger import queries
from postmeter.ledger.operations import Action, Posting, Word
from tests.cast import Cast, Clinic, at


class Books:
    """A wallet with `credit` micros, and the accounts around it."""

    def __init__(self, credit: int) -> None:
        self.customer_id = calls.next_id()
        self.wallet = ledger.open_account(customer_id=self.customer_id, kind="wallet", unit="USD", ref_id=1, limited=True)
        self.receivable = ledger.open_account(
            customer_id=self.customer_id, kind="receivable", unit="USD", ref_id=1, limited=True, normal="debit"
        )
        self.usage = ledger.open_account(customer_id=self.customer_id, kind="usage", unit="USD", ref_id=1)
        self.clearing = ledger.open_account(customer_id=self.customer_id, kind="clearing:test", unit="USD", normal="debit")
        if credit:
            assert self.post(self.clearing, self.wallet, credit) is Word.OK

    def post(self, debit: int, credit: int, amount: int, id: int | None = None) -> Word:
        posting = Posting(id or calls.next_id(), debit, credit, amount, "test", 1)
        return ledger.post(customer_id=self.customer_id, now=at(), postings=[posting])[0]

    def hold(self, *amounts: int, ids: list[int] | None = None) -> tuple[list[int], list[Word]]:
        ids = ids or calls.next_ids(len(amounts))
        words = ledger.hold(
            customer_id=self.customer_id,
            now=at(),
            debit_id=self.wallet,
            credit_id=self.usage,
            code="sms",
            expires_at=at() + timedelta(days=1),
            ids=ids,
            amounts_micros=amounts,
            refs=ids,
        )
        return ids, words

    def resolve(self, ids: list[int], action: Action, *amounts: int) -> list[Word]:
        return ledger.resolve(
            customer_id=self.customer_id,
            now=at(),
            hold_ids=ids,
            actions=[action] * len(ids),
            amounts_micros=amounts or [0] * len(ids),
        )

    def give(self, amount: int, ids: tuple[int, int] | None = None) -> Word:
        first, second = ids or (calls.next_id(), calls.next_id())
        return ledger.give(
            customer_id=self.customer_id,
            now=at(),
            id=first,
            debt_id=second,
            source_id=self.clearing,
            wallet_id=self.wallet,
            receivable_id=self.receivable,
            amount_micros=amount,
            code="top_up",
            ref_id=1,
        )

    def take(self, amount: int) -> Word:
        return ledger.take(
            customer_id=self.customer_id,
            now=at(),
            id=calls.next_id(),
            debt_id=calls.next_id(),
            wallet_id=self.wallet,
            receivable_id=self.receivable,
            target_id=self.clearing,
            amount_micros=amount,
            code="clawback",
            ref_id=1,
        )

    @property
    def balance(self) -> queries.Balance:
        return queries.balances(customer_id=self.customer_id, account_ids=[self.wallet])[self.wallet]

    @property
    def debt(self) -> int:
        return queries.balances(customer_id=self.customer_id, account_ids=[self.receivable])[self.receivable].posted_micros

    def balanced(self) -> bool:
        return not any(queries.wrong_rows(customer_id=self.customer_id, check=check) for check in queries.CHECKS)


def test_a_hold_of_exactly_what_is_available_is_accepted() -> None:
    books = Books(500)
    _, words = books.hold(500)
    assert words == [Word.OK]
    assert (books.balance.available_micros, books.balance.held_micros) == (0, 500)


def test_when_funds_run_out_the_first_rows_that_fit_are_accepted() -> None:
    books = Books(100)
    _, words = books.hold(40, 40, 40, 10)
    assert words == [Word.OK, Word.OK, Word.EXCEEDS_AVAILABLE, Word.EXCEEDS_AVAILABLE]
    assert books.balance.held_micros == 80
    assert books.balanced()


def test_holding_the_same_ids_again_changes_nothing() -> None:
    books = Books(100)
    ids, _ = books.hold(30, 30)
    _, words = books.hold(30, 30, ids=ids)
    assert words == [Word.EXISTS, Word.EXISTS]
    assert books.balance.held_micros == 60


def test_a_known_row_among_new_ones_does_not_count_twice() -> None:
    books = Books(100)
    ids, _ = books.hold(60)
    _, words = books.hold(60, 40, 1, ids=[*ids, *calls.next_ids(2)])
    assert words == [Word.EXISTS, Word.OK, Word.EXCEEDS_AVAILABLE]
    assert books.balanced()


@pytest.mark.parametrize("amount", [0, -1, -(2**40)])
def test_a_hold_of_nothing_or_less_is_refused_by_name(amount: int) -> None:  # I30
    books = Books(100)
    _, words = books.hold(amount, 10)
    assert words == [Word.BAD_AMOUNT, Word.OK]


def test_a_hold_is_charged_at_most_once_and_gives_back_the_rest() -> None:  # I07
    books = Books(100)
    ids, _ = books.hold(60)
    assert books.resolve(ids, Action.POST, 45) == [Word.OK]
    assert (books.balance.posted_micros, books.balance.held_micros) == (55, 0)
    assert books.resolve(ids, Action.POST, 45) == [Word.EXISTS]
    assert books.resolve(ids, Action.POST, 44) == [Word.ALREADY_POSTED]
    assert books.resolve(ids, Action.VOID) == [Word.ALREADY_POSTED]
    assert books.balance.posted_micros == 55
    assert books.balanced()


def test_a_charge_above_its_hold_is_refused() -> None:
    books = Books(100)
    ids, _ = books.hold(60)
    assert books.resolve(ids, Action.POST, 61) == [Word.EXCEEDS_HOLD]
    assert books.resolve(ids, Action.POST, 0) == [Word.BAD_AMOUNT]
    assert books.balance.held_micros == 60


def test_an_expired_hold_is_never_charged() -> None:  # I08
    books = Books(100)
    ids, _ = books.hold(60)
    assert books.resolve(ids, Action.EXPIRE) == [Word.OK]
    assert books.resolve(ids, Action.POST, 60) == [Word.ALREADY_EXPIRED]
    assert books.balance.available_micros == 100


def test_the_same_hold_twice_in_one_call_is_resolved_once() -> None:
    books = Books(100)
    ids, _ = books.hold(60)
    assert books.resolve(ids * 2, Action.POST, 60, 60) == [Word.OK, Word.EXISTS]
    assert books.balance.posted_micros == 40
    assert books.balanced()


def test_resolving_what_was_never_held_says_so() -> None:
    assert Books(1).resolve([calls.next_id()], Action.VOID) == [Word.NOT_FOUND]


def test_a_transfer_takes_no_more_than_is_available() -> None:
    books = Books(100)
    books.hold(60)
    assert books.post(books.wallet, books.usage, 41) is Word.EXCEEDS_AVAILABLE
    assert books.post(books.wallet, books.usage, 40) is Word.OK
    assert books.balanced()


def test_linked_transfers_all_stand_or_none_does() -> None:
    books = Books(100)
    ids = calls.next_ids(2)
    postings = [Posting(ids[0], books.wallet, books.usage, 60, "a", 1), Posting(ids[1], books.wallet, books.usage, 60, "b", 1)]
    words = ledger.post(customer_id=books.customer_id, now=at(), postings=postings, linked=True)
    assert words == [Word.LINKED_FAILED, Word.EXCEEDS_AVAILABLE]
    assert books.balance.posted_micros == 100
    assert books.balanced()


def test_a_transfer_id_used_for_something_else_is_refused() -> None:
    books = Books(100)
    id_ = calls.next_id()
    assert books.post(books.wallet, books.usage, 10, id_) is Word.OK
    assert books.post(books.wallet, books.usage, 10, id_) is Word.EXISTS
    assert books.post(books.wallet, books.usage, 11, id_) is Word.DIFFERS


def test_accounts_of_two_units_never_meet() -> None:
    books = Books(100)
    credits = ledger.open_account(customer_id=books.customer_id, kind="usage", unit="SMS")
    assert books.post(books.wallet, credits, 10) is Word.UNIT_MISMATCH


def test_another_customers_account_is_no_account() -> None:  # I24
    ours, theirs = Books(100), Books(100)
    assert ours.post(ours.wallet, theirs.wallet, 10) is Word.NO_ACCOUNT


def test_what_must_be_taken_beyond_the_wallet_becomes_debt_and_the_next_money_pays_it_first() -> None:
    books = Books(30)
    assert books.take(100) is Word.OK
    assert (books.balance.posted_micros, books.debt) == (0, 70)
    assert books.give(50) is Word.OK
    assert (books.balance.posted_micros, books.debt) == (0, 20)
    ids = (calls.next_id(), calls.next_id())
    assert books.give(50, ids) is Word.OK
    assert books.give(50, ids) is Word.EXISTS
    assert (books.balance.posted_micros, books.debt) == (30, 0)
    assert books.balanced()


def test_money_that_must_be_taken_leaves_what_is_held() -> None:
    books = Books(100)
    ids, _ = books.hold(60)
    assert books.take(70) is Word.OK
    assert (books.balance.posted_micros, books.balance.held_micros, books.debt) == (60, 60, 30)
    assert books.resolve(ids, Action.POST, 60) == [Word.OK]
    assert books.balanced()


def test_a_statement_is_opening_plus_movements_equals_closing() -> None:
    books = Books(100)
    middle = at()
    ids, _ = books.hold(60)
    books.resolve(ids, Action.POST, 45)
    books.post(books.usage, books.wallet, 5)
    statement = queries.statement(
        customer_id=books.customer_id, account_id=books.wallet, since=middle, until=at() + timedelta(seconds=1)
    )
    assert statement.opening_micros == 100
    assert [line.amount_micros for line in statement.lines] == [-45, 5]
    assert [line.balance_micros for line in statement.lines] == [55, 60]
    assert statement.closing_micros == books.balance.posted_micros == 60


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_transfer SET amount_micros = 1 WHERE customer_id = %s",
        "DELETE FROM ledger_resolution WHERE customer_id = %s",
        "UPDATE ledger_account SET credits_posted = 10 WHERE customer_id = %s",
        "INSERT INTO ledger_account SELECT * FROM ledger_account WHERE customer_id = %s",
    ],
)
def test_the_application_cannot_write_the_ledger_but_through_its_functions(statement: str) -> None:  # I04
    books = Books(100)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"), scope.customer(books.customer_id):
        calls.rows(statement, [books.customer_id])


def test_not_even_the_owner_changes_a_row(database: str) -> None:  # I04
    books = Books(100)
    with (
        psycopg.connect(database) as owner,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed or removed"),
    ):
        owner.execute("UPDATE ledger_transfer SET amount_micros = 1 WHERE customer_id = %s", [books.customer_id])


def test_the_check_refuses_what_no_function_would_write(database: str) -> None:  # I05
    books = Books(100)
    with psycopg.connect(database) as owner, pytest.raises(psycopg.errors.CheckViolation, match="ledger_available"):
        owner.execute(
            "UPDATE ledger_account SET debits_pending = 101 WHERE customer_id = %s AND id = %s", [books.customer_id, books.wallet]
        )


def test_without_a_scope_no_row_is_seen(cast: Cast) -> None:  # I24
    harbour: Clinic = cast.clinic()
    assert calls.value("SELECT count(*) FROM ledger_account WHERE customer_id = %s", [harbour.id]) == 0
    with scope.customer(harbour.id):
        assert calls.value("SELECT count(*) FROM ledger_account WHERE customer_id = %s", [harbour.id]) > 0
    with scope.customer(cast.clinic().id):
        assert calls.value("SELECT count(*) FROM ledger_account WHERE customer_id = %s", [harbour.id]) == 0
