"""Offices and teams: who stands where, which decides whose credit one sees and manages (R-03, R-04, R-09)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from postmeter.customers.models import Group, Member, Placement
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.refusals import BadInput, Conflict, NotFound

NAME_AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """A group with the ids of the members who stand in it."""

    group: Group
    member_ids: frozenset[int]


@scoped
def groups(*, customer_id: int) -> list[Standing]:
    """Offices first, by name."""
    inside: dict[int, set[int]] = {}
    for group_id, member_id in Placement.objects.filter(customer_id=customer_id).values_list("group_id", "member_id"):
        inside.setdefault(group_id, set()).add(member_id)
    rows = Group.objects.filter(customer_id=customer_id).order_by("kind", "name")
    return [Standing(row, frozenset(inside.get(row.id, ()))) for row in rows]


@scoped
def beside(*, customer_id: int, member_id: int, kind: str) -> frozenset[int]:
    """The members who stand in an office, or a team, with this one."""
    own = [row.member_ids for row in groups(customer_id=customer_id) if row.group.kind == kind and member_id in row.member_ids]
    return frozenset().union(*own) - {member_id}


@scoped
def open_group(*, customer_id: int, kind: str, name: str, actor: str, now: datetime) -> Group:
    """Raises BadInput, and Conflict where there is one of that name."""
    name = " ".join(name.split())
    if kind not in ("office", "team"):
        raise BadInput("Choose an office or a team.", field="kind")
    if not 1 <= len(name) <= NAME_AT_MOST:
        raise BadInput("Write its name.", field="name", remedy=f"Up to {NAME_AT_MOST} characters.")
    row = Group(customer_id=customer_id, id=calls.next_id(), kind=kind, name=name, created_at=now)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise Conflict(f"There is {'an office' if kind == 'office' else 'a team'} of that name.", field="name") from None
    events.record("group.opened", customer_id=customer_id, subject_id=row.id, now=now, actor=actor, data={"kind": kind})
    return row


@scoped
def place(*, customer_id: int, group_id: int, member_ids: Collection[int], actor: str, now: datetime) -> None:
    """Have exactly these members stand in a group. Raises NotFound."""
    if not Group.objects.select_for_update().filter(customer_id=customer_id, id=group_id).exists():
        raise NotFound("There is no such office or team.")
    wanted = set(member_ids)
    if Member.objects.filter(customer_id=customer_id, id__in=wanted, left_at=None).count() != len(wanted):
        raise NotFound("There is no such member.")
    rows = Placement.objects.filter(customer_id=customer_id, group_id=group_id)
    there = set(rows.values_list("member_id", flat=True))
    rows.filter(member_id__in=there - wanted).delete()
    for member_id in sorted(wanted - there):
        Placement(customer_id=customer_id, id=calls.next_id(), group_id=group_id, member_id=member_id).save(force_insert=True)
    if there != wanted:
        data = {"came": sorted(wanted - there), "left": sorted(there - wanted)}
        events.record("group.changed", customer_id=customer_id, subject_id=group_id, now=now, actor=actor, data=data)


@scoped
def close_group(*, customer_id: int, group_id: int, actor: str, now: datetime) -> None:
    """Nobody stands in it any more. Raises NotFound."""
    found, _ = Group.objects.filter(customer_id=customer_id, id=group_id).delete()
    if not found:
        raise NotFound("There is no such office or team.")
    Placement.objects.filter(customer_id=customer_id, group_id=group_id).delete()
    events.record("group.closed", customer_id=customer_id, subject_id=group_id, now=now, actor=actor)
