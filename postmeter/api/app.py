"""The door for programs: REST under /v1.

| variable | meaning |
|---|---|
| POSTMETER_API_GROUP_COMMIT | 0: each single message has a transaction of its own (for comparison; the default collects them) |
| POSTMETER_API_REQUESTS_PER_MINUTE | how many requests a key may make in a minute |
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from postmeter.api import (
    alerts,
    automatic_top_ups,
    bank_transfers,
    batches,
    errors,
    invoices,
    media,
    messages,
    opt_outs,
    payment_methods,
    price_lists,
    quotes,
    reference,
    statements,
    top_ups,
    transactions,
    wallets,
)
from postmeter.api.auth import Keys
from postmeter.api.batcher import Batcher
from postmeter.api.limits import Limits
from postmeter.api.openapi import document
from postmeter.api.operation import Door, Operation
from postmeter.api.payers import Payers
from postmeter.api.threads import Threads

_ROOMS = (
    messages,
    media,
    opt_outs,
    batches,
    quotes,
    wallets,
    automatic_top_ups,
    bank_transfers,
    alerts,
    transactions,
    top_ups,
    payment_methods,
    invoices,
    price_lists,
    statements,
)
ENDPOINTS = [each for room in _ROOMS for each in vars(room).values() if isinstance(each, HTTPRouteHandler)]
OPERATIONS: list[Operation] = [each.opt["operation"] for each in ENDPOINTS]


def create_app() -> Litestar:
    """The ASGI application. Its lifespan must run: it opens the threads and listens for revoked keys."""
    return Litestar(
        [*ENDPOINTS, *reference.handlers(OPERATIONS)],
        openapi_config=None,
        lifespan=[_open],
        exception_handlers={HTTPException: errors.refused_by_litestar, Exception: errors.broken},
        logging_config=None,
    )


def openapi_text() -> str:
    """The OpenAPI document as it is served."""
    return msgspec.json.format(msgspec.json.encode(document(OPERATIONS)), indent=2).decode() + "\n"


@asynccontextmanager
async def _open(app: Litestar) -> AsyncIterator[None]:
    threads, lists, accepting = Threads("api", 8), Threads("lists", 2), Threads("accept", 1)
    grouped = os.environ.get("POSTMETER_API_GROUP_COMMIT", "1") != "0"
    door = Door(Keys(threads), Limits(), Batcher(accepting, Payers(threads)) if grouped else None, threads, lists)
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
