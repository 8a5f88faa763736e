"""Who is at the operator's pages: account managers, with a second factor wherever the pages leave this machine."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec, cast
from urllib.parse import urlsplit

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from postmeter.customers.models import User
from postmeter.kit.refusals import NotAllowed, Refusal

P = ParamSpec("P")


class StaffRequest(HttpRequest):
    """A request under `staff_page`."""

    user: User
    actor: str  # as operations and events write it down


Page = Callable[Concatenate[StaffRequest, P], HttpResponseBase]


def staff_page(view: Page[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """A page for account managers. Somebody else is told so, and who has no second factor is led to where one is set up."""

    def inner(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        staff = cast(StaffRequest, request)
        if not staff.user.is_account_manager:
            raise NotAllowed("These are the operator's pages.", remedy="Sign in as an account manager.")
        if asks_second_factor() and not is_mfa_enabled(staff.user):
            messages.warning(request, "Account managers sign in with a second factor: set one up first.")
            return redirect("mfa_index")
        staff.actor = f"operator:{staff.user.id}"
        return view(staff, *args, **kwargs)

    update_wrapper(inner, view)
    return inner


def asks_second_factor() -> bool:
    """Everywhere but on this machine alone, where one tries things out."""
    return urlsplit(settings.CONSOLE_URL).hostname not in settings.LOOPBACK


def act(request: HttpRequest, done: str, do: Callable[[], object], back: HttpResponse) -> HttpResponse:
    """Do one thing and go back, saying that it is done, or why not."""
    try:
        do()
    except Refusal as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, done)
    return back
