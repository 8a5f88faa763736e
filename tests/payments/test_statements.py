"""Bank statements are read whole or refused in a sentence: camt.053, camt.054, MT940 and CSV. A-35, S-141."""

import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from postmeter.kit.money import MICROS
from postmeter.payments.wire import BadStatement, Layout, read
from postmeter.payments.wire.entry import MAX_BYTES, Direction, Entry
from postmeter.payments.wire.reference import found, reference_of
from tests.payments.bank import DAY, IBAN, Arrived, Bank

RF = reference_of(100_100)
PAID = Arrived("50.00", (f"Credit for Harbour {RF[:9]}", f"{RF[9:]} thanks"), ref="2026112000017")


@pytest.fixture(scope="module")
def statements() -> list[Path]:
    folder = os.environ.get("POSTMETER_REFERENCE_DATA")
    if not folder:
        pytest.skip("no reference data")
    return sorted((Path(folder) / "mt940").glob("*/*.sta"))


def test_all_real_mt940_files_are_read_or_refused_in_a_sentence(statements: list[Path]) -> None:
    assert len(statements) == 49
    refused: dict[str, str] = {}
    for path in statements:
        try:
            reading = read(path.read_bytes(), path.name)
        except BadStatement as refusal:
            assert refusal.text.startswith(path.name), refusal.text
            assert refusal.remedy
            refused[f"{path.parent.name}/{path.stem}"] = refusal.text
            continue
        lines = [line.lstrip() for line in path.read_bytes().decode("latin-1").splitlines()]
        assert len(reading.entries) + reading.left_out == sum(line.startswith(":61:") for line in lines), path
    no_currency = {
        "betterplace/empty_entry_date",
        "cmxl/statement_details",
        "cmxl/statement_line",
        "self-provided/sparkassen",
    }
    old_currency = {"cmxl/mt940", "self-provided/raphaelm"}  # German marks
    interim = {"mBank/mt942", "self-provided/mt942"}
    assert set(refused) == no_currency | old_currency | interim | {"self-provided/invalid_statement"}
    assert all("does not say its currency" in refused[name] for name in no_currency)
    assert all("interim report" in refused[name] for name in interim)


def test_real_entries_are_what_the_bank_wrote(statements: list[Path]) -> None:
    path = next(path for path in statements if path.match("mBank/mt940.sta"))
    entries = read(path.read_bytes(), path.name).entries
    assert [entry.account for entry in entries] == ["PL29114010810000267002001002"] * 3
    assert {entry.direction for entry in entries} == {Direction.CREDIT}
    text = path.read_text("latin-1")
    assert all(str(Decimal(entry.amount_micros) / MICROS).replace(".", ",") in text for entry in entries)


def of(reading_entries: tuple[Entry, ...]) -> list[tuple[object, ...]]:
    return [
        (
            each.account or IBAN,
            each.currency,
            each.amount_micros,
            each.direction,
            each.valued_on,
            each.bank_ref,
            found(each.texts),
        )
        for each in reading_entries
    ]


def test_a_day_is_the_same_in_every_format() -> None:
    bank, fee = Bank(), Arrived("7.50", ("Account fee",), ref="2026112000018", debit=True)
    expected = [
        (IBAN, "USD", 50 * MICROS, "credit", DAY, "2026112000017", (RF,)),
        (IBAN, "USD", 7_500_000, "debit", DAY, "2026112000018", ()),
    ]
    files = {
        "camt.053": bank.camt053(PAID, fee),
        "camt.054": bank.camt054(PAID, fee),
        "mt940": bank.mt940(PAID, fee),
        "csv": bank.csv(PAID, fee),
    }
    for kind, data in files.items():
        reading = read(data, "day")
        assert (reading.kind, of(reading.entries), reading.unbalanced) == (kind, expected, ())


@pytest.mark.parametrize("version", ["02", "04", "08", "13"])
def test_any_version_of_camt_is_read(version: str) -> None:
    assert len(read(Bank().camt053(PAID, version=version), "day").entries) == 1


def test_a_structured_reference_is_found() -> None:
    arrived = Arrived("50.00", (), structured=RF)
    assert found(read(Bank().camt054(arrived), "day").entries[0].texts) == (RF,)


def test_a_collective_entry_is_one_entry_a_payment_where_it_names_them() -> None:
    def payment(amount: str, text: str) -> str:
        return f"<TxDtls><Amt Ccy='USD'>{amount}</Amt><RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls>"

    data = Bank().camt054(Arrived("50.00", (), ref="B1")).decode()
    start, end = data.index("<TxDtls>"), data.index("</NtryDtls>")
    named = data[:start] + payment("20.00", RF) + payment("30.00", "nothing") + data[end:]
    entries = read(named.encode(), "day").entries
    assert [(each.amount_micros, each.bank_ref, each.payments) for each in entries] == [
        (20 * MICROS, "B1/1", 1),
        (30 * MICROS, "B1/2", 1),
    ]
    unnamed = data[:start] + "<Btch><NbOfTxs>3</NbOfTxs></Btch>" + data[end:]
    assert [(each.amount_micros, each.payments) for each in read(unnamed.encode(), "day").entries] == [(50 * MICROS, 3)]
    contradicting = data[:start] + payment("20.00", RF) + payment("31.00", "nothing") + data[end:]
    assert [(each.amount_micros, each.payments) for each in read(contradicting.encode(), "day").entries] == [(50 * MICROS, 2)]


def test_what_is_not_booked_yet_is_left_out() -> None:
    data = Bank().camt054(PAID).replace(b"BOOK", b"PDNG")
    reading = read(data, "day")
    assert (reading.entries, reading.left_out) == ((), 1)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><Document>&b;</Document>"""
FILE = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><Document>&a;</Document>"""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "day is empty"),
        (b" " * (MAX_BYTES + 1), "larger than 20 MB"),
        (BOMB, "document type or entities"),
        (FILE, "document type or entities"),
        (b"<Document><BkToCstmrStmt>", "not well-formed"),
        (b"<Document><BkToCstmrAcctRpt/></Document>", "neither a camt.053 nor a camt.054"),
        (b"<Document><BkToCstmrStmt/></Document>", "no statement"),
        (Bank().camt053(PAID).replace(b">50.00<", b">5O.00<"), "entry 1: '5O.00' is not an amount"),
        (Bank().camt053(PAID).replace(b"'USD'", b"'XXL'"), "is not a currency"),
        (Bank().camt053(PAID).replace(b">50.00<", b">50.001<"), "too many decimals"),
        (Bank().camt053(PAID).replace(b"2026-11-20", b"yesterday"), "entry 1 has no date"),
        (Bank().mt940(PAID).replace(b"C50,00", b"X50,00"), "line 5: 2611201120X50,00"),
        (Bank().mt940(PAID).replace(b"USD", b"DEM"), "DEM is not a currency"),
        (b"Date,Description\n2026-11-20,x", "no column for amount"),
        (b"Date,Amount,Description,Currency\n2026-11-20,1.234,x,USD", "line 2: '1.234' could be read in two ways"),
        (b"Date,Amount,Description,Currency\n03/04/2026,5,x,USD", "line 2: 3/4/2026 could be read in two ways"),
        (b"Date,Amount,Description,Currency\nTotal,5,x,USD", "line 2: 'Total' is not a date"),
        (b"Date,Amount,Description,Currency\n2026-11-20,5,USD", "line 2: This row has 3 cells"),
    ],
)
def test_what_cannot_be_read_is_refused_with_file_place_and_remedy(data: bytes, words: str) -> None:
    with pytest.raises(BadStatement) as refused:
        read(data, "day")
    assert words in refused.value.text
    assert refused.value.text.startswith("day")
    assert refused.value.remedy


def test_entries_that_do_not_lead_to_the_closing_balance_are_noticed() -> None:
    """A cut file; or a payer whose text begins a line like an entry does."""
    second = Arrived("9.00", ("another",))
    assert read(Bank().mt940(PAID, second), "day").unbalanced == ()
    whole = Bank().mt940(PAID, second)
    cut = whole[: whole.index(b":61:", whole.index(b":61:") + 1)] + whole[whole.index(b":62F:") :]
    forged = Bank().mt940(PAID).replace(b" thanks", b"\r\n:61:2611201120C9999,00NTRFNONREF")
    camt = Bank().camt053(PAID, second)
    less = camt[: camt.rindex(b"<Ntry>")] + camt[camt.index(b"</Stmt>") :]
    for data in (cut, forged, less):
        [sentence] = read(data, "day").unbalanced
        assert "closing balance" in sentence


@pytest.mark.parametrize(
    ("told", "amount"),
    [
        ("1,234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("-50", "-50"),
        ("50.00-", "-50"),
        ("1 234,50", "1234.50"),
        ("0,5", "0.5"),
    ],
)
def test_amounts_are_read_as_banks_write_them(told: str, amount: str) -> None:
    [entry] = read(f"Datum;Betrag;Verwendungszweck\n20.11.26;{told};x".encode(), "day", Layout({}, currency="EUR")).entries
    assert Decimal(entry.signed_micros) / MICROS == Decimal(amount)
    assert entry.booked_on == date(2026, 11, 20)


def test_a_csv_is_read_by_the_columns_that_one_names() -> None:  # S-141
    data = b"When,What,In,Out\n11/20/2026,RF,5,\n11/21/2026,fee,,3\n"
    layout = Layout({"booked": "When", "text": "What", "credit": "In", "debit": "Out"}, account="1", currency="USD")
    entries = read(data, "day", layout).entries
    assert [(each.signed_micros, each.booked_on.day, each.account) for each in entries] == [
        (5 * MICROS, 20, "1"),
        (-3 * MICROS, 21, "1"),
    ]
    with pytest.raises(BadStatement, match="there is no column 'Whatever'"):
        read(data, "day", Layout({"text": "Whatever"}))
