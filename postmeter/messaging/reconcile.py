"""Asking providers about messages whose outcome nobody knows, and closing what stays open."""

from collections.abc import Mapping
from datetime import datetime

from asgiref.sync import sync_to_async

from postmeter.kit.crash import crash_point
from postmeter.messaging.carriers import questions
from postmeter.messaging.operations import sweep, wait
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.providers import Call, Outbound

AT_ONCE = 100  # messages asked about per customer and round
_asked_up_to: dict[int, int] = {}


async def sweep_all(*, settings: Mapping[str, Mapping[str, str]], now: datetime) -> int:
    """One round over every customer with open messages. Returns how many messages moved."""
    moved = 0
    for customer_id in await sync_to_async(sweep.customers_with_open_messages)():
        moved += await sync_to_async(sweep.end_leases)(customer_id=customer_id, now=now)
        lost = await sync_to_async(_next_to_ask)(customer_id, now)
        moved += await _ask(customer_id, lost, settings, now)
        moved += await sync_to_async(sweep.give_up)(customer_id=customer_id, asked=[message.id for message in lost], now=now)
        moved += await sync_to_async(sweep.settle_silent)(customer_id=customer_id, now=now)
        moved += await sync_to_async(wait.resume)(customer_id=customer_id, now=now)
        await sync_to_async(sweep.forget_keys)(customer_id=customer_id, now=now)
    return moved


def _next_to_ask(customer_id: int, now: datetime) -> list[sweep.Lost]:
    """The next unknown messages, and after the last of them the first again: none keeps the others from being asked about."""
    found = sweep.lost(customer_id=customer_id, now=now, after=_asked_up_to.get(customer_id, 0), at_most=AT_ONCE)
    if len(found) == AT_ONCE:
        _asked_up_to[customer_id] = found[-1].id
    else:
        _asked_up_to.pop(customer_id, None)
    return found


async def _ask(customer_id: int, lost: list[sweep.Lost], settings: Mapping[str, Mapping[str, str]], now: datetime) -> int:
    """Look up unknown messages at their providers. One that a provider does not have stays unknown."""
    moved = 0
    # Two unknown messages with the same words to the same number must not both be found in one of the provider's.
    taken: set[str] = set()
    for name in sorted({message.provider for message in lost} & set(settings)):
        async with questions(name, settings[name]) as asked:
            for message in [m for m in lost if m.provider == name]:
                call = Call(0, "", finds_machines=False) if message.channel == "voice" else None
                words = Outbound(message.id, message.sender, message.recipient, message.body, "", ref=message.ref, call=call)
                found = await asked.look_up(words, message.taken_refs | taken)
                if found:
                    crash_point("messaging.looked_up")
                    taken.add(found.ref)
                    fact = Fact.of(message.id, "lookup", message.provider, found)
                    moved += (await sync_to_async(record)(customer_id=customer_id, facts=[fact], now=now)).moved
    return moved
