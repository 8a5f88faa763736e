"""Where providers reach us: addresses that say, encrypted, whose message they speak of."""

from django.conf import settings

from postmeter.db.public_ids import public_ids


def receipt_url(provider: str, customer_id: int, message_id: int) -> str:
    ids = public_ids()
    return f"{settings.PUBLIC_URL}/callbacks/{provider}/{ids.encode('CU', customer_id)}/{ids.encode('SM', message_id)}"
