"""What a channel measures, and where it goes. Pure.

A channel is one line in `CHANNELS`: the unit it is priced in, how many units a content has, which is what must be held before it is
sent, and what an address on it looks like.
"""

from collections.abc import Callable
from dataclasses import dataclass

from postmeter.kit.phone import is_costly, looks_e164, normalize
from postmeter.kit.refusals import BadInput
from postmeter.messaging.channels import email, mms, sms


@dataclass(frozen=True, slots=True)
class Files:
    """Which files a message may carry. `kinds`: of what sort; empty: any. `needed`: without one it is no message."""

    count_at_most: int
    bytes_at_most: int
    kinds: frozenset[str] = frozenset()
    needed: bool = False


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
        files=Files(10, 5_000_000, frozenset({"image/jpeg", "image/png", "image/gif"}), needed=True),
        consent="sms",
    ),
    "email": Channel(
        "email", "message", "email", email.count, email.check, email.read, is_free=True, files=Files(20, 10_000_000)
    ),
}


def channel(name: str) -> Channel:
    try:
        return CHANNELS[name]
    except KeyError:
        raise NoSuchChannel(field="channel", remedy=f"Choose one of: {', '.join(CHANNELS)}.") from None
