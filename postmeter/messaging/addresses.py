"""Where providers reach us: addresses that say, encrypted, whose message they speak of."""

from collections.abc import Sequence

from django.conf import settings

from postmeter.db.public_ids import public_ids


def receipt_urls(customer_id: int, messages: Sequence[tuple[int, str]]) -> list[str]:
    """Where the receipts of one customer's messages go; each is given by its id and its provider."""
    ids = public_ids()
    customer = ids.encode("CU", customer_id)
    encoded = ids.encode_many("SM", (id_ for id_, _ in messages))
    return [
        f"{settings.PUBLIC_URL}/callbacks/{provider}/{customer}/{id_}"
        for (_, provider), id_ in zip(messages, encoded, strict=True)
    ]
