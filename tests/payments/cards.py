"""Saved cards and what becomes of charges on them, without a gateway."""

import json
from datetime import datetime

from postmeter.db import calls, scope
from postmeter.kit.money import MICROS
from postmeter.payments import operations, queries
from postmeter.payments.gateways import Outcome
from postmeter.payments.models import Payment, PaymentMethod
from postmeter.payments.states import PaymentState
from tests.cast import Clinic, at


def a_card(clinic: Clinic, *, auto_charge: bool = True, expires: tuple[int, int] = (2060, 12)) -> PaymentMethod:
    """A card of this clinic, last in the order."""
    with scope.customer(clinic.id):
        method = PaymentMethod(
            customer_id=clinic.id,
            id=calls.next_id(),
            gateway="stripe",
            token=f"pm_{calls.next_id()}",
            brand="visa",
            last4="4242",
            expires_year=expires[0],
            expires_month=expires[1],
            position=len(queries.methods(customer_id=clinic.id)) + 1,
            auto_charge=auto_charge,
            created_at=at(),
        )
        method.save(force_insert=True)
    return method


def intent(clinic: Clinic, method: PaymentMethod, *, actor: str = "system", now: datetime | None = None) -> Payment:
    """A payment that is under way. It buys nothing, so that the books of other tests do not look for its credit."""
    return operations.create(
        customer_id=clinic.id,
        method=method,
        purpose="trial",
        subject_id=calls.next_id(),
        amount_micros=20 * MICROS,
        currency="USD",
        actor=actor,
        now=now or at(),
    )


def told(payment: Payment, state: PaymentState, code: str = "", *, now: datetime | None = None) -> bool:
    """The gateway's word about a payment. Says whether it moved."""
    outcome = Outcome(state, ref=f"pi_{payment.id}", code=code, text=code, amount_minor=2_000, currency="USD")
    return operations.apply(customer_id=payment.customer_id, payment_id=payment.id, outcome=outcome, now=now or at())[1]


def attempt(
    clinic: Clinic,
    method: PaymentMethod,
    state: PaymentState,
    code: str = "",
    *,
    actor: str = "system",
    now: datetime | None = None,
) -> Payment:
    """A payment and its end."""
    payment = intent(clinic, method, actor=actor, now=now)
    assert told(payment, state, code, now=now)
    return payment


def look(method: PaymentMethod) -> PaymentMethod:
    """The method as it is in the database now."""
    return queries.methods_named(customer_id=method.customer_id, method_ids=[method.id])[method.id]


def facts(clinic: Clinic, kind: str) -> list[tuple[str, dict[str, object]]]:
    """Actor and data of each fact of this kind, in order."""
    with scope.customer(clinic.id):
        rows = calls.rows(
            "SELECT actor, data FROM events_event WHERE customer_id = %s AND kind = %s ORDER BY id", [clinic.id, kind]
        )
    return [(actor, json.loads(data)) for actor, data in rows]
