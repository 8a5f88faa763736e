"""One text, from bought credit to delivered and charged, through every layer."""

import asyncio
from uuid import uuid4

from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.invoicing import queries as invoices
from postmeter.kit.money import MICROS
from postmeter.messaging import queries as messages
from postmeter.messaging.dispatch import Dispatcher
from postmeter.messaging.operations import dispatch
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.topups import operations as topups
from tests.cast import FEE, PRICE, Cast, number
from tests.journeys.shop import saved_card
from tests.stage import Stage, until


def test_a_text_goes_from_bought_credit_to_delivered_and_charged(stage: Stage, cast: Cast) -> None:  # S-041 S-044
    harbour = cast.clinic(credit_micros=0)
    card = saved_card(stage, harbour)
    bought = topups.buy(
        customer_id=harbour.id,
        wallet_id=harbour.pool.id,
        method_id=card.id,
        amount_micros=20 * MICROS,
        key=uuid4(),
        actor=harbour.actor,
        now=timezone.now(),
    )
    assert bought.top_up.state == "succeeded"  # S-159
    assert harbour.available == 20 * MICROS
    [invoice] = invoices.invoices(customer_id=harbour.id)
    assert (invoice.number, invoice.total_micros) == (1, 20 * MICROS)  # S-020

    accepted = submit(
        Submission(customer_id=harbour.id, recipients=[number(1)], bodies=["See you tomorrow at ten."], actor=harbour.actor),
        now=timezone.now(),
    )
    assert accepted.words == ["ok"]
    assert harbour.held == PRICE + FEE

    dispatch_all(harbour.id)
    stage.settle()
    until(lambda: messages.message(customer_id=harbour.id, message_id=accepted.ids[0]).state == "delivered", "the receipt")
    trail = messages.trail(customer_id=harbour.id, message_id=accepted.ids[0])
    assert trail.message.charged_micros == PRICE + FEE
    assert [entry.kind for entry in trail.entries] == ["hold", "post"]
    assert harbour.held == 0
    assert harbour.posted == 20 * MICROS - PRICE - FEE
    report = verify_all()
    assert report.ok, [check.wrong for check in report.checks if check.wrong]


def dispatch_all(customer_id: int) -> int:
    """Dispatch what this customer has queued."""
    from django.conf import settings

    dispatcher = Dispatcher(settings=settings.PROVIDERS, clock=timezone.now, work=lambda: _mine(customer_id))
    return asyncio.run(dispatcher.drain())


def _mine(customer_id: int) -> list[int]:
    return [customer_id] if customer_id in dispatch.customers_with_work() else []
