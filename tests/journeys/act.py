"""One thing done in a process of its own, so that it can die in the middle: `python -m tests.journeys.act buy '{…}'`."""

import json
import os
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postmeter.config.settings")

import django

django.setup()

from django.utils import timezone  # noqa: E402 - Django must be set up first


def buy(*, key: str, **facts: Any) -> None:
    from postmeter.topups import operations as topups

    topups.buy(key=UUID(key), now=timezone.now(), **facts)


def react(**facts: Any) -> None:
    from postmeter.topups import automation

    automation.react(now=timezone.now(), **facts)


def give_back(*, key: str, **facts: Any) -> None:
    from postmeter.topups import refunds

    refunds.refund(key=UUID(key), now=timezone.now(), **facts)


def import_wires(*, account: str, text: str) -> None:
    from postmeter.topups import wires

    wires.import_statement(file_name="day", data=text.encode(), account=account, actor="operator", now=timezone.now())


def start_setup(*, customer_id: int, url: str) -> None:
    from postmeter.payments import operations as payments

    payments.start_setup(customer_id=customer_id, actor="x", success_url=f"{url}/SETUP", cancel_url=url, now=timezone.now())


def send_list(*, customer_id: int, recipients: list[str], body: str, key: str) -> None:
    from postmeter.messaging.operations.accept import Submission, submit

    bodies = [body] * len(recipients)
    submit(Submission(customer_id, recipients, bodies, "x", key=UUID(key), digest=UUID(key)), now=timezone.now())


def read_bills(*, seconds: int) -> None:
    """What the worker does with providers' bills, so many seconds from now."""
    import asyncio

    from django.conf import settings

    from postmeter.costs import operations

    asyncio.run(operations.read_due(settings=settings.PROVIDERS, now=timezone.now() + timedelta(seconds=seconds)))


def look_after(*, seconds: int) -> None:
    """What the worker does with calls, so many seconds from now."""
    import asyncio

    from django.conf import settings

    from postmeter.messaging import calling

    asyncio.run(calling.look_after(settings=settings.PROVIDERS, now=timezone.now() + timedelta(seconds=seconds)))


def tell_consents(*, url: str) -> None:
    """What the worker does with a provider that keeps a list of opt-outs, too."""
    import asyncio

    from django.conf import settings

    from postmeter.messaging import telling

    settings.TWILIO["consents_url"] = url
    asyncio.run(telling.tell(settings=settings.PROVIDERS, now=timezone.now()))


def sweep(*, seconds: int) -> None:
    """What the worker's round does, so many seconds from now."""
    import asyncio

    from django.conf import settings

    from postmeter.messaging import reconcile

    asyncio.run(reconcile.sweep_all(settings=settings.PROVIDERS, now=timezone.now() + timedelta(seconds=seconds)))


if __name__ == "__main__":
    {
        "buy": buy,
        "react": react,
        "give_back": give_back,
        "import_wires": import_wires,
        "start_setup": start_setup,
        "send_list": send_list,
        "sweep": sweep,
        "look_after": look_after,
        "read_bills": read_bills,
        "tell_consents": tell_consents,
    }[sys.argv[1]](**json.loads(sys.argv[2]))
