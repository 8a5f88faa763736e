"""What a channel measures, and where it goes. Pure.

A channel is one line in `CHANNELS`: the unit it is priced in, how many units a content has, which is what must be held before it is
sent, and what an address on it looks like.
"""

from collections.abc import Callable
from dataclasses import dataclass

from postmeter.kit.phone import is_costly, looks_e164, normalize
from postmeter.kit.refusals import BadInput
from postmeter.messaging.channels import email, fax, mms, sms, voice


@dataclass(frozen=True, slots=True)
class Files:
    """Which files a message may carry. `kinds`: of what sort; empty: any. `needed`: why it is no message without one, and the remedy."""

    count_at_most: int
    bytes_at_most: int
    kinds: frozenset[str] = frozenset()
    needed: tuple[str, str] | None = None
    drawn: bool = False  # only what we have drawn as pages, and counted


@dataclass(frozen=True, slots=True)
class Channel:
    """`count` answers the encoding and the whole units of a content, at least 1, and refuses what cannot be sent.

    `check` refuses an address that nothing may go to; `read` brings what somebody wrote, in a region, to its one spelling.
    `is_free`: it has no price, is covered by any balance, and needs no rate (S-045). `consent`: the channel whose opt-outs hold for it.
    """

    name: str
    unit: str
    medium: str  # what kind of address: phone, fax or email
    count: Callable[[str], tuple[str, int]]
    check: Callable[[str], None]
    read: Callable[[str, str], str]
    is_free: bool = False
    files: Files | None = None
    consent: str = ""

    @property
    def opted_out_of(self) -> str:
        return self.consent or self.name


class NoSuchChannel(BadInput):
    """There is no such channel."""


def check_phone(number: str) -> None:
    """For the hot path, where `read` has seen the number before."""
    if not looks_e164(number):
        raise BadInput(
            "This is not a phone number.", field="to", remedy="Write it with + and country code, such as +15550100123."
        )
    if is_costly(number):
        raise BadInput(
            "Messages to premium-rate and satellite numbers are blocked.", field="to", remedy="Write the number of a person."
        )


def read_phone(given: str, region: str) -> str:
    return normalize(given, region, field="to")


NO_PICTURE = ("There is no picture.", "Add one, or send it as a text message.")
NO_PAGES = ("There are no pages to fax.", "Add a document, or a text for the cover sheet.")
CHANNELS = {
    "sms": Channel("sms", "segment", "phone", sms.count, check_phone, read_phone),  # known exactly before it is sent
    # Carriers turn bigger ones away, and show these kinds on any phone. Who stops texts stops pictures.
    "mms": Channel(
        "mms",
        "message",
        "phone",
        mms.count,
        check_phone,
        read_phone,
        files=Files(10, 5_000_000, frozenset({"image/jpeg", "image/png", "image/gif"}), NO_PICTURE),
        consent="sms",
    ),
    # The one file is the pages as they were drawn. Nobody is asked for consent (S-051), and who wants no more is in a list of its own.
    "fax": Channel(
        "fax", "page", "fax", fax.count, check_phone, read_phone, files=Files(1, 30_000_000, needed=NO_PAGES, drawn=True)
    ),
    # Who wants no more calls may still want texts.
    "voice": Channel("voice", "minute", "phone", voice.count, check_phone, read_phone),
    "email": Channel(
        "email", "message", "email", email.count, email.check, email.read, is_free=True, files=Files(20, 10_000_000)
    ),
}


def channel(name: str) -> Channel:
    try:
        return CHANNELS[name]
    except KeyError:
        raise NoSuchChannel(field="channel", remedy=f"Choose one of: {', '.join(CHANNELS)}.") from None
