"""What waits for credit goes out by itself when there is credit, the most urgent first."""

from datetime import datetime

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.ledger import operations as ledger
from postmeter.messaging.operations.accept import HOLD_FOR
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import State
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets

AT_ONCE = 500  # a top-up releases a long queue in rounds, so that new messages find their way between


@scoped
def resume(*, customer_id: int, now: datetime) -> int:
    """Hold the price of what waits and queue it, as far as the credit goes, by deadline; end what lapsed. Returns how many moved.

    The price is the one that was said when the message was accepted.
    """
    rows = calls.rows(
        """SELECT id, wallet_id, channel, price_micros + fee_micros, useful_until FROM messaging_message
           WHERE customer_id = %s AND state = 'waiting' ORDER BY useful_until, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED""",
        [customer_id, AT_ONCE],
    )
    lapsed = [row for row in rows if row[4] <= now]
    if lapsed:
        facts = [Fact(row[0], "us", "", State.EXPIRED, status="expired", refused=True) for row in lapsed]
        record(customer_id=customer_id, facts=facts, now=now)
    waiting: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for id_, wallet_id, channel, total, useful_until in rows:
        if useful_until > now:
            waiting.setdefault((wallet_id, channel), []).append((id_, total))
    covered: list[int] = []
    for (wallet_id, channel), messages in sorted(waiting.items()):
        covered += _hold(customer_id, wallet_id, channel, messages, now)
    if covered:
        calls.rows(
            """UPDATE messaging_message SET state = 'queued', due_at = %s, changed_at = %s
               WHERE customer_id = %s AND id = ANY (%b) AND state = 'waiting'""",
            [now, now, customer_id, covered],
        )
        events.record(
            "messages.resumed",
            customer_id=customer_id,
            subject_id=covered[0],
            now=now,
            data={"count": len(covered), "ids": covered},
        )
    return len(covered) + len(lapsed)


def _hold(customer_id: int, wallet_id: int, channel: str, messages: list[tuple[int, int]], now: datetime) -> list[int]:
    """The messages whose price is on hold now: the first ones that the credit covers."""
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    accounts = wallet_operations.accounts(customer_id=customer_id, wallet=wallet)
    ids = [id_ for id_, _ in messages]
    words = ledger.hold(
        customer_id=customer_id,
        now=now,
        debit_id=accounts.wallet,
        credit_id=accounts.usage,
        code=channel,
        expires_at=now + HOLD_FOR,
        ids=ids,
        amounts_micros=[total for _, total in messages],
        refs=ids,
    )
    return [id_ for id_, word in zip(ids, words, strict=True) if word is ledger.Word.OK]
