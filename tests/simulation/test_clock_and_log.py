"""The clock moves as it is told, the log outlives a SIGKILL, and what was scheduled still happens."""

import asyncio
import signal
import sqlite3
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
import stripe

from postmeter.simulator.clock import Clock
from postmeter.simulator.log import FolderInUse, Log
from postmeter.simulator.process import SimulatorDidNotStart, SimulatorProcess
from tests.simulation.conftest import CREDENTIALS, Carrier, a_number, settled
from tests.simulation.listener import Listener, eventually
from tests.simulation.test_stripe import a_customer, a_saved, pay


class Driver:
    """Real seconds, turned by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_clock_runs_at_its_rate_from_where_it_was_set() -> None:  # F55-F57
    driver = Driver()
    clock = Clock(now=1000, rate=60, driver=driver)
    driver.seconds = 2
    assert clock.now() == 1120
    clock.set(now=500)
    driver.seconds = 3
    assert clock.now() == 560
    clock.set(rate=0)
    driver.seconds = 99
    assert clock.now() == 560


def test_who_waits_for_a_time_wakes_when_the_clock_is_moved_there() -> None:
    async def story() -> None:
        clock = Clock(now=0, rate=0)
        waiting = asyncio.create_task(clock.until(3600))
        await asyncio.sleep(0)
        clock.set(now=3599)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        clock.set(now=3600)
        await asyncio.wait_for(waiting, 10)

    asyncio.run(story())


def test_the_clock_stops_moves_and_goes_back(simulator: SimulatorProcess) -> None:
    stopped = simulator.control("POST", "/clock", {"now": 2_000_000_000, "rate": 0})
    try:
        assert stopped == {"now": 2_000_000_000, "rate": 0} == simulator.control("GET", "/clock")
        assert simulator.control("POST", "/clock", {"advance": -3600})["now"] == 2_000_000_000 - 3600
    finally:
        simulator.control("POST", "/clock", {"rate": 1})


def test_flush_does_now_all_that_is_scheduled_and_idle_says_so(
    simulator: SimulatorProcess, carrier: Carrier, listener: Listener
) -> None:
    sid = carrier.send(a_number("0701"), StatusCallback=f"{listener.url}/status").json()["sid"]
    eventually(lambda: simulator.control("GET", "/idle")["later"] == 1)
    assert simulator.control("GET", "/idle")["idle"] is False
    assert simulator.control("POST", "/flush")["idle"] is True
    assert [post.form["MessageStatus"] for post in listener.at("/status") if post.form["MessageSid"] == sid][-1] == "delivered"


def test_the_log_can_be_neither_changed_nor_shortened(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append(at=1.5, kind="charge.succeeded", subject="ch_1", amount=100)
    for statement in ("UPDATE log SET facts = '{}'", "DELETE FROM log"):
        with pytest.raises(sqlite3.IntegrityError):
            log.execute(statement)
    assert log.entries(kind="charge.*") == [{"seq": 1, "at": 1.5, "kind": "charge.succeeded", "subject": "ch_1", "amount": 100}]
    log.close()


def test_what_a_transaction_began_and_did_not_end_was_never_done(tmp_path: Path) -> None:
    log = Log(tmp_path)
    with pytest.raises(ZeroDivisionError), log.transaction():
        log.append(at=1, kind="charge.succeeded", subject="ch_1")
        raise ZeroDivisionError
    assert log.entries() == []
    log.close()


def test_two_simulators_never_share_a_folder(tmp_path: Path) -> None:
    log = Log(tmp_path)
    with pytest.raises(FolderInUse):
        Log(tmp_path)
    with pytest.raises(SimulatorDidNotStart):
        SimulatorProcess(tmp_path).start()
    log.close()


def test_after_a_sigkill_the_log_the_clock_and_the_keys_are_there_and_the_rest_still_happens(tmp_path: Path) -> None:
    with Listener() as listener:
        simulator = SimulatorProcess(tmp_path, stripe_webhook_url=f"{listener.url}/stripe")
        simulator.start()
        simulator.control("PATCH", "/settings", {"receipt_delay": 3600, "event_delay": 3600})
        simulator.control("POST", "/clock", {"now": 2_000_000_000, "rate": 0})
        simulator.control("POST", "/faults", {"service": "twilio", "fault": "duplicate", "match": {"event": "delivered"}})
        carrier, gateway, key, to = Carrier(simulator.url), _gateway(simulator), uuid4().hex, a_number()
        sid = carrier.send(to, StatusCallback=f"{listener.url}/status").json()["sid"]
        customer = a_customer(gateway)
        method = a_saved(gateway, customer.id)
        intent = pay(gateway, customer.id, method.id, key)
        simulator.stop(signal.SIGKILL)

        simulator.start()
        assert simulator.control("GET", "/clock") == {"now": 2_000_000_000, "rate": 0}
        assert [message["sid"] for message in simulator.control("GET", "/log/messages")["messages"]] == [sid]
        again = pay(_gateway(simulator), customer.id, method.id, key)
        assert (again.id, again.last_response.headers["idempotent-replayed"]) == (intent.id, "true")
        assert [charge["payment_intent"] for charge in simulator.control("GET", "/log/payments")["charges"]] == [intent.id]
        assert simulator.control("POST", "/flush")["idle"] is True
        statuses = [post.form["MessageStatus"] for post in listener.at("/status")]
        assert [status for status in statuses if status != "queued"] == ["sent", "delivered", "delivered"]
        assert any(b"payment_intent.succeeded" in post.body for post in listener.at("/stripe"))
        simulator.stop()
        carrier.close()


def test_a_simulator_killed_while_it_accepts_knows_every_message_that_it_answered(tmp_path: Path) -> None:
    simulator = SimulatorProcess(tmp_path)
    simulator.start()
    answered = asyncio.run(_send_until_it_dies(simulator))
    simulator.start()
    kept = {message["sid"] for message in simulator.control("GET", "/log/messages?limit=100000")["messages"]}
    assert answered
    assert set(answered) <= kept
    simulator.stop()


async def _send_until_it_dies(simulator: SimulatorProcess) -> list[str]:
    answered: list[str] = []

    def send() -> None:
        carrier = Carrier(simulator.url)
        try:
            while True:
                answered.append(carrier.send(a_number(), timeout=5).json()["sid"])
        except (requests.RequestException, ValueError):
            carrier.close()

    senders = [asyncio.create_task(asyncio.to_thread(send)) for _ in range(4)]
    while len(answered) < 100:
        await asyncio.sleep(0.005)
    simulator.stop(signal.SIGKILL)
    await asyncio.gather(*senders)
    return answered


def test_an_idempotency_key_is_forgotten_after_a_day(gateway: stripe.StripeClient, simulator: SimulatorProcess) -> None:  # F28
    customer = a_customer(gateway)
    method = a_saved(gateway, customer.id)
    key = uuid4().hex
    first = pay(gateway, customer.id, method.id, key)
    simulator.control("POST", "/clock", {"advance": 23 * 3600})
    assert pay(gateway, customer.id, method.id, key).id == first.id
    simulator.control("POST", "/clock", {"advance": 2 * 3600})
    assert pay(gateway, customer.id, method.id, key).id != first.id


def test_callbacks_nobody_takes_are_given_up_at_last(simulator: SimulatorProcess, carrier: Carrier) -> None:
    sid = carrier.send(a_number("3001"), StatusCallback="http://127.0.0.1:1/nobody").json()["sid"]

    def entries(kind: str) -> list[Any]:
        found: list[Any] = simulator.control("GET", f"/log?kind={kind}&subject={sid}")["entries"]
        return found

    for _ in range(12):
        settled(simulator)
        simulator.control("POST", "/clock", {"advance": 86400})
    eventually(lambda: len(entries("callback.given_up")) == 2)
    assert len(entries("callback.refused")) == 20


def _gateway(simulator: SimulatorProcess) -> stripe.StripeClient:
    return stripe.StripeClient(CREDENTIALS.stripe_secret_key, base_addresses={"api": simulator.url}, max_network_retries=0)
