"""Price lists: a plan's, which holds for all its customers, and a customer's own. Set from a table, looked at before it holds."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django import forms
from django.contrib import messages
from django.core import signing
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from postmeter.customers import queries as customers
from postmeter.db import scope
from postmeter.db.scope import EVERYBODY
from postmeter.kit.money import CREDITS
from postmeter.kit.phone import country_name
from postmeter.kit.refusals import BadInput, Refusal
from postmeter.rating import queries, table
from postmeter.rating.models import PriceList, Rate
from postmeter.rating.operations import NewRate
from postmeter.web.forms import add_refusal
from postmeter.web.operator.access import StaffRequest, staff_page
from postmeter.web.stepup import confirmed_person

SHOWN = 500
KINDS = [(channel, direction) for channel in table.CHANNELS for direction in table.DIRECTIONS]


@require_safe
@staff_page
def prices(request: StaffRequest) -> HttpResponse:
    """GET /prices/: the plans and what is in force of each; ?plan= shows one's rates."""
    lists = queries.plan_lists()
    wanted = request.GET.get("plan", lists[0].plan if lists else "")
    chosen = next((each for each in lists if each.plan == wanted), None)
    rates = _in_force(chosen) if chosen else []
    shown: dict[str, object] = {"lists": lists, "chosen": chosen, "rates": rates[:SHOWN], "count": len(rates)}
    if chosen and chosen.currency in CREDITS:
        shown["packs"] = queries.plan_packs(plan=chosen.plan, now=timezone.now())
    return render(request, "operator/prices.html", shown)


class PacksForm(forms.Form):
    """What credits counted in messages cost."""

    plan = forms.CharField(max_length=60)
    number = forms.CharField(
        label="Customer", required=False, max_length=18, help_text="Its number, where these are for its own prices."
    )
    currency = forms.CharField(max_length=3, help_text="Three letters: what is paid.")
    tiers = forms.CharField(
        label="Prices",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="A line for each quantity from which on a credit costs so much: 1 = 0.10, then 1000 = 0.08.",
    )


@staff_page
@confirmed_person
def packs(request: StaffRequest) -> HttpResponse:
    """GET /prices/packs/?plan=: the form. POST: what credits cost from now on."""
    form = PacksForm(request.POST or None, initial={"plan": request.GET.get("plan", "")})
    status = 422 if form.is_bound else 200
    if form.is_valid():
        given, now = form.cleaned_data, timezone.now()
        try:
            customer_id, plan = _whose(form)
            table.set_packs(
                tiers=given["tiers"],
                plan=plan,
                customer_id=customer_id,
                currency=given["currency"].upper(),
                valid_from=now,
                now=now,
                actor=request.actor,
            )
        except Refusal as refusal:
            add_refusal(form, refusal)
            status = refusal.status
        else:
            messages.success(request, "These pack prices hold now.")
            return redirect(f"{reverse('console-prices')}?{urlencode({'plan': plan})}")
    return render(request, "operator/packs.html", {"form": form}, status=status)


def _in_force(price_list: PriceList) -> list[tuple[Rate, str]]:
    now = timezone.now()
    with scope.every_customer():
        rows = [
            rate
            for channel, direction in KINDS
            for rate in queries.rates(
                customer_id=price_list.customer_id, price_list=price_list, channel=channel, direction=direction, now=now
            )
        ]
    return [(rate, country_name(rate.country)) for rate in rows]


class TableForm(forms.Form):
    """Whose prices, and the table."""

    plan = forms.CharField(max_length=60, help_text="A plan that there is not yet is made.")
    number = forms.CharField(
        label="Customer", required=False, max_length=18, help_text="Its number, where these are prices of its own."
    )
    currency = forms.CharField(max_length=3, help_text="Three letters, such as USD.")
    since = forms.DateField(
        label="First day (UTC)",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Empty: from now on.",
    )
    file = forms.FileField(
        label="Table", required=False, help_text=f"CSV with {', '.join(table.COLUMNS)}; prices are per unit. All rows or none."
    )


@dataclass(frozen=True, slots=True)
class Changed:
    """One row of the table beside what it costs now; None where it is new."""

    new: NewRate
    country: str
    before_micros: int | None

    @property
    def together_micros(self) -> int:
        return self.new.price_micros + self.new.fee_micros


@staff_page
@confirmed_person
def upload(request: StaffRequest) -> HttpResponse:
    """GET /prices/new/: the form. POST: shows what would change; with `agreed` (the signed table) lets it hold."""
    form = TableForm(
        request.POST or None, request.FILES or None, initial={"plan": request.GET.get("plan", "standard"), "currency": "USD"}
    )
    shown: dict[str, object] = {"form": form}
    status = 422 if form.is_bound else 200
    if form.is_valid():
        try:
            content = _content(request, form)
            rates = table.read(content.encode())
            customer_id, plan = _whose(form)
            if request.POST.get("agreed"):
                return _set(request, form, rates, customer_id, plan)
            changes = _changes(rates, customer_id, plan)
            moved = [each for each in changes if each.before_micros != each.together_micros]
            shown |= {"changes": moved[:SHOWN], "count": len(moved), "same": len(changes) - len(moved), "plan": plan}
            shown |= {"table": signing.dumps(content, salt=_SALT, compress=True), "unit": form.cleaned_data["currency"].upper()}
            status = 200
        except Refusal as refusal:
            add_refusal(form, refusal, {"from": "since"})
            status = refusal.status
    return render(request, "operator/prices_new.html", shown, status=status)


_SALT = "prices"  # what was looked at is what is set: the table comes back signed


def _content(request: StaffRequest, form: TableForm) -> str:
    if request.POST.get("agreed"):
        try:
            return str(signing.loads(request.POST.get("table", ""), salt=_SALT, max_age=3600))
        except signing.BadSignature:
            raise BadInput("This table was looked at too long ago.", field="file", remedy="Choose the file again.") from None
    file = form.cleaned_data["file"]
    if not file:
        raise BadInput("Choose the table.", field="file", remedy="It is a CSV file.")
    return bytes(file.read()).decode("utf-8-sig", "replace")


def _whose(form: forms.Form) -> tuple[int, str]:
    number = form.cleaned_data["number"].strip()
    if not number:
        return EVERYBODY, form.cleaned_data["plan"].strip().lower()
    found = [row for row in customers.search(text=number, at_most=5) if str(row.number) == number]
    if not found:
        raise BadInput("There is no customer of that number.", field="number", remedy="Look it up under Customers.")
    return found[0].id, found[0].plan


def _changes(rates: list[NewRate], customer_id: int, plan: str) -> list[Changed]:
    with scope.every_customer():
        known = queries.plan_list(plan=plan) if customer_id == EVERYBODY else None
    if customer_id != EVERYBODY:
        known = queries.own_list(customer_id=customer_id)
    rows = _in_force(known) if known else []
    now_is = {(rate.channel, rate.direction, rate.prefix): rate.price_micros + rate.fee_micros for rate, _ in rows}
    return [Changed(new, country_name(new.country), now_is.get((new.channel, new.direction, new.prefix))) for new in rates]


def _set(request: StaffRequest, form: TableForm, rates: list[NewRate], customer_id: int, plan: str) -> HttpResponse:
    day, now = form.cleaned_data["since"], timezone.now()
    count = table.set_prices(
        rates=rates,
        plan=plan,
        customer_id=customer_id,
        currency=form.cleaned_data["currency"].upper(),
        valid_from=datetime.combine(day, datetime.min.time(), UTC) if day else now,
        now=now,
        actor=request.actor,
    )
    messages.success(request, f"{count} prices hold {f'from {day:%-d %B %Y}' if day else 'now'}.")
    return redirect("console-prices")
