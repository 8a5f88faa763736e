"""The mail that a month is closed, with its balances and the hash of its movements."""

from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from postmeter.customers import queries as customers
from postmeter.db.public_ids import public_ids
from postmeter.kit.crash import crash_point
from postmeter.kit.money import format_amount
from postmeter.statements import months, operations, queries


def send(*, customer_id: int, statement_id: int, now: datetime) -> bool:
    """Mail a closed month unless it was mailed. Says whether it went."""
    closed = operations.start_mailing(customer_id=customer_id, statement_id=statement_id, now=now)
    if closed is None:
        return False
    customer = customers.customer(customer_id=customer_id)
    found = queries.month(customer_id=customer_id, wallet_id=closed.wallet_id, month=closed.month, now=now)
    facts = {
        "customer": customer.name,
        "month": f"{closed.month:%B %Y}",
        "zone": closed.time_zone,
        "opening": format_amount(closed.opening_micros, closed.unit),
        "closing": format_amount(closed.closing_micros, closed.unit),
        "groups": [(group.words, format_amount(group.amount_micros, closed.unit)) for group in found.groups],
        "sha256": closed.sha256,
        "link": f"{settings.PUBLIC_URL}/credit/statement/{months.written(closed.month)}.csv",
    }
    message = EmailMessage(
        subject=f"Statement {facts['month']}: {facts['closing']} at the end",
        body=render_to_string("statements/mail.txt", facts),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[customer.email],
        headers={"Message-ID": f"<statement-{public_ids().encode('ST', closed.id)}@postmeter>"},
    )
    message.send()
    crash_point("statements.mail_sent")
    operations.finish_mailing(customer_id=customer_id, statement_id=statement_id, now=now)
    return True
