"""The I/O of providers: one connection pool, one set of time limits, one reading of what went wrong.

*Never left*: the connection could not be made, so a retry is safe. *No answer*: it may have been taken, so the outcome is
unknown and stays so until the provider says.
"""

from urllib.parse import urlsplit

import aiohttp

from postmeter.messaging.providers import Outbound, Outcome, Provider, Reply, Request, TryLater, Unknown

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 30.0


class Carrier:
    """Sends through one provider with many connections at once. Used as an async context manager."""

    def __init__(self, provider: Provider, *, connections: int = 64) -> None:
        self.provider = provider
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Carrier":
        timeout = aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=CONNECT_SECONDS)
        connector = aiohttp.TCPConnector(limit=self._connections, ttl_dns_cache=60)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=True)
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._session:
            await self._session.close()

    async def send(self, message: Outbound) -> Outcome:
        """Ask the provider to send. Never raises: whatever happened is an outcome."""
        try:
            reply = await self._ask(self.provider.request(message))
        except aiohttp.ClientConnectorError as error:
            return TryLater(f"No connection to {urlsplit(str(error.host)).path or error.host}.")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Unknown(f"No answer: {type(error).__name__}.")
        return self.provider.outcome(reply)

    async def look_up(self, message: Outbound) -> Reply | None:
        """Ask what the provider has of a message whose outcome is unknown; None if it cannot be asked now."""
        try:
            return await self._ask(self.provider.lookup(message))
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def _ask(self, request: Request) -> Reply:
        assert self._session is not None, "use `async with Carrier(...)`"
        # No redirects: a provider's address is what the operator set (ASVS 15.3.2).
        async with self._session.request(
            request.method, request.url, headers=request.headers, data=request.data, allow_redirects=False
        ) as response:
            return Reply(response.status, await response.read())
