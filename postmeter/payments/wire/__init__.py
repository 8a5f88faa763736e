"""Bank statements: read, in whatever format a bank writes them, and the references in them found. Pure."""

import re

from postmeter.payments.wire import camt, mt940, table
from postmeter.payments.wire.entry import MAX_BYTES, Reading
from postmeter.payments.wire.entry import BadStatement as BadStatement
from postmeter.payments.wire.table import Layout as Layout

_MT940 = re.compile(rb"^\s*(\{1:|:[0-9]{2}[A-Z]?:|:NS:)", re.MULTILINE)
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def read(data: bytes, name: str, layout: Layout | None = None) -> Reading:
    """Read a bank's file: camt.053, camt.054, MT940 or CSV, by what stands in it. `layout` is for CSV.

    All of it or nothing: whatever cannot be read is refused (BadStatement) with file, place and remedy.
    """
    if len(data) > MAX_BYTES:
        raise BadStatement(f"{name} is larger than {MAX_BYTES // 2**20} MB.", remedy="Import the days one by one.")
    if not data.strip():
        raise BadStatement(f"{name} is empty.", remedy="Download it again.")
    bare = data
    for mark in _BOMS:
        bare = bare.removeprefix(mark)
    if bare.lstrip(b" \t\r\n\0").startswith(b"<"):
        return camt.read(data, name)
    if _MT940.search(data[:4096]):
        return mt940.read(data, name)
    return table.read(data, name, layout or Layout({}))
