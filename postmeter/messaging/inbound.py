"""Texts that come in: kept first, then read for STOP and START."""

from datetime import datetime

from postmeter.consent import operations as consent
from postmeter.consent import words
from postmeter.consent.words import Wish
from postmeter.customers import queries as customers
from postmeter.db import calls, scope
from postmeter.events import operations as events
from postmeter.kit.crash import crash_point
from postmeter.messaging.providers import Received


def receive(*, provider: str, word: Received, now: datetime) -> bool:
    """Keep an incoming text for the customer whose number it came to; an opt-out commits with it.

    Works at zero credit and below (A-58, A-73). Says whether it is new; a repeat changes nothing, and a text to a number
    that is nobody's is not ours to keep.
    """
    customer_id = customers.customer_of_number(word.recipient)
    if customer_id is None:
        return False
    with scope.customer(customer_id):
        new = calls.rows(
            """INSERT INTO messaging_inbound (customer_id, id, channel, sender, recipient, body, provider, provider_ref, at)
               VALUES (%s, next_id(), 'sms', %s, %s, %s, %s, %s, %s)
               ON CONFLICT (customer_id, provider, provider_ref) DO NOTHING RETURNING id""",
            [customer_id, word.sender, word.recipient, word.body.replace("\x00", ""), provider, word.ref, now],
        )
        if not new:
            return False
        wish = words.wish(word.body)
        if wish in (Wish.STOP, Wish.WRONG_NUMBER):
            source = "reply" if wish is Wish.STOP else "wrong number"
            consent.opt_out(
                customer_id=customer_id, channel="sms", address=word.sender, source=source, now=now, actor="recipient"
            )
        elif wish is Wish.START:
            consent.opt_in(customer_id=customer_id, channel="sms", address=word.sender, now=now, actor="recipient")
        events.record("message.received", customer_id=customer_id, subject_id=new[0][0], now=now, data={"wish": wish})
        crash_point("messaging.text_uncommitted")
    return True
