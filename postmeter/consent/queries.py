"""Reads about consent."""

from collections.abc import Collection
from datetime import datetime

from postmeter.consent.models import ALL, CHANNEL, Evidence, OptOut, Permission, StopRule
from postmeter.db.scope import scoped


@scoped
def opted_out(*, customer_id: int, channel: str, addresses: Collection[str], purpose: str = ALL) -> frozenset[str]:
    """Which of these addresses must not be written to for this purpose; without one: for none."""
    found = OptOut.objects.filter(
        customer_id=customer_id, channel=channel, address__in=list(addresses), purpose__in={ALL, purpose}
    )
    return frozenset(found.values_list("address", flat=True))


@scoped
def opt_outs(*, customer_id: int, addresses: Collection[str]) -> list[OptOut]:
    """Everything that these addresses opted out of, on whichever channel, the oldest first."""
    return list(OptOut.objects.filter(customer_id=customer_id, address__in=list(addresses)).order_by("id"))


@scoped
def stop_rules(*, customer_id: int, now: datetime) -> tuple[str, list[StopRule]]:
    """How far a STOP reaches now, and what changes that later, the next first. Unless somebody set it: the one channel."""
    by_moment = {row.since: row for row in StopRule.objects.filter(customer_id=customer_id).order_by("since", "id")}
    held = [row for row in by_moment.values() if row.since <= now]
    return (held[-1].reach if held else CHANNEL), [row for row in by_moment.values() if row.since > now]


@scoped
def evidence_of(*, customer_id: int, addresses: Collection[str], at_most: int) -> list[Evidence]:
    """What was said about consent to write to these addresses, the newest first."""
    return list(Evidence.objects.filter(customer_id=customer_id, address__in=list(addresses)).order_by("-id")[:at_most])


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
