"""Where providers reach us: addresses that say, encrypted, whose message they speak of."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core import signing

from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import NotFound

COMPLAINTS = "complaints"  # where mail services report who called an email of ours unwanted
_OURS = re.compile(r"(?:(?P<way>reply|bounce|stop)\+(?P<token>[0-9a-f]{32})|(?:[a-z0-9-]*-)?(?P<number>[0-9]{1,18}))")
_SLUG = re.compile(r"[^a-z0-9]+")


def receipt_urls(customer_id: int, messages: Sequence[tuple[int, str]]) -> list[str]:
    """Where the receipts of one customer's messages go; each is given by its id and its provider."""
    ids = public_ids()
    customer = ids.encode("CU", customer_id)
    encoded = ids.encode_many("SM", (id_ for id_, _ in messages))
    return [
        f"{settings.PUBLIC_URL}/callbacks/{provider}/{customer}/{id_}"
        for (_, provider), id_ in zip(messages, encoded, strict=True)
    ]


def call_url(customer_id: int, message_id: int, provider: str) -> str:
    """Where a provider asks what to say on a call."""
    return f"{receipt_urls(customer_id, [(message_id, provider)])[0]}/call"


MEDIA_FOR = timedelta(hours=24)  # how long a provider may fetch a file; it does so within minutes
_MEDIA = signing.TimestampSigner(salt="messaging.media")


def media_url(customer_id: int, media_id: int) -> str:
    """Where a provider fetches a file of ours: nobody can make one up, and it ends."""
    return f"{settings.PUBLIC_URL}/media/{_MEDIA.sign(public_ids().encode_pair(customer_id, media_id))}"


def read_media_url(token: str) -> tuple[int, int]:
    """Customer and file. Raises NotFound for what we did not sign, or too long ago."""
    try:
        return public_ids().decode_pair(_MEDIA.unsign(token, max_age=MEDIA_FOR))
    except signing.BadSignature:
        raise NotFound("There is no such file, or this address has ended.") from None


def mailbox_of(name: str, number: int) -> str:
    """Where a customer's emails come from, and where anybody may write to it. Its number, the only part that is read, keeps it apart."""
    slug = (
        _SLUG.sub("-", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()).strip("-")[:40].strip("-")
    )
    return f"{slug + '-' if slug else ''}{number}@{settings.MAIL_DOMAIN}"


def way_back(way: str, customer_id: int, message_id: int) -> str:
    """An address of ours that says, encrypted, of which message an answer, a bounce or an unsubscription speaks."""
    return f"{way}+{public_ids().encode_pair(customer_id, message_id)}@{settings.MAIL_DOMAIN}"


def message_ref(customer_id: int, message_id: int) -> str:
    """The Message-ID of an email of ours (RFC 5322 3.6.4)."""
    return f"<{public_ids().encode_pair(customer_id, message_id)}@{settings.MAIL_DOMAIN}>"


def agree_url(customer_id: int, message_id: int) -> str:
    """Where the recipient of this message, which waits for it, agrees to get emails."""
    return f"{settings.PUBLIC_URL}/agree/{public_ids().encode_pair(customer_id, message_id)}"


def unsubscribe_url(customer_id: int, message_id: int) -> str:
    return f"{settings.PUBLIC_URL}/stop/{public_ids().encode_pair(customer_id, message_id)}"


@dataclass(frozen=True, slots=True)
class Box:
    """What one of our addresses stands for: a way back to a message, or the mailbox of the customer with this number."""

    way: str = ""
    customer_id: int = 0
    message_id: int = 0
    number: int = 0


def read_mailbox(address: str) -> Box | None:
    """None for an address that is not ours, or made up."""
    local, _, domain = address.strip().lower().rpartition("@")
    if domain == settings.MAIL_DOMAIN and local == COMPLAINTS:
        return Box(COMPLAINTS)
    found = _OURS.fullmatch(local)
    if domain != settings.MAIL_DOMAIN or found is None:
        return None
    if found["number"]:
        return Box(number=int(found["number"]))
    pair = read_token(found["token"])
    return Box(found["way"], *pair) if pair else None


def read_token(token: str) -> tuple[int, int] | None:
    """Customer and message of a token of ours. Somebody has to look whether there are such."""
    try:
        return public_ids().decode_pair(token)
    except NotFound:
        return None
