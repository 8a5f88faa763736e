"""Months of a wallet, as they were closed."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from postmeter.api.messages import Amount
from postmeter.api.operation import Call, operation
from postmeter.api.wallets import wallet_of
from postmeter.customers.permissions import READ_BALANCE
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import decimal_string
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.statements import months, queries

Signed = Annotated[str, Meta(description="Signed: what came in is positive.", examples=["-12.5"])]


class StatementGroup(msgspec.Struct, kw_only=True):
    """Everything of one kind in the month."""

    code: Annotated[str, Meta(description="sms, refund, top_up, adjustment, …")]
    count: int
    amount: Signed


class StatementDay(msgspec.Struct, kw_only=True):
    """What moved the balance on one day for one reason, with the balance after it."""

    day: date
    code: str
    count: int
    amount: Signed
    balance: Amount


class MonthlyStatement(msgspec.Struct, kw_only=True):
    """opening + groups = opening + days = closing. Each movement: `/v1/wallets/{id}/transactions` from `since` to `until`."""

    wallet: str
    month: str
    unit: str
    time_zone: str
    since: datetime
    until: datetime
    opening: Amount
    closing: Amount
    movements: int
    groups: list[StatementGroup]
    days: list[StatementDay]
    closed_at: Annotated[datetime | None, Meta(description="None while the month is open.")]
    sha256: Annotated[str | None, Meta(description="Of the closed month's CSV file, as it was mailed at close.")]


@operation(
    "GET",
    "/v1/wallets/{id}/statements/{month}",
    of="WA",
    parts={"month": r"20[0-9]{2}-(0[1-9]|1[0-2])"},
    scope=READ_BALANCE,
    summary="A month of a wallet",
    answer=MonthlyStatement,
    refusals=(NotFound, BadInput),
)
def get_statement(call: Call[None, None]) -> MonthlyStatement:
    """A calendar month such as 2026-11 in the customer's time zone, recomputed from the ledger."""
    wallet = wallet_of(call, call.id)
    month = months.read(call.parts["month"])
    found = queries.month(customer_id=call.customer_id, wallet_id=wallet.id, month=month, now=call.now)
    return MonthlyStatement(
        wallet=public_ids().encode("WA", wallet.id),
        month=months.written(found.month),
        unit=wallet.unit,
        time_zone=found.time_zone,
        since=found.since,
        until=found.until,
        opening=decimal_string(found.opening_micros),
        closing=decimal_string(found.closing_micros),
        movements=found.movements,
        groups=[
            StatementGroup(code=each.code, count=each.count, amount=decimal_string(each.amount_micros)) for each in found.groups
        ],
        days=[
            StatementDay(
                day=each.day,
                code=each.code,
                count=each.count,
                amount=decimal_string(each.amount_micros),
                balance=decimal_string(each.balance_micros),
            )
            for each in found.days
        ],
        closed_at=found.closed.closed_at if found.closed else None,
        sha256=found.closed.sha256 if found.closed else None,
    )
