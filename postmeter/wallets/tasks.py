"""Jobs about wallets."""

from django.utils import timezone
from procrastinate.contrib.django import app

from postmeter.customers import permissions
from postmeter.customers import queries as customers
from postmeter.events import queries as events
from postmeter.wallets import sharing


@app.task(queue="money", pass_context=False)
def open_for_member(*, customer_id: int, event_id: int, **later: object) -> None:
    """Somebody came, or may do something else: under individual credits who may send has a wallet (R-02)."""
    member_id = events.event(customer_id=customer_id, event_id=event_id).subject_id
    seats = {seat.member_id: seat for seat in customers.members(customer_id=customer_id)}
    seat = seats.get(member_id)
    if seat and permissions.SEND in seat.permissions and sharing.sharing(customer_id=customer_id).individual:
        sharing.wallet_of(customer_id=customer_id, member_id=member_id, now=timezone.now())
