"""Saved payment methods: their order, and whether they may be charged automatically. Cards are added and removed by people, on
the gateway's own page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from postmeter.api.operation import Call, operation
from postmeter.customers.permissions import BUY
from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.payments import models, operations, queries
from postmeter.payments.health import health
from postmeter.payments.reasons import words_of


class PaymentMethod(msgspec.Struct, kw_only=True):
    """A card, a bank account or a PayPal account as far as we know it."""

    id: Annotated[str, Meta(examples=["PM0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
    kind: Annotated[str, Meta(description="card, bank_debit or paypal")]
    brand: str
    label: Annotated[str, Meta(description="The account's name where there are no digits: a PayPal address, a bank.")]
    last4: Annotated[str, Meta(description="Empty for a PayPal account.")]
    expires_year: Annotated[int, Meta(description="9999 for what does not expire.")]
    expires_month: int
    has_expired: bool
    order: Annotated[int, Meta(description="The place among all methods; 1 is tried first. Failures never change it.")]
    auto_charge: Annotated[bool, Meta(description="May it be charged automatically?")]
    primary: Annotated[
        bool, Meta(description="Charged first for everything automatic: the first that is switched on and well. At most one.")
    ]
    health: Annotated[
        str,
        Meta(
            description="well; cooling: comes back by itself, see cooling_until; needs_person: a payment made with it by hand "
            "restores it; expired. Only a method that is well is charged automatically."
        ),
    ]
    cooling_until: datetime | None
    failure_code: Annotated[str | None, Meta(description="Why its latest payment failed; null once money came.")]
    failure: Annotated[str | None, Meta(description="The same in plain words.")]
    failed_at: datetime | None
    created_at: datetime


class PaymentMethodList(msgspec.Struct, kw_only=True):
    """Saved payment methods, in the order in which they are tried."""

    data: list[PaymentMethod]


class MethodChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What may be changed of a payment method."""

    auto_charge: Annotated[bool, Meta(description="May it be charged automatically?")]


class MethodOrder(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """All payment methods, the one to be tried first at the top."""

    order: Annotated[
        list[Annotated[str, Meta(max_length=64, examples=["PM0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]],
        Meta(description="Names each payment method exactly once.", max_length=100),
    ]


@operation("GET", "/v1/payment-methods", scope=BUY, summary="List payment methods", answer=PaymentMethodList, live_only=True)
def list_payment_methods(call: Call[None, None]) -> PaymentMethodList:
    """Brand, last four digits, expiry, order and health; nobody here has the number."""
    return _shape(queries.methods(customer_id=call.customer_id), call.now)


@operation(
    "PUT",
    "/v1/payment-methods/order",
    scope=BUY,
    summary="Give payment methods an order",
    body=MethodOrder,
    answer=PaymentMethodList,
    live_only=True,
    refusals=(BadInput,),
)
def order_payment_methods(call: Call[MethodOrder, None]) -> PaymentMethodList:
    """The list must name each method exactly once: then nobody's new card is put last by chance."""
    ids = [_id_of(each) for each in call.body.order]
    rows = operations.reorder(customer_id=call.customer_id, method_ids=ids, now=call.now, actor=call.caller.actor)
    return _shape(rows, call.now)


@operation(
    "PATCH",
    "/v1/payment-methods/{id}",
    of="PM",
    scope=BUY,
    summary="Switch automatic charging of a payment method",
    body=MethodChange,
    answer=PaymentMethod,
    live_only=True,
    refusals=(BadInput, NotFound),
)
def change_payment_method(call: Call[MethodChange, None]) -> PaymentMethod:
    """A method that cools or needs a person stays so: switching is not healing."""
    changed = operations.set_auto_charge(
        customer_id=call.customer_id, method_id=call.id, on=call.body.auto_charge, now=call.now, actor=call.caller.actor
    )
    rows = queries.methods(customer_id=call.customer_id)
    return next(shown for row, shown in zip(rows, _shape(rows, call.now).data, strict=True) if row.id == changed.id)


def _id_of(text: str) -> int:
    try:
        return public_ids().decode("PM", text)
    except NotFound:
        raise BadInput(
            f"{text[:64]!a} is no payment method.", field="order", remedy="Use the ids that the API gave you."
        ) from None


def _shape(rows: Sequence[models.PaymentMethod], now: datetime) -> PaymentMethodList:
    first = queries.primary(rows, now=now)
    return PaymentMethodList(data=[_one(row, order, row is first, now) for order, row in enumerate(rows, start=1)])


def _one(row: models.PaymentMethod, order: int, primary: bool, now: datetime) -> PaymentMethod:
    state = health(row, now=now)
    return PaymentMethod(
        id=public_ids().encode("PM", row.id),
        kind=row.kind,
        brand=row.brand,
        label=row.label,
        last4=row.last4,
        expires_year=row.expires_year,
        expires_month=row.expires_month,
        has_expired=queries.has_expired(row, now=now),
        order=order,
        auto_charge=row.auto_charge,
        primary=primary,
        health=state,
        cooling_until=row.cooling_until if state == "cooling" else None,
        failure_code=row.failure_code or None,
        failure=words_of(row.failure_code) if row.failure_code else None,
        failed_at=row.failed_at,
        created_at=row.created_at,
    )
