"""Tax at use: a purchase is no taxed event, and each month's use gets one tax invoice of exactly what is not covered yet."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from threading import Barrier, Thread

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmeter.invoicing import operations as invoicing
from postmeter.invoicing import queries as invoices
from postmeter.invoicing.models import Invoice, Kind
from postmeter.invoicing.operations import Line
from postmeter.kit.money import MICROS
from postmeter.statements import usage
from tests.cast import Cast, Clinic
from tests.invoicing.sellers import GERMAN, bought, selling, settle_in
from tests.statements.test_months import give, use


@pytest.fixture
def at_use() -> Iterator[None]:
    with selling(GERMAN, tax_point="use"):
        yield


def day(month: int, of_month: int) -> datetime:
    return datetime(2026, month, of_month, 12, tzinfo=UTC)


def clinic_of(cast: Cast, country: str = "US") -> Clinic:
    clinic = cast.clinic(credit_micros=0)
    settle_in(clinic, country)
    return clinic


def buy(clinic: Clinic, micros: int, at: datetime) -> Invoice:
    give(clinic, micros, at)
    return bought(clinic, micros, currency="USD", now=at)


def bill(clinic: Clinic, month: int) -> list[Invoice]:
    return usage.bill_due(customer_id=clinic.id, now=day(month + 1, 5))


def test_a_months_use_is_invoiced_once_with_the_tax_of_its_country(cast: Cast, at_use: None) -> None:
    clinic = clinic_of(cast, "DE")
    assert buy(clinic, 100 * MICROS, day(3, 3)).kind == Kind.RECEIPT
    use(clinic, 11_900_000, day(3, 10))
    use(clinic, 1_000_000, datetime(2026, 3, 31, 22, 30, tzinfo=UTC))  # April in Berlin
    [invoice] = bill(clinic, 3)
    assert (invoice.kind, invoice.total_micros, invoice.tax_micros) == (Kind.USAGE_INVOICE, 11_900_000, 1_900_000)
    assert (invoice.supplied_from, invoice.supplied_until) == (date(2026, 3, 1), date(2026, 3, 31))
    assert [each.id for each in bill(clinic, 3)] == [invoice.id]
    assert [each.total_micros for each in bill(clinic, 4)][-1] == 1_000_000


def test_nothing_is_billed_where_tax_is_due_at_purchase(cast: Cast) -> None:
    clinic = clinic_of(cast)
    buy(clinic, 10 * MICROS, day(3, 3))
    use(clinic, 5 * MICROS, day(3, 4))
    assert bill(clinic, 3) == []


def test_credit_that_was_taxed_when_it_was_bought_is_not_taxed_again_when_it_is_used(cast: Cast) -> None:
    clinic = clinic_of(cast)
    with selling(GERMAN):
        buy(clinic, 10 * MICROS, day(2, 3))
    with selling(GERMAN, tax_point="use"):
        buy(clinic, 20 * MICROS, day(3, 3))
        use(clinic, 8 * MICROS, day(3, 10))
        assert bill(clinic, 3) == []
        use(clinic, 5 * MICROS, day(4, 10))
        assert [each.total_micros for each in bill(clinic, 4)] == [3 * MICROS]


def test_credit_that_was_given_is_not_invoiced(cast: Cast, at_use: None) -> None:
    clinic = clinic_of(cast)
    give(clinic, 50 * MICROS, day(3, 1))
    buy(clinic, 10 * MICROS, day(3, 2))
    use(clinic, 30 * MICROS, day(3, 10))
    assert [each.total_micros for each in bill(clinic, 3)] == [10 * MICROS]


def test_a_refund_of_unused_credit_is_never_invoiced_as_use(cast: Cast, at_use: None) -> None:
    #
    clinic = clinic_of(cast)
    receipt = buy(clinic, 10 * MICROS, day(3, 2))
    use(clinic, 4 * MICROS, day(3, 10))
    note = invoicing.issue_credit_note(
        customer_id=clinic.id, invoice_id=receipt.id, lines=[Line("Credit given back", 1, 6 * MICROS)],
        reason="Account closed", now=day(3, 20), actor="operator",
    )  # fmt: skip
    assert note.tax_micros == 0
    assert [each.total_micros for each in bill(clinic, 3)] == [4 * MICROS]


def test_a_month_is_cut_where_a_rate_changes(cast: Cast, at_use: None) -> None:
    clinic = clinic_of(cast, "FI")
    assert usage.parts(customer_id=clinic.id, month=date(2024, 9, 1)) == [(date(2024, 9, 1), date(2024, 10, 1))]
    assert usage.parts(customer_id=clinic.id, month=date(2024, 8, 1)) == [(date(2024, 8, 1), date(2024, 9, 1))]
    invoicing.add_tax_rule(scheme="eu_vat", country="FI", valid_from=date(2031, 3, 10), rate_ppm=260_000, name="VAT")
    parts = usage.parts(customer_id=clinic.id, month=date(2031, 3, 1))
    assert parts == [(date(2031, 3, 1), date(2031, 3, 10)), (date(2031, 3, 10), date(2031, 4, 1))]
    buy(clinic, 100 * MICROS, datetime(2031, 3, 1, tzinfo=UTC))
    for of_month in (9, 10):
        use(clinic, 12_600_000, datetime(2031, 3, of_month, 12, tzinfo=UTC))
    issued = usage.bill_due(customer_id=clinic.id, now=datetime(2031, 4, 2, tzinfo=UTC))
    assert [(each.tax["rate_ppm"], each.total_micros) for each in issued] == [(255_000, 12_600_000), (260_000, 12_600_000)]


def test_jobs_that_cross_issue_one_invoice_and_take_one_number(cast: Cast, at_use: None) -> None:
    clinic, start, failed = clinic_of(cast), Barrier(4), []
    buy(clinic, 10 * MICROS, day(3, 2))
    use(clinic, 4 * MICROS, day(3, 10))

    def work() -> None:
        start.wait()
        try:
            bill(clinic, 3)
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    [invoice] = [each for each in invoices.invoices(customer_id=clinic.id) if each.kind == Kind.USAGE_INVOICE]
    assert (invoice.number, invoice.total_micros) == (1, 4 * MICROS)


@given(months=st.lists(st.lists(st.integers(1, 3_000_000), max_size=4), min_size=1, max_size=5))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_invoiced_is_what_was_used_to_half_a_cent_however_the_months_round(months: list[list[int]]) -> None:
    #
    with selling(GERMAN, tax_point="use"):
        clinic = clinic_of(Cast())
        buy(clinic, 100 * MICROS, datetime(2026, 1, 1, tzinfo=UTC))
        for month, charges in enumerate(months, start=1):
            for micros in charges:
                use(clinic, micros, day(month, 10))
            bill(clinic, month)
        issued = [each for each in invoices.invoices(customer_id=clinic.id) if each.kind == Kind.USAGE_INVOICE]
        assert abs(sum(each.total_micros for each in issued) - sum(map(sum, months))) <= 5_000
