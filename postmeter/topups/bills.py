"""Bills: what a wallet was below zero at a month's end is owed, and the wallet begins at zero again (S-097 … S-099, A-38).

What is owed leaves the balance and stands on the ledger's account `billed` until it is paid. A bill is paid by card like a purchase
that adds no credit, by bank transfer of its very amount, from credit, or by the operator's word. What was taken back by a bank is not
billed: it is owed to `receivable`, and the next top-up pays it.
"""

from datetime import date, datetime, timedelta

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.invoicing import operations as invoicing
from postmeter.kit.money import MICROS, format_amount, from_minor, to_minor
from postmeter.kit.refusals import BadInput, Conflict, NotCovered, NotFound
from postmeter.ledger import operations as ledger
from postmeter.ledger import queries as ledger_queries
from postmeter.ledger.operations import Posting
from postmeter.topups.models import Bill, TopUp
from postmeter.wallets import queries as wallets
from postmeter.wallets.models import Wallet

LEAST_MICROS = MICROS  # less than this waits for the next month: no card is charged for cents


class NotOpen(Conflict):
    """The bill is settled."""

    code = "bill_settled"


@scoped
def issue(*, customer_id: int, wallet_id: int, month: date, ends: datetime, days_to_pay: int, now: datetime) -> Bill | None:
    """Bill what a wallet was below zero when its month ended and still is, once a month; None if that is less than 1.

    `ends` is the moment after the month. The wallet's lock is held from reading to posting, so what is bought or used meanwhile
    comes before or after.
    """
    known = Bill.objects.filter(customer_id=customer_id, wallet_id=wallet_id, month=month).first()
    if known:
        return known
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    ledger.lock(customer_id=customer_id, account_ids=[wallet.account_id])
    known = Bill.objects.filter(customer_id=customer_id, wallet_id=wallet_id, month=month).first()
    if known:
        return known  # another round had the lock
    at_end = ledger_queries.balance_at(customer_id=customer_id, account_id=wallet.account_id, at=ends)
    today = ledger_queries.balances(customer_id=customer_id, account_ids=[wallet.account_id])[wallet.account_id]
    lifted = min(-at_end, -today.posted_micros)
    if lifted < LEAST_MICROS:
        return None
    amount = from_minor(to_minor(lifted, wallet.unit), wallet.unit)
    bill_id = calls.next_id()
    _lift(wallet, bill_id, lifted, amount, now)
    last = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    due_on = last + timedelta(days=days_to_pay)
    invoice = invoicing.issue_bill(
        customer_id=customer_id,
        subject_id=bill_id,
        currency=wallet.unit,
        lines=[invoicing.Line(f"Messages beyond prepaid credit, {month:%B %Y}", 1, amount)],
        first=month,
        last=last,
        due_on=due_on,
        now=now,
    )
    bill = Bill(
        customer_id=customer_id,
        id=bill_id,
        wallet_id=wallet_id,
        month=month,
        unit=wallet.unit,
        lifted_micros=lifted,
        amount_micros=amount,
        invoice_id=invoice.id,
        issued_at=now,
        due_on=due_on,
    )
    bill.save(force_insert=True)
    events.record("bill.issued", customer_id=customer_id, subject_id=bill_id, now=now, data=_said(bill))
    return bill


def _lift(wallet: Wallet, bill_id: int, lifted: int, amount: int, now: datetime) -> None:
    """The wallet at zero, and what is owed on the bill. What rounding to a coin makes of it has a line of its own."""
    owed = _owed(wallet)
    first, second = calls.next_ids(2)
    postings = [Posting(first, owed, wallet.account_id, lifted, "bill", bill_id)]
    if amount != lifted:
        rounding = ledger.open_account(customer_id=wallet.customer_id, kind="rounding", unit=wallet.unit)
        sides = (owed, rounding) if amount > lifted else (rounding, owed)
        postings.append(Posting(second, *sides, abs(amount - lifted), "rounding", bill_id))
    _post(wallet.customer_id, postings, now)


def paid(customer_id: int, top_up: TopUp, gateway: str, now: datetime) -> int:
    """A payment of a bill succeeded, in that transaction. Returns the bill's invoice.

    One that was settled otherwise meanwhile is not paid twice: then the money is credit.
    """
    assert top_up.bill_id is not None
    bill = _locked(customer_id, top_up.bill_id)
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=bill.wallet_id)
    source = ledger.open_account(customer_id=customer_id, kind=f"clearing:{gateway}", unit=bill.unit, normal="debit")
    target = _owed(wallet) if bill.state == "open" else wallet.account_id
    _post(customer_id, [Posting(top_up.transfer_id, source, target, top_up.amount_micros, "bill_payment", top_up.id)], now)
    if bill.state == "open":
        _settle(bill, "paid", top_up.created_by, now, note="")
    return bill.invoice_id


@scoped
def pay_from_credit(*, customer_id: int, bill_id: int, actor: str, now: datetime) -> Bill:
    """Pay a bill from the wallet's own credit, never from its overdraft. Raises NotFound, NotOpen, NotCovered."""
    bill = _open(customer_id, bill_id)
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=bill.wallet_id)
    ledger.lock(customer_id=customer_id, account_ids=[wallet.account_id])
    balance = ledger_queries.balances(customer_id=customer_id, account_ids=[wallet.account_id])[wallet.account_id]
    free = balance.posted_micros - balance.held_micros
    if free < bill.amount_micros:
        short = format_amount(bill.amount_micros - max(free, 0), bill.unit)
        raise NotCovered(f"The credit is {short} short.", field="bill", remedy="Top up first, or pay by card.")
    _post(
        customer_id,
        [Posting(calls.next_id(), wallet.account_id, _owed(wallet), bill.amount_micros, "bill_payment", bill.id)],
        now,
    )
    return _settle(bill, "paid", actor, now, note="")


@scoped
def settle_by_hand(*, customer_id: int, bill_id: int, paid: bool, reason: str, actor: str, now: datetime) -> Bill:
    """The operator says that a bill was paid on another way, or takes it back, which issues its credit note.

    Raises NotFound, NotOpen, BadInput.
    """
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= 500:
        raise BadInput("Say why.", field="reason", remedy="Write up to 500 characters, such as how it was paid.")
    bill = _open(customer_id, bill_id)
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=bill.wallet_id)
    kind = "clearing:other" if paid else "written_off"
    source = ledger.open_account(customer_id=customer_id, kind=kind, unit=bill.unit, normal="debit")
    code = "bill_payment" if paid else "bill_cancelled"
    _post(customer_id, [Posting(calls.next_id(), source, _owed(wallet), bill.amount_micros, code, bill.id)], now)
    if not paid:
        invoicing.issue_credit_note(
            customer_id=customer_id,
            invoice_id=bill.invoice_id,
            lines=[invoicing.Line("Bill taken back", 1, bill.amount_micros)],
            reason=reason,
            now=now,
            actor=actor,
            subject_id=bill.id,
        )
    return _settle(bill, "paid" if paid else "cancelled", actor, now, note=reason)


@scoped
def open_bill_of(*, customer_id: int, wallet_id: int, amount_micros: int) -> Bill | None:
    """The oldest unpaid bill of just this amount: what a bank transfer of it is meant for."""
    rows = Bill.objects.select_for_update().filter(customer_id=customer_id, wallet_id=wallet_id, state="open")
    return rows.filter(amount_micros=amount_micros).order_by("due_on", "id").first()


@scoped
def bill(*, customer_id: int, bill_id: int) -> Bill:
    found = Bill.objects.filter(customer_id=customer_id, id=bill_id).first()
    if found is None:
        raise NotFound("There is no such bill.")
    return found


@scoped
def bills(*, customer_id: int, at_most: int = 50) -> list[Bill]:
    """The newest first."""
    return list(Bill.objects.filter(customer_id=customer_id).order_by("-month", "-id")[:at_most])


@scoped
def open_bills(*, customer_id: int) -> list[Bill]:
    """What is to be paid, the oldest first."""
    return list(Bill.objects.filter(customer_id=customer_id, state="open").order_by("due_on", "id"))


def _open(customer_id: int, bill_id: int) -> Bill:
    found = _locked(customer_id, bill_id)
    if found.state != "open":
        raise NotOpen("This bill is settled already.", field="bill", remedy="Nothing is to be done.")
    return found


def _locked(customer_id: int, bill_id: int) -> Bill:
    found = Bill.objects.select_for_update().filter(customer_id=customer_id, id=bill_id).first()
    if found is None:
        raise NotFound("There is no such bill.")
    return found


def _settle(bill: Bill, state: str, actor: str, now: datetime, *, note: str) -> Bill:
    bill.state, bill.settled_at, bill.settled_by, bill.note = state, now, actor, note
    bill.save(update_fields=["state", "settled_at", "settled_by", "note"])
    events.record("bill.settled", customer_id=bill.customer_id, subject_id=bill.id, now=now, actor=actor, data=_said(bill))
    return bill


def _said(bill: Bill) -> dict[str, object]:
    return {"wallet": bill.wallet_id, "amount_micros": bill.amount_micros, "state": bill.state, "month": bill.month.isoformat()}


def _owed(wallet: Wallet) -> int:
    return ledger.open_account(customer_id=wallet.customer_id, kind="billed", unit=wallet.unit, ref_id=wallet.id, normal="debit")


def _post(customer_id: int, postings: list[Posting], now: datetime) -> None:
    words = ledger.post(customer_id=customer_id, now=now, postings=postings, linked=True)
    assert set(words) == {ledger.Word.OK}, f"bill refused: {words}"
