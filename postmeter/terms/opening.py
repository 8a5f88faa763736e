"""A customer is opened: with its wallets and the person who begins there, all or nothing."""

from datetime import datetime

from django.db import transaction

from postmeter.customers import operations as customers
from postmeter.customers.models import Customer, Role
from postmeter.db import scope
from postmeter.kit.refusals import BadInput
from postmeter.rating import queries as rating
from postmeter.wallets import operations as wallets


def open_customer(
    *,
    name: str,
    email: str,
    country: str,
    currency: str,
    unit: str,
    time_zone: str,
    sender: str,
    address: str,
    tax_id: str,
    plan: str,
    master_email: str,
    master_name: str,
    actor: str,
    now: datetime,
) -> Customer:
    """`unit`: what its credit is counted in, a named credit (S-154); empty: money, in its currency.

    Raises BadInput with its field, Conflict.
    """
    unit = unit or currency
    with transaction.atomic():
        found = customers.create_customer(
            name=name,
            email=email,
            country=country,
            currency=currency,
            time_zone=time_zone,
            sender=sender,
            address=address,
            tax_id=tax_id,
            plan=plan,
            now=now,
            actor=actor,
        )
        _refuse_another_unit(plan, unit)
        with scope.customer(found.id):
            wallets.open_first(customer_id=found.id, unit=unit, now=now)
            customers.add_member(
                customer_id=found.id, email=master_email, name=master_name, roles=[Role.MASTER], now=now, actor=actor
            )
    return found


def _refuse_another_unit(plan: str, unit: str) -> None:
    listed = next((each for each in rating.plan_lists() if each.plan == plan), None)
    if listed and listed.currency != unit:
        raise BadInput(
            f"The prices of the plan {plan} are in {listed.currency}, and this credit is in {unit}.",
            field="plan",
            remedy="Choose another plan, or import its prices first.",
        )
