"""Which provider carries what: for each channel the providers in order, for some destinations others (`settings.ROUTES`).

The next one is asked only where the one before surely did not take the message: an unknown outcome goes to nobody else (A-23).
"""

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings

SANDBOX = "sandbox"  # what test keys send through: nothing leaves the house
NOT_REACHED_AT_MOST = 5  # in a row; then it is passed over for a while
PASSED_OVER_FOR = timedelta(seconds=30)


def first(channel: str) -> str:
    """The provider that a message on this channel is meant for when it is accepted."""
    return str(settings.ROUTES[channel][0])


def order(channel: str, recipient: str) -> tuple[str, ...]:
    """The providers for this recipient, the first one first: those of the longest prefix that fits, else the channel's."""
    fitting = [name for name in settings.ROUTES if name.startswith(f"{channel}:{recipient[1:2]}")]  # mostly none: no more is done
    fitting = [name for name in fitting if recipient[1:].startswith(name.partition(":")[2])]
    return tuple(settings.ROUTES[max(fitting, key=len, default=channel)])


def choose(channel: str, recipient: str, attempts: int, down: Collection[str]) -> str:
    """Who is asked at this attempt: in turn, passing over those that are down while another one is not."""
    providers = order(channel, recipient)
    up = [name for name in providers if name not in down] or list(providers)
    return up[attempts % len(up)]


class Health:
    """Which providers this worker does not reach."""

    def __init__(self) -> None:
        self._not_reached: Counter[str] = Counter()
        self._back_at: dict[str, datetime] = {}

    def reached(self, provider: str) -> None:
        self._not_reached.pop(provider, None)
        self._back_at.pop(provider, None)

    def not_reached(self, provider: str, now: datetime) -> None:
        self._not_reached[provider] += 1
        if self._not_reached[provider] >= NOT_REACHED_AT_MOST:
            self._back_at[provider] = now + PASSED_OVER_FOR

    def down(self, now: datetime) -> frozenset[str]:
        return frozenset(name for name, back_at in self._back_at.items() if back_at > now)
