"""Secrets and signatures (Standard Webhooks, symmetric)."""

import base64
import hashlib
import hmac
from datetime import datetime

from django.conf import settings
from standardwebhooks.webhooks import Webhook


def secret_of(endpoint_id: int) -> str:
    """An endpoint's secret, "whsec_…": made of our key and its id each time, so no table can give it away."""
    digest = hmac.new(settings.SECRET_KEY.encode(), f"webhook:{endpoint_id}".encode(), hashlib.sha256).digest()
    return f"whsec_{base64.b64encode(digest).decode()}"


def headers(*, endpoint_id: int, delivery: str, body: str, now: datetime) -> dict[str, str]:
    """`delivery` is the message's id, the same for each attempt: by it a receiver knows what it has had."""
    return {
        "content-type": "application/json",
        "user-agent": "Postmeter",
        "webhook-id": delivery,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret_of(endpoint_id)).sign(delivery, now, body),
    }
