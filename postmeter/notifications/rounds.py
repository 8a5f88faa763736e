"""What is told without anybody having asked: critical news of the automation, and what the calendar brings."""

from calendar import monthrange
from datetime import date, datetime
from zoneinfo import ZoneInfo

from postmeter.customers import queries as customers
from postmeter.customers.models import Role
from postmeter.events.models import Event
from postmeter.guard import operations as guard
from postmeter.messaging import queue
from postmeter.notifications import operations, queries
from postmeter.notifications.models import Notice
from postmeter.payments import queries as payments
from postmeter.topups import queries as topups
from postmeter.topups.queries import Standing
from postmeter.wallets import queries as wallets

OF_TERMS = {
    "terms.overdraft_stopped": "overdraft_stopped",
    "customer.suspended": "suspended",
    "customer.reinstated": "reinstated",
    "change_request.approved": "request_decided",
    "change_request.declined": "request_decided",
    "change_request.reversed": "request_decided",
    "adjustment.posted": "adjusted",
    "grant.given": "promotion",
    "webhook.disabled": "webhook_disabled",
}
KINDS = {"automation.failed": "top_up_failed", "automation.paused": "top_up_paused", "automation.capped": "top_up_capped"}
WARN_DAYS = (7, 30)  # before a card expires, the nearest first


def tell_of_automation(event: Event, *, now: datetime) -> None:
    """Once for each such fact (S-104, A-34)."""
    facts = {"wallet": event.subject_id, **event.data}
    operations.notify(customer_id=event.customer_id, kind=KINDS[event.kind], key=str(event.id), facts=facts, now=now)


def tell_of_bill(event: Event, *, now: datetime) -> None:
    """Each billing admin, or the customer's own address where there is none (S-097)."""
    admins = [seat for seat in customers.members(customer_id=event.customer_id) if Role.BILLING_ADMIN in seat.roles]
    for seat_id, address in [(seat.member_id, seat.email) for seat in admins] or [(0, "")]:
        operations.notify(
            customer_id=event.customer_id,
            kind="bill",
            key=f"{event.subject_id}:{seat_id}",
            facts={"bill": event.subject_id, **event.data},
            now=now,
            address=address,
        )


def tell_of_transfer(event: Event, *, now: datetime) -> None:
    """Both sides, each at their own address; System Credits are the customer's (A-62)."""
    people = {seat.member_id: seat for seat in customers.members(customer_id=event.customer_id)}
    for side in ("source", "target"):
        wallet = wallets.wallet(customer_id=event.customer_id, wallet_id=event.data[side])
        seat = people.get(wallet.member_id)
        if seat or wallet.kind == "pool":
            operations.notify(
                customer_id=event.customer_id,
                kind="transfer",
                key=f"{event.subject_id}:{side}",
                facts={
                    "wallet": wallet.id,
                    "side": side,
                    "transfer": event.subject_id,
                    "amount_micros": event.data["amount_micros"],
                },
                now=now,
                address=seat.email if seat else "",
            )


def tell_of_approval(event: Event, *, now: datetime) -> None:
    """A transfer waits: every master is told; it was declined: who asked for it is (A-62)."""
    people = customers.members(customer_id=event.customer_id)
    is_asked = event.kind == "transfer.asked"
    told = [seat for seat in people if Role.MASTER in seat.roles] if is_asked else []
    told += [seat for seat in people if not is_asked and f"member:{seat.member_id}" == event.data["asked_by"]]
    for seat in told:
        operations.notify(
            customer_id=event.customer_id,
            kind="transfer_waits" if is_asked else "transfer_declined",
            key=f"{event.subject_id}:{seat.member_id}",
            facts={"wallet": event.data["wallet"], "request": event.subject_id, "amount_micros": event.data["amount_micros"]},
            now=now,
            address=seat.email,
        )


def tell_of_stop(event: Event, *, now: datetime) -> None:
    """Every master, who can lift it, and the customer's own address."""
    masters = [seat for seat in customers.members(customer_id=event.customer_id) if Role.MASTER in seat.roles]
    for seat_id, address in [(0, ""), *((seat.member_id, seat.email) for seat in masters)]:
        operations.notify(
            customer_id=event.customer_id,
            kind="stopped",
            key=f"{event.subject_id}:{seat_id}",
            facts={"stop": event.subject_id},
            now=now,
            address=address,
        )


def tell_of_terms(event: Event, *, now: datetime) -> None:
    """Once for each such fact."""
    if event.kind == "customer.suspended" and event.data.get("reason") == guard.REASON:
        return  # `tell_of_stop` says more, and to more people
    facts = {"subject": event.subject_id, "fact": event.kind, **event.data}
    operations.notify(customer_id=event.customer_id, kind=OF_TERMS[event.kind], key=str(event.id), facts=facts, now=now)


def tell_of_reversal(event: Event, *, now: datetime) -> None:
    """Once for each such fact; then the levels are looked at, for what was taken back may pass some and what came may arm some."""
    wallet_id = topups.bought(customer_id=event.customer_id, top_up_id=event.subject_id).top_up.wallet_id
    facts = {"wallet": wallet_id, "top_up": event.subject_id, **event.data}
    operations.notify(customer_id=event.customer_id, kind="top_up_reversed", key=str(event.id), facts=facts, now=now)
    operations.look(customer_id=event.customer_id, wallet_id=wallet_id, now=now)


def tell_of_waiting(*, customer_id: int, wallet_id: int, now: datetime) -> Notice | None:
    """One summary of what waits for credit, at most one a day, to whoever's credit it is (A-43)."""
    zone = ZoneInfo(customers.customer(customer_id=customer_id).time_zone)
    by = queries.next_morning(now, zone)
    found = queue.queue(customer_id=customer_id, wallet_id=wallet_id, by=by)
    if not found.count:
        return None
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    owner = next((seat for seat in customers.members(customer_id=customer_id) if seat.member_id == wallet.member_id), None)
    facts = {"wallet": wallet_id, "count": found.count, "lapsing": found.lapsing, "micros": found.micros, "by": by.isoformat()}
    key = f"{wallet_id}:{now.astimezone(zone):%Y-%m-%d}"
    address = owner.email if owner else ""
    return operations.notify(customer_id=customer_id, kind="waiting", key=key, facts=facts, now=now, address=address)


def hourly(*, customer_id: int, now: datetime) -> int:
    """What no posting brings about: days that pass, cards that expire, cards that rest. Returns how many notices were made."""
    made = []
    for wallet in wallets.wallets(customer_id=customer_id):
        if queries.alerts(customer_id=customer_id, wallet_id=wallet.id):
            made.append(operations.look(customer_id=customer_id, wallet_id=wallet.id, now=now))
        automatic = topups.automatic(customer_id=customer_id, wallet_id=wallet.id, now=now)
        if automatic and automatic.primary is None and automatic.standing in (Standing.ARMED, Standing.WAITING):
            # Once a week while it lasts.
            facts: dict[str, object] = {"wallet": wallet.id}
            key = f"{wallet.id}:{now:%G-W%V}"
            made.append(operations.notify(customer_id=customer_id, kind="no_method", key=key, facts=facts, now=now))
    for card in payments.methods(customer_id=customer_id):
        left = (_last_day(card.expires_year, card.expires_month) - now.date()).days
        within = next((days for days in WARN_DAYS if 0 <= left <= days), None)
        if within and card.auto_charge:
            facts = {"method": card.id, "within": within}
            key = f"{card.id}:{within}"
            made.append(operations.notify(customer_id=customer_id, kind="card_expires", key=key, facts=facts, now=now))
    return sum(notice is not None for notice in made)


def _last_day(year: int, month: int) -> date:
    return date(year, month, monthrange(year, month)[1])
