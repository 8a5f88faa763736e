"""Promotional credit: given, with an end or without one, used before what was bought, and never invoiced (A-12)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.money import MICROS, exact_minor, format_amount
from postmeter.kit.refusals import BadInput, Conflict
from postmeter.ledger import operations as ledger
from postmeter.ledger import queries as ledger_queries
from postmeter.ledger.operations import Posting
from postmeter.terms import lots
from postmeter.terms.adjustments import reason_of
from postmeter.terms.models import Grant
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets
from postmeter.wallets.models import Wallet

MOST_MICROS = 10_000 * MICROS
SHORTEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """A grant and what of it is not used yet, or was not when it ended; micro-units."""

    grant: Grant
    left_micros: int


@scoped
def give(
    *,
    customer_id: int,
    wallet_id: int,
    amount_micros: int,
    reason: str,
    expires_at: datetime | None,
    key: UUID,
    actor: str,
    now: datetime,
) -> Grant:
    """Give promotional credit. The same `key` is the same grant. Raises BadInput with its field, Conflict for a key used otherwise."""
    wallet, reason = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id), reason_of(reason)
    exact_minor(amount_micros, wallet.unit)
    if not 0 < amount_micros <= MOST_MICROS or wallet.kind == "sandbox":
        raise BadInput(
            "That is no grant.", field="amount", remedy=f"Up to {format_amount(MOST_MICROS, wallet.unit)}, to a live wallet."
        )
    if expires_at and expires_at < now + SHORTEST:
        raise BadInput("This would end at once.", field="expires", remedy="Choose a day after tomorrow, or none.")
    added = calls.rows(
        """INSERT INTO terms_grant (customer_id, id, wallet_id, amount_micros, reason, key, granted_by, granted_at, expires_at,
               transfer_id, expiry_transfer_id, expired_micros)
           VALUES (%s, next_id(), %s, %s, %s, %s, %s, %s, %s, next_id(), next_id(), 0)
           ON CONFLICT (customer_id, key) DO NOTHING RETURNING id""",
        [customer_id, wallet_id, amount_micros, reason, key, actor, now, expires_at],
    )
    row = Grant.objects.get(customer_id=customer_id, key=key)
    if (row.wallet_id, row.amount_micros) != (wallet_id, amount_micros):
        raise Conflict("This key was used for another grant.", field="key", remedy="Begin a new one.")
    if added:
        # Not `credit`: a present does not pay a debt.
        posting = Posting(row.transfer_id, _promotion(wallet), wallet.account_id, amount_micros, "promotion", row.id)
        _post(customer_id, posting, now)
        data = {"amount_micros": amount_micros, "wallet": wallet_id}
        events.record("grant.given", customer_id=customer_id, subject_id=row.id, now=now, actor=actor, data=data)
    return row


@scoped
def standings(*, customer_id: int, wallet_id: int, now: datetime) -> list[Standing]:
    """Every grant of a wallet and what is left of it, the next to end first."""
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    rows = list(Grant.objects.filter(customer_id=customer_id, wallet_id=wallet_id).order_by("id"))
    if not rows:
        return []
    usage = wallet_operations.accounts(customer_id=customer_id, wallet=wallet).usage

    @lru_cache
    def used_until(moment: datetime) -> int:
        return ledger_queries.balance_at(customer_id=customer_id, account_id=usage, at=moment)

    remaining = lots.left([lots.Lot(row.id, row.amount_micros, row.granted_at, row.expires_at) for row in rows], used_until, now)
    found = [Standing(row, remaining[row.id]) for row in rows]
    return sorted(found, key=lambda each: (each.grant.expires_at is None, each.grant.expires_at or now, each.grant.id))


def expire_due(*, customer_id: int, now: datetime) -> int:
    """Take back what was not used of grants whose day has come. Returns how many ended."""
    return sum(
        _expire(customer_id=customer_id, wallet_id=wallet_id, now=now) for wallet_id in _due(customer_id=customer_id, now=now)
    )


@scoped
def _due(*, customer_id: int, now: datetime) -> list[int]:
    rows = Grant.objects.filter(customer_id=customer_id, expired_at=None, expires_at__lte=now)
    return sorted(set(rows.values_list("wallet_id", flat=True)))


@scoped
def _expire(*, customer_id: int, wallet_id: int, now: datetime) -> int:
    """What is promised to messages under way counts as used, and nothing is taken that is not there: in doubt for the customer."""
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    ledger.lock(customer_id=customer_id, account_ids=[wallet.account_id])
    ended = [
        each
        for each in standings(customer_id=customer_id, wallet_id=wallet_id, now=now)
        if each.grant.expired_at is None and each.grant.expires_at and each.grant.expires_at <= now
    ]
    for each in ended:
        balance = wallets.balance(customer_id=customer_id, wallet=wallet)
        free = max(0, balance.posted_micros + balance.debt_micros - balance.held_micros)
        taken = max(0, min(each.left_micros - balance.held_micros, free))
        if taken:
            posting = Posting(
                each.grant.expiry_transfer_id, wallet.account_id, _promotion(wallet), taken, "promotion_expired", each.grant.id
            )
            _post(customer_id, posting, now)
        each.grant.expired_at, each.grant.expired_micros = now, taken
        each.grant.save(update_fields=["expired_at", "expired_micros"])
        events.record("grant.expired", customer_id=customer_id, subject_id=each.grant.id, now=now, data={"amount_micros": taken})
    return len(ended)


def _promotion(wallet: Wallet) -> int:
    return ledger.open_account(
        customer_id=wallet.customer_id, kind="promotion", unit=wallet.unit, ref_id=wallet.id, normal="debit"
    )


def _post(customer_id: int, posting: Posting, now: datetime) -> None:
    words = ledger.post(customer_id=customer_id, now=now, postings=[posting])
    assert words == [ledger.Word.OK], f"grant refused: {words}"
