"""The prices that hold for the customer."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from postmeter.api.messages import Amount
from postmeter.api.operation import Call, operation
from postmeter.customers import queries as customers
from postmeter.customers.permissions import READ_PRICES
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import decimal_string
from postmeter.kit.refusals import NotFound
from postmeter.rating import models, queries


class PriceList(msgspec.Struct, kw_only=True):
    """A price list. `payable` says which ends without delivery are paid for: by state, or state and class of error."""

    id: Annotated[str, Meta(examples=["PL0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
    name: str
    currency: str
    payable: dict[str, bool]


class PriceListList(msgspec.Struct, kw_only=True):
    """The list that holds for the customer: its own, or its plan's."""

    data: list[PriceList]


class RateQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which rates."""

    channel: Literal["sms", "mms", "fax", "voice", "email"] = "sms"
    direction: Annotated[
        Literal["out", "in", "hand"],
        Meta(description="hand: what members send themselves, where it has prices of its own."),
    ] = "out"


class Rate(msgspec.Struct, kw_only=True):
    """The price of one unit (a segment, a page, an increment) to the numbers that begin with `prefix`."""

    prefix: str
    country: str
    price: Amount
    fee: Annotated[str, Meta(description="The carriers' fee per unit, passed on as it is.")]


class PriceListRates(msgspec.Struct, kw_only=True):
    """A price list with its rates in force now."""

    price_list: PriceList
    channel: str
    direction: str
    data: list[Rate]


@operation("GET", "/v1/price-lists", scope=READ_PRICES, summary="List price lists", answer=PriceListList, refusals=(NotFound,))
def list_price_lists(call: Call[None, None]) -> PriceListList:
    """What you pay by."""
    return PriceListList(data=[_shape(_own(call.customer_id))])


@operation(
    "GET",
    "/v1/price-lists/{id}",
    of="PL",
    scope=READ_PRICES,
    summary="A price list's rates",
    query=RateQuery,
    answer=PriceListRates,
    refusals=(NotFound,),
)
def get_price_list(call: Call[None, RateQuery]) -> PriceListRates:
    """The rates of one channel and direction that are in force now."""
    found = _own(call.customer_id)
    if found.id != call.id:
        raise NotFound("There is no such price list.")
    rows = queries.rates(
        customer_id=call.customer_id, price_list=found, channel=call.query.channel, direction=call.query.direction, now=call.now
    )
    return PriceListRates(
        price_list=_shape(found),
        channel=call.query.channel,
        direction=call.query.direction,
        data=[
            Rate(
                prefix=row.prefix, country=row.country, price=decimal_string(row.price_micros), fee=decimal_string(row.fee_micros)
            )
            for row in rows
        ],
    )


def _own(customer_id: int) -> models.PriceList:
    plan = customers.customer(customer_id=customer_id).plan
    return queries.price_list_of(customer_id=customer_id, plan=plan)


def _shape(row: models.PriceList) -> PriceList:
    return PriceList(id=public_ids().encode("PL", row.id), name=row.name, currency=row.currency, payable=row.payable)
