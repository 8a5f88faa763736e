"""Bank statements and the queue of what needs a person."""

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from postmeter.customers import queries as customers
from postmeter.kit.refusals import BadInput, Refusal
from postmeter.payments import wires as entries
from postmeter.payments.wire.table import Layout
from postmeter.topups import wires as credits
from postmeter.web.forms import add_refusal
from postmeter.web.operator.access import StaffRequest, act, staff_page

SHOWN = 200
WHY = {
    "no_reference": "no payment reference",
    "unknown_reference": "a reference of nobody",
    "ambiguous": "references of several wallets",
    "currency": "another currency than the wallet's",
    "perhaps_known": "may be an entry that is known already",
    "lump_sum": "several payments in one",
    "reversal": "taken back by the bank",
    "returned": "a payment that came back to us",
}


class StatementForm(forms.Form):
    """A bank's file; the rest only where the file does not say it."""

    file = forms.FileField(
        label="Statement", help_text="camt.053, camt.054, MT940 or CSV, up to 5 MB; larger ones with the command."
    )
    account = forms.CharField(label="Account", required=False, help_text="Only where the file does not name it.")
    currency = forms.CharField(label="Currency", required=False, max_length=3, help_text="Only of a CSV without a column for it.")


@staff_page
def wires(request: StaffRequest) -> HttpResponse:
    """GET /wires/: the queue, and a form for a statement. POST: imports it, whole or not at all, each entry once."""
    form, status = StatementForm(*((request.POST, request.FILES) if request.method == "POST" else ())), 200
    if form.is_bound:
        status = 422
        if form.is_valid():
            try:
                _import(request, form)
                return redirect("console-wires")
            except Refusal as refusal:
                add_refusal(form, refusal)
                status = refusal.status
    queue = entries.queue()
    rows = [(row, WHY.get(row.queued_for, row.queued_for)) for row in queue[:SHOWN]]
    shown = {"form": form, "rows": rows, "count": len(queue), "accounts": entries.accounts()}
    return render(request, "operator/wires.html", shown, status=status)


def _import(request: StaffRequest, form: StatementForm) -> None:
    given = form.cleaned_data
    file = given["file"]
    done = credits.import_statement(
        data=file.read(),
        file_name=str(file.name or "statement")[:200],
        account=given["account"],
        layout=Layout({}, currency=given["currency"].upper()) if given["currency"] else None,
        actor=request.actor,
        now=timezone.now(),
    )
    said = f"{done.credited} credited, {done.queued} wait for you, {done.known} were known, {done.ignored} are no customer's."
    messages.success(request, f"{done.file_name}: {said}")


@require_POST
@staff_page
def decide(request: StaffRequest, entry_id: int) -> HttpResponse:
    """POST /wires/…/: `verdict` is assign (to the customer of `number`) or dismiss; `reason`."""
    reason, number = request.POST.get("reason", ""), request.POST.get("number", "").strip()
    assigning = request.POST.get("verdict") == "assign"

    def do() -> None:
        now = timezone.now()
        if not assigning:
            entries.dismiss(entry_id=entry_id, reason=reason, actor=request.actor, now=now)
            return
        found = [row for row in customers.search(text=number, at_most=2) if str(row.number) == number]
        if not found:
            raise BadInput("There is no customer of that number.", field="number", remedy="Look it up under Customers.")
        credits.assign(entry_id=entry_id, customer_id=found[0].id, reason=reason, actor=request.actor, now=now)

    return act(request, "Credited." if assigning else "Dismissed.", do, redirect("console-wires"))
