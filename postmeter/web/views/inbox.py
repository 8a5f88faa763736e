"""The inbox: what came in, one conversation with each contact, and what to do about it."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_POST

from postmeter.consent import queries as consent
from postmeter.consent.models import ALL
from postmeter.contacts import operations as contacts
from postmeter.customers import queries as customers
from postmeter.customers.permissions import READ_MESSAGES, SEND
from postmeter.db.public_ids import public_ids
from postmeter.kit.idempotency import digest
from postmeter.kit.phone import looks_e164
from postmeter.kit.refusals import BadInput, NotFound, Refusal
from postmeter.messaging import inbox, media
from postmeter.messaging.channels import CHANNELS
from postmeter.messaging.faxes.pages import addressed
from postmeter.messaging.faxes.pages import preview as page_of
from postmeter.messaging.inbox import Conversation
from postmeter.messaging.kinds import AD_HOC, PURPOSES
from postmeter.messaging.operations import stopping
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.quote import Wanted
from postmeter.web.forms import add_refusal, key_of
from postmeter.web.session import MemberRequest, member_page, require
from postmeter.web.views.send import Preview, TextForm, preview_of, unit_of

AT_ONCE = 50
CALLED = {"sms": "texts", "fax": "faxes", "email": "emails", "voice": "calls"}
WHICH = {"all": "All", "unread": "Unread", "attention": "Needs attention", "mine": "Mine"}
EMPTY = {
    "all": "Nobody has written yet. What people reply stands here, one conversation with each.",
    "unread": "Everything is read.",
    "attention": "Nothing needs anybody.",
    "mine": "No conversation is yours.",
}


class ReplyForm(TextForm):
    """`price` is what the page has shown: nothing is sent for another one."""

    text = forms.CharField(strip=False, label="Your reply", widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}))
    price = forms.IntegerField(required=False, widget=forms.HiddenInput)


class ConsentForm(forms.Form):
    """What somebody said about being written to, as a member heard it."""

    at = forms.ChoiceField(label="Where")
    purpose = forms.ChoiceField(label="What", choices=[(ALL, "all messages"), *PURPOSES.items()])
    words = forms.CharField(
        label="What they said", required=False, help_text="And where and when, such as “on the telephone, 3 March”."
    )

    def __init__(self, found: Conversation, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        addresses = [(phone, on) for phone in found.person.phones for on in stopping.REFUSABLE if CHANNELS[on].medium != "email"]
        addresses += [(fax, "fax") for fax in found.person.faxes if fax not in found.person.phones and looks_e164(fax)]
        addresses += [(address, "email") for address in found.person.emails]
        self.fields["at"].choices = [  # type: ignore[attr-defined]
            (f"{on} {address}", f"{CALLED.get(on, on)} to {address}") for address, on in addresses
        ]


class NameForm(forms.Form):
    name = forms.CharField(
        label="Who is this?", max_length=contacts.NAME_AT_MOST, error_messages={"required": "Write who this is."}
    )
    kind = forms.ChoiceField(label="Kind", choices=[("client", "Client"), ("contact", "Other contact")])


@require_GET
@member_page(permission=READ_MESSAGES)
def listed(request: MemberRequest) -> HttpResponse:
    """GET /inbox/ ?which=all|unread|attention|mine &q= &before=: the newest first."""
    which = request.GET.get("which", "all")
    which = which if which in WHICH else "all"
    text = " ".join(request.GET.get("q", "").split())[:100]
    found = inbox.threads(
        customer_id=request.seat.customer_id,
        which=which,
        member_id=request.seat.member_id,
        text=text,
        before=_moment(request.GET.get("before", "")),
        at_most=AT_ONCE + 1,
    )
    rows, more, names = found[:AT_ONCE], len(found) > AT_ONCE, _names(request)
    shown = {
        "rows": [(row, names.get(row.thread.assigned_to or 0, "")) for row in rows],
        "older": rows[-1].thread.last_at.isoformat() if more else None,
        "which": which,
        "choices": WHICH,
        "text": text,
        "empty": "Nobody is called that, and no number is like it." if text else EMPTY[which],
    }
    return render(request, "web/inbox.html", shown)


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _names(request: MemberRequest) -> dict[int, str]:
    return {seat.member_id: seat.name for seat in customers.members(customer_id=request.seat.customer_id)}


@member_page(permission=READ_MESSAGES)
def thread(request: MemberRequest, thread_id: int) -> HttpResponse:
    """GET /inbox/TH…/: the conversation, read from now on. POST `do`: reply, name, assign, heard, done or unread."""
    customer_id = request.seat.customer_id
    found = inbox.conversation(customer_id=customer_id, thread_id=thread_id)
    if request.method == "POST":
        require(request.seat, SEND)
        return _DO.get(request.POST.get("do", ""), _nothing)(request, found)
    inbox.mark_read(customer_id=customer_id, thread_id=thread_id)
    return _page(request, found)


def _page(request: MemberRequest, found: Conversation, *, status: int = 200, **changed: Any) -> HttpResponse:
    customer_id, names = request.seat.customer_id, _names(request)
    to, channel = _address(found)
    out = consent.opted_out(customer_id=customer_id, channel=channel, addresses=[to] if to else [], purpose=AD_HOC)
    shown: dict[str, Any] = {
        "found": found,
        "to": to,
        "channel": channel,
        "lines": inbox.lines(customer_id=customer_id, conversation=found),
        "opted_out": bool(out),
        "can_send": SEND in request.seat.permissions,
        "form": ReplyForm(),
        "naming": NameForm(initial={"name": found.person.name, "kind": found.person.kind}),
        "members": [(public_ids().encode("MB", id_), name, id_ == found.thread.assigned_to) for id_, name in names.items()],
        "assigned": names.get(found.thread.assigned_to or 0, ""),
        "told": None,
        "unit": unit_of(request),
        "consent_form": ConsentForm(found),
        "opt_outs": [
            (CALLED.get(row.channel, row.channel), row.address, PURPOSES.get(row.purpose, "any messages"), row)
            for row in consent.opt_outs(customer_id=customer_id, addresses=found.person.addresses)
        ],
    }
    return render(request, "web/thread.html", shown | changed, status=status)


@require_GET
@member_page(permission=READ_MESSAGES)
def lines(request: MemberRequest, thread_id: int) -> HttpResponse:
    """GET: the part of the page with what was said, asked for again and again while it is open: nobody need be looking."""
    customer_id = request.seat.customer_id
    found = inbox.conversation(customer_id=customer_id, thread_id=thread_id)
    said = inbox.lines(customer_id=customer_id, conversation=found)
    return render(request, "web/thread_lines.html", {"lines": said, "found": found})


@require_GET
@member_page(permission=READ_MESSAGES)
def file(request: MemberRequest, media_id: int) -> HttpResponse:
    """GET: a file that came in or went out. A picture may be shown; everything else is only ever downloaded, for a page of somebody
    else's must not run under our address."""
    found = media.content(customer_id=request.seat.customer_id, media_id=media_id)
    if media.described(customer_id=request.seat.customer_id, media_id=media_id).pages:
        return _answer(addressed(found.content, to=""), media.UNKNOWN, "fax.pdf")
    shown = found.content_type in media.PICTURES
    return _answer(found.content, found.content_type if shown else media.UNKNOWN, found.name)


@require_GET
@member_page(permission=READ_MESSAGES)
def fax_page(request: MemberRequest, media_id: int, page: int) -> HttpResponse:
    """GET: a page of a fax as a picture."""
    customer_id = request.seat.customer_id
    if not 1 <= page <= media.described(customer_id=customer_id, media_id=media_id).pages:
        raise NotFound("There is no such page.")
    found = media.content(customer_id=customer_id, media_id=media_id)
    return _answer(page_of(found.content, page), "image/png", f"page {page}.png")


def _answer(content: bytes, content_type: str, name: str) -> HttpResponse:
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = str(content_disposition_header(content_type not in media.PICTURES, name))
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer["Cache-Control"] = "private, no-store"
    return answer


@require_POST
@member_page(permission=SEND)
def preview(request: MemberRequest, thread_id: int) -> HttpResponse:
    """POST text: the part of the page that shows what the reply costs, while somebody types."""
    found = inbox.conversation(customer_id=request.seat.customer_id, thread_id=thread_id)
    told = _told(request, found, ReplyForm(request.POST))
    return render(request, "web/thread_price.html", {"told": told, "unit": unit_of(request)})


def _address(found: Conversation) -> tuple[str, str]:
    """Where a reply goes, and how: to the address that wrote last, the way it came (S-060)."""
    if found.last:
        return found.last.sender, found.last.channel if found.last.channel in ("email", "fax") else "sms"
    if found.person.phones:
        return found.person.phones[0], "sms"
    if found.person.faxes:
        return found.person.faxes[0], "fax"
    return next(iter(found.person.emails), ""), "email"


def _body(found: Conversation, form: ReplyForm) -> str:
    """What is sent: an email goes under the subject of the one that it answers."""
    if _address(found)[1] != "email":
        return form.body()
    subject = (found.last.subject if found.last else "")[:190]
    subject = subject if subject.lower().startswith("re:") else f"Re: {subject}".strip()
    return f"{subject}\n{form.body()}"


def _told(request: MemberRequest, found: Conversation, form: ReplyForm) -> Preview:
    to, channel = _address(found)
    if channel == "email":
        return preview_of(request, [Wanted(to, _body(found, form))], form.body(), channel)
    return preview_of(request, [Wanted(to, form.body())], form.body())


def _reply(request: MemberRequest, found: Conversation) -> HttpResponse:
    form, now = ReplyForm(request.POST), timezone.now()
    told = _told(request, found, form)
    if not form.is_valid():
        return _page(request, found, status=422, form=form, told=told)
    if told.total_micros and form.cleaned_data["price"] != told.total_micros:
        # Typed without seeing a price, or it is another one by now: shown first, sent at the next press.
        return _page(request, found, form=ReplyForm({"text": form.body(), "price": told.total_micros}), told=told, asks=True)
    try:
        to, channel = _address(found)
        if not to:
            raise BadInput("There is no number or address to write to.", field="text")
        submit(
            Submission(
                request.seat.customer_id,
                [to],
                [_body(found, form)],
                request.actor,
                channel=channel,
                sender=_ours(request, found),
                key=key_of(request),
                digest=digest("reply", to, form.body()),
            ),
            now=now,
        )
    except Refusal as refusal:
        add_refusal(form, refusal, {"to": "text", "messages": "text"})
        return _page(request, found, status=refusal.status, form=form, told=told)
    inbox.answered(customer_id=request.seat.customer_id, thread_id=found.thread.id, now=now)
    return redirect("thread", thread_id=found.thread.id)


def _ours(request: MemberRequest, found: Conversation) -> str | None:
    """The number of ours that they wrote to, while it is ours: an answer from another one would be a stranger's."""
    number = found.last.recipient if found.last and found.last.channel != "email" else ""
    return number if number and customers.customer_of_number(number) == request.seat.customer_id else None


def _name(request: MemberRequest, found: Conversation) -> HttpResponse:
    form = NameForm(request.POST)
    if not form.is_valid():
        return _page(request, found, status=422, naming=form)
    contacts.name_contact(
        customer_id=request.seat.customer_id,
        contact_id=found.person.id,
        actor=request.actor,
        now=timezone.now(),
        **form.cleaned_data,
    )
    return redirect("thread", thread_id=found.thread.id)


def _assign(request: MemberRequest, found: Conversation) -> HttpResponse:
    given = request.POST.get("member", "")
    inbox.assign(
        customer_id=request.seat.customer_id,
        thread_id=found.thread.id,
        member_id=public_ids().decode("MB", given) if given else None,
        actor=request.actor,
        now=timezone.now(),
    )
    messages.success(request, "Saved.")
    return redirect("thread", thread_id=found.thread.id)


def _heard(request: MemberRequest, found: Conversation) -> HttpResponse:
    """Write down that they want no more, or that they came back: `heard` is stop or back."""
    form = ConsentForm(found, request.POST)
    if not form.is_valid():
        return _page(request, found, status=422, consent_form=form)
    on, _, to = form.cleaned_data["at"].partition(" ")
    write = stopping.take_back if request.POST.get("heard") == "back" else stopping.write_down
    try:
        new = write(
            customer_id=request.seat.customer_id,
            on=on,
            to=to,
            region=request.customer.country,
            purpose=form.cleaned_data["purpose"],
            words=form.cleaned_data["words"],
            source="told to a member",
            actor=request.actor,
            now=timezone.now(),
        )
    except Refusal as refusal:
        add_refusal(form, refusal, {"to": "at", "channel": "at"})
        return _page(request, found, status=refusal.status, consent_form=form)
    messages.success(request, "Saved." if new else "That is so already.")
    return redirect("thread", thread_id=found.thread.id)


def _done(request: MemberRequest, found: Conversation) -> HttpResponse:
    inbox.settle(customer_id=request.seat.customer_id, thread_id=found.thread.id, actor=request.actor, now=timezone.now())
    return redirect("thread", thread_id=found.thread.id)


def _unread(request: MemberRequest, found: Conversation) -> HttpResponse:
    inbox.mark_unread(customer_id=request.seat.customer_id, thread_id=found.thread.id)
    return redirect("inbox")


def _nothing(request: MemberRequest, found: Conversation) -> HttpResponse:
    raise BadInput("This form does nothing that is known here.", remedy="Reload the page and try again.")


_DO = {"reply": _reply, "name": _name, "assign": _assign, "done": _done, "unread": _unread, "heard": _heard}
