"""Manage SMS Credits: whose credit one sees, transfers, allowances (S-143 … S-172, R-01 … R-10)."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from postmeter.customers import permissions
from postmeter.customers import queries as customers
from postmeter.customers.models import Role
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import decimal_string, format_amount, parse_amount
from postmeter.kit.refusals import Conflict, NotCovered, Refusal
from postmeter.wallets import accounts, allowances, approvals, sharing, transfers
from postmeter.wallets import queries as wallets
from postmeter.wallets.accounts import Account
from postmeter.wallets.models import Sharing, TransferRequest
from postmeter.web.forms import add_refusal, key_of, new_key
from postmeter.web.session import MemberRequest, member_page, require


@require_safe
@member_page(permission=permissions.READ_BALANCE)
def manage(request: MemberRequest) -> HttpResponse:
    """GET /credit/accounts/: a row for each account that this member has access to."""
    customer_id = request.seat.customer_id
    found = sharing.sharing(customer_id=customer_id)
    rows = _all(request)
    is_master = Role.MASTER in request.seat.roles
    shown = {
        "sharing": found,
        "accounts": rows if found.individual else [],
        "waiting": _waiting(customer_id, rows) if is_master else [],
        "limit_form": LimitForm(unit=wallets.pool(customer_id=customer_id).unit, initial=_limit(found)) if is_master else None,
        "allowances": allowances.allowances(customer_id=customer_id),
        "is_master": is_master,
        "pays_own": found.individual and permissions.BUY not in request.seat.permissions,
        "pool_id": next((row.wallet.id for row in rows if row.seat is None), None),
    }
    return render(request, "web/accounts.html", shown)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A transfer that waits for a master, in words."""

    id: int
    source: str
    target: str
    asker: str
    row: TransferRequest
    unit: str


def _waiting(customer_id: int, rows: list[Account]) -> list[Waiting]:
    names = {row.wallet.id: row.name for row in rows}
    units = {row.wallet.id: row.wallet.unit for row in rows}
    people = {f"member:{seat.member_id}": seat.name for seat in customers.members(customer_id=customer_id)}
    return [
        Waiting(
            row.id,
            names.get(row.source_id, "an account that is closed"),
            names.get(row.target_id, "an account that is closed"),
            people.get(row.asked_by, "somebody who left"),
            row,
            units.get(row.source_id) or next(iter(units.values())),
        )
        for row in approvals.waiting(customer_id=customer_id)
    ]


class LimitForm(forms.Form):
    """From which amount on a master decides; empty: never. `cleaned_data` has micro-units or None."""

    above = forms.CharField(
        label="Transfers above this wait for a master",
        required=False,
        help_text="Empty: none does. 0: all of them do.",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, unit: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unit = unit

    def clean_above(self) -> int | None:
        typed = self.cleaned_data["above"].strip()
        if not typed:
            return None
        try:
            return parse_amount(typed, self.unit, field="above")
        except Refusal as refusal:
            raise ValidationError(str(refusal)) from refusal


def _limit(found: Sharing) -> dict[str, str]:
    above = found.approve_above_micros
    return {"above": "" if above is None else decimal_string(above)}


@require_POST
@member_page(permission=permissions.READ_BALANCE)
def approval_limit(request: MemberRequest) -> HttpResponse:
    """POST /credit/accounts/approval/: from which amount on a transfer waits for a master; masters only (A-62)."""
    customer_id = request.seat.customer_id
    form = LimitForm(request.POST, unit=wallets.pool(customer_id=customer_id).unit)
    if form.is_valid():
        approvals.set_limit(
            customer_id=customer_id, seat=request.seat, above_micros=form.cleaned_data["above"], now=timezone.now()
        )
        messages.success(request, "Saved.")
    else:
        messages.error(request, " ".join(str(each) for each in form.errors["above"]))
    return redirect("accounts")


@require_POST
@member_page(permission=permissions.READ_BALANCE)
def decide_transfer(request: MemberRequest, request_id: int) -> HttpResponse:
    """POST /credit/accounts/waiting/TA…/: a master says yes or no (`decision`) to a transfer that waits."""
    customer_id, now = request.seat.customer_id, timezone.now()
    try:
        if request.POST.get("decision") == "approve":
            transfers.approve(customer_id=customer_id, seat=request.seat, request_id=request_id, now=now)
            messages.success(request, "Transferred. Both have been told.")
        else:
            approvals.decline(customer_id=customer_id, seat=request.seat, request_id=request_id, now=now)
            messages.success(request, "Declined. Nothing has moved, and who asked is told.")
    except (Conflict, NotCovered) as refusal:
        messages.error(request, str(refusal))
    return redirect("accounts")


@require_POST
@member_page(permission=permissions.MANAGE_MEMBERS)
def programs(request: MemberRequest) -> HttpResponse:
    """POST /credit/accounts/programs/: whether programs may use System Credits. `on` is 1 or 0; masters only."""
    if Role.MASTER not in request.seat.roles:
        require(request.seat, permissions.MANAGE_KEYS)
    on = request.POST.get("on") == "1"
    sharing.let_programs(customer_id=request.seat.customer_id, allowed=on, actor=request.actor, now=timezone.now())
    messages.success(request, f"Programs and reminders {'use' if on else 'cannot use'} System Credits.")
    return redirect("accounts")


class TransferForm(forms.Form):
    """From where to where, how much. `cleaned_data` has wallet ids and micro-units."""

    source = forms.ChoiceField(label="From", error_messages={"required": "Choose whose credit it is."})
    target = forms.ChoiceField(label="To", error_messages={"required": "Choose who gets it."})
    amount = forms.CharField(label="Amount", widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}))
    note = forms.CharField(label="Note", required=False, max_length=transfers.NOTE_AT_MOST, help_text="Both sides read it.")
    agree = forms.BooleanField(label="I agree to these conditions", error_messages={"required": "Read them, and tick the box."})

    def __init__(self, *args: Any, rows: list[Account], unit: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unit = unit
        for field, able in (("source", [row for row in rows if row.may_give]), ("target", [row for row in rows if row.may_take])):
            choices = [("", "Choose an account"), *((public_ids().encode("WA", row.wallet.id), _label(row)) for row in able)]
            self.fields[field].choices = choices  # type: ignore[attr-defined]
            self.fields[field].widget.choices = choices

    def clean_source(self) -> int:
        return public_ids().decode("WA", self.cleaned_data["source"])

    def clean_target(self) -> int:
        return public_ids().decode("WA", self.cleaned_data["target"])

    def clean_amount(self) -> int:
        try:
            return parse_amount(self.cleaned_data["amount"], self.unit, field="amount")
        except Refusal as refusal:
            raise ValidationError(str(refusal)) from refusal


def _label(row: Account) -> str:
    free = max(0, row.balance.posted_micros + row.balance.debt_micros - row.balance.held_micros)
    return f"{row.name} ({format_amount(free // 10_000 * 10_000, row.wallet.unit)} free)"


@member_page(permission=permissions.READ_BALANCE)
def transfer(request: MemberRequest) -> HttpResponse:
    """GET /credit/transfer/?from=WA…&to=WA…: the form. POST: transfers at once (S-166), once for each form."""
    customer_id, rows = request.seat.customer_id, _all(request)
    unit = rows[0].wallet.unit if rows else ""
    posted = request.method == "POST"
    form = TransferForm(request.POST if posted else None, rows=rows, unit=unit)
    form.initial = {"source": request.GET.get("from", ""), "target": request.GET.get("to", "")}
    status = 422 if posted else 200
    if posted and form.is_valid():
        chosen = form.cleaned_data
        try:
            done = transfers.transfer(
                customer_id=customer_id,
                seat=request.seat,
                source_id=chosen["source"],
                target_id=chosen["target"],
                amount_micros=chosen["amount"],
                note=chosen["note"],
                agreed=request.POST.get("conditions", ""),
                key=key_of(request),
                now=timezone.now(),
            )
        except Refusal as refusal:
            status = refusal.status
            add_refusal(form, refusal)
        else:
            names = {row.wallet.id: row.name for row in rows}
            amount = format_amount(done.amount_micros, unit)
            if isinstance(done, TransferRequest):
                messages.info(request, f"{amount} is more than goes by itself: a master decides. Nothing has moved yet.")
                return redirect("accounts")
            messages.success(
                request, f"{amount} went from {names[done.source_id]} to {names[done.target_id]}. Both have been told."
            )
            return redirect("account-log", wallet_id=done.source_id)
    shown = {
        "form": form,
        "conditions": transfers.CONDITIONS,
        "agreed": transfers.agreed_hash(),
        "key": request.POST.get("key") or new_key(),
        "individual": sharing.sharing(customer_id=customer_id).individual,
    }
    return render(request, "web/transfer.html", shown, status=status)


class AllowanceForm(forms.Form):
    """Up to how much, how often; 0 ends it."""

    amount = forms.CharField(
        label="Fill up to", help_text="0 ends it.", widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    )
    period = forms.ChoiceField(
        label="How often",
        choices=[("day", "each day"), ("week", "each Monday"), ("month", "each first of the month")],
        widget=forms.RadioSelect,
        initial="month",
    )

    def __init__(self, *args: Any, unit: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unit = unit

    def clean_amount(self) -> int:
        typed = self.cleaned_data["amount"].strip()
        try:
            return 0 if typed == "0" else parse_amount(typed, self.unit, field="amount")
        except Refusal as refusal:
            raise ValidationError(str(refusal)) from refusal


@member_page(permission=permissions.MANAGE_MEMBERS)
def allowance(request: MemberRequest, wallet_id: int) -> HttpResponse:
    """GET /credit/accounts/WA…/allowance/. POST: sets it; masters only."""
    customer_id = request.seat.customer_id
    account = accounts.account(customer_id=customer_id, seat=request.seat, wallet_id=wallet_id)
    there = allowances.allowances(customer_id=customer_id).get(wallet_id)
    form = AllowanceForm(request.POST if request.method == "POST" else None, unit=account.wallet.unit)
    if there:
        form.initial = {"amount": decimal_string(there.up_to_micros), "period": there.period}
    status = 422 if request.method == "POST" else 200
    if request.method == "POST" and form.is_valid():
        try:
            allowances.set_allowance(
                customer_id=customer_id,
                seat=request.seat,
                wallet_id=wallet_id,
                up_to_micros=form.cleaned_data["amount"],
                period=form.cleaned_data["period"],
                now=timezone.now(),
            )
        except Refusal as refusal:
            status = refusal.status
            add_refusal(form, refusal)
        else:
            messages.success(request, "Saved. It is filled within the hour, and then at the beginning of each period.")
            return redirect("accounts")
    return render(request, "web/allowance.html", {"account": account, "form": form, "there": there}, status=status)


@require_POST
@member_page(permission=permissions.READ_BALANCE)
def reclaim(request: MemberRequest, wallet_id: int) -> HttpResponse:
    """POST /credit/accounts/WA…/reclaim/: what somebody who left, or may not send, has goes to System Credits (A-61)."""
    customer_id = request.seat.customer_id
    account = accounts.account(customer_id=customer_id, seat=request.seat, wallet_id=wallet_id)
    pool = next((row for row in _all(request) if row.seat is None), None)
    free = account.balance.posted_micros + account.balance.debt_micros - account.balance.held_micros
    if pool is None or not account.is_frozen or free <= 0:
        messages.warning(request, "There is nothing to take back, or it is not yours to do.")
        return redirect("accounts")
    transfers.reclaim(
        customer_id=customer_id,
        source=account.wallet,
        target=pool.wallet,
        actor=request.actor,
        key=key_of(request),
        now=timezone.now(),
    )
    messages.success(request, f"{format_amount(free, account.wallet.unit)} of {account.name} went to System Credits.")
    return redirect("accounts")


def pays_with(request: MemberRequest) -> int:
    """Whose payment methods this member buys with: 0 is the customer's, else their own, where each has credit (A-25).

    Raises NotAllowed.
    """
    seat = request.seat
    if permissions.BUY in seat.permissions:
        return 0
    if (
        not (seat.permissions & {permissions.SEND, permissions.MANAGE_CREDITS})
        or not sharing.sharing(customer_id=seat.customer_id).individual
    ):
        require(seat, permissions.BUY)
    return seat.member_id


def chosen(request: MemberRequest) -> Account | None:
    """The account that `?account=WA…` names, if this member sees it; else the one that pays for them: None is the shared pool."""
    customer_id = request.seat.customer_id
    named = request.POST.get("account") or request.GET.get("account")
    if named:
        wallet_id = public_ids().decode("WA", named)
        return accounts.account(customer_id=customer_id, seat=request.seat, wallet_id=wallet_id)
    if not sharing.sharing(customer_id=customer_id).individual:
        return None
    rows = _all(request)
    own = [row for row in rows if row.seat is None] or [row for row in rows if row.seat == request.seat] or rows
    return own[0] if own else None


def _all(request: MemberRequest) -> list[Account]:
    return accounts.visible(customer_id=request.seat.customer_id, seat=request.seat)
