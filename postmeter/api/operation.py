"""What one endpoint is: who may call it, what it takes, what it answers. The reference is made from the same table.

A handler is a function of a `Call`. A plain function works in a thread, where it may use the database; an `async` one works
on the loop and must not.
"""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

import msgspec
from django.utils import timezone
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp

from postmeter.api import errors
from postmeter.api.auth import Keys
from postmeter.api.batcher import Batcher
from postmeter.api.idempotency import Key, key_of
from postmeter.api.limits import Limits
from postmeter.api.reading import Reader, read_query
from postmeter.api.threads import Threads
from postmeter.customers.queries import Caller
from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import BadInput, Refusal

B = TypeVar("B")
Q = TypeVar("Q")
SMALL = 64 * 1024
JSON = "application/json"


@dataclass(slots=True)
class Door:
    """What the endpoints of one process share."""

    keys: Keys
    limits: Limits
    batcher: Batcher | None  # None: one transaction for each request
    threads: Threads
    lists: Threads


@dataclass(slots=True)
class Call(Generic[B, Q]):
    """One request, checked: who calls, about what, with which body and query."""

    caller: Caller
    body: B
    query: Q
    id: int
    parts: dict[str, str]  # of the path, besides the id
    key: Key | None
    now: datetime
    door: Door

    @property
    def customer_id(self) -> int:
        return self.caller.customer_id


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is more than a body."""

    content: object
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = JSON


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the reference."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    scope: str
    status: int
    answer: Any
    of: str  # the prefix of the id in the path
    parts: dict[str, str]  # what else stands in the path, by name, with the pattern that it has
    body: Reader[Any] | None
    query: type | None
    key_required: bool
    refusals: tuple[type[Refusal], ...]
    largest: int
    is_list: bool
    live_only: bool
    media_type: str


Handler = Callable[[Any], Any]
_encode = msgspec.json.Encoder().encode


def operation(
    method: str,
    path: str,
    *,
    scope: str,
    summary: str,
    answer: Any,
    status: int = 200,
    of: str = "",
    parts: dict[str, str] | None = None,
    body: type | None = None,
    query: type | None = None,
    key_required: bool = False,
    refusals: tuple[type[Refusal], ...] = (),
    largest: int = SMALL,
    is_list: bool = False,
    live_only: bool = False,
    media_type: str = JSON,
) -> Callable[[Handler], HTTPRouteHandler]:
    """Make an endpoint of a handler. `largest`: bytes of a body; `is_list`: works in the threads for long lists;
    `live_only`: test keys have no money of their own, so it is not for them."""

    def decorate(function: Handler) -> HTTPRouteHandler:
        described = Operation(
            function.__name__,
            method,
            path,
            summary,
            inspect.cleandoc(function.__doc__ or ""),
            scope,
            status,
            answer,
            of,
            parts or {},
            Reader(body) if body else None,
            query,
            key_required,
            refusals,
            largest,
            is_list,
            live_only,
            media_type,
        )

        async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
            return cast(ASGIApp, await _run(request, described, function))

        handle.__name__ = function.__name__
        route = re.sub(r"\{(\w+)\}", r"{\1:str}", path)
        return HTTPRouteHandler(
            route, http_method=cast(Any, method), status_code=status, request_max_body_size=largest, opt={"operation": described}
        )(handle)

    return decorate


async def _run(request: Request[Any, Any, Any], operation: Operation, function: Handler) -> ASGIResponse:
    door: Door = request.app.state.door
    now, limits = timezone.now(), {}
    try:
        said = _Headers.of(request)
        caller = await door.keys.caller(said.api_key(), now)
        if operation.scope not in caller.scopes:
            raise errors.MissingScope(
                f"This key may not do that: it lacks the scope {operation.scope}.", remedy="Use a key with that scope."
            )
        if operation.live_only and caller.mode == "test":
            raise errors.LiveOnly(remedy="Use a live key.")
        limits = door.limits.take(caller.key_id)
        call = await _call(request, operation, door, caller, said, now)
        reply = await _answer(call, operation, function)
    except errors.TooMany as refusal:
        return errors.answer(request, refusal, cast(dict[str, str], refusal.facts["headers"]))
    except Refusal as refusal:
        return errors.answer(request, refusal, limits)
    if not isinstance(reply, Reply):
        reply = Reply(reply)
    content = reply.content if isinstance(reply.content, bytes) else _encode(reply.content)
    return ASGIResponse(
        body=content, headers={**limits, **reply.headers}, media_type=reply.media_type, status_code=operation.status
    )


async def _answer(call: "Call[Any, Any]", operation: Operation, function: Handler) -> object:
    if inspect.iscoroutinefunction(function):
        return await cast(Awaitable[object], function(call))
    threads = call.door.lists if operation.is_list else call.door.threads
    return await threads.run(function, call)


async def _call(
    request: Request[Any, Any, Any], operation: Operation, door: Door, caller: Caller, said: "_Headers", now: datetime
) -> "Call[Any, Any]":
    id_ = public_ids().decode(operation.of, request.path_params["id"]) if operation.of else 0
    query = read_query(request.scope["query_string"], operation.query)
    body: object = None
    if operation.body is not None:
        said.check_type()
        body = operation.body.read(await request.body())
    key = None
    if operation.method == "POST":
        key = said.key(caller.mode, request.scope["path"], b"" if body is None else _encode(body))
        if key is None and operation.key_required:
            raise BadInput(
                "This needs an Idempotency-Key.",
                field="Idempotency-Key",
                remedy="Send a new UUID with each purchase, and the same one to repeat it.",
            )
    parts = {name: request.path_params[name] for name in operation.parts}
    return Call(caller, body, query, id_, parts, key, now, door)


@dataclass(slots=True)
class _Headers:
    """The few headers that we read, in one pass."""

    authorization: list[bytes]
    idempotency_key: list[bytes]
    content_type: list[bytes]
    content_encoding: list[bytes]

    @classmethod
    def of(cls, request: Request[Any, Any, Any]) -> "_Headers":
        found: dict[bytes, list[bytes]] = {
            b"authorization": [],
            b"idempotency-key": [],
            b"content-type": [],
            b"content-encoding": [],
        }
        for name, value in request.scope["headers"]:
            if name in found:
                found[name].append(value)
        return cls(*found.values())

    def api_key(self) -> str:
        if len(self.authorization) != 1 or self.authorization[0][:7].lower() != b"bearer ":
            raise errors.NoKey(remedy="Send it with each request: Authorization: Bearer pm_live_…")
        return self.authorization[0][7:].strip().decode("latin-1")

    def key(self, mode: str, address: str, body: bytes) -> Key | None:
        if not self.idempotency_key:
            return None
        if len(self.idempotency_key) > 1:
            raise BadInput("There are two Idempotency-Keys.", field="Idempotency-Key", remedy="Send one.")
        return key_of(self.idempotency_key[0].decode("latin-1"), mode=mode, address=address, body=body)

    def check_type(self) -> None:
        kind = self.content_type[0].split(b";")[0].strip().lower() if len(self.content_type) == 1 else b""
        if kind != b"application/json":
            raise errors.WrongType(field="Content-Type", remedy="Send JSON as Content-Type: application/json.")
        if self.content_encoding and self.content_encoding != [b"identity"]:
            raise errors.WrongType("The body is compressed.", field="Content-Encoding", remedy="Send it as it is.")
