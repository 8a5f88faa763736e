"""Emails through a mail service's own API, by django-anymail: SendGrid, Mailgun, Postmark and others say what became of each.

Whatever such a service answers becomes one of our four outcomes. It says by its webhooks what happened later
(`postmeter/callbacks/esp.py`).
"""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from anymail.exceptions import AnymailAPIError, AnymailError, AnymailRecipientsRefused
from django.core.mail import EmailMessage
from django.utils.module_loading import import_string
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from postmeter.db.public_ids import public_ids
from postmeter.messaging.addresses import message_ref
from postmeter.messaging.carriers.mail import made_of
from postmeter.messaging.providers import Accepted, Outbound, Outcome, Receipt, Refused, TryLater, Unknown

NAME = "anymail"
WHOSE = "postmeter"  # the name under which the service gives back whose email it speaks of
CONNECTIONS_AT_MOST = 16
_PASSED_ON = ("List-Unsubscribe", "List-Unsubscribe-Post")


class EspCarrier:
    """Settings: esp, the service; its keys stand in Django's ANYMAIL, where anymail looks for them."""

    at_most = 1_000

    def __init__(self, settings: Mapping[str, str], *, connections: int) -> None:
        self._backend = import_string(f"anymail.backends.{settings['esp']}.EmailBackend")
        self._pool = ThreadPoolExecutor(min(connections, CONNECTIONS_AT_MOST), thread_name_prefix="esp")
        self._mine = threading.local()
        self._open: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        for service in self._open:
            service.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def send(self, message: Outbound) -> Outcome:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._send, message)

    async def look_up(self, message: Outbound, taken: frozenset[str]) -> Receipt | None:
        """These services find no message by an id of ours; their webhooks tell."""
        return None

    def _send(self, message: Outbound) -> Outcome:
        try:
            made = _as_django(message)
            self._service().send_messages([made])
        except AnymailRecipientsRefused as error:
            return Refused("5.1.1", _words(error), {})
        except AnymailAPIError as error:
            return _failed(error)
        except (AnymailError, ValueError, TypeError, IndexError) as error:
            return Refused("5.6.0", f"It cannot be written as an email: {_words(error)}", {})
        status = made.anymail_status  # type: ignore[attr-defined]
        if not status.message_id:
            return Unknown("The mail service answered without an id.")
        return Accepted(str(status.message_id), {"status": ",".join(sorted(map(str, status.status or ())))})

    def _service(self) -> Any:
        """One connection for each thread."""
        if not hasattr(self._mine, "service"):
            self._mine.service = self._backend()
            self._mine.service.open()
            self._open.append(self._mine.service)
        return self._mine.service


def _as_django(message: Outbound) -> EmailMessage:
    """The same email as goes by SMTP, as anymail takes it."""
    made = made_of(message, message_ref(message.customer_id, message.id))
    body = made.get_body(("plain",))
    files = [(part.get_filename(), part.get_content(), part.get_content_type()) for part in made.iter_attachments()]
    letter = EmailMessage(
        subject=made["Subject"],
        body=body.get_content() if body else "",
        from_email=str(made["From"]),
        to=[message.recipient],
        reply_to=[str(made["Reply-To"])],
        headers={name: made[name] for name in _PASSED_ON if made[name]},
        attachments=files,
    )
    letter.metadata = {WHOSE: public_ids().encode_pair(message.customer_id, message.id)}  # type: ignore[attr-defined]
    return letter


def _failed(error: AnymailAPIError) -> Outcome:
    status = getattr(error, "status_code", None)
    if status is None:
        if _never_left(error):
            return TryLater("The mail service cannot be reached.")
        return Unknown(f"No answer from the mail service: {type(error.__cause__).__name__}.")
    if status in (401, 402, 403, 404, 429):
        # Our key, our account or its pace: nothing was taken, and it is nobody's email's fault.
        return TryLater(f"The mail service answered {status}.")
    if 400 <= status < 500:
        return Refused("5.6.0", _words(error), {"status": status})
    return Unknown(f"The mail service answered {status}.")


def _never_left(error: BaseException) -> bool:
    """Whether no connection was made at all: an answer that breaks off may come after the email was taken."""
    cause = error.__cause__
    inner = getattr(cause.args[0], "reason", None) if cause and cause.args else None
    return isinstance(inner, (NewConnectionError, ConnectTimeoutError))


def _words(error: BaseException) -> str:
    return " ".join(str(error.args[0] if error.args else error).split())[:200]
