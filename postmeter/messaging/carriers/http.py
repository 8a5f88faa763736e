"""Providers that are asked by HTTP: one connection pool, one set of time limits, one reading of what went wrong."""

from typing import Self
from urllib.parse import urlsplit

import aiohttp

from postmeter.messaging.providers import HttpProvider, Outbound, Outcome, Receipt, Reply, Request, TryLater, Unknown

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 30.0


class HttpCarrier:
    """Sends through one provider with many connections at once."""

    at_most = 1_000

    def __init__(self, provider: HttpProvider, *, connections: int) -> None:
        self._provider = provider
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=CONNECT_SECONDS)
        connector = aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=60)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=True)
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._session:
            await self._session.close()

    async def send(self, message: Outbound) -> Outcome:
        try:
            reply = await self._ask(self._provider.request(message))
        except aiohttp.ClientConnectorError as error:
            return TryLater(f"No connection to {urlsplit(str(error.host)).path or error.host}.")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Unknown(f"No answer: {type(error).__name__}.")
        return self._provider.outcome(reply)

    async def look_up(self, message: Outbound, taken: frozenset[str]) -> Receipt | None:
        reply = await self.ask(self._provider.lookup(message))
        return self._provider.found(message, reply, taken) if reply else None

    async def tell(self, request: Request) -> bool:
        """Whether the provider heard it; one that did not is told again."""
        reply = await self.ask(request)
        return reply is not None and reply.status < 300

    async def ask(self, request: Request) -> Reply | None:
        """None where no answer came."""
        try:
            return await self._ask(request)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def _ask(self, request: Request) -> Reply:
        assert self._session is not None, "use `async with carrier(...)`"
        # No redirects: a provider's address is what the operator set (ASVS 15.3.2).
        async with self._session.request(
            request.method, request.url, headers=request.headers, data=request.data, allow_redirects=False
        ) as response:
            return Reply(response.status, await response.read())
