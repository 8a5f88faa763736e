"""Emails as bytes: the one that goes out, and what stands in one that came. Pure.

Out: plain text with a footer that says who writes and how to stop it (CAN-SPAM; RFC 8058), signed by nobody yet: DKIM is the outgoing
mail server's, and every header that it should sign is there (RFC 8058 wants both List-Unsubscribe headers among them).
In: the words that are new in a reply, its files, and what mail servers report (RFC 3464 bounces, RFC 5965 complaints).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.utils import format_datetime, parseaddr
from hashlib import sha256

from inscriptis import get_text
from mailparser_reply import EmailReplyParser

from postmeter.messaging.channels.email import split
from postmeter.messaging.providers import Media

FILES_AT_MOST = 50
TEXT_AT_MOST = 100_000  # characters of an incoming text that are kept
_LANGUAGES = ["en", "de", "es", "fr", "it", "nl", "pl", "sv", "da", "no", "ja", "ko", "zh"]
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_UNNAMED = {"message/rfc822": "message.eml", "text/html": "message.html", "text/calendar": "invitation.ics"}


@dataclass(frozen=True, slots=True)
class Leaving:
    """What an outgoing email says of its sender and its ways back; addresses without names."""

    name: str
    postal_address: str
    sender: str
    reply_to: str
    unsubscribe_mailto: str = ""
    unsubscribe_url: str = ""  # empty: nobody can unsubscribe from it (one-time codes)


def write(
    *, message_id: str, leaving: Leaving, recipient: str, body: str, media: Sequence[Media] = (), now: datetime
) -> EmailMessage:
    """The email that goes out. Headers are made by the standard library's policy, which refuses line breaks in them."""
    subject, text = split(body)
    made = EmailMessage(policy=policy.SMTP)
    made["From"] = Address(_one_line(leaving.name), addr_spec=leaving.sender)
    made["To"] = Address(addr_spec=recipient)
    made["Reply-To"] = Address(_one_line(leaving.name), addr_spec=leaving.reply_to)
    made["Subject"] = subject
    made["Date"] = format_datetime(now)
    made["Message-ID"] = message_id
    if leaving.unsubscribe_url:
        made["List-Unsubscribe"] = f"<{leaving.unsubscribe_url}>, <mailto:{leaving.unsubscribe_mailto}?subject=unsubscribe>"
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(f"{text.rstrip()}\n{_footer(leaving)}", cte="quoted-printable")
    for each in media:
        kind, _, rest = each.content_type.partition("/")
        made.add_attachment(each.content, maintype=kind, subtype=rest or "octet-stream", filename=each.name)
    return made


def _footer(leaving: Leaving) -> str:
    lines = ["", "-- ", leaving.name, *leaving.postal_address.splitlines()]
    if leaving.unsubscribe_url:
        lines.append(f"No more emails from us: {leaving.unsubscribe_url}")
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Report:
    """What a mail server says of one of our emails: `action` as RFC 3464 has it, or "complaint"."""

    action: str
    status: str
    words: str
    about: str = ""  # the Message-ID of the email that a complaint is about


@dataclass(frozen=True, slots=True)
class Letter:
    """An email that came in. `new` are the words that are not quoted from an earlier one; `said_by_machine`: nobody wrote it."""

    sender: str
    subject: str
    text: str
    new: str
    ref: str
    media: tuple[Media, ...]
    dropped: int  # files beyond what is kept of one email
    said_by_machine: bool
    report: Report | None


def read(raw: bytes) -> Letter:
    """Never raises: an email that is not quite one is kept as far as it can be read."""
    made = BytesParser(policy=policy.default).parsebytes(raw)
    text = _text_of(made)
    new = EmailReplyParser(languages=_LANGUAGES).parse_reply(text=text) or ""
    found = [_media(part) for part in _files(made)]
    return Letter(
        sender=parseaddr(_header(made, "From"))[1].lower(),
        subject=_one_line(_header(made, "Subject")),
        text=text[:TEXT_AT_MOST],
        new=new.strip()[:TEXT_AT_MOST],
        ref=_one_line(_header(made, "Message-ID"))[:250] or "sha256:" + sha256(raw).hexdigest(),
        media=tuple(found[:FILES_AT_MOST]),
        dropped=max(len(found) - FILES_AT_MOST, 0),
        said_by_machine=_is_automatic(made),
        report=_report(made),
    )


def _header(made: EmailMessage, name: str) -> str:
    try:
        return str(made.get(name, "")).replace("\x00", "")
    except (ValueError, TypeError, AttributeError, IndexError, LookupError):  # the parser stumbles over some broken headers
        return ""


def _text_of(made: EmailMessage) -> str:
    part = made.get_body(("plain", "html"))
    if part is None:
        return ""
    text = _decoded(part)
    if part.get_content_subtype() == "html":
        text = _shown(text)
    return text.replace("\x00", "").replace("\r\n", "\n").strip()


def _decoded(part: Message) -> str:
    raw = part.get_payload(decode=True)
    raw = raw if isinstance(raw, bytes) else b""
    try:
        return raw.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")


def _shown(html: str) -> str:
    """What somebody sees of a page of HTML, without what it would do."""
    try:
        return str(get_text(html))
    except Exception:  # a parser of other people's HTML: whatever it stumbles over, the email is kept
        return ""


def _files(made: EmailMessage) -> list[Message]:
    if made.get_content_type() == "multipart/report":
        return []
    body = made.get_body(("plain", "html"))
    return [part for part in _leaves(made) if part is not body and (_is_named(part) or part.get_content_maintype() != "text")]


def _leaves(part: Message) -> Iterator[Message]:
    """The parts of an email; one that was forwarded inside it is a file, whatever it is made of."""
    inner = part.get_payload()
    if isinstance(inner, list) and part.get_content_maintype() == "multipart":
        for each in inner:
            if isinstance(each, Message):
                yield from _leaves(each)
    else:
        yield part


def _is_named(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(part.get_filename())


def _media(part: Message) -> Media:
    kind, inner = part.get_content_type(), part.get_payload()
    if isinstance(inner, list):
        raw: object = b"".join(each.as_bytes() for each in inner if isinstance(each, Message))
    else:
        raw = part.get_payload(decode=True)
    name = _one_line((part.get_filename() or _UNNAMED.get(kind, "")).replace("\x00", "")) or "file"
    return Media(name.replace("/", "_").replace("\\", "_")[:200], kind, raw if isinstance(raw, bytes) else b"")


def _is_automatic(made: EmailMessage) -> bool:
    """RFC 3834, and what was customary before it."""
    said = _header(made, "Auto-Submitted").lower()
    return (said not in ("", "no")) or _header(made, "Precedence").lower() in ("bulk", "junk", "auto_reply")


def _report(made: EmailMessage) -> Report | None:
    if made.get_content_type() != "multipart/report":
        return None
    for part in made.walk():
        if part.get_content_type() == "message/delivery-status":
            # One block for the whole message, then one for each recipient: ours have one.
            blocks = part.get_payload()
            for block in reversed([each for each in blocks if isinstance(each, Message)]):
                action = str(block.get("Action", "")).strip().lower()
                if action:
                    words = _one_line(str(block.get("Diagnostic-Code", "")))[:300]
                    return Report(action, enhanced(str(block.get("Status", "")), ""), words)
        if part.get_content_type() == "message/feedback-report":
            return Report("complaint", "", _one_line(_text_of(made))[:300], _original(made))
    return None


def _original(made: EmailMessage) -> str:
    """The Message-ID of the email that comes with a complaint, whole or only its head."""
    for part in made.walk():
        inner = part.get_payload()
        if part.get_content_type() == "message/rfc822" and isinstance(inner, list) and isinstance(inner[0], Message):
            return _one_line(str(inner[0].get("Message-ID", "")))
        if part.get_content_type() == "text/rfc822-headers":
            return _one_line(str(BytesParser(policy=policy.default).parsebytes(_decoded(part).encode()).get("Message-ID", "")))
    return ""


def enhanced(text: str, otherwise: str) -> str:
    """The enhanced status code (RFC 3463) that stands in a reply of a mail server."""
    found = _STATUS.search(text)
    return found[1] if found else otherwise
