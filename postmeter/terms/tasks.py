"""Jobs about terms."""

from django.utils import timezone
from procrastinate.contrib.django import app

from postmeter.events import queries as events
from postmeter.terms import agreement
from postmeter.topups import queries as topups


@app.task(queue="money", pass_context=False)
def follow_bills(*, customer_id: int, event_id: int, **later: object) -> None:
    """A bill was settled: what its delay had stopped goes on."""
    agreement.follow_bills(customer_id=customer_id, now=timezone.now())


@app.task(queue="money", pass_context=False)
def follow_dispute(*, customer_id: int, event_id: int, **later: object) -> None:
    """A payment was taken back, or came again."""
    event = events.event(customer_id=customer_id, event_id=event_id)
    if event.data["kind"] == "dispute":
        wallet_id = topups.bought(customer_id=customer_id, top_up_id=event.subject_id).top_up.wallet_id
        agreement.follow_dispute(customer_id=customer_id, wallet_id=wallet_id, is_back=event.data["is_back"], now=timezone.now())
