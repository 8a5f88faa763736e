"""Jobs about messages."""

from django.conf import settings
from django.utils import timezone
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from postmeter.events import queries as events
from postmeter.messaging import inbound


@app.task(queue="files", retry=RetryStrategy(max_attempts=8, exponential_wait=4), pass_context=False)
def fetch_files(*, customer_id: int, event_id: int, **later: object) -> None:
    """A message came in; its files, if it has some, are still at the provider. A fax is drawn, so that it can be looked at."""
    event = events.event(customer_id=customer_id, event_id=event_id)
    inbound.fetch_files(event=event, settings=settings.PROVIDERS, now=timezone.now())
    inbound.draw_pages(event=event, now=timezone.now())
