"""Credit: the meter, "Add Message Credit", and what became of a purchase (S-010 ... S-022)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid5

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from postmeter.customers import permissions
from postmeter.db.public_ids import public_ids
from postmeter.invoicing import mail, pdf
from postmeter.kit.money import CREDITS, MICROS, format_amount, parse_amount
from postmeter.kit.refusals import NotAllowed, NotFound, Refusal
from postmeter.payments import queries as payments
from postmeter.payments.models import PaymentMethod
from postmeter.payments.reasons import words_of
from postmeter.payments.states import OPEN, PaymentState
from postmeter.topups import operations as topups
from postmeter.topups import price as prices
from postmeter.topups import queries as topup_queries
from postmeter.topups.queries import Bought, Figures
from postmeter.wallets import queries as wallets
from postmeter.wallets.models import Wallet
from postmeter.web import context, session
from postmeter.web.forms import add_refusal, new_key
from postmeter.web.session import MemberRequest, member_page
from postmeter.web.views import accounts

QUICK = (20, 50, 100, 250)  # whole units, as links that fill the field in
QUICK_COUNTS = (250, 500, 1_000, 5_000)  # the same where credit is counted in messages
ALIKE_WITHIN = timedelta(minutes=15)
_WAY_BACK = "after_top_up"  # in the session: where a purchase that was begun elsewhere leads back to
_LATEST = 5


@require_safe
@member_page(permission=permissions.READ_BALANCE)
def credit(request: MemberRequest) -> HttpResponse:
    """GET /credit/: the four figures of what pays for this member, and the latest purchases for those who buy."""
    customer_id = request.seat.customer_id
    bought = []
    if permissions.BUY in request.seat.permissions:
        bought = topup_queries.history(customer_id=customer_id, at_most=_LATEST)
    return render(request, "web/credit.html", {"bought": bought, "shown": context.figures_of(request.seat)})


class CardForm(forms.Form):
    """Which card is charged. `cleaned_data["card"]` is the method."""

    card = forms.ChoiceField(widget=forms.RadioSelect, error_messages={"required": "Choose the card to charge."})

    def __init__(self, *args: Any, cards: list[PaymentMethod], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cards = {public_ids().encode("PM", card.id): card for card in cards}
        self.fields["card"].choices = [(key, card.name) for key, card in self.cards.items()]  # type: ignore[attr-defined]

    def clean_card(self) -> PaymentMethod:
        return self.cards[self.cleaned_data["card"]]


class TopUpForm(CardForm):
    """How much, with which card. `cleaned_data` has micro-units and the method."""

    amount = forms.CharField(
        label="Enter the amount of credit you wish to purchase",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        error_messages={"required": "Write the amount, such as 50.00."},
    )
    once = forms.UUIDField(widget=forms.HiddenInput)
    price = forms.IntegerField(widget=forms.HiddenInput, required=False)  # what the confirmation named, in micro-units
    next = forms.CharField(widget=forms.HiddenInput, required=False)
    account = forms.CharField(widget=forms.HiddenInput, required=False)

    field_order = ("amount", "card")

    def __init__(self, *args: Any, wallet: Wallet, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wallet, self.unit, self.is_counted = wallet, wallet.unit, wallet.unit in CREDITS
        self.now = timezone.now()
        least = prices.least(customer_id=wallet.customer_id, wallet=wallet, now=self.now)
        self.fields["amount"].help_text = f"At least {format_amount(least, self.unit)}."
        if self.is_counted:
            self.fields["amount"].label = "How many credits do you wish to purchase?"
            self.fields["amount"].error_messages["required"] = "Write how many, such as 500."

    def clean_amount(self) -> int:
        """Micro-units of the wallet's unit; `paid` is their price."""
        try:
            micros = parse_amount(self.cleaned_data["amount"], self.unit, field="amount")
            self.paid = prices.price(customer_id=self.wallet.customer_id, wallet=self.wallet, amount_micros=micros, now=self.now)
        except Refusal as refusal:
            raise ValidationError(str(refusal)) from refusal
        return micros

    @property
    def key(self) -> UUID:
        """The purchase's own id: the same form with the same choices is the same purchase, however often and wherever it is sent."""
        chosen = self.cleaned_data
        return uuid5(chosen["once"], f"{chosen['amount']} {chosen['card'].id} {chosen['account']}".rstrip())


@require_safe
@member_page()
def top_up(request: MemberRequest) -> HttpResponse:
    """GET /credit/top-up/?amount=&card=&next=: "Add Message Credit". Nothing is asked of anybody yet."""
    form = _form(request, None)
    card = request.GET.get("card", "")
    form.initial = {
        "amount": request.GET.get("amount", ""),
        "card": card if card in form.cards else next(iter(form.cards), ""),
        "once": new_key(),
        "next": session.way_back(request, ""),
        "account": request.GET.get("account", ""),
    }
    return _show_form(request, form)


@member_page()
def confirm_top_up(request: MemberRequest) -> HttpResponse:
    """GET …/confirm/: names the amount, the card and the balance after. POST: charges the card, once for each form."""
    form = _form(request, request.POST if request.method == "POST" else request.GET)
    if not form.is_valid():
        return _show_form(request, form, status=422)
    return _buy(request, form) if request.method == "POST" else _ask_once_more(request, form)


def _form(request: MemberRequest, data: Any) -> TopUpForm:
    cards = payments.methods(customer_id=request.seat.customer_id, member_id=accounts.pays_with(request))
    good = [card for card in cards if not payments.has_expired(card, now=timezone.now())]
    return TopUpForm(data, wallet=_wallet(request), cards=good)


def _show_form(request: HttpRequest, form: TopUpForm, *, status: int = 200) -> HttpResponse:
    amount, back = form["amount"].value() or "", session.way_back(request, "")
    return render(
        request,
        "web/top_up.html",
        {
            "form": form,
            "unit": form.unit,
            "account": accounts.chosen(cast(MemberRequest, request)),
            "quick": _quick(form),
            "packs": prices.packs(customer_id=form.wallet.customer_id, wallet=form.wallet, now=form.now),
            "amount": amount,
            "next": back,
            "here": f"{reverse('top-up')}?{urlencode({'amount': amount, 'next': back})}",
        },
        status=status,
    )


def _quick(form: TopUpForm) -> list[tuple[str, str]]:
    if form.is_counted:
        return [(str(whole), f"{whole:,}") for whole in QUICK_COUNTS]
    return [(str(whole), format_amount(whole * MICROS, form.unit, 0)) for whole in QUICK]


def _ask_once_more(request: MemberRequest, form: TopUpForm) -> HttpResponse:
    amount, customer_id = form.cleaned_data["amount"], request.seat.customer_id
    before = topup_queries.figures(customer_id=customer_id, wallet=form.wallet)
    return render(
        request,
        "web/top_up_confirm.html",
        {
            "form": form,
            "amount": amount,
            "unit": form.unit,
            "paid": form.paid,
            "card": form.cleaned_data["card"],
            "account": accounts.chosen(request),
            "before": before,
            "after": after_purchase(before, amount),
            "alike": topup_queries.lately(
                customer_id=customer_id, amount_micros=amount, since=timezone.now() - ALIKE_WITHIN, besides=form.key
            ),
        },
    )


def _buy(request: MemberRequest, form: TopUpForm) -> HttpResponse:
    customer_id, chosen = request.seat.customer_id, form.cleaned_data
    try:
        bought = topups.buy(
            customer_id=customer_id,
            wallet_id=form.wallet.id,
            method_id=chosen["card"].id,
            amount_micros=chosen["amount"],
            key=form.key,
            actor=request.actor,
            now=timezone.now(),
            member_id=accounts.pays_with(request),
            agreed_micros=chosen["price"],
        )
    except Refusal as refusal:
        add_refusal(form, refusal, {"method": "card"})
        return _show_form(request, form, status=refusal.status)
    keep_way_back(request, bought.top_up.id)
    return redirect("top-up-result", top_up_id=bought.top_up.id)


def keep_way_back(request: HttpRequest, top_up_id: int) -> None:
    """Have the page of this purchase lead back to where it was begun."""
    back = session.way_back(request, "")
    if back:
        request.session[_WAY_BACK] = {"top_up": str(top_up_id), "to": back}


@require_safe
@member_page()
def top_up_result(request: MemberRequest, top_up_id: int) -> HttpResponse:
    """GET /credit/top-ups/TU…/: what became of it. The bank leads the cardholder back here, so the gateway is asked."""
    customer_id = request.seat.customer_id
    _must_be_theirs(request, top_up_id)
    topups.ask(customer_id=customer_id, top_up_id=top_up_id, now=timezone.now())
    bought = topup_queries.bought(customer_id=customer_id, top_up_id=top_up_id)
    state = PaymentState(bought.payment.state)
    return render(
        request,
        "web/top_up_result.html",
        {
            "bought": bought,
            "state": state,
            "document": pdf.title(bought.invoice).lower() if bought.invoice else "",
            "unit": bought.top_up.unit,
            "shown": topup_queries.figures(
                customer_id=customer_id, wallet=wallets.wallet(customer_id=customer_id, wallet_id=bought.top_up.wallet_id)
            ),
            "reason": reason_of(bought),
            "look_again_seconds": (30 if state is PaymentState.PROCESSING else 5) if state in OPEN else None,
            "back": _way_back_of(request, top_up_id),
            "individual": accounts.chosen(request) is not None,
            "owner": accounts.pays_with(request),
            "own_invoice": mail.link(bought.invoice) if bought.invoice and accounts.pays_with(request) else "",
        },
    )


def _must_be_theirs(request: MemberRequest, top_up_id: int) -> None:
    """Who buys with a method of their own sees their own purchases and no others. Raises NotFound, NotAllowed."""
    if accounts.pays_with(request):
        bought = topup_queries.bought(customer_id=request.seat.customer_id, top_up_id=top_up_id)
        if bought.top_up.created_by != request.actor:
            raise NotFound("There is no such top-up.")


@require_POST
@member_page()
def give_up_top_up(request: MemberRequest, top_up_id: int) -> HttpResponse:
    """POST …/give-up/: do not go to the bank after all."""
    _must_be_theirs(request, top_up_id)
    topups.give_up(customer_id=request.seat.customer_id, top_up_id=top_up_id, now=timezone.now())
    messages.info(request, "The purchase was called off. Nothing was charged.")
    return redirect("top-up-result", top_up_id=top_up_id)


def _way_back_of(request: HttpRequest, top_up_id: int) -> str:
    kept = request.session.get(_WAY_BACK, {})
    return str(kept["to"]) if kept.get("top_up") == str(top_up_id) else ""


def reason_of(bought: Bought) -> str:
    """Why it failed, in words; empty unless it did."""
    return words_of(bought.payment.failure_code) if bought.payment.state == PaymentState.DECLINED else ""


def figures_of(customer_id: int) -> Figures:
    return topup_queries.figures(customer_id=customer_id, wallet=wallets.pool(customer_id=customer_id))


def after_purchase(before: Figures, amount_micros: int) -> Figures:
    """The figures once this much has arrived: a debt is paid first, the rest can be spent."""
    paid = min(before.debt_micros, amount_micros)
    return replace(
        before,
        posted_micros=before.posted_micros + amount_micros,
        available_micros=before.available_micros + amount_micros - paid,
        debt_micros=before.debt_micros - paid,
    )


def _wallet(request: MemberRequest) -> Wallet:
    """What is bought for: the account that was chosen, if this member may purchase for it (S-155), else the shared pool."""
    account = accounts.chosen(request)
    if account is None:
        return wallets.pool(customer_id=request.seat.customer_id)
    if not account.may_buy:
        raise NotAllowed("You may not purchase credit for this account.", remedy="Choose another one under Manage SMS Credits.")
    return account.wallet
