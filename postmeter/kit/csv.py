"""Tables that people upload and download, as CSV (RFC 4180).

Reading takes what spreadsheets really write: any of their encodings and delimiters, with or without a header. What is wrong with
the file as a whole is refused; what is wrong with a row is said in the row. Writing lets nothing that users typed be a formula.
"""

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import chain

from postmeter.kit.refusals import BadInput

MAX_BYTES = 20 * 1024 * 1024
MAX_ROWS = 100_000
MAX_COLUMNS = 200

DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 20
_BOMS = {BOM_UTF8: "utf-8-sig", BOM_UTF16_LE: "utf-16", BOM_UTF16_BE: "utf-16"}
_DATA = re.compile(r"@|[0-9]{4}")  # addresses, telephone numbers, dates, amounts: not what columns are called
_LONGEST_NAME = 60


class BadFile(BadInput):
    """This file cannot be read as a table."""


@dataclass(frozen=True, slots=True)
class Row:
    """`line` is where the row begins in the file, from 1. With a `problem` the cells are as found, else one for each header."""

    line: int
    cells: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """`headers` are unique; without a header in the file they are "Column 1", "Column 2", …"""

    headers: tuple[str, ...]
    rows: tuple[Row, ...]
    has_header: bool
    encoding: str
    delimiter: str


# --- reading


def read(data: bytes, *, header: bool | None = None, max_bytes: int = MAX_BYTES, max_rows: int = MAX_ROWS) -> Table:
    """An uploaded file as a table; empty rows are left out. `header` says whether the first row names the columns; None: look.

    Refuses BadFile: too large, too many rows or columns, empty, not text, or with a quote that never ends.
    """
    if len(data) > max_bytes:
        raise _bad(f"The file is larger than {max_bytes // 1024:,} KB.", "Split it into several files.")
    text, encoding = _decode(data)
    delimiter = _delimiter(text)
    found = _records(text, delimiter, max_rows)
    if not found:
        raise _bad("The file is empty.", "Upload a file with at least one row.")
    has_header = _looks_like_header(found[0][1]) if header is None else header
    headers = _headers(found[0][1], named=has_header)
    if len(headers) > MAX_COLUMNS:
        raise _bad(f"The file has more than {MAX_COLUMNS} columns.", "Remove the columns that are not needed.")
    rows = tuple(_row(line, cells, len(headers)) for line, cells in found[has_header:])
    if len(rows) > max_rows:
        raise _bad(f"The file has more than {max_rows:,} rows.", "Split it into several files.")
    return Table(headers, rows, has_header, encoding, delimiter)


def _bad(text: str, remedy: str) -> BadFile:
    return BadFile(text, field="file", remedy=remedy)


def _decode(data: bytes) -> tuple[str, str]:
    marked = next((encoding for bom, encoding in _BOMS.items() if data.startswith(bom)), None)
    for encoding in [marked] if marked else ["utf-8", "cp1252"]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text, encoding
    raise _bad("This is not a text file.", 'Save it as "CSV UTF-8" and upload that.')


def _delimiter(text: str) -> str:
    """The one that cuts the first rows into the same number of cells, and most of them."""

    def evenness(delimiter: str) -> tuple[int, int]:
        try:
            sample = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            widths = [len(cells) for cells, _ in zip(sample, range(_SAMPLE_ROWS), strict=False) if cells]
        except csv.Error:
            return 0, 0
        if not widths or widths[0] == 1:
            return 0, 0
        return Counter(widths)[widths[0]], widths[0]

    return max(DELIMITERS, key=evenness)


def _records(text: str, delimiter: str, max_rows: int) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found.append((begins, cells))
            if len(found) > max_rows + 1:  # the first may be the header
                break
            begins = reader.line_num + 1
    except csv.Error as error:
        raise _bad(
            f"The row that begins at line {begins} cannot be read: {error}.", "Check the quotes in and after it."
        ) from None
    return found


def _looks_like_header(cells: Sequence[str]) -> bool:
    names = [cell.strip() for cell in cells if cell.strip()]
    return len(set(names)) == len(names) and not any(_DATA.search(name) or len(name) > _LONGEST_NAME for name in names)


def _headers(cells: Sequence[str], *, named: bool) -> tuple[str, ...]:
    headers: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = (" ".join(cell.split()) if named else "") or f"Column {number}"
        while name in headers:
            name += f" ({number})"
        headers.append(name)
    return tuple(headers)


def _row(line: int, cells: list[str], width: int) -> Row:
    if len(cells) == width:
        return Row(line, tuple(cells), None)
    count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    return Row(line, tuple(cells), f"This row has {count} where {width} are expected.")


# --- writing


Cell = str | int | Decimal | date | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0", "\n", "＝", "＋", "－", "＠")


def safe_cell(cell: Cell) -> str:
    """A cell that no spreadsheet runs as a formula (ASVS 1.2.10): text that could be one gets an apostrophe in front.

    Only text comes from users. Numbers and dates are ours and stay what they are, also below zero.
    """
    match cell:
        case None:
            return ""
        case str():
            return f"'{cell}" if cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA) else cell
        case Decimal():
            return f"{cell:f}"  # never with an exponent
        case int():
            return str(cell)
        case date():
            return cell.isoformat()
    raise TypeError(f"{type(cell).__name__} does not belong into a table")


def write(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """The lines of a CSV file, one at a time: UTF-8 with the mark by which spreadsheets know it, CRLF, quotes where needed."""
    line = io.StringIO(newline="")
    writer = csv.writer(line)  # its default dialect is RFC 4180
    yield BOM_UTF8
    for row in chain([headers], rows):
        if len(row) != len(headers):
            raise ValueError(f"a row of {len(row)} cells under {len(headers)} headers")
        writer.writerow([safe_cell(cell) for cell in row])
        yield line.getvalue().encode()
        line.seek(0)
        line.truncate()
