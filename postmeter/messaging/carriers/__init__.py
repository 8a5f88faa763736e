"""The I/O of providers. A carrier never raises: whatever happened is an outcome.

*Never left*: the connection could not be made, so a retry is safe. *No answer*: it may have been taken, so the outcome is
unknown and stays so until the provider says.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from postmeter.messaging.carriers.http import HttpCarrier
from postmeter.messaging.carriers.mail import MailCarrier
from postmeter.messaging.providers import Outbound, Outcome, Receipt, provider


class Carrier(AbstractAsyncContextManager["Carrier"], Protocol):
    """Sends through one provider, many messages at once. Used as an async context manager."""

    async def send(self, message: Outbound) -> Outcome:
        """Ask the provider to send."""

    async def look_up(self, message: Outbound, taken: frozenset[str]) -> Receipt | None:
        """What the provider has of a message whose outcome is unknown, leaving out what we know as another's; None if nothing."""


def carrier(name: str, settings: Mapping[str, str], *, connections: int = 64) -> Carrier:
    """What carries for the provider of that name."""
    if name == "smtp":
        return MailCarrier(settings, connections=connections)
    return HttpCarrier(provider(name, settings), connections=connections)
