"""`postmeter bench`: figures beside floors of the same run, printed and written to bench/latest.json."""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from postmeter.cli.programs import login
from postmeter.db.embedded import EmbeddedPostgres, free_port

if TYPE_CHECKING:
    from postmeter.cli.measures import Figure

LATEST = Path("bench/latest.json")
LISTS_PATH = "/v1/batches"
GOALS = {
    "accept_bulk": 0.6,
    "accept_http_single": 2.0,
    "accept_http_hot": 4.0,
    "accept_http_bulk": 0.75,
    "accept_growth": 0.8,
}
GOAL_VALUES = {"dispatch": 3_000.0, "record": 5_000.0}


@click.command("bench")
@click.option("--growth", is_flag=True, help="The long one: accept at ten million rows beside none.")
@click.option("--rows", default=10_000_000, show_default=True, help="How many rows --growth fills in first.")
@click.option("--only", multiple=True, help="Only figures of these names; log for those of the log.")
def command(growth: bool, rows: int, only: tuple[str, ...]) -> None:
    """Measure accepting, dispatching, recording, pricing, segments, invoices and the log, on a durable database of its own."""
    console = Console(highlight=False)
    with _database() as (postgres, url):
        figures = _growth(postgres, url, rows, console) if growth else _measure(postgres, url, set(only), console)
    kept = {row["name"]: row for row in json.loads(LATEST.read_text())} if LATEST.exists() else {}
    kept |= {found.name: found.as_row() for found in figures}
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps(list(kept.values()), indent=2) + "\n")
    _print(console, figures)


def _measure(postgres: EmbeddedPostgres, url: str, only: set[str], console: Console) -> "list[Figure]":
    from postmeter.cli.measures import accept, doors, pumps, pure, records

    app = login(url, "app", "bench")
    pgbench = _pgbench(postgres, url)
    console.print(f"pgbench on this machine, 8 clients, prepared: {pgbench:,.0f} transactions/s")
    ports = (free_port(), free_port())

    def dispatch() -> "Figure":
        with doors.simulator(ports[0], postgres.home / "simulator") as url:
            carrier = {"base_url": f"{url}/null", "account_sid": "ACbench", "auth_token": "bench"}
            return pumps.dispatch(null_carrier=carrier, pgbench=pgbench, rows=20_000)

    def single(name: str, customers: int) -> "Figure":
        return doors.accept_http_single(ports=ports, database_url=app, customers=customers, name=name, rounds=3, seconds=4.0)

    measures: dict[str, Callable[[], Figure]] = {
        "segments": pure.segments,
        "rating": pure.rating,
        "accept_bulk": lambda: accept.accept_bulk(owner_url=url),
        "accept_http_single": lambda: single("accept_http_single", 200),
        "accept_http_hot": lambda: single("accept_http_hot", 1),
        "accept_http_bulk": lambda: doors.accept_http_bulk(port=ports[0], database_url=app, path=LISTS_PATH, rounds=20),
        "dispatch": dispatch,
        "record": lambda: pumps.record_receipts(pgbench=pgbench, rows=20_000),
        "invoices": lambda: records.invoices(owner_url=url, pgbench=pgbench, rows=1_000),
    }
    figures = []
    for name, measure in measures.items():
        if not only or name in only:
            with console.status(f"measuring {name}"):
                figures.append(measure())
            console.print(f"  {name}: {figures[-1].value:,.0f} {figures[-1].unit}")
    if not only or "log" in only:
        with console.status("measuring the log at a million entries"):
            figures += records.of_the_log(url, 1_000_000)
    return figures


def _growth(postgres: EmbeddedPostgres, url: str, rows: int, console: Console) -> "list[Figure]":
    from postmeter.cli.measures import accept, growth

    full = growth.second_database(url)
    _point_at(full)
    with console.status(f"filling in {rows:,} messages, over the weeks before this one"):
        growth.fill(full, rows)
    return [accept.accept_growth(owner_url=url, full_url=full, connect=_point_at)]


@contextmanager
def _database() -> Iterator[tuple[EmbeddedPostgres, str]]:
    """A durable database of its own, migrated, with Django logged in as the worker is."""
    home = Path(tempfile.mkdtemp(prefix="postmeter-bench-"))
    home.chmod(0o755)
    try:
        with EmbeddedPostgres(home) as postgres:
            url = postgres.url
            os.environ.update(
                DJANGO_SETTINGS_MODULE="postmeter.config.settings",
                POSTMETER_HOME=str(home),
                POSTMETER_DATABASE_URL=url,
                POSTMETER_OWNER_DATABASE_URL=url,
                POSTMETER_SECRET_KEY=secrets.token_urlsafe(),
                POSTMETER_ID_KEY=secrets.token_hex(16),
                POSTMETER_BODY_KEYS=f"first:{secrets.token_hex(32)}",
            )
            import django

            django.setup()
            prepare(url)
            yield postgres, url
    finally:
        shutil.rmtree(home, ignore_errors=True)


def prepare(url: str) -> None:
    """Migrate the database and log in to it as the worker does."""
    from postmeter.cli.prepare import bring_up_to_date

    _connect(url)
    bring_up_to_date(app_password="bench", worker_password="bench")  # noqa: S106 - a throw-away database
    _point_at(url)


def _point_at(url: str) -> None:
    _connect(login(url, "worker", "bench"))


def _connect(url: str) -> None:
    from django.db import connection

    from postmeter.db.address import database

    wanted = database(url)
    if any(connection.settings_dict[name] != wanted[name] for name in ("NAME", "USER")):
        connection.close()
        connection.settings_dict.update({name: wanted[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")})


def _pgbench(postgres: EmbeddedPostgres, url: str) -> float:
    """What the machine's own measure says of it: TPC-B-like, scale 10, 8 clients, 5 seconds."""
    tool = postgres.engine.binaries / "pgbench"
    target = ["-d", url.rsplit("/", 1)[0] + "/postgres"]
    subprocess.run([tool, "-i", "-q", "-s", "10", *target], check=True, capture_output=True)  # noqa: S603
    done = subprocess.run(  # noqa: S603
        [tool, "-M", "prepared", "-c", "8", "-j", "1", "-T", "5", *target], check=True, capture_output=True, text=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("tps"))
    return float(line.split()[2])


def _print(console: Console, figures: "list[Figure]") -> None:
    table = Table("figure", "value", "unit", "floor", "ratio", "goal", "rows", title=f"written to {LATEST}")
    for found in figures:
        ratio, value = GOALS.get(found.name), GOAL_VALUES.get(found.name)
        goal = f"ratio ≥ {ratio:g}" if ratio else f"≥ {value:,.0f}/s" if value else ""
        table.add_row(
            found.name, f"{found.value:,.0f}", found.unit, f"{found.floor:,.0f}", f"{found.ratio:.2f}", goal, f"{found.rows:,}"
        )
    console.print(table)
