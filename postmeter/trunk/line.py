"""Telephone lines: baresip's SIP and RTP as four verbs (dial, hear, speak, hang up). Nothing else here knows of SIP.

Sound is 16 bits, 8,000 samples a second. No jitter buffer stands in between: a fax needs every sample in its place.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Self

from baresip import (
    Account,
    AudioNotActive,
    AudioRestarted,
    BaresipError,
    Call,
    CallFailed,
    CallTimeout,
    Config,
    Event,
    NoLocalAddressError,
    Runtime,
    StackEvent,
    UserAgent,
)

from postmeter.kit.refusals import Refusal
from postmeter.trunk.settings import Settings
from postmeter.trunk.voices import RATE

log = logging.getLogger("postmeter.trunk")

TICK_SECONDS = 0.02
AHEAD_SECONDS = 0.3  # what is spoken is written this far ahead: a busy process must not leave gaps
SILENT_SECONDS = 60  # a carrier that sends nothing for so long has gone
HANG_UP_SECONDS = 5.0
CLOSED_KEPT = 1_000
ANY = "0.0.0.0"  # noqa: S104 - the carrier must reach us

BUSY = frozenset({486, 600})
NOBODY = frozenset({408, 480, 487, 603})


class Unanswered(Exception):
    """Nobody took the call. `status`: busy, no-answer or failed; `code` is the carrier's."""

    def __init__(self, status: str, code: str) -> None:
        self.status, self.code = status, f"sip-{code}" if code.isdecimal() else code
        super().__init__(f"{status} {code}")


class Line:
    """One call, from its dialling to its end."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.ended = asyncio.Event()
        self.keys: asyncio.Queue[str] = asyncio.Queue()
        self.listener: Callable[[bytes], None] | None = None
        self._answered_at = self._ended_at = 0.0
        self._listening: asyncio.Task[None] | None = None
        call.on(self._happened)
        call.on_dtmf(lambda pressed: self.keys.put_nowait(pressed.digit))

    async def answered(self, seconds: float) -> None:
        """Wait until somebody takes it. Raises Unanswered."""
        try:
            await self._call.wait_established(seconds)
        except CallTimeout:
            raise Unanswered("no-answer", "") from None
        except CallFailed as failed:
            raise _unanswered(failed) from None
        except BaresipError:
            raise Unanswered("no-answer", "") from None
        self._answered_at = time.monotonic()
        self._listening = asyncio.create_task(self._listen())

    @property
    def seconds(self) -> float:
        """Since it was answered, or how long it lasted."""
        if not self._answered_at:
            return 0.0
        return (self._ended_at or time.monotonic()) - self._answered_at

    @property
    def room(self) -> int:
        """How many samples more it can be told without getting too far ahead; 0 when it is over."""
        try:
            buffered: int = self._call.audio.info().tx_buffered
            return max(int(AHEAD_SECONDS * RATE) - buffered // 2, 0)
        except (AudioNotActive, AudioRestarted):
            return 0

    def write(self, samples: bytes) -> None:
        with contextlib.suppress(AudioNotActive, AudioRestarted):
            self._call.audio.write(samples)

    async def play(self, samples: bytes, *, until_key: bool = False) -> str:
        """Say all of it; returns at its end, or with the key that was pressed meanwhile. What was not said then is not said."""
        at = 0
        while not self.ended.is_set():
            if until_key and not self.keys.empty():
                with contextlib.suppress(AudioNotActive, AudioRestarted):
                    self._call.audio.flush_tx()
                return self.keys.get_nowait()
            room = self.room * 2
            if at >= len(samples) and room >= int(AHEAD_SECONDS * RATE) * 2:
                return ""
            self.write(samples[at : at + room])
            at += room
            await asyncio.sleep(TICK_SECONDS)
        return ""

    async def key(self, seconds: float) -> str:
        """The next key; empty if none is pressed in time, or the call ends."""
        pressed, over = asyncio.create_task(self.keys.get()), asyncio.create_task(self.ended.wait())
        done, _ = await asyncio.wait({pressed, over}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (pressed, over):
            task.cancel()
        return pressed.result() if pressed in done else ""

    async def hang_up(self) -> None:
        """End it, whoever has not yet."""
        if not self.ended.is_set():
            with contextlib.suppress(BaresipError):
                await self._call.hangup()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANG_UP_SECONDS):
                    await self.ended.wait()
        self._over()

    async def _listen(self) -> None:
        """What comes is read all the time, whether anybody listens or not."""
        while not self.ended.is_set():
            with contextlib.suppress(AudioNotActive, AudioRestarted):
                if (heard := self._call.audio.read(RATE)) and self.listener:
                    self.listener(heard)
            await asyncio.sleep(TICK_SECONDS / 2)

    def _happened(self, event: StackEvent) -> None:
        if event.event is Event.CALL_CLOSED:
            self._over()

    def _over(self) -> None:
        if not self.ended.is_set():
            self._ended_at = time.monotonic()
            self.ended.set()


class Lines:
    """The way to the carrier. One for a process: baresip's state is the process's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runtime = Runtime(native_log_level="warning")
        self._agents: dict[str, UserAgent] = {}
        self._known: set[int] = set()  # calls that have a line
        self._closed: dict[int, str] = {}  # and those that ended before they had one
        self._refusing: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> Self:
        host, port = self._settings.at
        listens = f"sip_listen {host}:{port}\n"
        bound = host if host not in ("", ANY) else None
        config = Config(
            net_interface=bound,
            max_concurrent_calls=None,
            rtp_timeout=SILENT_SECONDS,
            extra_config_text=f"{listens}sip_transports udp,tcp\njitter_buffer_type off\naudio_jitter_buffer_type off\n",
        )
        try:
            await self._runtime.start(config)
        except BaresipError as error:
            raise Refusal(f"The trunk cannot listen at {host}:{port}: {error}.", remedy="Correct POSTMETER_SIP_AT.") from None
        self._runtime.subscribe(self._happened)
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._runtime.close()

    async def dial(self, sender: str, to: str) -> Line:
        """Call a number (E.164) in another's name. Raises Unanswered where nothing could be sent."""
        agent = self._agents.get(sender) or await self._agent(sender)
        try:
            call = await agent.dial(f"sip:{self._spelled(to)}@{self._settings.carrier}")
        except NoLocalAddressError as error:
            log.error("no address of ours reaches the carrier: %s", error)
            raise Unanswered("failed", "no_way") from None
        except BaresipError as error:
            log.warning("a call could not be dialled: %s", error)
            raise Unanswered("failed", "not_dialled") from None
        if (why := self._closed.pop(call.handle, None)) is not None:
            raise _unanswered(CallFailed.from_close_reason(why))
        self._known.add(call.handle)
        return Line(call)

    def _happened(self, event: StackEvent) -> None:
        """A refusal may be here before `dial` has returned; nobody else hears it then."""
        if event.event is not Event.CALL_CLOSED:
            return
        if event.call in self._known:
            self._known.discard(event.call)
            return
        self._closed[event.call] = event.text or ""
        while len(self._closed) > CLOSED_KEPT:
            del self._closed[next(iter(self._closed))]

    async def _agent(self, sender: str) -> UserAgent:
        """Who we are to the carrier when this number calls: trunks know us by user and password, or by our address."""
        settings = self._settings
        made = await UserAgent.create(
            self._runtime,
            Account(
                user=self._spelled(sender),
                domain=settings.carrier,
                password=settings.password,
                reg_interval=0,
                transport=settings.transport,
                audio_codecs=settings.codecs,
                auth_user=settings.user or None,
            ),
            transfer_policy="reject",
        )
        made.on_incoming(lambda call: self._refuse(call))
        return self._agents.setdefault(sender, made)

    def _refuse(self, call: Call) -> None:
        """Nobody is here to take a call."""
        refusing = asyncio.ensure_future(call.reject())
        self._refusing.add(refusing)
        refusing.add_done_callback(self._refusing.discard)

    def _spelled(self, number: str) -> str:
        return number if self._settings.plus else number.removeprefix("+")


def _unanswered(failed: CallFailed) -> Unanswered:
    return Unanswered(meaning_of(failed.status), str(failed.status or ""))


def meaning_of(status: int | None) -> str:
    """Busy, nobody there, or never rang (RFC 3261, 21)."""
    if status in BUSY:
        return "busy"
    return "no-answer" if status in NOBODY else "failed"
