"""Messaging settings: the sender's number, messaging on or off, and the way to more credit (S-010)."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from postmeter.customers import operations, permissions
from postmeter.web import session
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.views.credit import figures_of


@member_page(permission=permissions.READ_BALANCE)
def messaging(request: MemberRequest) -> HttpResponse:
    """GET /settings/messaging/. POST enabled=1 or nothing: turns messaging on or off."""
    if request.method == "POST":
        session.require(request.seat, permissions.MANAGE_MEMBERS)
        enabled = request.POST.get("enabled") == "1"
        operations.switch_messaging(
            customer_id=request.seat.customer_id, enabled=enabled, now=timezone.now(), actor=request.actor
        )
        messages.success(request, "Messaging is on." if enabled else "Messaging is off: nothing new is accepted.")
        return redirect("messaging-settings")
    context = {
        "shown": figures_of(request.seat.customer_id),
        "may_switch": permissions.MANAGE_MEMBERS in request.seat.permissions,
    }
    return render(request, "web/messaging_settings.html", context)
