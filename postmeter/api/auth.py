"""Who is calling: API keys, verified once, remembered for seconds, and forgotten the moment one is revoked.

A key that was verified is kept in this process only while we listen for revocations on a connection of our own. When that
connection is down, every request asks the database. Expiry is looked at each time, and a short life on top bounds what a
connection that only looks alive could cost.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection

from postmeter.api.threads import Threads
from postmeter.customers import keys
from postmeter.customers import operations as customers
from postmeter.customers import queries as customer_queries
from postmeter.customers.queries import Caller

log = logging.getLogger("postmeter.api")
REMEMBER_SECONDS = 5.0
TOUCH_SECONDS = 60.0
RECONNECT_SECONDS = 1.0
REMEMBER_AT_MOST = 10_000


class Keys:
    """The verified keys of this process."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._touched: dict[int, float] = {}
        self._news = 0  # revocations heard of, and connections lost: whatever was being looked up then is not kept
        self._tasks: set[asyncio.Task[None]] = set()
        self.listening = False

    async def caller(self, text: str, now: datetime) -> Caller:
        """Who is behind the key. Raises BadKey."""
        name = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
        known = self._known.get(name)
        if known is not None and self.listening and time.monotonic() < known[0]:
            found = known[1]
        else:
            found = await self._ask(name, text, now)
        if found.expires_at is not None and found.expires_at <= now:
            raise keys.BadKey("This API key has expired.", remedy="Make a new one under Settings, API keys.")
        self._touch(found, now)
        return found

    async def _ask(self, name: bytes, text: str, now: datetime) -> Caller:
        news = self._news
        found = await self._threads.run(customer_queries.caller, text, now=now)
        if self.listening and news == self._news:
            if len(self._known) >= REMEMBER_AT_MOST:
                self._known.clear()
            self._known[name] = (time.monotonic() + REMEMBER_SECONDS, found)
        return found

    def _touch(self, caller: Caller, now: datetime) -> None:
        """Note the use of a key, once a minute and beside the request."""
        moment = time.monotonic()
        if moment - self._touched.get(caller.key_id, -TOUCH_SECONDS) < TOUCH_SECONDS:
            return
        self._touched[caller.key_id] = moment
        self._start(self._write_touch(caller, now))

    async def _write_touch(self, caller: Caller, now: datetime) -> None:
        try:
            await self._threads.run(customers.touch_api_key, customer_id=caller.customer_id, key_id=caller.key_id, now=now)
        except Exception:
            log.exception("the use of a key could not be noted")

    # --- revocations

    def start(self) -> None:
        self._start(self._listen())

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._forget()

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except (psycopg.Error, OSError) as error:
                log.warning("revoked keys are not being announced (%s); every request asks the database until they are", error)
            finally:
                self.listening = False
                self._forget()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _hear(self) -> None:
        parameters = connection.get_connection_params()
        wanted = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if parameters.get(name)}
        async with await psycopg.AsyncConnection.connect(
            **wanted,
            autocommit=True,
            application_name="postmeter keys",
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=2,
        ) as ears:
            await ears.execute(f"LISTEN {customers.API_KEY_REVOKED}")
            self.listening = True
            async for notice in ears.notifies():
                self._drop(int(notice.payload))

    def _drop(self, key_id: int) -> None:
        self._news += 1
        self._known = {name: entry for name, entry in self._known.items() if entry[1].key_id != key_id}

    def _forget(self) -> None:
        self._news += 1
        self._known.clear()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
