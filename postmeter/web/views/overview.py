"""The first page: the meter, what is under way, what was spent; and the choice of the customer one acts for."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from postmeter.customers import queries as customers
from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import Refusal
from postmeter.web import session
from postmeter.web.session import MemberRequest, member_page


@member_page()
def overview(request: MemberRequest) -> HttpResponse:
    """GET /."""
    return render(request, "web/overview.html", {})


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
