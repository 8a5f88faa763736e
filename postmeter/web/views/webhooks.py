"""Webhooks: which systems of the customer are told, of what, and what became of it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from postmeter.customers import permissions
from postmeter.kit.refusals import Refusal
from postmeter.web.forms import add_refusal
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.stepup import confirmed_person
from postmeter.webhooks import operations, queries, signing
from postmeter.webhooks.kinds import KINDS


class EndpointForm(forms.Form):
    """An address and what it wants to know."""

    url = forms.CharField(
        label="Address", max_length=2_000, widget=forms.URLInput, help_text="https, and reached from the internet."
    )
    kinds = forms.MultipleChoiceField(
        label="What it is told",
        choices=[(name, kind.words) for name, kind in KINDS.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="None: everything, also what is added later.",
    )


@member_page(permission=permissions.MANAGE_KEYS)
@confirmed_person
def webhooks(request: MemberRequest) -> HttpResponse:
    """GET /settings/webhooks/: the addresses, and a form. POST: adds one."""
    customer_id, status = request.seat.customer_id, 200
    form = EndpointForm(request.POST or None)
    if form.is_bound:
        status = 422
        if form.is_valid():
            try:
                row = operations.add(customer_id=customer_id, **form.cleaned_data, actor=request.actor, now=timezone.now())
            except Refusal as refusal:
                add_refusal(form, refusal)
                status = refusal.status
            else:
                messages.success(request, "Added. Put its secret into your system, then send a test.")
                return redirect("webhook", endpoint_id=row.id)
    rows = [(row, _state(row)) for row in queries.endpoints(customer_id=customer_id)]
    return render(request, "web/webhooks.html", {"rows": rows, "form": form}, status=status)


def _state(row: Any) -> str:
    return "off" if row.disabled_at else "failing" if row.failing_since else "on"


@member_page(permission=permissions.MANAGE_KEYS)
@confirmed_person
def webhook(request: MemberRequest, endpoint_id: int) -> HttpResponse:
    """GET /settings/webhooks/WE…/: its secret and its deliveries. POST: `act` is test, enable or remove."""
    customer_id, now = request.seat.customer_id, timezone.now()
    row = queries.endpoint(customer_id=customer_id, endpoint_id=endpoint_id)
    if request.method == "POST":
        return _act(request, endpoint_id)
    shown = {
        "row": row,
        "state": _state(row),
        "kinds": [KINDS[name].words for name in row.kinds],
        "secret": signing.secret_of(row.id),
        "deliveries": queries.deliveries(customer_id=customer_id, endpoint_id=endpoint_id),
        "now": now,
    }
    return render(request, "web/webhook.html", shown)


def _act(request: MemberRequest, endpoint_id: int) -> HttpResponse:
    customer_id, now, what = request.seat.customer_id, timezone.now(), request.POST.get("act")
    if what == "remove":
        operations.remove(customer_id=customer_id, endpoint_id=endpoint_id, actor=request.actor, now=now)
        messages.success(request, "Removed. It is told nothing any more.")
        return redirect("webhooks")
    if what == "enable":
        operations.enable(customer_id=customer_id, endpoint_id=endpoint_id, actor=request.actor, now=now)
        messages.success(request, "It is told again.")
    else:
        test_id = operations.try_out(customer_id=customer_id, endpoint_id=endpoint_id, now=now)
        taken = operations.deliver(customer_id=customer_id, delivery_id=test_id, now=now)
        if taken:
            messages.success(request, "The test was taken.")
        else:
            messages.warning(request, "The test was not taken; see below. It is tried again by itself.")
    return redirect("webhook", endpoint_id=endpoint_id)


@require_POST
@member_page(permission=permissions.MANAGE_KEYS)
def send_again(request: MemberRequest, endpoint_id: int, delivery_id: int) -> HttpResponse:
    """POST /settings/webhooks/WE…/WD…/again/."""
    try:
        operations.again(customer_id=request.seat.customer_id, delivery_id=delivery_id, now=timezone.now())
    except Refusal as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, "It is sent again.")
    return redirect("webhook", endpoint_id=endpoint_id)
