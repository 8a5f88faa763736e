"""News of messages for each member by mail: what came in and what could not be delivered, as often as they want (S-061, S-073 … S-082).

A mail says how many, never who or what: it is not encrypted, and the page is a click away.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from postmeter.customers import queries as customers
from postmeter.customers.models import Role
from postmeter.customers.permissions import READ_MESSAGES
from postmeter.customers.queries import Seat
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.kit.refusals import BadInput
from postmeter.messaging import inbox, queries
from postmeter.notifications import operations
from postmeter.notifications.models import Notice, Subscription

USUAL = "each"
FREQUENCIES = ("each", "hour", "day", "never")
FIRST_LOOKS_BACK = timedelta(days=1)
MORNING_HOUR = 8  # of the customer's day, for who wants one mail a day
_OVERSEERS = {Role.MASTER, Role.OFFICE_MANAGER}  # hear of what programs sent


@scoped
def frequency(*, customer_id: int, member_id: int) -> str:
    row = Subscription.objects.filter(customer_id=customer_id, member_id=member_id).first()
    return row.frequency if row else USUAL


@scoped
def subscribe(*, customer_id: int, member_id: int, frequency: str, now: datetime) -> None:
    """Be told so often from now on; what came before is no news any more. Raises BadInput."""
    if frequency not in FREQUENCIES:
        raise BadInput("There is no such frequency.", field="frequency", remedy=f"Choose one of: {', '.join(FREQUENCIES)}.")
    row = _subscription(customer_id, member_id, now)
    if row.frequency != frequency:
        row.frequency, row.told_at = frequency, now
        row.save(update_fields=["frequency", "told_at"])


@scoped
def tell_at_once(*, customer_id: int, now: datetime) -> int:
    """Something came in: whoever wants to hear at once does. Returns how many were told."""
    seats = [seat for seat in customers.members(customer_id=customer_id) if READ_MESSAGES in seat.permissions]
    return sum(_tell(seat, {"each"}, now) is not None for seat in seats)


@scoped
def tell_by_the_hour(*, customer_id: int, now: datetime) -> int:
    """The round: hourly mails, daily ones from the morning on, and errors for all. Returns how many were told."""
    hour = now.astimezone(ZoneInfo(customers.customer(customer_id=customer_id).time_zone)).hour
    due = {"each", "hour"} | ({"day"} if hour >= MORNING_HOUR else set())
    seats = [seat for seat in customers.members(customer_id=customer_id) if READ_MESSAGES in seat.permissions]
    return sum(_tell(seat, due, now) is not None for seat in seats)


def _tell(seat: Seat, due: set[str], now: datetime) -> Notice | None:
    row = _subscription(seat.customer_id, seat.member_id, now)
    if row.frequency not in due or (row.frequency == "day" and _told_today(row, now)):
        return None
    since = row.told_at
    new = inbox.news(customer_id=seat.customer_id, member_id=seat.member_id, since=since)
    oversees = bool(_OVERSEERS & set(seat.roles))
    actor = f"member:{seat.member_id}"
    errors, lapsed = queries.ended_badly(customer_id=seat.customer_id, actor=actor, with_programs=oversees, since=since)
    if not new and not errors and not lapsed:
        return None
    row.told_at = now
    row.save(update_fields=["told_at"])
    return operations.notify(
        customer_id=seat.customer_id,
        kind="news",
        key=f"{seat.member_id}:{now:%Y-%m-%dT%H:%M:%S.%f}",
        facts={"new": new, "errors": errors, "lapsed": lapsed},
        now=now,
        address=seat.email,
    )


def _told_today(row: Subscription, now: datetime) -> bool:
    zone = ZoneInfo(customers.customer(customer_id=row.customer_id).time_zone)
    told = row.told_at.astimezone(zone)
    return told.date() == now.astimezone(zone).date() and told.hour >= MORNING_HOUR


def _subscription(customer_id: int, member_id: int, now: datetime) -> Subscription:
    """Locked, so that of two jobs that look at once one tells."""
    calls.rows(
        """INSERT INTO notifications_subscription (customer_id, id, member_id, frequency, told_at)
           VALUES (%s, next_id(), %s, %s, %s) ON CONFLICT (customer_id, member_id) DO NOTHING""",
        [customer_id, member_id, USUAL, now - FIRST_LOOKS_BACK],
    )
    return Subscription.objects.select_for_update().get(customer_id=customer_id, member_id=member_id)
