"""Dispatch and record, one worker each; beside them the machine's own pgbench."""

import itertools
import time
from collections.abc import Mapping

import uvloop
from django.utils import timezone

from postmeter.cli.measures import Figure, figure, world
from postmeter.messaging.dispatch import Dispatcher
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.dispatch import claim, customers_with_work
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import State

BATCH = 1_000


def dispatch(*, null_carrier: Mapping[str, str], pgbench: float, rows: int) -> Figure:
    """Messages a second from queued to taken by the provider and written down, against a carrier that answers at once."""
    customers = [world.customer() for _ in range(4)]
    numbers, bodies = world.numbers(BATCH), [world.BODY] * BATCH
    for customer, _ in zip(itertools.cycle(customers), range(rows // BATCH), strict=False):
        submit(Submission(customer.id, numbers, bodies, "bench"), now=timezone.now())
    ours = {customer.id for customer in customers}
    dispatcher = Dispatcher(
        settings={"twilio": null_carrier}, clock=timezone.now, work=lambda: [id_ for id_ in customers_with_work() if id_ in ours]
    )
    started = time.perf_counter()
    handled = uvloop.run(dispatcher.drain())
    seconds = time.perf_counter() - started
    return figure("dispatch", handled / seconds, "messages/s", pgbench, handled)


def record_receipts(*, pgbench: float, rows: int) -> Figure:
    """Messages a second whose receipts (sent, then delivered) are kept, and whose money is settled, as the callbacks' door does it."""
    customer = world.customer()
    ids: list[int] = []
    for _ in range(rows // BATCH):
        submit(Submission(customer.id, world.numbers(BATCH), [world.BODY] * BATCH, "bench"), now=timezone.now())
    while claimed := claim(customer_id=customer.id, at_most=BATCH, now=timezone.now()):
        part = [message.id for message in claimed]
        taken = [Fact(id_, "reply", "twilio", State.SENT, f"SM{id_}", "accepted") for id_ in part]
        record(customer_id=customer.id, facts=taken, now=timezone.now())
        ids += part
    started = time.perf_counter()
    for start in range(0, len(ids), BATCH // 2):
        part = ids[start : start + BATCH // 2]
        facts = [
            Fact(id_, "callback", "twilio", State.SENT, f"SM{id_}", "sent", "", True, raw={"MessageStatus": "sent"})
            for id_ in part
        ]
        facts += [
            Fact(
                id_, "callback", "twilio", State.DELIVERED, f"SM{id_}", "delivered", "", True, raw={"MessageStatus": "delivered"}
            )
            for id_ in part
        ]
        record(customer_id=customer.id, facts=facts, now=timezone.now())
    seconds = time.perf_counter() - started
    return figure("record", len(ids) / seconds, "messages/s", pgbench, len(ids))
