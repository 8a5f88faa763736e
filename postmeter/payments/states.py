"""The states of a payment and the arrows between them."""

from enum import StrEnum

from postmeter.kit.states import Machine


class PaymentState(StrEnum):
    CREATED = "created"  # the intent is committed; nobody was asked yet
    CALLING = "calling"  # the gateway is being asked, with this row's idempotency key
    PROCESSING = "processing"  # the gateway has it; money arrives up to 48 hours later
    REQUIRES_ACTION = "requires_action"  # the cardholder must confirm at the bank
    UNKNOWN = "unknown"  # asked and never heard back; never falls through to another method
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    CANCELLED = "cancelled"


S = PaymentState
MACHINE = Machine(
    starts=frozenset({S.CREATED}),
    arrows={
        S.CREATED: frozenset({S.CALLING, S.CANCELLED}),
        S.CALLING: frozenset({S.PROCESSING, S.REQUIRES_ACTION, S.UNKNOWN, S.SUCCEEDED, S.DECLINED}),
        S.UNKNOWN: frozenset({S.PROCESSING, S.REQUIRES_ACTION, S.SUCCEEDED, S.DECLINED, S.CANCELLED}),
        S.REQUIRES_ACTION: frozenset({S.PROCESSING, S.UNKNOWN, S.SUCCEEDED, S.DECLINED, S.CANCELLED}),
        S.PROCESSING: frozenset({S.UNKNOWN, S.SUCCEEDED, S.DECLINED}),
        S.SUCCEEDED: frozenset(),
        # A decline can be overtaken: the gateway's last word is money that was taken, and it is credited.
        S.DECLINED: frozenset({S.SUCCEEDED}),
        # So can giving up: an order that its payer approved at that moment.
        S.CANCELLED: frozenset({S.SUCCEEDED}),
    },
)
OPEN = frozenset({S.CREATED, S.CALLING, S.PROCESSING, S.REQUIRES_ACTION, S.UNKNOWN})
