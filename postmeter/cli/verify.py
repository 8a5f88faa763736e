"""`postmeter verify`: recompute every balance, hold and total from the rows."""

import json
import sys
import time

import click

from postmeter.cli.database import connect


@click.command("verify")
@click.option("--json", "as_json", is_flag=True, help="One JSON line instead of a table.")
def command(as_json: bool) -> None:
    """Recompute everything from the rows; exit 1 on any difference."""
    connect()
    from postmeter.cli.checks import verify_all

    started = time.monotonic()
    report = verify_all()
    seconds = time.monotonic() - started
    if as_json:
        click.echo(
            json.dumps(
                {
                    "ok": report.ok,
                    "seconds": round(seconds, 3),
                    "checks": len(report.checks),
                    "customers": report.customers,
                    "accounts": report.accounts,
                    "transfers": report.transfers,
                    "resolutions": report.resolutions,
                    "wrong": {
                        check.name: [[str(value) for value in row] for _, row in check.wrong]
                        for check in report.checks
                        if check.wrong
                    },
                }
            )
        )
    else:
        for check in report.checks:
            click.echo(f"{'ok  ' if not check.wrong else 'WRONG'} {check.room:<10} {check.name} ({check.customers} customers)")
            for customer_id, row in check.wrong[:20]:
                click.echo(f"      customer {customer_id}: {row}")
        click.echo(
            f"{report.customers} customers, {report.accounts} accounts, {report.transfers} transfers and {report.resolutions} "
            f"resolutions checked in {seconds:.2f} s: {'all right' if report.ok else 'DIFFERENCES FOUND'}"
        )
    if not report.ok:
        sys.exit(1)
