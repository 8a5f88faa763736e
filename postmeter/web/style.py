"""The living style page: every part of the look with data as it really occurs. Served where DEBUG is on, and to tests."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from postmeter.messaging.states import State
from postmeter.web.drawing import Threshold

_USD = 1_000_000
_DAY = datetime(2026, 11, 23, 9, 46, tzinfo=UTC)


@dataclass(frozen=True)
class _Wallet:
    unit: str = "USD"


@dataclass(frozen=True)
class _Figures:
    available_micros: int
    held_micros: int = 0
    incoming_micros: int = 0
    limit_micros: int = 0
    debt_micros: int = 0
    wallet: _Wallet = field(default_factory=_Wallet)

    @property
    def posted_micros(self) -> int:
        return self.available_micros + self.held_micros - self.limit_micros - self.debt_micros


class _TopUpForm(forms.Form):
    amount = forms.CharField(help_text="At least $10.00. The bank may take up to 48 hours to confirm.")
    card = forms.ChoiceField(
        choices=[("1", "Visa ending 4242"), ("2", "Mastercard ending 4444, the one of the Wagga Wagga office")]
    )
    note = forms.CharField(required=False, widget=forms.Textarea, help_text="Stands on the invoice.")
    channel = forms.ChoiceField(choices=[("sms", "SMS"), ("email", "E-mail")], widget=forms.RadioSelect, label="Tell me by")
    automatic = forms.BooleanField(
        required=False, label="Use this card for automatic top-ups", help_text="You can take this back at any time."
    )
    recipients = forms.FileField(required=False, help_text="CSV, up to 10,000 rows.")


def _messages() -> list[dict[str, Any]]:
    names = [
        "Ana Ruiz",
        "Dr Wilhelmina Featherstonehaugh-Cholmondeley of the Children’s Dental Practice",
        "李小龍",
        "Zoë Ó Súilleabháin",
    ]
    return [
        {
            "name": names[n % 4],
            "to": f"+1 202 555 01{n:02}",
            "state": state,
            "micros": -7_900 * (n % 3),
            "at": _DAY - timedelta(minutes=7 * n),
        }
        for n, state in enumerate(State)
    ]


def _trail() -> list[dict[str, Any]]:
    def step(state: str, seconds: int, title: str, text: str = "", micros: int | None = None) -> dict[str, Any]:
        return {
            "state": state,
            "title": title,
            "text": text,
            "at": _DAY + timedelta(seconds=seconds),
            "micros": micros,
            "unit": "USD",
        }

    return [
        step("queued", 0, "Accepted", "2 segments in UCS-2, because of “’”. $0.0158 held.", -15_800),
        step("sending", 1, "Claimed for Twilio"),
        step("sent", 2, "Twilio took it", "Their id is SM0f1e2d3c4b5a69788796a5b4c3d2e1f0."),
        step("undelivered", 40, "The carrier gave up", "Error 30005: the number is not in service."),
        step("cancelled", 40, "Given back", "The price list returns failed texts.", 15_800),
    ]


def style(request: HttpRequest) -> HttpResponse:
    """GET: the page. It writes nothing and needs no database."""
    messages.success(request, "$50.00 arrived. The invoice is on its way to accounts@example.org.")
    messages.error(request, "The card was declined: the bank says that its limit is reached. Nothing was charged.")
    figures = _Figures(42_318_400, held_micros=7_900_000, incoming_micros=25 * _USD)
    spend = [(date(2026, 11, 10) + timedelta(days=n), (n * 37 % 11) * 410_000 + 120_000) for n in range(14)]
    wrong = _TopUpForm({"amount": "5", "channel": "", "card": "1"})
    wrong.add_error("amount", "This is less than the minimum of $10.00. Write 10.00 or more.")
    return render(
        request,
        "web/style.html",
        {
            "navigation": _navigation(),
            "member_name": "Wilhelmina Featherstonehaugh",
            "member_menu": [{"label": "My details", "url": "#", "icon": "settings"}],
            "topup_url": "#top-up",
            "version": "0.1.0",
            "bell": {"count": 2, "url": "#"},
            "figures": figures,
            "after": _Figures(92_318_400, held_micros=7_900_000),
            "spent": _Figures(34_418_400, held_micros=15_800_000, incoming_micros=25 * _USD),
            "overdrawn": _Figures(0, held_micros=2_400_000, limit_micros=0, debt_micros=3_200_000),
            "overdraft": _Figures(31 * _USD, held_micros=9 * _USD, limit_micros=20 * _USD),
            "empty_wallet": _Figures(0),
            "credits": _Figures(1_240 * _USD, held_micros=60 * _USD, wallet=_Wallet("SMS")),
            "lines": [Threshold(20 * _USD, "Auto top-up"), Threshold(5 * _USD, "Notice")],
            "states": list(State),
            "payment_states": ["processing", "succeeded", "declined", "requires_action"],
            "messages_shown": _messages(),
            "trail": _trail(),
            "spend": spend,
            "no_spend": [(day, 0) for day, _ in spend],
            "form": _TopUpForm(),
            "wrong": wrong,
            "steps": ["File", "Columns", "Check", "Send"],
            "micros": {"plus": 25 * _USD, "minus": -3_200_000, "price": 7_900, "round": 10_000},
            "now": _DAY,
        },
    )


def _navigation() -> list[dict[str, Any]]:
    entries = [
        ("Overview", "overview"),
        ("Messages", "messages"),
        ("Send", "send"),
        ("Credit", "credit"),
        ("Prices", "prices"),
        ("Settings", "settings"),
    ]
    found: list[dict[str, Any]] = [
        {"label": label, "url": "#", "icon": icon, "current": icon == "overview"} for label, icon in entries
    ]
    found[3]["children"] = [
        {"label": "Statement", "url": "#"},
        {"label": "Top-ups", "url": "#"},
        {"label": "Invoices", "url": "#"},
    ]
    return found
