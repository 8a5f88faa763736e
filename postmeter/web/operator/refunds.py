"""Giving money of a purchase back to the method that paid (A-13)."""

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from postmeter.customers import queries as customers
from postmeter.kit.money import decimal_string, parse_amount
from postmeter.kit.refusals import Refusal
from postmeter.topups import queries as topups
from postmeter.topups import refunds
from postmeter.web.forms import add_refusal, key_of, new_key
from postmeter.web.operator.access import StaffRequest, staff_page
from postmeter.web.stepup import confirmed_person

SAID = {
    "succeeded": "Given back. The customer has a credit note.",
    "pending": "It is on its way: the bank says when it has arrived. Its credit is held until then.",
    "asked": "There is no answer yet. Its credit is held, and the gateway is asked again with the same key.",
}


class RefundForm(forms.Form):
    """How much, and why."""

    amount = forms.CharField(widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}))
    reason = forms.CharField(
        max_length=refunds.REASON_AT_MOST, help_text="For the log; the customer's credit note is their proof."
    )


@staff_page
@confirmed_person
def refund(request: StaffRequest, customer_id: int, top_up_id: int) -> HttpResponse:
    """GET /customers/CU…/refund/TU…/: what is left to give back. POST: gives it back, once for each form."""
    possible = refunds.possible(customer_id=customer_id, top_up_id=top_up_id)
    form = RefundForm(request.POST or None, initial={"amount": decimal_string(possible.micros)})
    status = 422 if form.is_bound else 200
    if form.is_valid():
        try:
            row = refunds.refund(
                customer_id=customer_id,
                top_up_id=top_up_id,
                paid_micros=parse_amount(form.cleaned_data["amount"], possible.currency, field="amount"),
                reason=form.cleaned_data["reason"],
                key=key_of(request),
                actor=request.actor,
                now=timezone.now(),
            )
        except Refusal as refusal:
            add_refusal(form, refusal)
            status = refusal.status
        else:
            if row.state == "failed":
                messages.error(request, f"The gateway refused it: {row.text} Nothing has moved.")
            else:
                messages.success(request, SAID[row.state])
            return redirect("console-refund", customer_id=customer_id, top_up_id=top_up_id)
    shown = {
        "customer": customers.customer(customer_id=customer_id),
        "bought": topups.bought(customer_id=customer_id, top_up_id=top_up_id),
        "possible": possible,
        "form": form,
        "key": request.POST.get("key") or new_key(),
        "refunds": refunds.refunds(customer_id=customer_id, top_up_id=top_up_id),
    }
    return render(request, "operator/refund.html", shown, status=status)
