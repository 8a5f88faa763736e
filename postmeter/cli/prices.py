"""`postmeter prices …`: prices as an operator keeps them, in a table."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from postmeter.cli.database import connect

if TYPE_CHECKING:
    from postmeter.kit.csv import Table
    from postmeter.rating.operations import NewRate

COLUMNS = ("channel", "direction", "prefix", "country", "price", "fee")
CHANNELS, DIRECTIONS = ("sms", "mms", "fax", "voice", "email"), ("in", "out")


@click.group("prices")
def command() -> None:
    """Set prices from a table."""


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--plan", default="standard", show_default=True, help="Whose price list.")
@click.option("--currency", required=True, help="Three letters.")
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d"]), help="First day (UTC) on which they hold; now, if not said.")
def import_(file: Path, plan: str, currency: str, since: datetime | None) -> None:
    """Let the prices in FILE hold: a CSV with channel, direction, prefix, country, price and fee, per unit. All rows or none.

    What a prefix cost before ends then; prefixes that FILE does not name stay.
    """
    connect()
    from django.db import IntegrityError, transaction
    from django.utils import timezone

    from postmeter.db import scope
    from postmeter.kit import csv
    from postmeter.kit.refusals import BadInput, Conflict
    from postmeter.rating import operations, queries

    rates = _rates(csv.read(file.read_bytes(), header=True))
    now = timezone.now()
    with scope.every_customer():
        found = queries.plan_list(plan=plan)
        if found is None:
            found = operations.create_price_list(
                name=plan.capitalize(), plan=plan, currency=currency, payable=operations.USUAL_PAYABLE, now=now, actor="operator"
            )
        if found.currency != currency:
            raise BadInput(f"The prices of this plan are in {found.currency}.", field="currency", remedy="Choose another plan.")
        try:
            with transaction.atomic():
                count = operations.set_rates(
                    price_list=found, new=rates, valid_from=since.replace(tzinfo=UTC) if since else now, now=now, actor="operator"
                )
        except IntegrityError:
            raise Conflict("A prefix has a price from that day on already.", field="from", remedy="Choose another day.") from None
    click.echo(f"{count} prices of the plan {plan} hold from {since.date() if since else 'now'} on.")


def _rates(table: "Table") -> "list[NewRate]":
    from postmeter.kit.refusals import BadInput

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


def _rate(line: int, cells: dict[str, str]) -> "NewRate":
    from postmeter.kit.money import parse_decimal_string
    from postmeter.kit.refusals import BadInput
    from postmeter.rating.operations import NewRate

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
