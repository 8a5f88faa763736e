"""Every write about wallets. Money itself moves only through the ledger."""

from dataclasses import dataclass
from datetime import datetime

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.money import CREDITS, MICROS, format_amount, minor_digits
from postmeter.kit.refusals import BadInput, Conflict
from postmeter.ledger import operations as ledger
from postmeter.wallets.models import Wallet

SANDBOX_MICROS = 1_000 * MICROS
LIMIT_AT_MOST = 1_000_000 * MICROS
CREDITED = frozenset({ledger.Word.OK, ledger.Word.EXISTS})


@dataclass(frozen=True, slots=True)
class Accounts:
    """The ledger accounts that a wallet's money moves between."""

    wallet: int
    receivable: int
    usage: int


@scoped
def open_wallet(*, customer_id: int, kind: str, unit: str, now: datetime, member_id: int = 0) -> Wallet:
    """The wallet of that kind and unit, made with its accounts if it is not there."""
    found = Wallet.objects.filter(customer_id=customer_id, kind=kind, unit=unit, member_id=member_id).first()
    if found:
        return found
    wallet_id = calls.next_id()
    account_id = ledger.open_account(customer_id=customer_id, kind="wallet", unit=unit, ref_id=wallet_id, limited=True)
    receivable_id = ledger.open_account(
        customer_id=customer_id, kind="receivable", unit=unit, ref_id=wallet_id, limited=True, normal="debit"
    )
    wallet = Wallet(
        customer_id=customer_id,
        id=wallet_id,
        kind=kind,
        unit=unit,
        member_id=member_id,
        account_id=account_id,
        receivable_id=receivable_id,
        created_at=now,
    )
    wallet.save(force_insert=True)
    # Committed with the wallet: processes remember it, and none may remember what another one's transaction has not committed.
    accounts(customer_id=customer_id, wallet=wallet)
    events.record("wallet.opened", customer_id=customer_id, subject_id=wallet_id, now=now, data={"kind": kind, "unit": unit})
    return wallet


@scoped
def open_first(*, customer_id: int, unit: str, now: datetime) -> None:
    """The wallets that every customer begins with: System Credits, and the sandbox with play money for test keys.

    `unit`: its currency, or a named credit (S-154). It stays: amounts of two units are never mixed. Raises BadInput.
    """
    minor_digits(unit)
    open_wallet(customer_id=customer_id, kind="pool", unit=unit, now=now)
    sandbox = open_wallet(customer_id=customer_id, kind="sandbox", unit=unit, now=now)
    play_money, debt = calls.next_ids(2)
    credit(
        customer_id=customer_id,
        wallet=sandbox,
        source_kind="sandbox",
        amount_micros=SANDBOX_MICROS,
        code="play_money",
        ref_id=sandbox.id,
        transfer_ids=(play_money, debt),
        now=now,
    )


@scoped
def accounts(*, customer_id: int, wallet: Wallet) -> Accounts:
    """The wallet's accounts and the one that what it uses is charged to."""
    usage = ledger.open_account(customer_id=customer_id, kind="usage", unit=wallet.unit, ref_id=wallet.id)
    return Accounts(wallet.account_id, wallet.receivable_id, usage)


@scoped
def take(
    *,
    customer_id: int,
    wallet: Wallet,
    target_id: int,
    amount_micros: int,
    code: str,
    ref_id: int,
    transfer_ids: tuple[int, int],
    now: datetime,
) -> None:
    """Take what must be taken whatever the balance is, to an account of the ledger: what the wallet lacks becomes debt (A-03)."""
    word = ledger.take(
        customer_id=customer_id,
        now=now,
        id=transfer_ids[0],
        debt_id=transfer_ids[1],
        wallet_id=wallet.account_id,
        receivable_id=wallet.receivable_id,
        target_id=target_id,
        amount_micros=amount_micros,
        code=code,
        ref_id=ref_id,
    )
    assert word is ledger.Word.OK, f"{code} refused: {word}"


@scoped
def credit(
    *,
    customer_id: int,
    wallet: Wallet,
    source_kind: str,
    amount_micros: int,
    code: str,
    ref_id: int,
    transfer_ids: tuple[int, int],
    now: datetime,
) -> bool:
    """Bring money in from outside, once for each pair of `transfer_ids` (for the wallet, for a debt that is paid first).

    Says whether this call did it: a repeat changes nothing.
    """
    if amount_micros <= 0:
        raise BadInput("An amount must be above zero.", field="amount")
    source = ledger.open_account(customer_id=customer_id, kind=source_kind, unit=wallet.unit, normal="debit")
    word = ledger.give(
        customer_id=customer_id,
        now=now,
        id=transfer_ids[0],
        debt_id=transfer_ids[1],
        source_id=source,
        wallet_id=wallet.account_id,
        receivable_id=wallet.receivable_id,
        amount_micros=amount_micros,
        code=code,
        ref_id=ref_id,
    )
    assert word in CREDITED, f"credit refused: {word}"
    return word is ledger.Word.OK


@scoped
def set_limit(*, customer_id: int, wallet: Wallet, limit_micros: int, actor: str, now: datetime) -> None:
    """Let a customer go below zero by at most this much (S-095, S-096; A-39: by default not at all).

    Raises BadInput, and Conflict where more than that is used or promised already.
    """
    if not 0 <= limit_micros <= LIMIT_AT_MOST:
        raise BadInput("That is no limit.", field="limit", remedy=f"Use 0 to {format_amount(LIMIT_AT_MOST, wallet.unit)}.")
    if wallet.kind == "sandbox":
        raise BadInput("The sandbox has no overdraft.", field="wallet", remedy="Choose the live wallet.")
    if limit_micros and wallet.unit in CREDITS:
        # What is below zero is billed in money, and a credit that nobody bought has no price.
        raise BadInput("Credit that is counted in messages cannot go below zero.", field="limit", remedy="Leave it at 0.")
    if not ledger.set_limit(customer_id=customer_id, account_id=wallet.account_id, limit_micros=limit_micros):
        raise Conflict("More than that is used already.", field="limit", remedy="Have it paid first, or set a higher limit.")
    events.record(
        "wallet.limit_changed",
        customer_id=customer_id,
        subject_id=wallet.id,
        now=now,
        actor=actor,
        data={"limit_micros": limit_micros},
    )


@scoped
def watch(*, customer_id: int, wallet: Wallet, name: str, below_micros: int | None) -> None:
    """Have the fact `wallet.fell` recorded, once, in the transaction that takes posted less held below this (A-04: strictly).

    At once when it is below already; None ends the watch. `name` says whose it is, so that several may watch one wallet.
    """
    ledger.watch(customer_id=customer_id, account_id=wallet.account_id, name=name, below_micros=below_micros)


@scoped
def watch_debt(*, customer_id: int, wallet: Wallet, name: str, wanted: bool) -> None:
    """Have the fact `wallet.fell` recorded, once, in the transaction that makes the customer owe something beyond the wallet."""
    ledger.watch(customer_id=customer_id, account_id=wallet.receivable_id, name=name, below_micros=0 if wanted else None)
