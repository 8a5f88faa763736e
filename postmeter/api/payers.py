"""Who pays is read before it is needed: the one thread that commits must not wait for settings and price lists."""

import asyncio

from django.utils import timezone

from postmeter.api.threads import Threads
from postmeter.messaging.operations import payers


class Payers:
    """Keeps the payers of busy customers fresh. Each is read by one request at a time, however many ask for it."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._reading: dict[tuple[int, str, str], asyncio.Task[None]] = {}

    async def ready(self, customer_id: int, mode: str, channel: str) -> None:
        """Returns when the payer is known here; one that grows old is read again meanwhile. Raises MessagingOff."""
        age = payers.payer_age(customer_id=customer_id, mode=mode, channel=channel)
        if age < payers.PAYER_SECONDS * 2 / 3:
            return
        reading = self._reading.get((customer_id, mode, channel))
        if reading is None:
            reading = self._reading[customer_id, mode, channel] = asyncio.create_task(self._read(customer_id, mode, channel))
            # A refusal that nobody waits for is not lost: the next request that needs the payer hears it.
            reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        if age >= payers.PAYER_SECONDS:
            await asyncio.shield(reading)

    async def _read(self, customer_id: int, mode: str, channel: str) -> None:
        try:
            now = timezone.now()
            await self._threads.run(payers.read_payer, customer_id=customer_id, mode=mode, channel=channel, now=now)
        finally:
            del self._reading[customer_id, mode, channel]
