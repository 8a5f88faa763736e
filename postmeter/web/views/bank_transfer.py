"""Pay by bank transfer: the operator's bank details and the wallet's own payment reference (S-141)."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from postmeter.customers import permissions
from postmeter.payments.wire.reference import written
from postmeter.topups import wires
from postmeter.wallets import queries as wallets
from postmeter.web.session import MemberRequest, member_page


@require_safe
@member_page(permission=permissions.BUY)
def bank_transfer(request: MemberRequest) -> HttpResponse:
    """GET /credit/bank-transfer/: where to transfer to and what to write on it; the same each time, to print and to copy."""
    customer_id = request.seat.customer_id
    wallet = wallets.pool(customer_id=customer_id)
    try:
        told = wires.instructions(customer_id=customer_id, wallet_id=wallet.id, now=timezone.now())
    except wires.NoBankDetails:
        return render(request, "web/bank_transfer.html", {"told": None, "unit": wallet.unit})
    return render(request, "web/bank_transfer.html", {"told": told, "unit": wallet.unit, "reference": written(told.reference)})
