"""A fax over a line that somebody has answered: T.30 in both directions, sample by sample, until the machines are done."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from PIL import Image

from postmeter.trunk.line import Line
from postmeter.trunk.t30 import Machine

TICK_SECONDS = 0.01
LAST_SECONDS = 1.0  # what our machine says last must still be heard
SECONDS_AT_MOST, SECONDS_A_PAGE = 120, 240  # a page of dithered pictures at 2,400 bit/s


@dataclass(frozen=True, slots=True)
class Order:
    """A fax to be sent. `header`: whose it is, at the head of each page; `zone`: of the time that stands there."""

    ref: str
    to: str
    sender: str
    header: str
    zone: str
    tiff: Path


@dataclass(frozen=True, slots=True)
class Sent:
    """`pages` that the other machine has confirmed; `words` say why it ended, where it ended badly."""

    done: bool
    pages: int
    words: str


async def transmit(order: Order, line: Line) -> Sent:
    machine = Machine.sending(
        order.tiff, ident=order.sender, header=order.header, zone=posix_zone(order.zone, datetime.now().astimezone())
    )
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SECONDS_AT_MOST + SECONDS_A_PAGE * _pages(order.tiff)):
                await exchange(machine, line)
        # Broken off: what the other machine has not confirmed has not arrived.
        return Sent(machine.code == 0, machine.pages, "" if machine.code == 0 else _why(machine))
    finally:
        line.listener = None
        machine.close()


async def exchange(machine: Machine, line: Line) -> None:
    """Until the session or the call is over. What is said is written as it is taken from the line, so nothing is missing in it."""
    line.listener = machine.hear
    while machine.code is None and not line.ended.is_set():
        if room := line.room:
            line.write(machine.speak(room))
        await asyncio.sleep(TICK_SECONDS)
    for _ in range(int(LAST_SECONDS / TICK_SECONDS)):
        if line.ended.is_set():
            return
        if room := line.room:
            line.write(machine.speak(room))
        await asyncio.sleep(TICK_SECONDS)


def _pages(tiff: Path) -> int:
    with Image.open(tiff) as pages:
        return int(getattr(pages, "n_frames", 1))


def _why(machine: Machine) -> str:
    return "The call ended before the machines were done." if machine.code is None else machine.words


def posix_zone(name: str, now: datetime) -> str:
    """As POSIX writes what the clocks there say now: its sign is the other way round."""
    try:
        zone: tzinfo = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    offset = now.astimezone(zone).utcoffset()
    minutes = round(offset.total_seconds() / 60) if offset else 0
    hours, rest = divmod(abs(minutes), 60)
    return f"LOC{'-' if minutes > 0 else ''}{hours}:{rest:02}"
