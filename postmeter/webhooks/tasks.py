"""Jobs about webhooks."""

from django.utils import timezone
from procrastinate.contrib.django import app

from postmeter.webhooks import operations


@app.task(queue="webhooks", pass_context=False)
def fan_out(*, customer_id: int, event_id: int, **later: object) -> None:
    """Something happened that customers' systems may want to know: write down whom to tell, and try at once.

    What fails here is tried again by the worker's rounds.
    """
    now = timezone.now()
    for delivery_id in operations.fan_out(customer_id=customer_id, event_id=event_id, now=now):
        operations.deliver(customer_id=customer_id, delivery_id=delivery_id, now=now)
