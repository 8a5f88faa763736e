"""What providers billed beside what was charged: a day's differences, each on its own line, and its sums."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from postmeter.costs.models import Run
from postmeter.db import calls, scope

# Why a line is shown, and what to do about it. The first that fits is said.
WORDS = {
    "unknown": "Billed, and not ours: nothing that we know was sent or received under this id.",
    "not_billed": "Charged, and not billed. The price may still come.",
    "billed_nothing": "Charged, but the provider billed nothing for it.",
    "given_back": "Billed, but the customer was charged nothing, or got it back.",
    "units": "Billed for another number of units than was charged.",
    "loss": "It cost more than was charged.",
}
LINES_AT_MOST = 500

# A message goes out up to a week after it was accepted (nights, consent, credit); the few that waited longer show as unknown.
_DAY = """
WITH billed AS (
    SELECT b.kind, b.ref, max(b.currency) AS currency, sum(b.price_micros)::bigint AS price, max(b.units) AS units FROM costs_billed b
    WHERE b.provider = %(provider)s AND b.kind <> 'fee' AND (b.kind, b.ref) IN (
        SELECT d.kind, d.ref FROM costs_billed d WHERE d.provider = %(provider)s AND d.day = %(day)s)
    GROUP BY b.kind, b.ref
), ours AS (
    SELECT 'message' AS kind, m.customer_id, m.id, m.channel, m.provider_ref AS ref, m.unit,
        m.charged_micros - m.refunded_micros AS charged, m.price_micros + m.fee_micros AS total, m.segments,
        (greatest(m.created_at, m.due_at) AT TIME ZONE 'UTC')::date = %(day)s AS of_day
    FROM messaging_message m WHERE m.provider = %(provider)s AND m.provider_ref <> ''
        AND m.id >= db_id_at(%(day)s::timestamp AT TIME ZONE 'UTC' - interval '8 days')
        AND m.id < db_id_at(%(day)s::timestamp AT TIME ZONE 'UTC' + interval '2 days')
    UNION ALL
    SELECT 'received', i.customer_id, i.id, i.channel, i.provider_ref, i.unit, i.charged_micros, i.charged_micros, 1, false
    FROM messaging_inbound i WHERE i.provider = %(provider)s
        AND i.id >= db_id_at(%(day)s::timestamp AT TIME ZONE 'UTC' - interval '1 day')
        AND i.id < db_id_at(%(day)s::timestamp AT TIME ZONE 'UTC' + interval '2 days')
), both_sides AS (
    SELECT coalesce(b.kind, o.kind) AS kind, coalesce(b.ref, o.ref) AS ref, o.customer_id, o.id, o.channel, b.currency, b.price, b.units,
        o.unit, o.charged, CASE WHEN o.total > 0 THEN o.charged * o.segments / o.total ELSE o.segments END AS charged_units
    FROM billed b FULL JOIN ours o ON o.kind = b.kind AND o.ref = b.ref
    WHERE b.ref IS NOT NULL OR o.of_day AND o.charged > 0 AND NOT EXISTS (
        SELECT 1 FROM costs_billed e WHERE e.provider = %(provider)s AND e.kind = o.kind AND e.ref = o.ref)
), judged AS (
    SELECT *, CASE
        WHEN id IS NULL THEN 'unknown'
        WHEN price IS NULL THEN 'not_billed'
        WHEN kind = 'received' THEN ''
        WHEN price = 0 AND charged > 0 THEN 'billed_nothing'
        WHEN price > 0 AND charged = 0 THEN 'given_back'
        WHEN charged > 0 AND units <> charged_units THEN 'units'
        WHEN currency = unit AND price > charged THEN 'loss'
        ELSE '' END AS why
    FROM both_sides
)"""


@dataclass(frozen=True, slots=True)
class Line:
    """One difference. Micro-units; `customer_id` and `message_id` are None for what is not ours."""

    why: str
    kind: str
    ref: str
    customer_id: int | None
    message_id: int | None
    channel: str
    currency: str
    billed_micros: int | None
    billed_units: int | None
    unit: str
    charged_micros: int | None
    charged_units: int | None

    @property
    def words(self) -> str:
        return WORDS[self.why]


def differences(*, provider: str, day: date, at_most: int = LINES_AT_MOST) -> list[Line]:
    """The lines of a day that do not agree, as they stand now: what comes late takes its line away by itself."""
    with scope.every_customer():
        rows = calls.rows(
            f"""{_DAY} SELECT why, kind, ref, customer_id, id, coalesce(channel, ''), coalesce(currency, ''), price, units,
                   coalesce(unit, ''), charged, charged_units FROM judged WHERE why <> ''
               ORDER BY array_position(%(order)s::text[], why), ref LIMIT %(at_most)s""",  # noqa: S608 - our own words
            {"provider": provider, "day": day, "order": list(WORDS), "at_most": at_most},
        )
    return [Line(*row) for row in rows]


def totals(*, provider: str, day: date) -> dict[str, Any]:
    """What a day came to: billed and fees by currency, charged by unit, and how many differences of each sort."""
    with scope.every_customer():
        rows = calls.rows(
            f"""{_DAY} SELECT coalesce(currency, ''), coalesce(unit, ''), why, count(*), coalesce(sum(price), 0)::bigint,
                   coalesce(sum(charged), 0)::bigint FROM judged GROUP BY 1, 2, 3""",  # noqa: S608 - our own words
            {"provider": provider, "day": day},
        )
        fees = calls.rows(
            """SELECT b.currency, sum(b.price_micros)::bigint FROM costs_billed b
               WHERE b.provider = %s AND b.day = %s AND b.kind = 'fee' GROUP BY 1""",
            [provider, day],
        )
    billed: Counter[str] = Counter()
    charged: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for currency, unit, why, count, price, amount in rows:
        billed[currency] += price
        charged[unit] += amount
        found[why] += count
    return {
        "records": sum(found.values()),
        "billed": {currency: micros for currency, micros in billed.items() if currency and micros},
        "fees": dict(fees),
        "charged": {unit: micros for unit, micros in charged.items() if unit and micros},
        "differences": {why: count for why, count in found.items() if why},
    }


@dataclass(frozen=True, slots=True)
class Day:
    """A day's last reading. `rows`: for each currency what was billed, the carriers' fees, what was charged in it, and what is left."""

    run: Run

    @property
    def rows(self) -> list[tuple[str, int, int, int, int]]:
        known = self.run.totals
        billed, fees, charged = known["billed"], known["fees"], known["charged"]
        found = []
        for currency in sorted({*billed, *fees, *charged}):
            cost, fee, income = billed.get(currency, 0), fees.get(currency, 0), charged.get(currency, 0)
            found.append((currency, cost, fee, income, income - cost - fee))
        return found

    @property
    def differences(self) -> int:
        return sum(self.run.totals["differences"].values())


def days(*, at_most: int = 62) -> list[Day]:
    """The newest readings, one for each day and provider, the newest day first."""
    with scope.every_customer():
        runs = Run.objects.filter(finished_at__isnull=False).order_by("-day", "provider", "-nth").distinct("day", "provider")
        return [Day(run) for run in runs[:at_most]]


def day_of(*, provider: str, day: date) -> Day | None:
    with scope.every_customer():
        run = Run.objects.filter(provider=provider, day=day, finished_at__isnull=False).order_by("-nth").first()
    return Day(run) if run else None


def sums(found: Iterable[Day]) -> Counter[str]:
    """What is left in each currency over these days."""
    left: Counter[str] = Counter()
    for one in found:
        for currency, *_, margin in one.rows:
            left[currency] += margin
    return left
