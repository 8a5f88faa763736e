"""Offices and teams: who stands where (R-03, R-04)."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from postmeter.customers import groups as operations
from postmeter.customers import permissions, queries
from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import NotFound, Refusal
from postmeter.web.forms import add_refusal
from postmeter.web.session import MemberRequest, member_page


class GroupForm(forms.Form):
    """A new one."""

    kind = forms.ChoiceField(
        label="What", choices=[("office", "An office"), ("team", "A team")], widget=forms.RadioSelect, initial="team"
    )
    name = forms.CharField(max_length=operations.NAME_AT_MOST, error_messages={"required": "Write its name."})


@member_page(permission=permissions.MANAGE_MEMBERS)
def groups(request: MemberRequest) -> HttpResponse:
    """GET /settings/groups/. POST: opens one."""
    customer_id, status = request.seat.customer_id, 200
    form = GroupForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                made = operations.open_group(
                    customer_id=customer_id, actor=request.actor, now=timezone.now(), **form.cleaned_data
                )
            except Refusal as refusal:
                status = refusal.status
                add_refusal(form, refusal)
            else:
                return redirect("group", group_id=made.id)
    names = {seat.member_id: seat.name for seat in queries.members(customer_id=customer_id)}
    rows = [
        (row.group, sorted(names[member_id] for member_id in row.member_ids if member_id in names))
        for row in operations.groups(customer_id=customer_id)
    ]
    return render(request, "web/groups.html", {"rows": rows, "form": form}, status=status)


@member_page(permission=permissions.MANAGE_MEMBERS)
def group(request: MemberRequest, group_id: int) -> HttpResponse:
    """GET /settings/groups/GR…/: who stands in it. POST: sets that, or with `close` closes it."""
    customer_id, now = request.seat.customer_id, timezone.now()
    found = next((row for row in operations.groups(customer_id=customer_id) if row.group.id == group_id), None)
    if found is None:
        raise NotFound("There is no such office or team.")
    if request.method == "POST" and "close" in request.POST:
        operations.close_group(customer_id=customer_id, group_id=group_id, actor=request.actor, now=now)
        messages.success(request, f"{found.group.name} is closed.")
        return redirect("groups")
    if request.method == "POST":
        ids = [public_ids().decode("MB", each) for each in request.POST.getlist("member")]
        operations.place(customer_id=customer_id, group_id=group_id, member_ids=ids, actor=request.actor, now=now)
        messages.success(request, "Saved.")
        return redirect("groups")
    members: list[dict[str, Any]] = [
        {"seat": seat, "is_in": seat.member_id in found.member_ids} for seat in queries.members(customer_id=customer_id)
    ]
    return render(request, "web/group.html", {"group": found.group, "members": members})
