"""Jobs about alerts and notices."""

from django.utils import timezone
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from postmeter.events import queries as events
from postmeter.notifications import mail, news, operations, rounds
from postmeter.topups import queries as topups


@app.task(queue="mail", pass_context=False)
def open_alerts(*, customer_id: int, event_id: int, **later: object) -> None:
    """A wallet was opened: it begins with the usual levels."""
    event = events.event(customer_id=customer_id, event_id=event_id)
    operations.open_alerts(customer_id=customer_id, wallet_id=event.subject_id, now=timezone.now())


@app.task(queue="mail", pass_context=False)
def look(*, customer_id: int, event_id: int, **later: object) -> None:
    """A wallet fell below what is watched for."""
    event = events.event(customer_id=customer_id, event_id=event_id)
    operations.look(customer_id=customer_id, wallet_id=event.subject_id, now=timezone.now())


@app.task(queue="mail", pass_context=False)
def look_after_top_up(*, customer_id: int, event_id: int, **later: object) -> None:
    """Credit came: levels that were told are armed again."""
    event = events.event(customer_id=customer_id, event_id=event_id)
    found = topups.bought(customer_id=customer_id, top_up_id=event.subject_id)
    operations.look(customer_id=customer_id, wallet_id=found.top_up.wallet_id, now=timezone.now())


@app.task(queue="mail", pass_context=False)
def tell_of_message(*, customer_id: int, event_id: int, **later: object) -> None:
    """A text came in (S-061)."""
    news.tell_at_once(customer_id=customer_id, now=timezone.now())


@app.task(queue="mail", pass_context=False)
def tell_of_automation(*, customer_id: int, event_id: int, **later: object) -> None:
    """An automatic top-up failed, was paused or reached its cap. Nobody can switch these off (A-78)."""
    rounds.tell_of_automation(events.event(customer_id=customer_id, event_id=event_id), now=timezone.now())


@app.task(queue="mail", pass_context=False)
def tell_of_bill(*, customer_id: int, event_id: int, **later: object) -> None:
    """A month below zero was billed (S-097)."""
    rounds.tell_of_bill(events.event(customer_id=customer_id, event_id=event_id), now=timezone.now())


@app.task(queue="mail", pass_context=False)
def tell_of_transfer(*, customer_id: int, event_id: int, **later: object) -> None:
    """Credit went from one account to another (A-62)."""
    rounds.tell_of_transfer(events.event(customer_id=customer_id, event_id=event_id), now=timezone.now())


@app.task(queue="mail", pass_context=False)
def tell_of_approval(*, customer_id: int, event_id: int, **later: object) -> None:
    """A transfer waits for a master, or a master declined it (A-62)."""
    rounds.tell_of_approval(events.event(customer_id=customer_id, event_id=event_id), now=timezone.now())


@app.task(queue="mail", pass_context=False)
def tell_of_terms(*, customer_id: int, event_id: int, **later: object) -> None:
    """Something was decided about the customer, by the operator or by what was agreed."""
    rounds.tell_of_terms(events.event(customer_id=customer_id, event_id=event_id), now=timezone.now())


@app.task(queue="mail", pass_context=False)
def tell_of_stop(*, customer_id: int, event_id: int, **later: object) -> None:
    """A limit of the guard was passed: sending and automatic top-ups are stopped. Nobody can switch this off."""
    rounds.tell_of_stop(events.event(customer_id=customer_id, event_id=event_id), now=timezone.now())


@app.task(queue="mail", pass_context=False)
def tell_of_reversal(*, customer_id: int, event_id: int, **later: object) -> None:
    """Money of a top-up was taken back, or came again; and the balance is another one."""
    rounds.tell_of_reversal(events.event(customer_id=customer_id, event_id=event_id), now=timezone.now())


@app.task(queue="mail", retry=RetryStrategy(max_attempts=10, exponential_wait=4), pass_context=False)
def mail_notice(*, customer_id: int, event_id: int, **later: object) -> None:
    """Mail the notice that this event made, once."""
    event = events.event(customer_id=customer_id, event_id=event_id)
    mail.send(customer_id=customer_id, notice_id=event.subject_id, now=timezone.now())
