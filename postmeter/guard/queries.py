"""Reads of the guard."""

from collections.abc import Mapping
from dataclasses import dataclass

from postmeter.customers import queries as customers
from postmeter.customers.models import Customer
from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.guard.limits import LIMITS, usual
from postmeter.guard.models import EVERYWHERE, Country, Override, Stop
from postmeter.kit.phone import country_name
from postmeter.kit.refusals import NotAllowed

GUARDED = frozenset({"phone", "fax"})  # kinds of addresses that tolls can be earned on
MOST_SHOWN = 200


class CountryClosed(NotAllowed):
    """This country is not open."""

    code = "country_closed"


@dataclass(frozen=True, slots=True)
class Rules:
    """What accepting asks of one customer: the countries that are open (None: all), and by each limit's name how much at most."""

    customer_id: int
    zone: str
    unit: str
    countries: frozenset[str] | None
    most: Mapping[str, int]


@scoped
def rules(*, customer: Customer, customer_id: int, unit: str) -> Rules:
    """What holds for a customer now, in one statement: the doors read it again every few seconds."""
    rows = calls.rows(_RULES, [customer_id, customer_id])
    opened = frozenset(name for name, by_operator, _ in rows if by_operator is None)
    ceiling = {name: most for name, by_operator, most in rows if by_operator is True}
    own = {name: most for name, by_operator, most in rows if by_operator is False}
    allowed = {name: ceiling.get(name) or usual(limit, unit) for name, limit in LIMITS.items()}
    return Rules(
        customer_id,
        customer.time_zone,
        unit,
        None if EVERYWHERE in opened else opened | {customer.country},
        {name: min(most, own.get(name, most)) for name, most in allowed.items()},
    )


_RULES = """SELECT name, by_operator, most FROM guard_override WHERE customer_id = %s
    UNION ALL SELECT country, NULL, 0 FROM guard_country WHERE customer_id = %s"""


@scoped
def is_stopped(*, customer_id: int) -> bool:
    """Whether a stop lasts."""
    return bool(calls.rows("SELECT 1 FROM guard_stop WHERE customer_id = %s AND lifted_at IS NULL", [customer_id]))


def closed(country: str) -> CountryClosed:
    """The refusal of a message to a country that is not open."""
    return CountryClosed(
        f"Messages to {country_name(country)} are not open for you.",
        field="country",
        remedy="A master opens it under Settings, Limits and countries.",
    )


@scoped
def opened_countries(*, customer_id: int) -> frozenset[str]:
    """The countries beside its own; `*` is every one that has a price."""
    return frozenset(Country.objects.filter(customer_id=customer_id).values_list("country", flat=True))


@scoped
def limits(*, customer_id: int, unit: str) -> dict[str, int]:
    """What holds: what the operator allows, or less where the customer's own people say so. Messages, or micro-units."""
    own = overrides(customer_id=customer_id, by_operator=False)
    return {name: min(most, own.get(name, most)) for name, most in ceilings(customer_id=customer_id, unit=unit).items()}


@scoped
def ceilings(*, customer_id: int, unit: str) -> dict[str, int]:
    """What the operator allows: the usual limits, or what was set for this customer."""
    by_operator = overrides(customer_id=customer_id, by_operator=True)
    return {name: by_operator.get(name, usual(limit, unit)) for name, limit in LIMITS.items()}


@scoped
def overrides(*, customer_id: int, by_operator: bool) -> dict[str, int]:
    rows = Override.objects.filter(customer_id=customer_id, by_operator=by_operator)
    return dict(rows.values_list("name", "most"))


@scoped
def standing(*, customer_id: int) -> Stop | None:
    """The stop that lasts, or None. It holds for accepting, for claiming and for automatic top-ups alike."""
    return Stop.objects.filter(customer_id=customer_id, lifted_at=None).first()


@scoped
def stop(*, customer_id: int, stop_id: int) -> Stop:
    return Stop.objects.get(customer_id=customer_id, id=stop_id)


@scoped
def history(*, customer_id: int, at_most: int = 10) -> list[Stop]:
    """The newest first."""
    return list(Stop.objects.filter(customer_id=customer_id).order_by("-id")[:at_most])


@dataclass(frozen=True, slots=True)
class Stopped:
    """A customer whose sending is stopped."""

    stop: Stop
    customer: Customer


def all_standing() -> list[Stopped]:
    """Every stop that lasts, the oldest first. Only who may see every customer."""
    with scope.every_customer():
        rows = list(Stop.objects.filter(lifted_at=None).order_by("id")[:MOST_SHOWN])
    named = customers.named(customer_ids={row.customer_id for row in rows})
    return [Stopped(row, named[row.customer_id]) for row in rows]
