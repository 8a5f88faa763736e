"""Reads about consent."""

from collections.abc import Collection

from postmeter.consent.models import OptOut
from postmeter.db.scope import scoped


@scoped
def opted_out(*, customer_id: int, channel: str, addresses: Collection[str]) -> frozenset[str]:
    """Which of these addresses must not be written to."""
    found = OptOut.objects.filter(customer_id=customer_id, channel=channel, address__in=list(addresses))
    return frozenset(found.values_list("address", flat=True))
