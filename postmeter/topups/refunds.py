"""Money that we give back: of a purchase, what is unspent of it, to the method that paid (A-13).

    intend: a hold on the credit -> commit -> ask the gateway -> the answer, its callback or the next question: reversals.book

The credit is promised from the first moment, so it cannot be spent while its money is on the way back. An unknown outcome keeps the
hold and asks again with the same key, which cannot give back twice; a refusal releases it. What is booked, with its credit note, is
booked by `reversals`, the same way as a refund that was begun at the gateway.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.crash import crash_point
from postmeter.kit.money import exact_minor, format_amount, from_minor
from postmeter.kit.refusals import BadInput, Conflict, NotCovered, NotFound
from postmeter.ledger import operations as ledger
from postmeter.payments import operations as payments
from postmeter.payments import queries as payment_queries
from postmeter.payments.gateways import GATEWAYS, GivenBack, Word
from postmeter.payments.gateways import Reversal as Fact
from postmeter.payments.models import Payment
from postmeter.topups import exchange, reversals
from postmeter.topups.models import Refund, TopUp
from postmeter.topups.queries import reversed_paid
from postmeter.wallets import queries as wallets

ASK_AGAIN_AFTER = timedelta(minutes=2)
HELD_FOR = timedelta(days=3_650)  # until somebody says what became of it; no sweeper may release it
REASON_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Possible:
    """What could be given back of a purchase now; micro-units of what was paid."""

    micros: int
    currency: str
    why_not: str = ""


@scoped
def possible(*, customer_id: int, top_up_id: int) -> Possible:
    """At most what was paid, less what went back, and only what its credit is unspent."""
    top_up, payment = _top_up(customer_id, top_up_id), _payment(customer_id, top_up_id)
    why_not = _why_not(top_up, payment)
    left = 0 if why_not else min(_left(top_up, payment), _unspent(top_up, payment))
    return Possible(left, payment.currency, why_not or ("" if left else "Nothing of it is left to give back."))


def refund(*, customer_id: int, top_up_id: int, paid_micros: int, reason: str, key: UUID, actor: str, now: datetime) -> Refund:
    """Give money of a purchase back. The same `key` is the same refund. `paid_micros` of the currency that it was paid in.

    Raises NotFound, BadInput by field, NotCovered where its credit is spent, and Conflict while another one of it is under way.
    """
    row = _intend(
        customer_id=customer_id,
        top_up_id=top_up_id,
        paid_micros=paid_micros,
        reason=reason,
        key=key,
        actor=actor,
        now=now,
    )
    crash_point("topups.refund_intent_written")
    return ask(customer_id=customer_id, refund_id=row.id, now=now) if row.state == "asked" else row


@scoped
def _intend(*, customer_id: int, top_up_id: int, paid_micros: int, reason: str, key: UUID, actor: str, now: datetime) -> Refund:
    top_up = _top_up(customer_id, top_up_id, lock=True)
    known = Refund.objects.filter(customer_id=customer_id, key=key).first()
    if known:
        if (known.top_up_id, known.paid_micros) != (top_up_id, paid_micros):
            raise Conflict("This form was used for another refund.", field="key", remedy="Begin a new one.")
        return known
    payment, reason = _payment(customer_id, top_up_id), " ".join(reason.split())
    if not reason or len(reason) > REASON_AT_MOST:
        raise BadInput("Say why, in a few words.", field="reason", remedy=f"Up to {REASON_AT_MOST} characters.")
    why_not = _why_not(top_up, payment)
    if why_not:
        raise Conflict(why_not, remedy="Look at the purchase anew.")
    exact_minor(paid_micros, payment.currency)
    left = _left(top_up, payment)
    if not 0 < paid_micros <= left:
        most = format_amount(left, payment.currency)
        raise BadInput(f"Of this purchase {most} is left to give back.", field="amount", remedy="Enter at most that much.")
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=top_up.wallet_id)
    ledger.lock(customer_id=customer_id, account_ids=[wallet.account_id])
    if paid_micros > _unspent(top_up, payment):
        raise NotCovered("Its credit is spent, or held for messages.", field="amount", remedy="Enter less.")
    source = ledger.open_account(customer_id=customer_id, kind=exchange.source(payment, top_up), unit=wallet.unit, normal="debit")
    credit = reversals.credit_of(top_up, payment, paid_micros)
    refund_id = calls.next_id()
    [word] = ledger.hold(
        customer_id=customer_id,
        now=now,
        debit_id=wallet.account_id,
        credit_id=source,
        code=reversals.CODES["refund"],
        expires_at=now + HELD_FOR,
        ids=[refund_id],
        amounts_micros=[credit],
        refs=[refund_id],
    )
    assert word is ledger.Word.OK, f"hold refused: {word}"
    row = Refund(
        customer_id=customer_id,
        id=refund_id,
        top_up_id=top_up_id,
        amount_micros=credit,
        paid_micros=paid_micros,
        reason=reason,
        key=key,
        state="asked",
        created_by=actor,
        created_at=now,
    )
    row.save(force_insert=True)
    events.record(
        "refund.asked",
        customer_id=customer_id,
        subject_id=top_up_id,
        now=now,
        actor=actor,
        data={"refund": refund_id, "paid_micros": paid_micros},
    )
    return row


def ask(*, customer_id: int, refund_id: int, now: datetime) -> Refund:
    """Ask the gateway to give the money back, with the key that it always has, and write the answer."""
    with scope.customer(customer_id):
        row = _refund(customer_id, refund_id)
        payment = _payment(customer_id, row.top_up_id)
        Refund.objects.filter(customer_id=customer_id, id=refund_id).update(last_asked_at=now)
    answer = payments.gateway(payment.gateway).give_back(
        key=f"refund-{refund_id}",
        ref=payment.gateway_ref,
        amount_minor=exact_minor(row.paid_micros, payment.currency),
        currency=payment.currency,
    )
    crash_point("topups.refund_answered")
    return _write(customer_id=customer_id, refund_id=refund_id, answer=answer, now=now)


@scoped
def _write(*, customer_id: int, refund_id: int, answer: GivenBack, now: datetime) -> Refund:
    row = _refund(customer_id, refund_id)
    payment = _payment(customer_id, row.top_up_id)
    if row.state not in reversals.UNDER_WAY:
        return row  # its callback came first
    if answer.word is Word.DONE:
        minor = exact_minor(row.paid_micros, payment.currency)
        fact = Fact("refund", answer.ref, payment.gateway_ref, minor, payment.currency)
        reversals.book(customer_id=customer_id, payment_id=payment.id, fact=fact, now=now)
    elif answer.word is Word.REFUSED:
        reversals.end_refund(row, "failed", now, text=answer.text)
        events.record("refund.refused", customer_id=customer_id, subject_id=row.top_up_id, now=now, data={"refund": refund_id})
    elif answer.word is Word.PENDING:
        Refund.objects.filter(customer_id=customer_id, id=refund_id, state="asked").update(state="pending", ref=answer.ref)
    return _refund(customer_id, refund_id)


def resume(*, customer_id: int, now: datetime) -> int:
    """Ask again about what nobody answered: the reconciler's work. Returns how many were asked about.

    After the life of the gateway's key nothing is asked any more: a person looks, and the hold stays.
    """
    with scope.customer(customer_id):
        rows = Refund.objects.filter(customer_id=customer_id, state="asked")
        quiet = Q(last_asked_at=None) | Q(last_asked_at__lt=now - ASK_AGAIN_AFTER)
        due = [
            row
            for row in rows.filter(quiet, created_at__lt=now - ASK_AGAIN_AFTER)
            if now - row.created_at < payments.gateway(_payment(customer_id, row.top_up_id).gateway).keys_live
        ]
    for row in due:
        ask(customer_id=customer_id, refund_id=row.id, now=now)
    return len(due)


def customers_with_open() -> list[int]:
    with scope.every_customer():
        return [row[0] for row in calls.rows("SELECT DISTINCT customer_id FROM topups_refund WHERE state = 'asked' ORDER BY 1")]


def without_end(*, older_than: datetime) -> list[Refund]:
    """Of all customers, begun before then and without an end, the oldest first. Only who may see every customer."""
    with scope.every_customer():
        rows = Refund.objects.filter(state__in=reversals.UNDER_WAY, created_at__lt=older_than)
        return list(rows.order_by("created_at")[:500])


@scoped
def refunds(*, customer_id: int, top_up_id: int) -> list[Refund]:
    """Of one purchase, the newest first."""
    return list(Refund.objects.filter(customer_id=customer_id, top_up_id=top_up_id).order_by("-id"))


def _why_not(top_up: TopUp, payment: Payment) -> str:
    if top_up.state != "succeeded" or top_up.bill_id is not None:
        return "Only a purchase of credit that has succeeded can be given back."
    if payment.gateway not in GATEWAYS:
        return "A bank transfer is sent back by the bank: do that, then take the credit by an adjustment."
    if Refund.objects.filter(customer_id=top_up.customer_id, top_up_id=top_up.id, state__in=reversals.UNDER_WAY).exists():
        return "A refund of this purchase is under way."
    return ""


def _left(top_up: TopUp, payment: Payment) -> int:
    back = reversed_paid(customer_id=top_up.customer_id, top_up_id=top_up.id)
    return max(0, int(payment.amount_micros) - back)


def _unspent(top_up: TopUp, payment: Payment) -> int:
    """What the credit that is free in the wallet was paid with: not held, not borrowed, not owed."""
    wallet = wallets.wallet(customer_id=top_up.customer_id, wallet_id=top_up.wallet_id)
    balance = wallets.balance(customer_id=top_up.customer_id, wallet=wallet)
    free = max(0, balance.posted_micros - balance.held_micros)
    paid = exchange.share(payment.amount_micros, min(free, top_up.amount_micros), top_up.amount_micros)
    coin = from_minor(1, payment.currency)
    return paid // coin * coin


def _top_up(customer_id: int, top_up_id: int, *, lock: bool = False) -> TopUp:
    rows = TopUp.objects.select_for_update() if lock else TopUp.objects
    found = rows.filter(customer_id=customer_id, id=top_up_id).first()
    if found is None:
        raise NotFound("There is no such top-up.")
    return found


def _payment(customer_id: int, top_up_id: int) -> Payment:
    return payment_queries.payment(customer_id=customer_id, payment_id=_top_up(customer_id, top_up_id).payment_id)


def _refund(customer_id: int, refund_id: int) -> Refund:
    return Refund.objects.get(customer_id=customer_id, id=refund_id)
