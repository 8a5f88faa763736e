"""Who is at the page: the person's session, its limits, and the seat they act from.

A page behind sign-in is a view under `@member_page(permission=…)`; it finds `request.seat` (customers.queries.Seat) and
`request.customer`, and the customer's time zone is active while it runs.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, cast
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from postmeter.customers import permissions, queries
from postmeter.customers.models import Customer, Role, User
from postmeter.customers.queries import Seat
from postmeter.kit.refusals import NotAllowed

P = ParamSpec("P")

_SEAT, _SIGNED_IN_AT, _SEEN_AT = "customer", "signed_in_at", "seen_at"
_NOTE_EVERY = timedelta(minutes=1)  # a write of the session a minute at most

# How a permission is called where somebody lacks it.
DOES = {
    permissions.SEND: "send messages",
    permissions.READ_MESSAGES: "see messages",
    permissions.READ_BALANCE: "see the balance",
    permissions.BUY: "buy credit",
    permissions.READ_INVOICES: "see invoices",
    permissions.MANAGE_PAYMENT_METHODS: "manage cards",
    permissions.MANAGE_BILLING_DETAILS: "change what stands on invoices",
    permissions.MANAGE_KEYS: "manage API keys",
    permissions.MANAGE_MEMBERS: "manage members",
    permissions.READ_PRICES: "see prices",
    permissions.MANAGE_LIMITS: "change limits and countries",
    permissions.MANAGE_CREDITS: "manage the credit of others",
}


class MemberRequest(HttpRequest):
    """A request under `member_page`."""

    user: User
    seat: Seat
    customer: Customer
    actor: str  # as operations and events write it down


Page = Callable[Concatenate[MemberRequest, P], HttpResponseBase]


def member_page(*, permission: str | None = None) -> Callable[[Page[P]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]]:
    """A page for members: asks people to sign in, finds their seat, checks what the seat may do (S-107, A-25).

    Lacking the permission is a 403 that names who can help. Refusals that the view lets pass become status pages (`middleware`).
    """

    def decorate(view: Page[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        def inner(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            seat = seat_of(request)
            if seat is None:
                return redirect(f"{reverse('choose-customer')}?{urlencode({'next': request.get_full_path()})}")
            member = cast(MemberRequest, request)
            member.seat, member.actor = seat, f"member:{seat.member_id}"
            member.customer = queries.customer(customer_id=seat.customer_id)
            if permission:
                require(seat, permission)
            with timezone.override(ZoneInfo(member.customer.time_zone)):
                return view(member, *args, **kwargs)

        update_wrapper(inner, view)
        return inner

    return decorate


def require(seat: Seat, permission: str) -> None:
    """Raises NotAllowed, saying which roles could."""
    if permission in seat.permissions:
        return
    able = [role.label.lower() for role in Role if permission in permissions.BY_ROLE[role]]
    raise NotAllowed(
        f"Your role does not let you {DOES[permission]}.",
        remedy=f"Ask somebody with the role {' or '.join(able)}, or have a master give you that role under Settings, Members.",
    )


# --- seats


def seats_of(request: HttpRequest) -> list[Seat]:
    """The seats of the person who is signed in, read once a request."""
    known: list[Seat] | None = getattr(request, "_seats", None)
    if known is None:
        known = queries.seats_of(request.user) if request.user.is_authenticated else []
        request._seats = known  # type: ignore[attr-defined]
    return known


def seat_of(request: HttpRequest) -> Seat | None:
    """The seat that was chosen, or the only one; None if there is none or several to choose from."""
    seats = seats_of(request)
    chosen = request.session.get(_SEAT)
    return next((seat for seat in seats if seat.customer_id == chosen), seats[0] if len(seats) == 1 else None)


def choose(request: HttpRequest, customer_id: int) -> bool:
    """Act from the seat at this customer from now on. False if the person has none there."""
    if not any(seat.customer_id == customer_id for seat in seats_of(request)):
        return False
    request.session[_SEAT] = customer_id
    return True


def way_back(request: HttpRequest, default: str) -> str:
    """The address in `next` if it is one of ours, else the default: links never lead people off the site."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    return target if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}) else default


# --- limits


def why_over(request: HttpRequest, *, now: datetime) -> str | None:
    """Why this session has ended, if it has: idle for too long, or too old (ASVS 7.3.1, 7.3.2). Else notes that it is in use."""
    session = request.session
    signed_in, seen = _moment(session.get(_SIGNED_IN_AT), now), _moment(session.get(_SEEN_AT), now)
    if now - signed_in >= timedelta(seconds=settings.SESSION_COOKIE_AGE):
        return f"You were signed out because you signed in {settings.SESSION_COOKIE_AGE // 3600} hours ago."
    if now - seen >= timedelta(seconds=settings.SESSION_IDLE_SECONDS):
        return f"You were signed out after {settings.SESSION_IDLE_SECONDS // 60} minutes without activity."
    if _SIGNED_IN_AT not in session:
        session[_SIGNED_IN_AT] = now.isoformat()
    # A page that asks by itself how far a list has got is not a person.
    if _SEEN_AT not in session or (now - seen >= _NOTE_EVERY and not _asks_by_itself(request)):
        session[_SEEN_AT] = now.isoformat()
    return None


def _asks_by_itself(request: HttpRequest) -> bool:
    return request.method == "GET" and "HX-Request" in request.headers


def _moment(text: Any, default: datetime) -> datetime:
    return datetime.fromisoformat(text) if text else default


def sign_in_again(request: HttpRequest) -> HttpResponse:
    """To the sign-in page and back here; a part of a page that htmx asked for takes the whole page along."""
    if "HX-Request" in request.headers:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    back = request.get_full_path() if request.method == "GET" else "/"
    return cast(HttpResponse, redirect_to_login(back))
