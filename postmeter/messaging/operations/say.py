"""What we say of our own: to who opted out, asked for help, or came back. Free, so it goes at zero credit and below (A-73)."""

from datetime import datetime

from postmeter.customers import bodies
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.messaging.channels import sms
from postmeter.messaging.kinds import ANSWER
from postmeter.wallets import queries as wallets


@scoped
def say(
    *,
    customer_id: int,
    provider: str,
    sender: str,
    recipient: str,
    text: str,
    useful_until: datetime,
    now: datetime,
) -> int:
    """Queue one free text in the caller's transaction, to go whether or not its recipient opted out. Returns its id."""
    encoding, segments = sms.count(text)
    wallet = wallets.pool(customer_id=customer_id)
    return int(
        calls.value(
            """INSERT INTO messaging_message (customer_id, id, kind, batch_id, wallet_id, channel, sender, recipient, body, encoding,
                   segments, unit, price_micros, fee_micros, price_list_id, state, provider, created_by, created_at, changed_at,
                   due_at, useful_until)
               VALUES (%s, next_id(), %s, 0, %s, 'sms', %s, %s, %s, %s, %s, %s, 0, 0, 0, 'queued', %s, 'system', %s, %s, %s, %s)
               RETURNING id""",
            [
                customer_id,
                ANSWER,
                wallet.id,
                sender,
                recipient,
                bodies.seal(customer_id, text),
                str(encoding),
                segments,
                wallet.unit,
                provider,
                now,
                now,
                now,
                useful_until,
            ],
        )
    )
