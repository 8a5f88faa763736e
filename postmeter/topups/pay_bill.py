"""Paying a bill by card: a purchase that adds no credit, by the same steps as any other."""

from datetime import datetime
from uuid import NAMESPACE_OID, uuid5

from postmeter.db.scope import scoped
from postmeter.kit.crash import crash_point
from postmeter.topups import bills, operations
from postmeter.topups.models import Bill, TopUp
from postmeter.topups.operations import Purchase


def pay(*, customer_id: int, bill_id: int, method_id: int, actor: str, now: datetime) -> Purchase:
    """Charge a card with a bill. However often it is pressed it is one payment; one that failed may be made again.

    Raises NotFound, NotOpen, MethodUnusable.
    """
    top_up = _intend(customer_id=customer_id, bill_id=bill_id, method_id=method_id, actor=actor, now=now)
    crash_point("topups.intent_written")
    return operations.charge(customer_id=customer_id, top_up_id=top_up.id, now=now)


@scoped
def _intend(*, customer_id: int, bill_id: int, method_id: int, actor: str, now: datetime) -> TopUp:
    bill = Bill.objects.select_for_update().filter(customer_id=customer_id, id=bill_id).first()  # presses wait for each other
    bill = bill or bills.bill(customer_id=customer_id, bill_id=bill_id)  # which says that there is none
    attempts = list(TopUp.objects.filter(customer_id=customer_id, bill_id=bill_id).order_by("id"))
    if bill.state != "open" and not (attempts and attempts[-1].state == "succeeded"):
        raise bills.NotOpen("This bill is settled already.", field="bill", remedy="Nothing is to be done.")
    under_way = next((row for row in attempts if row.state != "failed"), None)
    if under_way:
        return under_way
    return operations.intend(
        customer_id=customer_id,
        wallet_id=bill.wallet_id,
        method_id=method_id,
        amount_micros=bill.amount_micros,
        key=uuid5(NAMESPACE_OID, f"bill {bill.id}, attempt {len(attempts)}"),
        actor=actor,
        now=now,
        bill_id=bill.id,
    )
