"""The door for providers and gateways. It verifies, writes down what was said, and answers; nothing else (ack in time)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone
from litestar import Litestar, Request, Response, post
from litestar.datastructures import UploadFile

from postmeter.callbacks.collect import Collector
from postmeter.db.public_ids import public_ids
from postmeter.kit.crash import crash_point
from postmeter.kit.refusals import Refusal
from postmeter.messaging import inbound
from postmeter.messaging.operations import calling
from postmeter.messaging.operations.record import Fact
from postmeter.messaging.providers import (
    Callback,
    Forged,
    Heard,
    Receipt,
    Received,
    Speech,
    call_provider,
    provider,
)
from postmeter.payments import operations as payments
from postmeter.payments.gateways import GATEWAYS, GatewayDown, Outcome, Reversal, SetupDone
from postmeter.payments.gateways import Forged as ForgedEvent
from postmeter.topups import operations as topups
from postmeter.topups import reversals

EMPTY_TWIML = "<?xml version='1.0' encoding='UTF-8'?><Response/>"
LARGEST = 40_000_000  # bytes: a fax of many pages, in base64
_collector = Collector()


@post("/callbacks/{name:str}/{customer:str}/{message:str}", status_code=204)
async def message_receipt(name: str, customer: str, message: str, request: Request[Any, Any, Any]) -> Response[None]:
    """A receipt about one message. Recorded, committed, then acknowledged: a receipt that fails here is sent again."""
    callback = await _callback(request)
    try:
        adapter = provider(name, settings.PROVIDERS[name])
        adapter.verify(callback)
        customer_id, message_id = public_ids().decode("CU", customer), public_ids().decode("SM", message)
    except (KeyError, Refusal):
        return Response(None, status_code=404)
    except Forged:
        return Response(None, status_code=403)
    facts = [Fact.of(message_id, "callback", name, word) for word in adapter.facts(callback) if isinstance(word, Receipt)]
    if facts:
        await _collector.record(customer_id, facts)
        crash_point("callbacks.receipt_written")
    return Response(None, status_code=204)


@post("/callbacks/{name:str}/{customer:str}/{message:str}/call", status_code=200)
async def call_asks(name: str, customer: str, message: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    """Somebody answered a call, pressed a key, or was put through: the provider asks what to say now."""
    callback = await _callback(request)
    try:
        adapter = call_provider(name, settings.PROVIDERS[name])
        adapter.verify(callback)
        customer_id, message_id = public_ids().decode("CU", customer), public_ids().decode("SM", message)
        heard = adapter.heard(callback)
        speech = await sync_to_async(_instruct, thread_sensitive=False)(customer_id, message_id, heard, timezone.now())
    except (KeyError, Refusal):
        return Response(b"", status_code=404)
    except Forged:
        return Response(b"", status_code=403)
    crash_point("callbacks.call_answered")
    return Response(adapter.speak(speech), status_code=200, media_type=adapter.speaks)


@post("/callbacks/{name:str}/inbound", status_code=200, request_max_body_size=LARGEST)
async def message_received(name: str, request: Request[Any, Any, Any]) -> Response[str]:
    """A text or a fax that came in. Kept before it is acknowledged, whatever the balance is (A-58)."""
    callback = await _callback(request)
    try:
        adapter = provider(name, settings.PROVIDERS[name])
        adapter.verify(callback)
    except KeyError:
        return Response("", status_code=404)
    except Forged:
        return Response("", status_code=403)
    received = [word for word in adapter.facts(callback) if isinstance(word, Received)]
    await sync_to_async(_receive, thread_sensitive=False)(name, received, timezone.now())
    crash_point("callbacks.text_written")
    return Response(EMPTY_TWIML, status_code=200, media_type="text/xml")


@post([f"/callbacks/{name}" for name in GATEWAYS], status_code=200)
async def gateway_event(request: Request[Any, Any, Any]) -> Response[str]:
    """A gateway's event. The effect and the note that it happened are one transaction, so a repeat changes nothing."""
    body, name = await request.body(), request.url.path.rpartition("/")[2]
    headers = {key.lower(): value for key, value in request.headers.items()}
    try:
        await sync_to_async(_gateway_facts, thread_sensitive=False)(name, body, headers, timezone.now())
    except ForgedEvent:
        return Response("bad signature", status_code=400)
    except GatewayDown:
        return Response("gateway_unavailable", status_code=409)
    except Refusal as refusal:
        # Not known here yet, or the gateway is away: it asks again later, and the reconciler looks meanwhile.
        return Response(refusal.code, status_code=409)
    crash_point("callbacks.event_written")
    return Response("ok", status_code=200)


def _instruct(customer_id: int, message_id: int, heard: Heard, now: datetime) -> Speech:
    close_old_connections()
    return calling.instruct(customer_id=customer_id, message_id=message_id, heard=heard, now=now)


def _receive(name: str, received: list[Received], now: datetime) -> None:
    close_old_connections()
    for word in received:
        inbound.receive(provider=name, word=word, now=now)


def _gateway_facts(name: str, body: bytes, headers: Mapping[str, str], now: datetime) -> None:
    close_old_connections()
    for fact in payments.gateway(name).read(body=body, headers=headers):
        if isinstance(fact, Reversal):
            reversals.hear(gateway=name, fact=fact, now=now)
            continue
        facts = fact.facts or {}
        if not facts.get("customer", "").isdigit():
            continue  # somebody else's payment on the same gateway account
        customer_id = int(facts["customer"])
        if isinstance(fact, SetupDone) and facts.get("setup", "").isdigit():
            payments.finish_setup(customer_id=customer_id, setup_id=int(facts["setup"]), now=now)
        elif isinstance(fact, Outcome) and facts.get("payment", "").isdigit():
            topups.settle(customer_id=customer_id, payment_id=int(facts["payment"]), outcome=fact, now=now)


async def _callback(request: Request[Any, Any, Any]) -> Callback:
    form = await request.form()
    files = {key: await value.read() for key, value in form.items() if isinstance(value, UploadFile)}
    # The address as the provider saw it: what it signed. Behind a proxy that is the public one.
    url = settings.PUBLIC_URL + request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return Callback(
        url,
        {key: str(value) for key, value in form.items() if key not in files},
        dict(request.headers),
        await request.body(),
        files,
    )


def create_app() -> Litestar:
    return Litestar([message_receipt, call_asks, message_received, gateway_event], openapi_config=None)
