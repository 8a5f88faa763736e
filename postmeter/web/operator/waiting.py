"""The first page: what waits for a person. And the log of what the operator's people did."""

from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from postmeter.customers import queries as customers
from postmeter.customers.models import Customer, User
from postmeter.events import queries as events
from postmeter.events.models import Event
from postmeter.guard import queries as guard
from postmeter.payments import queries as payments
from postmeter.payments import wires
from postmeter.terms import queries as terms
from postmeter.terms.changes import CHANGES
from postmeter.terms.models import Adjustment, ChangeRequest
from postmeter.topups import breaker, refunds
from postmeter.topups import queries as topups
from postmeter.wallets import queries as wallets
from postmeter.web import cursors
from postmeter.web.guarding import told
from postmeter.web.operator.access import StaffRequest, staff_page

SILENT = timedelta(minutes=10)  # a payment without an end is worth a look from then on


@dataclass(frozen=True, slots=True)
class Asked:
    """A customer's request, as the list shows it."""

    row: ChangeRequest
    title: str
    customer: Customer


@dataclass(frozen=True, slots=True)
class Proposed:
    """An adjustment that waits for a second person."""

    row: Adjustment
    unit: str
    customer: Customer
    by: str
    is_mine: bool


@require_safe
@staff_page
def home(request: StaffRequest) -> HttpResponse:
    """GET /"""
    now, waiting = timezone.now(), terms.waiting()
    named = customers.named(customer_ids={row.customer_id for row in [*waiting.requests, *waiting.adjustments]})
    people = names_of([row.proposed_by for row in waiting.adjustments])
    shown = {
        "breaker": breaker.standing(),
        "stopped": [(each.customer, told(each.stop)) for each in guard.all_standing()],
        "requests": [Asked(row, CHANGES[row.kind].title, named[row.customer_id]) for row in waiting.requests],
        "adjustments": [
            Proposed(row, _unit_of(row), named[row.customer_id], people[row.proposed_by], row.proposed_by == request.actor)
            for row in waiting.adjustments
        ],
        "wires": len(wires.queue()),
        "silent": len(payments.without_end(older_than=now - SILENT)) + len(refunds.without_end(older_than=now - SILENT)),
        "paused": len(topups.paused()),
        "overdue": sum(bill.due_on < now.date() for bill in topups.unpaid_bills()),
    }
    return render(request, "operator/home.html", shown)


@dataclass(frozen=True, slots=True)
class Line:
    """A fact of the log with the names of who did it and for whom."""

    event: Event
    who: str
    customer: Customer | None
    said: list[tuple[str, object]]


@require_safe
@staff_page
def log(request: StaffRequest) -> HttpResponse:
    """GET /log/?before="""
    page = cursors.page(request, "LE", lambda before, at_most: events.by_operators(before=before, at_most=at_most))
    named, people = (
        customers.named(customer_ids={row.customer_id for row in page.rows}),
        names_of([row.actor for row in page.rows]),
    )
    lines = [
        Line(
            row,
            people[row.actor],
            named.get(row.customer_id),
            [(name.replace("_", " "), value) for name, value in row.data.items()],
        )
        for row in page.rows
    ]
    return render(request, "operator/log.html", {"page": page, "lines": lines})


def names_of(actors: list[str]) -> dict[str, str]:
    """What people are called, by the name that facts have for them."""
    ids = {actor: int(actor.partition(":")[2]) for actor in actors if actor.partition(":")[2].isdigit()}
    people = {user.id: str(user) for user in User.objects.filter(id__in=ids.values())}
    return {actor: people.get(ids.get(actor, 0)) or ("the command line" if actor == "operator" else actor) for actor in actors}


def _unit_of(row: Adjustment) -> str:
    return wallets.wallet(customer_id=row.customer_id, wallet_id=row.wallet_id).unit
