"""A bank's CSV: no two banks' are alike, so its columns are named by their headers, guessed or told."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from postmeter.kit import csv
from postmeter.payments.wire.entry import MAX_BYTES, BadStatement, Direction, Entry, Reading, micros_of, own_reference

# Headers that say the same, as banks write them, in the order in which they are looked for.
HEADERS = {
    "booked": ("booked", "booking date", "booked on", "date", "transaction date", "buchungstag", "buchungsdatum", "datum"),
    "valued": ("value date", "valued", "valuta", "wertstellung", "valutadatum"),
    "amount": ("amount", "betrag", "umsatz", "bedrag"),
    "credit": ("credit", "credit amount", "paid in", "money in", "gutschrift", "haben"),
    "debit": ("debit", "debit amount", "paid out", "money out", "belastung", "soll"),
    "currency": ("currency", "ccy", "währung", "waehrung"),
    "account": ("account", "account number", "iban", "auftragskonto"),
    "reference": ("bank reference", "transaction id", "transaction reference", "reference id", "bankreferenz"),
    "payer": ("payer", "payer name", "name", "counterparty", "from", "auftraggeber", "beguenstigter/zahlungspflichtiger"),
    "text": (
        "remittance",
        "remittance information",
        "description",
        "details",
        "reference",
        "text",
        "narrative",
        "verwendungszweck",
    ),
}
NEEDED = ("booked", "text")
_ISO, _DOTTED = re.compile(r"(\d{4})-(\d\d)-(\d\d)"), re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4}|\d\d)")
_SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read. `columns`: our word -> header, for what is not guessed right; `day_first`: of 03/04/2026."""

    columns: Mapping[str, str]
    day_first: bool | None = None
    decimal: str = ""  # "." or ",": needed only where an amount could be read in two ways
    account: str = ""  # whose statement it is, where no column says so
    currency: str = ""


def read(data: bytes, name: str, layout: Layout) -> Reading:
    """Read a CSV with a header. Refuses BadStatement, naming the line: a missing column, or a cell that could be read in two ways."""
    try:
        table = csv.read(data, header=True, max_bytes=MAX_BYTES)
    except csv.BadFile as error:
        raise BadStatement(f"{name}: {error.text}", remedy=error.remedy) from error
    places = _columns(table.headers, layout, name)
    entries = []
    for row in table.rows:
        where = f"{name}, line {row.line}"
        if row.problem:
            raise BadStatement(f"{where}: {row.problem}", remedy="Remove lines that are no entries, such as totals.")
        cells = {word: row.cells[place].strip() for word, place in places.items()}
        entries.append(_entry(cells, layout, row.line, where))
    booked = tuple(entry for entry in entries if entry.amount_micros)
    return Reading("csv", booked, len(entries) - len(booked))


def _columns(headers: tuple[str, ...], layout: Layout, name: str) -> dict[str, int]:
    by_name = {header.casefold(): place for place, header in reversed(list(enumerate(headers)))}
    places: dict[str, int] = {}
    for word, header in layout.columns.items():
        if word not in HEADERS or header.casefold() not in by_name:
            raise BadStatement(
                f"{name}: there is no column {header!r} for {word!r}.",
                remedy=f"Its columns are {', '.join(headers)}; ours are {', '.join(HEADERS)}.",
            )
        places[word] = by_name[header.casefold()]
    for word, known in HEADERS.items():
        free = (by_name[each] for each in known if each in by_name and by_name[each] not in places.values())
        if word not in places and (place := next(free, None)) is not None:
            places[word] = place
    missing = [word for word in NEEDED if word not in places]
    if not places.keys() & {"amount", "credit"}:
        missing.append("amount")
    if missing:
        raise BadStatement(
            f"{name}: no column for {' and '.join(missing)}.", remedy=f"Say which of {', '.join(headers)} it is, by its header."
        )
    return places


def _entry(cells: dict[str, str], layout: Layout, line: int, where: str) -> Entry:
    currency = (cells.get("currency") or layout.currency).upper()
    amount = _amount(cells.get("amount", ""), layout, where)
    if not cells.get("amount"):
        amount = abs(_amount(cells.get("credit", ""), layout, where)) - abs(_amount(cells.get("debit", ""), layout, where))
    booked = _day(cells["booked"], layout, where)
    return Entry(
        place=f"line {line}",
        account=cells.get("account") or layout.account,
        currency=currency,
        amount_micros=abs(micros_of(amount, currency, where)),
        direction=Direction.CREDIT if amount >= 0 else Direction.DEBIT,
        booked_on=booked,
        valued_on=_day(cells["valued"], layout, where) if cells.get("valued") else booked,
        bank_ref=own_reference(cells.get("reference")),
        texts=tuple(text for text in (cells["text"], cells.get("reference", "")) if text),
        payer=cells.get("payer", ""),
    )


def _amount(text: str, layout: Layout, where: str) -> Decimal:
    """ "1,234.56", "1.234,56", "-50", "50.00-" and, where told the decimal sign, "1.234". Empty is nothing."""
    digits = re.sub(r"[ \u00a0\u202f']", "", text)
    negative = digits.startswith(("-", "−")) or digits.endswith("-")
    digits = digits.strip("+-−")
    if not digits:
        return Decimal(0)
    if not re.fullmatch(r"[0-9]{1,3}([.,]?[0-9]{3})*([.,][0-9]+)?|[0-9]+([.,][0-9]+)?", digits):
        raise BadStatement(f"{where}: {text!r} is not an amount.", remedy="Say which column has the amounts.")
    sign = layout.decimal or _decimal_sign(digits, text, where)
    whole, _, rest = digits.rpartition(sign) if sign in digits else (digits, "", "")
    value = Decimal(f"{re.sub(r'[.,]', '', whole)}.{rest or 0}")
    return -value if negative else value


def _decimal_sign(digits: str, text: str, where: str) -> str:
    signs = [sign for sign in digits if sign in ".,"]
    if not signs:
        return "."
    if len(signs) == 1 and len(digits) - digits.index(signs[0]) == 4:
        raise BadStatement(f"{where}: {text!r} could be read in two ways.", remedy='Say what the decimal sign is, "." or ",".')
    return signs[-1] if signs.count(signs[-1]) == 1 else {".": ",", ",": "."}[signs[-1]]


def _day(text: str, layout: Layout, where: str) -> date:
    try:
        if found := _ISO.match(text):
            return date(int(found[1]), int(found[2]), int(found[3]))
        if found := _DOTTED.fullmatch(text):
            return date(int(found[3]) + (2000 if len(found[3]) == 2 else 0), int(found[2]), int(found[1]))
        if found := _SLASHED.fullmatch(text):
            return _slashed(int(found[1]), int(found[2]), int(found[3]), layout, where)
    except ValueError:
        pass
    raise BadStatement(f"{where}: {text!r} is not a date.", remedy="Dates are read as 2026-11-23, 23.11.2026 or 23/11/2026.")


def _slashed(first: int, second: int, year: int, layout: Layout, where: str) -> date:
    day_first = layout.day_first if layout.day_first is not None else first > 12 or (None if second <= 12 else False)
    if day_first is None:
        raise BadStatement(
            f"{where}: {first}/{second}/{year} could be read in two ways.", remedy="Say whether the day or the month comes first."
        )
    return date(year, second, first) if day_first else date(year, first, second)
