"""Reads about consent."""

from collections.abc import Collection

from postmeter.consent.models import Evidence, OptOut, Permission
from postmeter.db.scope import scoped


@scoped
def opted_out(*, customer_id: int, channel: str, addresses: Collection[str]) -> frozenset[str]:
    """Which of these addresses must not be written to."""
    found = OptOut.objects.filter(customer_id=customer_id, channel=channel, address__in=list(addresses))
    return frozenset(found.values_list("address", flat=True))


@scoped
def permissions_of(*, customer_id: int, addresses: Collection[str]) -> dict[tuple[str, str], Permission]:
    """What is known of these addresses, by channel and address. Whom nobody asked is not among them."""
    found = Permission.objects.filter(customer_id=customer_id, address__in=list(addresses))
    return {(row.channel, row.address): row for row in found}


@scoped
def permissions(*, customer_id: int, channel: str, addresses: Collection[str]) -> dict[str, Permission]:
    """What is known of these addresses. Whom nobody asked is not among them."""
    found = Permission.objects.filter(customer_id=customer_id, channel=channel, address__in=list(addresses))
    return {row.address: row for row in found}


@scoped
def evidence(*, customer_id: int, after: int, at_most: int) -> list[Evidence]:
    """What was said about consent, the oldest first, behind the one with id `after`."""
    return list(Evidence.objects.filter(customer_id=customer_id, id__gt=after).order_by("id")[:at_most])
