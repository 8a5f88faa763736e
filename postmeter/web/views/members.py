"""Members: invited by mail, with roles; nobody gives or takes more than they hold themselves."""

from collections.abc import Iterable

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from postmeter.customers import operations, permissions, queries, signin
from postmeter.customers.models import Role
from postmeter.customers.queries import Seat
from postmeter.kit.refusals import NotAllowed, NotFound, Refusal
from postmeter.web.forms import add_refusal
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.stepup import confirmed_person

WHAT_ROLES_DO = {
    Role.MASTER: "Master: everything, also members and API keys",
    Role.BILLING_ADMIN: "Billing admin: buys credit, cards, invoices",
    Role.OFFICE_MANAGER: "Office manager: sends, and looks after members",
    Role.SENDER: "Sender: sends messages",
}


class RolesForm(forms.Form):
    """The roles that this seat may give."""

    roles = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, error_messages={"required": "Choose at least one role."}
    )

    def __init__(self, *args: object, seat: Seat, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        given = permissions.roles_within(seat.permissions)
        self.fields["roles"].choices = [(str(role), WHAT_ROLES_DO[role]) for role in given]  # type: ignore[attr-defined]


class InviteForm(RolesForm):
    email = forms.EmailField(label="E-mail address", max_length=254)
    name = forms.CharField(max_length=200)
    field_order = ("name", "email", "roles")


@require_safe
@member_page(permission=permissions.MANAGE_MEMBERS)
def members(request: MemberRequest) -> HttpResponse:
    """GET /settings/members/"""
    rows = [
        {
            "seat": seat,
            "roles": [Role(role).label for role in seat.roles],
            "mine": seat.member_id == request.seat.member_id,
            "may_change": seat.permissions <= request.seat.permissions,
        }
        for seat in queries.members(customer_id=request.seat.customer_id)
    ]
    return render(request, "web/members.html", {"rows": rows})


@member_page(permission=permissions.MANAGE_MEMBERS)
@confirmed_person
def invite_member(request: MemberRequest) -> HttpResponse:
    """GET /settings/members/new/: the form. POST: makes the seat and mails the invitation."""
    form = InviteForm(request.POST or None, seat=request.seat)
    if not form.is_valid():
        return render(request, "web/member_new.html", {"form": form}, status=422 if form.is_bound else 200)
    wanted = form.cleaned_data
    try:
        operations.add_member(customer_id=request.seat.customer_id, now=timezone.now(), actor=request.actor, **wanted)
    except Refusal as refusal:
        add_refusal(form, refusal)
        return render(request, "web/member_new.html", {"form": form}, status=refusal.status)
    signin.invite(request, email=wanted["email"], customer=request.customer.name, inviter=request.seat.name)
    messages.success(request, f"{wanted['name']} is a member now. The invitation went to {wanted['email']}.")
    return redirect("members")


@member_page(permission=permissions.MANAGE_MEMBERS)
@confirmed_person
def change_roles(request: MemberRequest, member_id: int) -> HttpResponse:
    """GET /settings/members/MB…/: the roles. POST: sets them."""
    theirs = _seat(request, member_id)
    form = RolesForm(request.POST or None, seat=request.seat, initial={"roles": list(theirs.roles)})
    if not form.is_valid():
        return render(request, "web/member_roles.html", {"form": form, "theirs": theirs}, status=422 if form.is_bound else 200)
    try:
        operations.change_roles(
            customer_id=request.seat.customer_id,
            member_id=member_id,
            roles=form.cleaned_data["roles"],
            now=timezone.now(),
            actor=request.actor,
        )
    except Refusal as refusal:
        add_refusal(form, refusal)
        return render(request, "web/member_roles.html", {"form": form, "theirs": theirs}, status=refusal.status)
    messages.success(request, f"{theirs.name} is now {_listed(form.cleaned_data['roles'])}.")
    return redirect("members")


@member_page(permission=permissions.MANAGE_MEMBERS)
@confirmed_person
def remove_member(request: MemberRequest, member_id: int) -> HttpResponse:
    """GET …/remove/: asks once. POST: ends the seat; what the person did keeps its name."""
    theirs = _seat(request, member_id)
    if request.method != "POST":
        return render(request, "web/member_remove.html", {"theirs": theirs})
    try:
        operations.remove_member(
            customer_id=request.seat.customer_id, member_id=member_id, now=timezone.now(), actor=request.actor
        )
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"{theirs.name} is no longer a member.")
    return redirect("members")


def _seat(request: MemberRequest, member_id: int) -> Seat:
    """A member whom this seat may change. Raises NotFound, NotAllowed."""
    found = next((seat for seat in queries.members(customer_id=request.seat.customer_id) if seat.member_id == member_id), None)
    if found is None:
        raise NotFound("There is no such member.")
    if not found.permissions <= request.seat.permissions:
        raise NotAllowed("This member may do more than you.", remedy="Ask a master.")
    return found


def _listed(roles: Iterable[str]) -> str:
    return " and ".join(Role(role).label.lower() for role in roles)
