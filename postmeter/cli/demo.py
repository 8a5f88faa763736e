"""`postmeter demo`: the whole journey without a browser, against an instance of its own in a temporary home.

A clinic adds a card on the gateway's page, buys credit, gets the price of a list of 1,000, finds that its credit falls short,
tops up, sends, waits for the receipts; then the books are recomputed. Ends with one JSON line.
"""

import json
import os
import shutil
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from postmeter.cli.instance import Instance
from postmeter.cli.programs import worker_environment
from postmeter.db.embedded import free_port
from postmeter.kit.refusals import Refusal

if TYPE_CHECKING:
    from postmeter.customers.models import Customer
    from postmeter.messaging.operations.quote import Wanted
    from postmeter.messaging.queries import Progress as ListProgress
    from postmeter.payments.models import PaymentMethod

LIST = Path(__file__).parent / "demo.csv"
TEXT = "Hello {first}, your appointment at Harbour Physio is tomorrow at {time}. Please call us if you cannot come. {note}"
CARD = {"number": "4242 4242 4242 4242", "expiry": "12 / 40", "cvc": "123", "name": "Morgan Reyes"}
FIRST_PURCHASE = 10_000_000  # micros of a dollar: the smallest, and too little for the list
PATIENCE_SECONDS = 240


class NotAsExpected(Refusal):
    """The demo did not end as it should."""

    code = "demo_failed"


@click.command("demo")
@click.option("--keep", is_flag=True, help="Keep the home afterwards, and say where it is.")
def command(keep: bool) -> None:
    """Buy, quote, send 1,000 texts, run short, top up, wait for the receipts, verify."""
    console = Console(stderr=True, highlight=False)
    started = time.monotonic()
    with _instance(console, keep=keep) as instance:
        result = _play(instance, console)
    result["seconds"] = round(time.monotonic() - started, 1)
    click.echo(json.dumps(result))
    if not result["verify_ok"]:
        sys.exit(1)


def _play(instance: Instance, console: Console) -> dict[str, object]:
    from django.utils import timezone

    from postmeter.cli.checks import verify_all
    from postmeter.invoicing import queries as invoices
    from postmeter.messaging import queries as messages
    from postmeter.messaging.operations import quote
    from postmeter.messaging.operations.accept import NotCoveredList
    from postmeter.topups import operations as topups
    from postmeter.wallets import queries as wallets

    def say(sentence: str) -> None:
        console.print(f"  {sentence}")

    customer = _demo_customer()
    pool = wallets.pool(customer_id=customer.id)
    card = _add_card(instance, customer)
    say(f"A card is saved: {card.name}.")

    def buy(micros: int) -> int:
        bought = topups.buy(
            customer_id=customer.id,
            wallet_id=pool.id,
            method_id=card.id,
            amount_micros=micros,
            key=uuid4(),
            actor="demo",
            now=timezone.now(),
        )
        if bought.top_up.state != "succeeded":
            raise NotAsExpected(f"The purchase is {bought.payment_state}: {bought.failure_text}")
        say(f"Bought credit: {_dollars(micros)}.")
        return micros

    topped_up = buy(FIRST_PURCHASE)
    wanted = list(_recipients())
    priced = quote.make(customer_id=customer.id, wanted=wanted, actor="demo", now=timezone.now(), source=LIST.name)
    say(f"{len(wanted)} recipients: {priced.recipients} for exactly {_dollars(priced.total_micros)}, {priced.excluded} excluded.")
    try:
        quote.send(customer_id=customer.id, quote_id=priced.id, actor="demo", now=timezone.now())
    except NotCoveredList as refusal:
        say(f"{refusal} Nothing was sent.")
        topped_up += buy(_whole_dollars(priced.total_micros - FIRST_PURCHASE))
        quote.send(customer_id=customer.id, quote_id=priced.id, actor="demo", now=timezone.now())
    sent = messages.quote(customer_id=customer.id, quote_id=priced.id)
    if sent.batch_id is None:
        raise NotAsExpected("The list was not sent.")

    progress = _watch(instance, console, customer.id, sent.batch_id, priced.recipients)
    report = verify_all()
    return {
        "accepted": progress.batch.accepted,
        "delivered": progress.states.get("delivered", 0),
        "failed": progress.states.get("undelivered", 0) + progress.states.get("failed", 0),
        "charged_micros": progress.charged_micros,
        "refunded_micros": progress.refunded_micros,
        "topped_up_micros": topped_up,
        "invoices": len(invoices.invoices(customer_id=customer.id)),
        "verify_ok": report.ok,
    }


def _watch(instance: Instance, console: Console, customer_id: int, batch_id: int, total: int) -> "ListProgress":
    """Show the list's progress until every message has ended."""
    from postmeter.messaging import queries as messages

    ends = ("delivered", "undelivered", "failed", "expired", "cancelled")
    deadline = time.monotonic() + PATIENCE_SECONDS
    columns = (
        TextColumn("  sending"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total, detail="")
        while True:
            instance.look_after()
            found = messages.progress(customer_id=customer_id, batch_id=batch_id)
            ended = sum(found.states.get(state, 0) for state in ends)
            under_way = ", ".join(f"{count} {state}" for state, count in sorted(found.states.items()) if state not in ends)
            bar.update(task, completed=ended, detail=under_way)
            if ended == total:
                return found
            if time.monotonic() > deadline:
                raise NotAsExpected(f"After {PATIENCE_SECONDS} s there are still messages under way: {under_way}.")
            time.sleep(0.2)


def _recipients() -> "Iterator[Wanted]":
    from postmeter.kit import csv
    from postmeter.messaging.operations.quote import Wanted

    for row in csv.read(LIST.read_bytes()).rows:
        name, mobile, at, note = row.cells
        body = TEXT.format(first=name.split()[0], time=at, note=note).strip()
        yield Wanted(mobile, body, row.line)


def _add_card(instance: Instance, customer: "Customer") -> "PaymentMethod":
    """What a person does on the gateway's hosted page."""
    from django.utils import timezone

    from postmeter.payments import operations as payments

    setup_id, page = payments.start_setup(
        customer_id=customer.id,
        actor="demo",
        success_url=f"{instance.setting.url}/livez?setup=SETUP",
        cancel_url=f"{instance.setting.url}/livez",
        now=timezone.now(),
    )
    urllib.request.urlopen(page, urllib.parse.urlencode(CARD).encode(), timeout=20).close()  # noqa: S310 - the simulator's
    card = payments.finish_setup(customer_id=customer.id, setup_id=setup_id, now=timezone.now())
    if card is None:
        raise NotAsExpected("The hosted page did not take the card.")
    return card


def _demo_customer() -> "Customer":
    from postmeter.customers.models import Customer
    from postmeter.db import scope

    with scope.every_customer():
        return Customer.objects.get(name="Harbour Physio")


@contextmanager
def _instance(console: Console, *, keep: bool) -> Iterator[Instance]:
    """An instance in a temporary home, with Django here logged in as its worker is."""
    home = Path(tempfile.mkdtemp(prefix="postmeter-demo-"))
    home.chmod(0o711)
    for name in [
        name for name in os.environ if name.startswith("POSTMETER_") and name.endswith(("_URL", "_PASSWORD", "_HOME", "_PORT"))
    ]:
        del os.environ[name]
    port, simulator_port, console_port = (free_port() for _ in range(3))
    say: Callable[[str], None] = lambda sentence: console.print(f"  {sentence}")  # noqa: E731
    instance = Instance(home, port=port, simulator_port=simulator_port, console_port=console_port, say=say)
    try:
        instance.start()
        os.environ.update(
            {name: value for name, value in worker_environment(instance.setting).items() if name.startswith("POSTMETER_")}
        )
        import django

        django.setup()
        yield instance
    finally:
        instance.stop()
        if keep:
            console.print(f"  Kept: POSTMETER_HOME={home} make run")
        else:
            shutil.rmtree(home, ignore_errors=True)


def _dollars(micros: int) -> str:
    from postmeter.kit.money import format_amount

    return format_amount(micros, "USD")


def _whole_dollars(micros: int) -> int:
    """What to buy so that `micros` more are there: whole dollars, at least the smallest purchase."""
    from postmeter.kit.money import MICROS
    from postmeter.topups.price import MINIMUM_MICROS

    return max(MINIMUM_MICROS, -(-micros // MICROS) * MICROS)
