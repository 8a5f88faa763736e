"""Every write about top-ups: payment, wallet and invoice in one transaction, and never a gateway call inside one."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from postmeter.db import calls, scope
from postmeter.db.public_ids import public_ids
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.invoicing import operations as invoicing
from postmeter.kit.crash import crash_point
from postmeter.kit.money import CREDITS, MICROS, format_amount
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from postmeter.payments import operations as payments
from postmeter.payments import queries as payment_queries
from postmeter.payments.gateways import GatewayDown, Outcome
from postmeter.payments.models import Payment
from postmeter.payments.states import OPEN, PaymentState
from postmeter.topups import bills, exchange
from postmeter.topups.models import TopUp
from postmeter.topups.price import Price, PriceChanged, price
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets

GIVE_UP_AFTER = timedelta(hours=23)  # a purchase that waits for the cardholder, or that nobody was asked about


@dataclass(frozen=True, slots=True)
class Purchase:
    """What became of a press on "Top-up Credit": the top-up, and where the bank wants to see the cardholder, if it does."""

    top_up: TopUp
    payment_state: PaymentState
    action_url: str = ""
    failure_code: str = ""
    failure_text: str = ""


def buy(
    *,
    customer_id: int,
    wallet_id: int,
    method_id: int,
    amount_micros: int,
    key: UUID,
    actor: str,
    now: datetime,
    member_id: int = 0,
    agreed_micros: int | None = None,
) -> Purchase:
    """Buy credit with a saved card (S-012 ... S-022). The same `key` is the same purchase: a second press charges nothing.

    `member_id`: whose own method it is; without, only the customer's are charged (A-25). `agreed_micros`: the price that the
    buyer has seen (A-26).

    Raises BadInput, NotFound, MethodUnusable, PriceChanged, and Conflict when the key was used for another purchase.
    """
    top_up = intend(
        customer_id=customer_id,
        wallet_id=wallet_id,
        method_id=method_id,
        amount_micros=amount_micros,
        key=key,
        actor=actor,
        now=now,
        member_id=member_id,
        agreed_micros=agreed_micros,
    )
    crash_point("topups.intent_written")
    return charge(customer_id=customer_id, top_up_id=top_up.id, now=now)


@scoped
def intend(
    *,
    customer_id: int,
    wallet_id: int,
    method_id: int,
    amount_micros: int,
    key: UUID,
    actor: str,
    now: datetime,
    why: Mapping[str, object] | None = None,
    retry_of: int | None = None,
    bill_id: int | None = None,
    member_id: int = 0,
    agreed_micros: int | None = None,
) -> TopUp:
    """Write the intent of a purchase, of which nobody is asked yet; the same `key` finds the same one. `why`: an automatic one.

    `retry_of`: the failed one that this tries again. `bill_id`: the bill that this pays.
    """
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    known = TopUp.objects.filter(customer_id=customer_id, key=key).first()
    if known:
        return _same(known, wallet_id, method_id, amount_micros)
    paid = Price(amount_micros, wallet.unit)
    if bill_id is None:
        paid = price(customer_id=customer_id, wallet=wallet, amount_micros=amount_micros, now=now)
    if agreed_micros not in (None, paid.micros):
        raise PriceChanged(
            f"{format_amount(amount_micros, wallet.unit)} cost {format_amount(paid.micros, paid.currency)} by now.",
            field="amount",
            remedy="Nothing was charged. Look at it again and confirm.",
        )
    if wallet.kind == "sandbox":
        raise BadInput("The sandbox is not bought for.", field="wallet", remedy="Choose the live wallet.")
    method = payment_queries.method(customer_id=customer_id, method_id=method_id)
    if method.member_id != member_id:
        raise NotFound("There is no such payment method.")
    if payment_queries.has_expired(method, now=now):
        raise payments.MethodUnusable("This card has expired.", field="method", remedy="Add another card.")
    top_up_id, transfer_id, debt_transfer_id = calls.next_ids(3)
    # The key's row first: of two presses at once one waits here and then finds the other's.
    added = calls.rows(
        """INSERT INTO topups_topup (customer_id, id, wallet_id, payment_id, amount_micros, unit, key, state, transfer_id,
               debt_transfer_id, created_by, created_at, automatic, why, retry_of, bill_id)
           VALUES (%s, %s, %s, %s, %s, %s, %s, 'pending', %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (customer_id, key) DO NOTHING RETURNING id""",
        [
            customer_id,
            top_up_id,
            wallet_id,
            -top_up_id,
            amount_micros,
            wallet.unit,
            key,
            transfer_id,
            debt_transfer_id,
            actor,
            now,
            why is not None,
            json.dumps(dict(why or {})),
            retry_of,
            bill_id,
        ],
    )
    if not added:
        return _same(TopUp.objects.get(customer_id=customer_id, key=key), wallet_id, method_id, amount_micros)
    payment = payments.create(
        customer_id=customer_id,
        method=method,
        purpose=purpose_of(bill_id),
        subject_id=top_up_id,
        amount_micros=paid.micros,
        currency=paid.currency,
        actor=actor,
        now=now,
    )
    TopUp.objects.filter(customer_id=customer_id, id=top_up_id).update(payment_id=payment.id)
    events.record(
        "top_up.started",
        customer_id=customer_id,
        subject_id=top_up_id,
        now=now,
        actor=actor,
        data={"amount_micros": amount_micros},
    )
    return TopUp.objects.get(customer_id=customer_id, id=top_up_id)


def charge(*, customer_id: int, top_up_id: int, now: datetime, again: bool = False) -> Purchase:
    """Ask for the money of a top-up whose intent is committed, and write the answer."""
    with scope.customer(customer_id):
        top_up = _top_up(customer_id, top_up_id)
    outcome = payments.call(
        customer_id=customer_id,
        payment_id=top_up.payment_id,
        return_url=return_url(top_up),
        off_session=top_up.automatic,
        now=now,
        again=again,
    )
    if outcome is not None:
        settle(customer_id=customer_id, payment_id=top_up.payment_id, outcome=outcome, now=now)
        crash_point("topups.outcome_written")
    return purchase(customer_id=customer_id, top_up_id=top_up_id)


@scoped
def settle(*, customer_id: int, payment_id: int, outcome: Outcome, now: datetime) -> bool:
    """Write what the gateway said about a top-up's payment: as its answer, by callback or by asking again, in any order.

    A success becomes one credit and one invoice, in this transaction or not at all (A-22). Says whether anything moved.
    """
    payment, moved = payments.apply(customer_id=customer_id, payment_id=payment_id, outcome=outcome, now=now)
    if not moved:
        return False
    top_up = _top_up(customer_id, payment.subject_id)
    if payment.state == PaymentState.SUCCEEDED:
        credit(customer_id, top_up, payment, now)
    elif payment.state in (PaymentState.DECLINED, PaymentState.CANCELLED):
        TopUp.objects.filter(customer_id=customer_id, id=top_up.id).update(state="failed")
        events.record("top_up.failed", customer_id=customer_id, subject_id=top_up.id, now=now, data={"code": outcome.code})
    crash_point("topups.outcome_uncommitted")
    return True


def credit(customer_id: int, top_up: TopUp, payment: Payment, now: datetime) -> None:
    """The success of a top-up whose payment has succeeded, in that transaction: credit, invoice and facts."""
    if top_up.bill_id is not None:
        invoice_id = bills.paid(customer_id, top_up, payment.gateway, now)
        TopUp.objects.filter(customer_id=customer_id, id=top_up.id).update(
            state="succeeded", invoice_id=invoice_id, credited_at=now
        )
        return
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=top_up.wallet_id)
    wallet_operations.credit(
        customer_id=customer_id,
        wallet=wallet,
        source_kind=exchange.source(payment, top_up),
        amount_micros=top_up.amount_micros,
        code="top_up",
        ref_id=top_up.id,
        transfer_ids=(top_up.transfer_id, top_up.debt_transfer_id),
        now=now,
    )
    exchange.sell(payment, top_up, payment.amount_micros, now)
    counted = payment.currency != top_up.unit
    line = invoicing.Line("Message credit", 1, payment.amount_micros)
    if counted:
        line = invoicing.Line(CREDITS[top_up.unit].many, top_up.amount_micros // MICROS, payment.amount_micros)
    invoice = invoicing.issue(
        customer_id=customer_id,
        subject_id=top_up.payment_id,
        currency=payment.currency,
        lines=[line],
        now=now,
        agreed_at=top_up.created_at,
        tax_at_purchase=counted,
    )
    TopUp.objects.filter(customer_id=customer_id, id=top_up.id).update(state="succeeded", invoice_id=invoice.id, credited_at=now)
    events.record(
        "top_up.succeeded", customer_id=customer_id, subject_id=top_up.id, now=now, data={"amount_micros": top_up.amount_micros}
    )


def purpose_of(bill_id: int | None) -> str:
    """What a payment is for."""
    return "top_up" if bill_id is None else "bill"


@scoped
def purchase(*, customer_id: int, top_up_id: int) -> Purchase:
    """Where a purchase stands."""
    top_up = _top_up(customer_id, top_up_id)
    payment = payment_queries.payment(customer_id=customer_id, payment_id=top_up.payment_id)
    return Purchase(top_up, PaymentState(payment.state), payment.action_url, payment.failure_code, payment.failure_text)


def resume(*, customer_id: int, now: datetime) -> int:
    """Find out what became of payments that nobody has heard of: the reconciler's work. Returns how many were asked about."""
    due = payment_queries.due_to_ask(customer_id=customer_id, now=now)
    for payment in due:
        _ask(payment, now)
    return len(due)


def ask(*, customer_id: int, top_up_id: int, now: datetime) -> Purchase:
    """Where a purchase stands, after asking the gateway if the bank was to be visited: for the way back from there."""
    with scope.customer(customer_id):
        payment = payment_queries.payment(customer_id=customer_id, payment_id=_top_up(customer_id, top_up_id).payment_id)
    if payment.state == PaymentState.REQUIRES_ACTION:
        _ask(payment, now)
    return purchase(customer_id=customer_id, top_up_id=top_up_id)


def give_up(*, customer_id: int, top_up_id: int, now: datetime) -> Purchase:
    """Call off a purchase that waits for the cardholder at the bank. If it was paid meanwhile, it is credited instead.

    Raises GatewayUnavailable. In any other state nothing happens: money that may be under way is not called off.
    """
    with scope.customer(customer_id):
        payment = payment_queries.payment(customer_id=customer_id, payment_id=_top_up(customer_id, top_up_id).payment_id)
    if payment.state == PaymentState.REQUIRES_ACTION:
        try:
            outcome = payments.gateway(payment.gateway).cancel(ref=payment.gateway_ref)
        except GatewayDown as error:
            raise payments.GatewayUnavailable(remedy="Nothing was charged. Try again in a minute.") from error
        settle(customer_id=customer_id, payment_id=payment.id, outcome=outcome, now=now)
    return purchase(customer_id=customer_id, top_up_id=top_up_id)


def _ask(payment: Payment, now: datetime) -> None:
    """Within the key's life a question that got no answer is put again with the same key, which cannot charge twice;
    after it the gateway is only asked what it has. Nothing here goes on to another card.
    """
    customer_id, top_up_id = payment.customer_id, payment.subject_id
    state, age = PaymentState(payment.state), now - payment.created_at
    young, key_lives = age < GIVE_UP_AFTER, age < payments.gateway(payment.gateway).keys_live
    if state is PaymentState.CREATED and young:
        # The process died before it asked anybody. The buyer has pressed OK, so within the key's life we go on.
        charge(customer_id=customer_id, top_up_id=top_up_id, now=now)
    elif state is PaymentState.CREATED:
        _never_asked(customer_id=customer_id, payment_id=payment.id, top_up_id=top_up_id, now=now)
    elif state in (PaymentState.CALLING, PaymentState.UNKNOWN) and key_lives and not payment.gateway_ref:
        charge(customer_id=customer_id, top_up_id=top_up_id, now=now, again=True)
    elif state is PaymentState.REQUIRES_ACTION and not young:
        # Nobody came to the bank's page for a day: the purchase must not stand as incoming for ever.
        payments.note_asked(customer_id=customer_id, payment_id=payment.id, now=now)
        with suppress(payments.GatewayUnavailable):
            give_up(customer_id=customer_id, top_up_id=top_up_id, now=now)
    else:
        _look(payment, now)


def look(*, customer_id: int, payment_id: int, now: datetime) -> None:
    """Ask the gateway what it has of a payment, and write it; charges nobody. Nothing happens where it does not answer."""
    payment = payment_queries.payment(customer_id=customer_id, payment_id=payment_id)
    if payment.state in OPEN:
        _look(payment, now)


def _look(payment: Payment, now: datetime) -> None:
    customer_id = payment.customer_id
    payments.note_asked(customer_id=customer_id, payment_id=payment.id, now=now)
    try:
        outcome = payments.gateway(payment.gateway).fetch(ref=payment.gateway_ref, facts=payments.facts_of(payment))
    except GatewayDown:
        return
    if outcome is not None:
        settle(customer_id=customer_id, payment_id=payment.id, outcome=outcome, now=now)


@scoped
def _never_asked(*, customer_id: int, payment_id: int, top_up_id: int, now: datetime) -> None:
    """End a purchase that nobody was asked about. A process that asks just now comes first: then nothing is given up."""
    if payments.cancel(customer_id=customer_id, payment_id=payment_id, now=now):
        TopUp.objects.filter(customer_id=customer_id, id=top_up_id).update(state="failed")
        events.record("top_up.failed", customer_id=customer_id, subject_id=top_up_id, now=now, data={"code": "not_asked"})


def return_url(top_up: TopUp) -> str:
    """Where the bank sends the cardholder back to."""
    return f"{settings.PUBLIC_URL}/credit/top-ups/{public_ids().encode('TU', top_up.id)}/"


def _top_up(customer_id: int, top_up_id: int) -> TopUp:
    found = TopUp.objects.filter(customer_id=customer_id, id=top_up_id).first()
    if found is None:
        raise NotFound("There is no such top-up.")
    return found


def _same(known: TopUp, wallet_id: int, method_id: int, amount_micros: int) -> TopUp:
    payment = payment_queries.payment(customer_id=known.customer_id, payment_id=known.payment_id)
    if (known.wallet_id, known.amount_micros, payment.method_id) != (wallet_id, amount_micros, method_id):
        raise Conflict("This purchase was made with another amount or card.", field="key", remedy="Start a new purchase.")
    return known


def customers_with_open_payments() -> list[int]:
    """Whose payments have no end yet, for the reconciler's rounds."""
    with scope.every_customer():
        return [
            row[0]
            for row in calls.rows(
                """SELECT DISTINCT customer_id FROM payments_payment
                   WHERE state IN ('created', 'calling', 'processing', 'requires_action', 'unknown') ORDER BY 1"""
            )
        ]
