"""Payment methods and the history of payments (S-011, S-110, S-137). Cards are typed in on the gateway's page only."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from postmeter.customers import permissions
from postmeter.kit.refusals import Refusal
from postmeter.payments import operations, queries
from postmeter.topups import queries as topups
from postmeter.web import cursors, session
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.stepup import confirmed_person
from postmeter.web.views.credit import name_of

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
    shown = [{"card": card, "expired": queries.has_expired(card, now=now)} for card in cards]
    return render(request, "web/payments.html", {"cards": shown, "page": page})


@member_page(permission=permissions.MANAGE_PAYMENT_METHODS)
@confirmed_person
def add_card(request: MemberRequest) -> HttpResponse:
    """GET /payments/cards/add/?next=: says what follows. POST: leads to the gateway's hosted page."""
    if request.method != "POST":
        return render(request, "web/card_add.html", {"next": session.way_back(request, "")})
    request.session[_AFTER_CARD] = session.way_back(request, "")
    try:
        _, page = operations.start_setup(
            customer_id=request.seat.customer_id,
            actor=request.actor,
            success_url=f"{settings.PUBLIC_URL}/payments/cards/SETUP/done/",
            cancel_url=settings.PUBLIC_URL + reverse("card-cancelled"),
            now=timezone.now(),
        )
    except operations.GatewayUnavailable as refusal:
        messages.error(request, str(refusal))
        return redirect("payments")
    # A page that leads on, not a redirect: browsers hold redirects after a form to form-action, which is ourselves alone.
    return render(request, "web/card_go.html", {"page": page})


@require_safe
@member_page(permission=permissions.MANAGE_PAYMENT_METHODS)
def card_done(request: MemberRequest, setup_id: int) -> HttpResponse:
    """GET /payments/cards/CS…/done/: back from the hosted page. May come before, after or without the gateway's callback."""
    try:
        card = operations.finish_setup(customer_id=request.seat.customer_id, setup_id=setup_id, now=timezone.now())
    except operations.GatewayUnavailable as refusal:
        messages.warning(request, str(refusal))
        return redirect("payments")
    if card is None:
        messages.warning(request, "No card was added: the card page was not finished.")
        return redirect("payments")
    messages.success(request, f"{name_of(card)} was added. It is charged only when you buy credit.")
    return redirect(request.session.pop(_AFTER_CARD, "") or "payments")


@require_safe
@member_page(permission=permissions.MANAGE_PAYMENT_METHODS)
def card_cancelled(request: MemberRequest) -> HttpResponse:
    """GET /payments/cards/cancelled/: back from the hosted page without a card."""
    messages.info(request, "No card was added.")
    return redirect(request.session.pop(_AFTER_CARD, "") or "payments")


@member_page(permission=permissions.MANAGE_PAYMENT_METHODS)
def remove_card(request: MemberRequest, method_id: int) -> HttpResponse:
    """GET: asks once. POST: stops using the card."""
    customer_id = request.seat.customer_id
    if request.method != "POST":
        card = queries.method(customer_id=customer_id, method_id=method_id)
        last = len(queries.methods(customer_id=customer_id)) == 1
        return render(request, "web/card_remove.html", {"card": card, "name": name_of(card), "last": last})
    try:
        operations.remove_method(customer_id=customer_id, method_id=method_id, now=timezone.now(), actor=request.actor)
    except Refusal as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, "The card was removed. It will not be charged again.")
    return redirect("payments")
