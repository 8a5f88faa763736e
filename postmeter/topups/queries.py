"""Reads of top-ups, and the four figures of a wallet."""

from dataclasses import dataclass

from django.db.models import Sum

from postmeter.db.scope import scoped
from postmeter.topups.models import TopUp
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
    balance = wallets.balance(customer_id=customer_id, wallet=wallet)
    incoming = TopUp.objects.filter(customer_id=customer_id, wallet_id=wallet.id, state="pending").aggregate(
        sum=Sum("amount_micros")
    )["sum"]
    return Figures(
        wallet,
        balance.posted_micros,
        balance.held_micros,
        balance.available_micros,
        int(incoming or 0),
        balance.limit_micros,
        balance.debt_micros,
    )


@scoped
def top_ups(*, customer_id: int, before: int | None = None, at_most: int = 50) -> list[TopUp]:
    """The newest first; `before` is the id of the last one seen."""
    rows = TopUp.objects.filter(customer_id=customer_id).order_by("-id")
    return list((rows.filter(id__lt=before) if before else rows)[:at_most])


# Each check is a query that returns the rows that are wrong.
CHECKS = {
    "every payment that succeeded is one credit and one invoice, of its amount": """
        SELECT p.id, p.amount_micros, t.state, credit.amount, i.total_micros FROM payments_payment p
        LEFT JOIN topups_topup t ON t.customer_id = p.customer_id AND t.payment_id = p.id
        LEFT JOIN invoicing_invoice i ON i.customer_id = p.customer_id AND i.subject_id = p.id AND i.kind = 'invoice'
        LEFT JOIN LATERAL (SELECT sum(amount_micros) AS amount FROM ledger_transfer l WHERE l.customer_id = p.customer_id
            AND l.ref_id = t.id AND l.code = 'top_up' AND NOT l.pending) credit ON true
        WHERE p.customer_id = %(customer)s AND p.purpose = 'top_up' AND (
            (p.state = 'succeeded') <> (coalesce(t.state, '') = 'succeeded')
            OR (p.state = 'succeeded' AND (credit.amount IS DISTINCT FROM p.amount_micros
                OR i.total_micros IS DISTINCT FROM p.amount_micros))
            OR (p.state <> 'succeeded' AND (credit.amount IS NOT NULL OR i.id IS NOT NULL)))""",
    "invoice numbers have no gap and no twin": """
        SELECT s.name, s.last_number, count(i.number), max(i.number) FROM invoicing_series s
        LEFT JOIN invoicing_invoice i ON i.customer_id = s.customer_id AND i.series = s.name
        WHERE s.customer_id = %(customer)s GROUP BY s.name, s.last_number
        HAVING count(i.number) <> s.last_number OR max(i.number) <> s.last_number""",
}
