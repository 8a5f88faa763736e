"""What an email measures: one message, and free (S-045). A body is the subject on its first line, and the text below it.

Addresses are spelled as RFC 5322 has them, the part behind the @ and, because everybody treats it so, the part before it in small
letters: one spelling for each mailbox.
"""

import re

from email_validator import EmailNotValidError, validate_email

from postmeter.kit.refusals import BadInput

SUBJECT_AT_MOST, TEXT_AT_MOST = 200, 50_000  # characters
ADDRESS_AT_MOST = 254  # RFC 5321 4.5.3.1.3
ENCODING = "UTF-8"

# For the hot path, where `read` has seen the address before. No address with a space or a control character in it gets past.
_LIKE = re.compile(r"[^\s@<>\x00-\x1f\x7f]{1,64}@[^\s@<>\x00-\x1f\x7f]+\.[^\s@<>.\x00-\x1f\x7f]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class NoSubject(BadInput):
    """An email needs a subject."""


def compose(subject: str, text: str) -> str:
    """One body out of both, as it is kept. Refuses a subject that could become another header (promises.md §5)."""
    subject = subject.strip()
    if not subject:
        raise NoSubject(field="subject", remedy="Write in a few words what it is about.")
    if len(subject) > SUBJECT_AT_MOST:
        raise BadInput("This subject is too long.", field="subject", remedy=f"Use at most {SUBJECT_AT_MOST} characters.")
    if len(subject.splitlines()) > 1 or _CONTROL.search(subject) or "\t" in subject:
        raise BadInput("A subject has one line.", field="subject", remedy="Take out the line break.")
    return f"{subject}\n{text}"


def split(body: str) -> tuple[str, str]:
    """Subject and text."""
    subject, _, text = body.partition("\n")
    return subject, text


def count(body: str) -> tuple[str, int]:
    """One message. Refuses what is empty, too long, or holds what no mail may."""
    subject, text = split(body)
    compose(subject, text)
    if not text.strip():
        raise BadInput("The text is empty.", field="text", remedy="Write what you want to say.")
    if len(text) > TEXT_AT_MOST:
        raise BadInput("This text is too long.", field="text", remedy=f"Use at most {TEXT_AT_MOST:,} characters.")
    if _CONTROL.search(text):
        raise BadInput("The text holds a character that cannot be sent.", field="text", remedy="Take out what is not visible.")
    return ENCODING, 1


def check(address: str) -> None:
    if len(address) > ADDRESS_AT_MOST or not _LIKE.fullmatch(address):
        raise _no_address()


def read(given: str, region: str = "") -> str:
    """The one spelling of an address. Refuses what is none, and names and comments around it."""
    try:
        found = validate_email(given.strip(), check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise _no_address(str(error)) from None
    return (found.ascii_email or found.normalized).lower()


def _no_address(why: str = "") -> BadInput:
    return BadInput(f"This is not an email address. {why}".strip(), field="to", remedy="Write it like ann@example.com.")
