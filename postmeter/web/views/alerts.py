"""Alerts: at which balances people are told, what they were told, and how long credit lasts."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from postmeter.customers import permissions
from postmeter.kit.money import parse_amount
from postmeter.kit.refusals import NotAllowed, NotFound, Refusal
from postmeter.notifications import operations, queries
from postmeter.notifications.models import Alert
from postmeter.notifications.operations import Level
from postmeter.topups import queries as topups
from postmeter.topups.automation import SCHEDULED
from postmeter.wallets import queries as wallets
from postmeter.wallets import sharing
from postmeter.wallets.models import Wallet
from postmeter.web.forms import add_refusal
from postmeter.web.session import MemberRequest, member_page

NOTICES = 20


class LevelForm(forms.Form):
    """One more level. `wanted` has it as the operation takes it."""

    kind = forms.ChoiceField(
        label="Tell us when",
        choices=[("money", "the balance is below an amount"), ("days", "credit lasts for fewer days than")],
        widget=forms.RadioSelect,
        initial="money",
    )
    level = forms.CharField(label="Amount or days", widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}))

    def __init__(self, *args: Any, wallet: Wallet, has_limit: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wallet = wallet
        if has_limit:
            field = self.fields["kind"]
            field.choices = [*field.choices, ("limit", "this percentage of the overdraft is used")]  # type: ignore[attr-defined]
            self.fields["level"].label = "Amount, days or percent"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "kind" in cleaned and "level" in cleaned:
            try:
                cleaned["level"] = self._level(cleaned["kind"], cleaned["level"])
            except Refusal as refusal:
                self.add_error("level", ValidationError(str(refusal)))
        return cleaned

    def _level(self, kind: str, typed: str) -> int:
        if kind == "money":
            below_zero = typed.strip().startswith(("-", "−"))
            micros = parse_amount(typed.strip().lstrip("-−"), self.wallet.unit, field="level")
            return -micros if below_zero else micros
        if not typed.strip().isdecimal():
            raise ValidationError("Enter a whole number.")
        return int(typed.strip()[:9])

    @property
    def wanted(self) -> Level:
        return Level(self.cleaned_data["kind"], self.cleaned_data["level"])


@member_page(permission=permissions.READ_BALANCE)
def alerts(request: MemberRequest) -> HttpResponse:
    """GET /credit/alerts/. POST: adds a level, or removes the one named by `remove`; only who manages payments may."""
    customer_id, now = request.seat.customer_id, timezone.now()
    if permissions.READ_INVOICES not in request.seat.permissions and sharing.sharing(customer_id=customer_id).individual:
        raise NotAllowed("These are the alerts of System Credits.", remedy="See your own account under Manage SMS Credits.")
    wallet = wallets.pool(customer_id=customer_id)
    figures = topups.figures(customer_id=customer_id, wallet=wallet)
    rows = queries.alerts(customer_id=customer_id, wallet_id=wallet.id)
    may = permissions.MANAGE_PAYMENT_METHODS in request.seat.permissions
    adds = may and request.method == "POST" and "remove" not in request.POST
    form = LevelForm(request.POST if adds else None, wallet=wallet, has_limit=figures.limit_micros > 0)
    status = 200
    if may and request.method == "POST":
        status = 422
        try:
            if not adds or form.is_valid():
                levels = _without(rows, request.POST["remove"]) if not adds else [*_levels(rows), form.wanted]
                operations.set_alerts(customer_id=customer_id, wallet_id=wallet.id, levels=levels, actor=request.actor, now=now)
                messages.success(request, "Saved.")
                return redirect("alerts")
        except Refusal as refusal:
            if not adds:
                messages.warning(request, str(refusal))
                return redirect("alerts")
            add_refusal(form, refusal)
    shown = {
        "rows": rows,
        "form": form,
        "may_change": may,
        "begins_below": _untold_of(customer_id, wallet.id, rows),
        "unit": wallet.unit,
        "figures": figures,
        "runway": queries.runway(customer_id=customer_id, figures=figures, now=now),
        "notices": queries.notices(customer_id=customer_id, at_most=NOTICES),
    }
    return render(request, "web/alerts.html", shown, status=status)


def _untold_of(customer_id: int, wallet_id: int, rows: list[Alert]) -> int | None:
    """The automatic top-up's threshold, where no level in money is above it to tell of it before (S-129)."""
    found = topups.automatic(customer_id=customer_id, wallet_id=wallet_id, now=timezone.now())
    if found is None or not found.rule.enabled or found.rule.kind in SCHEDULED:
        return None
    below = found.rule.threshold_micros
    return None if any(row.kind == "money" and row.level > below for row in rows) else below


def _levels(rows: list[Alert]) -> list[Level]:
    return [Level(row.kind, row.level) for row in rows]


def _without(rows: list[Alert], named: str) -> list[Level]:
    if named not in {f"{row.kind}:{row.level}" for row in rows}:
        raise NotFound("There is no such level any more.")
    return [Level(row.kind, row.level) for row in rows if f"{row.kind}:{row.level}" != named]
