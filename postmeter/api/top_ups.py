"""Buying credit with a saved payment method."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from postmeter.api.messages import Amount
from postmeter.api.operation import Call, operation
from postmeter.api.paging import PageQuery, page, position_of
from postmeter.api.reading import id_in
from postmeter.customers.permissions import BUY, READ_INVOICES
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import decimal_string, parse_decimal_string
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from postmeter.payments import queries as payments
from postmeter.payments.operations import MethodUnusable
from postmeter.topups import models, operations, queries, retry
from postmeter.topups.price import PriceChanged
from postmeter.topups.retry import AlreadyFull, NotFailed


class NewTopUp(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A purchase of credit."""

    wallet: Annotated[str, Meta(max_length=64, examples=["WA0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
    payment_method: Annotated[str, Meta(max_length=64, examples=["PM0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
    amount: Annotated[
        str,
        Meta(
            description="A decimal string in the wallet's unit, of a price of 10 at least: 25.00 where that is a currency, 500 where"
            " credit is counted in messages.",
            max_length=40,
            examples=["25.00"],
        ),
    ]
    price: Annotated[
        Annotated[str, Meta(max_length=40)] | None,
        Meta(description="The price that was agreed to: another one is refused (409 `price_changed`). null: whatever it is."),
    ] = None


class TopUp(msgspec.Struct, kw_only=True):
    """A purchase of credit. `pending` may last up to 48 hours; the credit is there when it has succeeded."""

    id: Annotated[str, Meta(examples=["TU0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
    wallet: str
    amount: Amount
    unit: str
    price: Annotated[str, Meta(description="What is charged for it, as a decimal string.", examples=["25"])]
    currency: str
    state: Annotated[str, Meta(description="pending, succeeded or failed")]
    payment_method: str
    payment_state: str
    action_url: Annotated[str | None, Meta(description="Where the bank wants to see the cardholder.")]
    failure_code: str | None
    failure: str | None
    invoice: str | None
    retry_of: Annotated[str | None, Meta(description="The failed one that this tries again.")]
    created_at: datetime
    credited_at: datetime | None


class NewRetry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How a failed purchase is tried again."""

    payment_method: Annotated[Annotated[str, Meta(max_length=64)] | None, Meta(description="null: the one that failed.")] = None
    charge_anyway: Annotated[bool, Meta(description="Also where credit has come meanwhile (409 `already_full`).")] = False


class TopUpPage(msgspec.Struct, kw_only=True):
    """Purchases, the newest first."""

    data: list[TopUp]
    next_cursor: str | None


@operation(
    "POST",
    "/v1/top-ups",
    scope=BUY,
    summary="Buy credit",
    body=NewTopUp,
    answer=TopUp,
    status=201,
    key_required=True,
    live_only=True,
    refusals=(BadInput, NotFound, MethodUnusable, Conflict, PriceChanged),
)
def create_top_up(call: Call[NewTopUp, None]) -> TopUp:
    """Charges a saved payment method. The Idempotency-Key is needed: the same key can never charge twice."""
    assert call.key is not None
    body = call.body
    method_id = id_in(body.payment_method, "PM", "payment_method")
    purchase = operations.buy(
        customer_id=call.customer_id,
        wallet_id=id_in(body.wallet, "WA", "wallet"),
        method_id=method_id,
        amount_micros=parse_decimal_string(body.amount, field="amount"),
        key=call.key.key,
        actor=call.caller.actor,
        now=call.now,
        agreed_micros=None if body.price is None else parse_decimal_string(body.price, field="price"),
    )
    shown = _shape(call.customer_id, purchase)
    if shown.payment_method != body.payment_method:
        raise Conflict(
            "This purchase was made with another payment method.",
            field="Idempotency-Key",
            remedy="Use a new key for a new purchase.",
        )
    return shown


@operation(
    "GET",
    "/v1/top-ups",
    scope=READ_INVOICES,
    summary="List purchases",
    query=PageQuery,
    answer=TopUpPage,
    live_only=True,
    refusals=(BadInput,),
)
def list_top_ups(call: Call[None, PageQuery]) -> TopUpPage:
    """The newest first."""
    before = position_of(call.query.cursor, "tu")
    rows = queries.top_ups(customer_id=call.customer_id, before=before, at_most=call.query.limit + 1)
    shown, cursor = page(rows, call.query.limit, "tu", _id_of)
    return TopUpPage(data=[_one(call.customer_id, row.id) for row in shown], next_cursor=cursor)


@operation(
    "GET",
    "/v1/top-ups/{id}",
    of="TU",
    scope=READ_INVOICES,
    summary="One purchase",
    answer=TopUp,
    live_only=True,
    refusals=(NotFound,),
)
def get_top_up(call: Call[None, None]) -> TopUp:
    """Where it stands, and its invoice once it has succeeded."""
    return _one(call.customer_id, call.id)


@operation(
    "POST",
    "/v1/top-ups/{id}/retry",
    of="TU",
    scope=BUY,
    summary="Try a failed purchase again",
    body=NewRetry,
    answer=TopUp,
    status=201,
    live_only=True,
    refusals=(BadInput, NotFound, MethodUnusable, Conflict, NotFailed, AlreadyFull),
)
def retry_top_up(call: Call[NewRetry, None]) -> TopUp:
    """Charges the same amount for the same wallet again. A failed purchase is tried again once, however often this is called:
    the answer is that purchase. A success restores the payment method and starts a paused automatic top-up again.
    """
    method = call.body.payment_method
    purchase = retry.retry(
        customer_id=call.customer_id,
        top_up_id=call.id,
        method_id=id_in(method, "PM", "payment_method") if method else None,
        charge_anyway=call.body.charge_anyway,
        actor=call.caller.actor,
        now=call.now,
    )
    return _shape(call.customer_id, purchase)


def _one(customer_id: int, top_up_id: int) -> TopUp:
    return _shape(customer_id, operations.purchase(customer_id=customer_id, top_up_id=top_up_id))


def _id_of(row: models.TopUp) -> int:
    return row.id


def _shape(customer_id: int, purchase: operations.Purchase) -> TopUp:
    ids, row = public_ids(), purchase.top_up
    payment = payments.payment(customer_id=customer_id, payment_id=row.payment_id)
    return TopUp(
        id=ids.encode("TU", row.id),
        wallet=ids.encode("WA", row.wallet_id),
        amount=decimal_string(row.amount_micros),
        unit=row.unit,
        price=decimal_string(payment.amount_micros),
        currency=payment.currency,
        state=row.state,
        payment_method=ids.encode("PM", payment.method_id),
        payment_state=purchase.payment_state,
        action_url=purchase.action_url or None,
        failure_code=purchase.failure_code or None,
        failure=purchase.failure_text or None,
        invoice=ids.encode("IN", row.invoice_id) if row.invoice_id else None,
        retry_of=ids.encode("TU", row.retry_of) if row.retry_of else None,
        created_at=row.created_at,
        credited_at=row.credited_at,
    )
