"""What both sides' pages show and change of the guard: countries, limits, the stop; a member's and the operator's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from postmeter.customers import queries as customers
from postmeter.customers.models import Customer
from postmeter.guard import queries
from postmeter.guard.limits import LIMITS, Limit, read, said
from postmeter.guard.models import EVERYWHERE, Stop
from postmeter.kit.money import decimal_string, format_amount
from postmeter.kit.phone import country_name
from postmeter.kit.refusals import Refusal
from postmeter.messaging import queries as messages
from postmeter.rating import queries as rating

CHANNELS = ("sms", "mms", "voice", "fax")


@dataclass(frozen=True, slots=True)
class Line:
    """One limit as it holds; `by` says who set it."""

    words: str
    trips: bool
    by: str


def lines(*, customer_id: int, unit: str) -> list[Line]:
    by_operator = queries.overrides(customer_id=customer_id, by_operator=True)
    own = queries.overrides(customer_id=customer_id, by_operator=False)
    most = queries.limits(customer_id=customer_id, unit=unit)
    return [
        Line(said(limit, most[name], unit), limit.trips, _by(most[name], own.get(name), by_operator.get(name)))
        for name, limit in LIMITS.items()
    ]


def _by(most: int, own: int | None, by_operator: int | None) -> str:
    if most == own:
        return "you"
    return "your account manager" if most == by_operator else ""


@dataclass(frozen=True, slots=True)
class Told:
    """A stop as pages tell it: what would have been passed, by whom, and how many messages of theirs wait."""

    stop: Stop
    passed: str
    who: str
    waiting: int


def told(stop: Stop) -> Told:
    waiting = 0 if stop.lifted_at else messages.waiting_of(customer_id=stop.customer_id, sender=stop.actor)
    return Told(stop, said(LIMITS[stop.limit], stop.most, stop.unit), _who(stop), waiting)


def _who(stop: Stop) -> str:
    kind, _, id_ = stop.actor.partition(":")
    if kind == "key":
        named = {str(key.id): f"the API key “{key.name}”" for key in customers.api_keys(customer_id=stop.customer_id)}
    else:
        named = {str(seat.member_id): seat.name for seat in customers.everybody(customer_id=stop.customer_id)}
    return named.get(id_, stop.actor)


def countries_of(*, customer: Customer, now: datetime) -> dict[str, str]:
    """The countries that the customer's price list has, without its own, by name."""
    price_list = rating.price_list_of(customer_id=customer.id, plan=customer.plan)
    found = {
        rate.country
        for channel in CHANNELS
        for rate in rating.rates(customer_id=customer.id, price_list=price_list, channel=channel, direction="out", now=now)
    }
    named = {country: country_name(country) for country in found - {customer.country}}
    return dict(sorted(named.items(), key=lambda each: each[1]))


class CountriesForm(forms.Form):
    """Which countries are open beside the customer's own."""

    everywhere = forms.BooleanField(label="Every country on the price list, also those that are added later", required=False)
    countries = forms.MultipleChoiceField(label="Or these", required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, data: Any, *, customer: Customer, now: datetime) -> None:
        opened = queries.opened_countries(customer_id=customer.id)
        # What was opened and has no price any more stays to be closed.
        names = countries_of(customer=customer, now=now) | {each: country_name(each) for each in opened - {EVERYWHERE}}
        super().__init__(data, initial={"everywhere": EVERYWHERE in opened, "countries": sorted(opened)})
        self.fields["countries"].choices = list(names.items())  # type: ignore[attr-defined]

    @property
    def opened(self) -> list[str]:
        chosen = list(self.cleaned_data["countries"])
        return [*chosen, EVERYWHERE] if self.cleaned_data["everywhere"] else chosen


class LimitsForm(forms.Form):
    """Every limit; empty where the usual one holds, or for a member the operator's."""

    def __init__(self, data: Any, *, customer_id: int, unit: str, by_operator: bool) -> None:
        set_ones = queries.overrides(customer_id=customer_id, by_operator=by_operator)
        super().__init__(data, initial={name: _written(LIMITS[name], most) for name, most in set_ones.items()})
        self.unit = unit
        holding = queries.ceilings(customer_id=customer_id, unit=unit)
        for name, limit in LIMITS.items():
            kind = "Money spent" if limit.in_money else "Codes" if name == "code" else "Messages"
            words = limit.words.removeprefix("one-time codes ")
            most = format_amount(holding[name], unit) if limit.in_money else f"{holding[name]:,}"
            self.fields[name] = forms.CharField(
                label=f"{kind} {words}",
                required=False,
                max_length=20,
                help_text=f"Now {most}." if by_operator else f"At most {most}.",
                widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name, text in list(cleaned.items()):
            try:
                cleaned[name] = read(LIMITS[name], text, self.unit, field=name) if text.strip() else None
            except Refusal as refusal:
                self.add_error(name, ValidationError(str(refusal)))
        return cleaned

    @property
    def most(self) -> Mapping[str, int | None]:
        return self.cleaned_data


def _written(limit: Limit, most: int) -> str:
    return decimal_string(most) if limit.in_money else str(most)


class LiftForm(forms.Form):
    """What becomes of what waits, and of automatic top-ups."""

    waiting = forms.ChoiceField(
        label="Messages that wait",
        choices=[
            ("take_back", "Take back what the one who passed the limit has waiting, and send the rest"),
            ("send", "Send all of them"),
        ],
        widget=forms.RadioSelect,
        initial="take_back",
    )
    top_ups = forms.BooleanField(
        label="Let automatic top-ups go on, too",
        required=False,
        help_text="Otherwise they stay paused until somebody starts them again.",
    )

    def chosen(self) -> dict[str, bool]:
        """As `stops.lift` takes it."""
        return {"top_ups_go_on": self.cleaned_data["top_ups"], "take_back": self.cleaned_data["waiting"] == "take_back"}
