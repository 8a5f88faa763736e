"""Credit notes: their own series, never more than the document, and exactly its tax (A-13, Article 219)."""

from threading import Barrier, Thread

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmeter.db import scope
from postmeter.invoicing import operations, pdf, queries
from postmeter.invoicing.models import Invoice, Series
from postmeter.invoicing.operations import Line
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from tests.cast import Cast, Clinic, at
from tests.invoicing.sellers import bought, settle_in
from tests.invoicing.test_tax import BERLIN, versions


def credit(
    clinic: Clinic, invoice: Invoice, micros: int, *, reason: str = "Account closed", subject_id: int | None = None
) -> Invoice:
    return operations.issue_credit_note(
        customer_id=clinic.id,
        invoice_id=invoice.id,
        lines=[Line("Message credit given back", 1, micros)],
        reason=reason,
        now=at(),
        actor="operator",
        subject_id=subject_id,
    )


def test_a_credit_note_names_its_invoice_and_why_in_a_series_of_its_own(cast: Cast) -> None:
    # A-13 S-021
    clinic = cast.clinic()
    settle_in(clinic, "AU", time_zone="Australia/Sydney")
    invoice = bought(clinic, 110 * MICROS, currency="AUD")
    note = credit(clinic, invoice, 55 * MICROS)
    assert operations.number_of(note) == f"N{clinic.customer.number}-000001"
    assert (note.net_micros, note.tax_micros) == (50 * MICROS, 5 * MICROS)
    issued = pdf.facts_of(invoice, BERLIN)["issued"]
    for text in versions(note).values():
        for said in ("Adjustment note", f"Tax invoice {operations.number_of(invoice)} of {issued}", "Account closed", "A$5.00",
                     "Total credited"):  # fmt: skip
            assert said in text


def test_never_more_is_credited_than_is_left(cast: Cast) -> None:
    clinic = cast.clinic()
    invoice = bought(clinic, 100 * MICROS, currency="USD")
    credit(clinic, invoice, 60 * MICROS)
    with pytest.raises(Conflict, match=r"only \$40\.00 is left"):
        credit(clinic, invoice, 40 * MICROS + 10_000)
    credit(clinic, invoice, 40 * MICROS)
    with pytest.raises(Conflict):
        credit(clinic, invoice, 10_000)
    assert [note.number for note in queries.credit_notes(customer_id=clinic.id, invoice_id=invoice.id)] == [1, 2]


def test_a_refusal_inside_a_larger_transaction_takes_no_number(cast: Cast) -> None:
    clinic = cast.clinic()
    invoice = bought(clinic, 100 * MICROS, currency="USD")
    with scope.customer(clinic.id), pytest.raises(Conflict):
        credit(clinic, invoice, 200 * MICROS)
    assert credit(clinic, invoice, 10 * MICROS).number == 1


def test_what_cannot_be_credited_is_refused(cast: Cast) -> None:
    clinic, rival = cast.clinic(), cast.clinic()
    invoice = bought(clinic, currency="USD")
    note = credit(clinic, invoice, MICROS)
    for wrong, micros, reason, refusal in (
        (invoice, 0, "x", BadInput),
        (invoice, 5_000, "x", BadInput),
        (invoice, MICROS, " ", BadInput),
        (note, MICROS, "x", NotFound),
        (bought(rival, currency="USD"), MICROS, "x", NotFound),
    ):
        with pytest.raises(refusal):
            credit(clinic, wrong, micros, reason=reason)


def test_the_same_refund_is_credited_once(cast: Cast) -> None:
    clinic = cast.clinic()
    invoice = bought(clinic, 100 * MICROS, currency="USD")
    assert credit(clinic, invoice, 70 * MICROS, subject_id=7).id == credit(clinic, invoice, 70 * MICROS, subject_id=7).id
    with scope.customer(clinic.id):
        assert Series.objects.get(customer_id=clinic.id, name=f"N{clinic.customer.number}").last_number == 1


@given(parts=st.lists(st.integers(1, 100_000), min_size=1, max_size=6))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_notes_for_the_whole_take_back_exactly_the_whole_tax(parts: list[int]) -> None:
    clinic = Cast().clinic(credit_micros=0)
    settle_in(clinic, "AU")
    invoice = bought(clinic, sum(parts) * 10_000, currency="AUD")
    notes = [credit(clinic, invoice, cents * 10_000) for cents in parts]
    assert sum(note.tax_micros for note in notes) == invoice.tax_micros
    assert sum(note.net_micros for note in notes) == invoice.net_micros
    assert all(note.net_micros >= 0 and note.tax_micros >= 0 for note in notes)


def test_notes_at_the_same_moment_do_not_credit_twice(cast: Cast) -> None:
    clinic, start, refused = cast.clinic(), Barrier(6), []
    invoice = bought(clinic, 100 * MICROS, currency="USD")

    def work() -> None:
        start.wait()
        try:
            credit(clinic, invoice, 40 * MICROS)
        except Conflict as refusal:
            refused.append(refusal)
        finally:
            connection.close()

    threads = [Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(queries.credit_notes(customer_id=clinic.id, invoice_id=invoice.id)), len(refused)) == (2, 4)
