"""Trying a failed top-up again (S-137, S-138), and the link by which a cardholder comes to do so (A-33)."""

from django.contrib import messages
from django.core import signing
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from postmeter.customers import permissions
from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import Refusal
from postmeter.payments import queries as payments
from postmeter.topups import queries
from postmeter.topups import retry as topups
from postmeter.topups.retry import AlreadyFull
from postmeter.web import session
from postmeter.web.forms import add_refusal
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.views.credit import CardForm, after_purchase, figures_of, keep_way_back, reason_of


@member_page(permission=permissions.BUY)
def retry(request: MemberRequest, top_up_id: int) -> HttpResponse:
    """GET …/retry/?next=: names the amount, the card, the balance after, and what speaks against it. POST: charges, once."""
    customer_id, now = request.seat.customer_id, timezone.now()
    bought = queries.bought(customer_id=customer_id, top_up_id=top_up_id)
    if bought.retried_by or not bought.can_be_retried:
        return redirect("top-up-result", top_up_id=bought.retried_by or bought.id)
    cards = [card for card in payments.methods(customer_id=customer_id) if not payments.has_expired(card, now=now)]
    form = CardForm(request.POST or None, cards=cards)
    own = public_ids().encode("PM", bought.method.id)
    form.initial = {"card": own if own in form.cards else next(iter(form.cards), "")}
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                made = topups.retry(
                    customer_id=customer_id,
                    top_up_id=top_up_id,
                    method_id=form.cleaned_data["card"].id,
                    charge_anyway=request.POST.get("anyway") == "1",
                    agreed_micros=int(price) if (price := request.POST.get("price", "")).isdecimal() else None,
                    actor=request.actor,
                    now=now,
                )
            except AlreadyFull as refusal:
                status = refusal.status  # the page says it, and asks again
            except Refusal as refusal:
                add_refusal(form, refusal, {"method": "card"})
                status = refusal.status
            else:
                keep_way_back(request, made.top_up.id)
                return redirect("top-up-result", top_up_id=made.top_up.id)
    before = figures_of(customer_id)
    shown = {
        "bought": bought,
        "form": form,
        "unit": bought.top_up.unit,
        "failed_card": bought.method.name,
        "reason": reason_of(bought),
        "full": topups.full_words(customer_id=customer_id, top_up_id=top_up_id),
        "paid": topups.price_of(customer_id=customer_id, top_up_id=top_up_id, now=now),
        "before": before,
        "after": after_purchase(before, bought.top_up.amount_micros),
    }
    return render(request, "web/top_up_retry.html", shown, status=status)


@member_page(permission=permissions.BUY)
def confirm(request: MemberRequest, token: str) -> HttpResponse:
    """GET /credit/confirm/…/: from the mail to the retry, for a day, for a member of that customer who may buy."""
    try:
        customer_id, top_up_id = topups.of_path(token)
    except signing.SignatureExpired:
        messages.warning(request, "This link was good for a day. Retry the failed purchase below instead.")
        return redirect("payments")
    except (signing.BadSignature, Refusal):
        messages.warning(request, "This link is not complete. Open it from the mail again.")
        return redirect("payments")
    if customer_id != request.seat.customer_id:
        if session.choose(request, customer_id):
            return redirect(request.get_full_path())
        messages.warning(request, "This link is for another customer's payment. Sign in as the person who got the mail.")
        return redirect("payments")
    return redirect(reverse("top-up-retry", args=[top_up_id]))
