"""The first page: the meter, what is under way, what was spent; and the choice of the customer one acts for."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from postmeter.customers import permissions
from postmeter.customers import queries as customers
from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import Refusal
from postmeter.messaging import queries as messaging
from postmeter.notifications import queries as notifications
from postmeter.web import context, session
from postmeter.web.session import MemberRequest, member_page

SPEND_DAYS, RECENT = 30, 6


@member_page()
def overview(request: MemberRequest) -> HttpResponse:
    """GET /. Each part only for those who may see it."""
    customer_id, may = request.seat.customer_id, request.seat.permissions
    figures = context.figures_of(request.seat)
    shown: dict[str, Any] = {"figures": figures, "can_send": permissions.SEND in may}
    if figures and figures.wallet.kind == "pool":  # what all members spend says nothing of one's own credit
        runway = notifications.runway(customer_id=customer_id, figures=figures, now=timezone.now())
        shown |= {"runway": runway, "spend": runway.spent[-SPEND_DAYS:]}
        shown["has_spent"] = any(micros for _, micros in shown["spend"])
    if permissions.READ_MESSAGES in may:
        shown["under_way"] = messaging.under_way(customer_id=customer_id)
        shown["batches"] = [
            messaging.progress(customer_id=customer_id, batch_id=batch.id)
            for batch in messaging.open_batches(customer_id=customer_id)
        ]
        shown["recent"] = messaging.messages(customer_id=customer_id, at_most=RECENT)
    return render(request, "web/overview.html", shown)


@login_required
def choose_customer(request: HttpRequest) -> HttpResponse:
    """GET: the customers that a person has a seat at. POST customer=CU…, next=path: act for that one from now on."""
    if request.method == "POST" and _choose(request):
        return redirect(session.way_back(request, reverse("overview")))
    seats: list[dict[str, Any]] = [
        {"seat": seat, "customer": customers.customer(customer_id=seat.customer_id)} for seat in session.seats_of(request)
    ]
    return render(request, "web/choose_customer.html", {"seats": seats, "next": session.way_back(request, reverse("overview"))})


def _choose(request: HttpRequest) -> bool:
    try:
        return session.choose(request, public_ids().decode("CU", request.POST.get("customer", "")))
    except Refusal:
        return False
