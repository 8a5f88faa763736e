"""What an account manager agrees on with a customer, and changes by hand: each asked once, with what it does."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from postmeter.customers import queries as customers
from postmeter.kit.money import parse_amount
from postmeter.kit.refusals import Refusal
from postmeter.terms import adjustments, agreement, grants, queries, requests
from postmeter.terms.changes import CHANGES
from postmeter.topups import bills
from postmeter.topups import queries as topups
from postmeter.wallets import queries as wallets
from postmeter.web.forms import add_refusal, key_of, new_key
from postmeter.web.operator.access import StaffRequest, act, staff_page
from postmeter.web.stepup import confirmed_person
from postmeter.web.templatetags.postmeter import whole_amount


class TermsForm(forms.Form):
    """The limit and the policy."""

    limit = forms.CharField(label="May go below zero by", widget=forms.TextInput(attrs={"inputmode": "decimal"}))
    days_to_pay = forms.IntegerField(label="Days to pay a bill", min_value=0, max_value=365)
    stop_after_days = forms.IntegerField(label="Days overdue after which nothing more is lent", min_value=0, max_value=365)
    suspend_after_days = forms.IntegerField(
        label="Days overdue after which nothing more is sent",
        min_value=0,
        max_value=365,
        required=False,
        help_text="Empty: never.",
    )
    suspend_on_dispute = forms.BooleanField(label="Send nothing more while a payment that was spent is disputed", required=False)


@staff_page
def terms(request: StaffRequest, customer_id: int) -> HttpResponse:
    """GET /customers/CU…/terms/: the form. POST: saves it."""
    row, wallet = queries.agreement(customer_id=customer_id), wallets.pool(customer_id=customer_id)
    first = {name: getattr(row, name) for name in ("days_to_pay", "stop_after_days", "suspend_after_days", "suspend_on_dispute")}
    form = TermsForm(request.POST or None, initial={**first, "limit": whole_amount(row.limit_micros, wallet.unit)})
    status = 422 if form.is_bound else 200
    if form.is_valid():
        given, now = dict(form.cleaned_data), timezone.now()
        try:
            limit = parse_amount(given.pop("limit"), wallet.unit, field="limit")
            if limit != row.limit_micros:
                agreement.set_limit(customer_id=customer_id, limit_micros=limit, actor=request.actor, now=now)
            agreement.set_policy(customer_id=customer_id, **given, actor=request.actor, now=now)
        except Refusal as refusal:
            add_refusal(form, refusal)
            status = refusal.status
        else:
            messages.success(request, "Saved.")
            return redirect("console-customer", customer_id=customer_id)
    shown = {"form": form, "unit": wallet.unit, "customer": customers.customer(customer_id=customer_id)}
    return render(request, "operator/terms.html", shown, status=status)


@require_POST
@staff_page
def suspend(request: StaffRequest, customer_id: int) -> HttpResponse:
    """POST /customers/CU…/suspend/: `on` is 1 to suspend, 0 to reinstate."""
    now, on = timezone.now(), request.POST.get("on") == "1"

    def do() -> None:
        if on:
            agreement.suspend(customer_id=customer_id, reason=agreement.BY_HAND, actor=request.actor, now=now)
        else:
            agreement.reinstate(customer_id=customer_id, actor=request.actor, now=now)

    done = "Suspended: nothing more is accepted." if on else "Reinstated: messages are accepted again."
    return act(request, done, do, redirect("console-customer", customer_id=customer_id))


class MoveForm(forms.Form):
    """Credit given or taken by hand. What is given as `until` is a day in the customer's zone."""

    way = forms.ChoiceField(
        label="What",
        choices=[("give", "Give credit: corrects a mistake"), ("take", "Take credit"), ("promotion", "Give promotional credit")],
        widget=forms.RadioSelect,
        initial="give",
    )
    amount = forms.CharField(widget=forms.TextInput(attrs={"inputmode": "decimal"}))
    until = forms.DateField(
        label="Last day of a promotion",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Only for promotional credit; empty: it does not end.",
    )
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 2}), help_text="The customer reads it.")


@staff_page
@confirmed_person
def move(request: StaffRequest, customer_id: int) -> HttpResponse:
    """GET /customers/CU…/credit/: the form. POST: shows what it does, and with `agreed` does it once for its key."""
    wallet, found = wallets.pool(customer_id=customer_id), customers.customer(customer_id=customer_id)
    form = MoveForm(request.POST or None)
    shown: dict[str, Any] = {"form": form, "unit": wallet.unit, "customer": found}
    status = 422 if form.is_bound else 200
    if form.is_valid():
        try:
            micros = parse_amount(form.cleaned_data["amount"], wallet.unit, field="amount")
            if request.POST.get("agreed"):
                return _move(request, customer_id, form.cleaned_data, micros, found.time_zone)
        except Refusal as refusal:
            add_refusal(form, refusal, {"expires": "until"})
            status = refusal.status
        else:
            before = topups.figures(customer_id=customer_id, wallet=wallet)
            taken = -micros if form.cleaned_data["way"] == "take" else micros
            shown |= {
                "micros": taken,
                "amount": micros,
                "before": before,
                "key": new_key(),
                "after_micros": before.posted_micros + taken,
            }
            shown["alone"] = form.cleaned_data["way"] == "promotion" or micros <= settings.ADJUSTMENT_ALONE_MICROS
            status = 200
    return render(request, "operator/move.html", shown, status=status)


def _move(request: StaffRequest, customer_id: int, given: dict[str, Any], micros: int, zone: str) -> HttpResponse:
    common = {
        "customer_id": customer_id,
        "wallet_id": wallets.pool(customer_id=customer_id).id,
        "reason": given["reason"],
        "key": key_of(request),
        "actor": request.actor,
        "now": timezone.now(),
    }
    if given["way"] == "promotion":
        day = given["until"]
        ends = datetime.combine(day + timedelta(days=1), datetime.min.time(), ZoneInfo(zone)).astimezone(UTC) if day else None
        grants.give(**common, amount_micros=micros, expires_at=ends)
        messages.success(request, "Given.")
    else:
        row = adjustments.propose(**common, amount_micros=micros if given["way"] == "give" else -micros)
        done = row.state == "posted"
        messages.success(request, "Done." if done else "Proposed: another account manager has to approve it.")
    return redirect("console-customer", customer_id=customer_id)


@require_POST
@staff_page
@confirmed_person
def decide_adjustment(request: StaffRequest, customer_id: int, adjustment_id: int) -> HttpResponse:
    """POST /customers/CU…/adjustments/AD…/: `verdict` is approve or decline."""
    verdict = adjustments.approve if request.POST.get("verdict") == "approve" else adjustments.decline

    def do() -> None:
        verdict(customer_id=customer_id, adjustment_id=adjustment_id, actor=request.actor, now=timezone.now())

    return act(request, "Decided.", do, redirect("console-customer", customer_id=customer_id))


class VerdictForm(forms.Form):
    note = forms.CharField(
        label="Answer",
        required=False,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="The customer reads it. Needed to decline.",
    )


@staff_page
def change(request: StaffRequest, customer_id: int, request_id: int) -> HttpResponse:
    """GET /customers/CU…/requests/CR…/: what it would do. POST: `verdict` is approve, decline or reverse."""
    now, row = timezone.now(), queries.request(customer_id=customer_id, request_id=request_id)
    form, status, preview, problem = VerdictForm(request.POST or None), 200, [], ""
    if form.is_bound and form.is_valid():
        verdicts: dict[str, Any] = {"approve": requests.approve, "decline": requests.decline, "reverse": requests.reverse}
        verdict: Any = verdicts.get(request.POST.get("verdict", ""), requests.decline)
        note = form.cleaned_data["note"]
        try:
            done = verdict(customer_id=customer_id, request_id=request_id, actor=request.actor, now=now, note=note)
            messages.success(request, f"The request is {done.state}.")
            return redirect("console-customer", customer_id=customer_id)
        except Refusal as refusal:
            add_refusal(form, refusal)
            status = refusal.status
    if row.state == "asked":
        try:
            preview = requests.preview(customer_id=customer_id, kind=row.kind, wanted=row.wanted, now=now)
        except Refusal as refusal:
            problem = str(refusal)
    shown = {
        "row": row,
        "title": CHANGES[row.kind].title,
        "customer": customers.customer(customer_id=customer_id),
        "preview": preview,
        "problem": problem,
        "form": form,
        "spent": queries.spent(customer_id=customer_id, now=now),
        "unit": wallets.pool(customer_id=customer_id).unit,
    }
    return render(request, "operator/request.html", shown, status=status)


@require_POST
@staff_page
def settle_bill(request: StaffRequest, customer_id: int, bill_id: int) -> HttpResponse:
    """POST /customers/CU…/bills/BI…/: `how` is paid (on another way) or cancelled; `reason`."""

    def do() -> None:
        bills.settle_by_hand(
            customer_id=customer_id,
            bill_id=bill_id,
            paid=request.POST.get("how") == "paid",
            reason=request.POST.get("reason", ""),
            actor=request.actor,
            now=timezone.now(),
        )

    return act(request, "The bill is settled.", do, redirect("console-customer", customer_id=customer_id))
