"""Limits, countries and stops of a customer, for account managers."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from postmeter.customers import queries as customers
from postmeter.guard import operations, queries
from postmeter.kit.phone import country_name
from postmeter.kit.refusals import NotFound, Refusal
from postmeter.terms import stops
from postmeter.wallets import queries as wallets
from postmeter.web.forms import add_refusal
from postmeter.web.guarding import CountriesForm, LiftForm, LimitsForm, told
from postmeter.web.operator.access import StaffRequest, staff_page
from postmeter.web.stepup import confirmed_person


@staff_page
@confirmed_person
def limits(request: StaffRequest, customer_id: int) -> HttpResponse:
    """GET /customers/CU…/limits/: both forms. POST: saves them."""
    now, customer, unit = timezone.now(), customers.customer(customer_id=customer_id), wallets.pool(customer_id=customer_id).unit
    places = CountriesForm(request.POST if request.method == "POST" else None, customer=customer, now=now)
    form, status = (
        LimitsForm(request.POST if request.method == "POST" else None, customer_id=customer_id, unit=unit, by_operator=True),
        200,
    )
    if request.method == "POST":
        status = 422
        if form.is_valid() and places.is_valid():
            try:
                operations.set_countries(customer_id=customer_id, opened=places.opened, actor=request.actor, now=now)
                operations.set_limits(
                    customer_id=customer_id, unit=unit, most=form.most, by_operator=True, actor=request.actor, now=now
                )
            except Refusal as refusal:
                add_refusal(form, refusal)
            else:
                messages.success(request, "Saved. It holds within a few seconds.")
                return redirect("console-customer", customer_id=customer_id)
    shown = {"form": form, "places": places, "customer": customer, "unit": unit, "home": country_name(customer.country)}
    return render(request, "operator/limits.html", shown, status=status)


@staff_page
@confirmed_person
def lift(request: StaffRequest, customer_id: int) -> HttpResponse:
    """GET /customers/CU…/lift/: why it is stopped. POST: sending goes on."""
    stop = queries.standing(customer_id=customer_id)
    if stop is None:
        raise NotFound("Sending is not stopped.")
    form = LiftForm(request.POST or None)
    if form.is_valid():
        stops.lift(customer_id=customer_id, **form.chosen(), actor=request.actor, now=timezone.now())
        messages.success(request, "Sending goes on.")
        return redirect("console-customer", customer_id=customer_id)
    shown = {"form": form, "told": told(stop), "customer": customers.customer(customer_id=customer_id)}
    return render(request, "operator/lift.html", shown, status=422 if form.is_bound else 200)
