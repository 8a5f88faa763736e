"""Saved payment methods. They are added and removed by people, on the gateway's own page."""

from datetime import datetime

import msgspec

from postmeter.api.operation import Call, operation
from postmeter.customers.permissions import BUY
from postmeter.db.public_ids import public_ids
from postmeter.payments import queries


class PaymentMethod(msgspec.Struct, kw_only=True):
    """A card as far as we know it."""

    id: str
    kind: str
    brand: str
    last4: str
    expires_year: int
    expires_month: int
    has_expired: bool
    auto_charge: bool
    created_at: datetime


class PaymentMethodList(msgspec.Struct, kw_only=True):
    """Saved payment methods, in the order in which they are tried."""

    data: list[PaymentMethod]


@operation("GET", "/v1/payment-methods", scope=BUY, summary="List payment methods", answer=PaymentMethodList, live_only=True)
def list_payment_methods(call: Call[None, None]) -> PaymentMethodList:
    """Brand, last four digits and expiry; nobody here has the number."""
    rows = queries.methods(customer_id=call.customer_id)
    return PaymentMethodList(
        data=[
            PaymentMethod(
                id=public_ids().encode("PM", row.id),
                kind=row.kind,
                brand=row.brand,
                last4=row.last4,
                expires_year=row.expires_year,
                expires_month=row.expires_month,
                has_expired=queries.has_expired(row, now=call.now),
                auto_charge=row.auto_charge,
                created_at=row.created_at,
            )
            for row in rows
        ]
    )
