"""What every page of the frame shows: navigation, the balance chip, the member's menu. Read only if the page shows it."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject

from postmeter.customers import permissions
from postmeter.customers.queries import Seat
from postmeter.guard import queries as guard
from postmeter.kit.refusals import NotFound
from postmeter.messaging import inbox
from postmeter.topups import queries as topups
from postmeter.wallets import sharing
from postmeter.web import session


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the navigation: shown to those who may open it."""

    label: str
    name: str  # of the address, see urls.py
    icon: str = ""
    permission: str | None = None
    children: tuple["Entry", ...] = ()


NAVIGATION = (
    Entry("Overview", "overview", "overview"),
    Entry("Send", "send", "send", permissions.SEND),
    Entry("Inbox", "inbox", "inbox", permissions.READ_MESSAGES),
    Entry("Messages", "messages", "messages", permissions.READ_MESSAGES),
    Entry(
        "Credit",
        "credit",
        "credit",
        permissions.READ_BALANCE,
        (
            Entry("Payments", "payments", permission=permissions.MANAGE_PAYMENT_METHODS),
            Entry("Statement", "statement", permission=permissions.READ_BALANCE),
            Entry("Alerts", "alerts", permission=permissions.READ_BALANCE),
            Entry("Terms", "terms", permission=permissions.READ_INVOICES),
            Entry("Invoices", "invoices", permission=permissions.READ_INVOICES),
        ),
    ),
    Entry("Prices", "prices", "prices", permissions.READ_PRICES),
    Entry(
        "Settings",
        "details",
        "settings",
        None,
        (
            Entry("Invoice details", "billing-details", permission=permissions.MANAGE_BILLING_DETAILS),
            Entry("Messaging", "messaging-settings", permission=permissions.READ_BALANCE),
            Entry("Calls", "calls-settings", permission=permissions.MANAGE_MEMBERS),
            Entry("Limits and countries", "limits", permission=permissions.READ_BALANCE),
            Entry("API keys", "keys", permission=permissions.MANAGE_KEYS),
            Entry("Webhooks", "webhooks", permission=permissions.MANAGE_KEYS),
            Entry("Members", "members", permission=permissions.MANAGE_MEMBERS),
            Entry("Offices and teams", "groups", permission=permissions.MANAGE_MEMBERS),
        ),
    ),
)
CONSOLE_NAVIGATION = (
    Entry("What waits", "console", "overview"),
    Entry("Customers", "console-customers", "members"),
    Entry("Bank transfers", "console-wires", "download"),
    Entry("Money", "console-money", "credit"),
    Entry("Costs", "console-costs", "refund"),
    Entry("Invoices", "console-invoices", "invoice"),
    Entry("Prices", "console-prices", "prices"),
    Entry("Log", "console-log", "clock"),
)
MEMBER_MENU = (
    Entry("Manage SMS Credits", "accounts", "credit", permissions.READ_BALANCE),
    Entry("My Details", "details", "settings"),
)
TOP_UP = Entry("Top-up Credit", "top-up", permission=permissions.BUY)


def frame(request: HttpRequest) -> dict[str, Any]:
    """What `base.html` names, and `seat` and `customer`; `figures` are the pool's."""
    if not hasattr(request, "user") or not request.user.is_authenticated:
        return {"version": _version()}
    if django_settings.CONSOLE:
        return {"version": _version(), "navigation": _links(CONSOLE_NAVIGATION, request.path), "is_console": True}
    seat = session.seat_of(request)
    if seat is None:
        return {"version": _version(), "member_menu": _choices(request)}
    return {
        "seat": seat,
        "customer": getattr(request, "customer", None),
        "navigation": SimpleLazyObject(lambda: _entries(NAVIGATION, seat, request.path)),
        "figures": SimpleLazyObject(lambda: figures_of(seat)),
        "topup_url": address_of(TOP_UP, seat),
        "unread": SimpleLazyObject(lambda: _unread(seat)),
        "is_stopped": SimpleLazyObject(lambda: guard.standing(customer_id=seat.customer_id) is not None),
        "automation_paused": SimpleLazyObject(lambda: _is_paused(seat)),
        "member_menu": SimpleLazyObject(lambda: _entries(MEMBER_MENU, seat, request.path) + _choices(request)),
        "member_name": seat.name,
        "version": _version(),
    }


def figures_of(seat: Seat) -> topups.Figures | None:
    """The four figures of the credit that pays for this person, for those who may see them."""
    if permissions.READ_BALANCE not in seat.permissions:
        return None
    try:
        wallet = sharing.wallet_shown(customer_id=seat.customer_id, member_id=seat.member_id)
    except NotFound:
        return None
    return topups.figures(customer_id=seat.customer_id, wallet=wallet)


def _is_paused(seat: Seat) -> bool:
    """Whether an automatic top-up waits for a person: a banner for those who may start it again (A-34)."""
    return permissions.MANAGE_PAYMENT_METHODS in seat.permissions and topups.any_paused(customer_id=seat.customer_id)


def _unread(seat: Seat) -> int:
    """How many conversations are unread: a number beside the inbox."""
    return inbox.unread(customer_id=seat.customer_id) if permissions.READ_MESSAGES in seat.permissions else 0


def address_of(entry: Entry, seat: Seat) -> str:
    """Where an entry leads; empty if there is no such page or the seat may not open it."""
    if entry.permission and entry.permission not in seat.permissions:
        return ""
    try:
        return reverse(entry.name)
    except NoReverseMatch:
        return ""


def _links(entries: tuple[Entry, ...], path: str) -> list[dict[str, Any]]:
    """For who may open all of them."""
    found = [(entry, reverse(entry.name)) for entry in entries]
    return [
        {"label": entry.label, "url": url, "icon": entry.icon, "current": path == url or (url != "/" and path.startswith(url))}
        for entry, url in found
    ]


def _entries(entries: tuple[Entry, ...], seat: Seat, path: str) -> list[dict[str, Any]]:
    found = []
    for entry in entries:
        url = address_of(entry, seat)
        if url:
            children = _entries(entry.children, seat, path)
            inside = any(child["current"] for child in children)
            found.append(
                {
                    "label": entry.label,
                    "url": url,
                    "icon": entry.icon,
                    "name": entry.name,
                    "children": children,
                    "current": not inside and (path == url or (url != "/" and path.startswith(url))),
                }
            )
    return found


def _choices(request: HttpRequest) -> list[dict[str, Any]]:
    """Another customer to act for, where a person has several seats."""
    if len(session.seats_of(request)) < 2:
        return []
    return [{"label": "Change customer", "url": reverse("choose-customer"), "icon": "members"}]


def _version() -> str:
    try:
        return version("postmeter")
    except PackageNotFoundError:
        return ""
