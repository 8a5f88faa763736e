"""What mail services post to us, read and verified by django-anymail: what became of emails, and emails that come in.

Anymail hands on by Django's signals what it has read; an exception here is a 500 to the service, which says it again.
"""

from typing import Any

from anymail.signals import AnymailInboundEvent, AnymailTrackingEvent, inbound, tracking
from django.conf import settings
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase
from django.urls import resolve
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from postmeter.kit.refusals import NotFound
from postmeter.messaging import mailroom
from postmeter.messaging.carriers.esp import WHOSE

# Anymail's words for what moves an email, and ours (`mailroom`).
ACTIONS = {
    "delivered": "delivered",
    "bounced": "failed",
    "rejected": "failed",
    "failed": "failed",
    "complained": "complaint",
    "unsubscribed": "complaint",
}


@csrf_exempt
def hook(request: HttpRequest, esp: str, kind: str) -> HttpResponseBase:
    """POST /hooks/email/postmark/tracking/ or …/inbound/: of the service that is used, and no other."""
    if esp != settings.ANYMAIL_ESP or kind not in ("tracking", "inbound", "inbound_mime"):
        raise NotFound("There is nothing here.")
    found = resolve(f"/{esp}/{kind}/", urlconf="anymail.urls")
    answer: HttpResponseBase = found.func(request, *found.args, **found.kwargs)
    return answer


@receiver(tracking)
def heard(sender: object, event: AnymailTrackingEvent, esp_name: str, **more: Any) -> None:
    """What became of an email of ours."""
    action = ACTIONS.get(event.event_type)
    token = (event.metadata or {}).get(WHOSE, "")
    if action and token:
        words = event.mta_response or event.description or event.reject_reason or event.event_type
        mailroom.hear(token=str(token), action=action, words=str(words), now=timezone.now())


@receiver(inbound)
def came(sender: object, event: AnymailInboundEvent, esp_name: str, **more: Any) -> None:
    """An email to one of our addresses. One to none of them is nobody's, and not said again."""
    letter = event.message
    for recipient in [letter.envelope_recipient] if letter.envelope_recipient else [each.addr_spec for each in letter.to]:
        try:
            mailroom.deliver(recipient=recipient, sender=letter.envelope_sender or "", raw=letter.as_bytes(), now=timezone.now())
        except mailroom.Nobody:
            continue
