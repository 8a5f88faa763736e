"""Money that waits for somebody: payments without an end, paused rules, unpaid bills, the breaker; and all documents."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from postmeter.customers import queries as customers
from postmeter.customers.models import Customer
from postmeter.invoicing import queries as invoicing
from postmeter.invoicing.models import Invoice
from postmeter.payments import queries as payments
from postmeter.payments.models import Payment
from postmeter.topups import breaker, refunds
from postmeter.topups import operations as topups
from postmeter.topups import queries as topup_queries
from postmeter.topups.models import Automation, Bill, Refund
from postmeter.web import cursors
from postmeter.web.operator.access import StaffRequest, act, staff_page
from postmeter.web.operator.waiting import SILENT, names_of
from postmeter.web.stepup import confirmed_person


@dataclass(frozen=True, slots=True)
class Of:
    """A row with its customer."""

    row: Payment | Refund | Automation | Bill | Invoice
    customer: Customer


def _with_customers(rows: list[Payment] | list[Refund] | list[Automation] | list[Bill] | list[Invoice]) -> list[Of]:
    named = customers.named(customer_ids={row.customer_id for row in rows})
    return [Of(row, named[row.customer_id]) for row in rows]


@require_safe
@staff_page
def money(request: StaffRequest) -> HttpResponse:
    """GET /money/"""
    now = timezone.now()
    history = breaker.history(at_most=10)
    people = names_of([row.opened_by for row in history] + [row.closed_by for row in history])
    shown = {
        "breaker": breaker.standing(),
        "trouble": breaker.trouble(now=now),
        "most": settings.AUTOMATIC_PER_HOUR,
        "history": [(row, people[row.opened_by], people.get(row.closed_by, "")) for row in history],
        "payments": _with_customers(payments.without_end(older_than=now - SILENT)),
        "refunds": _with_customers(refunds.without_end(older_than=now - SILENT)),
        "paused": _with_customers(topup_queries.paused()),
        "bills": _with_customers(topup_queries.unpaid_bills()),
        "today": now.date(),
    }
    return render(request, "operator/money.html", shown)


@require_POST
@staff_page
def ask(request: StaffRequest, customer_id: int, payment_id: int) -> HttpResponse:
    """POST /money/CU…/PY…/ask/: asks the gateway now what became of a payment. It charges nobody."""
    before = payments.payment(customer_id=customer_id, payment_id=payment_id)
    topups.look(customer_id=customer_id, payment_id=payment_id, now=timezone.now())
    after = payments.payment(customer_id=customer_id, payment_id=payment_id)
    if after.state == before.state:
        messages.info(request, "The gateway says nothing new, or does not answer.")
    else:
        messages.success(request, f"The payment is {after.state} now.")
    return redirect("console-money")


@require_POST
@staff_page
@confirmed_person
def switch(request: StaffRequest) -> HttpResponse:
    """POST /money/breaker/: `on` is 1 to stop all automatic top-ups, 0 to let them go on; `reason`."""
    on, reason = request.POST.get("on") == "1", request.POST.get("reason", "")
    done = "Open: nobody is charged automatically." if on else "Closed: automatic top-ups go on."

    def do() -> None:
        (breaker.trip if on else breaker.reset)(reason=reason, actor=request.actor, now=timezone.now())

    return act(request, done, do, redirect("console-money"))


@require_safe
@staff_page
def invoices(request: StaffRequest) -> HttpResponse:
    """GET /invoices/?before=: the documents of all customers, the newest first."""
    page = cursors.page(request, "IN", lambda before, at_most: invoicing.latest(before=before, at_most=at_most))
    return render(request, "operator/invoices.html", {"page": page, "rows": _with_customers(page.rows)})
