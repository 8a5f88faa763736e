"""A house of its own for tests that kill: a database, doors, a worker and a simulator, each a process that can die.

`assert_all_is_right` is what must hold afterwards, whatever died: our books balance, and they say the same as the simulator's
log, which nobody of ours can write.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import psycopg
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, connections
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.db import calls, scope
from postmeter.invoicing import queries as invoices
from postmeter.invoicing.models import Invoice
from postmeter.messaging import queries as messages
from postmeter.messaging import reconcile
from postmeter.messaging.models import Message
from postmeter.messaging.states import MACHINE, State
from postmeter.payments.models import Payment
from postmeter.payments.states import OPEN, PaymentState
from postmeter.topups import operations as topups
from postmeter.topups.models import TopUp
from tests.cast import Clinic
from tests.database import new_database
from tests.stage import PATIENCE_SECONDS, Stage, end, until

MICROS_PER_CENT = 10_000
# When a reconciler may have something to do: after each lease, age and key's life that we know.
MOMENTS = (timedelta(minutes=3), timedelta(minutes=10), timedelta(hours=25), timedelta(hours=51), timedelta(days=5))
BILLED = ("sent", "delivered", "undelivered")  # carriers charge for what went out


class House:
    """Everything of an install. Django in the test is connected to its database with the worker's login while it is open."""

    def __init__(self, server: str, name: str) -> None:
        self._server, self._name = server, name
        self._before: dict[str, Any] = {}
        self._worker: subprocess.Popen[bytes] | None = None
        self.stage = Stage()
        self.mail = self.stage.folder / "mail"
        self.log = self.stage.folder / "processes.log"

    def __enter__(self) -> Self:
        self._before = {
            "database": dict(connection.settings_dict),
            "name": settings.DATABASES["default"]["NAME"],
            "public": settings.PUBLIC_URL,
            "twilio": settings.TWILIO["base_url"],
            "sinch": settings.SINCH["base_url"],
            "stripe": settings.STRIPE["base_url"],
            "paypal": settings.PAYPAL["base_url"],
            "mail": settings.MAIL["port"],
        }
        forget_connections()
        self.owner = new_database(self._server, self._name)
        with set_in_environment(POSTMETER_EMAIL_URL=f"file://{self.mail}"):
            self.stage.__enter__()
        self.simulator = self.stage.simulator
        self.callbacks_come_at_once()
        return self

    def __exit__(self, *failure: object) -> None:
        try:
            self.stop_worker()
        finally:
            self.stage.__exit__(*failure)
        forget_connections()
        connection.settings_dict.update(self._before["database"])
        settings.DATABASES["default"]["NAME"] = self._before["name"]
        settings.PUBLIC_URL, settings.MAIL["port"] = self._before["public"], self._before["mail"]
        for name in ("twilio", "sinch", "stripe", "paypal"):
            getattr(settings, name.upper())["base_url"] = self._before[name]

    def callbacks_come_at_once(self) -> None:
        self.simulator.control("PATCH", "/settings", {"receipt_delay": 0, "event_delay": 0})

    # Processes that live

    def open_doors(self, *, crash_at: str = "") -> None:
        """Close the doors and open them again, ready to die at a crash point."""
        self.stage.close_doors()
        self._doors_said = (self.stage.folder / "doors.log").stat().st_size
        with set_in_environment(POSTMETER_EMAIL_URL=f"file://{self.mail}", POSTMETER_CRASH_AT=crash_at):
            self.stage.open_doors()

    def start_worker(self, *, crash_at: str = "") -> None:
        self.stop_worker()
        self.worker_started = timezone.now()
        command = [sys.executable, "-m", "postmeter.config.worker"]
        with self.log.open("ab") as log:
            self._worker = subprocess.Popen(command, env=self._environment(crash_at, worker=True), stdout=log, stderr=log)

    def stop_worker(self, *, kill: bool = False) -> None:
        if self._worker:
            worker, self._worker = self._worker, None
            end(worker, signal.SIGKILL if kill else signal.SIGTERM)

    def keep_a_worker(self) -> None:
        """What the runner does: a worker that has ended is started again."""
        if self._worker is None or self._worker.poll() is not None:
            self._worker = None
            self.start_worker()

    def post(self, path: str, body: object, *, secret: str, key: str) -> dict[str, Any]:
        """A program's request. Raises URLError or OSError when it is refused or its connection dies."""
        headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": key, "Content-Type": "application/json"}
        request = urllib.request.Request(self.stage.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
            found: dict[str, Any] = json.loads(reply.read())
            return found

    # Processes that die

    def wait_for_the_worker_to_die(self, crash_at: str) -> None:
        assert self._worker is not None
        try:
            assert self._worker.wait(PATIENCE_SECONDS) == -signal.SIGKILL, self.said()
        finally:
            self.stop_worker(kill=True)
        assert f"dying at crash point {_name(crash_at)}" in self.said()

    def wait_for_the_doors_to_die(self, crash_at: str) -> None:
        log, words = self.stage.folder / "doors.log", f"dying at crash point {_name(crash_at)}".encode()
        until(lambda: words in log.read_bytes()[self._doors_said :], f"the doors to die at {crash_at}")
        self.stage.close_doors(kill=True)

    def die(self, what: str, facts: Mapping[str, object], *, crash_at: str) -> None:
        """Do one thing (of `tests.journeys.act`) in a process of its own, which dies at the crash point."""
        done = self.act(what, facts, crash_at=crash_at)
        assert done.returncode == -signal.SIGKILL, f"it did not die at {crash_at}: {done.stderr[-2000:]}"
        assert f"dying at crash point {_name(crash_at)}" in done.stderr

    def act(self, what: str, facts: Mapping[str, object], *, crash_at: str = "") -> "subprocess.CompletedProcess[str]":
        """The same, and it lives. One that takes too long is killed."""
        command = [sys.executable, "-m", "tests.journeys.act", what, json.dumps(facts)]
        return subprocess.run(
            command,
            env=self._environment(crash_at, worker=True),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def _environment(self, crash_at: str, *, worker: bool) -> dict[str, str]:
        return self.stage.environment(worker=worker) | {
            "POSTMETER_CRASH_AT": crash_at,
            "POSTMETER_EMAIL_URL": f"file://{self.mail}",
        }

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    # Time

    def let_time_pass(self, clinic: Clinic) -> None:
        """What the worker's rounds would do in the coming days, at the moments that matter to a reconciler."""
        for later in MOMENTS:
            under_way = messages.under_way(customer_id=clinic.id)
            to_ask_about = under_way.get("unknown", 0) + under_way.get("sending", 0)
            for _ in range(2 + to_ask_about // reconcile.AT_ONCE):
                self.reconcile(clinic, timezone.now() + later)
        self.stage.settle()

    def reconcile(self, clinic: Clinic, now: datetime) -> None:
        topups.resume(customer_id=clinic.id, now=now)
        asyncio.run(reconcile.sweep_all(settings=settings.PROVIDERS, now=now))

    def age_dead_workers(self) -> None:
        """As if some minutes had passed since their last heartbeat, and since they began a mail."""
        with psycopg.connect(self.owner, autocommit=True) as server:
            server.execute("UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - interval '5 minutes'")
            server.execute("UPDATE invoicing_mailing SET started_at = started_at - interval '5 minutes' WHERE sent_at IS NULL")
            server.execute(
                "UPDATE notifications_notice SET started_at = started_at - interval '5 minutes' WHERE mailed_at IS NULL"
            )
            server.execute(
                "UPDATE statements_statement SET mail_started_at = mail_started_at - interval '5 minutes' WHERE mailed_at IS NULL"
            )

    # Truth

    def mails(self, clinic: Clinic) -> Counter[str]:
        """How often each invoice of this clinic was mailed."""
        mailed = Counter(
            found
            for path in self.mail.glob("*.log")
            for found in re.findall(r"^Subject: .* (C\d+-\d+) ", path.read_text(), flags=re.MULTILINE)
        )
        prefix = f"C{clinic.customer.number}-"
        return Counter({number: times for number, times in mailed.items() if number.startswith(prefix)})

    def charges(self, clinic: Clinic) -> list[dict[str, Any]]:
        """What the gateway really took from this clinic."""
        taken = self.simulator.control("GET", "/log/payments")["charges"]
        return [
            charge
            for charge in taken
            if charge["kind"] == "charge.succeeded" and charge["metadata"].get("customer") == str(clinic.id)
        ]

    def carried(self, clinic: Clinic) -> list[dict[str, Any]]:
        """What the carrier really took from this clinic."""
        found = self.simulator.control("GET", "/log/messages?limit=100000")["messages"]
        return [message for message in found if message["sender"] == clinic.customer.sender]


def assert_all_is_right(house: House, clinic: Clinic, *, settled: bool = True) -> None:
    """Our books balance, and say what the simulator's log says. With `settled` nothing may be left open either."""
    report = verify_all()
    assert report.ok, [(check.name, check.wrong) for check in report.checks if check.wrong]
    _payments_agree(house, clinic, settled=settled)
    _messages_agree(house, clinic, settled=settled)
    numbers = [invoice.number for invoice in invoices.invoices(customer_id=clinic.id, at_most=1_000)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))  # I22


def _payments_agree(house: House, clinic: Clinic, *, settled: bool) -> None:
    """Each success at the gateway is one top-up of its amount here, and the other way round (I12)."""
    with scope.customer(clinic.id):
        ours = {str(p.id): p for p in Payment.objects.filter(customer_id=clinic.id).exclude(gateway="wire")}
        wired = list(Payment.objects.filter(customer_id=clinic.id, gateway="wire"))
        credited = {t.payment_id: t for t in TopUp.objects.filter(customer_id=clinic.id, state="succeeded")}
        invoiced = set(Invoice.objects.filter(customer_id=clinic.id).values_list("subject_id", flat=True))
    charges = house.charges(clinic)
    theirs = Counter(charge["metadata"]["payment"] for charge in charges)
    assert not [payment for payment, times in theirs.items() if times > 1], "somebody was charged twice"
    succeeded = {id_ for id_, payment in ours.items() if payment.state == PaymentState.SUCCEEDED}
    if settled:
        assert succeeded == set(theirs)
        assert not [payment for payment in ours.values() if payment.state in OPEN]
    assert succeeded <= set(theirs)
    for charge in charges:
        payment = ours[charge["metadata"]["payment"]]
        if str(payment.id) in succeeded:
            assert payment.amount_micros == charge["amount"] * MICROS_PER_CENT == credited[payment.id].amount_micros  # I23
    by_wire = {str(payment.id) for payment in wired}  # money that nobody was asked for: succeeded from the start
    assert {str(id_) for id_ in credited} == {str(id_) for id_ in invoiced} == succeeded | by_wire


def _messages_agree(house: House, clinic: Clinic, *, settled: bool) -> None:
    """Each message that the carrier took is one of ours, charged or held, and was taken once (I16, I17, A-23)."""
    with scope.customer(clinic.id):
        ours = list(Message.objects.filter(customer_id=clinic.id).exclude(channel="email"))
        held = calls.value(
            "SELECT coalesce(sum(debits_pending), 0)::bigint FROM ledger_account WHERE customer_id = %s", [clinic.id]
        )
    carried = house.carried(clinic)
    texts = Counter((message.recipient, message.body) for message in ours)
    assert not Counter((m["to"], m["body"]) for m in carried) - texts, "something was sent twice, or is nobody's"
    by_ref = {message.provider_ref: message for message in ours if message.provider_ref}
    assert set(by_ref) <= {message["sid"] for message in carried}
    for theirs in carried:
        mine = by_ref.get(theirs["sid"])
        if mine is None:
            assert not settled, f"the carrier has {theirs}, and nobody here knows"
            continue
        assert (mine.recipient, mine.body) == (theirs["to"], theirs["body"])
        assert mine.charged_micros or State(mine.state) not in MACHINE.finals or theirs["status"] != "delivered"
    if settled:
        assert held == 0
        charged = {message.provider_ref for message in ours if message.charged_micros}
        assert charged == {message["sid"] for message in carried if message["status"] in BILLED}
        open_ = [m for m in ours if State(m.state) not in MACHINE.finals and not m.charged_micros]
        assert not open_, open_


def forget_connections() -> None:
    """Close this thread's database connection, and that of the thread in which asynchronous code asks the database."""
    connection.close()
    asyncio.run(sync_to_async(connections.close_all)())


def _name(crash_at: str) -> str:
    return crash_at.partition(":")[0]


@contextmanager
def set_in_environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def crash_points() -> set[str]:
    """Every crash point that stands in the code."""
    root = Path(__file__).resolve().parents[2] / "postmeter"
    return {name for path in root.rglob("*.py") for name in re.findall(r'crash_point\("([^"]+)"\)', path.read_text())}
