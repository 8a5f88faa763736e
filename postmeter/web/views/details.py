"""My Details: the person's own name, and where they change how they sign in."""

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from postmeter.customers import operations
from postmeter.customers.models import Role
from postmeter.customers.permissions import READ_MESSAGES
from postmeter.notifications import news
from postmeter.web.session import MemberRequest, member_page


class NameForm(forms.Form):
    name = forms.CharField(label="Your name", max_length=200)


class NewsForm(forms.Form):
    frequency = forms.ChoiceField(
        label="Mail me about new messages and errors",
        choices=[("each", "At once"), ("hour", "Once an hour"), ("day", "Once a day, in the morning"), ("never", "Never")],
        widget=forms.RadioSelect,
    )


@member_page()
def details(request: MemberRequest) -> HttpResponse:
    """GET /settings/me/. POST: changes the name, or with `frequency` how often they are mailed (S-081)."""
    if "frequency" in request.POST:
        return _subscribe(request)
    form = NameForm(request.POST or None, initial={"name": request.user.name})
    if form.is_valid():
        operations.rename_person(user_id=request.user.id, name=form.cleaned_data["name"])
        messages.success(request, "Your name was changed.")
        return redirect("details")
    reads, customer_id = READ_MESSAGES in request.seat.permissions, request.seat.customer_id
    often = news.frequency(customer_id=customer_id, member_id=request.seat.member_id) if reads else ""
    context = {
        "news": NewsForm(initial={"frequency": often}) if reads else None,
        "form": form,
        "roles": [Role(role).label for role in request.seat.roles],
    }
    return render(request, "web/details.html", context, status=422 if form.is_bound else 200)


def _subscribe(request: MemberRequest) -> HttpResponse:
    news.subscribe(
        customer_id=request.seat.customer_id,
        member_id=request.seat.member_id,
        frequency=request.POST["frequency"],
        now=timezone.now(),
    )
    messages.success(request, "Saved. This changes your own mails only.")
    return redirect("details")
