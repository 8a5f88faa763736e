"""What people are told of bills, limits, suspensions and decisions."""

from uuid import uuid4

from django.core import mail
from django.utils import timezone

from postmeter.customers.models import Role
from postmeter.db import scope
from postmeter.events.models import Event
from postmeter.kit.money import MICROS
from postmeter.notifications import mail as notices
from postmeter.notifications import queries, rounds
from postmeter.terms import adjustments, agreement, grants, requests
from postmeter.topups import bills
from tests.cast import Cast, Clinic, at
from tests.topups.test_bills import issued, overdrawn


def event(clinic: Clinic, kind: str) -> Event:
    with scope.customer(clinic.id):
        return Event.objects.filter(customer_id=clinic.id, kind=kind).latest("id")


def tell(clinic: Clinic, kind: str) -> str:
    """Hear the fact twice, as a relay may; the text of the one mail."""
    before = len(mail.outbox)
    for _ in range(2):
        hear = rounds.tell_of_bill if kind == "bill.issued" else rounds.tell_of_terms
        hear(event(clinic, kind), now=timezone.now())
    for notice in queries.notices(customer_id=clinic.id, at_most=50):
        notices.send(customer_id=clinic.id, notice_id=notice.id, now=timezone.now())
    [sent] = mail.outbox[before:]
    return f"{sent.to[0]} {sent.subject} {sent.body}"


def test_a_bill_goes_to_the_billing_admin_and_else_to_the_customer(cast: Cast) -> None:  # S-097
    clinic = overdrawn(cast, 40 * MICROS)
    bill = issued(clinic)
    said = tell(clinic, "bill.issued")
    assert clinic.customer.email in said
    assert "A bill of $40.00" in said
    assert "Please pay this bill by 14 November 2026" in said
    other = overdrawn(cast, 40 * MICROS)
    admin = cast.member(other, Role.BILLING_ADMIN)
    issued(other)
    assert admin.email in tell(other, "bill.issued")
    bills.settle_by_hand(customer_id=clinic.id, bill_id=bill.id, paid=True, reason="x", actor="operator:1", now=at())


def test_decisions_and_acts_of_the_operator_are_told_with_their_reason(cast: Cast) -> None:
    clinic, now = cast.clinic(), at()
    row = requests.ask(
        customer_id=clinic.id, kind="overdraft", wanted={"limit_micros": 9 * MICROS}, reason="", actor=clinic.actor, now=now
    )
    requests.decline(customer_id=clinic.id, request_id=row.id, actor="operator:1", now=now, note="Not before spring.")
    said = tell(clinic, "change_request.declined")
    assert "A limit below zero: declined" in said
    assert "Not before spring." in said
    adjustments.propose(
        customer_id=clinic.id, wallet_id=clinic.pool.id, amount_micros=-7 * MICROS, reason="Charged twice in May", key=uuid4(),
        actor="operator:1", now=now,
    )  # fmt: skip
    said = tell(clinic, "adjustment.posted")
    assert "Credit was taken by hand" in said
    assert "$7.00 was taken: Charged twice in May" in said
    grants.give(
        customer_id=clinic.id, wallet_id=clinic.pool.id, amount_micros=5 * MICROS, reason="Welcome", expires_at=None, key=uuid4(),
        actor="operator:1", now=now,
    )  # fmt: skip
    assert "It is used first, and has no end." in tell(clinic, "grant.given")
    agreement.suspend(customer_id=clinic.id, reason=agreement.DISPUTED, actor="system", now=now)
    assert "Your bank took back a payment" in tell(clinic, "customer.suspended")
    agreement.reinstate(customer_id=clinic.id, actor="operator:1", now=now)
    assert "New messages are accepted again." in tell(clinic, "customer.reinstated")
