"""Reads of top-ups, and the four figures of a wallet."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Sum

from postmeter.db import scope
from postmeter.db.scope import scoped
from postmeter.invoicing import queries as invoicing
from postmeter.invoicing.models import Invoice
from postmeter.kit.refusals import NotFound
from postmeter.payments import queries as payments
from postmeter.payments.models import Payment, PaymentMethod
from postmeter.topups.models import Automation, Bill, Reversal, TopUp
from postmeter.wallets import queries as wallets
from postmeter.wallets.models import Wallet


@dataclass(frozen=True, slots=True)
class Figures:
    """What people see everywhere (A-02), in micro-units of the wallet's unit."""

    wallet: Wallet
    posted_micros: int
    held_micros: int
    available_micros: int
    incoming_micros: int
    limit_micros: int
    debt_micros: int


@scoped
def figures(*, customer_id: int, wallet: Wallet) -> Figures:
    # Incoming first: a top-up that is credited between the two reads is counted twice and never not at all, which would look
    # like a gap and charge a card for it.
    incoming = TopUp.objects.filter(customer_id=customer_id, wallet_id=wallet.id, state="pending", bill_id=None).aggregate(
        sum=Sum("amount_micros")
    )["sum"]
    balance = wallets.balance(customer_id=customer_id, wallet=wallet)
    return Figures(
        wallet,
        balance.posted_micros,
        balance.held_micros,
        balance.available_micros,
        int(incoming or 0),
        balance.limit_micros,
        balance.debt_micros,
    )


class Standing(StrEnum):
    """How an automatic top-up stands."""

    OFF = "off"
    WAITING_FIRST_PURCHASE = "waiting_first_purchase"  # S-029, A-15
    ARMED = "armed"
    WAITING = "waiting"  # for a cap to open, or after a failure
    PAUSED = "paused"  # until a person says so


@dataclass(frozen=True, slots=True)
class Automatic:
    """A wallet's rule, how it stands, and which method it would charge now."""

    rule: Automation
    standing: Standing
    primary: PaymentMethod | None


@scoped
def automatic(*, customer_id: int, wallet_id: int, now: datetime) -> Automatic | None:
    """None where nobody has set a rule yet."""
    rule = Automation.objects.filter(customer_id=customer_id, wallet_id=wallet_id).first()
    if rule is None:
        return None
    standing = Standing.ARMED
    if not rule.enabled:
        standing = Standing.OFF
    elif rule.paused_at:
        standing = Standing.PAUSED
    elif not has_bought(customer_id=customer_id):
        standing = Standing.WAITING_FIRST_PURCHASE
    elif rule.try_after and rule.try_after > now:
        standing = Standing.WAITING
    return Automatic(rule, standing, next(iter(payments.chargeable(customer_id=customer_id, now=now)), None))


@scoped
def any_paused(*, customer_id: int) -> bool:
    """Whether an automatic top-up of this customer waits for a person."""
    return Automation.objects.filter(customer_id=customer_id, enabled=True, paused_at__isnull=False).exists()


def paused() -> list[Automation]:
    """The rules of all customers that wait for a person, the longest first. Only who may see every customer."""
    with scope.every_customer():
        return list(Automation.objects.filter(enabled=True, paused_at__isnull=False).order_by("paused_at")[:500])


def unpaid_bills() -> list[Bill]:
    """Of all customers, the longest due first. Only who may see every customer."""
    with scope.every_customer():
        return list(Bill.objects.filter(state="open").order_by("due_on", "id")[:500])


@scoped
def has_bought(*, customer_id: int) -> bool:
    """The first purchase arms automatic top-ups (S-029)."""
    return TopUp.objects.filter(customer_id=customer_id, state="succeeded", bill_id=None).exists()


@scoped
def top_ups(*, customer_id: int, before: int | None = None, at_most: int = 50) -> list[TopUp]:
    """The newest first; `before` is the id of the last one seen."""
    rows = TopUp.objects.filter(customer_id=customer_id).order_by("-id")
    return list((rows.filter(id__lt=before) if before else rows)[:at_most])


@dataclass(frozen=True, slots=True)
class Bought:
    """A top-up with what people ask about it: how it was paid, with which card, and its invoice."""

    top_up: TopUp
    payment: Payment
    method: PaymentMethod
    invoice: Invoice | None
    retried_by: int | None  # the top-up that tried this one again
    reversed_micros: int  # taken back by the gateway since

    @property
    def id(self) -> int:
        return self.top_up.id

    @property
    def can_be_retried(self) -> bool:
        """It failed, and nobody has tried it again (S-137)."""
        return self.top_up.state == "failed" and self.retried_by is None


@scoped
def history(*, customer_id: int, before: int | None = None, at_most: int = 50) -> list[Bought]:
    """Purchases, the newest first; `before` is the id of the last one seen."""
    return _bought(customer_id, top_ups(customer_id=customer_id, before=before, at_most=at_most))


@scoped
def bought(*, customer_id: int, top_up_id: int) -> Bought:
    """One purchase. Raises NotFound."""
    found = _bought(customer_id, list(TopUp.objects.filter(customer_id=customer_id, id=top_up_id)))
    if not found:
        raise NotFound("There is no such top-up.")
    return found[0]


@scoped
def lately(*, customer_id: int, amount_micros: int, since: datetime, besides: UUID) -> TopUp | None:
    """The last other purchase of this amount since then that did not fail: whoever buys again may not know of it."""
    rows = TopUp.objects.filter(customer_id=customer_id, amount_micros=amount_micros, created_at__gte=since, bill_id=None)
    return rows.exclude(state="failed").exclude(key=besides).order_by("-id").first()


def _bought(customer_id: int, rows: list[TopUp]) -> list[Bought]:
    paid = payments.payments(customer_id=customer_id, payment_ids=[row.payment_id for row in rows])
    cards = payments.methods_named(customer_id=customer_id, method_ids={payment.method_id for payment in paid.values()})
    issued = invoicing.invoices_named(
        customer_id=customer_id, invoice_ids=[row.invoice_id for row in rows if row.invoice_id is not None]
    )
    taken_back = reversed_micros(customer_id=customer_id, top_up_ids=[row.id for row in rows])
    retries = dict(
        TopUp.objects.filter(customer_id=customer_id, retry_of__in=[row.id for row in rows]).values_list("retry_of", "id")
    )
    return [
        Bought(
            row,
            paid[row.payment_id],
            cards[paid[row.payment_id].method_id],
            issued.get(row.invoice_id or 0),
            retries.get(row.id),
            taken_back.get(row.id, 0),
        )
        for row in rows
    ]


@scoped
def reversed_micros(*, customer_id: int, top_up_ids: Collection[int]) -> dict[int, int]:
    """What of these top-ups was taken back and did not come again, where there is any; micro-units."""
    found: dict[int, int] = {}
    for row in Reversal.objects.filter(customer_id=customer_id, top_up_id__in=top_up_ids):
        found[row.top_up_id] = found.get(row.top_up_id, 0) + (-row.amount_micros if row.is_back else row.amount_micros)
    return {top_up_id: micros for top_up_id, micros in found.items() if micros}


@scoped
def reversed_paid(*, customer_id: int, top_up_id: int) -> int:
    """What of a top-up's price went back and did not come again; micro-units of what was paid."""
    rows = Reversal.objects.filter(customer_id=customer_id, top_up_id=top_up_id)
    return sum((-1 if row.is_back else 1) * (row.paid_micros or row.amount_micros) for row in rows)


@scoped
def disputed_micros(*, customer_id: int) -> int:
    """What is taken back by disputes that were not won."""
    rows = Reversal.objects.filter(customer_id=customer_id, kind="dispute")
    return sum(-row.amount_micros if row.is_back else row.amount_micros for row in rows)


# Each check is a query that returns the rows that are wrong, the customer first. These are about no single one.
OPERATOR_CHECKS = {
    "every bank entry that is credited is one payment and one credit, of its amount, and no wire is anything else": """
        SELECT coalesce(e.customer_id, w.customer_id) AS customer, e.id AS entry, w.payment,
            e.amount_micros AS arrived, w.amount_micros AS paid, w.moved
        FROM (SELECT id, customer_id, amount_micros, currency, wallet_id FROM payments_bank_entry WHERE state = 'credited') e
        FULL JOIN (
            SELECT p.customer_id, p.id AS payment, p.gateway_ref, p.amount_micros, p.currency, t.wallet_id,
                (SELECT sum(l.amount_micros) FROM ledger_transfer l
                 JOIN ledger_account a ON a.customer_id = l.customer_id AND a.id = l.debit_account_id
                 WHERE l.customer_id = p.customer_id AND a.kind = 'clearing:wire' AND l.ref_id = t.id AND NOT l.pending) AS moved
            FROM payments_payment p LEFT JOIN topups_topup t ON t.customer_id = p.customer_id AND t.payment_id = p.id
            WHERE p.gateway = 'wire') w
        ON w.gateway_ref = e.id::text
        WHERE (e.customer_id, e.amount_micros, e.currency, e.wallet_id)
            IS DISTINCT FROM (w.customer_id, w.amount_micros, w.currency::text, w.wallet_id)
        OR w.moved IS DISTINCT FROM e.amount_micros""",
    "credited bank entries come to what the ledger took from the banks, in each currency": """
        SELECT 0 AS customer, currency, sum(credited) AS credited, sum(moved) AS moved FROM (
            SELECT currency::text, amount_micros::numeric AS credited, 0::numeric AS moved
            FROM payments_bank_entry WHERE state = 'credited'
            UNION ALL
            SELECT a.unit, 0, CASE WHEN l.debit_account_id = a.id THEN l.amount_micros ELSE -l.amount_micros END
            FROM ledger_account a JOIN ledger_transfer l
            ON l.customer_id = a.customer_id AND a.id IN (l.debit_account_id, l.credit_account_id) AND NOT l.pending
            WHERE a.kind = 'clearing:wire') both_sides
        GROUP BY currency HAVING sum(credited) <> sum(moved)""",
}

# And these are about one.
CHECKS = {
    "every payment that succeeded is one credit and one invoice, of its amount": """
        SELECT p.id, p.amount_micros, t.state, t.amount_micros, credit.amount, i.total_micros FROM payments_payment p
        LEFT JOIN topups_topup t ON t.customer_id = p.customer_id AND t.payment_id = p.id
        LEFT JOIN invoicing_invoice i ON i.customer_id = p.customer_id AND i.subject_id = p.id
            AND i.kind IN ('invoice', 'receipt')
        LEFT JOIN LATERAL (SELECT sum(amount_micros) AS amount FROM ledger_transfer l WHERE l.customer_id = p.customer_id
            AND l.ref_id = t.id AND l.code = 'top_up' AND NOT l.pending) credit ON true
        WHERE p.customer_id = %(customer)s AND p.purpose = 'top_up' AND (
            (p.state = 'succeeded') <> (coalesce(t.state, '') = 'succeeded')
            OR (p.state = 'succeeded' AND (credit.amount IS DISTINCT FROM t.amount_micros
                OR i.total_micros IS DISTINCT FROM p.amount_micros OR i.currency IS DISTINCT FROM p.currency))
            OR (t.unit = p.currency AND t.amount_micros <> p.amount_micros)
            OR (p.state <> 'succeeded' AND (credit.amount IS NOT NULL OR i.id IS NOT NULL)))""",
    "what was paid for credit counted in messages, less what went back, is what the ledger says was sold": """
        SELECT coalesce(p.currency, l.unit), p.paid, l.sold FROM (
            SELECT p.currency::text, sum(p.amount_micros - coalesce(r.back, 0)) AS paid FROM payments_payment p
            JOIN topups_topup t ON t.customer_id = p.customer_id AND t.payment_id = p.id AND t.unit <> p.currency
            LEFT JOIN (SELECT customer_id, top_up_id, sum(CASE WHEN is_back THEN -paid_micros ELSE paid_micros END) AS back
                FROM topups_reversal GROUP BY 1, 2) r ON r.customer_id = t.customer_id AND r.top_up_id = t.id
            WHERE p.customer_id = %(customer)s AND p.state = 'succeeded' GROUP BY 1) p
        FULL JOIN (
            SELECT a.unit, sum(CASE WHEN l.credit_account_id = a.id THEN l.amount_micros ELSE -l.amount_micros END) AS sold
            FROM ledger_account a JOIN ledger_transfer l
            ON l.customer_id = a.customer_id AND a.id IN (l.debit_account_id, l.credit_account_id) AND NOT l.pending
            WHERE a.customer_id = %(customer)s AND a.kind = 'sold' GROUP BY a.unit) l ON l.unit = p.currency
        WHERE coalesce(p.paid, 0) <> coalesce(l.sold, 0)""",
    "what is billed and not settled is what the ledger says is owed on bills, and each bill lifted its wallet once": """
        SELECT coalesce(o.wallet_id, l.wallet_id), o.owed, l.owed FROM (
            SELECT wallet_id, sum(amount_micros) AS owed FROM topups_bill
            WHERE customer_id = %(customer)s AND state = 'open' GROUP BY wallet_id) o
        FULL JOIN (
            SELECT a.ref_id AS wallet_id, sum(CASE WHEN t.debit_account_id = a.id THEN t.amount_micros ELSE -t.amount_micros END) AS owed
            FROM ledger_account a JOIN ledger_transfer t
            ON t.customer_id = a.customer_id AND a.id IN (t.debit_account_id, t.credit_account_id) AND NOT t.pending
            WHERE a.customer_id = %(customer)s AND a.kind = 'billed' GROUP BY a.ref_id) l ON l.wallet_id = o.wallet_id
        WHERE coalesce(o.owed, 0) <> coalesce(l.owed, 0)
        UNION ALL
        SELECT b.wallet_id, b.lifted_micros, moved.amount FROM topups_bill b
        LEFT JOIN LATERAL (SELECT sum(amount_micros) AS amount FROM ledger_transfer l WHERE l.customer_id = b.customer_id
            AND l.ref_id = b.id AND l.code = 'bill' AND NOT l.pending) moved ON true
        WHERE b.customer_id = %(customer)s AND moved.amount IS DISTINCT FROM b.lifted_micros""",
    "every payment of a bill that succeeded settled it, with its amount": """
        SELECT p.id, p.amount_micros, b.state, moved.amount FROM payments_payment p
        LEFT JOIN topups_topup t ON t.customer_id = p.customer_id AND t.payment_id = p.id
        LEFT JOIN topups_bill b ON b.customer_id = p.customer_id AND b.id = t.bill_id
        LEFT JOIN LATERAL (SELECT sum(amount_micros) AS amount FROM ledger_transfer l WHERE l.customer_id = p.customer_id
            AND l.ref_id = t.id AND NOT l.pending) moved ON true
        WHERE p.customer_id = %(customer)s AND p.purpose = 'bill' AND (p.state = 'succeeded') IS DISTINCT FROM
            (moved.amount IS NOT DISTINCT FROM p.amount_micros)""",
    "no document is credited beyond its total, nor of more tax than it bore": """
        SELECT i.id, i.total_micros, sum(n.total_micros) FROM invoicing_invoice i
        JOIN invoicing_invoice n ON n.customer_id = i.customer_id AND n.credits_id = i.id
        WHERE i.customer_id = %(customer)s GROUP BY i.id, i.total_micros, i.tax_micros
        HAVING sum(n.total_micros) > i.total_micros OR sum(n.tax_micros) > i.tax_micros""",
    "what a gateway took back, or gave again, stands in the ledger": """
        SELECT r.id, r.amount_micros, moved.amount FROM topups_reversal r
        LEFT JOIN LATERAL (SELECT sum(amount_micros) AS amount FROM ledger_transfer l WHERE l.customer_id = r.customer_id
            AND l.ref_id = r.id AND NOT l.pending) moved ON true
        WHERE r.customer_id = %(customer)s AND moved.amount IS DISTINCT FROM r.amount_micros""",
    "what is promised to refunds under way is held, and to no others": """
        SELECT r.id, r.state, r.amount_micros, h.amount_micros, d.action FROM topups_refund r
        LEFT JOIN ledger_transfer h ON h.customer_id = r.customer_id AND h.id = r.id AND h.pending
        LEFT JOIN ledger_resolution d ON d.customer_id = r.customer_id AND d.hold_id = r.id
        WHERE r.customer_id = %(customer)s AND (h.amount_micros IS DISTINCT FROM r.amount_micros
            OR (r.state IN ('asked', 'pending')) <> (d.action IS NULL)
            OR (r.state = 'succeeded' AND NOT EXISTS (SELECT FROM topups_reversal v WHERE v.customer_id = r.customer_id
                AND v.top_up_id = r.top_up_id AND v.ref = r.ref AND v.amount_micros = r.amount_micros)))""",
    "invoice numbers have no gap and no twin": """
        SELECT s.name, s.last_number, count(i.number), max(i.number) FROM invoicing_series s
        LEFT JOIN invoicing_invoice i ON i.customer_id = s.customer_id AND i.series = s.name
        WHERE s.customer_id = %(customer)s GROUP BY s.name, s.last_number
        HAVING count(i.number) <> s.last_number OR max(i.number) <> s.last_number""",
}
