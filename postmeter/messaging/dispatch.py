"""Pump 2, dispatch: an asyncio worker that goes round the customers that have work.

    claim (short transaction) -> send, many at once, no transaction open -> record the outcomes in batches

Claims are made a share at a time per customer, so one customer's campaign never starves another's reminder. A worker that
dies between claim and outcome leaves messages in `sending`; the sweeper turns them into `unknown` after the lease. One whose
database is away keeps its outcomes until it is back.
"""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial

from postmeter.db.threads import DATABASE_AWAY, DatabaseThread
from postmeter.kit.crash import crash_point
from postmeter.messaging.addresses import call_url, receipt_urls
from postmeter.messaging.carriers import Carrier, carrier
from postmeter.messaging.channels.voice import MINUTE
from postmeter.messaging.operations import dispatch as operations
from postmeter.messaging.operations.dispatch import Claimed
from postmeter.messaging.operations.fax import ready
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.providers import Accepted, Call, Outbound, Outcome, Refused, TryLater, Unknown
from postmeter.messaging.routes import SANDBOX, Health
from postmeter.messaging.states import State

log = logging.getLogger("postmeter.dispatch")

SHARE = 250  # claimed per customer and round
UNDER_WAY_AT_MOST = 1_000
IDLE_SECONDS = 0.05
AWAY_SECONDS = 1.0


class Dispatcher:
    """One worker's dispatch. `clock` gives now; `settings` are the providers' by name; `work` says whom it serves."""

    def __init__(
        self,
        *,
        settings: Mapping[str, Mapping[str, str]],
        clock: Callable[[], datetime],
        senders: int = 64,
        share: int = SHARE,
        work: Callable[[], list[int]] = operations.customers_with_work,
    ) -> None:
        self._settings, self._clock, self._share = settings, clock, share
        self._senders, self._work = senders, work
        self._carriers: dict[str, Carrier] = {}
        self._outcomes: list[tuple[Claimed, Outcome]] = []
        self._todo: asyncio.Queue[tuple[Claimed, str]] = asyncio.Queue()
        self._done = asyncio.Event()
        self._under_way = 0
        self._last_served = 0
        self._stopping = False
        self._health = Health()
        # Claims and records each have a thread, and so a connection, of their own: neither waits for the other.
        self._claims, self._records = DatabaseThread("claim"), DatabaseThread("record")

    def stop(self) -> None:
        """Claim nothing more; `run` returns once what is under way has its outcome."""
        self._stopping = True

    async def run(self) -> None:
        """Dispatch until stopped, then wait for the outcomes of what is under way."""
        async with self._working():
            while not self._stopping:
                try:
                    claimed = await self._round()
                except DATABASE_AWAY:
                    log.warning("the database does not answer; claiming again when it does")
                    await asyncio.sleep(AWAY_SECONDS)
                else:
                    await asyncio.sleep(0 if claimed else IDLE_SECONDS)
            while self._under_way:
                await asyncio.sleep(IDLE_SECONDS)

    async def drain(self) -> int:
        """Dispatch until nothing is due any more. Returns how many messages were handled."""
        handled = 0
        async with self._working():
            while True:
                busy = self._under_way  # what is put back meanwhile is due again
                claimed = await self._round()
                handled += claimed
                if not claimed:
                    if not busy:
                        return handled
                    await asyncio.sleep(IDLE_SECONDS / 10)

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        """Carriers open, senders and recorder at work."""
        async with AsyncExitStack() as stack:
            for name, values in self._settings.items():
                self._carriers[name] = await stack.enter_async_context(carrier(name, values, connections=self._senders))
            tasks = [asyncio.create_task(self._send_all()) for _ in range(self._senders)]
            tasks.append(asyncio.create_task(self._record_all()))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._claims.close()
                self._records.close()

    async def _round(self) -> int:
        """One claim for each customer with work, as far as there is room. Returns how many messages were claimed."""
        most = min([UNDER_WAY_AT_MOST, *(opened.at_most for opened in self._carriers.values())])
        if self._under_way >= most:
            await asyncio.sleep(0.005)
            return 1
        claimed = 0
        customers = await self._claims.do(self._work)
        # On from where the room ran out: the first few customers' campaigns would fill it again and again.
        turn = bisect_right(customers, self._last_served)
        for customer_id in customers[turn:] + customers[:turn]:
            room = most - self._under_way
            if room <= 0 or self._stopping:
                break
            share = min(self._share, room)
            self._last_served = customer_id
            try:
                messages = await self._claim(customer_id, share)
            except DATABASE_AWAY:
                raise
            except Exception:
                log.exception("messages of customer %s cannot be claimed; the others' go on", customer_id)
                await asyncio.sleep(AWAY_SECONDS)
                continue
            crash_point("messaging.claimed")
            urls = receipt_urls(customer_id, [(message.id, message.provider) for message in messages])
            for pair in zip(messages, urls, strict=True):
                self._todo.put_nowait(pair)
            self._under_way += len(messages)
            claimed += len(messages)
        return claimed

    async def _claim(self, customer_id: int, share: int) -> list[Claimed]:
        now = self._clock()
        down = self._health.down(now)
        return await self._claims.do(lambda: operations.claim(customer_id=customer_id, at_most=share, now=now, down=down))

    async def _send_all(self) -> None:
        while True:
            message, url = await self._todo.get()
            outcome = await self._send(message, url)
            if isinstance(outcome, TryLater):
                self._health.not_reached(message.provider, self._clock())
            else:
                self._health.reached(message.provider)
            crash_point("messaging.sent")
            self._outcomes.append((message, outcome))
            self._done.set()

    async def _send(self, message: Claimed, url: str) -> Outcome:
        if message.provider == SANDBOX:
            return Accepted(f"sandbox-{message.id}", {"sandbox": True})
        found = self._carriers.get(message.provider)
        if found is None:
            return TryLater(f"There is no provider called {message.provider}.")
        try:
            files = await asyncio.to_thread(ready, message) if message.channel == "fax" else message.media
        except OSError as error:
            return Refused("pages", f"The pages cannot be read: {type(error).__name__}.", {})
        return await found.send(
            Outbound(
                message.id,
                message.sender,
                message.recipient,
                message.body,
                url,
                files,
                message.customer_id,
                message.name,
                message.postal_address,
                message.kind,
                message.time_zone,
                call=_call_of(message) if message.channel == "voice" else None,
            )
        )

    async def _record_all(self) -> None:
        """Write outcomes as they come: everything that arrived while the last batch was being written is the next batch."""
        while True:
            await self._done.wait()
            self._done.clear()
            batch, self._outcomes = self._outcomes, []
            waiting: list[tuple[Claimed, Outcome]] = []
            by_customer: dict[int, list[tuple[Claimed, Outcome]]] = {}
            for message, outcome in batch:
                by_customer.setdefault(message.customer_id, []).append((message, outcome))
            for customer_id, pairs in by_customer.items():
                try:
                    await self._records.do(partial(self._write, customer_id, pairs))
                except DATABASE_AWAY:
                    log.warning("the database does not answer; %d outcomes wait until it does", len(pairs))
                    waiting += pairs
                except Exception:
                    # The messages stay in `sending`; the sweeper finds out what became of them.
                    log.exception("outcomes of %d messages could not be written", len(pairs))
            self._under_way -= len(batch) - len(waiting)
            if waiting:
                self._outcomes += waiting
                self._done.set()
                await asyncio.sleep(AWAY_SECONDS)

    def _write(self, customer_id: int, pairs: list[tuple[Claimed, Outcome]]) -> None:
        facts, back = [], []
        for message, outcome in pairs:
            if isinstance(outcome, TryLater):
                back.append(message)
            else:
                facts.extend(facts_of(message, outcome))
        now = self._clock()
        if facts:
            record(customer_id=customer_id, facts=facts, now=now)
        if back:
            operations.put_back(customer_id=customer_id, claimed=back, now=now)
        crash_point("messaging.outcomes_written")


def _call_of(message: Claimed) -> Call:
    """As long as its hold lasts."""
    asks = call_url(message.customer_id, message.id, message.provider)
    return Call(message.units * MINUTE, asks, message.finds_machines)


def facts_of(message: Claimed, outcome: Outcome) -> list[Fact]:
    """What an outcome says about its message."""
    name = message.provider
    if isinstance(outcome, Accepted) and name == SANDBOX:
        return [Fact(message.id, "reply", name, State.DELIVERED, outcome.ref, "delivered", billable=True, raw=outcome.raw)]
    if isinstance(outcome, Accepted):
        raw = {key: outcome.raw[key] for key in ("status", "num_segments") if outcome.raw.get(key)}
        return [Fact(message.id, "reply", name, State.SENT, outcome.ref, "accepted", raw=raw)]
    if isinstance(outcome, Refused):
        raw = {"message": outcome.text, "code": outcome.code}
        more = {"refused": True, "opted_out": outcome.opted_out}
        return [Fact(message.id, "reply", name, State.FAILED, "", "refused", outcome.code, raw=raw, **more)]
    assert isinstance(outcome, Unknown)
    return [Fact(message.id, "reply", name, State.UNKNOWN, "", "unknown", raw={"why": outcome.text})]
