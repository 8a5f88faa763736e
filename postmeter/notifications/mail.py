"""Notices as mail, each once."""

from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from postmeter.customers import queries as customers
from postmeter.db.public_ids import public_ids
from postmeter.kit.crash import crash_point
from postmeter.notifications import operations
from postmeter.notifications.words import words


def send(*, customer_id: int, notice_id: int, now: datetime) -> bool:
    """Mail a notice unless it was mailed. Says whether it went."""
    notice = operations.start_mailing(customer_id=customer_id, notice_id=notice_id, now=now)
    if notice is None:
        return False
    said = words(notice, now=now)
    facts = {
        "words": said,
        "customer": customers.customer(customer_id=customer_id).name,
        "link": f"{settings.PUBLIC_URL}{said.path}",
        "settings_link": f"{settings.PUBLIC_URL}{said.settings}",
    }
    message = EmailMultiAlternatives(
        subject=said.heading,
        body=render_to_string("notifications/mail.txt", facts),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[notice.address],
        headers={"Message-ID": f"<notice-{public_ids().encode('NO', notice.id)}@postmeter>"},
    )
    message.attach_alternative(render_to_string("notifications/mail.html", facts), "text/html")
    message.send()
    crash_point("notifications.mail_sent")
    operations.finish_mailing(customer_id=customer_id, notice_id=notice_id, now=now)
    return True
