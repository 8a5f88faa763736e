"""Every write about consent. An opt-out commits before anything else is answered (A-73)."""

from datetime import datetime

from postmeter.consent.models import OptOut
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events


@scoped
def opt_out(*, customer_id: int, channel: str, address: str, source: str, now: datetime, actor: str) -> bool:
    """Never write to this address again on this channel. Says whether that is new."""
    added = calls.rows(
        """INSERT INTO consent_opt_out (customer_id, id, channel, address, source, at) VALUES (%s, next_id(), %s, %s, %s, %s)
           ON CONFLICT (customer_id, channel, address) DO NOTHING RETURNING id""",
        [customer_id, channel, address, source, now],
    )
    if added:
        events.record(
            "consent.opted_out", customer_id=customer_id, subject_id=added[0][0], now=now, actor=actor, data={"channel": channel}
        )
    return bool(added)


@scoped
def opt_in(*, customer_id: int, channel: str, address: str, now: datetime, actor: str) -> bool:
    """Take an opt-out back, at the recipient's own word."""
    removed, _ = OptOut.objects.filter(customer_id=customer_id, channel=channel, address=address).delete()
    if removed:
        events.record(
            "consent.opted_in", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data={"channel": channel}
        )
    return bool(removed)
