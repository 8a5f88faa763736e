"""A load of HTTP requests from a process of its own: `python -m postmeter.cli.measures.load`, a plan as JSON on stdin.

Speaks just enough HTTP/1.1 to cost little beside the server that it measures, on the same two cores: each connection sends a
prepared request, waits for the whole answer and sends the next.
"""

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import cast


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask: bodies go with keys in turn. `seconds` are counted after `warm_up`."""

    port: int
    path: str
    keys: list[str]
    bodies: list[str]
    connections: int
    warm_up: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Answers:
    """How many were answered in the counted time, by status, and the seconds it took."""

    statuses: dict[str, int]
    seconds: float

    @property
    def rate(self) -> float:
        return sum(self.statuses.values()) / self.seconds

    def only(self, status: int) -> "Answers":
        """Itself, if every answer was that one. A figure made of refusals would be a lie."""
        assert set(self.statuses) == {str(status)}, f"not every answer was {status}: {self.statuses}"
        return self


def run(plan: Plan) -> Answers:
    """Put the load on from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "postmeter.cli.measures.load"],
        input=json.dumps(asdict(plan)),
        capture_output=True,
        text=True,
        check=True,
        timeout=plan.warm_up + plan.seconds + 60,
    )
    return Answers(**json.loads(done.stdout))


class _Connection(asyncio.Protocol):
    """One connection that always has one request under way, until the time is up."""

    def __init__(self, next_request: Callable[[], bytes], answered: Callable[[str], bool]) -> None:
        self._next_request, self._answered = next_request, answered
        self._read, self._wanted = b"", 0
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._next_request())

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self._wanted:
            head, found, _ = self._read.partition(b"\r\n\r\n")
            if not found:
                return
            self._wanted = len(head) + 4 + _length(head)
        if len(self._read) >= self._wanted:
            status, self._read, self._wanted = self._read[9:12].decode(), b"", 0
            if self._answered(status):
                self._transport.write(self._next_request())
            else:
                self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set_result(None)


async def _load(plan: Plan) -> Answers:
    requests = itertools.cycle(
        [_request(plan, key, body) for key, body in zip(itertools.cycle(plan.keys), plan.bodies, strict=False)]
    )
    counted: Counter[str] = Counter()
    start = time.perf_counter() + plan.warm_up
    end = start + plan.seconds

    def answered(status: str) -> bool:
        now = time.perf_counter()
        if start <= now < end:
            counted[status] += 1
        return now < end

    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Connection(lambda: next(requests), answered), "127.0.0.1", plan.port)
        for _ in range(plan.connections)
    ]
    await asyncio.gather(*(connection.closed for _, connection in made))
    return Answers(dict(counted), plan.seconds)


def _request(plan: Plan, key: str, body: str) -> bytes:
    content = body.encode()
    head = f"POST {plan.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


if __name__ == "__main__":
    import uvloop

    sys.stdout.write(json.dumps(asdict(uvloop.run(_load(Plan(**json.load(sys.stdin)))))))
