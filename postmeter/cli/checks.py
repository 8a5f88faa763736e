"""What `postmeter verify` recomputes, over every customer."""

from collections.abc import Callable
from dataclasses import dataclass, field

from postmeter.customers.queries import every_customer
from postmeter.db import calls, scope
from postmeter.ledger import queries as ledger
from postmeter.messaging import queries as messaging
from postmeter.terms import queries as terms
from postmeter.topups import queries as topups
from postmeter.wallets import queries as wallets

Row = tuple[object, ...]


@dataclass(slots=True)
class Check:
    """One question put to every customer's books, and the rows that fail it."""

    room: str
    name: str
    statement: str
    customers: int = 0
    wrong: list[tuple[int, Row]] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    checks: list[Check]
    customers: int = 0
    accounts: int = 0
    transfers: int = 0
    resolutions: int = 0

    @property
    def ok(self) -> bool:
        return not any(check.wrong for check in self.checks)


def verify_all(progress: Callable[[int, int], None] | None = None) -> Report:
    """Run every check for every customer, each customer in one snapshot."""
    report = Report(
        [
            Check(room, name, statement)
            for room, checks in (
                ("ledger", ledger.CHECKS),
                ("messaging", messaging.CHECKS),
                ("topups", topups.CHECKS),
                ("terms", terms.CHECKS),
                ("wallets", wallets.CHECKS),
            )
            for name, statement in checks.items()
        ]
    )
    customer_ids = every_customer()
    for position, customer_id in enumerate(customer_ids):
        with scope.snapshot(customer_id):
            for check in report.checks:
                check.customers += 1
                rows = calls.rows(f"SELECT * FROM ({check.statement}) wrong LIMIT 20", {"customer": customer_id})  # noqa: S608
                check.wrong.extend((customer_id, row) for row in rows)
            accounts, transfers, resolutions = ledger.counts(customer_id=customer_id)
            report.accounts += accounts
            report.transfers += transfers
            report.resolutions += resolutions
        report.customers += 1
        if progress:
            progress(position + 1, len(customer_ids))
    for name, statement in topups.OPERATOR_CHECKS.items():
        with scope.every_customer():
            rows = calls.rows(f"SELECT * FROM ({statement}) wrong LIMIT 20")  # noqa: S608
        report.checks.append(Check("wires", name, statement, len(customer_ids), [(int(row[0] or 0), row[1:]) for row in rows]))
    return report
