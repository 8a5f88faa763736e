"""A call's minutes beyond those that were held when it was accepted: held as it goes on, or taken when it has run past its hold (F53).

The message's own row says what all of them come to, so that pages and receipts read one price.
"""

from collections.abc import Sequence
from datetime import datetime

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets

OVERRUN = "overrun"  # the ledger's code


@scoped
def holds(*, customer_id: int, message_ids: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """The holds of these messages beside their first: (id, micro-units), the oldest first."""
    found: dict[int, list[tuple[int, int]]] = {}
    for message_id, id_, amount in calls.rows(
        """SELECT message_id, id, amount_micros FROM messaging_extension
           WHERE customer_id = %s AND message_id = ANY (%b) AND held ORDER BY id""",
        [customer_id, list(message_ids)],
    ):
        found.setdefault(message_id, []).append((id_, amount))
    return found


@scoped
def grow(*, customer_id: int, id_: int, message_id: int, minutes: int, amount_micros: int, held: bool, now: datetime) -> None:
    """Write down that so many minutes more belong to this message, whose row the caller has locked."""
    calls.rows(
        """INSERT INTO messaging_extension (customer_id, id, message_id, minutes, amount_micros, held, at)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        [customer_id, id_, message_id, minutes, amount_micros, held, now],
    )
    calls.rows(
        """UPDATE messaging_message SET price_micros = price_micros + price_micros / segments * %s,
               fee_micros = fee_micros + fee_micros / segments * %s, segments = segments + %s
           WHERE customer_id = %s AND id = %s""",
        [minutes, minutes, minutes, customer_id, message_id],
    )


@scoped
def take_overrun(*, customer_id: int, wallet_id: int, message_id: int, minutes: int, amount_micros: int, now: datetime) -> None:
    """The call lasted longer than was held for: it is paid for in full, and may bring the wallet below zero (A-08)."""
    id_ = calls.next_id()
    grow(
        customer_id=customer_id,
        id_=id_,
        message_id=message_id,
        minutes=minutes,
        amount_micros=amount_micros,
        held=False,
        now=now,
    )
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    wallet_operations.take(
        customer_id=customer_id,
        wallet=wallet,
        target_id=wallet_operations.accounts(customer_id=customer_id, wallet=wallet).usage,
        amount_micros=amount_micros,
        code=OVERRUN,
        ref_id=message_id,
        transfer_ids=(calls.next_id(), calls.next_id()),
        now=now,
    )
