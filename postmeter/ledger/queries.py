"""Reads of the ledger. Amounts are micro-units of the account's unit; positive increases the account's own balance."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.ledger.models import Account


@dataclass(frozen=True, slots=True)
class Balance:
    """A limited account's materialised balance."""

    account_id: int
    unit: str
    posted_micros: int
    held_micros: int
    limit_micros: int

    @property
    def available_micros(self) -> int:
        return self.posted_micros - self.held_micros + self.limit_micros


@dataclass(frozen=True, slots=True)
class Line:
    """One movement of one account: signed, with the other side and the running balance."""

    id: int
    at: datetime
    code: str
    ref_id: int
    amount_micros: int
    other_account_id: int
    balance_micros: int


@dataclass(frozen=True, slots=True)
class Statement:
    """opening + movements = closing, over [since, until)."""

    opening_micros: int
    closing_micros: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger as the trail shows it: a hold, what became of it, or a transfer."""

    id: int
    at: datetime
    kind: str  # hold | post | void | expire | transfer
    code: str
    ref_id: int
    debit_account_id: int
    credit_account_id: int
    amount_micros: int
    hold_id: int  # whose it is, or was resolved; 0 of a transfer


@scoped
def balances(*, customer_id: int, account_ids: Sequence[int]) -> dict[int, Balance]:
    found = {}
    for account in Account.objects.filter(customer_id=customer_id, id__in=account_ids):
        sign = 1 if account.normal == "credit" else -1
        found[account.id] = Balance(
            account.id,
            account.unit,
            sign * (account.credits_posted - account.debits_posted),
            account.debits_pending,
            account.limit_micros,
        )
    return found


@scoped
def accounts(*, customer_id: int) -> list[Account]:
    return list(Account.objects.filter(customer_id=customer_id).order_by("kind", "unit", "id"))


def _moved(side: str) -> str:
    """Everything that moved an account on one side: transfers and posted holds. Each half has an index of its own."""
    sign, other = ("", "debit") if side == "credit" else ("-", "credit")
    return f"""
        SELECT id, at, code, ref_id, {sign}amount_micros AS amount, {other}_account_id AS other
        FROM ledger_transfer WHERE customer_id = %(customer)s AND NOT pending AND {side}_account_id = %(account)s
        UNION ALL
        SELECT id, at, code, ref_id, {sign}amount_micros, {other}_account_id
        FROM ledger_resolution WHERE customer_id = %(customer)s AND action = 'post' AND {side}_account_id = %(account)s
    """  # noqa: S608 - the two sides are our own words


_MOVED = f"({_moved('credit')} UNION ALL {_moved('debit')})"


@scoped
def balance_at(*, customer_id: int, account_id: int, at: datetime) -> int:
    """The posted balance just before `at`, computed from the rows, never from the materialised balance."""
    return int(
        calls.value(
            f"SELECT coalesce(sum(amount), 0) FROM {_MOVED} m WHERE at < %(at)s",  # noqa: S608
            {"customer": customer_id, "account": account_id, "at": at},
        )
    )


_LINES = f"SELECT id, at, code, ref_id, amount, other FROM {_MOVED} m WHERE at >= %(since)s AND at < %(until)s ORDER BY at, id"  # noqa: S608


@scoped
def statement(*, customer_id: int, account_id: int, since: datetime, until: datetime) -> Statement:
    """All movements in [since, until) in the order in which they were written, with the running balance on each line."""
    opening = balance_at(customer_id=customer_id, account_id=account_id, at=since)
    found = tuple(lines(customer_id=customer_id, account_id=account_id, since=since, until=until))
    return Statement(opening, found[-1].balance_micros if found else opening, found)


def lines(*, customer_id: int, account_id: int, since: datetime, until: datetime) -> Generator[Line, None, None]:
    """The lines of `statement`, read in one pass however many there are; the customer's scope stays open until the last one."""
    with scope.customer(customer_id):
        running = balance_at(customer_id=customer_id, account_id=account_id, at=since)
        found = calls.stream(_LINES, {"customer": customer_id, "account": account_id, "since": since, "until": until})
        for id_, at, code, ref_id, amount, other in found:
            running += amount
            yield Line(id_, at, code, ref_id, amount, other, running)


@dataclass(frozen=True, slots=True)
class DaySum:
    """What moved an account on one day for one reason and in one direction, with the balance after it."""

    day: date
    code: str
    count: int
    ref_id: int  # of the last movement; the only one where count is 1
    amount_micros: int
    balance_micros: int


@dataclass(frozen=True, slots=True)
class DailyStatement:
    """opening + sums = closing, over [since, until)."""

    opening_micros: int
    closing_micros: int
    sums: tuple[DaySum, ...]


@scoped
def daily_statement(
    *, customer_id: int, account_id: int, since: datetime, until: datetime, time_zone: str, singly: Sequence[str] = ()
) -> DailyStatement:
    """A statement that stays short however many movements there are: summed by day in that zone, code and direction.

    Movements with a code in `singly` each keep a line of their own.
    """
    opening = balance_at(customer_id=customer_id, account_id=account_id, at=since)
    rows = calls.rows(
        f"""SELECT (at AT TIME ZONE %(zone)s)::date AS day, code, count(*), max(ref_id), sum(amount)::bigint FROM {_MOVED} m
            WHERE at >= %(since)s AND at < %(until)s
            GROUP BY 1, code, amount > 0, CASE WHEN code = ANY (%(singly)s) THEN id ELSE 0 END ORDER BY 1, max(at), max(id)""",  # noqa: S608
        {
            "customer": customer_id,
            "account": account_id,
            "since": since,
            "until": until,
            "zone": time_zone,
            "singly": list(singly),
        },
    )
    sums, running = [], opening
    for day, code, count, ref_id, amount in rows:
        running += amount
        sums.append(DaySum(day, code, count, ref_id, amount, running))
    return DailyStatement(opening, running, tuple(sums))


@scoped
def statement_page(
    *, customer_id: int, account_id: int, since: datetime, until: datetime, after_id: int | None, at_most: int
) -> Statement:
    """Like `statement`, only the lines after the one with id `after_id`. Opening and closing are the whole span's."""
    opening = balance_at(customer_id=customer_id, account_id=account_id, at=since)
    closing = balance_at(customer_id=customer_id, account_id=account_id, at=until)
    rows = calls.rows(
        f"""SELECT id, at, code, ref_id, amount, other, (%(opening)s + running)::bigint FROM (
                SELECT m.*, sum(amount) OVER (ORDER BY at, id) AS running FROM {_MOVED} m WHERE at >= %(since)s AND at < %(until)s
            ) line
            WHERE %(after)s::bigint IS NULL OR (at, id) > (SELECT at, id FROM {_MOVED} c WHERE id = %(after)s)
            ORDER BY at, id LIMIT %(at_most)s""",  # noqa: S608
        {
            "customer": customer_id,
            "account": account_id,
            "opening": opening,
            "since": since,
            "until": until,
            "after": after_id,
            "at_most": at_most,
        },
    )
    return Statement(opening, closing, tuple(Line(*row) for row in rows))


@scoped
def entries_of(*, customer_id: int, ref_id: int, hold_ids: Sequence[int] = ()) -> list[Entry]:
    """Every ledger row about one thing (a message, a payment): its holds, what became of them, and its transfers."""
    rows = calls.rows(
        """
        SELECT id, at, 'hold', code, ref_id, debit_account_id, credit_account_id, amount_micros, id
            FROM ledger_transfer WHERE customer_id = %(customer)s AND id = ANY (%(holds)s) AND pending
        UNION ALL
        SELECT id, at, action, code, ref_id, debit_account_id, credit_account_id, amount_micros, hold_id
            FROM ledger_resolution WHERE customer_id = %(customer)s AND hold_id = ANY (%(holds)s)
        UNION ALL
        SELECT id, at, 'transfer', code, ref_id, debit_account_id, credit_account_id, amount_micros, 0
            FROM ledger_transfer WHERE customer_id = %(customer)s AND ref_id = %(ref)s AND NOT pending
        ORDER BY 2, 1
        """,
        {"customer": customer_id, "holds": list(hold_ids), "ref": ref_id},
    )
    return [Entry(*row) for row in rows]


@scoped
def is_proven(*, customer_id: int, account_id: int) -> bool:
    """Whether an account is there and its balance is the sum of its rows, seen in one moment. Reads all of them."""
    proven = calls.value(
        """
        SELECT a.debits_posted = (
            SELECT coalesce(sum(amount_micros), 0) FROM (
                SELECT amount_micros FROM ledger_transfer
                    WHERE customer_id = %(customer)s AND debit_account_id = %(account)s AND NOT pending
                UNION ALL SELECT amount_micros FROM ledger_resolution
                    WHERE customer_id = %(customer)s AND debit_account_id = %(account)s AND action = 'post') debits)
          AND a.credits_posted = (
            SELECT coalesce(sum(amount_micros), 0) FROM (
                SELECT amount_micros FROM ledger_transfer
                    WHERE customer_id = %(customer)s AND credit_account_id = %(account)s AND NOT pending
                UNION ALL SELECT amount_micros FROM ledger_resolution
                    WHERE customer_id = %(customer)s AND credit_account_id = %(account)s AND action = 'post') credits)
        FROM ledger_account a WHERE a.customer_id = %(customer)s AND a.id = %(account)s
        """,
        {"customer": customer_id, "account": account_id},
    )
    return bool(proven)


# Each check is a query that returns the rows that are wrong.
CHECKS: dict[str, str] = {
    "materialised balances equal the sums of their rows": """
        WITH side AS (
            SELECT debit_account_id AS id, amount_micros AS debit, 0 AS credit, 0 AS held FROM ledger_transfer
                WHERE customer_id = %(customer)s AND NOT pending
            UNION ALL SELECT credit_account_id, 0, amount_micros, 0 FROM ledger_transfer
                WHERE customer_id = %(customer)s AND NOT pending
            UNION ALL SELECT debit_account_id, amount_micros, 0, 0 FROM ledger_resolution WHERE customer_id = %(customer)s
            UNION ALL SELECT credit_account_id, 0, amount_micros, 0 FROM ledger_resolution WHERE customer_id = %(customer)s
            UNION ALL SELECT t.debit_account_id, 0, 0, t.amount_micros FROM ledger_transfer t
                WHERE t.customer_id = %(customer)s AND t.pending
                AND NOT EXISTS (SELECT 1 FROM ledger_resolution r WHERE r.customer_id = t.customer_id AND r.hold_id = t.id)
        ), total AS (SELECT id, sum(debit) AS debit, sum(credit) AS credit, sum(held) AS held FROM side GROUP BY id)
        SELECT a.id, a.debits_posted, a.credits_posted, a.debits_pending, t.debit, t.credit, t.held
        FROM ledger_account a LEFT JOIN total t ON t.id = a.id
        WHERE a.customer_id = %(customer)s AND a.limited AND (a.debits_posted, a.credits_posted, a.debits_pending)
            IS DISTINCT FROM (coalesce(t.debit, 0), coalesce(t.credit, 0), coalesce(t.held, 0))""",
    "nothing is taken beyond a limit": """
        SELECT id, kind FROM ledger_account WHERE customer_id = %(customer)s AND limited AND CASE normal
            WHEN 'credit' THEN credits_posted - debits_posted - debits_pending + limit_micros
            ELSE debits_posted - credits_posted - debits_pending END < 0""",
    "every resolution has its hold and takes no more than it": """
        SELECT r.hold_id, r.action, r.amount_micros, t.amount_micros FROM ledger_resolution r
        LEFT JOIN ledger_transfer t ON t.customer_id = r.customer_id AND t.id = r.hold_id AND t.pending
        WHERE r.customer_id = %(customer)s AND (t.id IS NULL OR r.amount_micros > t.amount_micros
            OR (r.debit_account_id, r.credit_account_id, r.ref_id) <> (t.debit_account_id, t.credit_account_id, t.ref_id))""",
    "both sides of every row are this customer's and of one unit": """
        SELECT t.id FROM ledger_transfer t
        LEFT JOIN ledger_account d ON d.customer_id = t.customer_id AND d.id = t.debit_account_id
        LEFT JOIN ledger_account c ON c.customer_id = t.customer_id AND c.id = t.credit_account_id
        WHERE t.customer_id = %(customer)s AND (d.unit = c.unit) IS NOT TRUE""",
}


@scoped
def wrong_rows(*, customer_id: int, check: str, at_most: int = 20) -> list[tuple[object, ...]]:
    """The first rows that fail one of `CHECKS`; none when the books are right."""
    return calls.rows(f"SELECT * FROM ({CHECKS[check]}) wrong LIMIT {int(at_most)}", {"customer": customer_id})  # noqa: S608


@scoped
def counts(*, customer_id: int) -> tuple[int, int, int]:
    """How many accounts, transfers and resolutions there are."""
    a, t, r = calls.rows(
        """SELECT (SELECT count(*) FROM ledger_account WHERE customer_id = %(customer)s),
                  (SELECT count(*) FROM ledger_transfer WHERE customer_id = %(customer)s),
                  (SELECT count(*) FROM ledger_resolution WHERE customer_id = %(customer)s)""",
        {"customer": customer_id},
    )[0]
    return int(a), int(t), int(r)
