"""Filters and tags that pages share: amounts, times, states, fields, drawings. Load with `{% load postmeter %}`."""

from datetime import date, datetime
from typing import NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django import template
from django.forms import BoundField, CheckboxInput
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from postmeter.db.public_ids import public_ids
from postmeter.invoicing.models import Invoice
from postmeter.invoicing.operations import number_of
from postmeter.kit.money import CREDITS, format_amount, minor_digits, to_minor
from postmeter.kit.phone import for_people
from postmeter.notifications.models import Notice
from postmeter.notifications.runway import Day, Forecast
from postmeter.notifications.words import title
from postmeter.payments.reasons import words_of
from postmeter.web import drawing
from postmeter.web.forms import new_key

register = template.Library()
CHANNEL_NAMES = {"sms": "Text message", "mms": "Picture message", "fax": "Fax", "voice": "Call", "email": "Email"}
RUNWAY_DAYS = 30  # of a forecast are drawn


# --- amounts and times


@register.filter
def amount(micros: int, unit: str) -> str:
    """`{{ micros|amount:"USD" }}`: "$12.34", "−$0.50"; exact."""
    return format_amount(micros, unit)


@register.filter
def rounded(micros: int, unit: str) -> str:
    """An amount for the eye, to the unit's smallest coin: the figures of a wallet. What must add up (statements) stays exact."""
    return format_amount(micros, unit, minor_digits(unit))


@register.filter
def unit_price(micros: int, unit: str) -> str:
    """A price for one unit, with four decimals at least so that a column of prices lines up: "$0.0079", "$0.0100"."""
    if unit in CREDITS:
        return format_amount(micros, unit)
    return format_amount(micros, unit, 4 if micros % 100 == 0 else 6)


@register.filter
def channel_name(channel: str) -> str:
    """`{{ message.channel|channel_name }}`: "Picture message"."""
    return CHANNEL_NAMES[channel]


@register.filter
def is_counted(unit: str) -> bool:
    """Whether credit of this unit is counted in messages instead of money."""
    return unit in CREDITS


@register.simple_tag
def signed_amount(micros: int, unit: str, signed: object = False, to_coins: object = False) -> SafeString:
    """An amount whose sign is also a word for screen readers; `signed` writes the plus too, `to_coins` is `rounded`."""
    places = minor_digits(unit) if to_coins else None
    shown = format_amount(micros, unit, places)
    if micros >= 0 and not (signed and micros):
        return format_html("{}", shown)
    word, sign = ("minus", "") if micros < 0 else ("plus", "+")
    plain = format_amount(abs(micros), unit, places)
    return format_html('<span aria-hidden="true">{}{}</span><span class="sr-only">{} {}</span>', sign, shown, word, plain)


@register.filter
def when(moment: datetime | None, zone: str | None = None) -> SafeString:
    """A moment in the customer's zone with the zone named: <time datetime="…">23 Nov 2026, 11:46 AEDT</time>.

    The zone is the active one (`django.utils.timezone.activate`) unless named: `{{ at|when:"Australia/Sydney" }}`.
    """
    return _time(moment, zone, "j M Y, H:i")


@register.filter
def to_the_second(moment: datetime | None, zone: str | None = None) -> SafeString:
    """`when` where the order within a minute matters: "23 Nov 2026, 11:46:05 AEDT"."""
    return _time(moment, zone, "j M Y, H:i:s")


def _time(moment: datetime | None, zone: str | None, form: str) -> SafeString:
    if moment is None:
        return format_html('<span class="muted">{}</span>', "not yet")
    local = timezone.localtime(moment, ZoneInfo(zone) if zone else None)
    shown = f"{date_format(local, form)} {_zone_name(local)}"
    return format_html('<time datetime="{}">{}</time>', local.isoformat(timespec="seconds"), shown)


def _zone_name(local: datetime) -> str:
    """ "AEDT" where the zone has letters for itself, else its place ("Asia/Dubai"), never "+04"."""
    short = local.tzname() or "UTC"
    return short if short.isalpha() else str(local.tzinfo)


@register.filter
def whole_amount(micros: int, unit: str) -> str:
    """An amount as people type it, for the field of a form: "50.00"."""
    whole, cents = divmod(to_minor(micros, unit), 10 ** minor_digits(unit))
    return f"{whole}.{cents:0{minor_digits(unit)}d}" if cents else str(whole)


@register.filter
def invoice_number(invoice: Invoice) -> str:
    """The number as it is printed: "C7-000012"."""
    return number_of(invoice)


@register.filter
def failure(code: str) -> str:
    """Why a payment failed, in words."""
    return words_of(code)


@register.filter
def public_id(row_id: int, prefix: str) -> str:
    """The id as the outside sees it: `{{ message.id|public_id:"SM" }}`."""
    return public_ids().encode(prefix, row_id)


@register.simple_tag(name="new_key")
def fresh_key() -> str:
    """A one-time key, for a small form in a row."""
    return new_key()


@register.filter
def phone(e164: str) -> str:
    """A number as people read it: "+1 415-555-0100"."""
    return for_people(e164)


# --- states


class Face(NamedTuple):
    word: str
    icon: str
    tone: str


STATES = {
    "waiting": Face("Waiting", "pause", "care"),
    "queued": Face("Queued", "clock", ""),
    "sending": Face("Sending", "send", "moving"),
    "sent": Face("Sent", "check", "moving"),
    "delivered": Face("Delivered", "check-all", "good"),
    "undelivered": Face("Undelivered", "cross", "bad"),
    "failed": Face("Failed", "cross", "bad"),
    "expired": Face("Expired", "clock", "care"),
    "cancelled": Face("Cancelled", "stop", ""),
    "unknown": Face("Unknown", "question", "care"),
    "created": Face("Created", "clock", ""),
    "calling": Face("Asking the bank", "clock", "moving"),
    "pending": Face("Pending", "clock", "moving"),
    "processing": Face("Processing", "clock", "moving"),
    "succeeded": Face("Succeeded", "check", "good"),
    "paid": Face("Paid", "check", "good"),
    "declined": Face("Declined", "cross", "bad"),
    "requires_action": Face("Needs your confirmation", "alert", "care"),
    "active": Face("Active", "check", "good"),
    "open": Face("To be paid", "clock", "care"),
    "overdue": Face("Overdue", "alert", "bad"),
    "asked": Face("Asked", "clock", "moving"),
    "approved": Face("Approved", "check", "good"),
    "reversed": Face("Taken back", "stop", ""),
    "withdrawn": Face("Withdrawn", "stop", ""),
    "well": Face("Ready", "check", "good"),
    "cooling": Face("Cooling down", "pause", "care"),
    "needs_person": Face("Needs you", "alert", "bad"),
    "revoked": Face("Revoked", "stop", "bad"),
    "failing": Face("Failing", "alert", "care"),
    "suspended": Face("Suspended", "stop", "bad"),
    "paused": Face("Paused", "pause", "care"),
    "top_up_paused": Face("Top-up paused", "pause", "care"),
    "on": Face("On", "check", "good"),
    "off": Face("Off", "stop", "care"),
    "reply": Face("Needs an answer", "alert", "care"),
    "may_cancel": Face("May have meant the appointment", "alert", "bad"),
    "wrong_number": Face("Wrong number", "alert", "bad"),
}


@register.filter
def face(state: str) -> Face:
    """How a state looks: its word, its icon, its tone. A state without a face of its own shows its name."""
    return STATES.get(str(state)) or Face(str(state).replace("_", " ").capitalize(), "dot", "")


# --- forms


_CLASS_OF = {
    "select": "select",
    "selectmultiple": "select",
    "textarea": "textarea",
    "checkbox": "checkbox",
    "radioselect": "",
    "checkboxselectmultiple": "",
    "clearablefile": "file-input",
    "file": "file-input",
    "files": "file-input",
}


@register.filter
def widget(field: BoundField) -> SafeString:
    """The field's control in our clothes. Django itself points aria-describedby at the ids of help and error."""
    look = _CLASS_OF.get(field.widget_type, "input")
    given = field.field.widget.attrs.get("class", "")
    return field.as_widget(attrs={"class": f"{given} {look}".strip()} if look or given else None)


@register.filter
def is_checkbox(field: BoundField) -> bool:
    return isinstance(field.field.widget, CheckboxInput)


# --- addresses


@register.simple_tag(takes_context=True)
def here_with(context: template.Context, **changes: object) -> str:
    """This page's query with some values replaced, so that filters stay in the address: `{% here_with before=cursor %}`.

    A value of None or "" takes the parameter away.
    """
    request: HttpRequest | None = context.get("request")
    query = request.GET.copy() if request else None
    pairs = [(name, value) for name, values in query.lists() for value in values if name not in changes] if query else []
    pairs += [(name, str(value)) for name, value in changes.items() if value not in (None, "")]
    return f"?{urlencode(pairs)}"


# --- drawings


@register.simple_tag
def draw_meter(
    figures: drawing.Figures, thresholds: list[drawing.Threshold] | None = None, full: int | None = None
) -> drawing.Meter:
    return drawing.meter(figures, thresholds or (), full=full)


@register.simple_tag
def full_of(before: drawing.Figures, after: drawing.Figures) -> int:
    """One scale for two bars."""
    return max(drawing.full_micros(before), drawing.full_micros(after))


@register.simple_tag
def draw_progress(total: int, done: int, failed: int) -> drawing.Progress:
    return drawing.progress(total=total, done=done, failed=failed)


@register.simple_tag
def draw_days(days: list[tuple[date, int]]) -> drawing.Chart:
    return drawing.day_chart(days)


@register.simple_tag
def draw_runway(forecast: Forecast) -> drawing.RunwayChart:
    """The next days of a forecast: `{% draw_runway runway.forecast as drawn %}`."""
    days = [(day.day, day.likely_micros, day.low_micros, day.high_micros) for day in forecast.days[:RUNWAY_DAYS]]
    return drawing.runway_chart(days, forecast.ends_on)


@register.filter
def shown_days(forecast: Forecast) -> tuple[Day, ...]:
    """The days that the chart shows, for the table below it."""
    return forecast.days[:RUNWAY_DAYS]


@register.filter
def notice_title(notice: Notice, unit: str) -> str:
    """What a notice is about."""
    return title(notice, unit)
