"""Which provider carries what: for each channel the providers in order, for some destinations others (`settings.ROUTES`)."""

from django.conf import settings

SANDBOX = "sandbox"  # what test keys send through: nothing leaves the house


def first(channel: str) -> str:
    """The provider that a message on this channel is meant for when it is accepted."""
    return str(settings.ROUTES[channel][0])
