"""Accepting lists, in this process: beside the same rows inserted raw, and at ten million rows beside none."""

from collections.abc import Callable

import psycopg
from django.utils import timezone

from postmeter.cli.measures import Figure, figure, side_by_side, world
from postmeter.messaging.operations.accept import Submission, submit

LIST = 1_000


def accept_bulk(*, owner_url: str, rounds: int = 30) -> Figure:
    """Messages a second accepted in lists of 1,000 on one wallet; the floor inserts the same rows and does nothing else."""
    customer, raw = world.customer(), world.Raw(owner_url, world.customer().id)
    numbers, bodies = world.numbers(LIST), [f"{world.BODY} {n}" for n in range(LIST)]
    value, floor = side_by_side(
        lambda: _accept(customer.id, numbers, bodies),
        lambda: raw.insert(numbers, bodies, timezone.now()),
        rows=LIST,
        rounds=rounds,
    )
    raw.connection.close()
    return figure("accept_bulk", value, "messages/s", floor, LIST)


def accept_growth(*, owner_url: str, full_url: str, connect: Callable[[str], None], rounds: int = 30) -> Figure:
    """Lists of 1,000 accepted where ten million messages stand already; the floor is the same beside an empty database.

    `connect` points Django at one database or the other; both are measured in turn.
    """
    numbers, bodies = world.numbers(LIST), [f"{world.BODY} {n}" for n in range(LIST)]
    customers = {}
    for url in (owner_url, full_url):
        connect(url)
        customers[url] = world.customer().id

    def at(url: str) -> None:
        connect(url)
        for _ in range(5):
            _accept(customers[url], numbers, bodies)

    value, floor = side_by_side(lambda: at(full_url), lambda: at(owner_url), rows=5 * LIST, rounds=rounds)
    with psycopg.connect(full_url) as connection:
        count = connection.execute("SELECT count(*) FROM messaging_message").fetchone()
    assert count is not None
    return figure("accept_growth", value, "messages/s", floor, count[0])


def _accept(customer_id: int, numbers: list[str], bodies: list[str]) -> None:
    submit(Submission(customer_id, numbers, bodies, "bench"), now=timezone.now())
