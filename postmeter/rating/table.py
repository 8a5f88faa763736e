"""Prices as an operator keeps them: a CSV table, set all at once for a plan or for one customer."""

import re
from datetime import datetime

from django.db import IntegrityError, transaction

from postmeter.db import scope
from postmeter.db.scope import EVERYBODY
from postmeter.kit import csv
from postmeter.kit.csv import Table
from postmeter.kit.money import parse_decimal_string
from postmeter.kit.refusals import BadInput, Conflict
from postmeter.rating import operations, queries
from postmeter.rating.models import PriceList
from postmeter.rating.operations import NewRate
from postmeter.rating.packs import Tier

MOST_DIGITS = 9
COLUMNS = ("channel", "direction", "prefix", "country", "price", "fee")
CHANNELS, DIRECTIONS = ("sms", "mms", "fax", "voice", "email"), ("in", "out", "hand")


def read(content: bytes) -> list[NewRate]:
    """Raises BadInput."""
    return rates_of(csv.read(content, header=True))


def set_prices(
    *, rates: list[NewRate], plan: str, customer_id: int, currency: str, valid_from: datetime, now: datetime, actor: str
) -> int:
    """Let these prices hold for a plan (`customer_id` 0) or for one customer, from a day on. Returns how many.

    What a prefix cost before ends then; prefixes that are not named stay. Raises BadInput, Conflict.
    """
    with scope.every_customer():
        found = _list_of(plan, customer_id, currency, now, actor)
        if found.currency != currency:
            raise BadInput(f"These prices are in {found.currency}.", field="currency", remedy="Choose another list.")
        try:
            with transaction.atomic():
                return operations.set_rates(price_list=found, new=rates, valid_from=valid_from, now=now, actor=actor)
        except IntegrityError:
            raise Conflict("A prefix has a price from that day on already.", field="from", remedy="Choose another day.") from None


def set_packs(
    *, tiers: str, plan: str, customer_id: int, currency: str, valid_from: datetime, now: datetime, actor: str
) -> list[Tier]:
    """Let credits of a plan, or of one customer's own list, cost so much. `tiers` as people write them. Raises BadInput."""
    found = read_packs(tiers)
    with scope.every_customer():
        price_list = queries.plan_list(plan=plan) if customer_id == EVERYBODY else queries.own_list(customer_id=customer_id)
        if price_list is None:
            raise BadInput("There is no such price list.", field="plan", remedy="Set its prices first.")
        try:
            with transaction.atomic():
                operations.set_packs(
                    price_list=price_list, currency=currency, tiers=found, valid_from=valid_from, now=now, actor=actor
                )
        except IntegrityError:
            raise Conflict("Credits have a price from that day on already.", field="from", remedy="Choose another day.") from None
    return found


def read_packs(text: str) -> list[Tier]:
    """Pack prices as people write them: "1 = 0.10; 1000 = 0.08", from a quantity on each costs so much. Raises BadInput."""
    tiers = []
    for part in re.split(r"[;\n]", text):
        if not part.strip():
            continue
        quantity, _, price = (each.strip() for each in part.partition("="))
        if not (quantity.isascii() and quantity.isdigit() and len(quantity) <= MOST_DIGITS):
            raise BadInput(f"{part.strip()[:40]!r} is no pack price.", field="tiers", remedy="Write 1000 = 0.08.")
        tiers.append(Tier(int(quantity), parse_decimal_string(price, field="tiers")))
    return tiers


def _list_of(plan: str, customer_id: int, currency: str, now: datetime, actor: str) -> PriceList:
    if customer_id == EVERYBODY:
        found = queries.plan_list(plan=plan)
        name = plan.capitalize()
    else:
        found, name = queries.own_list(customer_id=customer_id), "Agreed prices"
    return found or operations.create_price_list(
        customer_id=customer_id, name=name, plan=plan, currency=currency, payable=operations.USUAL_PAYABLE, now=now, actor=actor
    )


def rates_of(table: Table) -> list[NewRate]:
    """The prices in a table with the columns of COLUMNS. Raises BadInput that names line and column; all rows or none."""
    headers = [header.strip().lower() for header in table.headers]
    missing = [name for name in COLUMNS if name not in headers]
    if missing:
        raise BadInput(f"The table has no column {missing[0]}.", field="file", remedy=f"It needs {', '.join(COLUMNS)}.")
    if not table.rows:
        raise BadInput("The table has no rows.", field="file", remedy="Write one for each destination.")
    rates, seen = [], set()
    for row in table.rows:
        if row.problem:
            raise BadInput(f"Line {row.line}: {row.problem}", field="file")
        rate = _rate(row.line, dict(zip(headers, (cell.strip() for cell in row.cells), strict=True)))
        place = (rate.channel, rate.direction, rate.prefix)
        if place in seen:
            raise BadInput(
                f"Line {row.line}: this destination stands in the table before.", field="file", remedy="Keep one of them."
            )
        seen.add(place)
        rates.append(rate)
    return rates


def _rate(line: int, cells: dict[str, str]) -> NewRate:
    for name, allowed in (("channel", CHANNELS), ("direction", DIRECTIONS)):
        if cells[name] not in allowed:
            raise BadInput(f"Line {line}: {name} is {cells[name]!r}.", field=name, remedy=f"Use {', '.join(allowed)}.")
    prefix = cells["prefix"].removeprefix("+")
    if not (prefix.isascii() and prefix.isdigit()):
        raise BadInput(f"Line {line}: a prefix is digits.", field="prefix", remedy="Write the country code and what follows.")
    try:
        price, fee = (parse_decimal_string(cells[name] or "0", field=name) for name in ("price", "fee"))
    except BadInput as wrong:
        raise BadInput(f"Line {line}: {wrong.text}", field=wrong.field, remedy=wrong.remedy) from wrong
    if price < 0 or fee < 0:
        raise BadInput(f"Line {line}: a price cannot be negative.", field="price", remedy="Leave the destination out instead.")
    return NewRate(cells["channel"], cells["direction"], prefix, cells["country"].upper(), price, fee)
