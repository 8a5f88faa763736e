"""What is below zero at a month's end is billed once, the wallet begins at zero again, and the bill is paid once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from postmeter.cli.checks import verify_all
from postmeter.db import calls, scope
from postmeter.invoicing import pdf
from postmeter.invoicing import queries as invoices
from postmeter.invoicing.models import Invoice, Kind
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import NotCovered
from postmeter.ledger import operations as ledger
from postmeter.statements import usage
from postmeter.topups import bills, operations, pay_bill, queries, retry
from postmeter.topups.models import Bill
from postmeter.wallets import operations as wallets
from tests.cast import Cast, Clinic
from tests.invoicing.sellers import AUSTRALIAN, selling
from tests.journeys.shop import saved_card
from tests.payments.cards import a_card
from tests.stage import Stage

OCTOBER = date(2026, 10, 1)
ENDS = datetime(2026, 11, 1, 4, tzinfo=UTC)  # midnight in New York, in summer time
NOW = ENDS + timedelta(hours=2)


def overdrawn(cast: Cast, micros: int, *, at: datetime = ENDS - timedelta(days=3)) -> Clinic:
    """A clinic that may go below zero, and went there by this much in October."""
    clinic = cast.clinic(credit_micros=0)
    allow(clinic)
    use(clinic, micros, at=at)
    return clinic


def allow(clinic: Clinic, micros: int = 1_000 * MICROS) -> None:
    wallets.set_limit(customer_id=clinic.id, wallet=clinic.pool, limit_micros=micros, actor="operator", now=timezone.now())


def use(clinic: Clinic, micros: int, *, at: datetime) -> None:
    with scope.customer(clinic.id):
        accounts = wallets.accounts(customer_id=clinic.id, wallet=clinic.pool)
        posting = ledger.Posting(calls.next_id(), accounts.wallet, accounts.usage, micros, "sms", 1)
        assert ledger.post(customer_id=clinic.id, now=at, postings=[posting]) == ["ok"]


def issue(clinic: Clinic, *, now: datetime = NOW) -> Bill | None:
    return bills.issue(customer_id=clinic.id, wallet_id=clinic.pool.id, month=OCTOBER, ends=ENDS, days_to_pay=14, now=now)


def issued(clinic: Clinic) -> Bill:
    found = issue(clinic)
    assert found
    return found


# S-097 S-098 A-38
def test_what_is_below_zero_at_the_months_end_is_billed_and_the_balance_is_zero_again(cast: Cast) -> None:
    clinic = overdrawn(cast, 41_230_000)
    bill = issued(clinic)
    assert (bill.amount_micros, bill.state, bill.due_on) == (41_230_000, "open", date(2026, 11, 14))
    assert clinic.posted == 0
    invoice = invoices.invoice(customer_id=clinic.id, invoice_id=bill.invoice_id)
    assert (invoice.total_micros, invoice.due_on) == (41_230_000, bill.due_on)
    facts = pdf.facts_of(invoice, UTC)
    assert facts["supplied"] == "01 October 2026 to 31 October 2026"
    assert any("Please pay by 14 November 2026" in note for note in facts["notes"])
    assert verify_all().ok


# S-099 A-40
def test_a_month_is_billed_once_however_often_the_round_comes(cast: Cast) -> None:
    clinic = overdrawn(cast, 40 * MICROS)

    def again(_: int) -> int:
        try:
            return issued(clinic).id
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(again, range(8)))
    assert len(ids) == 1
    assert clinic.posted == 0
    assert len(invoices.invoices(customer_id=clinic.id)) == 1


def test_what_was_paid_or_used_since_the_months_end_is_not_billed(cast: Cast) -> None:
    clinic = overdrawn(cast, 40 * MICROS)
    cast.give(clinic.id, clinic.pool, 15 * MICROS)
    use(clinic, 5 * MICROS, at=NOW)
    assert issued(clinic).amount_micros == 30 * MICROS  # 40 in October, 15 paid since, 5 used in November
    other = overdrawn(cast, 40 * MICROS)
    use(other, 5 * MICROS, at=NOW)
    assert issued(other).amount_micros == 40 * MICROS
    assert other.posted == -5 * MICROS


def test_who_is_above_zero_or_owes_less_than_one_gets_no_bill(cast: Cast) -> None:
    assert issue(cast.clinic()) is None
    clinic = overdrawn(cast, 990_000)
    assert issue(clinic) is None
    assert clinic.posted == -990_000


def test_what_a_bank_took_back_is_not_billed(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    clinic.take(30 * MICROS)
    assert issue(clinic) is None


@settings(max_examples=25)
@given(micros=st.integers(MICROS, 10**12))
def test_a_bill_is_in_whole_coins_and_rounding_has_its_own_line(micros: int) -> None:
    clinic = overdrawn_by(micros)
    bill = issued(clinic)
    assert bill.lifted_micros == micros
    assert bill.amount_micros % 10_000 == 0
    assert abs(bill.amount_micros - micros) <= 5_000
    assert clinic.posted == 0
    with scope.customer(clinic.id):
        for check in queries.CHECKS.values():
            assert calls.rows(check, {"customer": clinic.id}) == []


def overdrawn_by(micros: int) -> Clinic:
    clinic = Cast().clinic(credit_micros=0)
    allow(clinic, 1_000_000 * MICROS)
    use(clinic, micros, at=ENDS - timedelta(days=1))
    return clinic


def test_a_bill_is_paid_by_card_once_and_adds_no_credit(stage: Stage, cast: Cast) -> None:
    clinic = overdrawn(cast, 40 * MICROS)
    bill = issued(clinic)
    card = saved_card(stage, clinic)
    now = timezone.now()
    first = pay_bill.pay(customer_id=clinic.id, bill_id=bill.id, method_id=card.id, actor=clinic.actor, now=now)
    second = pay_bill.pay(customer_id=clinic.id, bill_id=bill.id, method_id=card.id, actor=clinic.actor, now=now)
    assert first.top_up.id == second.top_up.id
    assert first.top_up.state == "succeeded"
    assert bills.bill(customer_id=clinic.id, bill_id=bill.id).state == "paid"
    assert clinic.posted == 0
    assert len(invoices.invoices(customer_id=clinic.id)) == 1
    assert verify_all().ok


def test_a_bill_that_a_card_would_not_pay_is_tried_again_and_is_paid_once(stage: Stage, cast: Cast) -> None:
    clinic = overdrawn(cast, 40 * MICROS)
    bill = issued(clinic)
    bad = saved_card(stage, clinic, "4000000000000341")
    now = timezone.now()
    failed = pay_bill.pay(customer_id=clinic.id, bill_id=bill.id, method_id=bad.id, actor=clinic.actor, now=now)
    assert failed.top_up.state == "failed"
    assert bills.bill(customer_id=clinic.id, bill_id=bill.id).state == "open"
    good = saved_card(stage, clinic)
    paid = pay_bill.pay(customer_id=clinic.id, bill_id=bill.id, method_id=good.id, actor=clinic.actor, now=now)
    assert paid.top_up.state == "succeeded"
    with pytest.raises(bills.NotOpen):
        retry.retry(customer_id=clinic.id, top_up_id=failed.top_up.id, actor=clinic.actor, now=now, method_id=good.id)
    assert verify_all().ok


def test_a_payment_under_way_is_not_incoming_credit(cast: Cast) -> None:
    clinic = overdrawn(cast, 40 * MICROS)
    bill = issued(clinic)
    card = a_card(clinic)
    with scope.customer(clinic.id):
        operations.intend(
            customer_id=clinic.id,
            wallet_id=clinic.pool.id,
            method_id=card.id,
            amount_micros=bill.amount_micros,
            key=uuid4(),
            actor=clinic.actor,
            now=timezone.now(),
            bill_id=bill.id,
        )
    assert queries.figures(customer_id=clinic.id, wallet=clinic.pool).incoming_micros == 0


def test_a_bill_is_paid_from_credit_and_never_from_the_overdraft(cast: Cast) -> None:
    clinic = overdrawn(cast, 40 * MICROS)
    bill = issued(clinic)
    now = timezone.now()
    cast.give(clinic.id, clinic.pool, 39 * MICROS)
    with pytest.raises(NotCovered, match=r"\$1.00 short"):
        bills.pay_from_credit(customer_id=clinic.id, bill_id=bill.id, actor=clinic.actor, now=now)
    cast.give(clinic.id, clinic.pool, 6 * MICROS)
    bills.pay_from_credit(customer_id=clinic.id, bill_id=bill.id, actor=clinic.actor, now=now)
    assert clinic.posted == 5 * MICROS
    with pytest.raises(bills.NotOpen):
        bills.pay_from_credit(customer_id=clinic.id, bill_id=bill.id, actor=clinic.actor, now=now)
    assert verify_all().ok


@pytest.mark.parametrize("paid", [True, False])
def test_the_operator_settles_a_bill_with_a_reason(cast: Cast, *, paid: bool) -> None:
    clinic = overdrawn(cast, 40 * MICROS)
    bill = issued(clinic)
    now = timezone.now()
    bills.settle_by_hand(customer_id=clinic.id, bill_id=bill.id, paid=paid, reason="cheque 17", actor="operator:5", now=now)
    found = bills.bill(customer_id=clinic.id, bill_id=bill.id)
    assert (found.state, found.note, found.settled_by) == ("paid" if paid else "cancelled", "cheque 17", "operator:5")
    notes = invoices.credit_notes(customer_id=clinic.id, invoice_id=bill.invoice_id)
    assert [note.total_micros for note in notes] == ([] if paid else [40 * MICROS])
    assert clinic.posted == 0
    assert verify_all().ok


def test_where_tax_is_due_at_use_a_bill_bears_none_and_the_months_invoice_covers_it(cast: Cast) -> None:
    with selling(AUSTRALIAN, tax_point="use"):
        clinic = overdrawn(cast, 40 * MICROS)
        bill = issued(clinic)
        document = invoices.invoice(customer_id=clinic.id, invoice_id=bill.invoice_id)
        assert (document.kind, document.series[0], document.tax_micros) == (Kind.BILL, "B", 0)
        assert pdf.title(document) == "Bill"
        taxed = usage.bill(customer_id=clinic.id, first=OCTOBER, until=date(2026, 11, 1), now=NOW)
        assert taxed and taxed.total_micros == 40 * MICROS
    with scope.customer(clinic.id):
        assert Invoice.objects.filter(customer_id=clinic.id).count() == 2
