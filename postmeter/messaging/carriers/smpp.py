"""A message centre's session over SMPP 3.4: bound as transceiver, opened again when it breaks, never faster than was agreed.

`send` returns what surely happened. Before a part is written, or when the centre answers that it has not taken it: later. Once
written and not answered: unknown, and never written again. Whatever the centre says to us is committed before it is answered; while
the database is away it is told to say it again.

Each worker process has a session of its own; receipts and texts may come on any of them.
"""

import asyncio
import itertools
import logging
import random
import ssl
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from django.utils import timezone
from smpp34 import DeliverSm

from postmeter.db.threads import DATABASE_AWAY, DatabaseThread
from postmeter.kit.refusals import Refusal
from postmeter.messaging.operations import heard
from postmeter.messaging.providers import Accepted, Outbound, Outcome, Receipt, Received, Refused, TryLater, Unknown, smpp
from postmeter.messaging.providers.smpp import Account, Command, PartReceipt, TextPart

log = logging.getLogger("postmeter.smpp")

CONNECT_SECONDS = 10.0
READY_SECONDS = 5.0  # how long a text waits for a session before it is put back
ANSWER_SECONDS = 30.0
THROTTLED_SECONDS = 25.0  # how long a text is offered again to a centre that asks us to slow down
IDLE_SECONDS = 30.0  # without a word, the centre is asked whether it is there
BACK_OFF_SECONDS = (1, 2, 5, 10, 20, 30)
PLACE_SECONDS = 5.0
PACED_SECONDS = 25  # what is claimed at once must be gone before its lease ends (operations/dispatch.py)
TOGETHER_AT_MOST = 200  # of the centre's words, committed together
LONGEST_UNIT = 70_000  # a whole message_payload and its surroundings


class Lost(Exception):
    """The session ended before the answer came."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class Session:
    """One connection that is bound. `news` gets each deliver_sm with its sequence number, in the order in which they came."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, news: Callable[["Session", bytes, int], None]
    ) -> None:
        self._reader, self._writer, self._news = reader, writer, news
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._last_heard = asyncio.get_running_loop().time()

    async def bind(self, account: Account) -> Answer:
        """The answer to our bind; nothing else may come before it."""
        await self._write(smpp.numbered(smpp.bind(account), next(self._numbers)))
        _, status, _, body = await self._read()
        return Answer(status, body)

    async def live(self) -> None:
        """Read until the session ends; then whoever waits for an answer hears that it is lost."""
        keeper = asyncio.create_task(self._keep_alive())
        reading = asyncio.create_task(self._read_all())
        try:
            await asyncio.wait({keeper, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Before anything is awaited: whoever stops us now must not leave a connection behind, or somebody waiting.
            self._writer.close()
            for future in self._asked.values():
                if not future.done():
                    future.set_exception(Lost())
            for task in (keeper, reading):
                task.cancel()
            ends = await asyncio.gather(keeper, reading, return_exceptions=True)
            log.info("the session with the message centre ended: %s", [str(end) or repr(end) for end in ends if end])

    async def ask(self, octets: bytes) -> Answer:
        """Write a request and wait for its answer. Raises Lost or TimeoutError: from then on nobody knows."""
        number = next(self._numbers)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            await self._write(smpp.numbered(octets, number))
            async with asyncio.timeout(ANSWER_SECONDS):
                return await future
        except OSError as error:
            raise Lost from error
        finally:
            del self._asked[number]

    @property
    def is_open(self) -> bool:
        return not self._writer.is_closing()

    def answer(self, command: int, number: int, *, status: int = 0, body: bytes = b"") -> None:
        if self.is_open:
            self._writer.write(smpp.unit(command | Command.RESPONSE, body, status=status, sequence=number))

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()

    async def unbind(self) -> None:
        with suppress(Lost, TimeoutError):
            async with asyncio.timeout(2):
                await self.ask(smpp.unit(Command.UNBIND))

    async def _keep_alive(self) -> None:
        while True:
            silent = asyncio.get_running_loop().time() - self._last_heard
            if silent < IDLE_SECONDS:
                await asyncio.sleep(IDLE_SECONDS - silent)
            else:
                await self.ask(smpp.unit(Command.ENQUIRE_LINK))

    async def _read_all(self) -> None:
        while True:
            command, status, number, octets = await self._read()
            if command & Command.RESPONSE:
                future = self._asked.get(number)
                if future and not future.done():
                    future.set_result(Answer(status, octets[16:]))
            elif command == Command.DELIVER_SM:
                self._news(self, octets, number)
            elif command == Command.ENQUIRE_LINK:
                self.answer(command, number)
            elif command == Command.UNBIND:
                self.answer(command, number)
                await self._writer.drain()
                return
            else:
                self.answer(Command.GENERIC_NACK, number, status=smpp.NOT_SUPPORTED_STATUS)

    async def _read(self) -> tuple[int, int, int, bytes]:
        """Command, status, number and the whole unit."""
        head = await self._reader.readexactly(16)
        length, command, status, number = struct.unpack(">IIII", head)
        if not 16 <= length <= LONGEST_UNIT:
            raise Lost(f"a unit of {length} octets")
        octets = head + await self._reader.readexactly(length - 16)
        self._last_heard = asyncio.get_running_loop().time()
        return command, status, number, octets

    async def _write(self, octets: bytes) -> None:
        if not self.is_open:
            raise Lost
        self._writer.write(octets)
        await self._writer.drain()


@dataclass(frozen=True, slots=True)
class _News:
    """What a centre delivered, and whom to answer."""

    session: Session
    number: int
    said: DeliverSm


class Pace:
    """So many a second, evenly, and a pause for all when the centre asks for one."""

    def __init__(self, per_second: int) -> None:
        self._step = 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        loop = asyncio.get_running_loop()
        mine = self._next = max(self._next + self._step, loop.time())
        await asyncio.sleep(max(mine - loop.time(), 0))

    def pause(self, seconds: float) -> None:
        self._next = max(self._next, asyncio.get_running_loop().time() + seconds)


class SmppQuestions:
    """What became of a text, asked without a session: what the centre has said is kept in the database."""

    at_most = 0

    def __init__(self) -> None:
        self._database = DatabaseThread("smpp")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._database.close()

    async def send(self, message: Outbound) -> Outcome:
        return TryLater("Nothing is sent from here.")

    async def look_up(self, message: Outbound, taken: frozenset[str]) -> Receipt | None:
        return await self._database.do(lambda: heard.look_up(message=message, taken=taken, now=timezone.now()))


class SmppCarrier(SmppQuestions):
    """Sends through one message centre, and hears it. Open it once in a process: it binds."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self._account = account
        self.at_most = account.per_second * PACED_SECONDS
        self._session: Session | None = None
        self._bound, self._leaving = asyncio.Event(), False
        self._room = asyncio.Semaphore(account.window)
        self._pace = Pace(account.per_second)
        # One for each long text, by which its phone joins the parts: not the same ones after each start.
        self._references = itertools.count(random.randrange(1 << 16))  # noqa: S311 - chance, not secrecy
        self._news: asyncio.Queue[_News] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(work()) for work in (self._stay_bound, self._hear_all, self._tidy)]
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._leaving = True
        if self._session and self._session.is_open:
            await self._session.unbind()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()
        await super().__aexit__(*failure)

    # Sending

    async def send(self, message: Outbound) -> Outcome:
        """All parts, one after the other. What has gone is never written again, whatever becomes of the others."""
        try:
            parts = [part.encode() for part in smpp.submits(self._account, message, next(self._references) & 0xFFFF)]
        except (KeyError, ValueError, Refusal) as error:
            return Refused("30008", f"The carrier's alphabet or addresses have no room for this text: {error}", {})
        refs: list[str] = []
        for part in parts:
            outcome = await self._submit(part)
            if isinstance(outcome, Accepted):
                refs.append(outcome.ref)
            else:
                return self._broken_off(outcome, refs, len(parts))
        return Accepted(",".join(refs), {"num_segments": str(len(parts))})

    def _broken_off(self, outcome: Outcome, refs: list[str], total: int) -> Outcome:
        """A later part did not go. The recipient has no whole text, so nobody pays for it, unless it may have gone after all."""
        if not refs or isinstance(outcome, Accepted):
            return outcome
        gone = f"{len(refs)} of {total} parts had gone, and are not sent again. {outcome.text}"
        if isinstance(outcome, Unknown):
            return Unknown(gone)
        code = outcome.code if isinstance(outcome, Refused) else "30008"
        return Refused(code, gone, {"parts": ",".join(refs)}, opted_out=isinstance(outcome, Refused) and outcome.opted_out)

    async def _submit(self, octets: bytes) -> Outcome:
        """One part, offered again while the centre asks us to slow down: it says that it has not taken it."""
        deadline = asyncio.get_running_loop().time() + THROTTLED_SECONDS
        for pause in itertools.chain((1, 2, 4), itertools.repeat(5)):
            try:
                answer = await self._ask(octets)
            except (Lost, TimeoutError):
                return Unknown("The connection to the carrier broke, or no answer came.")
            if isinstance(answer, TryLater):
                return answer
            if answer.status == 0:
                return Accepted(smpp.known_id(self._account, smpp.message_id(answer.body)), {})
            if answer.status not in smpp.SLOW_DOWN or asyncio.get_running_loop().time() + pause > deadline:
                return smpp.verdict(self._account, answer.status)
            self._pace.pause(pause)
        raise AssertionError("the pauses never end")

    async def _ask(self, octets: bytes) -> Answer | TryLater:
        async with self._room:
            await self._pace.turn()
            try:
                async with asyncio.timeout(READY_SECONDS):
                    await self._bound.wait()
            except TimeoutError:
                return TryLater(f"There is no session with {self._account.host}.")
            session = self._session
            if session is None or not session.is_open:
                return TryLater(f"There is no session with {self._account.host}.")
            return await session.ask(octets)

    # The session

    async def _stay_bound(self) -> None:
        pauses = iter(BACK_OFF_SECONDS)
        while not self._leaving:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    session = await self._open()
            except (OSError, EOFError, Lost, TimeoutError) as error:
                log.warning("no session with the message centre %s: %s", self._account.host, str(error) or repr(error))
            else:
                pauses = iter(BACK_OFF_SECONDS)
                log.info("bound to the message centre %s", self._account.host)
                self._session = session
                self._bound.set()
                try:
                    await session.live()
                finally:
                    self._bound.clear()
            await asyncio.sleep(next(pauses, BACK_OFF_SECONDS[-1]) * random.uniform(0.5, 1))  # noqa: S311 - chance, not secrecy

    async def _open(self) -> Session:
        account = self._account
        context = ssl.create_default_context(cafile=account.ca or None) if account.tls else None
        reader, writer = await asyncio.open_connection(account.host, account.port, ssl=context)
        session = Session(reader, writer, self._came)
        try:
            answer = await session.bind(account)
        except BaseException:
            await session.close()
            raise
        if answer.status:
            await session.close()
            raise Lost(f"it answered our bind with {answer.status:#x}; look at POSTMETER_SMPP_SYSTEM_ID and _PASSWORD")
        return session

    # Hearing

    def _came(self, session: Session, octets: bytes, number: int) -> None:
        said = smpp.delivered(octets)
        if said is None:
            log.error("the message centre delivered what cannot be read, %d octets; it is told so", len(octets))
            session.answer(Command.DELIVER_SM, number, status=smpp.REFUSED_STATUS, body=b"\0")
        else:
            self._news.put_nowait(_News(session, number, said))

    async def _hear_all(self) -> None:
        """What came while the last words were being committed is committed together; only then is it answered."""
        while True:
            news = [await self._news.get()]
            while not self._news.empty() and len(news) < TOGETHER_AT_MOST:
                news.append(self._news.get_nowait())
            if not await self._hear(news):
                for each in news:
                    await self._hear([each])

    async def _hear(self, news: Sequence[_News]) -> bool:
        """Commit, then answer. What cannot be committed alone is asked for again; False: try these one by one."""
        status = 0
        try:
            words = [word for each in news if (word := smpp.heard(self._account, each.said))]
            await self._database.do(lambda: _keep(words))
        except DATABASE_AWAY:
            log.warning("the database does not answer; the message centre is asked to say %d words again", len(news))
            status = smpp.TRY_LATER_STATUS
        except Exception:
            log.exception("%d words of the message centre could not be kept", len(news))
            if len(news) > 1:
                return False
            status = smpp.TRY_LATER_STATUS
        for each in news:
            each.session.answer(Command.DELIVER_SM, each.number, status=status, body=b"\0")
        return True

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(PLACE_SECONDS)
            try:
                await self._database.do(lambda: heard.place(now=timezone.now()))
                await self._database.do(lambda: heard.join_overdue(now=timezone.now()))
            except DATABASE_AWAY:
                log.warning("the database does not answer; placing what was kept when it does")
            except Exception:
                log.exception("what was kept could not be placed; trying again")


def _keep(words: list[PartReceipt | TextPart | Received]) -> None:
    now = timezone.now()
    receipts = [word for word in words if isinstance(word, PartReceipt)]
    if receipts:
        heard.receipts(words=receipts, now=now)
    for word in words:
        if not isinstance(word, PartReceipt):
            heard.text(word=word, now=now)
