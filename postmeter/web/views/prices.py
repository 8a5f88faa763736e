"""The price list: for everybody, and the customer's own for its members (S-046, S-087 ... S-090)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from postmeter.customers import permissions
from postmeter.db.scope import EVERYBODY
from postmeter.kit.phone import country_name, normalize
from postmeter.kit.refusals import NotFound, Refusal
from postmeter.rating import queries as rating
from postmeter.rating.models import Rate
from postmeter.web import session
from postmeter.web.session import MemberRequest, member_page

PUBLIC_PLAN = "standard"
ROWS_AT_MOST = 400
CHANNELS = (
    ("sms", "out", "Text messages that you send", "segment"),
    ("sms", "hand", "Text messages that members send themselves", "segment"),
    ("sms", "in", "Text messages that you receive", "segment"),
    ("mms", "out", "Picture messages that you send", "message"),
    ("voice", "out", "Calls that you make", "minute"),
    ("fax", "out", "Faxes that you send", "page"),
    ("fax", "in", "Faxes that you receive", "page"),
    ("email", "out", "E-mail", "message"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One destination."""

    country: str
    name: str
    prefix: str
    price_micros: int
    fee_micros: int
    since: datetime

    @property
    def total_micros(self) -> int:
        return self.price_micros + self.fee_micros


@dataclass(frozen=True, slots=True)
class Section:
    """One channel and direction."""

    title: str
    unit: str
    rows: list[Row] = field(default_factory=list)
    found: int = 0

    @property
    def since(self) -> datetime | None:
        """From when all these prices hold; None where they differ."""
        moments = {row.since for row in self.rows}
        return moments.pop() if len(moments) == 1 else None

    @property
    def free(self) -> bool:
        return bool(self.rows) and not any(row.total_micros for row in self.rows)


@require_safe
def prices(request: HttpRequest) -> HttpResponseBase:
    """GET /prices/?q=: without signing in what everybody pays, for members what they pay. `q` is a country or a number."""
    if request.user.is_authenticated and session.seat_of(request):
        return _own(request)
    return _show(request, customer_id=EVERYBODY, plan=PUBLIC_PLAN, region=None)


@member_page(permission=permissions.READ_PRICES)
def _own(request: MemberRequest) -> HttpResponse:
    return _show(request, customer_id=request.seat.customer_id, plan=request.customer.plan, region=request.customer.country)


def _show(request: HttpRequest, *, customer_id: int, plan: str, region: str | None) -> HttpResponse:
    own, now, wanted = customer_id != EVERYBODY, timezone.now(), request.GET.get("q", "").strip()[:60]
    context: dict[str, Any] = {"wanted": wanted, "now": now, "base": "base.html" if own else "base_plain.html", "own": own}
    try:
        price_list = rating.price_list_of(customer_id=customer_id, plan=plan)
    except NotFound:
        return render(request, "web/prices.html", context)
    number, problem = _number(wanted, region)
    sections = []
    for channel, direction, title, unit in CHANNELS:
        rates = rating.rates(customer_id=customer_id, price_list=price_list, channel=channel, direction=direction, now=now)
        sections.append(_section(title, unit, rates, wanted, number))
    context |= {
        "price_list": price_list,
        "unit": price_list.currency,
        "special": price_list.customer_id != EVERYBODY,
        "number": number,
        "problem": problem,
        "sections": [section for section in sections if section.rows],
    }
    return render(request, "web/prices.html", context)


def _number(wanted: str, region: str | None) -> tuple[str, str]:
    """The number that was asked for, if it is one; and why it cannot be written to."""
    if not any(character.isdigit() for character in wanted):
        return "", ""
    try:
        return normalize(wanted if region or wanted.startswith("+") else f"+{wanted}", region), ""
    except Refusal as refusal:
        return "", str(refusal)


def _section(title: str, unit: str, rates: list[Rate], wanted: str, number: str) -> Section:
    if number:
        fitting = [rate for rate in rates if number[1:].startswith(rate.prefix)]
        rates = sorted(fitting, key=lambda rate: -len(rate.prefix))[:1]
    rows = sorted((_row(rate) for rate in rates), key=lambda row: (row.name, row.prefix))
    if wanted and not number:
        words = wanted.casefold()
        rows = [row for row in rows if words in row.name.casefold() or words == row.country.casefold() or _digits(words, row)]
    return Section(title, unit, rows[:ROWS_AT_MOST], len(rows))


def _digits(words: str, row: Row) -> bool:
    digits = words.lstrip("+")
    return digits.isdigit() and row.prefix.startswith(digits)


def _row(rate: Rate) -> Row:
    return Row(rate.country, country_name(rate.country), rate.prefix, rate.price_micros, rate.fee_micros, rate.valid_from)
