"""The wallet's statement: opening + movements = closing, on the page, on paper and as CSV."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from postmeter.customers import permissions
from postmeter.db.public_ids import public_ids
from postmeter.kit import csv
from postmeter.kit.money import MICROS
from postmeter.kit.phone import for_people
from postmeter.ledger.queries import Line
from postmeter.messaging import inbox
from postmeter.messaging import queries as messaging
from postmeter.statements import documents, months
from postmeter.statements import queries as statements
from postmeter.statements.queries import INCOMING, OUTGOING, SINGLY, Month, words_of
from postmeter.wallets import accounts
from postmeter.wallets import queries as wallets
from postmeter.wallets.accounts import Account
from postmeter.wallets.models import Wallet
from postmeter.web import cursors
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.views.accounts import chosen

PER_PAGE = 200
CSV_AT_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A line of the statement as people read it."""

    day: date | None
    at: datetime | None
    words: str
    url: str
    amount_micros: int
    balance_micros: int
    unfold: bool


class PeriodForm(forms.Form):
    """Both days belong to it, in the customer's zone."""

    since = forms.DateField(label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def clean(self) -> dict[str, Any]:
        found = self.cleaned_data
        if not self.errors and found["since"] > found["until"]:
            self.add_error("until", "This is before the first day. Choose the same day or a later one.")
        return found


@dataclass(frozen=True, slots=True)
class Period:
    """[since, until) as moments, from two days of a zone."""

    first: date
    last: date
    since: datetime
    until: datetime

    @classmethod
    def of(cls, first: date, last: date, zone: ZoneInfo) -> "Period":
        return cls(first, last, datetime.combine(first, time(), zone), datetime.combine(last + timedelta(days=1), time(), zone))


@require_safe
@member_page(permission=permissions.READ_BALANCE)
def statement(request: MemberRequest) -> HttpResponse:
    """GET /credit/statement/?since=&until=&each=1&after=LE…: by day, or one by one with `each`."""
    return _statement(request, chosen(request))


@require_safe
@member_page(permission=permissions.READ_BALANCE)
def account_log(request: MemberRequest, wallet_id: int) -> HttpResponse:
    """GET /credit/accounts/WA…/log/: everything that came and went in the last 30 days, or those asked for (S-153, S-167 … S-169)."""
    return _statement(request, accounts.account(customer_id=request.seat.customer_id, seat=request.seat, wallet_id=wallet_id))


def _statement(request: MemberRequest, account: Account | None) -> HttpResponse:
    form, period, wallet = _asked(request, account)
    if period is None:
        return render(request, "web/statement.html", {"form": form}, status=422)
    customer_id, zone = request.seat.customer_id, request.customer.time_zone
    days = wallets.daily_statement(
        customer_id=customer_id, wallet=wallet, since=period.since, until=period.until, time_zone=zone, singly=SINGLY
    )
    each, older = bool(request.GET.get("each")), None
    if each:
        after = cursors.row_id(request.GET["after"], "LE") if request.GET.get("after") else None
        lines = _lines(customer_id, wallet, period, after, PER_PAGE + 1)
        older = public_ids().encode("LE", lines[PER_PAGE - 1].id) if len(lines) > PER_PAGE else None
        shown = _each(customer_id, lines[:PER_PAGE])
    else:
        shown = [
            Shown(row.day, None, words_of(row.code, row.count), _url(row.code, row.ref_id, row.count), row.amount_micros,
                  row.balance_micros, row.count > 1)
            for row in days.sums
        ]  # fmt: skip
    return render(
        request,
        "web/statement.html",
        {
            "form": form,
            "period": period,
            "unit": wallet.unit,
            "opening": days.opening_micros,
            "closing": days.closing_micros,
            "came": sum(row.amount_micros for row in days.sums if row.amount_micros > 0),
            "went": sum(row.amount_micros for row in days.sums if row.amount_micros < 0),
            "count": sum(row.count for row in days.sums),
            "lines": shown,
            "each": each,
            "next_after": older,
            "first_page": not request.GET.get("after"),
            "account": account,
            "months": [] if account and account.seat else _months(request, wallet),
            "debt": wallets.balance(customer_id=customer_id, wallet=wallet).debt_micros,
        },
    )


@require_safe
@member_page(permission=permissions.READ_BALANCE)
def statement_csv(request: MemberRequest) -> HttpResponse:
    """GET /credit/statement.csv?since=&until=: every movement; amounts are numbers, times carry their zone's offset."""
    form, period, wallet = _asked(request, chosen(request))
    if period is None:
        return render(request, "web/statement.html", {"form": form}, status=422)
    headers = [f"Time ({request.customer.time_zone})", "What", "Concerns", f"Amount {wallet.unit}", f"Balance {wallet.unit}"]
    body = b"".join(csv.write(headers, _csv_rows(request.seat.customer_id, wallet, period, ZoneInfo(request.customer.time_zone))))
    answer = HttpResponse(body, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="statement-{period.first}-{period.last}.csv"'
    return answer


@require_safe
@member_page(permission=permissions.READ_BALANCE)
def month_pdf(request: MemberRequest, month: str) -> HttpResponse:
    """GET /credit/statement/2026-11.pdf: sums by day, and the hash of the closed month."""
    found = _month(request, month)
    answer = HttpResponse(documents.pdf_of(found), content_type="application/pdf")
    answer["Content-Disposition"] = f'inline; filename="{documents.name_of(found, "pdf")}"'
    answer["Cache-Control"] = "private, no-store"
    return answer


@require_safe
@member_page(permission=permissions.READ_BALANCE)
def month_csv(request: MemberRequest, month: str) -> HttpResponse:
    """GET /credit/statement/2026-11.csv: every movement; of a closed month the file whose hash was mailed."""
    found = _month(request, month)
    answer = HttpResponse(b"".join(documents.csv_of(found)), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{documents.name_of(found, "csv")}"'
    answer["Cache-Control"] = "private, no-store"
    return answer


def _month(request: MemberRequest, month: str) -> Month:
    customer_id = request.seat.customer_id
    wallet = _wallet(request, chosen(request))
    return statements.month(customer_id=customer_id, wallet_id=wallet.id, month=months.read(month), now=timezone.now())


def _months(request: MemberRequest, wallet: Wallet) -> list[dict[str, Any]]:
    """The month that it is, and those that are closed."""
    closed = statements.statements(customer_id=request.seat.customer_id, wallet_id=wallet.id)
    this = timezone.localdate().replace(day=1)
    shown = [{"month": row.month, "written": months.written(row.month), "closed": row} for row in closed]
    return [{"month": this, "written": months.written(this), "closed": None}, *shown]


def _csv_rows(customer_id: int, wallet: Wallet, period: Period, zone: ZoneInfo) -> Iterator[Sequence[csv.Cell]]:
    with closing(wallets.lines(customer_id=customer_id, wallet=wallet, since=period.since, until=period.until)) as lines:
        for written, line in enumerate(lines):
            if written >= CSV_AT_MOST:
                yield "", f"This file ends after {CSV_AT_MOST} lines. Choose a shorter period for the rest.", "", None, None
                return
            time_text = line.at.astimezone(zone).isoformat(sep=" ", timespec="seconds")
            amount, balance = Decimal(line.amount_micros) / MICROS, Decimal(line.balance_micros) / MICROS
            yield time_text, words_of(line.code, 1), _concerns(line.code, line.ref_id), amount, balance


def _wallet(request: MemberRequest, account: Account | None) -> Wallet:
    return account.wallet if account else wallets.pool(customer_id=request.seat.customer_id)


def _asked(request: MemberRequest, account: Account | None) -> tuple[PeriodForm, Period | None, Wallet]:
    """The days that were asked for; without any, this month until today, or of a member's account the last 30 (S-168)."""
    today, asked = timezone.localdate(), request.GET
    first = today - timedelta(days=29) if account else today.replace(day=1)
    form = PeriodForm(
        {
            "since": asked.get("since") or first.isoformat(),
            "until": asked.get("until") or today.isoformat(),
        }
    )
    wallet = _wallet(request, account)
    if not form.is_valid():
        return form, None, wallet
    period = Period.of(form.cleaned_data["since"], form.cleaned_data["until"], ZoneInfo(request.customer.time_zone))
    return form, period, wallet


def _lines(customer_id: int, wallet: Wallet, period: Period, after: int | None, at_most: int) -> tuple[Line, ...]:
    page = wallets.statement_page(
        customer_id=customer_id, wallet=wallet, since=period.since, until=period.until, after_id=after, at_most=at_most
    )
    return page.lines


def _each(customer_id: int, lines: Sequence[Line]) -> list[Shown]:
    texts = messaging.messages_named(
        customer_id=customer_id, message_ids={line.ref_id for line in lines if line.code in OUTGOING}
    )
    received = inbox.received_named(customer_id=customer_id, ids={line.ref_id for line in lines if line.code in INCOMING})
    shown = []
    for line in lines:
        words, url = words_of(line.code, 1), _url(line.code, line.ref_id, 1)
        if text := texts.get(line.ref_id):
            words += f" to {for_people(text.recipient)}"
        elif came := received.get(line.ref_id):
            words, url = f"{words} from {for_people(came.sender)}", reverse("thread", kwargs={"thread_id": came.thread_id})
        shown.append(Shown(None, line.at, words, url, line.amount_micros, line.balance_micros, unfold=False))
    return shown


def _url(code: str, ref_id: int, count: int) -> str:
    """Where a movement is explained; empty where there is no such page."""
    if count > 1:
        return ""
    if code in OUTGOING:
        return reverse("trail", kwargs={"message_id": ref_id})
    return reverse("top-up-result", kwargs={"top_up_id": ref_id}) if code == "top_up" else ""


def _concerns(code: str, ref_id: int) -> str:
    prefix = "SM" if code in OUTGOING else "MI" if code in INCOMING else "TU" if code == "top_up" else ""
    return public_ids().encode(prefix, ref_id) if prefix else ""
