"""Where money becomes credit of another unit: the two sides of a purchase at a pack price (A-01).

Nothing converts inside the ledger. The money goes from the gateway to what was sold, in its currency; the credits come from what
was issued, in theirs; the top-up names both. Where credit is money there is one side: from the gateway to the wallet.
"""

from datetime import datetime

from postmeter.db import calls
from postmeter.ledger import operations as ledger
from postmeter.ledger.operations import Posting
from postmeter.payments.models import Payment
from postmeter.topups.models import TopUp

CODE, SOLD, ISSUED = "sale", "sold", "issued"


def source(payment: Payment, top_up: TopUp) -> str:
    """The kind of account that the credit comes from, and goes back to."""
    return f"clearing:{payment.gateway}" if payment.currency == top_up.unit else ISSUED


def sell(payment: Payment, top_up: TopUp, micros: int, now: datetime) -> None:
    """Post the money's side, in the transaction of the credit's; below zero it goes back to the gateway. Nothing for money."""
    if payment.currency == top_up.unit:
        return
    customer_id = payment.customer_id
    gateway = ledger.open_account(
        customer_id=customer_id, kind=f"clearing:{payment.gateway}", unit=payment.currency, normal="debit"
    )
    sold = ledger.open_account(customer_id=customer_id, kind=SOLD, unit=payment.currency)
    debit, credit = (gateway, sold) if micros > 0 else (sold, gateway)
    [word] = ledger.post(
        customer_id=customer_id, now=now, postings=[Posting(calls.next_id(), debit, credit, abs(micros), CODE, payment.id)]
    )
    assert word is ledger.Word.OK, f"sale refused: {word}"


def share(of_micros: int, paid_micros: int, price_micros: int) -> int:
    """How much of a purchase's credit so much of its price is, a fraction of a micro left out."""
    return of_micros * paid_micros // price_micros
