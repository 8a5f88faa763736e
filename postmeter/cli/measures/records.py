"""Records: the log of 30 days at a million entries, its CSV, the proof of a balance before a charge, and invoices."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.utils import timezone

from postmeter.cli.measures import Figure, figure, rate, side_by_side, world
from postmeter.customers.models import Customer
from postmeter.invoicing import operations as invoicing
from postmeter.kit import csv
from postmeter.kit.money import MICROS
from postmeter.ledger import queries as ledger
from postmeter.wallets import queries as wallets

DAYS, ROUNDS = 30, 3
_SUM = "SELECT count(*), sum(amount_micros) FROM ledger_resolution WHERE customer_id = %s AND debit_account_id = %s AND action = 'post'"
_ALL = _SUM.replace("count(*), sum(amount_micros)", "id, at, code, ref_id, amount_micros")


def filled(owner_url: str, rows: int) -> Customer:
    """A customer whose pool has paid for this many messages in the last 30 days."""
    customer = world.customer()
    account = wallets.pool(customer_id=customer.id).account_id
    start, step = datetime.now(UTC) - timedelta(days=DAYS), timedelta(days=DAYS) / rows
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("SELECT db_ensure_partitions(%s, %s)", [start, 12])
        owner.execute(
            """INSERT INTO ledger_resolution (customer_id, hold_id, id, action, debit_account_id, credit_account_id, amount_micros,
                   code, ref_id, at)
               SELECT %(customer)s, db_id_at(u.at), db_id_at(u.at) + 1, 'post', %(account)s, 1, 11400, 'sms', u.n, u.at
               FROM (SELECT n, %(start)s + n * %(step)s::interval AS at FROM generate_series(0, %(rows)s::bigint - 1) AS n) u""",
            {"customer": customer.id, "start": start, "step": step, "account": account, "rows": rows},
        )
        owner.execute("VACUUM ANALYZE ledger_resolution")
    return customer


def of_the_log(owner_url: str, rows: int) -> list[Figure]:
    """Rows of the log a second: as sums by day (the page), as its first page of single lines, as CSV, and as proof of the balance.

    The floor is what PostgreSQL needs to add up the same rows, or to hand them out, and nothing else.
    """
    customer = filled(owner_url, rows)
    account, now = wallets.pool(customer_id=customer.id).account_id, timezone.now()
    span: dict[str, Any] = {
        "customer_id": customer.id,
        "account_id": account,
        "since": now - timedelta(days=DAYS + 1),
        "until": now,
    }
    with psycopg.connect(owner_url) as owner:
        added = lambda: owner.execute(_SUM, [customer.id, account]).fetchone()  # noqa: E731
        handed = lambda: owner.execute(_ALL, [customer.id, account]).fetchall()  # noqa: E731

        def beside(name: str, work: Callable[[], object], floor: Callable[[], object]) -> Figure:
            value, least = side_by_side(lambda: void(work()), lambda: void(floor()), rows=rows, rounds=ROUNDS)
            return figure(name, value, "entries/s", least, rows)

        return [
            beside("log_by_day", lambda: ledger.daily_statement(**span, time_zone="UTC"), added),
            beside("log_page", lambda: ledger.statement_page(**span, after_id=None, at_most=50), added),
            beside("log_csv", lambda: _csv(span), handed),
            beside("proof", lambda: ledger.is_proven(customer_id=customer.id, account_id=account), added),
        ]


def _csv(span: dict[str, Any]) -> int:
    cells = ((line.at, line.code, line.ref_id, line.amount_micros, line.balance_micros) for line in ledger.lines(**span))
    return sum(len(part) for part in csv.write(["Time", "What", "Concerns", "Amount", "Balance"], cells))


def invoices(*, owner_url: str, pgbench: float, rows: int) -> Figure:
    """Invoices a second by one process, each with its number, its tax and its fact, in a transaction of its own."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(
            """INSERT INTO invoicing_seller (id, name, address, country, tax_id, tax_scheme, tax_point, email)
               VALUES (1, 'Bench', '1 Street', 'AU', '', 'none', 'purchase', 'b@b.example') ON CONFLICT DO NOTHING"""
        )
    customer = world.customer()
    line = invoicing.Line("Message credit", 1, 20 * MICROS)

    def issue() -> None:
        for turn in range(rows):
            invoicing.issue(customer_id=customer.id, subject_id=turn + 1, currency="USD", lines=[line], now=timezone.now())

    return figure("invoices", rate(issue, rows), "invoices/s", pgbench, rows)


def void(_: object) -> None:
    """What was read is thrown away."""
