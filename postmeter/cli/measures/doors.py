"""The API's door measured from outside: single messages with and without group commit, and lists beside a direct call."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from django.utils import timezone

from postmeter.cli.measures import Figure, figure, load, rate, world
from postmeter.messaging.operations.accept import Submission, submit

CONNECTIONS = 64
LIST = 1_000
SINGLE = json.dumps({"to": "+19990009000", "text": world.BODY})


@contextlib.contextmanager
def door(port: int, *, database_url: str, group_commit: bool) -> Iterator[int]:
    """A web process with the application's login; one worker, as `postmeter run` starts it."""
    environment = os.environ | {
        "POSTMETER_DATABASE_URL": database_url,
        "POSTMETER_API_GROUP_COMMIT": "1" if group_commit else "0",
        "POSTMETER_API_REQUESTS_PER_MINUTE": "100000000",
    }
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "asgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    command += ["--log-level", "error", "--no-ws", "postmeter.config.asgi:application"]
    with _serving(command, environment, f"http://127.0.0.1:{port}/readyz"):
        yield port


@contextlib.contextmanager
def simulator(port: int, folder: Path) -> Iterator[str]:
    """A simulator, for its null carrier. The value is its address."""
    command = [sys.executable, "-m", "postmeter.simulator", "--port", str(port), "--data", str(folder)]
    url = f"http://127.0.0.1:{port}"
    with _serving(command, dict(os.environ), f"{url}/control/clock"):
        yield url


def accept_http_single(
    *, ports: tuple[int, int], database_url: str, customers: int, name: str, rounds: int, seconds: float
) -> Figure:
    """Single messages a second at 64 connections; the floor is the same door with one transaction a request."""
    keys = [world.api_key(world.customer().id) for _ in range(customers)]
    rates: dict[bool, list[float]] = {True: [], False: []}
    with (
        door(ports[0], database_url=database_url, group_commit=True) as grouped,
        door(ports[1], database_url=database_url, group_commit=False) as single,
    ):
        for _ in range(rounds):
            for port, is_grouped in ((grouped, True), (single, False)):
                plan = load.Plan(port, "/v1/messages", keys, [SINGLE] * max(len(keys), 64), CONNECTIONS, 1.0, seconds)
                rates[is_grouped].append(load.run(plan).only(202).rate)
    value = statistics.median(rates[True])
    return figure(name, value, "requests/s", statistics.median(rates[False]), int(value * seconds))


def accept_http_bulk(*, port: int, database_url: str, path: str, rounds: int) -> Figure:
    """Messages a second in lists of 1,000 through the door; the floor calls the same function directly, in turn."""
    customer = world.customer()
    key = world.api_key(customer.id)
    numbers = world.numbers(LIST)
    body = json.dumps({"messages": [{"to": number, "text": f"{world.BODY} {n}"} for n, number in enumerate(numbers)]})
    bodies = [f"{world.BODY} {n}" for n in range(LIST)]
    direct, through = [], []
    with door(port, database_url=database_url, group_commit=True):
        for turn in range(rounds + 2):
            floor = rate(lambda: _submit(customer.id, numbers, bodies), LIST)
            value = rate(lambda: _post(port, path, key, body), LIST)
            if turn >= 2:
                direct.append(floor)
                through.append(value)
    return figure("accept_http_bulk", statistics.median(through), "messages/s", statistics.median(direct), LIST)


def _submit(customer_id: int, numbers: list[str], bodies: list[str]) -> None:
    submit(Submission(customer_id, numbers, bodies, "bench"), now=timezone.now())


def _post(port: int, path: str, key: str, body: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", body.encode(), {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        answer.read()


@contextlib.contextmanager
def _serving(command: list[str], environment: dict[str, str], answers_at: str) -> Iterator[None]:
    """A process, from when it answers to the end of the block."""
    process = subprocess.Popen(command, env=environment)  # noqa: S603 - our own program
    try:
        deadline = time.monotonic() + 30
        while not _answers(answers_at):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"nothing answers at {answers_at}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
            return True
    except (urllib.error.URLError, OSError):
        return False
