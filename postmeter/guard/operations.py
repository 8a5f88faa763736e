"""Every write of the guard: counting, stopping, lifting, and what a customer may do.

accept -> count (in its transaction) -> Passed: rolled back -> stop_for: where the limit trips, the breaker opens
"""

from collections import Counter as Count
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from zoneinfo import ZoneInfo

from django.conf import settings

from postmeter.customers import operations as customers
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.guard import queries
from postmeter.guard.limits import (
    CODE,
    CUSTOMER,
    HIGHEST,
    KEY,
    KINDS,
    LAST_DIGITS,
    LIMITS,
    MEMBER,
    NUMBER,
    PREFIX,
    STOPPED,
    bucket,
    ends,
    said,
    usual,
)
from postmeter.guard.models import EVERYWHERE, Counter, Country, Override, Stop
from postmeter.guard.queries import CountryClosed, Rules
from postmeter.kit.crash import crash_point
from postmeter.kit.phone import countries
from postmeter.kit.refusals import BadInput, Conflict, NotAllowed, Refusal

REASON = "guard"  # why a customer is suspended
# In a longer list a number counts only as often as it stands in that list: a row for each of thousands would cost accepting a fifth.
# Who passes the limit of a number by such lists has long passed those of prefix and day.
COUNTED_SINGLY = 100


class TooOften(NotAllowed):
    """This number has got as many messages as one may get in this time."""

    code = "too_often"


class LimitPassed(NotAllowed):
    """This passes a limit, so sending was stopped."""

    code = "limit_passed"


class SendingStopped(NotAllowed):
    """Sending is stopped because of unusual traffic."""

    code = "sending_stopped"


REFUSALS = (CountryClosed, TooOften, LimitPassed, SendingStopped)  # what a sender may hear


@dataclass(frozen=True, slots=True)
class Use:
    """Messages that were accepted from one sender: whom each goes to, what all cost. Without `rules` they are not counted.

    `positions`: what the caller calls each of them by, if it wants to know which ones are too many.
    """

    rules: Rules | None
    actor: str
    recipients: Sequence[str]
    micros: int
    is_code: bool = False
    positions: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that would be passed. `key` is whose it is: a number, the beginning of numbers, an actor; `over` messages are too many."""

    rules: Rules
    limit: str
    key: str
    actor: str
    most: int
    reached: int
    over: int
    until: datetime
    positions: tuple[int, ...]  # of the messages that count towards it


class Passed(Exception):
    """Limits would be passed. The transaction that counted must be rolled back; what to answer, `refusal` says."""

    def __init__(self, breaches: list[Breach]) -> None:
        self.breaches = breaches
        super().__init__(f"{len(breaches)} limits")


@dataclass(slots=True)
class _Sum:
    """What one counter is given by these messages."""

    kind: str
    shown: str
    rules: Rules
    actor: str
    messages: int = 0
    micros: int = 0


_Key = tuple[int, int, int]  # customer, kind, key


def count(uses: Sequence[Use], *, now: datetime) -> None:
    """Count what was accepted in the caller's transaction. Raises Passed with every limit that it would pass."""
    sums: dict[_Key, _Sum] = {}
    for use in uses:
        if use.rules and use.recipients:
            _add(sums, use.rules, use)
    if not sums:
        return
    order = sorted(sums)
    found = [sums[place] for place in order]
    begun = {place: bucket(LIMITS[place[1]], now, place[0]) for place in {(each.rules.zone, each.kind) for each in found}}
    customers_of = Count(customer_id for customer_id, _, _ in order)  # in order, with how many counters are theirs
    columns = [
        [kind for _, kind, _ in order],
        [key for _, _, key in order],
        [begun[each.rules.zone, each.kind] for each in found],
        [each.messages for each in found],
        [each.micros for each in found],
    ]
    breaches: list[Breach] = []
    for customer_id, *counters, is_stopped in calls.rows(_COUNT, [list(customers_of), list(customers_of.values()), *columns]):
        if is_stopped:
            each = sums[customer_id, KINDS[CUSTOMER], customer_id]
            breaches.append(_breach(uses, each, STOPPED, 0, each.messages, now))
        for kind, key, so_many, so_much in zip(*counters, strict=True):
            each = sums[customer_id, kind, key]
            for name in _LIMITS_OF[each.kind]:
                limit, most = LIMITS[name], each.rules.most[name]
                reached = so_much if limit.in_money else so_many
                # What is free is not limited by money.
                if reached > most and (each.micros or not limit.in_money):
                    breaches.append(_breach(uses, each, name, most, reached, ends(limit, begun[each.rules.zone, each.kind])))
    if breaches:
        raise Passed(breaches)


_COUNT = "SELECT * FROM guard_count_each(%b, %b::int[], %b::smallint[], %b::bigint[], %b::timestamptz[], %b::int[], %b::bigint[])"
_LIMITS_OF = {kind: [name for name, limit in LIMITS.items() if limit.counts == kind] for kind in KINDS}


def _add(sums: dict[_Key, _Sum], rules: Rules, use: Use) -> None:
    """A list of thousands is a few counters."""

    def add(kind: str, key: int, shown: str, messages: int, micros: int = 0) -> None:
        place = (rules.customer_id, KINDS[kind], key)
        each = sums.get(place)
        if each is None:
            each = sums[place] = _Sum(kind, shown, rules, use.actor)
        each.messages += messages
        each.micros += micros

    so_many, (who, _, id_) = len(use.recipients), use.actor.partition(":")
    add(CUSTOMER, rules.customer_id, "", so_many, use.micros)
    if who in (MEMBER, KEY):
        add(who, int(id_), use.actor, so_many, use.micros)
    for prefix, times in Count([recipient[:-LAST_DIGITS] for recipient in use.recipients]).items():
        add(PREFIX, _hash(prefix), prefix, times)
    singly = so_many <= COUNTED_SINGLY
    if singly or len(set(use.recipients)) < so_many:
        for number, times in Count(use.recipients).items():
            if singly or times > 1:
                add(NUMBER, _hash(number), number, times)
                if use.is_code:
                    add(CODE, _hash(number), number, times)


def _hash(text: str) -> int:
    """Numbers are personal data: their counters know them by this alone."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8, key=settings.ID_KEY).digest(), "big", signed=True)


def _breach(uses: Sequence[Use], each: _Sum, name: str, most: int, reached: int, until: datetime) -> Breach:
    over = reached - most
    if name != STOPPED and LIMITS[name].in_money:
        over = over * each.messages // each.micros  # of them, on average
    positions = tuple(sorted(position for use in uses for position in _counted(use, each)))
    return Breach(each.rules, name, each.shown, each.actor, most, reached, max(1, over), until, positions)


def _counted(use: Use, each: _Sum) -> Iterator[int]:
    """The positions of those messages that a counter was given."""
    if use.rules is None or use.rules.customer_id != each.rules.customer_id:
        return
    for position, recipient in zip(use.positions, use.recipients, strict=False):
        if (
            each.kind == CUSTOMER
            or (each.kind in (MEMBER, KEY) and use.actor == each.shown)
            or (each.kind == PREFIX and recipient[:-LAST_DIGITS] == each.shown)
            or (each.kind in (NUMBER, CODE) and recipient == each.shown and (use.is_code or each.kind == NUMBER))
        ):
            yield position


def stop_for(breaches: Iterable[Breach], *, now: datetime) -> None:
    """Open the breaker of whoever passed a limit that trips, once the transaction that counted is rolled back."""
    for breach in {each.rules.customer_id: each for each in breaches if _trips(each)}.values():
        crash_point("guard.limit_passed")
        trip(customer_id=breach.rules.customer_id, breach=breach, now=now)


def _trips(breach: Breach) -> bool:
    return breach.limit != STOPPED and LIMITS[breach.limit].trips


def refusal(breach: Breach, *, now: datetime) -> Refusal:
    """What to answer to who would pass this limit."""
    if breach.limit == STOPPED:
        return stopped()
    words = said(LIMITS[breach.limit], breach.most, breach.rules.unit)
    if not _trips(breach):
        until = f"{breach.until.astimezone(ZoneInfo(breach.rules.zone)):%H:%M %Z}"
        return TooOften(f"{breach.key} would get more than {words}.", field="to", remedy=f"Send it after {until}.")
    return LimitPassed(
        f"This would be more than {words}. It was not sent, and sending was stopped.",
        remedy="A master looks at it under Settings, Limits and countries, and lets sending go on.",
    )


def stopped() -> SendingStopped:
    return SendingStopped(remedy="A master looks at it under Settings, Limits and countries, and lets sending go on.")


@scoped
def trip(*, customer_id: int, breach: Breach, now: datetime) -> bool:
    """Open the customer's breaker: from this commit on nothing is accepted, claimed or charged automatically. Says whether it is new."""
    added = calls.rows(
        """INSERT INTO guard_stop (customer_id, id, "limit", most, reached, unit, prefix, actor, at, lifted_by, top_ups_go_on)
           VALUES (%s, next_id(), %s, %s, %s, %s, %s, %s, %s, '', false)
           ON CONFLICT (customer_id) WHERE lifted_at IS NULL DO NOTHING RETURNING id""",
        [
            customer_id,
            breach.limit,
            breach.most,
            breach.reached,
            breach.rules.unit,
            breach.key if breach.limit == PREFIX else "",
            breach.actor,
            now,
        ],
    )
    if added:
        customers.suspend(customer_id=customer_id, reason=REASON, now=now, actor=events.SYSTEM)
        data = {"limit": breach.limit, "most": breach.most, "reached": breach.reached, "by": breach.actor}
        events.record("guard.opened", customer_id=customer_id, subject_id=added[0][0], now=now, data=data)
        crash_point("guard.stop_uncommitted")
    return bool(added)


@scoped
def lift(*, customer_id: int, top_ups_go_on: bool, actor: str, now: datetime) -> Stop:
    """A person closes the breaker; counting begins anew. Raises Conflict where it is not open. `terms.stops` does what hangs on it."""
    stop = Stop.objects.select_for_update().filter(customer_id=customer_id, lifted_at=None).first()
    if stop is None:
        raise Conflict("Sending is not stopped.", remedy="Look at the page anew.")
    stop.lifted_at, stop.lifted_by, stop.top_ups_go_on = now, actor, top_ups_go_on
    stop.save()
    # Else the next message of the day would pass the same limit again.
    # In the order in which counting locks them: the customer's own first.
    Counter.objects.filter(customer_id=customer_id, kind=KINDS[CUSTOMER]).delete()
    Counter.objects.filter(customer_id=customer_id).delete()
    data = {"top_ups_go_on": top_ups_go_on}
    events.record("guard.lifted", customer_id=customer_id, subject_id=stop.id, now=now, actor=actor, data=data)
    return stop


@scoped
def set_countries(*, customer_id: int, opened: Collection[str], actor: str, now: datetime) -> None:
    """Have exactly these countries open beside the customer's own; `*` is every one that has a price. Raises BadInput."""
    wanted = set(opened)
    for wrong in sorted(wanted - set(countries()) - {EVERYWHERE, "001"}):
        raise BadInput(f"{wrong[:20]} is no country.", field="countries", remedy="Use its two letters, such as AU.")
    rows = Country.objects.filter(customer_id=customer_id)
    there = set(rows.values_list("country", flat=True))
    rows.exclude(country__in=wanted).delete()
    for country in sorted(wanted):
        Country.objects.get_or_create(
            customer_id=customer_id,
            country=country,
            defaults={"id": calls.next_id(), "opened_by": actor, "opened_at": now},
        )
    if wanted != there:
        data = {"opened": sorted(wanted - there), "closed": sorted(there - wanted)}
        events.record("guard.countries_changed", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data=data)


@scoped
def set_limits(
    *, customer_id: int, unit: str, most: Mapping[str, int | None], by_operator: bool, actor: str, now: datetime
) -> None:
    """Set some limits of one customer, by name; None takes a setting back. A customer's own people only lower. Raises BadInput."""
    ceilings = queries.ceilings(customer_id=customer_id, unit=unit)
    there = queries.overrides(customer_id=customer_id, by_operator=by_operator)
    changed = {name: value for name, value in most.items() if there.get(name) != value}
    for name, value in changed.items():
        limit = LIMITS.get(name)
        if limit is None:
            raise BadInput("There is no such limit.", field=name, remedy=f"Use one of: {', '.join(LIMITS)}.")
        if value is not None and not 1 <= value <= HIGHEST[name]:
            raise BadInput("This is not a limit.", field=name, remedy="Enter a number above zero.")
        if value is not None and not by_operator and value > ceilings[name]:
            raise BadInput(
                f"At most {said(limit, ceilings[name], unit)}.", field=name, remedy="Ask your account manager for more."
            )
        rows = Override.objects.filter(customer_id=customer_id, name=name, by_operator=by_operator)
        if value is None:
            rows.delete()
            continue
        Override.objects.update_or_create(
            customer_id=customer_id,
            name=name,
            by_operator=by_operator,
            defaults={"most": value, "set_by": actor, "set_at": now},
            create_defaults={"id": calls.next_id(), "most": value, "set_by": actor, "set_at": now},
        )
    if changed:
        usuals = {name: usual(LIMITS[name], unit) for name in changed}
        data = {"limits": changed, "usual": usuals, "by_operator": by_operator}
        events.record("guard.limits_changed", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data=data)


@scoped
def forget_old(*, customer_id: int, before: datetime) -> int:
    """Remove counters of windows that began before then."""
    removed, _ = Counter.objects.filter(customer_id=customer_id, bucket__lt=before).delete()
    return removed


KEPT_FOR = timedelta(days=2)  # the longest window is a day, which has 25 hours once a year
