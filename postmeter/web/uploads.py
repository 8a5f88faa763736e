"""A list of recipients as a file: kept for a day, its columns guessed, its rows filled into a text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.kit import csv, phone
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.messaging.operations.quote import Wanted
from postmeter.web.models import Upload

MAX_BYTES = 5 * 1024 * 1024
MAX_ROWS = 10_000
KEPT = timedelta(days=1)

_PLACE = re.compile(r"\{([^{}\n]{1,100})\}")
_NUMBER_NAMES = re.compile(r"phone|mobile|cell|handy|number|\btel|\bto\b|\bsms\b|msisdn|whatsapp|recipient", re.IGNORECASE)
_PERSON_NAMES = re.compile(r"\bname\b|first|given|vorname|nombre|prénom", re.IGNORECASE)
_LOOKED_AT = 50


class Gone(NotFound):
    """This file is no longer here."""


@scoped
def keep(*, customer_id: int, name: str, content: bytes, actor: str, now: datetime) -> int:
    """Keep a file that can be read as a table, and forget old ones. Returns its id; raises BadFile (field `file`)."""
    csv.read(content, max_bytes=MAX_BYTES, max_rows=MAX_ROWS)
    forget_old(customer_id=customer_id, now=now)
    upload = Upload(
        customer_id=customer_id,
        id=calls.next_id(),
        name=PurePath(name.replace("\\", "/")).name[:200] or "list.csv",
        content=content,
        created_by=actor,
        created_at=now,
    )
    upload.save(force_insert=True)
    return upload.id


@scoped
def kept(*, customer_id: int, upload_id: int, now: datetime) -> Upload:
    """Raises Gone."""
    found = Upload.objects.filter(customer_id=customer_id, id=upload_id, created_at__gt=now - KEPT).first()
    if found is None:
        raise Gone(remedy="Files are kept for a day. Upload it again.")
    return found


@scoped
def forget_old(*, customer_id: int, now: datetime) -> int:
    """Remove what is older than a day: it holds personal data and nobody needs it. Returns how many."""
    return Upload.objects.filter(customer_id=customer_id, created_at__lte=now - KEPT).delete()[0]


def table_of(upload: Upload, *, header: bool | None) -> csv.Table:
    """The file as a table; `header` says whether the first row names the columns, None: look."""
    return csv.read(bytes(upload.content), header=header, max_bytes=MAX_BYTES, max_rows=MAX_ROWS)


# --- columns


@dataclass(frozen=True, slots=True)
class Guess:
    """Which columns the numbers and the names are in, by position; None where nothing looks like it."""

    number: int | None
    name: int | None


def guess(table: csv.Table, region: str) -> Guess:
    """Numbers are where most cells are numbers; where two columns are alike, the one that is called so."""
    rows = [row for row in table.rows if row.problem is None][:_LOOKED_AT]
    columns = range(len(table.headers))

    def numbers(column: int) -> tuple[int, bool]:
        named = bool(_NUMBER_NAMES.search(table.headers[column]))
        return sum(_is_number(row.cells[column], region) for row in rows), named

    number = max(columns, key=numbers, default=None)
    if number is not None and numbers(number) == (0, False):
        number = None
    names = [column for column in columns if column != number and _PERSON_NAMES.search(table.headers[column])]
    return Guess(number, names[0] if names else None)


def _is_number(cell: str, region: str) -> bool:
    try:
        phone.normalize(cell, region)
    except BadInput:
        return False
    return True


# --- texts


class UnknownColumn(BadInput):
    """The text names a column that the file does not have."""


class MissingValue(BadInput):
    """This row lacks a value that the text needs."""


def wanted(table: csv.Table, *, number: int, text: str) -> list[Wanted]:
    """Each row with the text meant for it. Rows that lack what the text needs carry their problem. Raises UnknownColumn."""
    columns = places(text, table.headers)
    return [_wanted(row, table.headers, columns, number, text) for row in table.rows]


def places(text: str, headers: Sequence[str]) -> dict[str, int]:
    """The columns that a text names in braces, by the words between them: {"Name": 0}. Raises UnknownColumn."""
    known = {_plain(header): position for position, header in enumerate(headers)}
    found: dict[str, int] = {}
    for word in _PLACE.findall(text):
        if _plain(word) not in known:
            listed = ", ".join(f"{{{header}}}" for header in headers)
            raise UnknownColumn(f"There is no column “{word}”.", field="text", remedy=f"The columns are {listed}.")
        found[word] = known[_plain(word)]
    return found


def _plain(header: str) -> str:
    return " ".join(header.split()).casefold()


def _wanted(row: csv.Row, headers: Sequence[str], columns: Mapping[str, int], number: int, text: str) -> Wanted:
    given = row.cells[number] if number < len(row.cells) else ""
    if row.problem:
        return Wanted(given, "", row.line, BadInput(row.problem, field="row"))
    missing = [headers[column] for column in columns.values() if not row.cells[column].strip()]
    if missing:
        names = ", ".join(f"“{name}”" for name in dict.fromkeys(missing))
        return Wanted(given, "", row.line, MissingValue(f"This row has nothing in {names}.", field="value"))
    # One pass: what a cell brings in is never read as a column again.
    body = _PLACE.sub(lambda place: row.cells[columns[place[1]]].strip(), text)
    return Wanted(given, body, row.line)
