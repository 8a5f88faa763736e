"""The door for mail: bounces, complaints and what people write back, by LMTP from the operator's mail server or by SMTP.

It takes one recipient at a time, for which the mail server gets the answer that belongs to it: kept and committed, nobody of that
name, or not now, and then the mail server tries again. Many may run.
"""

import asyncio
import contextlib
import logging
import os
import signal

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postmeter.config.settings")

import django

django.setup()

from aiosmtpd.lmtp import LMTP  # noqa: E402 - Django must be set up first
from aiosmtpd.smtp import SMTP, Envelope, Session  # noqa: E402
from asgiref.sync import sync_to_async  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import close_old_connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from postmeter.kit.crash import crash_point  # noqa: E402
from postmeter.kit.refusals import Refusal  # noqa: E402
from postmeter.messaging import mailroom  # noqa: E402

log = logging.getLogger("postmeter.mail")
BYTES_AT_MOST = 30_000_000
NOBODY, LATER, KEPT = "550 5.1.1 Nobody of that name here", "451 4.3.0 Not now; try again later", "250 2.0.0 Kept"
ONE_AT_A_TIME = "452 4.5.3 One recipient at a time"


class Door:
    """What the mail server is answered."""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if envelope.rcpt_tos:
            return ONE_AT_A_TIME
        try:
            await sync_to_async(_look_for, thread_sensitive=False)(address)
        except mailroom.Nobody:
            return NOBODY
        except Exception:
            log.exception("a recipient could not be looked for")
            return LATER
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        try:
            await sync_to_async(_deliver, thread_sensitive=False)(envelope.rcpt_tos[0], envelope.mail_from or "", raw)
        except Refusal as refusal:
            return f"550 5.7.1 {' '.join(str(refusal).split())[:200]}"
        except Exception:
            log.exception("an email could not be kept")
            return LATER
        crash_point("callbacks.mail_written")
        return KEPT


def _look_for(address: str) -> None:
    close_old_connections()
    mailroom.look_for(address)


def _deliver(recipient: str, sender: str, raw: bytes) -> None:
    close_old_connections()
    mailroom.deliver(recipient=recipient, sender=sender, raw=raw, now=timezone.now())


def _speaking() -> SMTP:
    speaks = LMTP if settings.MAIL_LISTEN["protocol"] == "lmtp" else SMTP
    return speaks(Door(), data_size_limit=BYTES_AT_MOST, enable_SMTPUTF8=True, hostname=settings.MAIL_DOMAIN, ident="Postmeter")


async def run() -> None:
    """Take mail until SIGTERM or SIGINT."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    place = settings.MAIL_LISTEN
    server = await loop.create_server(_speaking, place["host"], int(place["port"]))
    log.info("taking mail at %s:%s", place["host"], place["port"])
    async with server:
        await stop.wait()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(run())
