"""Automatic low balance top-ups: the rule, how it stands, and the yes to a charge that saving it causes (S-024 ... S-030)."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from postmeter.customers import permissions
from postmeter.kit.money import MICROS, parse_amount, parse_decimal_string
from postmeter.kit.refusals import Refusal
from postmeter.topups import automation, breaker, queries
from postmeter.topups.automation import Rule, WouldCharge
from postmeter.topups.models import Automation
from postmeter.wallets import queries as wallets
from postmeter.web.forms import add_refusal
from postmeter.web.session import MemberRequest, member_page

AMOUNTS = ("threshold", "amount", "day_cap", "month_cap")
USUAL = {"threshold": 20, "amount": 50, "day_cap": 100, "month_cap": 500}  # whole units


class AutomationForm(forms.Form):
    """The rule in the wallet's unit. `rule` has it in micro-units."""

    enabled = forms.BooleanField(label="Automatic low balance top-ups", required=False)
    threshold = forms.CharField(
        label="When the balance falls below",
        required=False,
        help_text="What is held for messages under way counts as spent. Weekly and monthly top-ups have no threshold.",
    )
    kind = forms.ChoiceField(
        label="Then",
        choices=[
            ("refill", "Add the amount below"),
            ("target", "Fill up to the amount below"),
            ("weekly", "Every Monday instead: add the amount below, if something was used"),
            ("monthly", "Every first of the month instead: the same"),
        ],
        widget=forms.RadioSelect,
    )
    amount = forms.CharField(help_text="If the balance is far below, one charge closes the whole gap.")
    day_cap = forms.CharField(label="Charge at most, per day")
    month_cap = forms.CharField(label="Charge at most, per month")
    accepts_charge = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, unit: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unit = unit
        for name in AMOUNTS:
            self.fields[name].widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not cleaned.get("threshold"):
            if cleaned.get("kind") in automation.SCHEDULED:
                cleaned["threshold"] = "0"
            else:
                self.add_error("threshold", ValidationError("Write the amount, such as 10.00."))
        for name in set(AMOUNTS) & set(cleaned):
            try:
                cleaned[name] = parse_amount(cleaned[name], self.unit, field=name)
            except Refusal as refusal:
                self.add_error(name, ValidationError(str(refusal)))
        return cleaned

    @property
    def rule(self) -> Rule:
        said = self.cleaned_data
        return Rule(said["enabled"], said["threshold"], said["kind"], said["amount"], said["day_cap"], said["month_cap"])

    @property
    def accepted_micros(self) -> int | None:
        """The charge that the person has agreed to, as the page has put it."""
        text = self.cleaned_data["accepts_charge"]
        return parse_decimal_string(text, field="accepts_charge") if text else None


@member_page(permission=permissions.MANAGE_PAYMENT_METHODS)
def automatic(request: MemberRequest) -> HttpResponse:
    """GET /credit/automatic/. POST: saves; where that charges a card now, only after a yes to the amount (A-24)."""
    customer_id, now = request.seat.customer_id, timezone.now()
    wallet = wallets.pool(customer_id=customer_id)
    found = queries.automatic(customer_id=customer_id, wallet_id=wallet.id, now=now)
    form = AutomationForm(request.POST or None, unit=wallet.unit, initial=_shown(found.rule if found else None))
    charge, status = None, 200
    if form.is_bound:
        status = 422
        try:
            if form.is_valid():
                automation.save(
                    customer_id=customer_id,
                    wallet_id=wallet.id,
                    rule=form.rule,
                    accepts_charge_micros=form.accepted_micros,
                    actor=request.actor,
                    now=now,
                )
                messages.success(request, "Saved." if form.rule.enabled else "Saved. No card is charged automatically.")
                return redirect("automatic")
        except WouldCharge as refusal:
            charge, status = int(str(refusal.facts["needed_micros"])), refusal.status
        except Refusal as refusal:
            add_refusal(form, refusal)
    context = {"form": form, "found": found, "charge": charge, "unit": wallet.unit, "stopped": breaker.standing()}
    return render(request, "web/automatic.html", context, status=status)


def _shown(rule: Automation | None) -> dict[str, object]:
    """What the form begins with: the rule as it is, or the usual one, switched off."""
    if rule is None:
        return {"enabled": False, "kind": "refill"} | {name: f"{whole}.00" for name, whole in USUAL.items()}
    amounts = {name: _plain(getattr(rule, f"{name}_micros")) for name in AMOUNTS}
    return {"enabled": rule.enabled, "kind": rule.kind} | amounts


def _plain(micros: int) -> str:
    return f"{micros / MICROS:.2f}"
