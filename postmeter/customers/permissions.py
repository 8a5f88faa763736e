"""Who may do what: permissions by role, one table (S-107, A-25). Scopes of API keys are the same words."""

from collections.abc import Iterable

from postmeter.customers.models import Role

SEND = "messages.send"
READ_MESSAGES = "messages.read"
READ_BALANCE = "wallets.read"
BUY = "topups.create"
READ_INVOICES = "invoices.read"
MANAGE_PAYMENT_METHODS = "payment_methods.manage"
MANAGE_BILLING_DETAILS = "billing_details.manage"
MANAGE_KEYS = "api_keys.manage"
MANAGE_MEMBERS = "members.manage"
READ_PRICES = "prices.read"
MANAGE_LIMITS = "limits.manage"
MANAGE_CREDITS = "credits.manage"  # "Manage Office SMS Credits"

ALL = frozenset(
    {
        SEND,
        READ_MESSAGES,
        READ_BALANCE,
        BUY,
        READ_INVOICES,
        MANAGE_PAYMENT_METHODS,
        MANAGE_BILLING_DETAILS,
        MANAGE_KEYS,
        MANAGE_MEMBERS,
        READ_PRICES,
        MANAGE_LIMITS,
        MANAGE_CREDITS,
    }
)
# What a program may be allowed. Keys, members, cards and what stands on invoices stay with people.
SCOPES = frozenset({SEND, READ_MESSAGES, READ_BALANCE, BUY, READ_INVOICES, READ_PRICES})

BY_ROLE: dict[Role, frozenset[str]] = {
    Role.MASTER: ALL,
    Role.BILLING_ADMIN: frozenset(
        {READ_MESSAGES, READ_BALANCE, BUY, READ_INVOICES, MANAGE_PAYMENT_METHODS, MANAGE_BILLING_DETAILS, READ_PRICES}
    ),
    Role.OFFICE_MANAGER: frozenset({SEND, READ_MESSAGES, READ_BALANCE, MANAGE_MEMBERS, MANAGE_CREDITS, READ_PRICES}),
    Role.SENDER: frozenset({SEND, READ_MESSAGES, READ_BALANCE, READ_PRICES}),
}


def of_roles(roles: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*(BY_ROLE[Role(role)] for role in roles))


def roles_within(held: frozenset[str]) -> list[Role]:
    """The roles that somebody with these permissions may give: none that can do more than they can."""
    return [role for role, permissions in BY_ROLE.items() if permissions <= held]
