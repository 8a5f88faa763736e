"""Terms: the limit, bills, promotional credit, and changes that are asked for (S-095 … S-100, S-144)."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from postmeter.customers import permissions
from postmeter.kit.money import parse_amount
from postmeter.kit.refusals import Refusal
from postmeter.payments import queries as payments
from postmeter.terms import grants, queries, requests
from postmeter.terms.changes import CHANGES
from postmeter.topups import bills, pay_bill
from postmeter.wallets import queries as wallets
from postmeter.wallets import sharing
from postmeter.web.forms import add_refusal
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.views.credit import CardForm, figures_of

GRANTS_SHOWN_FOR = timedelta(days=90)  # after their end


class RequestForm(forms.Form):
    """What is asked for. `wanted` has it as the operation takes it."""

    kind = forms.ChoiceField(
        label="What should change",
        choices=[
            ("overdraft", "Let the balance go below zero by an amount"),
            ("post_paid", "Pay at each month's end instead of ahead"),
            ("individual_credits", "Give each member credit of their own, or go back to one pool"),
        ],
        widget=forms.RadioSelect,
        initial="overdraft",
    )
    limit = forms.CharField(
        label="Limit",
        required=False,
        help_text="Only for the first choice.",
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    reason = forms.CharField(
        label="Why",
        required=False,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Your account manager reads it.",
    )

    def __init__(self, *args: Any, unit: str, is_individual: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unit, self.is_individual = unit, is_individual

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("kind") == "overdraft":
            try:
                cleaned["limit"] = parse_amount(cleaned.get("limit", ""), self.unit, field="limit")
            except Refusal as refusal:
                self.add_error("limit", ValidationError(str(refusal)))
        return cleaned

    @property
    def wanted(self) -> dict[str, Any]:
        if self.cleaned_data["kind"] == "individual_credits":
            return {"individual": not self.is_individual}
        return {"limit_micros": self.cleaned_data["limit"]} if self.cleaned_data["kind"] == "overdraft" else {}


@member_page(permission=permissions.READ_INVOICES)
def terms(request: MemberRequest) -> HttpResponse:
    """GET /credit/terms/. POST: shows what a change would do, and with `agreed` asks for it; who manages billing details may."""
    customer_id, now = request.seat.customer_id, timezone.now()
    wallet = wallets.pool(customer_id=customer_id)
    may_ask = permissions.MANAGE_BILLING_DETAILS in request.seat.permissions
    posted = may_ask and request.method == "POST"
    is_individual = sharing.sharing(customer_id=customer_id).individual
    form = RequestForm(request.POST if posted else None, unit=wallet.unit, is_individual=is_individual)
    preview, status = None, 200
    if posted:
        status = 422
        try:
            if form.is_valid():
                kind, wanted = form.cleaned_data["kind"], form.wanted
                preview, status = requests.preview(customer_id=customer_id, kind=kind, wanted=wanted, now=now), 200
                if request.POST.get("agreed"):
                    reason = form.cleaned_data["reason"]
                    requests.ask(customer_id=customer_id, kind=kind, wanted=wanted, reason=reason, actor=request.actor, now=now)
                    messages.success(request, "Your account manager has been asked. You are told by mail what was decided.")
                    return redirect("terms")
        except Refusal as refusal:
            preview, status = None, refusal.status
            add_refusal(form, refusal)
    standings = grants.standings(customer_id=customer_id, wallet_id=wallet.id, now=now)
    shown = {
        "agreement": queries.agreement(customer_id=customer_id),
        "shown": figures_of(customer_id),
        "unit": wallet.unit,
        "bills": bills.bills(customer_id=customer_id, at_most=24),
        "standings": [each for each in standings if not each.grant.expired_at or each.grant.expired_at > now - GRANTS_SHOWN_FOR],
        "requests": [(row, CHANGES[row.kind].title) for row in queries.requests(customer_id=customer_id, at_most=20)],
        "form": form,
        "preview": preview,
        "may_ask": may_ask,
        "may_pay": permissions.BUY in request.seat.permissions,
        "today": queries.today(customer_id, now),
    }
    return render(request, "web/terms.html", shown, status=status)


@require_POST
@member_page(permission=permissions.MANAGE_BILLING_DETAILS)
def withdraw(request: MemberRequest, request_id: int) -> HttpResponse:
    """POST /credit/requests/CR…/withdraw/."""
    try:
        requests.withdraw(customer_id=request.seat.customer_id, request_id=request_id, actor=request.actor, now=timezone.now())
    except requests.Decided as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, "Withdrawn.")
    return redirect("terms")


@member_page(permission=permissions.BUY)
def bill(request: MemberRequest, bill_id: int) -> HttpResponse:
    """GET /credit/bills/BI…/: what it is for and how to pay it. POST: charges the card, or with `credit` takes it from the wallet."""
    customer_id, now = request.seat.customer_id, timezone.now()
    found = bills.bill(customer_id=customer_id, bill_id=bill_id)
    cards = [card for card in payments.methods(customer_id=customer_id) if not payments.has_expired(card, now=now)]
    from_credit = request.method == "POST" and "credit" in request.POST
    form = CardForm(request.POST if request.method == "POST" and not from_credit else None, cards=cards)
    form.initial = {"card": next(iter(form.cards), "")}
    status = 200
    try:
        if from_credit:
            bills.pay_from_credit(customer_id=customer_id, bill_id=bill_id, actor=request.actor, now=now)
            messages.success(request, "The bill is paid from your credit.")
            return redirect("bill", bill_id=bill_id)
        if request.method == "POST" and form.is_valid():
            card = form.cleaned_data["card"]
            paid = pay_bill.pay(customer_id=customer_id, bill_id=bill_id, method_id=card.id, actor=request.actor, now=now)
            return redirect("top-up-result", top_up_id=paid.top_up.id)
        status = 422 if request.method == "POST" else 200
    except Refusal as refusal:
        messages.warning(request, str(refusal))
        return redirect("bill", bill_id=bill_id)
    shown = {"bill": found, "form": form, "shown": figures_of(customer_id), "today": queries.today(customer_id, now)}
    return render(request, "web/bill.html", shown, status=status)
