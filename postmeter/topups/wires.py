"""Credit by bank transfer: statements are imported, what is somebody's is credited as received, the rest waits for a person."""

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.crash import crash_point
from postmeter.kit.money import CREDITS
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from postmeter.payments import operations as payments
from postmeter.payments import wires
from postmeter.payments.models import BankAccount, BankEntry
from postmeter.payments.wire import BadStatement, Layout, read
from postmeter.topups import bills
from postmeter.topups.models import TopUp
from postmeter.topups.operations import credit, purpose_of
from postmeter.wallets import queries as wallets
from postmeter.wallets.models import Wallet

log = logging.getLogger("postmeter.wires")
_KEYS = UUID("5f0c2c4e-6f0a-4e43-9f5e-6f1f6f1b8a35")  # top-ups by bank transfer have their entry's key


class NoBankDetails(NotFound):
    """The operator takes no bank transfers in this currency."""

    code = "no_bank_details"


@dataclass(frozen=True, slots=True)
class Instructions:
    """How to pay credit for one wallet by bank transfer (S-141)."""

    wallet: Wallet
    reference: str
    accounts: list[BankAccount]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file. `credited`: of everything that was matched, also by an import that died."""

    file_name: str
    kind: str
    matched: int
    queued: int
    known: int
    ignored: int
    left_out: int
    credited: int


@scoped
def instructions(*, customer_id: int, wallet_id: int, now: datetime) -> Instructions:
    """The operator's accounts in the wallet's currency, and the wallet's own reference. Raises NotFound, NoBankDetails."""
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    if wallet.kind == "sandbox" or wallet.unit in CREDITS:
        raise NoBankDetails("This wallet is not paid for by bank transfer.", remedy="Choose the live wallet in your currency.")
    accounts = wires.accounts(currency=wallet.unit)
    if not accounts:
        raise NoBankDetails(f"Bank transfers in {wallet.unit} are not taken.", remedy="Pay by card instead.")
    reference = wires.reference_for(customer_id=customer_id, wallet_id=wallet.id, unit=wallet.unit, now=now)
    return Instructions(wallet, reference.reference, accounts)


def import_statement(
    *,
    file_name: str,
    data: bytes,
    actor: str,
    now: datetime,
    account: str = "",
    layout: Layout | None = None,
    unbalanced: bool = False,
) -> Imported:
    """Import a bank's file: all of it or nothing; each entry once, however often and in whatever format it comes.

    `account` is needed where the file does not say whose it is. Raises BadStatement; with `unbalanced` not for entries that do
    not lead from the opening to the closing balance.
    """
    reading = read(data, file_name, layout)
    if reading.unbalanced and not unbalanced:
        raise BadStatement(
            reading.unbalanced[0],
            remedy="The file may be cut or changed: ask the bank for it anew. Import it as unbalanced only if you know why.",
        )
    recorded = wires.record(
        reading=reading,
        file_name=file_name,
        file_digest=hashlib.sha256(data).hexdigest(),
        account=account,
        actor=actor,
        now=now,
    )
    crash_point("topups.wires_written")
    credited = credit_matched(now=now)
    return Imported(
        file_name,
        reading.kind,
        recorded.matched,
        recorded.queued,
        recorded.known,
        recorded.ignored,
        reading.left_out,
        credited,
    )


def credit_matched(*, now: datetime) -> int:
    """Credit what is matched and not credited yet: after each import, and in the worker's rounds for one that died.

    An entry that cannot be credited is logged and does not keep the others waiting.
    """
    credited = 0
    for entry_id in wires.matched():
        try:
            credited += _credit_entry(entry_id, now)
        except Exception:
            log.exception("bank entry %s could not be credited", entry_id)
        crash_point("topups.wire_credited")
    return credited


def _credit_entry(entry_id: int, now: datetime) -> bool:
    with scope.every_customer():
        entry = wires.locked(entry_id)
        if entry.state != "matched":
            return False
        wires.decide(entry, "credited", reason=f"by its reference {entry.reference}", actor="system", now=now)
        _book(entry, "system", now)
        crash_point("topups.wire_uncommitted")
    return True


def assign(*, entry_id: int, customer_id: int, reason: str, actor: str, now: datetime) -> BankEntry:
    """Say whose money a queued entry is: it is credited, as received, to the customer's pool. Raises NotFound, Conflict, BadInput.

    A reversal is never credited nor debited here, and money of another currency is not converted.
    """
    with scope.every_customer():
        entry = wires.open_in_queue(wires.locked(entry_id))
        if entry.direction != "credit" or entry.queued_for == wires.Why.REVERSAL:
            raise Conflict(
                f"Bank entry {entry.id} takes money back; there is nothing to credit.",
                remedy="Correct the customer's balance by an adjustment, then dismiss the entry.",
            )
        wallet = _pool(customer_id, entry.currency)
        entry.customer_id, entry.wallet_id = customer_id, wallet.id
        wires.decide(entry, "credited", reason=reason, actor=actor, now=now)
        _book(entry, actor, now)
        crash_point("topups.wire_uncommitted")
    return entry


def _pool(customer_id: int, currency: str) -> Wallet:
    pools = [row for row in wallets.wallets(customer_id=customer_id) if row.kind == "pool"]
    found = next((row for row in pools if row.unit == currency), None)
    if found is None:
        units = " and ".join(row.unit for row in pools) or "nothing"
        raise BadInput(
            f"This customer buys credit in {units}, not in {currency}.",
            field="customer",
            remedy="Send the money back, or convert it and book it by hand; then dismiss the entry.",
        )
    return found


def _book(entry: BankEntry, actor: str, now: datetime) -> None:
    """The credit of one entry: payment, top-up, posting and invoice, in the transaction that says it is credited.

    What is an unpaid bill's very amount pays it; anything else is credit.
    """
    assert entry.customer_id is not None and entry.wallet_id is not None
    customer_id, wallet_id = entry.customer_id, entry.wallet_id
    with scope.customer(customer_id):
        bill = bills.open_bill_of(customer_id=customer_id, wallet_id=wallet_id, amount_micros=entry.amount_micros)
        under_way = bill and TopUp.objects.filter(customer_id=customer_id, bill_id=bill.id).exclude(state="failed").exists()
        bill_id = bill.id if bill and not under_way else None
        named = wires.reference_for(customer_id=customer_id, wallet_id=wallet_id, unit=entry.currency, now=now)
        top_up_id, transfer_id, debt_transfer_id = calls.next_ids(3)
        payment = payments.received(
            customer_id=customer_id,
            method_id=named.method_id,
            gateway=wires.GATEWAY,
            ref=str(entry.id),
            purpose=purpose_of(bill_id),
            subject_id=top_up_id,
            amount_micros=entry.amount_micros,
            currency=entry.currency,
            actor=actor,
            now=now,
        )
        top_up = TopUp(
            customer_id=customer_id,
            id=top_up_id,
            wallet_id=wallet_id,
            payment_id=payment.id,
            amount_micros=entry.amount_micros,
            unit=entry.currency,
            key=uuid5(_KEYS, str(entry.id)),
            state="pending",
            transfer_id=transfer_id,
            debt_transfer_id=debt_transfer_id,
            created_by=actor,
            created_at=now,
            bill_id=bill_id,
        )
        top_up.save(force_insert=True)
        events.record(
            "wire.credited",
            customer_id=customer_id,
            subject_id=top_up_id,
            now=now,
            actor=actor,
            data={
                "entry": str(entry.id),
                "reference": entry.reference,
                "booked_on": entry.booked_on.isoformat(),
                "decision": entry.decision,
            },
        )
        credit(customer_id, top_up, payment, now)
