"""Telling our side: what became of each order, until it has heard it, and asking it what to say."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import aiohttp
import msgspec

from postmeter.messaging.providers import Heard, Speech
from postmeter.trunk.conversation import Unsaid
from postmeter.trunk.journal import Job, Journal

log = logging.getLogger("postmeter.trunk")

SECONDS = 10.0
AGAIN_SECONDS = 5.0
GONE = frozenset({404, 410})  # whoever asked for it is not there any more


class Teller:
    def __init__(self, journal: Journal, secret: str) -> None:
        self._journal = journal
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._news = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Teller":
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._session:
            await self._session.close()

    def news(self) -> None:
        self._news.set()

    async def ask(self, url: str, heard: Heard) -> Speech:
        """What to say now; asked twice, because an answer may be lost and is always the same. Raises Unsaid."""
        for _ in range(2):
            status, body = await self._post(url, asdict(heard))
            if status == 200:
                try:
                    return msgspec.json.decode(body, type=Speech)
                except msgspec.DecodeError:
                    break
        raise Unsaid(f"{url} did not say.")

    async def tell_all(self) -> None:
        """Everything that nobody has been told, again until it is heard."""
        while True:
            self._news.clear()
            waits = AGAIN_SECONDS if not await self.tell() else None
            try:
                async with asyncio.timeout(waits):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def tell(self) -> bool:
        """Whether everybody has heard."""
        jobs = self._journal.untold()
        heard = [await self._tell(job) for job in jobs]
        self._journal.forget_old()
        return all(heard)

    async def _tell(self, job: Job) -> bool:
        status, _ = await self._post(job.receipts, said_of(job))
        if status in GONE or 200 <= status < 300:
            self._journal.told(job)
            return True
        return False

    async def _post(self, url: str, said: Mapping[str, object]) -> tuple[int, bytes]:
        """0 where nothing answers."""
        assert self._session is not None
        try:
            async with self._session.post(url, json=said, headers=self._headers, allow_redirects=False) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("our side does not answer: %s", type(error).__name__)
            return 0, b""


def said_of(job: Job) -> dict[str, Any]:
    """A job as our side reads it."""
    return {name: getattr(job, name) for name in ("ref", "kind", "status", "seconds", "pages", "code", "words")}
