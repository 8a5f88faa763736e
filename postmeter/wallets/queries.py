"""Reads of wallets."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime

from postmeter.db.scope import scoped
from postmeter.kit.refusals import NotFound
from postmeter.ledger import queries as ledger
from postmeter.wallets.models import Wallet


@dataclass(frozen=True, slots=True)
class WalletBalance:
    """What is in a wallet, in micro-units of its unit (A-02). Incoming top-ups are added by `topups.queries.figures`."""

    wallet: Wallet
    posted_micros: int  # as shown: what the customer owes beyond the wallet is taken off, so it can read below zero
    held_micros: int
    limit_micros: int
    debt_micros: int

    @property
    def available_micros(self) -> int:
        """What may be spent. A debt is not taken off: the next top-up pays it, and until then the wallet is empty anyway."""
        return self.posted_micros + self.debt_micros - self.held_micros + self.limit_micros


@scoped
def wallets(*, customer_id: int) -> list[Wallet]:
    return list(Wallet.objects.filter(customer_id=customer_id).order_by("id"))


@scoped
def wallet(*, customer_id: int, wallet_id: int) -> Wallet:
    found = Wallet.objects.filter(customer_id=customer_id, id=wallet_id).first()
    if found is None:
        raise NotFound("There is no such wallet.")
    return found


@scoped
def pool(*, customer_id: int, mode: str = "live") -> Wallet:
    """The wallet that sends are paid from: System Credits, or the sandbox for test keys."""
    kind = "pool" if mode == "live" else "sandbox"
    found = Wallet.objects.filter(customer_id=customer_id, kind=kind).order_by("id").first()
    if found is None:
        raise NotFound("There is no wallet yet.")
    return found


@scoped
def balance(*, customer_id: int, wallet: Wallet) -> WalletBalance:
    found = ledger.balances(customer_id=customer_id, account_ids=[wallet.account_id, wallet.receivable_id])
    own, debt = found[wallet.account_id], found[wallet.receivable_id]
    return WalletBalance(wallet, own.posted_micros - debt.posted_micros, own.held_micros, own.limit_micros, debt.posted_micros)


@scoped
def statement(*, customer_id: int, wallet: Wallet, since: datetime, until: datetime) -> ledger.Statement:
    """The wallet's movements in [since, until): opening + movements = closing."""
    return ledger.statement(customer_id=customer_id, account_id=wallet.account_id, since=since, until=until)


def lines(*, customer_id: int, wallet: Wallet, since: datetime, until: datetime) -> Generator[ledger.Line, None, None]:
    """The movements in [since, until) with the balance after each, in one pass however many there are."""
    return ledger.lines(customer_id=customer_id, account_id=wallet.account_id, since=since, until=until)


@scoped
def statement_page(
    *, customer_id: int, wallet: Wallet, since: datetime, until: datetime, after_id: int | None, at_most: int
) -> ledger.Statement:
    """A page of the statement: the lines after the one with id `after_id`; opening and closing are the whole span's."""
    return ledger.statement_page(
        customer_id=customer_id, account_id=wallet.account_id, since=since, until=until, after_id=after_id, at_most=at_most
    )


@scoped
def daily_statement(
    *, customer_id: int, wallet: Wallet, since: datetime, until: datetime, time_zone: str, singly: Sequence[str]
) -> ledger.DailyStatement:
    """The same, summed by day and reason so that a month of many messages stays readable."""
    return ledger.daily_statement(
        customer_id=customer_id, account_id=wallet.account_id, since=since, until=until, time_zone=time_zone, singly=singly
    )


# Each check is a query that returns the rows that are wrong.
CHECKS = {
    "every transfer between wallets stands in the ledger as one row of its amount, from the one to the other": """
        SELECT t.id, t.amount_micros, l.amount_micros FROM wallets_transfer t
        LEFT JOIN wallets_wallet s ON s.customer_id = t.customer_id AND s.id = t.source_id
        LEFT JOIN wallets_wallet g ON g.customer_id = t.customer_id AND g.id = t.target_id
        LEFT JOIN ledger_transfer l ON l.customer_id = t.customer_id AND l.id = t.id AND NOT l.pending
        WHERE t.customer_id = %(customer)s AND (l.amount_micros, l.debit_account_id, l.credit_account_id)
            IS DISTINCT FROM (t.amount_micros, s.account_id, g.account_id)""",
}
