"""What a channel measures. Pure.

A channel is one line in `CHANNELS`: the unit it is priced in, how many units a content has, and the most it can come to, which is
what must be held before it is sent.
"""

from collections.abc import Callable
from dataclasses import dataclass

from postmeter.kit.refusals import BadInput
from postmeter.messaging.channels import sms


@dataclass(frozen=True, slots=True)
class Channel:
    """`measure` and `worst_case` take the content and answer whole units, at least 1; both refuse what cannot be sent."""

    name: str
    unit: str
    measure: Callable[[str], int]
    worst_case: Callable[[str], int]


class NoSuchChannel(BadInput):
    """There is no such channel."""


def _segments(text: str) -> int:
    return sms.count(text)[1]


CHANNELS = {
    "sms": Channel(name="sms", unit="segment", measure=_segments, worst_case=_segments),  # known exactly before it is sent
}


def channel(name: str) -> Channel:
    try:
        return CHANNELS[name]
    except KeyError:
        raise NoSuchChannel(field="channel", remedy=f"Choose one of: {', '.join(CHANNELS)}.") from None
