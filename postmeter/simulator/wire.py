"""Bytes in, bytes out: requests and answers below any framework, because some of our answers must be broken on purpose."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Wound(Enum):
    """How an answer can fail on its way."""

    SILENT = "the connection stays open and nothing ever comes"
    CUT = "the headers come, half of the body, then the connection closes"


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    wound: Wound | None = None


def as_json(status: int, content: object, **headers: str) -> Answer:
    return Answer(status, json.dumps(content).encode(), {"content-type": "application/json", **headers})


async def read(scope: Scope, receive: Receive) -> Request:
    body = b""
    more = True
    while more:
        part = await receive()
        body += part.get("body", b"")
        more = part.get("more_body", False)
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
    )


async def write(answer: Answer, receive: Receive, send: Send) -> None:
    if answer.wound is Wound.SILENT:
        await _hang_up_with_the_caller(receive)
        return
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    body = answer.body[: len(answer.body) // 2] if answer.wound is Wound.CUT else answer.body
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _hang_up_with_the_caller(receive: Receive) -> None:
    try:
        async with asyncio.timeout(600):  # somebody who never hangs up must not keep us for ever
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        pass
