"""Tax at use: the tax invoice of what was used in a month, where the seller taxes credit when it is spent.

What is invoiced is all use of bought credit up to the month's end, less what tax invoices cover already. So nothing is taxed
twice when a seller changes its tax point, a month's refunds lower the next invoice, and cents that rounding left over
come with a later one (A-11). Credit that was given away is not sold, and its use is not invoiced.
"""

from datetime import date, datetime, timedelta
from itertools import pairwise

from postmeter.customers import queries as customers
from postmeter.db.scope import scoped
from postmeter.invoicing import operations as invoicing
from postmeter.invoicing import queries as invoices
from postmeter.invoicing.models import Invoice, TaxPoint
from postmeter.kit.money import from_minor, to_minor
from postmeter.statements import months, queries
from postmeter.statements.operations import GRACE


def bill_due(*, customer_id: int, now: datetime) -> list[Invoice]:
    """Issue the invoices of the months that are over, since the last one that was invoiced. Safe to repeat."""
    seller = invoices.seller()
    if seller is None or seller.tax_point != TaxPoint.USE:
        return []
    customer = customers.customer(customer_id=customer_id)
    last = months.last_complete(now - GRACE, customer.time_zone)
    billed_until = invoices.used_until(customer_id=customer_id)
    month = min(last, billed_until.replace(day=1)) if billed_until else last
    issued = []
    while month <= last:
        for first, until in parts(customer_id=customer_id, month=month):
            found = bill(customer_id=customer_id, first=first, until=until, now=now)
            issued += [found] if found else []
        month = months.after(month)
    return issued


def parts(*, customer_id: int, month: date) -> list[tuple[date, date]]:
    """The month, cut where a tax rule begins: [first, until) each."""
    cuts = invoices.rule_changes(customer_id=customer_id, after=month, before=months.after(month))
    days = [month, *cuts, months.after(month)]
    return list(pairwise(days))


@scoped
def bill(*, customer_id: int, first: date, until: date, now: datetime) -> Invoice | None:
    """Issue the tax invoice of the use in [first, until), days of the customer's zone, once; None if there is nothing to tax."""
    known = invoices.of_use(customer_id=customer_id, first=first)
    if known:
        return known
    customer = customers.customer(customer_id=customer_id)
    end = months.begins(until, customer.time_zone)
    used = queries.used_before(customer_id=customer_id, unit=customer.currency, at=end)
    bought, taxed = invoices.covered(customer_id=customer_id, currency=customer.currency, before=end, first=first, until=until)
    amount = from_minor(to_minor(min(used, bought), customer.currency), customer.currency) - taxed
    if amount <= 0:
        return None
    last = until - timedelta(days=1)
    return invoicing.issue_for_use(
        customer_id=customer_id,
        currency=customer.currency,
        lines=[invoicing.Line(f"Messages, {first:%d %B} to {last:%d %B %Y}", 1, amount)],
        first=first,
        last=last,
        now=now,
    )
