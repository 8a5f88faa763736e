"""Looking after calls that go on: more is held for them before it is needed, and the provider told how long they may last."""

from collections.abc import Mapping
from datetime import datetime

from asgiref.sync import sync_to_async

from postmeter.kit.crash import crash_point
from postmeter.messaging.carriers.http import HttpCarrier
from postmeter.messaging.operations import calling
from postmeter.messaging.operations.calling import Tell
from postmeter.messaging.providers import call_provider

CONNECTIONS = 8


async def look_after(*, settings: Mapping[str, Mapping[str, str]], now: datetime) -> int:
    """One round over everybody who is on the telephone. Always 0: a round every few seconds is enough."""
    found: list[Tell] = []
    for customer_id in await sync_to_async(calling.customers_with_calls)():
        found += await sync_to_async(calling.look)(customer_id=customer_id, now=now)
    for name in sorted({tell.provider for tell in found}):
        provider = call_provider(name, settings[name])
        async with HttpCarrier(provider, connections=CONNECTIONS) as carrier:
            for tell in (each for each in found if each.provider == name):
                words = provider.interrupt(tell.ref, tell.speech) if tell.speech else provider.let_go_on(tell.ref, tell.seconds)
                crash_point("messaging.call_held")
                if await carrier.tell(words):
                    await sync_to_async(calling.told)(customer_id=tell.customer_id, tell=tell)
    return 0
