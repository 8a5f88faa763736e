"""Reading providers' bills: page by page, each kept before the next is asked for, and every record once."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from asgiref.sync import sync_to_async
from django.db import transaction

from postmeter.costs import queries
from postmeter.costs.models import Run
from postmeter.db import calls, scope
from postmeter.kit.crash import crash_point
from postmeter.messaging.carriers.http import HttpCarrier
from postmeter.messaging.providers import Billed, BillingProvider, BillPage, billing_provider

# A day is read when it is over, and again when its prices and its carriers' fees, which come a day later (X-01), are there.
READ_AFTER = (timedelta(hours=6), timedelta(days=2, hours=6), timedelta(days=4, hours=6))
BACK = 7  # days that a worker which was down catches up on


async def read_due(*, settings: Mapping[str, Mapping[str, str]], now: datetime) -> int:
    """Read the bills that are due. Returns how many were read to their end."""
    done = 0
    for name in settings:
        if (provider := _provider(name, settings)) is None:
            continue
        for day, nth in await sync_to_async(due)(provider=name, now=now):
            done += await read(name=name, provider=provider, day=day, nth=nth, now=now)
    return done


def _provider(name: str, settings: Mapping[str, Mapping[str, str]]) -> BillingProvider | None:
    try:
        return billing_provider(name, settings[name])
    except KeyError:  # one that is not asked by HTTP
        return None


def due(*, provider: str, now: datetime) -> list[tuple[date, int]]:
    """The days to read, the oldest first, each with which reading of it this is."""
    days = [now.date() - timedelta(days=back) for back in range(BACK, 0, -1)]
    with scope.every_customer():
        done = set(Run.objects.filter(provider=provider, day__gte=days[0], finished_at__isnull=False).values_list("day", "nth"))
    found = []
    for day in days:
        over = datetime(day.year, day.month, day.day, tzinfo=now.tzinfo) + timedelta(days=1)
        ripe = sum(over + wait <= now for wait in READ_AFTER)
        # Only the newest reading that is due: an older one would say less.
        if ripe and (day, ripe) not in done:
            found.append((day, ripe))
    return found


async def read(*, name: str, provider: BillingProvider, day: date, nth: int, now: datetime) -> bool:
    """Read a day's bill from where an earlier attempt stopped. False where the provider gives no answer: it is asked again later."""
    run = await sync_to_async(_begin)(name, day, nth, now)
    async with HttpCarrier(provider, connections=1) as carrier:
        while run.part < provider.bill_parts:
            reply = await carrier.ask(provider.bill(run.part, day, run.page))
            page = provider.billed(run.part, day, reply) if reply else None
            if page is None:
                return False
            await sync_to_async(_keep)(run, page, now)
            crash_point("costs.page_kept")
    await sync_to_async(_finish)(run, now)
    return True


def _begin(name: str, day: date, nth: int, now: datetime) -> Run:
    with scope.every_customer():
        run, _ = Run.objects.get_or_create(provider=name, day=day, nth=nth, defaults={"id": calls.next_id(), "started_at": now})
    return run


def _keep(run: Run, page: BillPage, now: datetime) -> None:
    """What is on this page, and which page comes next, in one transaction."""
    with scope.every_customer(), transaction.atomic():
        keep(provider=run.provider, day=run.day, records=page.records, now=now)
        run.page = page.next_page
        run.part += not page.next_page
        run.records += len(page.records)
        run.unpriced += sum(record.price_micros is None for record in page.records)
        run.save(update_fields=["page", "part", "records", "unpriced"])


def keep(*, provider: str, day: date, records: Sequence[Billed], now: datetime) -> int:
    """Keep what was not said before; where a price has changed, its difference. Returns how many rows are new.

    The caller stands in every customer's scope. In one order, so that two workers never wait for each other.
    """
    priced = sorted((record for record in records if record.price_micros is not None), key=lambda each: (each.kind, each.ref))
    if not priced:
        return 0
    return len(
        calls.rows(
            """INSERT INTO costs_billed (provider, kind, ref, day, units, price_micros, nth, currency, at)
               SELECT %s, u.kind, u.ref, %s, u.units, u.price - coalesce(known.micros, 0), known.words + 1, u.currency, %s
               FROM unnest(%b::text[], %b::text[], %b::int[], %b::bigint[], %b::text[]) WITH ORDINALITY
                   AS u(kind, ref, units, price, currency, ord)
               CROSS JOIN LATERAL (SELECT count(*) AS words, sum(b.price_micros)::bigint AS micros FROM costs_billed b
                   WHERE b.provider = %s AND b.kind = u.kind AND b.ref = u.ref) known
               WHERE known.words = 0 OR known.micros <> u.price
               ORDER BY u.ord ON CONFLICT DO NOTHING RETURNING 1""",
            [
                provider,
                day,
                now,
                [record.kind for record in priced],
                [record.ref for record in priced],
                [record.units for record in priced],
                [record.price_micros for record in priced],
                [record.currency for record in priced],
                provider,
            ],
        )
    )


def _finish(run: Run, now: datetime) -> None:
    with scope.every_customer():
        run.totals = queries.totals(provider=run.provider, day=run.day)
        run.finished_at = now
        run.save(update_fields=["totals", "finished_at"])
