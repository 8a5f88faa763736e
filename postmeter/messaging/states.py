"""The states of a message and the arrows between them. Receipts may come late, twice or in any order: only arrows move."""

from enum import StrEnum

from postmeter.kit.states import Machine


class State(StrEnum):
    WAITING = "waiting"  # for credit or for consent, until its useful-until; it holds nothing
    QUEUED = "queued"  # accepted from the customer; its price is on hold
    SENDING = "sending"  # a worker claimed it; the provider may already have it
    SENT = "sent"  # the provider took it
    UNKNOWN = "unknown"  # we asked and never heard back; never resent blindly
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"  # the carrier gave up on it
    FAILED = "failed"  # the provider refused it or broke
    EXPIRED = "expired"  # its useful-until passed before it could go
    CANCELLED = "cancelled"


S = State
MACHINE = Machine(
    starts=frozenset({S.WAITING, S.QUEUED}),
    arrows={
        S.WAITING: frozenset({S.QUEUED, S.EXPIRED, S.CANCELLED}),
        S.QUEUED: frozenset({S.SENDING, S.EXPIRED, S.CANCELLED}),
        S.SENDING: frozenset({S.SENT, S.DELIVERED, S.UNDELIVERED, S.FAILED, S.UNKNOWN, S.QUEUED}),
        S.UNKNOWN: frozenset({S.SENT, S.DELIVERED, S.UNDELIVERED, S.FAILED, S.EXPIRED}),
        S.SENT: frozenset({S.DELIVERED, S.UNDELIVERED, S.FAILED}),
        S.DELIVERED: frozenset(),
        S.UNDELIVERED: frozenset(),
        S.FAILED: frozenset(),
        S.EXPIRED: frozenset(),
        S.CANCELLED: frozenset(),
    },
)
# States in which the provider has, or may have, the message.
UNDER_WAY = frozenset({S.SENDING, S.SENT, S.UNKNOWN})
CANCELLABLE = frozenset({S.WAITING, S.QUEUED})
