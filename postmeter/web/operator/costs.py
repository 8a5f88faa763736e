"""What providers billed, beside what customers were charged."""

from datetime import date

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from postmeter.costs import queries
from postmeter.customers import queries as customers
from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import NotFound
from postmeter.web.operator.access import StaffRequest, staff_page


@require_safe
@staff_page
def costs(request: StaffRequest) -> HttpResponse:
    """GET /costs/: the last days, and what is left of them."""
    days = [day for day in queries.days() if day.rows]
    return render(request, "operator/costs.html", {"days": days, "left": sorted(queries.sums(days).items())})


@require_safe
@staff_page
def day(request: StaffRequest, provider: str, day: str) -> HttpResponse:
    """GET /costs/twilio/2026-11-23/: its differences, each on its line."""
    try:
        found = queries.day_of(provider=provider, day=date.fromisoformat(day))
    except ValueError:
        found = None
    if found is None:
        raise NotFound("This bill was not read.")
    lines = queries.differences(provider=provider, day=found.run.day)
    named = customers.named(customer_ids={line.customer_id for line in lines if line.customer_id})
    shown = {
        "day": found,
        "lines": [
            (line, named.get(line.customer_id or 0), line.message_id and public_ids().encode("SM", line.message_id))
            for line in lines
        ],
        "at_most": queries.LINES_AT_MOST,
    }
    return render(request, "operator/costs_day.html", shown)
