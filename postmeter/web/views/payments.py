"""Payment methods and the history of payments (S-011, S-110, S-137, S-140). Cards are typed in on the gateway's page only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timeuntil
from django.views.decorators.http import require_POST, require_safe

from postmeter.customers import permissions
from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import BadInput, NotFound, Refusal
from postmeter.payments import operations, queries
from postmeter.payments.health import Health, health
from postmeter.payments.models import PaymentMethod
from postmeter.topups import queries as topups
from postmeter.web import cursors, session
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.stepup import confirmed_person
from postmeter.web.views import accounts


@dataclass(frozen=True, slots=True)
class Row:
    """A card as the page shows it. `left` is the rest of its cool-down in words, `focus` the button that was pressed."""

    card: PaymentMethod
    name: str
    position: int
    is_last: bool
    is_primary: bool
    health: Health
    left: str
    focus: str


_AFTER_CARD = "after_card"  # in the session: where adding a card was begun
PER_PAGE = 25


@require_safe
@member_page(permission=permissions.MANAGE_PAYMENT_METHODS)
def payments(request: MemberRequest) -> HttpResponse:
    """GET /payments/: the cards, and every purchase with its state, its reason and its invoice."""
    customer_id, now = request.seat.customer_id, timezone.now()
    cards = queries.methods(customer_id=customer_id)
    page = cursors.page(
        request,
        "TU",
        lambda before, at_most: topups.history(customer_id=customer_id, before=before, at_most=at_most),
        size=PER_PAGE,
    )
    return render(request, "web/payments.html", {"cards": _rows(cards, request.GET.get("pressed", ""), now), "page": page})


def _rows(cards: list[PaymentMethod], pressed: str, now: datetime) -> list[Row]:
    """`pressed` is the button that led here, "up-3": it has the focus again, or its neighbour where it can go no further."""
    primary, last = queries.primary(cards, now=now), len(cards)
    way, _, place = pressed.partition("-")
    rows = []
    for position, card in enumerate(cards, start=1):
        focus = way if str(position) == place else ""
        if position in (1, last) and focus:
            focus = "down" if position == 1 else "up"
        state = health(card, now=now)
        left = timeuntil(card.cooling_until, now) if card.cooling_until and state is Health.COOLING else ""
        rows.append(Row(card, card.name, position, position == last, card is primary, state, left, focus))
    return rows


@require_POST
@member_page(permission=permissions.MANAGE_PAYMENT_METHODS)
def auto_charge(request: MemberRequest, method_id: int) -> HttpResponse:
    """POST /payments/cards/PM…/auto-charge/: the switch of one card (S-111). `on` is 1 or 0."""
    on = request.POST.get("on") == "1"
    card = operations.set_auto_charge(
        customer_id=request.seat.customer_id, method_id=method_id, on=on, now=timezone.now(), actor=request.actor
    )
    messages.success(request, f"{card.name} {'may' if on else 'will not'} be charged automatically.")
    return redirect("payments")


@require_POST
@member_page(permission=permissions.MANAGE_PAYMENT_METHODS)
def move(request: MemberRequest, method_id: int) -> HttpResponse:
    """POST /payments/cards/PM…/move/: one place up or down (A-37). `position` is the new place, `way` the button pressed."""
    text, way = request.POST.get("position", ""), request.POST.get("way", "")
    position = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    try:
        rows = operations.move(
            customer_id=request.seat.customer_id, method_id=method_id, position=position, now=timezone.now(), actor=request.actor
        )
    except BadInput as refusal:
        messages.warning(request, str(refusal))
        return redirect("payments")
    messages.success(request, f"{rows[position - 1].name} is now {position} of {len(rows)}.")
    way = "up" if way == "up" else "down"
    return redirect(f"{reverse('payments')}?pressed={way}-{position}")


@require_POST
@member_page(permission=permissions.MANAGE_PAYMENT_METHODS)
def arrange(request: MemberRequest) -> HttpResponse:
    """POST /payments/order/: the whole order after a drag (S-116). `order` names every card once, by its public id."""
    try:
        ids = [public_ids().decode("PM", each) for each in request.POST.getlist("order")]
        operations.reorder(customer_id=request.seat.customer_id, method_ids=ids, now=timezone.now(), actor=request.actor)
    except (BadInput, NotFound) as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, "The new order is saved.")
    return redirect("payments")


KINDS = {
    "card": "Card: charged at once",
    "bank_debit": "US bank account: the money arrives after up to four working days",
    "paypal": "PayPal: charged at once, unless PayPal takes it from your bank",
}


class KindForm(forms.Form):
    """What is to be added; a choice only where the operator offers more than cards."""

    kind = forms.ChoiceField(
        label="What would you like to add?", widget=forms.RadioSelect, error_messages={"required": "Choose one of these."}
    )

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.fields["kind"].choices = [(kind, KINDS[kind]) for kind in settings.PAYMENT_KINDS]  # type: ignore[attr-defined]


def _owner(request: MemberRequest) -> int:
    """For whom this member adds and removes methods: 0 is the customer, else themselves. Raises NotAllowed."""
    return 0 if permissions.MANAGE_PAYMENT_METHODS in request.seat.permissions else accounts.pays_with(request)


def _list_of(owner: int) -> str:
    return "own-methods" if owner else "payments"


@require_safe
@member_page()
def own_methods(request: MemberRequest) -> HttpResponse:
    """GET /credit/methods/: one's own payment methods, where each member has credit (R-03, A-25). Nobody else charges them."""
    cards = queries.methods(customer_id=request.seat.customer_id, member_id=accounts.pays_with(request) or -1)
    return render(request, "web/own_methods.html", {"cards": cards})


@member_page()
@confirmed_person
def add_card(request: MemberRequest) -> HttpResponse:
    """GET /payments/cards/add/?next=: asks what to add and says what follows. POST: leads to the gateway's hosted page."""
    owner = _owner(request)
    form = KindForm(request.POST or None, initial={"kind": settings.PAYMENT_KINDS[0]})
    if request.method != "POST" or not form.is_valid():
        shown = {"form": form, "next": session.way_back(request, ""), "one": len(settings.PAYMENT_KINDS) == 1}
        return render(request, "web/card_add.html", shown, status=422 if form.errors else 200)
    request.session[_AFTER_CARD] = session.way_back(request, "")
    try:
        _, page = operations.start_setup(
            customer_id=request.seat.customer_id,
            kind=form.cleaned_data["kind"],
            member_id=owner,
            actor=request.actor,
            success_url=f"{settings.PUBLIC_URL}/payments/cards/SETUP/done/",
            cancel_url=settings.PUBLIC_URL + reverse("card-cancelled"),
            now=timezone.now(),
        )
    except operations.GatewayUnavailable as refusal:
        messages.error(request, str(refusal))
        return redirect(_list_of(owner))
    # A page that leads on, not a redirect: browsers hold redirects after a form to form-action, which is ourselves alone.
    return render(request, "web/card_go.html", {"page": page})


@require_safe
@member_page()
def card_done(request: MemberRequest, setup_id: int) -> HttpResponse:
    """GET /payments/cards/CS…/done/: back from the hosted page. May come before, after or without the gateway's callback."""
    home = _list_of(_owner(request))
    try:
        card = operations.finish_setup(customer_id=request.seat.customer_id, setup_id=setup_id, now=timezone.now())
    except operations.GatewayUnavailable as refusal:
        messages.warning(request, str(refusal))
        return redirect(home)
    if card is None:
        messages.warning(request, "Nothing was added: the page was not finished.")
        return redirect(home)
    messages.success(request, f"{card.name} was added. {_what_next(card)}")
    return redirect(request.session.pop(_AFTER_CARD, "") or home)


def _what_next(card: PaymentMethod) -> str:
    return "It may be charged automatically." if card.auto_charge else "It is charged only when you buy credit."


@require_safe
@member_page()
def card_cancelled(request: MemberRequest) -> HttpResponse:
    """GET /payments/cards/cancelled/: back from the hosted page without a card."""
    home = _list_of(_owner(request))
    messages.info(request, "Nothing was added.")
    return redirect(request.session.pop(_AFTER_CARD, "") or home)


@member_page()
def remove_card(request: MemberRequest, method_id: int) -> HttpResponse:
    """GET: asks once. POST: stops using the card."""
    customer_id, owner = request.seat.customer_id, _owner(request)
    home = _list_of(owner)
    if request.method != "POST":
        cards = queries.methods(customer_id=customer_id, member_id=owner)
        card = next((each for each in cards if each.id == method_id), None)
        if card is None:
            raise NotFound("There is no such payment method.")
        last = len(cards) == 1
        return render(request, "web/card_remove.html", {"card": card, "name": card.name, "last": last, "home": home})
    try:
        operations.remove_method(
            customer_id=customer_id, method_id=method_id, now=timezone.now(), actor=request.actor, member_id=owner
        )
    except Refusal as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, "It was removed and will not be charged again.")
    return redirect(home)
