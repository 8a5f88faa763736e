"""How large a request may be: counted while it arrives, so that nothing larger is kept in memory or on disk."""

from typing import Any

from django.template.loader import render_to_string

DRAINED_AT_MOST = 64 * 1024 * 1024  # read and thrown away, so that a browser has said all and reads our answer


class LimitedBodies:
    """An ASGI application in front of the pages: bodies of more than `at_most` bytes get a page with status 413.

    What a request declares is believed only where it says too much; what arrives is counted. The application inside sees a
    client that went away, and never acts on a part.
    """

    def __init__(self, pages: Any, *, at_most: int) -> None:
        self.pages, self.at_most = pages, at_most

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.pages(scope, receive, send)
            return
        body = _Body(receive, self.at_most)
        if _declared(scope) <= self.at_most:
            await self.pages(scope, body.receive, send)
            if not body.too_large:
                return
        await body.drain()
        await _refuse(send)


class _Body:
    """Counts what arrives."""

    def __init__(self, receive: Any, at_most: int) -> None:
        self._receive, self._at_most = receive, at_most
        self._bytes, self._ended = 0, False

    @property
    def too_large(self) -> bool:
        return self._bytes > self._at_most

    async def receive(self) -> Any:
        event = await self._next()
        return {"type": "http.disconnect"} if self.too_large else event

    async def drain(self) -> None:
        while not self._ended and self._bytes <= DRAINED_AT_MOST:
            await self._next()

    async def _next(self) -> Any:
        event = await self._receive()
        self._bytes += len(event.get("body", b""))
        self._ended = event["type"] != "http.request" or not event.get("more_body", False)
        return event


def _declared(scope: Any) -> int:
    text = dict(scope["headers"]).get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0


async def _refuse(send: Any) -> None:
    page = render_to_string("413.html").encode()
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(page)).encode())]
    headers += [
        (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'")
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": page})
