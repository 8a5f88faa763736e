"""What happens when a bill is not paid, and when a payment is disputed; and that all of it ends."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from postmeter.customers import queries as customers
from postmeter.db import scope
from postmeter.events.models import Event
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, NotCovered
from postmeter.messaging.operations import payers
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.payers import MessagingOff
from postmeter.terms import agreement, queries
from postmeter.topups import bills
from postmeter.wallets import operations as wallets
from tests.cast import Cast, Clinic, number
from tests.topups.test_bills import ENDS, NOW, OCTOBER, use


def lent(cast: Cast, *, limit: int = 100, used: int = 40) -> Clinic:
    """A clinic that may go below zero, and did in October."""
    clinic = cast.clinic(credit_micros=0)
    agreement.set_limit(customer_id=clinic.id, limit_micros=limit * MICROS, actor="operator", now=NOW)
    use(clinic, used * MICROS, at=ENDS - timedelta(days=2))
    return clinic


def limit_of(clinic: Clinic) -> int:
    return clinic.available - clinic.posted + clinic.held


def send(clinic: Clinic) -> None:
    payers.forget()  # what a process remembers for seconds
    submit(Submission(clinic.id, [number(1)], ["Hi"], clinic.actor), now=timezone.now())


def facts(clinic: Clinic) -> list[str]:
    with scope.customer(clinic.id):
        return list(Event.objects.filter(customer_id=clinic.id).order_by("id").values_list("kind", flat=True))


# S-095 S-096
def test_services_go_on_below_zero_for_who_may_and_stop_at_the_limit(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    with pytest.raises(NotCovered):
        send(clinic)
    agreement.set_limit(customer_id=clinic.id, limit_micros=15_000, actor="operator", now=NOW)
    send(clinic)
    with pytest.raises(NotCovered):
        send(clinic)


# S-097 S-099
def test_the_round_bills_the_last_month_once_whatever_the_plan(cast: Cast) -> None:
    clinic = lent(cast)
    bill = agreement.bill_due(customer_id=clinic.id, now=NOW)
    assert bill and (bill.month, bill.amount_micros) == (OCTOBER, 40 * MICROS)
    again = agreement.bill_due(customer_id=clinic.id, now=NOW + timedelta(days=9))
    assert again and again.id == bill.id
    assert agreement.bill_due(customer_id=cast.clinic().id, now=NOW) is None


def test_within_the_first_hour_a_month_is_not_billed(cast: Cast) -> None:
    clinic = lent(cast)
    assert agreement.bill_due(customer_id=clinic.id, now=ENDS + timedelta(minutes=59)) is None


#
def test_while_a_bill_is_long_overdue_nothing_more_is_lent_and_paying_it_ends_that(cast: Cast) -> None:
    clinic = lent(cast)
    bill = agreement.bill_due(customer_id=clinic.id, now=NOW)
    assert bill and bill.due_on == date(2026, 11, 14)
    use(clinic, 30 * MICROS, at=NOW)  # November's
    in_time = NOW + timedelta(days=20)  # the 21st: seven days late at most
    agreement.follow_bills(customer_id=clinic.id, now=in_time)
    assert limit_of(clinic) == 100 * MICROS
    late = NOW + timedelta(days=21)
    agreement.follow_bills(customer_id=clinic.id, now=late)
    assert clinic.available == 0
    with pytest.raises(NotCovered):
        send(clinic)
    cast.give(clinic.id, clinic.pool, 10 * MICROS)
    agreement.follow_bills(customer_id=clinic.id, now=late)  # what came in is not lent again
    assert clinic.available == 0
    bills.settle_by_hand(customer_id=clinic.id, bill_id=bill.id, paid=True, reason="cheque", actor="operator:1", now=late)
    agreement.follow_bills(customer_id=clinic.id, now=late)
    assert limit_of(clinic) == 100 * MICROS
    send(clinic)
    assert [kind for kind in facts(clinic) if kind.startswith("terms.")] == [
        "terms.overdraft_stopped",
        "terms.overdraft_restored",
    ]


def test_a_new_limit_while_a_bill_is_overdue_waits_until_it_is_paid(cast: Cast) -> None:
    clinic = lent(cast)
    bill = agreement.bill_due(customer_id=clinic.id, now=NOW)
    assert bill
    late = NOW + timedelta(days=40)
    agreement.follow_bills(customer_id=clinic.id, now=late)
    agreement.set_limit(customer_id=clinic.id, limit_micros=500 * MICROS, actor="operator", now=late)
    assert limit_of(clinic) == 0
    bills.settle_by_hand(customer_id=clinic.id, bill_id=bill.id, paid=True, reason="cheque", actor="operator:1", now=late)
    agreement.follow_bills(customer_id=clinic.id, now=late)
    assert limit_of(clinic) == 500 * MICROS


def test_where_it_was_agreed_a_bill_that_is_not_paid_suspends_and_paying_it_reinstates(cast: Cast) -> None:
    clinic = lent(cast)
    agreement.set_policy(
        customer_id=clinic.id, days_to_pay=10, stop_after_days=5, suspend_after_days=30, suspend_on_dispute=True,
        actor="operator:1", now=NOW,
    )  # fmt: skip
    bill = agreement.bill_due(customer_id=clinic.id, now=NOW)
    assert bill and bill.due_on == date(2026, 11, 10)
    cast.give(clinic.id, clinic.pool, 10 * MICROS)
    agreement.follow_bills(customer_id=clinic.id, now=NOW + timedelta(days=39))
    send(clinic)
    late = NOW + timedelta(days=41)
    agreement.follow_bills(customer_id=clinic.id, now=late)
    agreement.follow_bills(customer_id=clinic.id, now=late)
    with pytest.raises(MessagingOff):
        send(clinic)
    bills.settle_by_hand(customer_id=clinic.id, bill_id=bill.id, paid=True, reason="cheque", actor="operator:1", now=late)
    agreement.follow_bills(customer_id=clinic.id, now=late)
    send(clinic)
    assert facts(clinic).count("customer.suspended") == facts(clinic).count("customer.reinstated") == 1


#
def test_a_disputed_payment_that_was_spent_suspends_until_it_is_won(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=5 * MICROS)
    follow(clinic, is_back=False)
    send(clinic)  # nothing is owed
    clinic.take(30 * MICROS)
    follow(clinic, is_back=False)
    with pytest.raises(MessagingOff):
        send(clinic)
    follow(clinic, is_back=True)
    assert customers.customer(customer_id=clinic.id).suspended_at is None


def test_what_a_person_suspended_no_round_lifts(cast: Cast) -> None:
    clinic = cast.clinic()
    assert agreement.suspend(customer_id=clinic.id, reason=agreement.BY_HAND, actor="operator:1", now=NOW)
    assert not agreement.suspend(customer_id=clinic.id, reason=agreement.OVERDUE, actor="system", now=NOW)
    follow(clinic, is_back=True)
    agreement.follow_bills(customer_id=clinic.id, now=NOW)
    assert customers.customer(customer_id=clinic.id).suspended_at
    assert agreement.reinstate(customer_id=clinic.id, actor="operator:1", now=NOW)
    assert not agreement.reinstate(customer_id=clinic.id, actor="operator:1", now=NOW)


@pytest.mark.parametrize("days", [-1, 366, 10**9])
def test_days_out_of_reach_are_refused_by_name(cast: Cast, days: int) -> None:
    with pytest.raises(BadInput) as refused, transaction.atomic():
        agreement.set_policy(
            customer_id=cast.clinic().id, days_to_pay=14, stop_after_days=days, suspend_after_days=None,
            suspend_on_dispute=True, actor="operator:1", now=NOW,
        )  # fmt: skip
    assert refused.value.field == "stop_after_days"


def follow(clinic: Clinic, *, is_back: bool) -> None:
    agreement.follow_dispute(customer_id=clinic.id, wallet_id=clinic.pool.id, is_back=is_back, now=NOW)


def test_months_are_counted_where_the_customer_is(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=100 * MICROS)
    use(clinic, 7 * MICROS, at=ENDS - timedelta(minutes=1))
    use(clinic, 5 * MICROS, at=ENDS)
    assert [each.amount_micros for each in queries.spent(customer_id=clinic.id, now=NOW)] == [0, 0, 7 * MICROS]


def test_what_members_spent_of_their_own_counts_too(cast: Cast) -> None:
    clinic = cast.clinic()
    own = wallets.open_wallet(
        customer_id=clinic.id, kind="user", unit="USD", member_id=clinic.master.member_id, now=ENDS - timedelta(days=9)
    )
    cast.give(clinic.id, own, 50 * MICROS)
    use(replace(clinic, pool=own), 11 * MICROS, at=ENDS - timedelta(days=1))
    assert queries.spent(customer_id=clinic.id, now=NOW)[-1].amount_micros == 11 * MICROS
