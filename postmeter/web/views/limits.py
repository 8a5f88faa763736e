"""Limits and countries: what a customer may send how often and to where, and the way back after a stop."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from postmeter.customers import permissions
from postmeter.guard import operations, queries
from postmeter.guard.models import EVERYWHERE
from postmeter.kit.phone import country_name
from postmeter.kit.refusals import NotFound, Refusal
from postmeter.terms import stops
from postmeter.wallets import queries as wallets
from postmeter.web.forms import add_refusal
from postmeter.web.guarding import CountriesForm, LiftForm, LimitsForm, lines, told
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.stepup import confirmed_person


@require_safe
@member_page(permission=permissions.READ_BALANCE)
def limits(request: MemberRequest) -> HttpResponse:
    """GET /settings/limits/"""
    customer_id = request.seat.customer_id
    opened = queries.opened_countries(customer_id=customer_id)
    stop = queries.standing(customer_id=customer_id)
    shown = {
        "told": told(stop) if stop else None,
        "home": country_name(request.customer.country),
        "is_everywhere": EVERYWHERE in opened,
        "opened": sorted(country_name(each) for each in opened - {EVERYWHERE}),
        "lines": lines(customer_id=customer_id, unit=_unit(customer_id)),
        "history": [told(row) for row in queries.history(customer_id=customer_id) if row.lifted_at],
        "may_change": permissions.MANAGE_LIMITS in request.seat.permissions,
    }
    return render(request, "web/limits.html", shown)


@member_page(permission=permissions.MANAGE_LIMITS)
@confirmed_person
def countries(request: MemberRequest) -> HttpResponse:
    """GET /settings/limits/countries/: the form. POST: saves it."""
    now = timezone.now()
    form = CountriesForm(request.POST if request.method == "POST" else None, customer=request.customer, now=now)
    if request.method == "POST" and form.is_valid():
        operations.set_countries(customer_id=request.seat.customer_id, opened=form.opened, actor=request.actor, now=now)
        messages.success(request, "Saved. It holds within a few seconds.")
        return redirect("limits")
    shown = {"form": form, "home": country_name(request.customer.country)}
    return render(request, "web/limits_countries.html", shown, status=422 if form.errors else 200)


@member_page(permission=permissions.MANAGE_LIMITS)
@confirmed_person
def own(request: MemberRequest) -> HttpResponse:
    """GET /settings/limits/own/: the form. POST: sets lower limits than the account manager's, or takes them back."""
    customer_id, unit = request.seat.customer_id, _unit(request.seat.customer_id)
    form, status = (
        LimitsForm(request.POST if request.method == "POST" else None, customer_id=customer_id, unit=unit, by_operator=False),
        200,
    )
    if form.is_bound:
        status = 422
        if form.is_valid():
            try:
                operations.set_limits(
                    customer_id=customer_id, unit=unit, most=form.most, by_operator=False, actor=request.actor, now=timezone.now()
                )
            except Refusal as refusal:
                add_refusal(form, refusal)
            else:
                messages.success(request, "Saved. It holds within a few seconds.")
                return redirect("limits")
    return render(request, "web/limits_own.html", {"form": form, "unit": unit}, status=status)


@member_page(permission=permissions.MANAGE_LIMITS)
@confirmed_person
def lift(request: MemberRequest) -> HttpResponse:
    """GET /settings/limits/lift/: what it does. POST: sending goes on."""
    customer_id = request.seat.customer_id
    stop = queries.standing(customer_id=customer_id)
    if stop is None:
        raise NotFound("Sending is not stopped.")
    form = LiftForm(request.POST or None)
    if form.is_valid():
        stops.lift(customer_id=customer_id, **form.chosen(), actor=request.actor, now=timezone.now())
        messages.success(request, "Sending goes on.")
        return redirect("limits")
    return render(request, "web/limits_lift.html", {"form": form, "told": told(stop)}, status=422 if form.is_bound else 200)


def _unit(customer_id: int) -> str:
    return wallets.pool(customer_id=customer_id).unit
