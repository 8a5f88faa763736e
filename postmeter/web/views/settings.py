"""The customer's settings: what invoices call it; the sender's number and messaging on or off, with the way to credit (S-010)."""

from collections.abc import Iterator, Sequence
from datetime import datetime, time
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from postmeter.consent import operations as consents
from postmeter.consent import queries as consent
from postmeter.consent.models import CHANNEL, EVERYTHING
from postmeter.customers import operations, permissions
from postmeter.customers.operations import ADDRESS_AT_MOST, NAME_AT_MOST, TAX_ID_AT_MOST
from postmeter.kit import csv
from postmeter.kit.phone import countries
from postmeter.kit.refusals import Refusal
from postmeter.messaging.answers import question
from postmeter.web import context, session
from postmeter.web.downloads import csv_download
from postmeter.web.forms import add_refusal
from postmeter.web.session import MemberRequest, member_page


class BillingDetailsForm(forms.Form):
    name = forms.CharField(label="Legal name", max_length=NAME_AT_MOST)
    address = forms.CharField(
        required=False,
        max_length=ADDRESS_AT_MOST,
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "street-address"}),
        help_text="As on an envelope, without the name and the country.",
    )
    country = forms.ChoiceField(help_text="Telephone numbers without a country code are read as numbers of this country.")
    tax_id = forms.CharField(
        label="Tax id", required=False, max_length=TAX_ID_AT_MOST, help_text="Such as “ABN 51 824 753 556” or “VAT IE6388047V”."
    )
    email = forms.EmailField(label="Billing e-mail", max_length=254, help_text="Invoices are mailed here.")
    time_zone = forms.CharField(
        help_text="Days of statements and dates of invoices are days of this zone, such as Australia/Sydney.",
        widget=forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["country"].choices = list(countries().items())  # type: ignore[attr-defined]


class StopRuleForm(forms.Form):
    reach = forms.ChoiceField(
        label="A STOP is for",
        choices=[(CHANNEL, "the channel that it came on"), (EVERYTHING, "everything: all channels and addresses of theirs")],
    )
    since = forms.DateField(
        label="From",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="In the United States a STOP is to count for all texts and calls of a sender from 31 January 2027.",
    )


@member_page(permission=permissions.MANAGE_BILLING_DETAILS)
def billing_details(request: MemberRequest) -> HttpResponse:
    """GET /settings/invoices/. POST: what later invoices call the customer; issued ones keep their words."""
    now_called = {field: getattr(request.customer, field) for field in BillingDetailsForm.base_fields}
    form, status = BillingDetailsForm(request.POST or None, initial=now_called), 200
    if form.is_bound:
        status = 422
        if form.is_valid():
            try:
                operations.change_details(
                    customer_id=request.seat.customer_id, now=timezone.now(), actor=request.actor, **form.cleaned_data
                )
            except Refusal as refusal:
                add_refusal(form, refusal)
            else:
                messages.success(request, "Saved. The next invoice says it so; earlier ones stay as they are.")
                return redirect("billing-details")
    return render(request, "web/billing_details.html", {"form": form, "zones": sorted(available_timezones())}, status=status)


@member_page(permission=permissions.READ_BALANCE)
def messaging(request: MemberRequest) -> HttpResponse:
    """GET /settings/messaging/. POST enabled=1 or 0: turns messaging on or off; quiet, opt_in: these switches; language: of
    the question; reach, since: what a STOP is for."""
    if request.method == "POST":
        session.require(request.seat, permissions.MANAGE_MEMBERS)
        if "quiet" in request.POST:
            return _switch_quiet_hours(request)
        if "opt_in" in request.POST:
            return _switch_opt_in(request)
        if "language" in request.POST:
            return _set_language(request)
        if "reach" in request.POST:
            return _set_stop_rule(request)
        enabled = request.POST.get("enabled") == "1"
        operations.switch_messaging(
            customer_id=request.seat.customer_id, enabled=enabled, now=timezone.now(), actor=request.actor
        )
        messages.success(request, "Messaging is on." if enabled else "Messaging is off: nothing new is accepted.")
        return redirect("messaging-settings")
    return _messaging_page(request, StopRuleForm(initial={"since": timezone.localdate()}))


def _messaging_page(request: MemberRequest, form: "StopRuleForm", *, status: int = 200) -> HttpResponse:
    reach, later = consent.stop_rules(customer_id=request.seat.customer_id, now=timezone.now())
    shown = {
        "reach": reach,
        "later": later,
        "stop_form": form,
        "shown": context.figures_of(request.seat),
        "may_switch": permissions.MANAGE_MEMBERS in request.seat.permissions,
        "question": question(name=request.customer.name, language=request.customer.language),
        "languages": operations.LANGUAGES,
    }
    return render(request, "web/messaging_settings.html", shown, status=status)


def _set_stop_rule(request: MemberRequest) -> HttpResponse:
    """From midnight of that day where the customer is; from now on for today."""
    form, now = StopRuleForm(request.POST), timezone.now()
    if not form.is_valid():
        return _messaging_page(request, form, status=422)
    day = form.cleaned_data["since"]
    midnight = datetime.combine(day, time(), timezone.get_current_timezone())
    try:
        consents.set_stop_rule(
            customer_id=request.seat.customer_id,
            reach=form.cleaned_data["reach"],
            since=now if day == timezone.localdate() else midnight,
            actor=request.actor,
            now=now,
        )
    except Refusal as refusal:
        add_refusal(form, refusal)
        return _messaging_page(request, form, status=refusal.status)
    messages.success(request, "Saved. What people asked for before stays as it is.")
    return redirect("messaging-settings")


def _switch_quiet_hours(request: MemberRequest) -> HttpResponse:
    kept = request.POST["quiet"] == "1"
    operations.switch_quiet_hours(customer_id=request.seat.customer_id, kept=kept, now=timezone.now(), actor=request.actor)
    messages.success(request, "Quiet hours are kept." if kept else "Messages go out at any time of the day.")
    return redirect("messaging-settings")


def _switch_opt_in(request: MemberRequest) -> HttpResponse:
    wanted = request.POST["opt_in"] == "1"
    operations.switch_opt_in(customer_id=request.seat.customer_id, wanted=wanted, now=timezone.now(), actor=request.actor)
    messages.success(request, "People are asked before their first message." if wanted else "Nobody is asked any more.")
    return redirect("messaging-settings")


def _set_language(request: MemberRequest) -> HttpResponse:
    language = request.POST["language"]
    operations.set_language(customer_id=request.seat.customer_id, language=language, now=timezone.now(), actor=request.actor)
    messages.success(request, f"People are asked in {operations.LANGUAGES[language]}.")
    return redirect("messaging-settings")


@require_GET
@member_page(permission=permissions.READ_MESSAGES)
def consent_csv(request: MemberRequest) -> HttpResponseBase:
    """GET: the proof of consent, everything that was asked and answered, as CSV."""
    customer_id, zone = request.seat.customer_id, timezone.get_current_timezone()

    def rows() -> Iterator[Sequence[csv.Cell]]:
        after = 0
        while found := consent.evidence(customer_id=customer_id, after=after, at_most=1_000):
            for row in found:
                at = f"{row.at.astimezone(zone):%Y-%m-%d %H:%M:%S%z}"
                yield [at, row.channel, row.address, row.purpose, row.get_said_display(), row.words, row.source, row.actor]
            after = found[-1].id

    headers = [f"When ({zone})", "Channel", "Address", "Purpose", "What", "Words", "Source", "By"]
    return csv_download(request, "consent.csv", headers, rows())
