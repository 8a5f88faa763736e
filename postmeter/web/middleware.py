"""What stands round every page: the limits of a session, and refusals as pages."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from postmeter.kit.refusals import Refusal
from postmeter.web import session

Next = Callable[[HttpRequest], HttpResponse]


class SessionLimits:
    """Ends sessions that were idle or are old. Stands after Django's messages, which carry the reason to the sign-in page."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            reason = session.why_over(request, now=timezone.now())
            if reason:
                logout(request)
                messages.info(request, f"{reason} Sign in again to go on.")
                return session.sign_in_again(request)
        return self.get_response(request)


class RefusalPages:
    """A refusal that no form shows becomes a page with its status, its words and its remedy."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, Refusal):
            return None
        return render(request, "web/refusal.html", {"refusal": exception}, status=exception.status)
