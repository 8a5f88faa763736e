"""Whether a payment method may be charged automatically. Declines take it away, a success gives it back (S-131, S-132, A-30)."""

from datetime import datetime, timedelta
from enum import StrEnum

from postmeter.payments.models import PaymentMethod
from postmeter.payments.reasons import Kind, kind_of

COOL_DOWN = timedelta(hours=48)  # S-132


class Health(StrEnum):
    """What stands in the way of charging a method automatically, apart from its own switch."""

    WELL = "well"
    COOLING = "cooling"  # an issuer's decline; it comes back by itself, to its old place
    NEEDS_PERSON = "needs_person"  # stolen, lost, closed, invalid; never comes back by itself
    EXPIRED = "expired"


def has_expired(method: PaymentMethod, *, now: datetime) -> bool:
    """A card is good to the end of its month."""
    return (method.expires_year, method.expires_month) < (now.year, now.month)


def health(method: PaymentMethod, *, now: datetime) -> Health:
    """How a method is at this moment; what needs a person comes first."""
    if method.needs_person:
        return Health.NEEDS_PERSON
    if has_expired(method, now=now):
        return Health.EXPIRED
    if method.cooling_until is not None and now < method.cooling_until:
        return Health.COOLING
    return Health.WELL


def is_chargeable(method: PaymentMethod, *, now: datetime) -> bool:
    """May it be charged automatically: switched on, still ours, and well?"""
    return method.auto_charge and method.removed_at is None and health(method, now=now) is Health.WELL


def hurt(method: PaymentMethod, *, code: str, text: str, now: datetime) -> Kind:
    """Note a decline. Returns what it did: ISSUER cools, HARD stops until a person acts, the others stop nothing.

    A decline that says less than what is known changes nothing: a stolen card does not become one that merely lacks money.
    """
    kind = kind_of(code)
    if kind is Kind.HARMLESS or (method.needs_person and kind is not Kind.HARD):
        return Kind.HARMLESS
    method.failure_code, method.failure_text, method.failed_at = code, text, now
    if kind is Kind.ISSUER:
        method.cooling_until = max(filter(None, [method.cooling_until, now + COOL_DOWN]))
    elif kind is Kind.HARD:
        method.needs_person, method.cooling_until = True, None
    return kind


def heal(method: PaymentMethod) -> bool:
    """Forget every failure: money came (S-138, A-32). Says whether there was one that stopped the method."""
    stopped = method.needs_person or method.cooling_until is not None
    method.needs_person, method.cooling_until = False, None
    method.failure_code, method.failure_text, method.failed_at = "", "", None
    return stopped
