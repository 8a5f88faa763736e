"""Reads of prices: which list holds for whom, and when."""

import time
from dataclasses import dataclass
from datetime import datetime

from postmeter.db import scope
from postmeter.db.scope import EVERYBODY, scoped
from postmeter.kit.refusals import NotFound
from postmeter.rating.models import Pack, PriceList, Rate
from postmeter.rating.packs import Packs, Tier
from postmeter.rating.price import ANY, PROVIDER_ACCEPTED, PayablePolicy, RateTable
from postmeter.rating.price import Rate as PureRate

CACHE_SECONDS = 5.0
BY_HAND = "hand"  # a direction: what members send themselves, where a plan includes it or prices it differently (S-083)
_cache: dict[tuple[int, str, str, str], tuple[float, "Prices"]] = {}


@dataclass(frozen=True, slots=True)
class Prices:
    """One list's rates for a channel and direction at one time, ready to price with."""

    price_list_id: int
    name: str
    currency: str
    table: RateTable
    policy: PayablePolicy


@scoped
def prices(*, customer_id: int, plan: str, channel: str, direction: str, now: datetime) -> Prices:
    """The customer's own list, else its plan's. Raises NotFound when there is none.

    Kept for five seconds in the process: prices change by date, and what a message is charged is what its answer said.
    """
    key = (customer_id, plan, channel, direction)
    cached = _cache.get(key)
    if cached and time.monotonic() - cached[0] < CACHE_SECONDS:
        return cached[1]
    price_list = price_list_of(customer_id=customer_id, plan=plan)
    table = RateTable(_pure(customer_id, price_list, channel, "out" if direction == BY_HAND else direction, now))
    if direction == BY_HAND:
        table = RateTable(_pure(customer_id, price_list, channel, BY_HAND, now), otherwise=table)
    found = Prices(price_list.id, price_list.name, price_list.currency, table, _policy(price_list))
    _cache[key] = (time.monotonic(), found)
    return found


def _pure(customer_id: int, price_list: PriceList, channel: str, direction: str, now: datetime) -> list[PureRate]:
    rows = rates(customer_id=customer_id, price_list=price_list, channel=channel, direction=direction, now=now)
    return [PureRate(row.prefix, row.country, row.price_micros, row.fee_micros) for row in rows]


def forget() -> None:
    """Drop what is kept in this process: after a price change, and between tests."""
    _cache.clear()


def plan_list(*, plan: str) -> PriceList | None:
    """The list of a plan, for operators; the caller holds the scope."""
    return PriceList.objects.filter(customer_id=EVERYBODY, plan=plan).order_by("-id").first()


def plan_lists() -> list[PriceList]:
    """The lists of all plans, by name. Only who may see every customer."""
    with scope.every_customer():
        return list(PriceList.objects.filter(customer_id=EVERYBODY).order_by("plan", "id"))


@scoped
def own_list(*, customer_id: int) -> PriceList | None:
    """The customer's own list, or None where its plan's holds."""
    return PriceList.objects.filter(customer_id=customer_id).order_by("-id").first()


@scoped
def price_list_of(*, customer_id: int, plan: str) -> PriceList:
    found = own_list(customer_id=customer_id) or plan_list(plan=plan)
    if found is None:
        raise NotFound("There is no price list for this plan.", remedy="Ask your account manager.")
    return found


@scoped
def price_list(*, customer_id: int, price_list_id: int) -> PriceList:
    found = PriceList.objects.filter(customer_id__in=[EVERYBODY, customer_id], id=price_list_id).first()
    if found is None:
        raise NotFound("There is no such price list.")
    return found


@scoped
def rates(*, customer_id: int, price_list: PriceList, channel: str, direction: str, now: datetime) -> list[Rate]:
    """The rates in force at `now`, by country and prefix."""
    rows = Rate.objects.filter(
        customer_id=price_list.customer_id, price_list_id=price_list.id, channel=channel, direction=direction, valid_from__lte=now
    ).exclude(valid_until__lte=now)
    return list(rows.order_by("country", "prefix"))


@scoped
def packs(*, customer_id: int, price_list: PriceList, currency: str, now: datetime) -> Packs:
    """What credits counted in messages cost now. Raises NotFound where they are not sold in this currency."""
    found = Pack.objects.filter(
        customer_id=price_list.customer_id, price_list_id=price_list.id, currency=currency, valid_from__lte=now
    )
    rows = list(found.order_by("-valid_from", "quantity"))
    newest = [row for row in rows if row.valid_from == rows[0].valid_from]
    if not newest:
        raise NotFound(f"These credits are not sold in {currency}.", field="amount", remedy="Ask your account manager.")
    return Packs(currency, tuple(Tier(row.quantity, row.price_micros) for row in newest))


def plan_packs(*, plan: str, now: datetime) -> list[Packs]:
    """The pack prices of a plan that hold now, by currency. Only who may see every customer."""
    with scope.every_customer():
        price_list = plan_list(plan=plan)
        if price_list is None:
            return []
        rows = Pack.objects.filter(customer_id=EVERYBODY, price_list_id=price_list.id, valid_from__lte=now)
        currencies = sorted(set(rows.values_list("currency", flat=True)))
        return [packs(customer_id=EVERYBODY, price_list=price_list, currency=each, now=now) for each in currencies]


@scoped
def policy(*, customer_id: int, price_list_id: int) -> PayablePolicy:
    """What a list says about messages that end without delivery."""
    return _policy(price_list(customer_id=customer_id, price_list_id=price_list_id))


def _policy(price_list: PriceList) -> PayablePolicy:
    """The list's own words, "status" or "status:class of error", over what holds without them (A-50)."""
    own = {}
    for key, payable in price_list.payable.items():
        status, _, error = key.partition(":")
        own[status, error or ANY] = bool(payable)
    return PayablePolicy({**PROVIDER_ACCEPTED, **own})
