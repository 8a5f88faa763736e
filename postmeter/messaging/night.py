"""Quiet hours of a customer's recipients: when each of them may be written to (A-55)."""

from dataclasses import dataclass
from datetime import datetime

from postmeter.consent import quiet
from postmeter.customers import queries as customers
from postmeter.customers.models import Customer
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.messaging.kinds import AD_HOC, KINDS

WAKES = frozenset({"sms", "mms", "voice"})  # channels that ring


@dataclass(frozen=True, slots=True)
class Night:
    """`home` is the zone of a customer that keeps quiet hours, empty for one that writes at any time."""

    home: str
    now: datetime

    def opens_at(self, recipient: str, channel: str, kind: str) -> datetime:
        """The first moment from now on at which this recipient may be written to."""
        if not self.home or channel not in WAKES or not KINDS[kind].day_only:
            return self.now
        return quiet.opens_at(recipient, self.now, home=self.home)


def night_of(customer: Customer, now: datetime) -> Night:
    return Night(customer.time_zone if customer.quiet_hours else "", now)


@scoped
def asleep(*, customer_id: int, quote_id: int, now: datetime) -> int:
    """How many of a quote's messages would wait for their morning now."""
    found = night_of(customers.customer(customer_id=customer_id), now)
    rows = calls.rows(
        """SELECT i.recipient, q.channel FROM messaging_quote_item i
           JOIN messaging_quote q ON q.customer_id = i.customer_id AND q.id = i.quote_id
           WHERE i.customer_id = %s AND i.quote_id = %s AND i.excluded_code = ''""",
        [customer_id, quote_id],
    )
    return sum(found.opens_at(recipient, channel, AD_HOC) > now for recipient, channel in rows)
