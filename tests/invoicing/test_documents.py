"""Invoices as people keep them: numbers, tax, the PDF, the mail and its link."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from threading import Barrier, Thread
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import typst
from django.core import mail as outbox
from django.db import Error as DjangoError
from django.db import connection
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from postmeter.customers import operations as customers
from postmeter.db import calls, scope
from postmeter.invoicing import mail, operations, pdf, queries
from postmeter.invoicing import tax as taxes
from postmeter.invoicing.models import Invoice, Seller
from postmeter.invoicing.operations import Line
from postmeter.kit.money import MICROS
from postmeter.topups.queries import CHECKS
from tests.cast import Cast, Clinic, at

SYDNEY = ZoneInfo("Australia/Sydney")
MARKUP = '#panic("x") $x$ *bold* _it_ `raw` <b>&amp; @ref \\ [a](b) // Zoë Ó 北京 \u202e'


def issue(clinic: Clinic, micros: int = 20 * MICROS, now: datetime | None = None) -> Invoice:
    return operations.issue(
        customer_id=clinic.id,
        subject_id=calls.next_id(),
        currency="USD",
        lines=[Line("Message credit", 1, micros)],
        now=now or at(),
    )


def move(clinic: Clinic, time_zone: str, country: str = "AU") -> None:
    was = {field: getattr(clinic.customer, field) for field in ("name", "address", "tax_id", "email")}
    customers.change_details(customer_id=clinic.id, **was, country=country, time_zone=time_zone, now=at(), actor=clinic.actor)


@given(st.integers(1, 10**12))
@settings(deadline=None)
def test_gst_is_an_eleventh_of_the_total_to_the_nearest_cent(cents: int) -> None:
    tax = taxes.included_tax(cents * 10_000, 100_000, "USD")
    assert tax % 10_000 == 0
    assert abs(tax * 11 - cents * 10_000) <= 11 * 5_000


def test_a_document_says_all_that_a_tax_invoice_must_say(cast: Cast) -> None:
    # S-020 S-021
    clinic = cast.clinic()
    move(clinic, "Australia/Sydney")
    invoice = issue(clinic, 110 * MICROS, now=datetime(2026, 6, 30, 23, 30, tzinfo=UTC))
    move(clinic, "America/New_York", "US")
    facts = pdf.facts_of(invoice, ZoneInfo("America/New_York"))
    assert (facts["title"], facts["number"]) == ("Tax invoice", f"C{clinic.customer.number}-000001")
    assert facts["issued"] == "01 July 2026", "the day where the customer was then"
    assert (facts["net"], facts["tax"], facts["total"], facts["tax_label"]) == ("$100.00", "$10.00", "$110.00", "GST 10 %")
    assert (facts["seller"]["tax_id"], facts["buyer"]["name"]) == ("ABN 51 824 753 556", "Harbour Physio")
    assert (facts["buyer"]["address"], facts["buyer"]["country"]) == ("7 Quay Road\nPortland, ME 04101", "Australia")


def test_who_is_not_registered_for_tax_never_says_tax_invoice(cast: Cast) -> None:
    clinic = cast.clinic()
    invoice = issue(clinic)
    invoice.tax = asdict(taxes.Treatment("none"))
    facts = pdf.facts_of(invoice, SYDNEY)
    assert (facts["title"], facts["tax_label"], facts["notes"]) == ("Invoice", "", ["Paid in full."])
    assert pdf.render(invoice, SYDNEY).startswith(b"%PDF")


def test_an_invoice_keeps_what_it_said_when_seller_and_buyer_change(cast: Cast) -> None:
    clinic = cast.clinic()
    invoice = issue(clinic)
    with scope.customer(clinic.id):
        clinic.customer.name = "Harbour Physio and Sons"
        clinic.customer.save(update_fields=["name"])
    kept = queries.invoice(customer_id=clinic.id, invoice_id=invoice.id)
    assert kept.buyer["name"] == "Harbour Physio"
    assert kept.seller["name"] == Seller.objects.get(id=1).name
    assert issue(clinic).buyer["name"] == "Harbour Physio and Sons"


@pytest.mark.parametrize("words", [MARKUP, "Long " * 120, 'line\n"quoted"\n#[x]'])
def test_what_people_wrote_is_printed_and_never_run(cast: Cast, words: str) -> None:
    clinic = cast.clinic()
    invoice = issue(clinic)
    invoice.buyer = invoice.buyer | {"name": words, "address": words, "tax_id": words}
    invoice.lines = [{"description": words, "quantity": 1, "total_micros": 20 * MICROS}]
    assert pdf.render(invoice, SYDNEY).startswith(b"%PDF")
    assert _query(invoice)["buyer"]["name"] == words


def test_the_same_row_makes_the_same_document(cast: Cast) -> None:
    invoice = issue(cast.clinic())
    assert pdf.render(invoice, SYDNEY) == pdf.render(invoice, SYDNEY)


def test_the_mail_is_complete_by_itself_and_goes_once(cast: Cast) -> None:
    # S-020 S-021 S-022 S-023
    clinic = cast.clinic()
    move(clinic, "Australia/Sydney")
    invoice = issue(clinic, 110 * MICROS)
    assert [mail.send(customer_id=clinic.id, invoice_id=invoice.id, now=at()) for _ in range(2)] == [True, False]
    [sent] = [each for each in outbox.outbox if each.to == [clinic.customer.email]]
    html = next(str(part[0]) for part in sent.alternatives)  # type: ignore[attr-defined]
    for version in (str(sent.body), html):
        for said in (operations.number_of(invoice), "Northlight Messaging Pty Ltd", "ABN 51 824 753 556", "Harbour Physio",
                     "$100.00", "$10.00", "$110.00", "Tax invoice", "/invoices/pdf/"):  # fmt: skip
            assert said in version
        assert "Click here to download a PDF copy of your tax invoice" in version


def test_a_job_that_crosses_another_ones_mail_waits_for_its_claim_to_lapse(cast: Cast) -> None:
    clinic = cast.clinic()
    asked = {"customer_id": clinic.id, "invoice_id": issue(clinic).id}
    assert operations.start_mailing(**asked, now=at()) is not None
    with pytest.raises(operations.BeingMailed):
        operations.start_mailing(**asked, now=at() + operations.MAILING_LEASE / 2)
    assert operations.start_mailing(**asked, now=at() + operations.MAILING_LEASE) is not None
    operations.finish_mailing(**asked, now=at())
    assert operations.start_mailing(**asked, now=at() + 2 * operations.MAILING_LEASE) is None


def test_the_mails_link_opens_its_invoice_without_signing_in_and_nothing_else(cast: Cast) -> None:
    clinic = cast.clinic()
    first, second = issue(clinic), issue(clinic)
    path = mail.link(first).split("/", 3)[3]
    answer = Client().get(f"/{path}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert operations.number_of(first) in answer["Content-Disposition"]
    other = mail.link(second).split("/", 3)[3]
    token, forged = path.split("/")[2], other.split("/")[2]
    mixed = forged.rsplit(":", 1)[0] + ":" + token.rsplit(":", 1)[1]
    for wrong in (mixed, token[:-1], token + "x", "a"):
        assert Client().get(f"/invoices/pdf/{wrong}/").status_code == 404


ISSUERS, EACH = 8, 125


def test_a_thousand_invoices_at_once_have_no_gap_and_no_twin_though_some_abort_and_some_are_killed(cast: Cast) -> None:
    # S-020
    clinic, start = cast.clinic(), Barrier(ISSUERS)
    ends: list[str] = []

    def work(n: int) -> None:
        start.wait()
        for step in range(EACH):
            ends.append(_one(clinic, n * EACH + step))
        connection.close()

    threads = [Thread(target=work, args=(n,)) for n in range(ISSUERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with scope.customer(clinic.id):
        numbers = [row.number for row in Invoice.objects.filter(customer_id=clinic.id).order_by("number")]
        gaps = calls.rows(CHECKS["invoice numbers have no gap and no twin"], {"customer": clinic.id})
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == ends.count("issued") > ISSUERS * EACH // 2
    assert len(ends) == ISSUERS * EACH
    assert min(ends.count("aborted"), ends.count("killed")) > ISSUERS
    assert gaps == []


class Abort(Exception):
    """The transaction ends after the number was taken."""


def _one(clinic: Clinic, n: int) -> str:
    """Issue one; every seventh changes its mind afterwards, every eleventh loses its connection to the database."""
    try:
        with scope.customer(clinic.id):
            issue(clinic)
            if n % 7 == 0:
                raise Abort
            if n % 11 == 0:
                calls.rows("SELECT pg_terminate_backend(pg_backend_pid())")
    except Abort:
        return "aborted"
    except (DjangoError, psycopg.Error):
        connection.close()
        return "killed"
    return "issued"


def _query(invoice: Invoice) -> dict[str, Any]:
    """What typst read: the data as it went in."""
    source = pdf.TEMPLATE.read_text() + "\n#metadata(i) <all>"
    found = typst.query(
        source.encode(), "<all>", field="value", sys_inputs={"invoice": json.dumps(pdf.facts_of(invoice, SYDNEY))}
    )
    return dict(json.loads(found)[0])
