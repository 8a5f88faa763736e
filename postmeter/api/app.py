"""The door for programs: REST under /v1.

| variable | meaning |
|---|---|
| POSTMETER_API_GROUP_COMMIT | 0: each single message has a transaction of its own (for comparison; the default collects them) |
| POSTMETER_API_REQUESTS_PER_MINUTE | how many requests a key may make in a minute |
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from postmeter.api import errors, messages, wallets
from postmeter.api.auth import Keys
from postmeter.api.batcher import Batcher
from postmeter.api.limits import Limits
from postmeter.api.operation import Door
from postmeter.api.threads import Threads
from postmeter.kit.refusals import Refusal

ENDPOINTS: list[HTTPRouteHandler] = [
    messages.send_message,
    messages.list_messages,
    messages.get_message,
    messages.get_trail,
    messages.cancel_message,
    wallets.list_wallets,
    wallets.get_wallet,
]


def create_app() -> Litestar:
    """The ASGI application. Its lifespan must run: it opens the threads and listens for revoked keys."""
    return Litestar(
        ENDPOINTS,
        openapi_config=None,
        lifespan=[_open],
        exception_handlers={HTTPException: errors.refused_by_litestar, Refusal: errors.refused, Exception: errors.broken},
        logging_config=None,
    )


@asynccontextmanager
async def _open(app: Litestar) -> AsyncIterator[None]:
    threads, lists, accepting = Threads("api", 8), Threads("lists", 2), Threads("accept", 1)
    grouped = os.environ.get("POSTMETER_API_GROUP_COMMIT", "1") != "0"
    door = Door(Keys(threads), Limits(), Batcher(accepting) if grouped else None, threads, lists)
    app.state = State({"door": door})
    door.keys.start()
    try:
        yield
    finally:
        if door.batcher:
            await door.batcher.drain()
        await door.keys.stop()
        for each in (threads, lists, accepting):
            each.close()
