"""All calls and faxes of the trunk: written down before they are dialled, as many at once as there are lines."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from postmeter.messaging.providers import Heard, Speech
from postmeter.trunk import faxing
from postmeter.trunk.conversation import RING_SECONDS, Conversation, Order, Unsaid
from postmeter.trunk.journal import ENDED, Job, Journal
from postmeter.trunk.line import Line, Lines, Unanswered
from postmeter.trunk.settings import Settings
from postmeter.trunk.voices import Mute

log = logging.getLogger("postmeter.trunk")

WAITING_A_LINE = 10  # orders that may wait for each line
SEEN_SECONDS = 5.0
ANSWER_SECONDS = 45.0  # a fax machine lets it ring longer


class Full(Exception):
    """There are as many orders as may wait; nothing of this one was taken."""


class Exchange:
    """`ask` asks our side what to say; `news` is called whenever there is something to tell."""

    def __init__(
        self,
        settings: Settings,
        lines: Lines,
        journal: Journal,
        *,
        ask: Callable[[str, Heard], Awaitable[Speech]],
        news: Callable[[], None],
    ) -> None:
        self._settings, self._dials, self._journal = settings, lines, journal
        self._ask, self._news = ask, news
        self._free = asyncio.Semaphore(settings.lines)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._talking: dict[str, Conversation] = {}
        self._on_line: set[str] = set()
        self._stopping = asyncio.Event()

    def call(self, order: Order, receipts: str) -> Job:
        """Take an order once; said again, what has become of it. Raises Full."""
        return self._take(order.ref, "call", receipts, lambda: self._call(order))

    def fax(self, order: faxing.Order, receipts: str) -> Job:
        return self._take(order.ref, "fax", receipts, lambda: self._fax(order))

    def let_go_on(self, ref: str, seconds: int) -> bool:
        """Whether there is such a call."""
        if talking := self._talking.get(ref):
            talking.let_go_on(seconds)
        return talking is not None

    def interrupt(self, ref: str, speech: Speech) -> bool:
        if talking := self._talking.get(ref):
            talking.interrupt(speech)
        return talking is not None

    async def keep_time(self) -> None:
        """What goes on is noted as going on, so that it is known how long it lasted should we die."""
        while True:
            await asyncio.sleep(SEEN_SECONDS)
            self._journal.seen(list(self._on_line))

    async def close(self, patience_seconds: float) -> None:
        """Take nothing more, let what goes on end, then hang up."""
        self._stopping.set()
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=patience_seconds)
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _take(self, ref: str, kind: str, receipts: str, work: Callable[[], Awaitable[None]]) -> Job:
        known = self._journal.job(ref)
        if known is None:
            if self._stopping.is_set() or len(self._under_way) >= self._settings.lines * (1 + WAITING_A_LINE):
                raise Full
            self._journal.take(ref, kind, receipts)
            task = asyncio.create_task(self._do(ref, work))
            self._under_way[ref] = task
            task.add_done_callback(lambda _: self._under_way.pop(ref, None))
            known = self._journal.job(ref)
        assert known is not None
        return known

    async def _do(self, ref: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._free:
                await work()
        except asyncio.CancelledError:
            job = self._journal.job(ref)
            if job and job.status == "queued":
                self._note(ref, "failed", code="not_called")
            else:
                self._note(ref, "lost")
            raise
        except Exception:
            log.exception("an order failed")
            self._note(ref, "lost")

    def _note(self, ref: str, status: str, *, seconds: float = 0, pages: int = 0, code: str = "", words: str = "") -> None:
        self._journal.note(ref, status, seconds=seconds, pages=pages, code=code, words=words)
        (self._on_line.discard if status in ENDED else self._on_line.add)(ref)
        self._news()

    # Calls

    async def _call(self, order: Order) -> None:
        try:
            line = await self._reach(order.ref, order.sender, order.to, RING_SECONDS)
        except Unanswered as unanswered:
            self._note(order.ref, unanswered.status, code=unanswered.code)
            return
        status, code = "completed", ""
        talking = Conversation(order, line, ask=self._ask, put_through=lambda speech: self._put_through(order, speech))
        self._talking[order.ref] = talking
        try:
            await talking.hold()
        except (Unsaid, Mute) as failure:
            log.error("a call was answered and nothing said: %s", failure)
            status, code = "broken", "unsaid"
        finally:
            del self._talking[order.ref]
            await line.hang_up()
            self._note(order.ref, status, seconds=line.seconds, code=code)

    async def _put_through(self, order: Order, speech: Speech) -> Line:
        """Call the second number, where a line is free, and look after its record. Raises Unanswered."""
        ref = speech.connect_ref
        new = self._journal.take(ref, "call", speech.connect_receipts)
        if not new or self._free.locked():
            self._note(ref, "failed", code="no_line")
            raise Unanswered("failed", "no_line")
        await self._free.acquire()
        try:
            line = await self._reach(ref, order.sender, speech.connect, RING_SECONDS)
        except BaseException as failure:
            self._free.release()
            unanswered = failure if isinstance(failure, Unanswered) else Unanswered("no-answer", "")
            self._note(ref, unanswered.status, code=unanswered.code)
            raise
        closing = asyncio.create_task(self._close_second(ref, line))
        self._under_way[ref] = closing
        closing.add_done_callback(lambda _: self._under_way.pop(ref, None))
        return line

    async def _close_second(self, ref: str, line: Line) -> None:
        try:
            await line.ended.wait()
        finally:
            await line.hang_up()
            self._free.release()
            self._note(ref, "completed", seconds=line.seconds)

    async def _reach(self, ref: str, sender: str, to: str, seconds: float) -> Line:
        """Dial and wait. Raises Unanswered."""
        self._note(ref, "ringing")
        line = await self._dials.dial(sender, to)
        try:
            await line.answered(seconds)
        except BaseException:
            await line.hang_up()
            raise
        self._note(ref, "answered")
        return line

    # Faxes

    async def _fax(self, order: faxing.Order) -> None:
        try:
            for left in range(self._settings.retries, -1, -1):
                try:
                    line = await self._reach(order.ref, order.sender, order.to, ANSWER_SECONDS)
                except Unanswered as unanswered:
                    if left and unanswered.status in ("busy", "no-answer") and await self._waits_for_another_try():
                        continue
                    self._note(order.ref, unanswered.status, code=unanswered.code)
                    return
                await self._transmit(order, line)
                return
        finally:
            await asyncio.to_thread(_unlink, order.tiff)

    async def _transmit(self, order: faxing.Order, line: Line) -> None:
        sent = faxing.Sent(False, 0, "")
        try:
            sent = await faxing.transmit(order, line)
        finally:
            await line.hang_up()
            status, code = ("completed", "") if sent.done else ("broken", "t30")
            self._note(order.ref, status, seconds=line.seconds, pages=sent.pages, code=code, words=sent.words)

    async def _waits_for_another_try(self) -> bool:
        """Whether there will be one: not where we are told to stop. Its line is others' meanwhile."""
        self._free.release()
        try:
            async with asyncio.timeout(self._settings.retry_seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
        finally:
            await self._free.acquire()
        return not self._stopping.is_set()


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
