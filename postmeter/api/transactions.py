"""A wallet's statement: opening + movements = closing."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from postmeter.api.messages import Amount
from postmeter.api.operation import Call, operation
from postmeter.api.paging import Cursor, Limit, page, position_of
from postmeter.api.reading import Instant, instant
from postmeter.api.wallets import wallet_of
from postmeter.customers.permissions import READ_BALANCE
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import decimal_string
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.ledger.queries import Line
from postmeter.statements.queries import INCOMING, OUTGOING
from postmeter.wallets import queries

DEFAULT_SPAN = timedelta(days=30)
_SUBJECTS = dict.fromkeys(OUTGOING, "SM") | dict.fromkeys(INCOMING, "MI") | {"top_up": "TU"}


class StatementQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which part of the statement: from `since` on, before `until`."""

    cursor: Cursor | None = None
    limit: Limit = 50
    since: Annotated[Instant | None, Meta(description="The 30 days before `until` unless given.")] = None
    until: Annotated[Instant | None, Meta(description="Now unless given.")] = None


class Transaction(msgspec.Struct, kw_only=True):
    """One movement of the wallet's money."""

    id: str
    at: datetime
    code: Annotated[str, Meta(description="sms, mms, voice, fax, sms_in, refund, top_up, adjustment, …")]
    amount: Annotated[str, Meta(description="Signed: what came in is positive.", examples=["-0.0114"])]
    balance: Annotated[str, Meta(description="Posted balance after it.")]
    subject: Annotated[str | None, Meta(description="The message, received text or top-up that it is about.")]


class StatementPage(msgspec.Struct, kw_only=True):
    """A page of a statement, the oldest first. Opening and closing are the whole span's, not the page's."""

    since: datetime
    until: datetime
    opening: Amount
    closing: Amount
    unit: str
    data: list[Transaction]
    next_cursor: str | None


@operation(
    "GET",
    "/v1/wallets/{id}/transactions",
    of="WA",
    scope=READ_BALANCE,
    summary="A wallet's statement",
    query=StatementQuery,
    answer=StatementPage,
    refusals=(NotFound, BadInput),
)
def list_transactions(call: Call[None, StatementQuery]) -> StatementPage:
    """Charges, refunds and top-ups with the running balance. Repeat `since` and `until` of the answer with its cursor."""
    wallet = wallet_of(call, call.id)
    until = instant(call.query.until, "until") if call.query.until is not None else call.now
    since = instant(call.query.since, "since") if call.query.since is not None else until - DEFAULT_SPAN
    if since > until:
        raise BadInput("This is after the end.", field="since", remedy="Use a time before `until`.")
    found = queries.statement_page(
        customer_id=call.customer_id,
        wallet=wallet,
        since=since,
        until=until,
        after_id=position_of(call.query.cursor, "le"),
        at_most=call.query.limit + 1,
    )
    shown, cursor = page(found.lines, call.query.limit, "le", lambda line: line.id)
    return StatementPage(
        since=since,
        until=until,
        opening=decimal_string(found.opening_micros),
        closing=decimal_string(found.closing_micros),
        unit=wallet.unit,
        data=[_shape(line) for line in shown],
        next_cursor=cursor,
    )


def _shape(line: Line) -> Transaction:
    prefix = _SUBJECTS.get(line.code)
    return Transaction(
        id=public_ids().encode("LE", line.id),
        at=line.at,
        code=line.code,
        amount=decimal_string(line.amount_micros),
        balance=decimal_string(line.balance_micros),
        subject=public_ids().encode(prefix, line.ref_id) if prefix else None,
    )
