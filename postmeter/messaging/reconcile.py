"""Asking providers about messages whose outcome nobody knows, and closing what stays open."""

from collections.abc import Mapping
from datetime import datetime

from asgiref.sync import sync_to_async

from postmeter.kit.crash import crash_point
from postmeter.messaging.carrier import Carrier
from postmeter.messaging.operations import sweep
from postmeter.messaging.operations.record import record
from postmeter.messaging.providers import Outbound, provider


async def sweep_all(*, settings: Mapping[str, Mapping[str, str]], now: datetime) -> int:
    """One round over every customer with open messages. Returns how many messages moved."""
    moved = 0
    for customer_id in await sync_to_async(sweep.customers_with_open_messages)():
        moved += await sync_to_async(sweep.end_leases)(customer_id=customer_id, now=now)
        moved += await _ask(customer_id, settings, now)
        moved += await sync_to_async(sweep.give_up)(customer_id=customer_id, now=now)
        moved += await sync_to_async(sweep.settle_silent)(customer_id=customer_id, now=now)
        await sync_to_async(sweep.forget_keys)(customer_id=customer_id, now=now)
    return moved


async def _ask(customer_id: int, settings: Mapping[str, Mapping[str, str]], now: datetime) -> int:
    """Look up this customer's unknown messages at their providers. One that a provider does not have stays unknown."""
    moved = 0
    lost = await sync_to_async(sweep.lost)(customer_id=customer_id)
    # Two unknown messages with the same words to the same number must not both be found in one of the provider's.
    taken: set[str] = set()
    for name in sorted({message.provider for message in lost} & set(settings)):
        async with Carrier(provider(name, settings[name]), connections=4) as carrier:
            for message in [m for m in lost if m.provider == name]:
                asked = Outbound(message.id, message.sender, message.recipient, message.body, "")
                reply = await carrier.look_up(asked)
                found = carrier.provider.found(asked, reply, message.taken_refs | taken) if reply else None
                if found:
                    crash_point("messaging.looked_up")
                    taken.add(found.ref)
                    fact = sweep.fact_found(message, found)
                    moved += (await sync_to_async(record)(customer_id=customer_id, facts=[fact], now=now)).moved
    return moved
