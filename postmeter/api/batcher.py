"""Group commit without a timer: while one transaction is written, the single messages that arrive are the next one.

Under load many requests share a commit and a call of the ledger, also on one wallet that would otherwise make them queue for
its row; a request that comes alone is written at once.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.utils import timezone

from postmeter.api.payers import Payers
from postmeter.api.threads import Threads
from postmeter.messaging.operations.accept import Accepted, Submission, submit_together

log = logging.getLogger("postmeter.api")
AT_MOST = 500  # messages in a transaction: shared wallets stay locked while it is written

Answer = Accepted | Exception


@dataclass(slots=True, eq=False)
class _Waiting:
    submission: Submission
    answer: "asyncio.Future[tuple[Accepted, datetime]]"

    @property
    def name(self) -> object:
        """Two requests with one name must not share a transaction: the second waits to see what became of the first."""
        return (self.submission.customer_id, self.submission.key) if self.submission.key else self


class Batcher:
    """Collects single submissions. `threads` has one thread, so that one commit is under way at a time.

    What is to be known of a customer is read in the threads of `payers` before its message joins, not while others wait.
    """

    def __init__(self, threads: Threads, payers: Payers) -> None:
        self._threads = threads
        self._payers = payers
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    async def submit(self, submission: Submission) -> tuple[Accepted, datetime]:
        """Returns when the message is committed, with the time it was accepted at. Raises its refusal."""
        await self._payers.ready(submission.customer_id, submission.mode, submission.channel)
        future: asyncio.Future[tuple[Accepted, datetime]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(submission, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    async def drain(self) -> None:
        """Wait until everything that was given has been written."""
        while self._task is not None and not self._task.done():
            await self._task

    async def _run(self) -> None:
        await asyncio.sleep(0)  # let every request of this tick join
        while self._waiting:
            together, now = self._take(), timezone.now()
            try:
                answers = await self._threads.run(commit, [one.submission for one in together], now)
            except Exception as error:
                answers = [error] * len(together)
            for one, answer in zip(together, answers, strict=True):
                if one.answer.done():
                    continue  # the caller has gone
                if isinstance(answer, Exception):
                    one.answer.set_exception(answer)
                else:
                    one.answer.set_result((answer, now))

    def _take(self) -> list[_Waiting]:
        taken: dict[object, _Waiting] = {}
        later: list[_Waiting] = []
        while self._waiting and len(taken) < AT_MOST:
            one = self._waiting.popleft()
            if one.name in taken:
                later.append(one)
            else:
                taken[one.name] = one
        self._waiting.extendleft(reversed(later))
        return list(taken.values())


def commit(submissions: list[Submission], now: datetime) -> list[Answer]:
    """One transaction for all. If the database refuses it, each alone: one bad message must not take its neighbours down.

    When the connection itself is lost nobody knows whether the commit happened, and nothing is tried again: without a key
    that could send twice.
    """
    try:
        return list(submit_together(submissions, now=now))
    except Exception as error:
        if len(submissions) == 1 or not _is_connected():
            return [error] * len(submissions)
        log.exception("%d messages could not be accepted together; trying each alone", len(submissions))
    return [answer for submission in submissions for answer in commit([submission], now)]


def _is_connected() -> bool:
    return connection.connection is not None and not connection.connection.closed
