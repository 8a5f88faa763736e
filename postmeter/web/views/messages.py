"""Messages and their trails: what went out, what became of it, what it cost."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages as notices
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from postmeter.customers.permissions import READ_MESSAGES, SEND
from postmeter.db.public_ids import public_ids
from postmeter.kit import csv, phone
from postmeter.kit.money import decimal_string
from postmeter.kit.refusals import Refusal
from postmeter.messaging import media, queries
from postmeter.messaging.channels import email
from postmeter.messaging.explain import explain, steps
from postmeter.messaging.models import Message
from postmeter.messaging.operations.cancel import TooLate, cancel
from postmeter.messaging.states import CANCELLABLE, State
from postmeter.wallets import accounts
from postmeter.web.cursors import page, row_id
from postmeter.web.downloads import csv_download
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.templatetags.postmeter import face

_AT_ONCE = 1_000


class FilterForm(forms.Form):
    """The filters, as they stand in the address: ?state=failed&to=…&list=BA…"""

    state = forms.ChoiceField(
        required=False, choices=[("", "Any state"), *((state.value, face(state).word) for state in State)], label="State"
    )
    to = forms.CharField(required=False, label="Number or address")
    list = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, region: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._region = region

    def clean_to(self) -> str | None:
        text = self.cleaned_data["to"]
        try:
            if "@" in text:
                return email.read(text)
            return phone.normalize(text, self._region) if text else None
        except Refusal as refusal:
            raise forms.ValidationError(str(refusal)) from None

    def clean_list(self) -> int | None:
        text = self.cleaned_data["list"]
        try:
            return row_id(text, "BA") if text else None
        except Refusal as refusal:
            raise forms.ValidationError(str(refusal)) from None

    def filters(self) -> dict[str, Any]:
        """What the query takes."""
        cleaned = self.cleaned_data
        return {"state": cleaned["state"] or None, "recipient": cleaned["to"], "batch_id": cleaned["list"]}


@require_GET
@member_page(permission=READ_MESSAGES)
def messages(request: MemberRequest) -> HttpResponse:
    """GET ?state= &to= &list= &before=: the newest first."""
    customer_id = request.seat.customer_id
    form = FilterForm(request.GET, region=request.customer.country)
    if not form.is_valid():
        return render(request, "web/messages_list.html", {"form": form, "filtered": True}, status=422)
    filters = form.filters()

    def read(before: int | None, at_most: int) -> list[Message]:
        return queries.messages(customer_id=customer_id, before=before, at_most=at_most, **filters)

    batch = queries.batch(customer_id=customer_id, batch_id=filters["batch_id"]) if filters["batch_id"] else None
    return render(
        request,
        "web/messages_list.html",
        {
            "form": form,
            "page": page(request, "SM", read),
            "filtered": any(filters.values()),
            "batch": batch,
            "can_send": SEND in request.seat.permissions,
        },
    )


@require_GET
@member_page(permission=READ_MESSAGES)
def messages_csv(request: MemberRequest) -> HttpResponseBase:
    """GET with the same filters: all of them as CSV, in the customer's zone, which the head names."""
    customer_id, zone = request.seat.customer_id, timezone.get_current_timezone()
    form = FilterForm(request.GET, region=request.customer.country)
    if not form.is_valid():
        return render(request, "web/messages_list.html", {"form": form, "filtered": True}, status=422)
    filters = form.filters()

    def rows() -> Iterator[Sequence[csv.Cell]]:
        before: int | None = None
        while found := queries.messages(customer_id=customer_id, before=before, at_most=_AT_ONCE, **filters):
            for message in found:
                yield [
                    public_ids().encode("SM", message.id),
                    f"{message.created_at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
                    message.recipient,
                    message.sender,
                    message.body,
                    message.state,
                    message.error_code,
                    message.encoding,
                    message.segments,
                    message.unit,
                    Decimal(decimal_string(message.charged_micros)),
                    Decimal(decimal_string(message.refunded_micros)),
                    message.created_by,
                ]
            before = found[-1].id

    headers = ["Message", f"Accepted ({zone})", "To", "From", "Text", "State", "Error", "Encoding", "Segments", "Unit"]
    return csv_download(request, "messages.csv", [*headers, "Charged", "Given back", "By"], rows())


@require_GET
@member_page(permission=READ_MESSAGES)
def trail(request: MemberRequest, message_id: int) -> HttpResponse:
    """GET: why (not) sent, when, who said what, what was held, charged and given back, with the ledger's entries."""
    found = queries.trail(customer_id=request.seat.customer_id, message_id=message_id)
    return render(
        request,
        "web/trail.html",
        {
            "message": found.message,
            "files": media.listed(customer_id=request.seat.customer_id, message_ids=[message_id]).get(message_id, []),
            "trail": found,
            "told": explain(found),
            "call": queries.call(customer_id=request.seat.customer_id, message_id=message_id),
            "payer": accounts.name_of(customer_id=request.seat.customer_id, wallet_id=found.message.wallet_id),
            "steps": [
                {
                    "state": step.state,
                    "title": step.title,
                    "text": step.text,
                    "at": step.at,
                    "micros": step.micros,
                    "unit": found.message.unit,
                }
                for step in steps(found)
            ],
            "can_cancel": SEND in request.seat.permissions and State(found.message.state) in CANCELLABLE,
        },
    )


@require_POST
@member_page(permission=SEND)
def cancel_message(request: MemberRequest, message_id: int) -> HttpResponse:
    """POST: take it back before it goes. Pressing twice changes nothing."""
    try:
        cancel(customer_id=request.seat.customer_id, message_id=message_id, now=timezone.now(), actor=request.actor)
        notices.success(request, "Taken back. Nothing is charged for it.")
    except TooLate as refusal:
        notices.error(request, str(refusal))
    return redirect("trail", message_id)
