"""Guaranteed quotes: the exact price of a list before it is sent, and sending it at that price."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from postmeter.api.batches import LARGEST, Rows, SentBatch, sent_batch
from postmeter.api.idempotency import once
from postmeter.api.messages import Amount, ChannelName, MediaIds, Subject, body_of
from postmeter.api.operation import Call, Reply, operation
from postmeter.api.paging import Cursor, page, position_of
from postmeter.api.reading import id_in
from postmeter.api.wallets import wallet_of
from postmeter.customers.permissions import READ_MESSAGES, SEND
from postmeter.db.public_ids import public_ids
from postmeter.guard import operations as guard
from postmeter.kit.money import decimal_string
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.messaging import models, queries
from postmeter.messaging.operations import quote as quotes
from postmeter.messaging.operations.accept import Accepted, KeyReused, NotCoveredList
from postmeter.messaging.operations.payers import MessagingOff


class NewQuote(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A list to price. Numbers may be written as people write them; those of the customer's country need no country code."""

    messages: Rows
    channel: ChannelName = "sms"
    subject: Subject = None
    media: MediaIds = []


class NewSending(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How to send a quote."""

    whole: Annotated[bool, Meta(description="All or nothing when the credit is short.")] = True


class Quote(msgspec.Struct, kw_only=True):
    """A price that holds until `valid_until`, whatever the price list says by then."""

    id: Annotated[str, Meta(examples=["QU0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
    recipients: Annotated[int, Meta(description="How many would get a message.")]
    excluded: Annotated[int, Meta(description="How many would not; the items say why.")]
    segments: int
    price: Amount
    fee: Amount
    total: Amount
    unit: str
    created_at: datetime
    valid_until: datetime
    batch: Annotated[str | None, Meta(description="What it was sent as.")]


class QuoteItem(msgspec.Struct, kw_only=True):
    """One row of a quote."""

    position: int
    given: str
    to: str | None
    encoding: str | None
    segments: int
    price: Amount
    fee: Amount
    forced_by: Annotated[str | None, Meta(description="The characters that made it UCS-2.")]
    cheaper: Annotated[str | None, Meta(description="The same words in fewer segments.")]
    cheaper_segments: int | None
    excluded: Annotated[str | None, Meta(description="A code, if it is left out.")]
    why: str | None


class QuoteItemPage(msgspec.Struct, kw_only=True):
    """A quote's rows, in the list's order."""

    data: list[QuoteItem]
    next_cursor: str | None


class QuoteItemQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which rows."""

    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    excluded: Annotated[bool | None, Meta(description="Only those that are left out, or only those that go.")] = None


@operation(
    "POST",
    "/v1/quotes",
    scope=SEND,
    summary="Price a list",
    body=NewQuote,
    answer=Quote,
    status=201,
    refusals=(BadInput, KeyReused, MessagingOff, guard.SendingStopped),
    largest=LARGEST,
    is_list=True,
)
def create_quote(call: Call[NewQuote, None]) -> object:
    """Measures and prices each text and guarantees the sum. Nothing is held or sent."""
    body = call.body
    wanted = [quotes.Wanted(row.to, body_of(body.channel, body.subject, row.text)) for row in body.messages]
    files = [id_in(each, "ME", "media") for each in body.media]

    def make() -> int:
        return quotes.make(
            customer_id=call.customer_id,
            wanted=wanted,
            actor=call.caller.actor,
            now=call.now,
            mode=call.caller.mode,
            channel=body.channel,
            media_ids=files,
        ).id

    quote_id, known = once(call, make)
    found = queries.quote(customer_id=call.customer_id, quote_id=quote_id)
    return Reply(_shape(found), {"Idempotent-Replayed": "true"} if known else {})


@operation("GET", "/v1/quotes/{id}", of="QU", scope=READ_MESSAGES, summary="One quote", answer=Quote, refusals=(NotFound,))
def get_quote(call: Call[None, None]) -> Quote:
    """Its sum, how long it holds, and what it was sent as."""
    return _shape(_quote(call))


@operation(
    "GET",
    "/v1/quotes/{id}/items",
    of="QU",
    scope=READ_MESSAGES,
    summary="A quote's rows",
    query=QuoteItemQuery,
    answer=QuoteItemPage,
    refusals=(NotFound, BadInput),
)
def list_quote_items(call: Call[None, QuoteItemQuery]) -> QuoteItemPage:
    """Per recipient: encoding, segments, price, what forced UCS-2 and a cheaper spelling; who is left out, and why."""
    _quote(call)
    # Positions count from 0 and cursors from 1.
    after = (position_of(call.query.cursor, "qi") or 0) - 1
    rows = queries.quote_items(
        customer_id=call.customer_id, quote_id=call.id, excluded=call.query.excluded, after=after, at_most=call.query.limit + 1
    )
    shown, cursor = page(rows, call.query.limit, "qi", lambda row: row.position + 1)
    return QuoteItemPage(data=[_item(row) for row in shown], next_cursor=cursor)


@operation(
    "POST",
    "/v1/quotes/{id}/sending",
    of="QU",
    scope=SEND,
    summary="Send a quote",
    body=NewSending,
    answer=SentBatch,
    status=202,
    refusals=(BadInput, NotFound, NotCoveredList, quotes.QuoteExpired, KeyReused, MessagingOff, *guard.REFUSALS),
    is_list=True,
)
def send_quote(call: Call[NewSending, None]) -> object:
    """Sends the rows that are not left out, at the quoted price. A quote is sent once: a repeat answers the same batch."""
    _quote(call)

    accepted: Accepted | None = None

    def send() -> int:
        nonlocal accepted
        accepted = quotes.send(
            customer_id=call.customer_id,
            quote_id=call.id,
            actor=call.caller.actor,
            now=call.now,
            mode=call.caller.mode,
            whole=call.body.whole,
        )
        return call.id

    if once(call, send)[1]:
        send()  # the quote knows what it was sent as
    assert accepted is not None
    return sent_batch(accepted)


def _quote(call: Call[Any, Any]) -> models.Quote:
    found = queries.quote(customer_id=call.customer_id, quote_id=call.id)
    wallet_of(call, found.wallet_id)
    return found


def _shape(row: models.Quote) -> Quote:
    ids = public_ids()
    return Quote(
        id=ids.encode("QU", row.id),
        recipients=row.recipients,
        excluded=row.excluded,
        segments=row.segments,
        price=decimal_string(row.price_micros),
        fee=decimal_string(row.fee_micros),
        total=decimal_string(row.total_micros),
        unit=row.unit,
        created_at=row.created_at,
        valid_until=row.valid_until,
        batch=ids.encode("BA", row.batch_id) if row.batch_id else None,
    )


def _item(row: models.QuoteItem) -> QuoteItem:
    return QuoteItem(
        position=row.position,
        given=row.given,
        to=row.recipient or None,
        encoding=row.encoding or None,
        segments=row.segments,
        price=decimal_string(row.price_micros),
        fee=decimal_string(row.fee_micros),
        forced_by=row.forced_by or None,
        cheaper=row.cheaper or None,
        cheaper_segments=row.cheaper_segments or None,
        excluded=row.excluded_code or None,
        why=row.excluded_text or None,
    )
