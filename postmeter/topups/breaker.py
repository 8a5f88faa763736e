"""The breaker: while it is open, nobody is charged automatically. People may still buy by hand.

It opens by itself where money was taken that our books cannot explain, at the first such payment, where a balance is not the sum of
its entries (promises.md 1, T3 to T6), and where many charges come at once. Only a person closes it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import send_mail

from postmeter.db import calls, scope
from postmeter.db.scope import EVERYBODY
from postmeter.events import operations as events
from postmeter.events import queries as event_queries
from postmeter.kit.refusals import BadInput
from postmeter.topups.models import Breaker

UNKNOWN_FOR = timedelta(hours=1)  # an answer that is still missing then is no slow network
CUSTOMERS_WITHOUT_ANSWER = 5  # at once: one customer's open question only stops its own next charge
WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What speaks against charging anybody: figures of the last hour, or since the breaker was closed."""

    unproven: int
    mismatches: int
    customers_without_answer: int
    automatic_charges: int

    @property
    def reason(self) -> str:
        """In words; empty where there is no reason to open."""
        if self.unproven:
            return f"The balance of {self.unproven} wallets is not the sum of its entries."
        if self.mismatches:
            return f"A gateway took another amount than it was asked for ({self.mismatches} payments)."
        if self.customers_without_answer >= CUSTOMERS_WITHOUT_ANSWER:
            return f"Charges of {self.customers_without_answer} customers have had no answer for an hour."
        if self.automatic_charges > settings.AUTOMATIC_PER_HOUR:
            return f"{self.automatic_charges} automatic charges in an hour, more than {settings.AUTOMATIC_PER_HOUR}."
        return ""


def standing() -> Breaker | None:
    """The opening that lasts, or None. Every login may read it."""
    return Breaker.objects.filter(closed_at=None).first()


def history(*, at_most: int = 20) -> list[Breaker]:
    """The newest first."""
    return list(Breaker.objects.order_by("-id")[:at_most])


def trip(*, reason: str, actor: str, now: datetime) -> bool:
    """Open it. Says whether it was closed before. Only who may see every customer can."""
    reason = _said(reason)
    with scope.every_customer():
        added = calls.rows(
            """INSERT INTO topups_breaker (id, opened_at, opened_by, reason, closed_by, closed_because)
               VALUES (next_id(), %s, %s, %s, '', '') ON CONFLICT DO NOTHING RETURNING id""",
            [now, actor, reason],
        )
        if added:
            data = {"reason": reason}
            events.record("breaker.opened", customer_id=EVERYBODY, subject_id=added[0][0], now=now, actor=actor, data=data)
    return bool(added)


def reset(*, reason: str, actor: str, now: datetime) -> bool:
    """Close it: automatic top-ups go on in their next round. Says whether it was open."""
    reason = _said(reason)
    with scope.every_customer():
        row = Breaker.objects.select_for_update().filter(closed_at=None).first()
        if row is None:
            return False
        row.closed_at, row.closed_by, row.closed_because = now, actor, reason
        row.save()
        data = {"reason": reason}
        events.record("breaker.closed", customer_id=EVERYBODY, subject_id=row.id, now=now, actor=actor, data=data)
    return True


def trouble(*, now: datetime) -> Trouble:
    """What has happened since the last closing. What a person has seen when closing it is no news."""
    with scope.every_customer():
        seen = Breaker.objects.exclude(closed_at=None).order_by("-closed_at").values_list("closed_at", flat=True).first()
        since = max(seen, now - timedelta(days=7)) if seen else now - timedelta(days=7)
        [[unproven, mismatches, silent, charges]] = calls.rows(
            """SELECT
                   (SELECT count(*) FROM topups_automation
                    WHERE paused_for = 'unproven' AND paused_at > %(since)s AND paused_at <= %(now)s),
                   (SELECT count(*) FROM payments_payment
                    WHERE state = 'unknown' AND failure_code = 'mismatch'
                        AND changed_at > %(since)s AND changed_at <= %(now)s),
                   (SELECT count(DISTINCT customer_id) FROM payments_payment
                    WHERE state IN ('calling', 'unknown') AND failure_code <> 'mismatch'
                        AND created_at > %(since)s AND created_at < %(silent)s),
                   (SELECT count(*) FROM topups_topup WHERE automatic AND created_at > %(window)s AND created_at <= %(now)s)""",
            {"now": now, "since": since, "silent": now - UNKNOWN_FOR, "window": max(now - WINDOW, since)},
        )
    return Trouble(unproven, mismatches, silent, charges)


def look(*, now: datetime) -> bool:
    """The worker's round: open it if there is a reason to. Says whether it did."""
    reason = trouble(now=now).reason
    return bool(reason) and trip(reason=reason, actor=events.SYSTEM, now=now)


def tell(*, event_id: int) -> None:
    """Mail the operator that it was opened, or closed."""
    event = event_queries.event(customer_id=EVERYBODY, event_id=event_id)
    opened = event.kind == "breaker.opened"
    heading = "Automatic top-ups are stopped for everybody" if opened else "Automatic top-ups go on"
    who = "Postmeter did it by itself" if event.actor == events.SYSTEM else f"{event.actor} did it"
    body = f"{heading}, since {event.at:%Y-%m-%d %H:%M} UTC; {who}.\n\n{event.data['reason']}\n"
    if opened:
        body += "\nNobody is charged automatically until a person closes the breaker: on the operator's pages under Money, or\n"
        body += 'with: postmeter breaker close --reason "…"\n'
    send_mail(f"[Postmeter] {heading}", body, settings.DEFAULT_FROM_EMAIL, [settings.OPERATOR_EMAIL])


def _said(reason: str) -> str:
    said = " ".join(reason.split())
    if not 1 <= len(said) <= 500:
        raise BadInput("Say why.", field="reason", remedy="Write up to 500 characters.")
    return said
