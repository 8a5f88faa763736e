"""Receipts come one by one and by the thousand: those that arrive while a commit is under way are committed together."""

import asyncio
import logging
from functools import partial

from django.utils import timezone

from postmeter.db.threads import DatabaseThread
from postmeter.messaging.operations.record import Fact, record

log = logging.getLogger("postmeter.callbacks")
AT_MOST = 1_000


class Collector:
    """Group commit without a timer: one batch is being written, everything that arrives meanwhile is the next."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, list[Fact], asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._thread = DatabaseThread("receipts")

    async def record(self, customer_id: int, facts: list[Fact]) -> None:
        """Returns when the facts are committed; raises if they could not be."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((customer_id, facts, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        await future

    async def _run(self) -> None:
        await asyncio.sleep(0)  # let every request of this tick join
        while self._waiting:
            batch, self._waiting = self._waiting[:AT_MOST], self._waiting[AT_MOST:]
            by_customer: dict[int, list[tuple[list[Fact], asyncio.Future[None]]]] = {}
            for customer_id, facts, future in batch:
                by_customer.setdefault(customer_id, []).append((facts, future))
            for customer_id, entries in by_customer.items():
                facts = [fact for some, _ in entries for fact in some]
                try:
                    await self._thread.do(partial(_write, customer_id, facts))
                except Exception as error:
                    log.exception("%d receipts could not be written", len(facts))
                    for _, future in entries:
                        if not future.done():
                            future.set_exception(error)
                else:
                    for _, future in entries:
                        if not future.done():
                            future.set_result(None)


def _write(customer_id: int, facts: list[Fact]) -> None:
    record(customer_id=customer_id, facts=facts, now=timezone.now())
