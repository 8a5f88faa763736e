"""API keys: made, shown once, replaced, revoked."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from postmeter.customers import operations, permissions, queries
from postmeter.customers.models import ApiKey
from postmeter.kit.refusals import NotFound, Refusal
from postmeter.web.forms import add_refusal
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.stepup import confirmed_person

SCOPES = {
    permissions.SEND: "Send messages",
    permissions.READ_MESSAGES: "Read messages",
    permissions.READ_BALANCE: "Read the balance",
    permissions.BUY: "Buy credit with a saved card",
    permissions.READ_INVOICES: "Read invoices",
    permissions.READ_PRICES: "Read prices",
}
LIFETIMES = (("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("0", "until it is revoked"))


class KeyForm(forms.Form):
    """What a new key is called and may do."""

    name = forms.CharField(max_length=100, help_text="Such as the program that will use it.")
    mode = forms.ChoiceField(
        choices=[("test", "Test: nothing is sent, play money"), ("live", "Live: sends and spends")],
        widget=forms.RadioSelect,
        initial="test",
    )
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=list(SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose what the key may do."},
    )
    expires_in_days = forms.ChoiceField(label="Works for", choices=LIFETIMES, initial="365")


@require_safe
@member_page(permission=permissions.MANAGE_KEYS)
def keys(request: MemberRequest) -> HttpResponse:
    """GET /settings/keys/"""
    now = timezone.now()
    rows = [{"key": key, "state": _state(key)} for key in queries.api_keys(customer_id=request.seat.customer_id)]
    return render(request, "web/keys.html", {"rows": rows, "now": now})


@member_page(permission=permissions.MANAGE_KEYS)
@confirmed_person
def create_key(request: MemberRequest) -> HttpResponse:
    """GET /settings/keys/new/: the form. POST: makes the key and shows it, this once."""
    form = KeyForm(request.POST or None, initial={"scopes": [permissions.SEND, permissions.READ_MESSAGES]})
    if not form.is_valid():
        return render(request, "web/key_new.html", {"form": form}, status=422 if form.is_bound else 200)
    days = int(form.cleaned_data.pop("expires_in_days")) or None
    try:
        return _show(request, form.cleaned_data | {"expires_in_days": days})
    except Refusal as refusal:
        add_refusal(form, refusal)
        return render(request, "web/key_new.html", {"form": form}, status=refusal.status)


@require_POST
@member_page(permission=permissions.MANAGE_KEYS)
@confirmed_person
def rotate_key(request: MemberRequest, key_id: int) -> HttpResponse:
    """POST …/rotate/: a second key with the same rights, so that a program can change over before the old one is revoked."""
    old = _key(request, key_id)
    days = (old.expires_at - old.created_at).days if old.expires_at else None
    try:
        return _show(request, {"name": old.name, "mode": old.mode, "scopes": old.scopes, "expires_in_days": days}, replaced=old)
    except Refusal as refusal:
        messages.warning(request, str(refusal))
        return redirect("keys")


@member_page(permission=permissions.MANAGE_KEYS)
@confirmed_person
def revoke_key(request: MemberRequest, key_id: int) -> HttpResponse:
    """GET …/revoke/: asks once. POST: the key stops working at once."""
    found = _key(request, key_id)
    if request.method != "POST":
        return render(request, "web/key_revoke.html", {"key": found})
    operations.revoke_api_key(customer_id=request.seat.customer_id, key_id=key_id, now=timezone.now(), actor=request.actor)
    messages.success(request, f"“{found.name}” was revoked and does not work any more.")
    return redirect("keys")


def _show(request: MemberRequest, wanted: dict[str, Any], *, replaced: ApiKey | None = None) -> HttpResponse:
    key, text = operations.create_api_key(customer_id=request.seat.customer_id, now=timezone.now(), actor=request.actor, **wanted)
    answer = render(request, "web/key_made.html", {"key": key, "text": text, "replaced": replaced})
    answer["Cache-Control"] = "no-store"
    return answer


def _key(request: MemberRequest, key_id: int) -> ApiKey:
    found = next((key for key in queries.api_keys(customer_id=request.seat.customer_id) if key.id == key_id), None)
    if found is None:
        raise NotFound("There is no such key.")
    return found


def _state(key: ApiKey) -> str:
    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= timezone.now() else "active"
