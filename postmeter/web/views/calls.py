"""How calls sound, what machines are told, and which keys there are."""

from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from postmeter.customers import permissions
from postmeter.kit.refusals import Refusal
from postmeter.messaging import callsettings
from postmeter.messaging.callsettings import DIGITS, KEYS, TALK_MINUTES_AT_MOST, CallRules, Machines
from postmeter.messaging.channels.voice import LANGUAGES, VOICES, Key
from postmeter.web.forms import add_refusal
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.stepup import confirmed_person

MACHINES = {
    Machines.SHORT: "Say who calls and ask to call back, and nothing of the message",
    Machines.WHOLE: "Leave the whole message",
    Machines.HANG_UP: "Hang up",
    Machines.AS_PEOPLE: "Do not find out: speak at once to whoever answers",
}
KEY_WORDS = {
    Key.REPEAT: "Hear it again",
    Key.CONFIRM: "Confirm a visit",
    Key.CANCEL: "Cancel a visit",
    Key.TALK: "Talk to you",
    Key.STOP: "Get no more calls",
}
EXAMPLE = "Your visit is on Tuesday at nine."


class CallsForm(forms.Form):
    language = forms.ChoiceField(
        choices=list(LANGUAGES.items()), help_text="Of what we say around your text. Write the text in it, too."
    )
    voice = forms.ChoiceField(
        choices=[(LANGUAGES[language], list(voices.items())) for language, voices in VOICES.items()],
    )
    machines = forms.ChoiceField(
        label="Where a machine answers",
        choices=[(str(machine), words) for machine, words in MACHINES.items()],
        widget=forms.RadioSelect,
        help_text="Nobody knows who listens to a machine.",
    )
    responses = forms.BooleanField(
        label="Let people answer automated calls by keys",
        required=False,
        help_text="Appointment reminders and notices, billing reminders and late payment notices. Other calls can only be heard again.",
    )
    confirms = forms.BooleanField(label="They may confirm a visit", required=False)
    cancels = forms.BooleanField(label="They may cancel a visit", required=False)
    talk_number = forms.CharField(
        label="Number that they are put through to",
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs={"inputmode": "tel", "autocomplete": "off"}),
        help_text="Of your practice. Both calls are paid for, by the minute. Empty: nobody is put through.",
    )
    talk_minutes = forms.IntegerField(
        label="Longest conversation, in minutes", min_value=1, max_value=TALK_MINUTES_AT_MOST, widget=forms.NumberInput
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for key in KEYS:
            self.fields[f"key_{key}"] = forms.ChoiceField(label=KEY_WORDS[key], choices=[(digit, digit) for digit in DIGITS])

    @property
    def keys(self) -> list[forms.BoundField]:
        return [self[f"key_{key}"] for key in KEYS]

    @property
    def wanted(self) -> CallRules:
        given = dict(self.cleaned_data)
        keys = {key: given.pop(f"key_{key}") for key in KEYS}
        return CallRules(**given | {"machines": Machines(given["machines"]), "keys": keys})


@member_page(permission=permissions.MANAGE_MEMBERS)
@confirmed_person
def calls(request: MemberRequest) -> HttpResponse:
    """GET /settings/calls/: how they sound now, and the form. POST: saves it."""
    customer_id, now = request.seat.customer_id, timezone.now()
    known = callsettings.rules(customer_id=customer_id)
    form = CallsForm(request.POST if request.method == "POST" else None, initial=_initial(known))
    status = 422 if form.is_bound else 200
    if form.is_valid():
        try:
            callsettings.save(customer_id=customer_id, wanted=form.wanted, actor=request.actor, now=now)
        except Refusal as refusal:
            add_refusal(form, refusal)
        else:
            messages.success(request, "Saved. It holds for calls that are answered from now on.")
            return redirect("calls-settings")
    script = callsettings.script_of(request.customer, known, kind="reminder", sender=request.customer.sender)
    heard = [*script.opening(), EXAMPLE, *script.menu(), script.word("goodbye")]
    return render(request, "web/calls.html", {"form": form, "heard": heard}, status=status)


def _initial(known: CallRules) -> dict[str, Any]:
    values = asdict(known)
    return values | {f"key_{key}": digit for key, digit in values.pop("keys").items()}
