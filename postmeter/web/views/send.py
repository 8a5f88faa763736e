"""Sending: write or upload, see the exact price, confirm, watch it go. A list is a quote first; what is shown is what is charged."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from postmeter.customers.permissions import READ_MESSAGES, SEND
from postmeter.db import scope
from postmeter.kit import csv
from postmeter.kit.money import decimal_string, from_minor
from postmeter.kit.refusals import BadInput, NotCovered, Refusal
from postmeter.messaging import callsettings, lint, media, night, queries
from postmeter.messaging.channels import CHANNELS, email, sms
from postmeter.messaging.kinds import AD_HOC
from postmeter.messaging.models import Quote, QuoteItem
from postmeter.messaging.operations import fax
from postmeter.messaging.operations import quote as quotes
from postmeter.messaging.operations.cancel import cancel_batch
from postmeter.messaging.operations.instead import emails_of
from postmeter.messaging.operations.quote import Wanted
from postmeter.messaging.providers import Media
from postmeter.messaging.queries import Progress
from postmeter.messaging.states import MACHINE, State
from postmeter.topups import price as prices
from postmeter.topups.queries import Figures
from postmeter.wallets import queries as wallets
from postmeter.web import context, uploads
from postmeter.web.downloads import csv_download
from postmeter.web.forms import add_refusal
from postmeter.web.models import Upload
from postmeter.web.session import MemberRequest, member_page

WRITING, UPLOADING = ["Write", "Check", "Send"], ["File", "Columns", "Check", "Send"]
EXCLUDED_AT_ONCE, SAMPLES, FIRST_ROWS = 50, 3, 5
WATCHED_FOR = timedelta(hours=1)  # how long a page keeps asking about a list whose receipts do not come

WAITS = {"1": "a day", "3": "three days", "7": "a week"}  # for credit
WORDLESS = frozenset({"mms", "fax"})  # what may go without a text: a picture, and pages without a cover sheet
GIVEN = ("channel", "recipients")  # what a link to the form may fill in
_SEPARATORS = re.compile(r"[\n,;]")
_FIELDS = {"to": "recipients", "messages": "recipients", "media": "attached", "file": "attached"}


class TextForm(forms.Form):
    text = forms.CharField(strip=False, widget=forms.Textarea(attrs={"rows": 6}))

    def body(self) -> str:
        """The text with line ends as people count them: a browser posts two characters for each."""
        return str(self["text"].value() or "").replace("\r\n", "\n")


class FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Several files of one field; cleans to a list."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        return [super(FilesField, self).clean(each, initial) for each in data or []]


class ComposeForm(TextForm):
    channel = forms.ChoiceField(
        label="Send as",
        choices=[
            ("sms", "Text message"),
            ("mms", "Picture message"),
            ("voice", "Call"),
            ("fax", "Fax"),
            ("email", "Email, free"),
        ],
        widget=forms.RadioSelect,
        initial="sms",
    )
    recipients = forms.CharField(
        label="To",
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
        help_text="Telephone numbers, or addresses for an email: one on each line or with commas between them.",
    )
    subject = forms.CharField(required=False, max_length=email.SUBJECT_AT_MOST, label="Subject")
    attached = FilesField(
        required=False,
        label="Files",
        help_text="Pictures for a picture message, PDF or pictures for a fax, any files for an email. 5 MB together.",
    )
    field_order = ("channel", "recipients", "subject", "text", "attached")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["channel"].required = False  # a form that does not say is one for texts
        self.fields["text"].required = self.chosen not in WORDLESS

    @property
    def chosen(self) -> str:
        """The channel."""
        given = self["channel"].value()
        return given if given in CHANNELS else "sms"

    def content(self) -> str:
        """What is kept of it. Raises BadInput for an email without a subject."""
        return email.compose(self["subject"].value() or "", self.body()) if self.chosen == "email" else self.body()

    def numbers(self) -> list[str]:
        return [part.strip() for part in _SEPARATORS.split(self["recipients"].value() or "") if part.strip()]


class UploadForm(forms.Form):
    file = forms.FileField(
        label="List",
        help_text=f"A CSV file with one recipient a row, up to {uploads.MAX_ROWS:,} rows and {uploads.MAX_BYTES >> 20} MB.",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,.tsv,text/csv"}),
    )


class ColumnsForm(TextForm):
    number = forms.TypedChoiceField(coerce=int, label="Column with the telephone numbers")
    field_order = ("number", "text")

    def __init__(self, *args: Any, table: csv.Table, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["number"].choices = list(enumerate(table.headers))  # type: ignore[attr-defined]


# --- writing


@member_page(permission=SEND)
def compose(request: MemberRequest) -> HttpResponse:
    """GET ?channel= &recipients=: the form. POST: on to the quote; with `show` only the price, with `cheaper` the plainer spelling."""
    if request.method != "POST":
        given = ComposeForm(initial={name: request.GET[name] for name in GIVEN if name in request.GET})
        return _compose_page(request, given, None)
    form = ComposeForm(request.POST, request.FILES)
    if "cheaper" in request.POST:
        form = ComposeForm(
            {"recipients": request.POST.get("recipients"), "text": _spelled_plainly(form.body()), "channel": "sms"}
        )
    told = _told(request, form)
    if "show" in request.POST or "cheaper" in request.POST or not form.is_valid():
        return _compose_page(request, form, told)
    try:
        return redirect("quote", _quote_typed(request, form, told).id)
    except Refusal as refusal:
        add_refusal(form, refusal, _FIELDS)
        return _compose_page(request, form, told, status=refusal.status)


def _quote_typed(request: MemberRequest, form: ComposeForm, told: "Preview") -> Quote:
    """The quote for what was typed. What nobody could get is said here, beside its field, and not on a quote of nothing."""
    CHANNELS[form.chosen].count(form.content())
    lint.check(form.body())
    if told.excluded and not told.recipients:
        raise BadInput(f"{told.excluded[0].excluded_text}", field="to")
    wanted, now = [Wanted(number, form.content()) for number in form.numbers()], timezone.now()
    files = [Media(file.name or "file", "", file.read()) for file in form.cleaned_data["attached"]]
    customer_id, pages = request.seat.customer_id, 0
    if form.chosen == "fax":
        drawn, pages = fax.draw(customer_id=customer_id, text=form.body(), files=files)
        files = [drawn]
    with scope.customer(customer_id):
        kept = media.keep(customer_id=customer_id, files=files, actor=request.actor, now=now, pages=pages)
        return quotes.make(
            customer_id=customer_id, wanted=wanted, actor=request.actor, now=now, channel=form.chosen, media_ids=kept
        )


def _told(request: MemberRequest, form: ComposeForm) -> "Preview":
    """What is known while somebody types: an email may lack its subject still."""
    content = f"{form['subject'].value() or '.'}\n{form.body()}" if form.chosen == "email" else form.body()
    return preview_of(request, [Wanted(number, content) for number in form.numbers()], form.body(), form.chosen)


def _compose_page(request: MemberRequest, form: ComposeForm, told: "Preview | None", status: int | None = None) -> HttpResponse:
    wrong = form.is_bound and bool(form.errors)
    return render(
        request,
        "web/send.html",
        {"form": form, "told": told, "unit": unit_of(request), "steps": WRITING, "channel": form.chosen},
        status=status or (422 if wrong and not request.POST.get("show") else 200),
    )


def _spelled_plainly(text: str) -> str:
    try:
        cheaper = sms.measure(text).cheaper
    except Refusal:
        return text
    return cheaper.text if cheaper else text


@dataclass(frozen=True, slots=True)
class Preview:
    """What is known of a text and its recipients while somebody types; money in micro-units."""

    measured: sms.Measure | None
    problem: Refusal | None
    good: Sequence[QuoteItem]
    excluded: Sequence[QuoteItem]

    @property
    def recipients(self) -> int:
        return len(self.good)

    @property
    def minutes(self) -> int:
        """Of one call."""
        return max((item.segments for item in self.good), default=1)

    @property
    def price_micros(self) -> int:
        return sum(item.price_micros for item in self.good)

    @property
    def fee_micros(self) -> int:
        return sum(item.fee_micros for item in self.good)

    @property
    def total_micros(self) -> int:
        return self.price_micros + self.fee_micros


def preview_of(request: MemberRequest, wanted: Sequence[Wanted], text: str, channel: str = "sms") -> Preview:
    """Measures the text, and prices it for everybody. An empty text is no problem yet. Only a text message has segments."""
    if not text.strip() and channel not in WORDLESS:
        return Preview(None, None, (), ())
    try:
        lint.check(text)
        measured = sms.measure(text) if channel == "sms" else None
        items = quotes.preview(
            customer_id=request.seat.customer_id, actor=request.actor, wanted=wanted, now=timezone.now(), channel=channel
        )
    except Refusal as refusal:
        return Preview(None, refusal, (), ())
    good = [item for item in items if not item.excluded_code]
    return Preview(measured, None, good, [item for item in items if item.excluded_code])


def unit_of(request: MemberRequest) -> str:
    """What messages are paid in."""
    return wallets.pool(customer_id=request.seat.customer_id).unit


@require_POST
@member_page(permission=SEND)
def preview(request: MemberRequest) -> HttpResponse:
    """POST recipients, text: the part of the page that shows segments and price, while somebody types."""
    form = ComposeForm(request.POST)
    told = _told(request, form)
    return render(request, "web/send_preview.html", {"told": told, "unit": unit_of(request), "channel": form.chosen})


# --- uploading


@member_page(permission=SEND)
def upload(request: MemberRequest) -> HttpResponse:
    """GET: the form. POST file: keeps it and goes on to its columns."""
    form = UploadForm(request.POST or None, request.FILES or None)
    status = 200
    if request.method == "POST":
        form = UploadForm(request.POST, request.FILES)
        status = 422
        if form.is_valid():
            try:
                return redirect("columns", _keep(request, form))
            except Refusal as refusal:
                add_refusal(form, refusal)
    return render(request, "web/send_list.html", {"form": form, "steps": UPLOADING}, status=status)


def _keep(request: MemberRequest, form: UploadForm) -> int:
    file = form.cleaned_data["file"]
    return uploads.keep(
        customer_id=request.seat.customer_id,
        name=file.name,
        content=file.read(uploads.MAX_BYTES + 1),
        actor=request.actor,
        now=timezone.now(),
    )


@member_page(permission=SEND)
def columns(request: MemberRequest, upload_id: int) -> HttpResponse:
    """GET ?header=0|1: which column is what, and the text. POST number, text: on to the quote."""
    kept, table = _table(request, upload_id)
    guess = uploads.guess(table, request.customer.country)
    form = ColumnsForm(request.POST or None, table=table, initial={"number": guess.number})
    showing = "show" in request.POST
    if request.method == "POST" and form.is_valid() and not showing:
        try:
            return redirect("quote", _quote_list(request, form, kept.name, table).id)
        except Refusal as refusal:
            add_refusal(form, refusal, {"messages": "text"})
    return render(
        request,
        "web/send_columns.html",
        {
            "form": form,
            "upload": kept,
            "table": table,
            "first": table.rows[:FIRST_ROWS],
            "guess": guess,
            "example": table.headers[guess.name] if guess.name is not None else table.headers[0],
            "steps": UPLOADING,
            "told": columns_preview_of(request, form, table),
        },
        status=422 if form.is_bound and (form.errors or not showing) else 200,
    )


@require_POST
@member_page(permission=SEND)
def columns_preview(request: MemberRequest, upload_id: int) -> HttpResponse:
    """POST ?header= number, text: the first rows as they will read, while somebody types."""
    table = _table(request, upload_id)[1]
    told = columns_preview_of(request, ColumnsForm(request.POST, table=table), table)
    return render(request, "web/columns_preview.html", {"told": told})


def _table(request: MemberRequest, upload_id: int) -> tuple[Upload, csv.Table]:
    """The kept file, read with `?header=`. Raises Gone."""
    kept = uploads.kept(customer_id=request.seat.customer_id, upload_id=upload_id, now=timezone.now())
    return kept, uploads.table_of(kept, header={"0": False, "1": True}.get(request.GET.get("header", "")))


@dataclass(frozen=True, slots=True)
class ColumnsPreview:
    """The first rows as their recipients would read them, and the later rows that lack something."""

    problem: Refusal | None = None
    items: Sequence[QuoteItem] = ()
    later: Sequence[Wanted] = ()


def columns_preview_of(request: MemberRequest, form: ColumnsForm, table: csv.Table) -> ColumnsPreview | None:
    """None while there is no text or no column."""
    form.is_valid()
    if not form.is_bound or not form.body().strip() or form.cleaned_data.get("number") is None:
        return None
    try:
        wanted = uploads.wanted(table, number=form.cleaned_data["number"], text=form.body())
        items = quotes.preview(
            customer_id=request.seat.customer_id, actor=request.actor, wanted=wanted[:FIRST_ROWS], now=timezone.now()
        )
    except Refusal as refusal:
        return ColumnsPreview(problem=refusal)
    return ColumnsPreview(items=items, later=[row for row in wanted[FIRST_ROWS:] if row.problem])


def _quote_list(request: MemberRequest, form: ColumnsForm, name: str, table: csv.Table) -> Quote:
    wanted = uploads.wanted(table, number=form.cleaned_data["number"], text=form.body())
    return quotes.make(customer_id=request.seat.customer_id, wanted=wanted, actor=request.actor, now=timezone.now(), source=name)


# --- the quote


@require_GET
@member_page(permission=SEND)
def quote(request: MemberRequest, quote_id: int) -> HttpResponse:
    """GET ?after=position: the exact price, who is excluded and why, the balance before and after."""
    found = queries.quote(customer_id=request.seat.customer_id, quote_id=quote_id)
    if found.batch_id:
        return redirect("batch", found.batch_id)
    return _quote_page(request, found)


def _quote_page(request: MemberRequest, found: Quote, refusal: Refusal | None = None) -> HttpResponse:
    customer_id, figures = request.seat.customer_id, context.figures_of(request.seat)
    excluded = queries.quote_items(
        customer_id=customer_id, quote_id=found.id, excluded=True, after=_after(request), at_most=EXCLUDED_AT_ONCE + 1
    )
    samples = queries.quote_items(customer_id=customer_id, quote_id=found.id, excluded=False, at_most=SAMPLES)
    shown = {
        "quote": found,
        "refusal": refusal,
        "steps": UPLOADING if found.source else WRITING,
        "expired": found.valid_until <= timezone.now(),
        "spelling": queries.spelling(customer_id=customer_id, quote_id=found.id),
        "files": media.listed(customer_id=customer_id, message_ids=[found.id]).get(found.id, []),
        "samples": [(item, *_worded(found, item)) for item in samples],
        "spoken": _spoken(request) if found.channel == "voice" else None,
        "excluded": excluded[:EXCLUDED_AT_ONCE],
        "more_excluded": excluded[EXCLUDED_AT_ONCE - 1].position if len(excluded) > EXCLUDED_AT_ONCE else None,
        "past_first": _after(request) >= 0,
        "asleep": night.asleep(customer_id=customer_id, quote_id=found.id, now=timezone.now()),
        "figures": figures,
    }
    if figures:
        shown |= _money_after(request, found, figures)
    return render(request, "web/send_quote.html", shown, status=refusal.status if refusal else 200)


def _worded(found: Quote, item: QuoteItem) -> tuple[str, str]:
    return email.split(item.body) if found.channel == "email" else ("", item.body)


def _spoken(request: MemberRequest) -> dict[str, list[str]]:
    """What is said before and after the text."""
    known = callsettings.rules(customer_id=request.seat.customer_id)
    script = callsettings.script_of(request.customer, known, kind=AD_HOC, sender=request.customer.sender)
    return {"before": script.opening(), "after": script.menu()}


def _money_after(request: MemberRequest, found: Quote, figures: Figures) -> dict[str, Any]:
    """The balance once all is held; where credit is short, how much is missing and what could go with it (A-46)."""
    missing = found.total_micros - figures.available_micros
    if missing <= 0:
        return {"after": held(figures, found.total_micros)}
    count, cost = queries.fitting(
        customer_id=request.seat.customer_id, quote_id=found.id, available_micros=figures.available_micros
    )
    top_up = context.address_of(context.TOP_UP, request.seat)
    coin = from_minor(1, found.unit)
    least = prices.least(customer_id=request.seat.customer_id, wallet=figures.wallet, now=timezone.now())
    amount = decimal_string(max(-(-missing // coin) * coin, least))
    back = urlencode({"amount": amount, "next": reverse("quote", args=[found.id])})
    return {
        "missing_micros": missing,
        "top_up": f"{top_up}?{back}" if top_up else "",
        "part": {"count": count, "micros": cost, "after": held(figures, cost)} if count else None,
        "rest": found.recipients - count,
        "waits": WAITS if found.channel != "email" else {},
        "emailed": _emailed(found, count) if found.channel == "sms" else 0,
    }


def _emailed(found: Quote, count: int) -> int:
    """How many of those whom the credit does not cover can be written to for nothing."""
    with scope.customer(found.customer_id):
        rest = queries.beyond(customer_id=found.customer_id, quote_id=found.id, count=count)
        return len(emails_of(customer_id=found.customer_id, phones=rest, kind=AD_HOC))


def held(figures: Figures, micros: int) -> Figures:
    """These figures once this much more is held."""
    return replace(figures, held_micros=figures.held_micros + micros, available_micros=figures.available_micros - micros)


def _after(request: MemberRequest) -> int:
    text = request.GET.get("after", "")
    return int(text) if text.isdecimal() and len(text) < 10 else -1


@require_POST
@member_page(permission=SEND)
def send(request: MemberRequest, quote_id: int) -> HttpResponse:
    """POST: send it, all or nothing. A second press answers the first one's list.

    `short` says what becomes of what the credit does not cover: `part` leaves it, `wait` with `days` keeps it, `email` emails it.
    """
    customer_id, now, short = request.seat.customer_id, timezone.now(), request.POST.get("short")
    days = request.POST.get("days", "")
    until = now + timedelta(days=int(days)) if short == "wait" and days in WAITS else None
    try:
        accepted = quotes.send(
            customer_id=customer_id,
            quote_id=quote_id,
            actor=request.actor,
            now=now,
            whole=short not in ("part", "email"),
            wait_until=until,
            or_email=short == "email",
        )
    except (NotCovered, quotes.QuoteExpired) as refusal:
        return _quote_page(request, queries.quote(customer_id=customer_id, quote_id=quote_id), refusal)
    return redirect("batch", accepted.batch_id)


@require_POST
@member_page(permission=SEND)
def quote_again(request: MemberRequest, quote_id: int) -> HttpResponse:
    """POST: the same list at today's prices; `plainly=1` spells texts plainly where that is cheaper."""
    made = quotes.again(
        customer_id=request.seat.customer_id,
        quote_id=quote_id,
        actor=request.actor,
        now=timezone.now(),
        plainly=request.POST.get("plainly") == "1",
    )
    return redirect("quote", made.id)


@require_GET
@member_page(permission=SEND)
def excluded_csv(request: MemberRequest, quote_id: int) -> HttpResponseBase:
    """GET: who does not get the message, as CSV."""
    customer_id = request.seat.customer_id
    found = queries.quote(customer_id=customer_id, quote_id=quote_id)

    def rows() -> Iterator[Sequence[csv.Cell]]:
        after = -1
        while items := queries.quote_items(customer_id=customer_id, quote_id=found.id, excluded=True, after=after, at_most=1_000):
            for item in items:
                yield [item.line or item.position + 1, item.given, item.excluded_text]
            after = items[-1].position

    return csv_download(request, "not-sent.csv", ["Line", "Number", "Reason"], rows())


# --- the list under way


@require_GET
@member_page(permission=READ_MESSAGES)
def batch(request: MemberRequest, batch_id: int) -> HttpResponse:
    """GET: how far a list has got."""
    return render(request, "web/batch.html", _progress(request, batch_id))


@require_GET
@member_page(permission=READ_MESSAGES)
def batch_progress(request: MemberRequest, batch_id: int) -> HttpResponse:
    """GET: the part of that page that changes, for htmx."""
    return render(request, "web/batch_progress.html", _progress(request, batch_id))


def _progress(request: MemberRequest, batch_id: int) -> dict[str, Any]:
    progress = queries.progress(customer_id=request.seat.customer_id, batch_id=batch_id)
    counts = Counts.of(progress)
    return {
        "progress": progress,
        "batch": progress.batch,
        "counts": counts,
        "unit": unit_of(request),
        "states": [(state, progress.states[state]) for state in State if progress.states.get(state)],
        "watch": not counts.is_over and timezone.now() - progress.batch.created_at < WATCHED_FOR,
        "can_stop": SEND in request.seat.permissions and counts.stoppable > 0,
    }


@dataclass(frozen=True, slots=True)
class Counts:
    """A list's messages for the bar: gone out, failed, left; what was taken back is no part of it."""

    done: int
    failed: int
    left: int
    stopped: int
    stoppable: int
    is_over: bool

    @classmethod
    def of(cls, progress: Progress) -> "Counts":
        def count(*states: State) -> int:
            return sum(progress.states.get(state, 0) for state in states)

        return cls(
            done=count(State.SENT, State.DELIVERED),
            failed=count(State.UNDELIVERED, State.FAILED, State.EXPIRED),
            left=count(State.WAITING, State.QUEUED, State.SENDING, State.UNKNOWN),
            stopped=count(State.CANCELLED),
            stoppable=count(State.WAITING, State.QUEUED),
            is_over=all(State(state) in MACHINE.finals for state in progress.states),
        )

    @property
    def total(self) -> int:
        return self.done + self.failed + self.left


@require_POST
@member_page(permission=SEND)
def stop(request: MemberRequest, batch_id: int) -> HttpResponse:
    """POST: take back what has not gone out. Pressing twice takes back nothing more."""
    customer_id = request.seat.customer_id
    found = queries.batch(customer_id=customer_id, batch_id=batch_id)
    count = cancel_batch(customer_id=customer_id, batch_id=found.id, now=timezone.now(), actor=request.actor)
    if count:
        what = "1 message was" if count == 1 else f"{count:,} messages were"
        messages.success(request, f"Stopped. {what} taken back, and nothing is charged for them.")
    else:
        messages.info(request, "There was nothing left to stop: everything had gone out.")
    return redirect("batch", found.id)
