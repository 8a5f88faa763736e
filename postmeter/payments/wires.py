"""Bank transfers: the operator's accounts, each wallet's payment reference, and what banks say has arrived.

Nothing is credited here: an entry whose owner is known is `matched`, and `topups.wires` brings its money into the wallet.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import Q

from postmeter.customers import queries as customers
from postmeter.db import calls, scope
from postmeter.db.scope import EVERYBODY, scoped
from postmeter.events import operations as events
from postmeter.kit.money import MINOR_DIGITS
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from postmeter.payments.gateways import NEVER
from postmeter.payments.models import BankAccount, BankEntry, PaymentMethod, WireReference
from postmeter.payments.wire.entry import BadStatement, Direction, Entry, Reading
from postmeter.payments.wire.reference import found, reference_of, squeezed
from postmeter.payments.wire.same import Seen, compare, what_of

GATEWAY = "wire"
WALLETS_EACH = 100  # of a customer that may have a reference: ten digits for eight of the customer's number


class Why(StrEnum):
    """Why a person must look at an entry."""

    NO_REFERENCE = "no_reference"
    UNKNOWN_REFERENCE = "unknown_reference"  # its checksum is right, but it is nobody's
    AMBIGUOUS = "ambiguous"  # references of several wallets
    CURRENCY = "currency"  # not the wallet's
    PERHAPS_KNOWN = "perhaps_known"  # it may be an entry of another file
    LUMP_SUM = "lump_sum"  # several payments, and the statement does not name them
    REVERSAL = "reversal"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a file's entries. `known`: imported before. `ignored`: money out that is no customer's."""

    matched: int
    queued: int
    known: int
    ignored: int


# The operator's accounts


def set_account(
    *,
    account: str,
    currency: str,
    holder: str,
    bank: str = "",
    bic: str = "",
    note: str = "",
    also: Iterable[str] = (),
) -> BankAccount:
    """Add an account that customers transfer to, or change what is said of it."""
    if currency not in MINOR_DIGITS:
        raise BadInput(f"{currency!r} is not a currency.", field="currency", remedy="Use an ISO 4217 code such as EUR.")
    name = squeezed(account)
    if not name or not holder.strip():
        raise BadInput("An account needs its number and its holder.", field="account", remedy="Give the IBAN or the number.")
    said = {
        "holder": holder,
        "bank": bank,
        "bic": bic,
        "note": note,
        "also": sorted({squeezed(each) for each in also}),
        "closed_at": None,
    }
    with scope.every_customer():
        kept, _ = BankAccount.objects.update_or_create(account=name, currency=currency, defaults=said)
    return kept


def close_account(*, account: str, currency: str, now: datetime) -> None:
    """Show an account to customers no more. What arrives there is still imported."""
    with scope.every_customer():
        if not BankAccount.objects.filter(account=squeezed(account), currency=currency).update(closed_at=now):
            raise NotFound(f"There is no account {account} in {currency}.")


def accounts(*, currency: str | None = None) -> list[BankAccount]:
    """The accounts that are open, in the order in which they were added."""
    rows = BankAccount.objects.filter(closed_at=None).order_by("id")
    return list(rows.filter(currency=currency) if currency else rows)


# References


@scoped
def reference_for(*, customer_id: int, wallet_id: int, unit: str, now: datetime) -> WireReference:
    """The wallet's payment reference, made when it is first asked for and never changed (A-35)."""
    while not (known := WireReference.objects.filter(customer_id=customer_id, wallet_id=wallet_id).first()):
        _make_reference(customer_id, wallet_id, unit, now)
    return known


def _make_reference(customer_id: int, wallet_id: int, unit: str, now: datetime) -> None:
    turn = WireReference.objects.filter(customer_id=customer_id).count()
    if turn >= WALLETS_EACH:
        raise Conflict("This customer has no payment reference left.", remedy="Transfer to another wallet.")
    reference = reference_of(customers.customer(customer_id=customer_id).number * WALLETS_EACH + turn)
    reference_id, method_id = calls.next_ids(2)
    added = calls.rows(
        """INSERT INTO payments_wire_reference (customer_id, id, wallet_id, unit, reference, method_id, created_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id""",
        [customer_id, reference_id, wallet_id, unit, reference, method_id, now],
    )
    if added:
        # What payments by this reference are named after. Closed from the start: nobody can charge a bank transfer.
        PaymentMethod(
            customer_id=customer_id,
            id=method_id,
            gateway=GATEWAY,
            kind="wire",
            token=reference,
            brand="Bank transfer",
            last4=reference[-4:],
            expires_year=NEVER[0],
            expires_month=NEVER[1],
            position=0,
            auto_charge=False,
            created_at=now,
            removed_at=now,
        ).save(force_insert=True)


# What arrives


def record(
    *,
    reading: Reading,
    file_name: str,
    file_digest: str,
    account: str,
    actor: str,
    now: datetime,
) -> Recorded:
    """Keep a file's entries, each once however often and in whatever format it comes, in one transaction.

    `account`: whose statement it is, where the file does not say so. Raises BadStatement for accounts that are not ours.
    """
    with scope.every_customer():
        by_account: dict[int, list[Entry]] = {}
        for entry in reading.entries:
            ours = _account_of(entry, account, file_name)
            by_account.setdefault(ours.id, []).append(entry)
        # The accounts' rows are the lock: of two imports at once one waits, and then finds what the other wrote.
        list(BankAccount.objects.select_for_update().filter(id__in=by_account).order_by("id"))
        owners = _owners(found(text for entry in reading.entries for text in entry.texts))
        rows: list[BankEntry] = []
        ignored = 0
        for account_id, entries in by_account.items():
            wanted = [entry for entry in entries if _may_be_a_customers(entry, owners)]
            ignored += len(entries) - len(wanted)
            rows += _new_rows(account_id, wanted, reading.kind, owners)
        for row in rows:
            row.file_name, row.file_digest, row.imported_by, row.imported_at = file_name, file_digest, actor, now
        BankEntry.objects.bulk_create(rows)
    matched = sum(row.state == "matched" for row in rows)
    return Recorded(matched, len(rows) - matched, len(reading.entries) - ignored - len(rows), ignored)


def _account_of(entry: Entry, account: str, file_name: str) -> BankAccount:
    name = squeezed(entry.account or account)
    rows = BankAccount.objects.filter(currency=entry.currency)
    ours = rows.filter(Q(account=name) | Q(also__contains=[name])).first()
    if ours is None:
        known = ", ".join(f"{row.account} {row.currency}" for row in BankAccount.objects.order_by("id")) or "none"
        raise BadStatement(
            f"{file_name}, {entry.place}: {entry.account or account or 'no account'} in {entry.currency} is not an account of "
            f"ours; ours: {known}.",
            remedy="Add it with `postmeter wire account`, or add this name of it with --also.",
        )
    return ours


def _owners(references: Sequence[str]) -> dict[str, WireReference]:
    return {row.reference: row for row in WireReference.objects.filter(reference__in=references)}


def _may_be_a_customers(entry: Entry, owners: dict[str, WireReference]) -> bool:
    """Money in, and of money out what takes some back: the operator's own payments are nobody's business here."""
    unusual = entry.reversal or entry.returned or any(each in owners for each in found(entry.texts))
    return entry.direction is Direction.CREDIT or unusual


def _new_rows(account_id: int, entries: list[Entry], kind: str, owners: dict[str, WireReference]) -> list[BankEntry]:
    days = {day for entry in entries for day in (entry.booked_on, entry.valued_on)}
    stored = BankEntry.objects.filter(Q(booked_on__in=days) | Q(valued_on__in=days), bank_account_id=account_id).order_by("id")
    seen = [_seen(entry, _shown_reference(entry, owners), kind) for entry in entries]
    new, doubtful = compare(seen, [_seen_row(row) for row in stored])
    return [_row(account_id, entries[place], seen[place], place in doubtful, owners) for place in new]


def _shown_reference(entry: Entry, owners: dict[str, WireReference]) -> str:
    """The reference to keep: one of ours rather than one that only looks like it."""
    references = found(entry.texts)
    return next((each for each in references if each in owners), next(iter(references), ""))


def _seen(entry: Entry, reference: str, kind: str) -> Seen:
    return Seen(
        (entry.currency, entry.amount_micros, entry.direction),
        frozenset({entry.booked_on, entry.valued_on}),
        entry.bank_ref,
        reference,
        what_of(reference, entry.texts),
        kind,
    )


def _seen_row(row: BankEntry) -> Seen:
    return Seen(
        (row.currency, row.amount_micros, row.direction),
        frozenset({row.booked_on, row.valued_on}),
        row.bank_ref,
        row.reference,
        what_of(row.reference, row.texts),
        row.source,
    )


def _row(account_id: int, entry: Entry, seen: Seen, doubtful: bool, owners: dict[str, WireReference]) -> BankEntry:
    why, owner = _judge(entry, doubtful, owners)
    told = [entry.currency, str(entry.amount_micros), entry.direction, entry.valued_on.isoformat(), seen.what]
    return BankEntry(
        id=calls.next_id(),
        bank_account_id=account_id,
        currency=entry.currency,
        amount_micros=entry.amount_micros,
        direction=entry.direction,
        booked_on=entry.booked_on,
        valued_on=entry.valued_on,
        bank_ref=entry.bank_ref,
        texts=list(entry.texts),
        payer=entry.payer,
        reference=seen.reference,
        digest=hashlib.sha256("\n".join(told).encode()).hexdigest(),
        source=seen.source,
        place=entry.place,
        state="queued" if why else "matched",
        queued_for=why or "",
        customer_id=owner.customer_id if owner else None,
        wallet_id=owner.wallet_id if owner else None,
    )


def _judge(entry: Entry, doubtful: bool, owners: dict[str, WireReference]) -> tuple[Why | None, WireReference | None]:
    """Whose it is; or why a person must say so, and whose it may be."""
    references = found(entry.texts)
    ours = [owners[each] for each in references if each in owners]
    owner = ours[0] if len(ours) == 1 else None
    if entry.reversal or entry.direction is Direction.DEBIT:
        return Why.REVERSAL, owner
    if entry.returned:
        return Why.RETURNED, owner
    if entry.payments > 1:
        return Why.LUMP_SUM, None
    if len(ours) > 1:
        return Why.AMBIGUOUS, None
    if owner is None:
        return (Why.UNKNOWN_REFERENCE if references else Why.NO_REFERENCE), None
    if owner.unit != entry.currency:
        return Why.CURRENCY, owner
    return (Why.PERHAPS_KNOWN if doubtful else None), owner


# The queue


def queue() -> list[BankEntry]:
    """Entries that wait for a person, the oldest first."""
    with scope.every_customer():
        return list(BankEntry.objects.filter(state="queued").order_by("id"))


def matched() -> list[int]:
    """Entries whose credit has to follow."""
    with scope.every_customer():
        return list(BankEntry.objects.filter(state="matched").order_by("id").values_list("id", flat=True))


def locked(entry_id: int) -> BankEntry:
    """An entry, for the length of the transaction of somebody who sees every customer. Raises NotFound."""
    entry = BankEntry.objects.select_for_update().filter(id=entry_id).first()
    if entry is None:
        raise NotFound(f"There is no bank entry {entry_id}.", remedy="See `postmeter wire queue`.")
    return entry


def open_in_queue(entry: BankEntry) -> BankEntry:
    """Raises Conflict when somebody has decided about it already."""
    if entry.state != "queued":
        decided = f" by {entry.decided_by}" if entry.decided_by else ""
        raise Conflict(f"Bank entry {entry.id} does not wait for anybody: it is {entry.state}{decided}.")
    return entry


def dismiss(*, entry_id: int, reason: str, actor: str, now: datetime) -> BankEntry:
    """Take an entry off the queue without crediting it: sent back, no customer's, or another entry again."""
    with scope.every_customer():
        entry = open_in_queue(locked(entry_id))
        decide(entry, "dismissed", reason=reason, actor=actor, now=now)
        data = {"reason": entry.decision}
        events.record("wire.dismissed", customer_id=EVERYBODY, subject_id=entry.id, now=now, actor=actor, data=data)
    return entry


def decide(entry: BankEntry, state: str, *, reason: str, actor: str, now: datetime) -> None:
    """Write down what was decided about a locked entry, by whom and why."""
    if not reason.strip():
        raise BadInput("A decision needs its reason.", field="reason", remedy="Say why, in a few words.")
    entry.state, entry.decision, entry.decided_by, entry.decided_at = state, reason.strip(), actor, now
    entry.save(update_fields=["state", "decision", "decided_by", "decided_at", "customer_id", "wallet_id"])
