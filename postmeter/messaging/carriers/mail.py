"""Emails, to the operator's mail server by SMTP: it signs (DKIM), queues and delivers.

Until the server has the whole text it surely has no message, so a retry is safe; from there to its answer nobody knows. Connections
are kept and used again, each by one thread.
"""

import asyncio
import smtplib
import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Self

from django.utils import timezone

from postmeter.messaging import letters
from postmeter.messaging.addresses import message_ref, unsubscribe_url, way_back
from postmeter.messaging.kinds import CODE
from postmeter.messaging.letters import Leaving, enhanced
from postmeter.messaging.providers import Accepted, Outbound, Outcome, Receipt, Refused, TryLater, Unknown

CONNECTIONS_AT_MOST = 16  # mail servers allow one client only so many
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0
KEPT_SECONDS = 20.0  # an idle connection may have been closed by the other side


class MailCarrier:
    """Settings: host, port, user, password, security (none, starttls or tls)."""

    at_most = 1_000

    def __init__(self, settings: Mapping[str, str], *, connections: int) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(min(connections, CONNECTIONS_AT_MOST), thread_name_prefix="mail")
        self._mine = threading.local()
        self._open: list[smtplib.SMTP] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        for connection in self._open:
            connection.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def send(self, message: Outbound) -> Outcome:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._send, message)

    async def look_up(self, message: Outbound, taken: frozenset[str]) -> Receipt | None:
        """No mail server can be asked."""
        return None

    def _send(self, message: Outbound) -> Outcome:
        ref = message_ref(message.customer_id, message.id)
        try:
            raw = made_of(message, ref).as_bytes()
        except (ValueError, TypeError, IndexError) as error:
            return Refused("5.6.0", f"It cannot be written as an email: {error}"[:200], {})
        try:
            connection = self._connection()
            refused = _addressed(connection, message)
            if refused is not None:
                connection.rset()
                return refused
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            return TryLater(f"The mail server cannot be reached: {type(error).__name__}.")
        try:
            code, answer = connection.data(raw)
        except smtplib.SMTPDataError as error:
            # It refused the word DATA itself: nothing has been said yet.
            return _refusal(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            return Unknown(f"No answer from the mail server: {type(error).__name__}.")
        self._mine.used_at = time.monotonic()
        if code == 250:
            return Accepted(ref, {"answer": _words(answer)})
        return _refusal(code, answer)

    def _connection(self) -> smtplib.SMTP:
        known: smtplib.SMTP | None = getattr(self._mine, "connection", None)
        if known is not None and time.monotonic() - self._mine.used_at < KEPT_SECONDS:
            return known
        self._drop()
        made = self._connect()
        self._mine.connection, self._mine.used_at = made, time.monotonic()
        self._open.append(made)
        return made

    def _connect(self) -> smtplib.SMTP:
        host, port, security = self._settings["host"], int(self._settings["port"]), self._settings.get("security", "none")
        if security == "tls":
            made: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=CONNECT_SECONDS, context=ssl.create_default_context())
        else:
            made = smtplib.SMTP(host, port, timeout=CONNECT_SECONDS)
        if security == "starttls":
            made.starttls(context=ssl.create_default_context())
        if self._settings.get("user"):
            made.login(self._settings["user"], self._settings["password"])
        if made.sock is not None:
            made.sock.settimeout(ANSWER_SECONDS)
        made.ehlo_or_helo_if_needed()
        return made

    def _drop(self) -> None:
        known: smtplib.SMTP | None = getattr(self._mine, "connection", None)
        if known is not None:
            known.close()
            self._open.remove(known)
        self._mine.connection = None


def made_of(message: Outbound, ref: str) -> EmailMessage:
    """The email as it leaves. Raises ValueError, TypeError or IndexError for what cannot be written as one."""
    to_stop = message.kind != CODE
    leaving = Leaving(
        message.name,
        message.postal_address,
        message.sender,
        way_back("reply", message.customer_id, message.id),
        way_back("stop", message.customer_id, message.id),
        unsubscribe_url(message.customer_id, message.id) if to_stop else "",
    )
    return letters.write(
        message_id=ref, leaving=leaving, recipient=message.recipient, body=message.body, media=message.media, now=timezone.now()
    )


def _addressed(connection: smtplib.SMTP, message: Outbound) -> Outcome | None:
    """Say from whom and to whom; what the server says no to."""
    for code, answer in (
        connection.mail(way_back("bounce", message.customer_id, message.id)),
        connection.rcpt(message.recipient),
    ):
        if code not in (250, 251):
            return _refusal(code, answer)
    return None


def _refusal(code: int, answer: bytes | str) -> Outcome:
    """4xx: not now. 5xx: never (RFC 5321 4.2.1)."""
    words = _words(answer)
    if 500 <= code < 600:
        return Refused(enhanced(words, str(code)), words, {"answer": words})
    return TryLater(f"The mail server answered {code}.")


def _words(answer: bytes | str) -> str:
    return (answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer)[:300].replace("\x00", "")
