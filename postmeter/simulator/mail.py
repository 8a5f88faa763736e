"""Mailboxes of the street, and the mail server that stands before them: it takes mail by SMTP, and brings back what people answer.

The part of an address before the @ decides what becomes of a mail, see `FATES`; everybody else's simply arrives.
"""

import asyncio
import base64
import smtplib
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import make_msgid, parseaddr
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from aiosmtpd.smtp import SMTP, Envelope, Session

from postmeter.simulator.agenda import Task
from postmeter.simulator.world import World

FATES = {
    "unknown": "refused at once: 550 5.1.1",
    "later": "refused for now twice: 451 4.7.1, then taken",
    "bounce": "taken, then returned: 5.1.1",
    "full": "taken, then returned: 5.2.2",
    "away": "taken, and a machine answers that its owner is away",
    "angry": "taken, then called unwanted: a complaint by feedback loop",
}
_RETURNED = {"bounce": "5.1.1", "full": "5.2.2"}
BACK_OFF_SECONDS = (1.0, 5.0, 30.0, 300.0, 3600.0)
BYTES_AT_MOST = 30_000_000


class Mailboxes:
    """`to` is where answers are handed in: lmtp://host:port or smtp://host:port; None: nowhere."""

    def __init__(self, world: World, *, port: int | None, to: str | None) -> None:
        self.world = world
        self._port, self._to = port, urlsplit(to) if to else None
        self._put_off: dict[str, int] = {}
        self._server: asyncio.Server | None = None
        world.agenda.on("mail", self._deliver)

    async def open(self) -> None:
        if self._port:
            speak = partial(SMTP, self, data_size_limit=BYTES_AT_MOST, hostname="mail.street.example", ident="Simulator")
            self._server = await asyncio.get_running_loop().create_server(speak, "127.0.0.1", self._port)

    async def close(self) -> None:
        if self._server:
            self._server.close()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fate = _fate_of(address)
        if fate == "unknown":
            self._note("mail.refused", address, status="5.1.1")
            return "550 5.1.1 There is no such mailbox"
        if fate == "later" and self._put_off.setdefault(address, 0) < 2:
            self._put_off[address] += 1
            return "451 4.7.1 Greylisted; try again"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        made = message_from_bytes(envelope.content, policy=policy.default)
        with self.world.log.transaction():
            for mailbox in envelope.rcpt_tos:
                self._keep(mailbox, envelope.mail_from or "", made)
                self._answer_by_itself(mailbox, envelope.mail_from or "", made)
        return "250 2.0.0 Taken"

    def write(self, *, mailbox: str, to: str, subject: str, text: str, files: dict[str, bytes] | None = None) -> None:
        """Somebody writes: to us, or back to us."""
        made = _letter(mailbox, to, subject, text)
        for name, content in (files or {}).items():
            made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
        with self.world.log.transaction():
            self._insert("inbound", mailbox, to, mailbox, f"{subject}\n{text}", "received", "")
            self._schedule(mailbox, to, made)

    def _keep(self, mailbox: str, envelope_from: str, made: EmailMessage) -> None:
        back = parseaddr(str(made.get("Reply-To") or made.get("From", "")))[1]
        body = made.get_body(("plain",))
        text = body.get_content() if body else ""
        files = [part.get_filename() or "file" for part in made.iter_attachments()]
        said = f"{made.get('Subject', '')}\n{text}".replace("\r\n", "\n").strip() + "".join(f"\n[{name}]" for name in files)
        self._insert("outbound-api", back, mailbox, mailbox, said, "delivered", envelope_from)
        self._note(
            "mail.delivered", mailbox, sender=str(made.get("From", "")), ref=str(made.get("Message-ID", "")), files=len(files)
        )

    def _insert(self, direction: str, sender: str, recipient: str, mailbox: str, body: str, status: str, returns: str) -> None:
        now = self.world.clock.now()
        self.world.log.execute(
            "INSERT INTO messages (sid, direction, sender, recipient, phone, body, num_segments, num_media, status, callback_url,"
            " created, updated, sent, visible_from) VALUES (?, ?, ?, ?, ?, ?, 1, 0, ?, ?, ?, ?, ?, ?)",
            ("EM" + uuid4().hex, direction, sender, recipient, mailbox, body, status, returns, now, now, now, now),
        )

    def _answer_by_itself(self, mailbox: str, envelope_from: str, made: EmailMessage) -> None:
        fate = _fate_of(mailbox)
        if fate in _RETURNED and envelope_from:
            self._schedule("", envelope_from, _bounce(mailbox, _RETURNED[fate]))
        elif fate == "away":
            said = _letter(mailbox, envelope_from, "Out of office", "I am away until Monday.")
            said["Auto-Submitted"] = "auto-replied"
            self._schedule("", envelope_from, said)
        elif fate == "angry":
            ours = parseaddr(str(made.get("From", "")))[1].rpartition("@")[2]
            self._schedule("feedback@street.example", f"complaints@{ours}", _complaint(made))

    def _schedule(self, mail_from: str, to: str, made: EmailMessage, attempt: int = 0) -> None:
        raw = base64.b64encode(made.as_bytes(policy=policy.SMTP)).decode()
        self.world.agenda.add(
            due=self.world.soon("receipt_delay"),
            kind="mail",
            again=attempt > 0,
            sender=mail_from,
            to=to,
            raw=raw,
            attempt=attempt,
        )

    async def _deliver(self, task: Task) -> None:
        facts = task.facts
        raw = base64.b64decode(facts["raw"])
        code = await asyncio.to_thread(self._hand_in, facts["sender"], facts["to"], raw)
        with self.world.log.transaction():
            self._note("mail.handed_in", facts["to"], code=code, attempt=facts["attempt"])
            self.world.agenda.done(task)
            if not 200 <= code < 300 and not 500 <= code < 600 and facts["attempt"] < len(BACK_OFF_SECONDS):
                due = self.world.clock.now() + BACK_OFF_SECONDS[facts["attempt"]]
                self.world.agenda.add(due=due, kind="mail", again=True, **{**facts, "attempt": facts["attempt"] + 1})

    def _hand_in(self, sender: str, to: str, raw: bytes) -> int:
        """What the other side answered; 0 where it did not."""
        if self._to is None:
            return 550
        speaks = smtplib.LMTP if self._to.scheme == "lmtp" else smtplib.SMTP
        try:
            with speaks(self._to.hostname or "127.0.0.1", self._to.port or 25) as connection:
                connection.sendmail(sender, [to], raw)
        except smtplib.SMTPRecipientsRefused as refused:
            return next(iter(refused.recipients.values()))[0]
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code
        except (smtplib.SMTPException, OSError):
            return 0
        return 250

    def _note(self, kind: str, subject: str, **facts: Any) -> None:
        self.world.log.append(at=self.world.clock.now(), kind=kind, subject=subject, **facts)


def _fate_of(address: str) -> str:
    local = address.partition("@")[0].partition("+")[0].lower()
    return local if local in FATES else ""


def _letter(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    made = EmailMessage(policy=policy.SMTP)
    made["From"], made["To"], made["Subject"] = sender, to, " ".join(subject.split()) or "(no subject)"
    made["Message-ID"] = make_msgid(domain="street.example")
    made.set_content(text)
    return made


def _report(kind: str, *parts: EmailMessage) -> EmailMessage:
    made = EmailMessage(policy=policy.SMTP)
    made["From"], made["Subject"] = "MAILER-DAEMON@street.example", "Report"
    made["Auto-Submitted"] = "auto-replied"
    made["Message-ID"] = make_msgid(domain="street.example")
    made.make_mixed()
    for part in parts:
        made.attach(part)
    made.replace_header("Content-Type", f'multipart/report; report-type={kind}; boundary="report-{uuid4().hex}"')
    return made


def _part(content_type: str, text: str) -> EmailMessage:
    part = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n{text}".encode(), policy=policy.SMTP)
    assert isinstance(part, EmailMessage)
    return part


def _bounce(mailbox: str, status: str) -> EmailMessage:
    """As RFC 3464 has it."""
    words = f"Final-Recipient: rfc822; {mailbox}\r\nAction: failed\r\nStatus: {status}\r\nDiagnostic-Code: smtp; 550 {status} returned\r\n"
    said = _part("message/delivery-status", f"Reporting-MTA: dns; mail.street.example\r\n\r\n{words}")
    return _report("delivery-status", _part("text/plain", "It could not be delivered.\r\n"), said)


def _complaint(about: EmailMessage) -> EmailMessage:
    """As RFC 5965 has it."""
    said = _part("message/feedback-report", "Feedback-Type: abuse\r\nUser-Agent: Street/1\r\nVersion: 1\r\n")
    head = f"Message-ID: {about.get('Message-ID', '')}\r\nSubject: {about.get('Subject', '')}\r\n"
    return _report("feedback-report", _part("text/plain", "Unwanted.\r\n"), said, _part("text/rfc822-headers", head))
