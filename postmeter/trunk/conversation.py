"""A spoken call after somebody has answered: who is it, what is to be said, which key was pressed, and who is put through.

What is said is asked for at each turn; the time that the call may last is never passed, whoever talks.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from postmeter.messaging.providers import Heard, Speech
from postmeter.trunk.ear import Ear
from postmeter.trunk.line import Line, Unanswered
from postmeter.trunk.voices import ringing, spoken

KEY_SECONDS = 6.0
RING_SECONDS = 30.0
LISTEN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Order:
    """A call to be made. `seconds`: how long it may last from its answer; `asks`: where to ask what to say."""

    ref: str
    to: str
    sender: str
    seconds: int
    asks: str
    finds_machines: bool


class Unsaid(Exception):
    """Nobody told us what to say."""


Ask = Callable[[str, Heard], Awaitable[Speech]]
PutThrough = Callable[[Speech], Awaitable[Line]]


class Conversation:
    """`hold` lasts until somebody hangs up, all is said, or the time is over. Raises Unsaid or Mute where nothing could be said."""

    def __init__(self, order: Order, line: Line, *, ask: Ask, put_through: PutThrough) -> None:
        self._order, self._line, self._ask, self._put_through = order, line, ask, put_through
        self._limit: asyncio.Timeout | None = None
        self._told: asyncio.Queue[Speech] = asyncio.Queue()
        self._begun = asyncio.get_running_loop().time()
        self._said = False

    async def hold(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._begun + self._order.seconds) as self._limit:
                await self._until_over()

    def let_go_on(self, seconds: int) -> None:
        """So long from its answer."""
        if self._limit and not self._limit.expired():
            self._limit.reschedule(self._begun + seconds)

    def interrupt(self, speech: Speech) -> None:
        """Say this now, whatever goes on."""
        self._told.put_nowait(speech)

    async def _until_over(self) -> None:
        speaking: asyncio.Task[None] = asyncio.create_task(self._talk(None))
        told = asyncio.create_task(self._told.get())
        over = asyncio.create_task(self._line.ended.wait())
        try:
            while True:
                done, _ = await asyncio.wait({speaking, told, over}, return_when=asyncio.FIRST_COMPLETED)
                if told not in done:
                    if speaking in done and (failure := speaking.exception()) and not self._said:
                        raise failure
                    return
                await ended(speaking)
                speaking = asyncio.create_task(self._talk(told.result()))
                told = asyncio.create_task(self._told.get())
        finally:
            for task in (speaking, told, over):
                await ended(task)

    async def _talk(self, first: Speech | None) -> None:
        speech: Speech | None = first or await self._ask(
            self._order.asks, Heard(self._order.ref, machine=await self._is_machine())
        )
        while speech is not None:
            speech = await self._turn(speech)

    async def _is_machine(self) -> bool:
        if not self._order.finds_machines:
            return False
        ear = Ear()
        self._line.listener = ear.hear
        try:
            while not ear.is_over and not self._line.ended.is_set():
                await asyncio.sleep(LISTEN_SECONDS)
        finally:
            self._line.listener = None
        return ear.who == "machine"

    async def _turn(self, speech: Speech) -> Speech | None:
        """Say it and wait for a key; the next thing to say, if there is one."""
        line, ref = self._line, self._order.ref
        while not line.keys.empty():  # pressed before anybody was asked
            line.keys.get_nowait()
        key = await self._say(speech, *speech.says, until_key=bool(speech.keys_to))
        if speech.keys_to:
            key = key or await line.key(KEY_SECONDS)
        if key:
            return await self._ask(speech.keys_to, Heard(ref, key=key))
        if speech.connect:
            connected = await self._connect(speech)
            return await self._ask(speech.connect_ended, Heard(ref, connected=connected))
        await self._say(speech, *speech.otherwise, until_key=False)
        return None

    async def _say(self, speech: Speech, *says: str, until_key: bool) -> str:
        for words in says:
            key = await self._line.play(await spoken(speech.voice, words), until_key=until_key)
            self._said = True
            if key:
                return key
        return ""

    async def _connect(self, speech: Speech) -> bool:
        """Whether the other one answered. While it rings there, it is heard here; then both hear each other."""
        rings = asyncio.create_task(self._ring())
        other: Line | None = None
        try:
            other = await self._put_through(speech)
            await ended(rings)
            other.listener, self._line.listener = self._line.write, other.write
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(speech.seconds):
                    await other.ended.wait()
            return True
        except Unanswered:
            return False
        finally:
            await ended(rings)
            self._line.listener = None
            if other is not None:
                await other.hang_up()

    async def _ring(self) -> None:
        while not self._line.ended.is_set():
            await self._line.play(ringing())


async def ended(task: "asyncio.Task[Any]") -> None:
    """Have it end, one way or the other. Whoever cancels us meanwhile is not kept from it."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
