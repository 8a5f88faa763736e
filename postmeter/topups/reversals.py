"""Money that a gateway takes back after a top-up succeeded, or gives again: refunds and disputes (A-14).

The credit goes back first from what is available, and the rest becomes debt: a balance can read below zero, and what was promised
to messages under way stays promised. Each movement is booked once, whatever repeats or overtakes it.
"""

from datetime import datetime

from django.db import IntegrityError, transaction

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.invoicing import operations as invoicing
from postmeter.kit.crash import crash_point
from postmeter.kit.money import from_minor
from postmeter.kit.refusals import BadInput, Conflict
from postmeter.ledger import operations as ledger
from postmeter.payments import operations as payments
from postmeter.payments import queries as payment_queries
from postmeter.payments.gateways import GatewayDown
from postmeter.payments.gateways import Reversal as Fact
from postmeter.payments.models import Payment
from postmeter.topups import automation, exchange
from postmeter.topups.models import Refund, Reversal, TopUp
from postmeter.topups.queries import reversed_paid
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets

CODES = {"refund": "top_up_refund", "dispute": "dispute"}  # in the ledger; "refund" there is a message's


UNDER_WAY = ("asked", "pending")  # refunds of ours without an end


class TooEarly(Conflict):
    """What this takes back has not been booked yet: the gateway tells it again later."""

    code = "too_early"


class BadReversal(BadInput):
    """The gateway takes back nothing, less than nothing, more than was paid, or another currency."""

    code = "bad_reversal"


def hear(*, gateway: str, fact: Fact, now: datetime) -> bool:
    """Book what a gateway said. Where it does not say whose payment it was, it is asked. Says whether anything moved.

    Raises GatewayUnavailable and TooEarly: then it has to say it again.
    """
    whose = fact.facts
    if whose is None:
        try:
            paid = payments.gateway(gateway).fetch(ref=fact.payment_ref, facts={})
        except GatewayDown as error:
            raise payments.GatewayUnavailable from error
        whose = (paid.facts if paid else None) or {}
    if not (whose.get("customer", "").isdigit() and whose.get("payment", "").isdigit()):
        return False  # somebody else's payment on the same gateway account
    return book(customer_id=int(whose["customer"]), payment_id=int(whose["payment"]), fact=fact, now=now)


@scoped
def book(*, customer_id: int, payment_id: int, fact: Fact, now: datetime) -> bool:
    """Take credit back, or give it again, in one transaction with its document and its fact. Raises TooEarly, BadReversal."""
    payment = payment_queries.payment(customer_id=customer_id, payment_id=payment_id)
    top_up = TopUp.objects.select_for_update().get(customer_id=customer_id, id=payment.subject_id)
    if top_up.state != "succeeded":
        raise TooEarly
    if (
        fact.currency != payment.currency
        or not 0 < (paid := from_minor(fact.amount_minor, fact.currency)) <= payment.amount_micros
    ):
        raise BadReversal
    before = Reversal.objects.filter(customer_id=customer_id, kind=fact.kind, ref=fact.ref)
    if fact.is_back and not before.filter(is_back=False).exists():
        raise TooEarly
    transfer_id, debt_transfer_id, reversal_id = calls.next_ids(3)
    reversal = Reversal(
        customer_id=customer_id,
        id=reversal_id,
        top_up_id=top_up.id,
        kind=fact.kind,
        ref=fact.ref,
        is_back=fact.is_back,
        amount_micros=credit_of(top_up, payment, -paid if fact.is_back else paid),
        paid_micros=None if payment.currency == top_up.unit else paid,
        transfer_id=transfer_id,
        debt_transfer_id=debt_transfer_id,
        at=now,
    )
    try:
        with transaction.atomic():
            reversal.save(force_insert=True)
    except IntegrityError:
        return False
    if fact.kind == "refund" and not fact.is_back:
        _take_over(top_up, paid, fact, now)
    (_give if fact.is_back else _take)(top_up, reversal, payment, now)
    exchange.sell(payment, top_up, paid if fact.is_back else -paid, now)
    if fact.kind == "dispute" and not fact.is_back:
        automation.stop(customer_id=customer_id, wallet_id=top_up.wallet_id, reason="disputed", now=now)
    if fact.kind == "refund" and not fact.is_back and top_up.invoice_id:
        line = invoicing.Line("Message credit given back", 1, paid)
        invoicing.issue_credit_note(
            customer_id=customer_id,
            invoice_id=top_up.invoice_id,
            lines=[line],
            reason="The payment was refunded",
            now=now,
            actor="system",
            subject_id=reversal.id,
        )
    events.record(
        "top_up.reversed",
        customer_id=customer_id,
        subject_id=top_up.id,
        now=now,
        data={"kind": fact.kind, "is_back": fact.is_back, "amount_micros": reversal.amount_micros, "reversal": reversal.id},
    )
    crash_point("topups.reversal_uncommitted")
    return True


def _take_over(top_up: TopUp, paid_micros: int, fact: Fact, now: datetime) -> None:
    """If this refund is one that we asked for, the credit that was held for it is free to be taken: one is under way at most."""
    row = Refund.objects.filter(customer_id=top_up.customer_id, top_up_id=top_up.id, state__in=UNDER_WAY).first()
    if row and row.ref in ("", fact.ref) and row.paid_micros == paid_micros:
        end_refund(row, "succeeded", now, ref=fact.ref)


def end_refund(row: Refund, state: str, now: datetime, *, ref: str = "", text: str = "") -> None:
    """Write how a refund that we asked for ended, and release what was held for it."""
    [word] = ledger.resolve(
        customer_id=row.customer_id, now=now, hold_ids=[row.id], actions=[ledger.Action.VOID], amounts_micros=[0]
    )
    assert word is ledger.Word.OK, f"release refused: {word}"
    row.state, row.ref, row.text, row.ended_at = state, ref or row.ref, text, now
    row.save(update_fields=["state", "ref", "text", "ended_at"])


def credit_of(top_up: TopUp, payment: Payment, paid_micros: int) -> int:
    """The credit that moves with so much of the price: parts of a purchase come to the whole of it, however they are cut."""
    out = reversed_paid(customer_id=top_up.customer_id, top_up_id=top_up.id)
    after, before = (exchange.share(top_up.amount_micros, each, payment.amount_micros) for each in (out + paid_micros, out))
    return abs(after - before)


def _take(top_up: TopUp, reversal: Reversal, payment: Payment, now: datetime) -> None:
    wallet = wallets.wallet(customer_id=top_up.customer_id, wallet_id=top_up.wallet_id)
    source = exchange.source(payment, top_up)
    source_id = ledger.open_account(customer_id=top_up.customer_id, kind=source, unit=wallet.unit, normal="debit")
    wallet_operations.take(
        customer_id=top_up.customer_id,
        wallet=wallet,
        target_id=source_id,
        amount_micros=reversal.amount_micros,
        code=CODES[reversal.kind],
        ref_id=reversal.id,
        transfer_ids=(reversal.transfer_id, reversal.debt_transfer_id),
        now=now,
    )


def _give(top_up: TopUp, reversal: Reversal, payment: Payment, now: datetime) -> None:
    wallet_operations.credit(
        customer_id=top_up.customer_id,
        wallet=wallets.wallet(customer_id=top_up.customer_id, wallet_id=top_up.wallet_id),
        source_kind=exchange.source(payment, top_up),
        amount_micros=reversal.amount_micros,
        code=CODES[reversal.kind],
        ref_id=reversal.id,
        transfer_ids=(reversal.transfer_id, reversal.debt_transfer_id),
        now=now,
    )
