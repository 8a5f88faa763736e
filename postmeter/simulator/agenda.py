"""What is still to happen, by the simulator's clock: receipts, callbacks, settlements. It survives a SIGKILL with the log."""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from postmeter.simulator.clock import Clock
from postmeter.simulator.log import Log, as_text

AT_ONCE = 300  # how many things may be under way at the same time
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """Handlers end it with `agenda.done(task)`, in the transaction that keeps its effect: a task is done at least once.

    `again` marks the repetition of something that failed.
    """

    due: float
    id: int
    kind: str = field(compare=False)
    again: bool = field(compare=False)
    facts: dict[str, Any] = field(compare=False)


Handler = Callable[[Task], Awaitable[None]]


class Agenda:
    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._handlers: dict[str, Handler] = {}
        self._heap = [
            Task(row["due"], row["id"], row["kind"], bool(row["again"]), msgspec.json.decode(row["facts"]))
            for row in log.rows("SELECT * FROM agenda ORDER BY due, id")
        ]
        self._added = asyncio.Event()
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._newest = 0

    def on(self, kind: str, handler: Handler) -> None:
        self._handlers[kind] = handler

    def add(self, *, due: float, kind: str, again: bool = False, **facts: Any) -> None:
        """Inside the caller's transaction: should that be rolled back, there is no task."""
        task_id = self._log.insert(
            "INSERT INTO agenda (due, kind, again, facts) VALUES (?, ?, ?, ?)", (due, kind, again, as_text(facts))
        )
        self._log.once_kept(lambda: self._push(Task(due, task_id, kind, again, facts)))

    def _push(self, task: Task) -> None:
        self._newest = max(self._newest, task.id)
        heapq.heappush(self._heap, task)
        self._added.set()

    def done(self, task: Task) -> None:
        self._log.execute("DELETE FROM agenda WHERE id = ?", (task.id,))

    async def run(self) -> None:
        """Starts what is due, for ever."""
        while True:
            self._added.clear()
            if self._heap and self._heap[0].due <= self._clock.now():
                await self._start(heapq.heappop(self._heap))
            elif self._heap:
                await self._clock.until(self._heap[0].due, or_else=self._added)
            else:
                await self._added.wait()

    async def flush(self) -> None:
        """Does now all that is scheduled, whatever its time, and all that follows; what fails now waits for its next turn."""
        newest, held_back = self._newest, []
        while self._heap or self._under_way:
            while self._heap:
                task = heapq.heappop(self._heap)
                if task.again and task.id > newest:
                    held_back.append(task)
                else:
                    await self._start(task)
            await self.finish_what_is_under_way()
        for task in held_back:
            heapq.heappush(self._heap, task)

    async def do_what_is_due(self, by: float) -> None:
        """One after the other, including what these add."""
        while self._heap and self._heap[0].due <= by:
            await self._start(heapq.heappop(self._heap))
            await self.finish_what_is_under_way()

    async def finish_what_is_under_way(self) -> None:
        if self._under_way:
            await asyncio.wait(list(self._under_way.values()))

    def pending(self) -> dict[str, float | int | None]:
        due = sum(1 for task in self._heap if task.due <= self._clock.now())
        next_due = self._heap[0].due if self._heap else None
        return {"due": due, "later": len(self._heap) - due, "under_way": len(self._under_way), "next_due": next_due}

    async def _start(self, task: Task) -> None:
        await self._room.acquire()
        self._under_way[task.id] = asyncio.create_task(self._carry_out(task))

    async def _carry_out(self, task: Task) -> None:
        try:
            await self._handlers[task.kind](task)
        except Exception:
            logger.exception("%s failed and will not be tried again", task.kind)
            self.done(task)
        finally:
            del self._under_way[task.id]
            self._room.release()
