"""`postmeter seller`: what an operator says about invoices and tax."""

from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from postmeter.cli import seller as commands
from postmeter.cli.seller import command
from postmeter.invoicing import operations, queries
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from tests.cast import Cast
from tests.invoicing.sellers import AUSTRALIAN, bought, selling


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests' seller stands again afterwards; the database is the tests' own."""
    monkeypatch.setattr(commands, "connect", lambda: None)
    with selling(AUSTRALIAN):
        yield


def run(*words: str) -> Result:
    result = CliRunner().invoke(command, words)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def setting(**other: str) -> list[str]:
    said = {
        "name": "Nordlicht GmbH",
        "address": "Beispielweg 12; Hamburg",
        "country": "DE",
        "tax-id": "de136695976",
        "email": "a@b.example",
        "scheme": "eu_vat",
    } | other
    return ["set", *(word for name, value in said.items() for word in (f"--{name}", value))]


def test_a_seller_is_set_and_shown_with_its_rules() -> None:
    assert "tax due at use" in run(*setting(**{"tax-point": "use"})).output
    seller: Any = queries.seller()
    assert (seller.address, seller.tax_id) == ("Beispielweg 12\nHamburg", "VAT DE136695976")
    shown = run("show").output
    for said in ("Nordlicht GmbH", "eu_vat: VAT in the EU", "from 2024-09-01  VAT 25.5 %", "Reverse charge"):
        assert said in shown


def test_a_wrong_tax_id_is_refused_and_nothing_changes() -> None:
    with pytest.raises(BadInput):
        run(*setting(**{"tax-id": "DE136695977"}))
    assert queries.seller().name == AUSTRALIAN["name"]  # type: ignore[union-attr]


def test_rules_and_rates_are_written_once() -> None:
    rule = ["rule", "--scheme", "flat", "--country", "CH", "--from", "2024-01-01", "--name", "MWST", "--rate"]
    assert "MWST 8.1 % in CH" in run(*rule, "8.1").output
    assert queries.tax_rules(scheme="flat")[0].rate_ppm == 81_000
    with pytest.raises(Conflict):
        run(*rule, "8.2")
    with pytest.raises(BadInput):
        run(*rule, "much")
    assert "1 EUR = 0.93 CHF" in run("exchange", "CHF", "0.93", "--day", "2026-11-20").output


def test_a_credit_note_is_issued_by_the_number_of_its_invoice(cast: Cast) -> None:
    #
    clinic = cast.clinic()
    invoice = bought(clinic, 50 * MICROS, currency="USD")
    said = run("credit-note", operations.number_of(invoice), "20.00", "Account closed").output
    [note] = queries.credit_notes(customer_id=clinic.id, invoice_id=invoice.id)
    assert operations.number_of(note) in said
    assert (note.total_micros, note.reason) == (20 * MICROS, "Account closed")
    with pytest.raises(Conflict):
        run("credit-note", operations.number_of(invoice), "40.00", "Twice")
    for nobody in ("C1-999999", "x", "C1001-１"):
        with pytest.raises(NotFound):
            run("credit-note", nobody, "1", "x")
