"""The I/O of providers. A carrier never raises: whatever happened is an outcome.

*Never left*: the connection could not be made, so a retry is safe. *No answer*: it may have been taken, so the outcome is
unknown and stays so until the provider says.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from postmeter.messaging.carriers.esp import NAME as ESP
from postmeter.messaging.carriers.esp import EspCarrier
from postmeter.messaging.carriers.http import HttpCarrier
from postmeter.messaging.carriers.mail import MailCarrier
from postmeter.messaging.carriers.smpp import SmppCarrier, SmppQuestions
from postmeter.messaging.providers import Outbound, Outcome, Receipt, provider
from postmeter.messaging.providers.smpp import NAME as SMPP
from postmeter.messaging.providers.smpp import Account


class Carrier(AbstractAsyncContextManager["Carrier"], Protocol):
    """Sends through one provider, many messages at once. Used as an async context manager.

    `at_most` messages may be on their way through it at a time: what waits longer than its lease would be taken for lost.
    """

    at_most: int

    async def send(self, message: Outbound) -> Outcome:
        """Ask the provider to send."""

    async def look_up(self, message: Outbound, taken: frozenset[str]) -> Receipt | None:
        """What the provider has of a message whose outcome is unknown, leaving out what we know as another's; None if nothing."""


def carrier(name: str, settings: Mapping[str, str], *, connections: int = 64) -> Carrier:
    """What carries for the provider of that name."""
    if name == "smtp":
        return MailCarrier(settings, connections=connections)
    if name == ESP:
        return EspCarrier(settings, connections=connections)
    if name == SMPP:
        return SmppCarrier(Account.read(settings))
    return HttpCarrier(provider(name, settings), connections=connections)


def questions(name: str, settings: Mapping[str, str]) -> Carrier:
    """What asks the provider of that name what became of messages: few at a time, and without a session of its own."""
    return SmppQuestions() if name == SMPP else carrier(name, settings, connections=4)
