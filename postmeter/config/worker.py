"""The worker process: dispatch, relay, jobs, and the rounds that close what stays open. Many may run side by side."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postmeter.config.settings")

import django

django.setup()

import uvloop  # noqa: E402
from asgiref.sync import sync_to_async  # noqa: E402 - Django must be set up first
from django.conf import settings  # noqa: E402
from django.db import close_old_connections, connection  # noqa: E402
from django.utils import timezone  # noqa: E402
from procrastinate.contrib.django import app  # noqa: E402

from postmeter.config.reactions import REACTIONS  # noqa: E402
from postmeter.config.secrets import refuse_without  # noqa: E402
from postmeter.costs import operations as costs  # noqa: E402
from postmeter.customers import queries as customers  # noqa: E402
from postmeter.events.relay import relay  # noqa: E402
from postmeter.guard import operations as guard  # noqa: E402
from postmeter.messaging import calling, queue, reconcile, telling  # noqa: E402
from postmeter.messaging.dispatch import Dispatcher  # noqa: E402
from postmeter.messaging.operations import quote as quotes  # noqa: E402
from postmeter.notifications import news  # noqa: E402
from postmeter.notifications import rounds as notifications  # noqa: E402
from postmeter.statements import operations as statements  # noqa: E402
from postmeter.statements import usage  # noqa: E402
from postmeter.terms import agreement as terms  # noqa: E402
from postmeter.terms import grants  # noqa: E402
from postmeter.topups import automation, breaker, refunds, wires  # noqa: E402
from postmeter.topups import operations as topups  # noqa: E402
from postmeter.wallets import allowances, sharing  # noqa: E402
from postmeter.web import uploads  # noqa: E402
from postmeter.webhooks import operations as webhooks  # noqa: E402

log = logging.getLogger("postmeter.worker")
RELAY_SECONDS, SWEEP_SECONDS, PAYMENTS_SECONDS, AUTOMATION_SECONDS, JOBS_SECONDS = 0.5, 10.0, 15.0, 30.0, 10.0
CALLS_SECONDS, CONSENTS_SECONDS, COSTS_SECONDS = 5.0, 5.0, 3600.0
FORGET_SECONDS, NOTICES_SECONDS, MONTHS_SECONDS, PARTITIONS_SECONDS = 3600.0, 3600.0, 3600.0, 6 * 3600.0
WIRES_SECONDS, BREAKER_SECONDS, WEBHOOKS_SECONDS, WAITING_SECONDS = 60.0, 60.0, 5.0, 300.0


def defer(job: Any, customer_id: int, event_id: int) -> None:
    job.defer(customer_id=customer_id, event_id=event_id)


def relay_round() -> int:
    close_old_connections()
    return relay(REACTIONS, defer)


def payments_round() -> int:
    """Ask about payments and refunds that nobody has heard of (A-23)."""
    close_old_connections()
    now = timezone.now()
    asked = [topups.resume(customer_id=customer_id, now=now) for customer_id in topups.customers_with_open_payments()]
    return sum(asked + [refunds.resume(customer_id=customer_id, now=now) for customer_id in refunds.customers_with_open()])


def breaker_round() -> int:
    """Stop all automatic top-ups where money cannot be explained. Always 0: once a round is enough."""
    close_old_connections()
    breaker.look(now=timezone.now())
    return 0


def waiting_round() -> int:
    """Tell of messages that wait for credit. Always 0: once a round is enough."""
    close_old_connections()
    now = timezone.now()
    for customer_id, wallet_id in queue.waiting_wallets():
        try:
            notifications.tell_of_waiting(customer_id=customer_id, wallet_id=wallet_id, now=now)
        except Exception:
            log.exception("telling customer %s of what waits failed; trying again in the next round", customer_id)
    return 0


def webhooks_round() -> int:
    """Try again what customers' systems have not taken yet."""
    close_old_connections()
    return webhooks.deliver_due(now=timezone.now())


def wires_round() -> int:
    """Credit bank transfers whose import died before it had credited them (A-35)."""
    close_old_connections()
    return wires.credit_matched(now=timezone.now())


def automation_round() -> int:
    """Try automatic top-ups again whose time to wait is over: after a back-off, a cap or a cool-down."""
    close_old_connections()
    now = timezone.now()
    waiting = [
        (customer_id, wallet_id)
        for customer_id in automation.customers_with_due(now=now)
        for wallet_id in automation.due(customer_id=customer_id, now=now)
    ]
    return sum(
        automation.react(customer_id=customer_id, wallet_id=wallet_id, now=now) is not None for customer_id, wallet_id in waiting
    )


def for_each_customer(work: Callable[[int], object], what: str) -> int:
    """One customer's failure is logged and keeps no other one waiting. Always 0: these rounds come by the hour."""
    close_old_connections()
    for customer_id in customers.every_customer():
        try:
            work(customer_id)
        except Exception:
            log.exception("%s of customer %s failed; trying again in the next round", what, customer_id)
    return 0


def forget_round() -> int:
    """Remove the texts and numbers of quotes and uploads whose time is long up, personal data (promises.md 3.3), and old counters."""
    now = timezone.now()

    def forget(customer_id: int) -> None:
        quotes.forget_old(customer_id=customer_id, before=now - timedelta(days=1))
        uploads.forget_old(customer_id=customer_id, now=now)
        guard.forget_old(customer_id=customer_id, before=now - guard.KEPT_FOR)

    return for_each_customer(forget, "forgetting")


def notices_round() -> int:
    """Tell of what no posting brings about: runways that shorten, cards that expire."""
    now = timezone.now()

    def tell(customer_id: int) -> None:
        notifications.hourly(customer_id=customer_id, now=now)
        news.tell_by_the_hour(customer_id=customer_id, now=now)

    return for_each_customer(tell, "notices")


def months_round() -> int:
    """Close the months that are over, bill what was below zero, and invoice their use where tax is due at use."""
    now = timezone.now()

    def close(customer_id: int) -> None:
        statements.close_due(customer_id=customer_id, now=now)
        terms.bill_due(customer_id=customer_id, now=now)  # before the month's use is taxed: what is billed counts as bought
        terms.follow_bills(customer_id=customer_id, now=now)
        usage.bill_due(customer_id=customer_id, now=now)
        grants.expire_due(customer_id=customer_id, now=now)
        sharing.sweep(customer_id=customer_id, actor="system", now=now)
        allowances.fill_due(customer_id=customer_id, now=now)

    return for_each_customer(close, "months")


def partitions_round() -> int:
    """Keep partitions ready for the coming weeks."""
    close_old_connections()
    with connection.cursor() as cursor:
        cursor.execute("SELECT db_ensure_partitions(%s, 8)", [timezone.now() - timedelta(days=1)])
        return int(cursor.fetchone()[0])


async def jobs_round(jobs_app: Any) -> int:
    """Give back the jobs of workers that died over them; jobs are idempotent."""
    jobs = list(await jobs_app.job_manager.get_stalled_jobs())
    for job in jobs:
        log.warning("job %s of a worker that died is done again", job.id)
        await jobs_app.job_manager.retry_job(job)
    return len(jobs)


async def _every(seconds: float, work: Callable[[], Awaitable[int]], what: str) -> None:
    """Do `work` again and again. A failure is logged and tried again: one broken row must not stop the house."""
    while True:
        try:
            done = await work()
        except Exception:
            log.exception("%s failed; trying again", what)
            done = 0
        if not done:
            await asyncio.sleep(seconds)


async def run() -> None:
    """Work until told to stop; then finish what is under way."""
    refuse_without()
    providers = settings.PROVIDERS
    dispatcher = Dispatcher(settings=providers, clock=timezone.now)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async def sweep() -> int:
        await sync_to_async(close_old_connections)()  # in the thread that will ask: the database may have restarted
        return await reconcile.sweep_all(settings=providers, now=timezone.now())

    async def look_after_calls() -> int:
        await sync_to_async(close_old_connections)()
        return await calling.look_after(settings=providers, now=timezone.now())

    async def tell_consents() -> int:
        await sync_to_async(close_old_connections)()
        return await telling.tell(settings=providers, now=timezone.now())

    async def read_bills() -> int:
        await sync_to_async(close_old_connections)()
        return await costs.read_due(settings=providers, now=timezone.now())

    rounds = [
        asyncio.create_task(_every(RELAY_SECONDS, sync_to_async(relay_round, thread_sensitive=False), "relay")),
        asyncio.create_task(_every(SWEEP_SECONDS, sweep, "sweep")),
        asyncio.create_task(_every(CALLS_SECONDS, look_after_calls, "calls")),
        asyncio.create_task(_every(PAYMENTS_SECONDS, sync_to_async(payments_round, thread_sensitive=False), "payments")),
        asyncio.create_task(_every(WIRES_SECONDS, sync_to_async(wires_round, thread_sensitive=False), "wires")),
        asyncio.create_task(_every(BREAKER_SECONDS, sync_to_async(breaker_round, thread_sensitive=False), "breaker")),
        asyncio.create_task(_every(WAITING_SECONDS, sync_to_async(waiting_round, thread_sensitive=False), "waiting")),
        asyncio.create_task(_every(WEBHOOKS_SECONDS, sync_to_async(webhooks_round, thread_sensitive=False), "webhooks")),
        asyncio.create_task(_every(AUTOMATION_SECONDS, sync_to_async(automation_round, thread_sensitive=False), "automation")),
        asyncio.create_task(_every(FORGET_SECONDS, sync_to_async(forget_round, thread_sensitive=False), "forgetting")),
        asyncio.create_task(_every(NOTICES_SECONDS, sync_to_async(notices_round, thread_sensitive=False), "notices")),
        asyncio.create_task(_every(MONTHS_SECONDS, sync_to_async(months_round, thread_sensitive=False), "months")),
        asyncio.create_task(_every(CONSENTS_SECONDS, tell_consents, "consents")),
        asyncio.create_task(_every(COSTS_SECONDS, read_bills, "bills of providers")),
        asyncio.create_task(_every(PARTITIONS_SECONDS, sync_to_async(partitions_round, thread_sensitive=False), "partitions")),
    ]
    async with app.with_connector(app.connector.get_worker_connector()).open_async() as jobs_app:
        rounds.append(asyncio.create_task(_every(JOBS_SECONDS, partial(jobs_round, jobs_app), "jobs")))
        jobs = asyncio.create_task(jobs_app.run_worker_async(install_signal_handlers=False, wait=True, concurrency=4))
        dispatch = asyncio.create_task(dispatcher.run())
        stopping = asyncio.create_task(stop.wait())
        log.info("working")
        done, _ = await asyncio.wait({jobs, dispatch, stopping}, return_when=asyncio.FIRST_COMPLETED)
        dispatcher.stop()
        await asyncio.wait({dispatch}, timeout=35)
        for task in (*rounds, jobs):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*rounds, jobs, return_exceptions=True)
        for task in done - {stopping}:
            task.result()


if __name__ == "__main__":
    # Under its own name: the job library warns of applications that live in `__main__`.
    from postmeter.config.worker import run as work

    uvloop.run(work())
