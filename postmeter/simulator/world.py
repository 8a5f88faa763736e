"""Everything that the carrier, the gateway and the street share: the log, the clock, the faults, the agenda, the postman."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from typing import Any

from postmeter.kit.refusals import BadInput
from postmeter.simulator.agenda import Agenda
from postmeter.simulator.callbacks import Postman
from postmeter.simulator.clock import Clock
from postmeter.simulator.faults import Switch
from postmeter.simulator.log import Log
from postmeter.simulator.settings import Settings

KNOBS: dict[str, Any] = {
    "receipt_delay": [0.2, 1.5],  # seconds from one step of a message to the next, between these
    "event_delay": [0.05, 0.3],  # seconds until the gateway's event is posted
    "settlement_days": 4,  # how long a bank debit stays in processing
    "dispute_days": 10,  # how long after the charge the card holder complains
    "carrier_fee_hours": 24,  # how long after a day's end carriers' fees for it are known
    "carrier_opt_out": False,  # whether the carrier itself blocks who answered STOP (error 21610)
}


class World:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = Log(settings.folder)
        self.clock = self._clock_as_we_left_it()
        self.switch = Switch(self.log, self.clock)
        self.agenda = Agenda(self.log, self.clock)
        self.postman = Postman(log=self.log, clock=self.clock, switch=self.switch, agenda=self.agenda)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.postman.open()
        agenda = asyncio.create_task(self.agenda.run())
        try:
            yield
        finally:
            agenda.cancel()
            await self.agenda.finish_what_is_under_way()
            await self.postman.close()
            self.log.close()

    def knob(self, name: str) -> Any:
        return self.log.knob(name, KNOBS[name])

    def turn(self, values: dict[str, Any]) -> None:
        """Raises BadInput where a knob does not exist or is of another kind."""
        with self.log.transaction():
            for name, value in values.items():
                if name not in KNOBS:
                    raise BadInput(f"There is no setting {name!r}.", remedy=f"There are {', '.join(KNOBS)}.")
                if isinstance(KNOBS[name], list):
                    value = value if isinstance(value, list) else [value, value]
                self.log.turn(name, value)

    def soon(self, knob: str) -> float:
        """A time a little later, as the knob (a pair of seconds) says."""
        return self.clock.now() + random.uniform(*self.knob(knob))  # noqa: S311 - chance, not secrecy

    def move_clock(self, *, now: float | None = None, rate: float | None = None) -> None:
        self.clock.set(now=now, rate=rate)
        with self.log.transaction():
            self.log.turn("clock", {"now": self.clock.now(), "rate": self.clock.rate, "wall": time.time()})
            self.log.append(at=self.clock.now(), kind="clock.moved", subject="clock", rate=self.clock.rate)

    def _clock_as_we_left_it(self) -> Clock:
        """The wall only tells how long we were away."""
        left = self.log.knob("clock", {"now": time.time(), "rate": 1.0, "wall": time.time()})
        return Clock(now=left["now"] + (time.time() - left["wall"]) * left["rate"], rate=left["rate"])
