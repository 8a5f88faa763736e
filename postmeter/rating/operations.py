"""Every write about prices. Prices change by new rows: what was valid stays readable."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from postmeter.db import calls
from postmeter.db.scope import EVERYBODY
from postmeter.events import operations as events
from postmeter.kit.money import CREDITS, MINOR_DIGITS
from postmeter.kit.refusals import BadInput
from postmeter.rating import queries
from postmeter.rating.models import Pack, PriceList, Rate
from postmeter.rating.packs import Tier, check_tiers

# Charged when a carrier took it, given back when the fault was on the carriers' side (A-50); by final status and class of error.
USUAL_PAYABLE = {
    "undelivered": True,
    "undelivered:unreachable": False,
    "undelivered:unknown": False,
    "undelivered:internal": False,
}


@dataclass(frozen=True, slots=True)
class NewRate:
    """One price from a date on; micro-units per unit."""

    channel: str
    direction: str
    prefix: str
    country: str
    price_micros: int
    fee_micros: int


def create_price_list(
    *, customer_id: int = EVERYBODY, name: str, plan: str, currency: str, payable: Mapping[str, bool], now: datetime, actor: str
) -> PriceList:
    """Make an empty list. The caller holds the scope: every customer for a plan's list, one customer for its own."""
    found = PriceList(
        customer_id=customer_id,
        id=calls.next_id(),
        name=name,
        plan=plan,
        currency=currency,
        payable=dict(payable),
        created_at=now,
    )
    found.save(force_insert=True)
    events.record("price_list.created", customer_id=customer_id, subject_id=found.id, now=now, actor=actor, data={"name": name})
    return found


def set_rates(*, price_list: PriceList, new: Iterable[NewRate], valid_from: datetime, now: datetime, actor: str) -> int:
    """Let these prices hold from `valid_from` on; the ones that they replace end then. Returns how many were set."""
    rows = list(new)
    for row in rows:
        if row.price_micros < 0 or row.fee_micros < 0:
            # A price of -1 as "none" once minted money elsewhere: settlement gave back minus the cost.
            raise BadInput("A price cannot be negative.", field="price_micros", remedy="Leave the destination out instead.")
        if not row.prefix.isdigit():
            raise BadInput("A prefix is digits, without +.", field="prefix")
    for row in rows:
        Rate.objects.filter(
            customer_id=price_list.customer_id,
            price_list_id=price_list.id,
            channel=row.channel,
            direction=row.direction,
            prefix=row.prefix,
            valid_until=None,
            valid_from__lt=valid_from,
        ).update(valid_until=valid_from)
    Rate.objects.bulk_create(
        Rate(
            customer_id=price_list.customer_id,
            id=rate_id,
            price_list_id=price_list.id,
            channel=row.channel,
            direction=row.direction,
            prefix=row.prefix,
            country=row.country,
            price_micros=row.price_micros,
            fee_micros=row.fee_micros,
            valid_from=valid_from,
        )
        for rate_id, row in zip(calls.next_ids(len(rows)), rows, strict=True)
    )
    events.record(
        "price_list.changed",
        customer_id=price_list.customer_id,
        subject_id=price_list.id,
        now=now,
        actor=actor,
        data={"rates": len(rows)},
    )
    queries.forget()
    return len(rows)


def set_packs(
    *, price_list: PriceList, currency: str, tiers: Sequence[Tier], valid_from: datetime, now: datetime, actor: str
) -> None:
    """Let the credits of this list cost so much from `valid_from` on, in this currency; what they cost before ends then.

    The caller holds the scope. Raises BadInput: also for a list in money, whose credit is bought one to one.
    """
    if price_list.currency not in CREDITS:
        raise BadInput(f"The list {price_list.name} is in {price_list.currency}.", field="plan", remedy="Its credit is money.")
    if currency not in MINOR_DIGITS:
        raise BadInput("That is no currency.", field="currency", remedy="Write its three letters, such as USD.")
    for tier, id_ in zip(checked := check_tiers(tiers), calls.next_ids(len(tiers)), strict=True):
        Pack(
            customer_id=price_list.customer_id,
            id=id_,
            price_list_id=price_list.id,
            currency=currency,
            quantity=tier.quantity,
            price_micros=tier.price_micros,
            valid_from=valid_from,
        ).save(force_insert=True)
    events.record(
        "price_list.changed",
        customer_id=price_list.customer_id,
        subject_id=price_list.id,
        now=now,
        actor=actor,
        data={"packs": len(checked), "currency": currency},
    )
