"""Every write of the ledger: thin, typed calls of the functions in `sql/`.

Each call serves one customer and answers one word per row, in the rows' order. Amounts are micro-units of the account's
unit. Callers make the ids (`db.calls.next_id`) and keep them, so that a repeated call changes nothing (`exists`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from postmeter.db import calls
from postmeter.db.scope import scoped


class Word(StrEnum):
    """What the ledger answers for one row."""

    OK = "ok"
    EXISTS = "exists"
    DIFFERS = "differs"
    EXCEEDS_AVAILABLE = "exceeds_available"
    EXCEEDS_HOLD = "exceeds_hold"
    BAD_AMOUNT = "bad_amount"
    BAD_ACTION = "bad_action"
    NO_ACCOUNT = "no_account"
    UNIT_MISMATCH = "unit_mismatch"
    NOT_FOUND = "not_found"
    LINKED_FAILED = "linked_failed"
    ALREADY_POSTED = "already_posted"
    ALREADY_VOIDED = "already_voided"
    ALREADY_EXPIRED = "already_expired"


class Action(StrEnum):
    """What becomes of a hold."""

    POST = "post"
    VOID = "void"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class Posting:
    """One transfer: `amount_micros` leaves `debit_id` and arrives at `credit_id`."""

    id: int
    debit_id: int
    credit_id: int
    amount_micros: int
    code: str
    ref_id: int


@scoped
def open_account(
    *, customer_id: int, kind: str, unit: str, ref_id: int = 0, limited: bool = False, normal: str = "credit"
) -> int:
    """The account of that kind and unit, made if it is not there. Returns its id."""
    return int(calls.value("SELECT ledger_open(%s, %s, %s, %s, %s, %s)", [customer_id, kind, unit, ref_id, limited, normal]))


@scoped
def lock(*, customer_id: int, account_ids: Sequence[int]) -> None:
    """Hold these balances still until the transaction ends: for postings that follow from what is read now."""
    calls.rows("SELECT ledger_lock(%s, %b::bigint[])", [customer_id, list(account_ids)])


@scoped
def hold(
    *,
    customer_id: int,
    now: datetime,
    debit_id: int,
    credit_id: int,
    code: str,
    expires_at: datetime,
    ids: Sequence[int],
    amounts_micros: Sequence[int],
    refs: Sequence[int],
) -> list[Word]:
    """Reserve each amount on `debit_id`. When the money runs out, the first rows that fit are accepted."""
    words = calls.value(
        "SELECT ledger_hold(%s, %s, %s, %s, %s, %s, %b::bigint[], %b::bigint[], %b::bigint[])",
        [customer_id, now, debit_id, credit_id, code, expires_at, list(ids), list(amounts_micros), list(refs)],
    )
    return [Word(word) for word in words]


@scoped
def set_limit(*, customer_id: int, account_id: int, limit_micros: int) -> bool:
    """Let an account be overdrawn by this much. False, and nothing changes, where more than that is used already."""
    return bool(calls.value("SELECT ledger_set_limit(%s, %s, %s)", [customer_id, account_id, limit_micros]))


@scoped
def watch(*, customer_id: int, account_id: int, name: str, below_micros: int | None) -> None:
    """Have the fact `wallet.fell` recorded once when what is there and not held falls below this; None ends the watch.

    `name` says whose watch it is: another call of that name replaces it, other names stay. At once when it is below already.
    """
    calls.rows("SELECT ledger_set_watch(%s, %s, %s, %s)", [customer_id, account_id, name, below_micros])


@scoped
def resolve(
    *, customer_id: int, now: datetime, hold_ids: Sequence[int], actions: Sequence[Action], amounts_micros: Sequence[int]
) -> list[Word]:
    """Post (at most the hold), void or expire holds, each exactly once."""
    words = calls.value(
        "SELECT ledger_resolve(%s, %s, %b::bigint[], %b::text[], %b::bigint[])",
        [customer_id, now, list(hold_ids), [str(action) for action in actions], list(amounts_micros)],
    )
    return [Word(word) for word in words]


@scoped
def post(*, customer_id: int, now: datetime, postings: Sequence[Posting], linked: bool = False) -> list[Word]:
    """Post transfers one after the other; with `linked` all of them stand or none does."""
    words = calls.value(
        "SELECT ledger_post(%s, %s, %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[], %b::bigint[], %s)",
        [
            customer_id,
            now,
            [p.id for p in postings],
            [p.debit_id for p in postings],
            [p.credit_id for p in postings],
            [p.amount_micros for p in postings],
            [p.code for p in postings],
            [p.ref_id for p in postings],
            linked,
        ],
    )
    return [Word(word) for word in words]


@scoped
def give(
    *,
    customer_id: int,
    now: datetime,
    id: int,
    debt_id: int,
    source_id: int,
    wallet_id: int,
    receivable_id: int,
    amount_micros: int,
    code: str,
    ref_id: int,
) -> Word:
    """Money that comes in: pays the receivable first (transfer `debt_id`), the rest goes to the wallet (transfer `id`)."""
    return Word(
        calls.value(
            "SELECT ledger_give(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [customer_id, now, id, debt_id, source_id, wallet_id, receivable_id, amount_micros, code, ref_id],
        )
    )


@scoped
def take(
    *,
    customer_id: int,
    now: datetime,
    id: int,
    debt_id: int,
    wallet_id: int,
    receivable_id: int,
    target_id: int,
    amount_micros: int,
    code: str,
    ref_id: int,
) -> Word:
    """Money that must be taken: the wallet gives what is available, the rest becomes debt in the receivable (A-03)."""
    return Word(
        calls.value(
            "SELECT ledger_take(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [customer_id, now, id, debt_id, wallet_id, receivable_id, target_id, amount_micros, code, ref_id],
        )
    )
