"""A month as a file: CSV with every movement, PDF with sums by day."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from postmeter.customers import queries as customers
from postmeter.db.public_ids import public_ids
from postmeter.invoicing.pdf import typeset
from postmeter.kit import csv
from postmeter.kit.money import MICROS, format_amount
from postmeter.statements import months
from postmeter.statements.queries import MESSAGES, Month, words_of
from postmeter.wallets import queries as wallets

TEMPLATE = Path(__file__).parent / "statement.typ"


def csv_of(month: Month) -> Iterator[bytes]:
    """Every movement with its running balance, between the opening and the closing one.

    Of a closed month it is always the same file, byte for byte: its SHA-256 is what was mailed at close. So it says codes and
    not words, and the times of the zone in which the month was closed.
    """
    unit = month.wallet.unit
    headers = ["Entry", f"Time ({month.time_zone})", "What", "Concerns", f"Amount {unit}", f"Balance {unit}"]
    return csv.write(headers, _rows(month))


def sha256_of(month: Month) -> str:
    """The hash of the CSV file, in hexadecimal."""
    found = hashlib.sha256()
    for line in csv_of(month):
        found.update(line)
    return found.hexdigest()


def name_of(month: Month, kind: str) -> str:
    return f"statement-{months.written(month.month)}.{kind}"


def _rows(month: Month) -> Iterator[Sequence[csv.Cell]]:
    zone, ids = ZoneInfo(month.time_zone), public_ids()
    yield "", _time(month.since, zone), "opening", "", None, _decimal(month.opening_micros)
    whose = month.wallet.customer_id
    for line in wallets.lines(customer_id=whose, wallet=month.wallet, since=month.since, until=month.until):
        prefix = "SM" if line.code in MESSAGES else "TU" if line.code == "top_up" else ""
        concerns = ids.encode(prefix, line.ref_id) if prefix else ""
        yield (
            ids.encode("LE", line.id),
            _time(line.at, zone),
            line.code,
            concerns,
            _decimal(line.amount_micros),
            _decimal(line.balance_micros),
        )
    yield "", _time(month.until, zone), "closing", "", None, _decimal(month.closing_micros)


def _time(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).isoformat(sep=" ", timespec="milliseconds")


def _decimal(micros: int) -> Decimal:
    return Decimal(micros) / MICROS


def pdf_of(month: Month) -> bytes:
    """The month on paper: the sums by kind and by day, and the hash by which the full list can be checked."""
    unit, zone = month.wallet.unit, ZoneInfo(month.time_zone)
    customer = customers.customer(customer_id=month.wallet.customer_id)
    closed = month.closed
    day = (closed.closed_at if closed else month.since).astimezone(zone).date()
    return typeset(
        TEMPLATE,
        {
            "statement": {
                "day": [day.year, day.month, day.day],
                "customer": customer.name,
                "number": str(customer.number),
                "month": f"{month.month:%B %Y}",
                "unit": unit,
                "zone": month.time_zone,
                "since": f"{month.since.astimezone(zone):%d %B %Y}",
                "until": f"{(month.until - timedelta(seconds=1)).astimezone(zone):%d %B %Y}",
                "opening": format_amount(month.opening_micros, unit),
                "closing": format_amount(month.closing_micros, unit),
                "groups": [[group.words, format_amount(group.amount_micros, unit)] for group in month.groups],
                "days": [
                    [
                        f"{each.day:%d %b}",
                        words_of(each.code, each.count),
                        format_amount(each.amount_micros, unit),
                        format_amount(each.balance_micros, unit),
                    ]
                    for each in month.days
                ],
                "closed": f"{closed.closed_at.astimezone(zone):%d %B %Y %H:%M}" if closed else "",
                "sha256": closed.sha256 if closed else "",
            }
        },
    )
