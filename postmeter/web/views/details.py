"""My Details: the person's own name, and where they change how they sign in."""

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from postmeter.customers import operations
from postmeter.customers.models import Role
from postmeter.web.session import MemberRequest, member_page


class NameForm(forms.Form):
    name = forms.CharField(label="Your name", max_length=200)


@member_page()
def details(request: MemberRequest) -> HttpResponse:
    """GET /settings/me/. POST: changes the name."""
    form = NameForm(request.POST or None, initial={"name": request.user.name})
    if form.is_valid():
        operations.rename_person(user_id=request.user.id, name=form.cleaned_data["name"])
        messages.success(request, "Your name was changed.")
        return redirect("details")
    context = {"form": form, "roles": [Role(role).label for role in request.seat.roles]}
    return render(request, "web/details.html", context, status=422 if form.is_bound else 200)
