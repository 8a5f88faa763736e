"""What our side asks the trunk for, by HTTP with a password: calls, faxes, and what has become of them."""

import asyncio
import base64
import binascii
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from postmeter.messaging.providers import Speech
from postmeter.trunk import faxing
from postmeter.trunk.conversation import Order
from postmeter.trunk.exchange import Exchange, Full
from postmeter.trunk.journal import Job, Journal
from postmeter.trunk.settings import Settings
from postmeter.trunk.teller import said_of

LARGEST = 40_000_000  # bytes of a request: a hundred dithered pages, in base64
REFS = r"[0-9]{1,20}"
Asked = TypeVar("Asked", bound=msgspec.Struct)


class NewCall(msgspec.Struct, forbid_unknown_fields=True):
    ref: str
    to: str
    sender: str
    seconds: int
    asks: str
    receipts: str
    finds_machines: bool


class NewFax(msgspec.Struct, forbid_unknown_fields=True):
    ref: str
    to: str
    sender: str
    header: str
    zone: str
    receipts: str
    tiff: str


class Told(msgspec.Struct, forbid_unknown_fields=True):
    """One of both."""

    seconds: int = 0
    speech: Speech | None = None


def create_app(settings: Settings, exchange: Exchange, journal: Journal) -> web.Application:
    doors = Doors(settings, exchange, journal)
    app = web.Application(client_max_size=LARGEST, middlewares=[doors.known_only])
    app.router.add_post("/calls", doors.call)
    app.router.add_post("/faxes", doors.fax)
    app.router.add_get(f"/jobs/{{ref:{REFS}}}", doors.job)
    app.router.add_post(f"/calls/{{ref:{REFS}}}", doors.tell)
    return app


class Doors:
    def __init__(self, settings: Settings, exchange: Exchange, journal: Journal) -> None:
        self._settings, self._exchange, self._journal = settings, exchange, journal

    @web.middleware
    async def known_only(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {self._settings.secret}".encode()):
            raise web.HTTPUnauthorized(text="Give the secret of POSTMETER_SIP_SECRET.")
        return await handler(request)

    async def call(self, request: web.Request) -> web.Response:
        asked = await _read(request, NewCall)
        order = Order(_ref(asked.ref), asked.to, asked.sender, asked.seconds, asked.asks, asked.finds_machines)
        return self._taken(lambda: self._exchange.call(order, asked.receipts))

    async def fax(self, request: web.Request) -> web.Response:
        asked = await _read(request, NewFax)
        try:
            tiff = base64.b64decode(asked.tiff, validate=True)
        except binascii.Error:
            raise web.HTTPBadRequest(text="tiff is not base64.") from None
        path = self._settings.folder / f"{_ref(asked.ref)}.tiff"
        if job := self._journal.job(asked.ref):
            return web.json_response(said_of(job), status=201)
        await asyncio.to_thread(_keep, path, tiff)
        order = faxing.Order(asked.ref, asked.to, asked.sender, asked.header, asked.zone, path)
        try:
            return self._taken(lambda: self._exchange.fax(order, asked.receipts))
        except web.HTTPTooManyRequests:
            path.unlink(missing_ok=True)
            raise

    async def job(self, request: web.Request) -> web.Response:
        job = self._journal.job(request.match_info["ref"])
        if job is None:
            raise web.HTTPNotFound(text="Nothing of that name was ever asked for.")
        return web.json_response(said_of(job))

    async def tell(self, request: web.Request) -> web.Response:
        """A call may go on, or is to say something now."""
        asked, ref = await _read(request, Told), request.match_info["ref"]
        known = self._exchange.interrupt(ref, asked.speech) if asked.speech else self._exchange.let_go_on(ref, asked.seconds)
        if not known:
            raise web.HTTPNotFound(text="Nobody is on that line.")
        return web.json_response({"ref": ref})

    def _taken(self, take: Callable[[], Job]) -> web.Response:
        try:
            job = take()
        except Full:
            raise web.HTTPTooManyRequests(
                text="All lines are taken, and as many wait as may.", headers={"Retry-After": "30"}
            ) from None
        return web.json_response(said_of(job), status=201)


async def _read(request: web.Request, kind: type[Asked]) -> Asked:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=str(error)) from None


def _ref(said: str) -> str:
    if not said.isdecimal() or len(said) > 20:
        raise web.HTTPBadRequest(text="ref is a number of at most 20 digits.")
    return said


def _keep(path: Path, tiff: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(tiff)
