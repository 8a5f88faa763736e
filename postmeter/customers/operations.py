"""Every write about customers, members and keys."""

import re
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from postmeter.customers import bodies, keys, permissions
from postmeter.customers.models import ApiKey, Customer, Member, Role, SenderNumber, User, mailbox_name
from postmeter.db import calls
from postmeter.db.scope import customer as customer_scope
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.money import MINOR_DIGITS
from postmeter.kit.phone import countries
from postmeter.kit.refusals import BadInput, Conflict, NotFound

API_KEY_REVOKED = "api_key_revoked"  # the channel on which doors that remember keys hear which one to forget
NAME_AT_MOST, ADDRESS_AT_MOST, ADDRESS_LINES_AT_MOST, TAX_ID_AT_MOST = 200, 500, 8, 50  # characters; lines
_SENDER = re.compile(r"\+[1-9]\d{6,14}")
LIVE_KEYS_AT_MOST = 2  # of one name: the old one and its successor, so that keys can be changed without a pause

LANGUAGES = {"en": "English", "es": "Spanish", "fr": "French"}  # of what people are asked


class KeysExhausted(Conflict):
    """This name already has two live keys."""

    code = "keys_exhausted"


def create_customer(
    *,
    name: str,
    email: str,
    country: str,
    currency: str,
    time_zone: str,
    sender: str,
    now: datetime,
    address: str = "",
    tax_id: str = "",
    plan: str = "standard",
    quiet_hours: bool = True,
    actor: str = events.SYSTEM,
) -> Customer:
    """Open a customer whose texts come from `sender` (E.164). Raises BadInput with its field, Conflict for a number in use."""
    _must_be_zone(time_zone)
    name, email, country = _line(name, NAME_AT_MOST, field="name"), _email(email), _country(country)
    address, tax_id = _address(address), _line(tax_id, TAX_ID_AT_MOST, field="tax_id", optional=True)
    if currency not in MINOR_DIGITS:
        raise BadInput("That is no currency.", field="currency", remedy="Write its three letters, such as USD.")
    if not _SENDER.fullmatch(sender):
        raise BadInput("That is no telephone number.", field="sender", remedy="Write it with + and its country code.")
    customer_id = calls.next_id()
    with customer_scope(customer_id):
        customer = Customer(
            id=customer_id,
            name=name,
            email=email,
            country=country,
            currency=currency,
            time_zone=time_zone,
            sender=sender,
            address=address,
            tax_id=tax_id,
            plan=plan,
            quiet_hours=quiet_hours,
            created_at=now,
        )
        customer.save(force_insert=True)
        bodies.first_key(customer_id=customer_id, now=now)
        try:
            with transaction.atomic():
                SenderNumber(number=sender, customer_id=customer_id).save(force_insert=True)
                customer.refresh_from_db(fields=["number"])
                SenderNumber(number=mailbox_name(customer.number), customer_id=customer_id).save(force_insert=True)
        except IntegrityError:
            raise Conflict("This number is another customer's.", field="sender", remedy="Choose another number.") from None
        events.record("customer.created", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor)
    return customer


@scoped
def change_details(
    *,
    customer_id: int,
    name: str,
    address: str,
    country: str,
    tax_id: str,
    email: str,
    time_zone: str,
    now: datetime,
    actor: str,
) -> Customer:
    """Change what the customer is called on invoices from now on; issued ones keep their words. Raises BadInput with its field.

    `address` has a line for each line of the envelope. The fact names what changed, and not what it says.
    """
    _must_be_zone(time_zone)
    details = {
        "name": _line(name, NAME_AT_MOST, field="name"),
        "address": _address(address),
        "country": _country(country),
        "tax_id": _line(tax_id, TAX_ID_AT_MOST, field="tax_id", optional=True),
        "email": _email(email),
        "time_zone": time_zone,
    }
    customer = Customer.objects.select_for_update().get(id=customer_id)
    changed = [field for field, value in details.items() if getattr(customer, field) != value]
    for field in changed:
        setattr(customer, field, details[field])
    if changed:
        customer.save(update_fields=changed)
        events.record(
            "customer.details_changed",
            customer_id=customer_id,
            subject_id=customer_id,
            now=now,
            actor=actor,
            data={"changed": changed},
        )
    return customer


def _must_be_zone(time_zone: str) -> None:
    if time_zone not in available_timezones():
        raise BadInput("There is no such time zone.", field="time_zone", remedy="Use a name such as Australia/Sydney.")


def _line(text: str, at_most: int, *, field: str, optional: bool = False) -> str:
    line = " ".join(text.split())
    if len(line) > at_most or not (line or optional):
        raise BadInput(
            "This is too long." if line else "Write something here.", field=field, remedy=f"Up to {at_most} characters."
        )
    return line


def _address(text: str) -> str:
    """The lines without empty ones."""
    lines = [line for line in (" ".join(line.split()) for line in text.splitlines()) if line]
    address = "\n".join(lines)
    if len(lines) > ADDRESS_LINES_AT_MOST or len(address) > ADDRESS_AT_MOST:
        raise BadInput(
            "This address is too long for an envelope.",
            field="address",
            remedy=f"Up to {ADDRESS_LINES_AT_MOST} lines and {ADDRESS_AT_MOST} characters.",
        )
    return address


def _country(country: str) -> str:
    if country not in countries():
        raise BadInput("There is no such country.", field="country", remedy="Use its two letters, such as AU.")
    return country


def _email(email: str) -> str:
    email = email.strip()
    try:
        validate_email(email)
    except ValidationError:
        raise BadInput("This is not an e-mail address.", field="email", remedy="Such as accounts@clinic.example.") from None
    return email


@scoped
def add_member(
    *, customer_id: int, email: str, name: str, roles: Collection[str], now: datetime, actor: str, password: str | None = None
) -> Member:
    """Give a person a seat, making the person if new. Raises BadInput, Conflict if they are a member already."""
    wrong = set(roles) - set(Role.values)
    if wrong or not roles:
        raise BadInput("Choose at least one role.", field="roles", remedy=f"Roles are {', '.join(Role.values)}.")
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        user = User.objects.create_user(email.strip(), password, name=name)
    try:
        with transaction.atomic():
            member = Member(
                customer_id=customer_id, id=calls.next_id(), user_id=user.id, roles=sorted(set(roles)), created_at=now
            )
            member.save(force_insert=True)
    except IntegrityError:
        raise Conflict("This person is a member already.", field="email", remedy="Change their roles instead.") from None
    events.record(
        "member.added", customer_id=customer_id, subject_id=member.id, now=now, actor=actor, data={"roles": member.roles}
    )
    return member


@scoped
def change_roles(*, customer_id: int, member_id: int, roles: Collection[str], now: datetime, actor: str) -> Member:
    """Set a member's roles. A customer always keeps one master."""
    if not roles or set(roles) - set(Role.values):
        raise BadInput("Choose at least one role.", field="roles", remedy=f"Roles are {', '.join(Role.values)}.")
    member = _member(customer_id, member_id)
    if Role.MASTER in member.roles and Role.MASTER not in roles:
        _must_not_be_last_master(customer_id, member_id)
    member.roles = sorted(set(roles))
    Member.objects.filter(customer_id=customer_id, id=member_id).update(roles=member.roles)
    events.record(
        "member.roles_changed", customer_id=customer_id, subject_id=member_id, now=now, actor=actor, data={"roles": member.roles}
    )
    return member


@scoped
def remove_member(*, customer_id: int, member_id: int, now: datetime, actor: str) -> None:
    """End a member's seat. The row stays: what they did keeps its name."""
    member = _member(customer_id, member_id)
    if Role.MASTER in member.roles:
        _must_not_be_last_master(customer_id, member_id)
    Member.objects.filter(customer_id=customer_id, id=member_id).update(left_at=now)
    events.record("member.left", customer_id=customer_id, subject_id=member_id, now=now, actor=actor)


def rename_person(*, user_id: int, name: str) -> None:
    """Change what a person is called, at every customer they have a seat at. Raises BadInput."""
    if not name.strip() or len(name) > 200:
        raise BadInput("Write your name.", field="name", remedy="Up to 200 characters.")
    User.objects.filter(id=user_id).update(name=name.strip())


def appoint(*, email: str, name: str) -> User:
    """Make somebody an account manager: a person of the operator, who signs in on its pages. Raises BadInput."""
    email, name = _email(email), _line(name, 200, field="name")
    user = User.objects.filter(email=email).first() or User.objects.create_user(email, name=name)
    user.is_account_manager, user.is_active = True, True
    user.save()
    return user


def dismiss(*, email: str) -> User:
    """Let an account manager be one no more: their sessions show them nothing from now on. Raises NotFound."""
    user = User.objects.filter(email=email.strip().lower(), is_account_manager=True).first()
    if user is None:
        raise NotFound("There is no such account manager.")
    user.is_account_manager = False
    user.save()
    return user


@scoped
def set_plan(*, customer_id: int, plan: str, now: datetime, actor: str) -> None:
    """Let a customer pay by another plan's prices from now on; what is priced already keeps its price."""
    Customer.objects.filter(id=customer_id).update(plan=plan)
    events.record(
        "customer.plan_changed", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data={"plan": plan}
    )


@scoped
def switch_messaging(*, customer_id: int, enabled: bool, now: datetime, actor: str) -> None:
    """Accept new messages, or none. What was accepted before goes its way."""
    if Customer.objects.filter(id=customer_id).exclude(messaging_enabled=enabled).update(messaging_enabled=enabled):
        events.record(
            "customer.messaging_switched",
            customer_id=customer_id,
            subject_id=customer_id,
            now=now,
            actor=actor,
            data={"enabled": enabled},
        )


@scoped
def switch_quiet_hours(*, customer_id: int, kept: bool, now: datetime, actor: str) -> None:
    """Write to people by day only, or at any time. What waits for its morning still does."""
    if Customer.objects.filter(id=customer_id).exclude(quiet_hours=kept).update(quiet_hours=kept):
        events.record(
            "customer.quiet_hours_switched",
            customer_id=customer_id,
            subject_id=customer_id,
            now=now,
            actor=actor,
            data={"kept": kept},
        )


@scoped
def switch_opt_in(*, customer_id: int, wanted: bool, now: datetime, actor: str) -> None:
    """Ask people before their first message (S-049), or write to whoever has not opted out."""
    if Customer.objects.filter(id=customer_id).exclude(opt_in=wanted).update(opt_in=wanted):
        events.record(
            "customer.opt_in_switched",
            customer_id=customer_id,
            subject_id=customer_id,
            now=now,
            actor=actor,
            data={"wanted": wanted},
        )


@scoped
def set_language(*, customer_id: int, language: str, now: datetime, actor: str) -> None:
    """In which people are asked before their first message. Raises BadInput."""
    if language not in LANGUAGES:
        raise BadInput("We have no words in this language.", field="language", remedy=f"Choose one of {', '.join(LANGUAGES)}.")
    if Customer.objects.filter(id=customer_id).exclude(language=language).update(language=language):
        events.record(
            "customer.language_set",
            customer_id=customer_id,
            subject_id=customer_id,
            now=now,
            actor=actor,
            data={"language": language},
        )


@scoped
def suspend(*, customer_id: int, reason: str, now: datetime, actor: str) -> None:
    """Accept no new messages. What was accepted before goes its way."""
    Customer.objects.filter(id=customer_id).update(suspended_at=now)
    events.record(
        "customer.suspended", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data={"reason": reason}
    )


@scoped
def reinstate(*, customer_id: int, now: datetime, actor: str) -> None:
    """Accept messages again."""
    Customer.objects.filter(id=customer_id).update(suspended_at=None)
    events.record("customer.reinstated", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor)


@scoped
def create_api_key(
    *, customer_id: int, name: str, mode: str, scopes: Iterable[str], now: datetime, actor: str, expires_in_days: int | None = 365
) -> tuple[ApiKey, str]:
    """Make a key. Returns its row and the key itself, which cannot be had again.

    Two live keys of one name may stand side by side, so that a program can change over without a pause.
    """
    name, chosen = name.strip(), sorted(set(scopes))
    if not name or len(name) > 100:
        raise BadInput("Give the key a name.", field="name", remedy="Up to 100 characters, such as the program that uses it.")
    if mode not in ("live", "test"):
        raise BadInput("A key is live or test.", field="mode", remedy="Choose live or test.")
    if not chosen or set(chosen) - permissions.SCOPES:
        raise BadInput(
            "Choose what the key may do.", field="scopes", remedy=f"Scopes are {', '.join(sorted(permissions.SCOPES))}."
        )
    if expires_in_days is not None and not 1 <= expires_in_days <= 3650:
        raise BadInput("A key lasts from 1 to 3650 days.", field="expires_in_days", remedy="Choose a number of days, or never.")
    # The customer's row is the lock: two browsers that rotate at once cannot make a third key.
    Customer.objects.select_for_update().get(id=customer_id)
    if (
        ApiKey.objects.filter(customer_id=customer_id, name=name, mode=mode, revoked_at=None).exclude(expires_at__lte=now).count()
        >= LIVE_KEYS_AT_MOST
    ):
        raise KeysExhausted(field="name", remedy="Revoke one of them first.")
    secret = keys.new_secret()
    key = ApiKey(
        customer_id=customer_id,
        id=calls.next_id(),
        name=name,
        mode=mode,
        secret_hash=keys.hash_secret(secret),
        hint=secret[-4:],
        scopes=chosen,
        created_by=actor,
        created_at=now,
        expires_at=now + timedelta(days=expires_in_days) if expires_in_days else None,
    )
    key.save(force_insert=True)
    events.record(
        "api_key.created", customer_id=customer_id, subject_id=key.id, now=now, actor=actor, data={"name": name, "scopes": chosen}
    )
    return key, keys.write(mode=mode, customer_id=customer_id, key_id=key.id, secret=secret)


@scoped
def revoke_api_key(*, customer_id: int, key_id: int, now: datetime, actor: str) -> None:
    """End a key at once, also where a door remembers it (NOTIFY, at commit). Revoking it again changes nothing."""
    if not ApiKey.objects.filter(customer_id=customer_id, id=key_id).exists():
        raise NotFound("There is no such key.")
    if ApiKey.objects.filter(customer_id=customer_id, id=key_id, revoked_at=None).update(revoked_at=now):
        events.record("api_key.revoked", customer_id=customer_id, subject_id=key_id, now=now, actor=actor)
        calls.rows("SELECT pg_notify(%s, %s)", [API_KEY_REVOKED, str(key_id)])


@scoped
def touch_api_key(*, customer_id: int, key_id: int, now: datetime) -> None:
    """Note when a key was last used, at most once a minute."""
    ApiKey.objects.filter(customer_id=customer_id, id=key_id).exclude(last_used_at__gt=now - timedelta(minutes=1)).update(
        last_used_at=now
    )


def _member(customer_id: int, member_id: int) -> Member:
    member = Member.objects.select_for_update().filter(customer_id=customer_id, id=member_id, left_at=None).first()
    if member is None:
        raise NotFound("There is no such member.")
    return member


def _must_not_be_last_master(customer_id: int, member_id: int) -> None:
    others = Member.objects.select_for_update().filter(customer_id=customer_id, left_at=None, roles__contains=[Role.MASTER])
    if not [other for other in others if other.id != member_id]:
        raise Conflict("This is the last master.", field="roles", remedy="Make somebody else a master first.")
