"""Which tax a document bears, and every field that the law asks of it."""

import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from django.core import mail as outbox
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from postmeter.invoicing import mail, operations, pdf, tax
from postmeter.invoicing.models import Invoice, Seller
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict
from tests.cast import Cast, at
from tests.invoicing.sellers import (
    AUSTRALIAN,
    FRENCH_VAT,
    GERMAN,
    GERMAN_VAT,
    IRISH_VAT,
    NOON,
    again,
    bought,
    selling,
    settle_in,
)  # fmt: skip

BERLIN = ZoneInfo("Europe/Berlin")
DE, AU, NONE = (
    Seller(tax_scheme=scheme, country=country) for scheme, country in (("eu_vat", "DE"), ("au_gst", "AU"), ("none", "US"))
)
DAY = date(2026, 3, 15)


@pytest.mark.parametrize(
    ("seller", "country", "tax_id", "on", "expected"),
    [
        (NONE, "US", "", DAY, ("none", "", 0, "")),
        (AU, "AU", "", DAY, ("au_gst", "GST", 100_000, "S")),
        (AU, "US", "", DAY, ("au_gst", "GST", 0, "G")),
        (DE, "DE", "", DAY, ("eu_vat", "VAT", 190_000, "S")),
        (DE, "DE", GERMAN_VAT, DAY, ("eu_vat", "VAT", 190_000, "S")),  # at home a VAT id changes nothing
        (DE, "IE", f"VAT {IRISH_VAT}", DAY, ("eu_vat", "VAT", 0, "AE")),
        (DE, "IE", "IE6433435G", DAY, ("eu_vat", "VAT", 230_000, "S")),  # the checksum is wrong
        (DE, "IE", GERMAN_VAT, DAY, ("eu_vat", "VAT", 230_000, "S")),  # of the seller's own state
        (DE, "FR", "", DAY, ("eu_vat", "VAT", 200_000, "S")),
        (DE, "GR", "EL094259216", DAY, ("eu_vat", "VAT", 0, "AE")),
        (DE, "FI", "", date(2024, 8, 31), ("eu_vat", "VAT", 240_000, "S")),
        (DE, "FI", "", date(2024, 9, 1), ("eu_vat", "VAT", 255_000, "S")),
        (DE, "US", IRISH_VAT, DAY, ("eu_vat", "VAT", 0, "O")),
        (DE, "GB", "GB980780684", DAY, ("eu_vat", "VAT", 0, "O")),
    ],
)
def test_the_tax_follows_seller_buyer_and_day(
    seller: Seller, country: str, tax_id: str, on: date, expected: tuple[str, str, int, str]
) -> None:
    # S-020 A-26
    found = tax.treatment(seller, country=country, tax_id=tax_id, on=on)
    assert (found.scheme, found.name, found.rate_ppm, found.category) == expected
    assert bool(found.words) == (found.category in ("AE", "G", "O"))


def test_every_member_state_has_a_rate_and_the_directives_least() -> None:
    for state in tax.MEMBER_STATES:
        found = tax.treatment(DE, country=state, tax_id="", on=DAY)
        assert found.rate_ppm >= 150_000, state
        assert len(found.currency) == 3


@given(total=st.integers(1, 10**12), rate=st.integers(0, 999_999), currency=st.sampled_from(["EUR", "JPY", "KWD"]))
def test_net_and_tax_are_the_total_and_the_tax_is_the_rates_to_half_a_coin(total: int, rate: int, currency: str) -> None:
    coin = {"EUR": 10_000, "JPY": 1_000_000, "KWD": 1_000}[currency]
    included = tax.included_tax(total * coin, rate, currency)
    assert included % coin == 0
    assert 0 <= included < total * coin or rate == 0
    exact_numerator, exact_denominator = total * coin * rate, 1_000_000 + rate
    assert -exact_denominator * coin < 2 * (included * exact_denominator - exact_numerator) <= exact_denominator * coin  # half up


@given(parts=st.lists(st.integers(1, 10**9), min_size=1, max_size=9), of=st.integers(0, 10**12))
def test_shares_add_up_to_the_whole(parts: list[int], of: int) -> None:
    whole, seen, given_out = sum(parts), 0, 0
    for part in parts:
        seen += part
        upto = tax.share(seen, of, whole)
        assert upto >= given_out
        given_out = upto
    assert given_out == of


def test_a_purchase_bears_the_tax_of_the_day_on_which_its_price_was_agreed(cast: Cast) -> None:
    #
    clinic = cast.clinic()
    settle_in(clinic, "FI", time_zone="Europe/Helsinki")
    agreed, paid = datetime(2024, 8, 31, 20, 59, tzinfo=UTC), datetime(2024, 9, 2, tzinfo=UTC)  # 23:59 in Helsinki
    with selling(GERMAN):
        before, after = bought(clinic, agreed_at=agreed, now=paid), bought(clinic, now=paid)
    assert (before.tax["rate_ppm"], after.tax["rate_ppm"]) == (240_000, 255_000)


def test_a_rule_holds_from_its_day_and_issued_documents_keep_theirs(cast: Cast) -> None:
    clinic = cast.clinic()
    settle_in(clinic, "NZ", time_zone="Pacific/Auckland")
    rule = {"scheme": "flat", "country": "NZ", "name": "GST", "currency": "NZD"}
    operations.add_tax_rule(**rule, valid_from=date(2020, 1, 1), rate_ppm=150_000)  # type: ignore[arg-type]
    kiwi = AUSTRALIAN | {"country": "NZ", "tax_scheme": "flat", "tax_id": "49-091-850"}
    with selling(kiwi):
        early = bought(clinic, currency="NZD", now=NOON)
        operations.add_tax_rule(**rule, valid_from=NOON.date(), rate_ppm=200_000)  # type: ignore[arg-type]
        late = bought(clinic, currency="NZD", now=NOON)
        elsewhere = cast.clinic()
        assert pdf.title(bought(elsewhere, currency="USD")) == "Invoice"  # no rule, no tax
    assert (again(early).tax["rate_ppm"], late.tax["rate_ppm"]) == (150_000, 200_000)
    with pytest.raises(Conflict):
        operations.add_tax_rule(**rule, valid_from=NOON.date(), rate_ppm=210_000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seller", "field"),
    [
        (AUSTRALIAN | {"tax_id": "51 824 753 557"}, "tax_id"),
        (GERMAN | {"tax_id": "DE136695977"}, "tax_id"),
        (GERMAN | {"tax_id": IRISH_VAT}, "tax_id"),
        (GERMAN | {"country": "US"}, "tax_id"),
        (AUSTRALIAN | {"tax_scheme": "us_sales"}, "tax_scheme"),
        (AUSTRALIAN | {"tax_scheme": "none", "tax_point": "use"}, "tax_point"),
        (AUSTRALIAN | {"tax_point": "never"}, "tax_point"),
        (AUSTRALIAN | {"country": "ZZ"}, "country"),
        (AUSTRALIAN | {"name": " "}, "name"),
    ],
)
def test_a_seller_whose_invoices_would_be_wrong_is_refused(seller: dict[str, str], field: str) -> None:
    was = Seller.objects.get(id=1)
    with pytest.raises(BadInput) as refused:
        operations.set_seller(**seller, now=at())
    assert refused.value.field == field
    assert Seller.objects.get(id=1).__dict__.items() >= {"name": was.name, "tax_id": was.tax_id}.items()


# --- fields


Fields = list[tuple[str, str, Callable[[Invoice], str]]]
# What the law wants, where it says so, and what must stand in the document.
AU_FIELDS: Fields = [
    ("the words", "GST Act 29-70 (1)(a)", lambda _: "Tax invoice"),
    ("the seller's identity", "29-70 (1)(c)(i)", lambda i: i.seller["name"]),
    ("the seller's ABN", "29-70 (1)(c)(i)", lambda _: "ABN 51 824 753 556"),
    ("the buyer's identity from $1,000", "29-70 (1)(c)(ii)", lambda i: i.buyer["name"]),
    ("what is supplied", "29-70 (1)(c)(iii)", lambda _: "Message credit"),
    ("its quantity", "29-70 (1)(c)(iii)", lambda _: "1"),
    ("its price", "29-70 (1)(c)(iii)", lambda _: "A$1,100.00"),
    ("the extent to which it is taxable", "29-70 (1)(c)(iv)", lambda _: "GST 10 %"),
    ("the date of issue", "29-70 (1)(c)(v)", lambda _: "15 March 2026"),
    ("the GST", "29-70 (1)(c)(vi)", lambda _: "A$100.00"),
    ("or that the total includes it", "29-70 (1)(c)(vi)", lambda _: "Total price includes GST."),
]
EU_FIELDS: Fields = [
    ("date of issue", "Article 226 (1)", lambda _: "15 March 2026"),
    ("sequential number", "226 (2)", operations.number_of),
    ("the supplier's VAT id", "226 (3)", lambda _: "VAT DE136695976"),
    ("the customer's VAT id", "226 (4)", lambda _: IRISH_VAT),
    ("the supplier's name", "226 (5)", lambda i: i.seller["name"]),
    ("the supplier's address", "226 (5)", lambda _: "Beispielweg 12"),
    ("the customer's name", "226 (5)", lambda i: i.buyer["name"]),
    ("the customer's address", "226 (5)", lambda _: "Kai 7"),
    ("quantity and nature", "226 (6)", lambda _: "Message credit"),
    ("date of the payment on account", "226 (7)", lambda _: "Paid on"),
    ("taxable amount", "226 (8)", lambda _: "€119.00"),
    ("unit price without tax", "226 (8)", lambda _: "€119.00"),
    ("rate", "226 (9)", lambda _: "VAT 0 %"),
    ("amount of VAT", "226 (10)", lambda _: "€0.00"),
    ("reverse charge", "226 (11a)", lambda _: "Reverse charge"),
    ("the provision", "226 (11)", lambda _: "Articles 44 and 196 of Directive 2006/112/EC"),
]


def versions(invoice: Invoice) -> dict[str, str]:
    """The document in the mail's text, in its HTML, and on paper."""
    mail.send(customer_id=invoice.customer_id, invoice_id=invoice.id, now=at())
    sent = outbox.outbox[-1]
    html = re.sub(r"<[^>]+>", " ", str(sent.alternatives[0][0]))  # type: ignore[attr-defined]
    paper = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf.render(invoice, BERLIN))).pages)
    return {name: " ".join(text.split()) for name, text in (("text", str(sent.body)), ("html", html), ("paper", paper))}


def missing(fields: Fields, invoice: Invoice) -> list[tuple[str, str, str]]:
    shown = versions(invoice)
    return [(version, *field[:2]) for version, text in shown.items() for field in fields if field[2](invoice) not in text]


def test_an_australian_tax_invoice_has_every_field_wherever_it_is_read(cast: Cast) -> None:
    # S-020 S-021 S-022
    clinic = cast.clinic()
    settle_in(clinic, "AU", time_zone="Australia/Sydney")
    assert missing(AU_FIELDS, again(bought(clinic, 1_100 * MICROS, currency="AUD", now=NOON))) == []


def test_an_invoice_under_reverse_charge_has_every_field_of_article_226(cast: Cast) -> None:
    # S-020 S-021 S-022
    clinic = cast.clinic()
    settle_in(clinic, "IE", tax_id=IRISH_VAT, time_zone="Europe/Dublin")
    with selling(GERMAN):
        invoice = again(bought(clinic, now=NOON))
    assert missing(EU_FIELDS, invoice) == []
    assert missing([("nothing", "", lambda _: "Total price includes GST.")], invoice) != []


def test_the_tax_is_stated_in_the_states_own_currency_too(cast: Cast) -> None:
    # Article 230
    clinic = cast.clinic()
    settle_in(clinic, "PL", time_zone="Europe/Warsaw")
    operations.record_exchange_rate(currency="PLN", day=date(2026, 3, 14), per_euro_micros=4_250_000)
    with selling(GERMAN):
        invoice = again(bought(clinic, 123 * MICROS, now=NOON))
        assert "local_micros" not in bought(clinic, currency="PLN", now=NOON).tax
    assert (invoice.tax_micros, invoice.tax["local_micros"]) == (23 * MICROS, 97_750_000)
    assert missing([("VAT in zloty", "230", lambda _: "PLN 97.75")], invoice) == []


def test_a_french_buyer_with_a_vat_id_and_a_private_one_differ_by_the_tax_and_not_by_the_price(cast: Cast) -> None:
    business, private = cast.clinic(), cast.clinic()
    settle_in(business, "FR", tax_id=FRENCH_VAT)
    settle_in(private, "FR")
    with selling(GERMAN):
        shown = [bought(each, 120 * MICROS, now=NOON) for each in (business, private)]
    assert [each.total_micros for each in shown] == [120 * MICROS] * 2
    assert [each.tax_micros for each in shown] == [0, 20 * MICROS]


def test_where_tax_is_due_at_use_a_purchase_gets_a_receipt_that_says_so(cast: Cast) -> None:
    clinic = cast.clinic()
    settle_in(clinic, "DE")
    with selling(GERMAN, tax_point="use"):
        receipt = again(bought(clinic, now=NOON))
    assert (receipt.kind, receipt.tax_micros, operations.number_of(receipt)) == (
        "receipt", 0, f"R{clinic.customer.number}-000001"
    )  # fmt: skip
    shown = versions(receipt)
    for text in shown.values():
        assert "Payment receipt" in text
        assert "not a tax invoice" in text
        assert "VAT 19 %" not in text
