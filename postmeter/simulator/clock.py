"""The simulator's own time: it runs at a rate, and tests and people move it."""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """Seconds since 1970, as a float. `rate` is simulated seconds per real second; 0 stops the clock."""

    def __init__(self, *, now: float, rate: float = 1.0, driver: Callable[[], float] = time.monotonic) -> None:
        self._driver = driver
        self._moved = asyncio.Event()
        self.set(now=now, rate=rate)

    @property
    def rate(self) -> float:
        return self._rate

    def now(self) -> float:
        return self._at + (self._driver() - self._driven_at) * self._rate

    def set(self, *, now: float | None = None, rate: float | None = None) -> None:
        """Moves the clock, forwards or back, or changes its rate; whoever waits for a time looks again."""
        self._at = self.now() if now is None else now
        self._driven_at = self._driver()
        if rate is not None:
            self._rate = rate
        self._moved.set()
        self._moved = asyncio.Event()

    async def until(self, when: float, or_else: asyncio.Event | None = None) -> None:
        """Returns once it is `when` on this clock, or as soon as `or_else` is set."""
        while (left := when - self.now()) > 0:
            waits = [asyncio.ensure_future(event.wait()) for event in (self._moved, or_else) if event]
            try:
                await asyncio.wait(waits, timeout=left / self._rate if self._rate else None, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            if or_else and or_else.is_set():
                return
