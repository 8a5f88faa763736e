"""At which balances a wallet's customer is told, and how long its credit lasts."""

from datetime import date, datetime
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta

from postmeter.api.messages import Amount
from postmeter.api.operation import Call, operation
from postmeter.api.wallets import wallet_of
from postmeter.customers.permissions import BUY, READ_BALANCE
from postmeter.kit.money import decimal_string, parse_decimal_string
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.notifications import operations, queries
from postmeter.notifications.models import Alert as AlertRow
from postmeter.notifications.operations import Level
from postmeter.topups import queries as topups

Kind = Annotated[
    Literal["money", "days", "limit"],
    Meta(description="money: `level` is a balance. days: of credit at the usual pace. limit: percent of the overdraft used."),
]


class NewAlert(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A level as it shall be."""

    kind: Kind
    level: Annotated[
        str,
        Meta(description="A decimal string in the wallet's unit, or a whole number of days or percent.", max_length=40),
    ]


class NewAlerts(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """All levels of a wallet."""

    levels: Annotated[list[NewAlert], Meta(max_length=8)]


class Alert(msgspec.Struct, kw_only=True):
    """A level, and whether its customer has been told."""

    kind: Kind
    level: str
    told_at: Annotated[
        datetime | None, Meta(description="null: armed. Otherwise it is armed again once the balance is well above.")
    ]


class Alerts(msgspec.Struct, kw_only=True):
    """The levels of a wallet, the highest first."""

    data: list[Alert]


class ForecastDay(msgspec.Struct, kw_only=True):
    """What is likely left at the end of a day; `low` and `high` hold four of five outcomes."""

    day: date
    likely: Amount
    low: Amount
    high: Amount


class Runway(msgspec.Struct, kw_only=True):
    """When credit ends, from what is scheduled and what is usual by weekday. Every day is one of the customer's time zone."""

    ends_on: Annotated[date | None, Meta(description="null: not within 60 days, or nothing is known yet (then `days` is empty).")]
    earliest: date | None
    latest: date | None
    waiting: Annotated[int, Meta(description="Messages that wait for credit.")]
    first_lapses_at: datetime | None
    to_buy: Annotated[Amount, Meta(description="What to buy for credit to last thirty days; 0: nothing.")]
    unit: str
    days: list[ForecastDay]


@operation(
    "GET",
    "/v1/wallets/{id}/alerts",
    of="WA",
    scope=READ_BALANCE,
    summary="A wallet's alerts",
    answer=Alerts,
    live_only=True,
    refusals=(NotFound,),
)
def get_alerts(call: Call[None, None]) -> Alerts:
    """The levels at which a mail goes to the customer's address. An alert never charges anybody."""
    return _shape(queries.alerts(customer_id=call.customer_id, wallet_id=wallet_of(call, call.id).id))


@operation(
    "PUT",
    "/v1/wallets/{id}/alerts",
    of="WA",
    scope=BUY,
    summary="Set a wallet's alerts",
    body=NewAlerts,
    answer=Alerts,
    live_only=True,
    refusals=(BadInput, NotFound),
)
def put_alerts(call: Call[NewAlerts, None]) -> Alerts:
    """Sets all levels at once. Those that were there keep what they have told; a level that is passed already is told now."""
    rows = operations.set_alerts(
        customer_id=call.customer_id,
        wallet_id=wallet_of(call, call.id).id,
        levels=[_level(new) for new in call.body.levels],
        actor=call.caller.actor,
        now=call.now,
    )
    return _shape(rows)


@operation(
    "GET",
    "/v1/wallets/{id}/runway",
    of="WA",
    scope=READ_BALANCE,
    summary="How long a wallet's credit lasts",
    answer=Runway,
    live_only=True,
    refusals=(NotFound,),
)
def get_runway(call: Call[None, None]) -> Runway:
    """A forecast of sixty days with its range, and what to buy. Days without spending before the first one do not count."""
    wallet = wallet_of(call, call.id)
    figures = topups.figures(customer_id=call.customer_id, wallet=wallet)
    found = queries.runway(customer_id=call.customer_id, figures=figures, now=call.now)
    forecast = found.forecast
    return Runway(
        ends_on=forecast.ends_on if forecast else None,
        earliest=forecast.earliest if forecast else None,
        latest=forecast.latest if forecast else None,
        waiting=found.waiting,
        first_lapses_at=found.first_lapses_at,
        to_buy=decimal_string(found.to_buy_micros),
        unit=wallet.unit,
        days=[
            ForecastDay(
                day=day.day,
                likely=decimal_string(day.likely_micros),
                low=decimal_string(day.low_micros),
                high=decimal_string(day.high_micros),
            )
            for day in (forecast.days if forecast else ())
        ],
    )


def _level(new: NewAlert) -> Level:
    if new.kind == "money":
        return Level("money", parse_decimal_string(new.level, field="level"))
    if not (new.level.isascii() and new.level.isdecimal()):
        raise BadInput("That is no whole number.", field="level", remedy="Write it in digits.")
    return Level(new.kind, int(new.level))


def _shape(rows: list[AlertRow]) -> Alerts:
    return Alerts(
        data=[
            Alert(
                kind=cast(Kind, row.kind),
                level=decimal_string(row.level) if row.kind == "money" else str(row.level),
                told_at=row.told_at,
            )
            for row in rows
        ]
    )
