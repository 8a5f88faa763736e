"""Customers: found, opened, and one page for each with what an account manager asks about."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django import forms
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from postmeter.customers import operations, queries, signin
from postmeter.customers.models import Customer, Role, User
from postmeter.guard import queries as guard
from postmeter.invoicing import operations as invoicing
from postmeter.invoicing import pdf
from postmeter.invoicing import queries as invoices
from postmeter.kit.money import CREDITS
from postmeter.kit.refusals import BadInput, Refusal
from postmeter.rating import queries as rating
from postmeter.terms import grants
from postmeter.terms import queries as terms
from postmeter.terms.changes import CHANGES
from postmeter.terms.opening import open_customer
from postmeter.topups import automation, bills
from postmeter.topups import queries as topups
from postmeter.wallets import queries as wallets
from postmeter.web import cursors
from postmeter.web.forms import add_refusal
from postmeter.web.guarding import told
from postmeter.web.operator.access import StaffRequest, act, staff_page
from postmeter.web.operator.waiting import names_of

PER_PAGE, RECENT = 20, 8


@dataclass(frozen=True, slots=True)
class Row:
    """A customer in the list."""

    customer: Customer
    figures: topups.Figures
    suspended_for: str
    is_paused: bool

    @property
    def id(self) -> int:
        return int(self.customer.id)


@require_safe
@staff_page
def customers(request: StaffRequest) -> HttpResponse:
    """GET /customers/?q=&before=: by number, name or address."""
    text = request.GET.get("q", "").strip()[:100]
    page = cursors.page(
        request, "CU", lambda before, at_most: queries.search(text=text, before=before, at_most=at_most), size=PER_PAGE
    )
    return render(request, "operator/customers.html", {"page": page, "rows": [_row(each) for each in page.rows], "wanted": text})


def _row(customer: Customer) -> Row:
    wallet = wallets.pool(customer_id=customer.id)
    return Row(
        customer,
        topups.figures(customer_id=customer.id, wallet=wallet),
        terms.agreement(customer_id=customer.id).suspended_for,
        topups.any_paused(customer_id=customer.id),
    )


@require_safe
@staff_page
def customer(request: StaffRequest, customer_id: int) -> HttpResponse:
    """GET /customers/CU…/: balance, terms, automation, bills, purchases, invoices, requests, adjustments, promotions."""
    now, found = timezone.now(), queries.customer(customer_id=customer_id)
    wallet, stop = wallets.pool(customer_id=customer_id), guard.standing(customer_id=customer_id)
    adjustments = terms.adjustments(customer_id=customer_id, at_most=RECENT)
    people = names_of([row.proposed_by for row in adjustments])
    shown = {
        "customer": found,
        "unit": wallet.unit,
        "wallet": wallet,
        "shown": topups.figures(customer_id=customer_id, wallet=wallet),
        "agreement": terms.agreement(customer_id=customer_id),
        "told": told(stop) if stop else None,
        "automatic": topups.automatic(customer_id=customer_id, wallet_id=wallet.id, now=now),
        "bills": bills.bills(customer_id=customer_id, at_most=RECENT),
        "purchases": topups.history(customer_id=customer_id, at_most=RECENT),
        "invoices": invoices.invoices(customer_id=customer_id, at_most=RECENT),
        "requests": [(row, CHANGES[row.kind].title) for row in terms.requests(customer_id=customer_id, at_most=RECENT)],
        "adjustments": [(row, people[row.proposed_by], row.proposed_by == request.actor) for row in adjustments],
        "standings": grants.standings(customer_id=customer_id, wallet_id=wallet.id, now=now)[:RECENT],
        "members": [
            (seat, ", ".join(Role(role).label for role in seat.roles)) for seat in queries.members(customer_id=customer_id)
        ],
        "own_prices": rating.own_list(customer_id=customer_id),
        "plans": [each.plan for each in rating.plan_lists() if each.currency == wallet.unit],
        "today": terms.today(customer_id, now),
    }
    return render(request, "operator/customer.html", shown)


@require_POST
@staff_page
def start_again(request: StaffRequest, customer_id: int, wallet_id: int) -> HttpResponse:
    """POST /customers/CU…/automation/WA…/: a paused automatic top-up goes on (S-106)."""
    now = timezone.now()

    def do() -> None:
        automation.start_again(customer_id=customer_id, wallet_id=wallet_id, actor=request.actor, now=now)

    return act(request, "The automatic top-up goes on.", do, redirect("console-customer", customer_id=customer_id))


@require_POST
@staff_page
def set_plan(request: StaffRequest, customer_id: int) -> HttpResponse:
    """POST /customers/CU…/plan/: pays by another plan's prices from now on."""
    plan, back = request.POST.get("plan", ""), redirect("console-customer", customer_id=customer_id)

    def do() -> None:
        listed = next((each for each in rating.plan_lists() if each.plan == plan), None)
        if listed is None:
            raise BadInput("There is no such plan.", field="plan", remedy="Choose one of the list.")
        unit = wallets.pool(customer_id=customer_id).unit
        if listed.currency != unit:
            raise BadInput(f"Its prices are in {listed.currency}, and this credit is in {unit}.", remedy="Choose another plan.")
        operations.set_plan(customer_id=customer_id, plan=plan, now=timezone.now(), actor=request.actor)

    return act(request, f"The prices of the plan {plan} hold from now on.", do, back)


@require_safe
@staff_page
def invoice_pdf(request: StaffRequest, customer_id: int, invoice_id: int) -> HttpResponse:
    """GET /customers/CU…/invoices/IN…/: the document."""
    found = invoices.invoice(customer_id=customer_id, invoice_id=invoice_id)
    name = f"{invoicing.number_of(found)}.pdf"
    headers = {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "private, no-store"}
    zone = ZoneInfo(queries.customer(customer_id=customer_id).time_zone)
    return HttpResponse(pdf.render(found, zone), content_type="application/pdf", headers=headers)


class NewForm(forms.Form):
    """A customer and the person who begins there."""

    name = forms.CharField(max_length=200, help_text="As invoices shall name it.")
    email = forms.EmailField(label="E-mail address for invoices and alerts", max_length=254)
    address = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)
    country = forms.CharField(max_length=2, help_text="Two letters, such as US.")
    currency = forms.CharField(max_length=3, help_text="Three letters, such as USD. It cannot be changed later.")
    unit = forms.ChoiceField(
        label="Credit is counted in",
        choices=[("", "money, in its currency"), *((unit, credit.many) for unit, credit in CREDITS.items())],
        required=False,
        help_text="It cannot be changed later. The plan's prices must be in the same.",
    )
    time_zone = forms.CharField(label="Time zone", help_text="Such as America/New_York: where its months end.")
    sender = forms.CharField(label="Number that its texts come from", help_text="Such as +15550100000.")
    tax_id = forms.CharField(label="Tax number", required=False)
    plan = forms.ChoiceField(label="Prices of the plan")
    master_name = forms.CharField(label="First member", max_length=200)
    master_email = forms.EmailField(label="Their e-mail address", max_length=254)

    def __init__(self, *given: object, **more: object) -> None:
        super().__init__(*given, **more)  # type: ignore[arg-type]
        plans = [(each.plan, f"{each.plan}, in {each.currency}") for each in rating.plan_lists()]
        self.fields["plan"].choices = plans  # type: ignore[attr-defined]


@staff_page
def new(request: StaffRequest) -> HttpResponse:
    """GET /customers/new/: the form. POST: opens it, all or nothing, and invites its first member by mail."""
    form = NewForm(request.POST or None, initial={"country": "US", "currency": "USD"})
    if not form.is_valid():
        return render(request, "operator/customer_new.html", {"form": form}, status=422 if form.is_bound else 200)
    given = dict(form.cleaned_data)
    given |= {"country": given["country"].upper(), "currency": given["currency"].upper()}
    try:
        found = open_customer(**given, actor=request.actor, now=timezone.now())
    except Refusal as refusal:
        add_refusal(form, refusal)
        return render(request, "operator/customer_new.html", {"form": form}, status=refusal.status)
    signin.invite(
        request,
        email=User.objects.get(email=given["master_email"].strip().lower()).email,
        customer=found.name,
        inviter=str(request.user),
    )
    return redirect("console-customer", customer_id=found.id)
