"""Reads about customers, members and keys."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q

from postmeter.customers import keys, permissions
from postmeter.customers.models import ApiKey, Customer, Member, SenderNumber, User, mailbox_name
from postmeter.db import scope
from postmeter.db.scope import scoped


@dataclass(frozen=True, slots=True)
class Seat:
    """A member with the person behind them, as pages show it."""

    customer_id: int
    member_id: int
    user_id: int
    email: str
    name: str
    roles: tuple[str, ...]
    permissions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is behind an API key."""

    customer_id: int
    key_id: int
    mode: str
    scopes: frozenset[str]
    expires_at: datetime | None

    @property
    def actor(self) -> str:
        return f"key:{self.key_id}"


def every_customer() -> list[int]:
    """The ids of all customers, for rounds that serve each in turn."""
    with scope.every_customer():
        return list(Customer.objects.order_by("id").values_list("id", flat=True))


def search(*, text: str = "", before: int | None = None, at_most: int = 50) -> list[Customer]:
    """Customers whose number is `text` or whose name or address holds it, the newest first. Only who may see every customer."""
    with scope.every_customer():
        rows = Customer.objects.order_by("-id")
        if text:
            rows = rows.filter(
                Q(number=int(text) if text.isascii() and text.isdigit() and len(text) < 18 else -1)
                | Q(name__icontains=text)
                | Q(email__icontains=text)
            )
        return list((rows.filter(id__lt=before) if before else rows)[:at_most])


def named(*, customer_ids: Collection[int]) -> dict[int, Customer]:
    """Customers by id. Only who may see every customer."""
    with scope.every_customer():
        return {row.id: row for row in Customer.objects.filter(id__in=customer_ids)}


def account_managers() -> list[User]:
    """The operator's staff."""
    return list(User.objects.filter(is_account_manager=True, is_active=True).order_by("id"))


@scoped
def customer(*, customer_id: int) -> Customer:
    return Customer.objects.get(id=customer_id)


def customer_of_number(number: str) -> int | None:
    """Whose number this is."""
    return SenderNumber.objects.filter(number=number).values_list("customer_id", flat=True).first()


def customer_of_mailbox(number: int) -> int | None:
    """Whose mailbox has this number."""
    return customer_of_number(mailbox_name(number))


def seats_of(user: User) -> list[Seat]:
    """The seats of a person who signed in, whichever customers they are of."""
    with scope.signed_in(user.id):
        return [_seat(member, user) for member in Member.objects.filter(user_id=user.id, left_at=None).order_by("id")]


@scoped
def members(*, customer_id: int) -> list[Seat]:
    rows = list(Member.objects.filter(customer_id=customer_id, left_at=None).order_by("id"))
    people = {user.id: user for user in User.objects.filter(id__in=[row.user_id for row in rows])}
    return [_seat(row, people[row.user_id]) for row in rows]


@scoped
def everybody(*, customer_id: int) -> list[Seat]:
    """Members, and those who left: they can do nothing any more."""
    rows = list(Member.objects.filter(customer_id=customer_id).order_by("id"))
    people = {user.id: user for user in User.objects.filter(id__in=[row.user_id for row in rows])}
    seats = [(row, _seat(row, people[row.user_id])) for row in rows]
    return [seat if row.left_at is None else replace(seat, permissions=frozenset()) for row, seat in seats]


@scoped
def api_keys(*, customer_id: int) -> Sequence[ApiKey]:
    return list(ApiKey.objects.filter(customer_id=customer_id).order_by("-id"))


def caller(text: str, *, now: datetime) -> Caller:
    """Who is behind this key. Raises BadKey, with the reason only where it gives nothing away."""
    parsed = keys.read(text)
    with scope.customer(parsed.customer_id):
        key = ApiKey.objects.filter(customer_id=parsed.customer_id, id=parsed.key_id, mode=parsed.mode).first()
    if key is None or not keys.same(parsed.secret, bytes(key.secret_hash)):
        raise keys.BadKey(remedy="Make a new one under Settings, API keys.")
    if key.revoked_at is not None:
        raise keys.BadKey("This API key was revoked.", remedy="Make a new one under Settings, API keys.")
    if key.expires_at is not None and key.expires_at <= now:
        raise keys.BadKey("This API key has expired.", remedy="Make a new one under Settings, API keys.")
    return Caller(key.customer_id, key.id, key.mode, frozenset(key.scopes), key.expires_at)


def _seat(member: Member, user: User) -> Seat:
    return Seat(
        member.customer_id,
        member.id,
        user.id,
        user.email,
        user.name or user.email,
        tuple(member.roles),
        permissions.of_roles(member.roles),
    )
