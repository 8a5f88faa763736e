"""How a fault on a request strikes: before the effect, after it, or on the answer's way back."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from postmeter.simulator.faults import Fault, Fired
from postmeter.simulator.wire import Answer, Wound
from postmeter.simulator.world import World

SILENCE = Answer(200, b"", wound=Wound.SILENT)
PATIENCE_SECONDS = 10


async def under_fault(
    fired: Fired | None, world: World, handle: Callable[[], Answer], trouble: Callable[[int], Answer]
) -> Answer:
    """`handle` has its effect and gives the true answer; `trouble` gives the service's own answer for a status."""
    fault = fired.fault if fired else None
    if fired and fault is Fault.SLOW:
        await world.clock.until(world.clock.now() + fired.seconds)
    if fault is Fault.TIMEOUT_BEFORE:
        return SILENCE
    refused = {Fault.ERROR_500_BEFORE: 500, Fault.THROTTLE_429: 429, Fault.CONFLICT_409: 409}
    if fault in refused:
        return trouble(refused[fault])
    with world.log.transaction():
        if fault is Fault.TWICE:
            handle()
        answer = handle()
    match fault:
        case Fault.TIMEOUT_AFTER_SUCCESS:
            return SILENCE
        case Fault.ERROR_500_AFTER:
            return trouble(500)
        case Fault.RESET_AFTER_HEADERS:
            return replace(answer, wound=Wound.CUT)
        case Fault.GARBAGE:
            return replace(answer, body=b"<html>Bad gateway\x00" + answer.body[:20])
        case Fault.EVENT_FIRST:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await world.agenda.do_what_is_due(by=world.clock.now() + world.knob("event_delay")[1])
    return answer
