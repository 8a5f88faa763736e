"""What waits for credit: how many, until when, and what a top-up would release."""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from postmeter.customers.permissions import READ_MESSAGES, SEND
from postmeter.kit.money import from_minor
from postmeter.messaging import queue
from postmeter.notifications.queries import next_morning
from postmeter.topups import price as prices
from postmeter.topups import queries as topups
from postmeter.topups.queries import Figures
from postmeter.wallets import sharing
from postmeter.web.session import MemberRequest, member_page

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Offer:
    """A purchase, and how many of those that wait it would let go."""

    micros: int
    released: int
    percent: int


@require_safe
@member_page(permission=READ_MESSAGES)
def waiting(request: MemberRequest) -> HttpResponse:
    """GET /messages/waiting/: of the credit that pays for this member."""
    customer_id, now = request.seat.customer_id, timezone.now()
    wallet = sharing.wallet_shown(customer_id=customer_id, member_id=request.seat.member_id)
    by = next_morning(now, timezone.get_current_timezone())
    found = queue.queue(customer_id=customer_id, wallet_id=wallet.id, by=by)
    figures = topups.figures(customer_id=customer_id, wallet=wallet)
    shown = {
        "queue": found,
        "by": by,
        "unit": wallet.unit,
        "offers": _offers(figures, found, now) if found.count else [],
        "rows": queue.page(customer_id=customer_id, wallet_id=wallet.id, at_most=SHOWN),
        "can_cancel": SEND in request.seat.permissions,
    }
    return render(request, "web/waiting.html", shown)


def _offers(figures: Figures, found: queue.Queue, now: datetime) -> list[Offer]:
    """The smallest purchase, twice and five times that, and what lets all go; a debt is paid first."""
    wallet = figures.wallet
    least = prices.least(customer_id=wallet.customer_id, wallet=wallet, now=now)
    free = figures.available_micros - figures.debt_micros
    coin = from_minor(1, wallet.unit)
    all_of_it = max(least, -(-(found.micros - free) // coin) * coin)
    amounts = sorted({amount for amount in (least, 2 * least, 5 * least) if amount < all_of_it} | {all_of_it})
    counts = queue.released(
        customer_id=wallet.customer_id, wallet_id=wallet.id, micros=[max(0, free + amount) for amount in amounts]
    )
    return [Offer(amount, count, 100 * count // found.count) for amount, count in zip(amounts, counts, strict=True)]
