"""Every write about invoices."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from postmeter.customers import queries as customers
from postmeter.customers.models import Customer
from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.invoicing import tax
from postmeter.invoicing.models import ExchangeRate, Invoice, Kind, Mailing, Seller, Series, TaxPoint, TaxRule
from postmeter.kit.money import exact_minor, format_amount, from_minor, minor_digits, to_minor
from postmeter.kit.phone import countries
from postmeter.kit.refusals import BadInput, Conflict, NotFound

MAILING_LEASE = timedelta(minutes=2)  # longer than any time limit of ours at a mail server
SERIES = {Kind.INVOICE: "C", Kind.USAGE_INVOICE: "C", Kind.RECEIPT: "R", Kind.CREDIT_NOTE: "N", Kind.BILL: "B"}


class BeingMailed(Exception):
    """Another job has the claim on this mail."""


@dataclass(frozen=True, slots=True)
class Line:
    """What an invoice lists; amounts include tax, in micro-units of the invoice's currency."""

    description: str
    quantity: int
    total_micros: int


@scoped
def issue(
    *,
    customer_id: int,
    subject_id: int,
    currency: str,
    lines: Sequence[Line],
    now: datetime,
    agreed_at: datetime | None = None,
    tax_at_purchase: bool = False,
) -> Invoice:
    """Issue the document of a payment, once: a second call answers the first one's.

    It is the tax invoice where tax is due at purchase, by the rules of the day on which the buyer agreed to the price (A-26),
    else a receipt without tax. The number is taken from a counter row that stays locked until the transaction ends: a
    transaction that fails gives its number back, so the series has no gaps (S-020, Article 226).
    `tax_at_purchase`: whatever the seller's tax point; credit counted in messages has no other price than this one.
    """
    seller, customer = Seller.objects.get(id=1), customers.customer(customer_id=customer_id)
    at_purchase = tax_at_purchase or seller.tax_point == TaxPoint.PURCHASE
    day = _day(now, customer)
    return _issue(
        Kind.INVOICE if at_purchase else Kind.RECEIPT,
        seller,
        customer,
        subject_id=subject_id,
        currency=currency,
        lines=lines,
        treatment=_treatment(seller, customer, _day(agreed_at or now, customer)) if at_purchase else tax.Treatment("none"),
        supplied=(day, day),
        now=now,
    )


@scoped
def issue_for_use(*, customer_id: int, currency: str, lines: Sequence[Line], first: date, last: date, now: datetime) -> Invoice:
    """Issue the tax invoice of what was used from `first` to `last`, days of the customer's zone, once.

    By the rules of the last day; a period in which a rule begins must be cut there (`tax.changes`).
    """
    seller, customer = Seller.objects.get(id=1), customers.customer(customer_id=customer_id)
    return _issue(
        Kind.USAGE_INVOICE,
        seller,
        customer,
        subject_id=int(f"{first:%Y%m%d}"),
        currency=currency,
        lines=lines,
        treatment=_treatment(seller, customer, last),
        supplied=(first, last),
        now=now,
    )


@scoped
def issue_bill(
    *,
    customer_id: int,
    subject_id: int,
    currency: str,
    lines: Sequence[Line],
    first: date,
    last: date,
    due_on: date,
    now: datetime,
) -> Invoice:
    """Issue the document of what was sent from `first` to `last` before it was paid (S-097), once for each `subject_id`.

    It is the tax invoice where tax is due at purchase, by the rules of the last day; else a bill without tax, for the month's use
    has its tax invoice.
    """
    seller, customer = Seller.objects.get(id=1), customers.customer(customer_id=customer_id)
    at_purchase = seller.tax_point == TaxPoint.PURCHASE
    return _issue(
        Kind.INVOICE if at_purchase else Kind.BILL,
        seller,
        customer,
        subject_id=subject_id,
        currency=currency,
        lines=lines,
        treatment=_treatment(seller, customer, last) if at_purchase else tax.Treatment("none"),
        supplied=(first, last),
        due_on=due_on,
        now=now,
    )


@scoped
def issue_credit_note(
    *,
    customer_id: int,
    invoice_id: int,
    lines: Sequence[Line],
    reason: str,
    now: datetime,
    actor: str,
    subject_id: int | None = None,
) -> Invoice:
    """Correct an issued document by a note that refers to it (Article 219, A-13), once for each `subject_id` (its refund).

    Its tax is the document's, in proportion: notes for the whole take back exactly the whole tax. Raises NotFound, BadInput,
    and Conflict when more would be credited than the document says, less earlier notes.
    """
    original = Invoice.objects.filter(customer_id=customer_id, id=invoice_id).exclude(kind=Kind.CREDIT_NOTE).first()
    if original is None:
        raise NotFound("There is no such invoice to credit.")
    reason = " ".join(reason.split())
    if not reason:
        raise BadInput("A credit note says why.", field="reason", remedy="Write the reason in a few words.")
    amount = sum(line.total_micros for line in lines)
    exact_minor(amount, original.currency)
    if amount <= 0:
        raise BadInput("Only an amount above zero can be credited.", field="amount")
    customer = customers.customer(customer_id=customer_id)
    last_number = _lock(customer_id, series := _series(Kind.CREDIT_NOTE, customer))  # notes come one after another
    known = _issued(customer_id, Kind.CREDIT_NOTE, subject_id) if subject_id is not None else None
    if known:
        return known
    earlier = list(Invoice.objects.filter(customer_id=customer_id, credits_id=invoice_id))
    credited = sum(each.total_micros for each in earlier)
    if credited + amount > original.total_micros:
        left = format_amount(original.total_micros - credited, original.currency)
        raise Conflict(f"Of this invoice only {left} is left to credit.", field="amount", remedy="Credit at most that much.")
    tax_back = _whole(tax.share(credited + amount, original.tax_micros, original.total_micros), original.currency)
    tax_back -= sum(each.tax_micros for each in earlier)
    local = original.tax.get("local_micros")
    if local is not None:
        local = _whole(tax.share(tax_back, local, original.tax_micros), original.tax["currency"])
    return _insert(
        Invoice(
            customer_id=customer_id,
            kind=Kind.CREDIT_NOTE,
            series=series,
            number=last_number + 1,
            subject_id=calls.next_id() if subject_id is None else subject_id,
            currency=original.currency,
            seller=original.seller,
            buyer=_buyer(customer),
            tax=original.tax if local is None else original.tax | {"local_micros": local},
            lines=[asdict(line) for line in lines],
            net_micros=amount - tax_back,
            tax_micros=tax_back,
            total_micros=amount,
            issued_at=now,
            supplied_from=original.supplied_from,
            supplied_until=original.supplied_until,
            credits_id=original.id,
            reason=reason,
        ),
        actor=actor,
    )


def _issue(
    kind: Kind,
    seller: Seller,
    customer: Customer,
    *,
    subject_id: int,
    currency: str,
    lines: Sequence[Line],
    treatment: tax.Treatment,
    supplied: tuple[date, date],
    now: datetime,
    due_on: date | None = None,
) -> Invoice:
    last_number = _lock(customer.id, series := _series(kind, customer))
    known = _issued(customer.id, kind, subject_id)
    if known:
        return known
    total = sum(line.total_micros for line in lines)
    tax_micros = tax.included_tax(total, treatment.rate_ppm, currency)
    applied: dict[str, object] = asdict(treatment)
    if tax_micros and treatment.currency not in ("", currency):
        applied["local_micros"] = tax.converted(tax_micros, currency=currency, into=treatment.currency, on=supplied[1])
    return _insert(
        Invoice(
            customer_id=customer.id,
            kind=kind,
            series=series,
            number=last_number + 1,
            subject_id=subject_id,
            currency=currency,
            seller={
                "name": seller.name,
                "address": seller.address,
                "country": seller.country,
                "tax_id": seller.tax_id,
                "email": seller.email,
            },
            buyer=_buyer(customer),
            tax=applied,
            lines=[asdict(line) for line in lines],
            net_micros=total - tax_micros,
            tax_micros=tax_micros,
            total_micros=total,
            issued_at=now,
            supplied_from=supplied[0],
            supplied_until=supplied[1],
            due_on=due_on,
        )
    )


def _insert(invoice: Invoice, *, actor: str = events.SYSTEM) -> Invoice:
    """Write the document and its number, which only now is taken."""
    Series.objects.filter(customer_id=invoice.customer_id, name=invoice.series).update(last_number=invoice.number)
    invoice.id = calls.next_id()
    invoice.save(force_insert=True)
    events.record(
        "invoice.issued",
        customer_id=invoice.customer_id,
        subject_id=invoice.id,
        now=invoice.issued_at,
        actor=actor,
        data={"number": number_of(invoice), "kind": invoice.kind},
    )
    return invoice


def _lock(customer_id: int, series: str) -> int:
    """The last number of a series, whose row stays locked until the transaction ends: documents come one after another."""
    return int(
        calls.value(
            """INSERT INTO invoicing_series AS s (customer_id, name, last_number) VALUES (%s, %s, 0)
               ON CONFLICT (customer_id, name) DO UPDATE SET last_number = s.last_number RETURNING last_number""",
            [customer_id, series],
        )
    )


def _issued(customer_id: int, kind: Kind, subject_id: int) -> Invoice | None:
    return Invoice.objects.filter(customer_id=customer_id, kind=kind, subject_id=subject_id).first()


def _series(kind: Kind, customer: Customer) -> str:
    return f"{SERIES[kind]}{customer.number}"


def _buyer(customer: Customer) -> dict[str, str]:
    return {
        "name": customer.name,
        "address": customer.address,
        "country": customer.country,
        "tax_id": customer.tax_id,
        "vat_id": tax.vat_id(customer.tax_id),
        "email": customer.email,
        "time_zone": customer.time_zone,
    }


def _treatment(seller: Seller, customer: Customer, on: date) -> tax.Treatment:
    return tax.treatment(seller, country=customer.country, tax_id=customer.tax_id, on=on)


def _day(moment: datetime, customer: Customer) -> date:
    return moment.astimezone(ZoneInfo(customer.time_zone)).date()


def _whole(micros: int, currency: str) -> int:
    return from_minor(to_minor(micros, currency), currency)


def number_of(invoice: Invoice) -> str:
    """The number as it is printed."""
    return f"{invoice.series}-{invoice.number:06d}"


# --- set up by the operator


def set_seller(
    *, name: str, address: str, country: str, tax_id: str, email: str, tax_scheme: str, tax_point: str, now: datetime
) -> Seller:
    """Say who issues documents from now on; issued ones keep their words. Raises BadInput with its field."""
    for field, value, known in (
        ("tax_scheme", tax_scheme, tax.SCHEMES),
        ("tax_point", tax_point, TaxPoint.values),
        ("country", country, countries()),
    ):
        if value not in known:
            raise BadInput(f"{value!r} is not known.", field=field, remedy=f"One of {', '.join(sorted(known)[:8])}.")
    for field, value in (("name", name), ("address", address), ("email", email)):
        if not value.strip():
            raise BadInput("Every invoice must say this.", field=field)
    if tax_scheme == "none" and tax_point == TaxPoint.USE:
        raise BadInput("Without tax there is no tax at use.", field="tax_point", remedy="Choose purchase.")
    with scope.every_customer():
        if tax_scheme != "none" and not TaxRule.objects.filter(scheme=tax_scheme, valid_from__lte=now.date()).exists():
            raise BadInput("This scheme has no rule yet.", field="tax_scheme", remedy="Write its rules first.")
        values = {
            "name": name.strip(),
            "address": address.strip(),
            "country": country,
            "tax_id": tax.sellers_tax_id(tax_scheme, country, tax_id),
            "email": email.strip(),
            "tax_scheme": tax_scheme,
            "tax_point": tax_point,
        }
        return Seller.objects.update_or_create(id=1, defaults=values)[0]


def add_tax_rule(
    *,
    scheme: str,
    country: str,
    valid_from: date,
    rate_ppm: int,
    name: str,
    category: str = "S",
    currency: str = "",
    words: str = "",
    buyer: str = "any",
    exemption_code: str = "",
) -> TaxRule:
    """Write the rule that holds from a day on. Raises BadInput, and Conflict where that day has another rule already."""
    if scheme not in tax.SCHEMES or scheme == "none":
        raise BadInput("There is no such scheme.", field="scheme", remedy=f"One of {', '.join(tax.SCHEMES)}, but not none.")
    if not 0 <= rate_ppm < tax.PPM or not name.strip():
        raise BadInput("A rule has a name and a rate from 0 to below 100 %.", field="rate")
    rule = {"rate_ppm": rate_ppm, "name": name, "category": category, "currency": currency, "words": words}
    with scope.every_customer():
        found, added = TaxRule.objects.get_or_create(
            scheme=scheme,
            country=country,
            buyer=buyer,
            valid_from=valid_from,
            defaults=rule | {"exemption_code": exemption_code},
        )
    if not added and any(getattr(found, field) != value for field, value in rule.items()):
        raise Conflict("There is another rule for the same from that day on.", field="valid_from", remedy="Choose another day.")
    return found


def record_exchange_rate(*, currency: str, day: date, per_euro_micros: int) -> ExchangeRate:
    """Note what one euro costs that day in another currency; the latest one noted holds."""
    minor_digits(currency)
    if per_euro_micros <= 0:
        raise BadInput("A rate is above zero.", field="rate")
    with scope.every_customer():
        return ExchangeRate.objects.update_or_create(currency=currency, day=day, defaults={"per_euro_micros": per_euro_micros})[0]


# --- mail


@scoped
def start_mailing(*, customer_id: int, invoice_id: int, now: datetime) -> Mailing | None:
    """Claim the mail of an invoice; None if it was sent. One whose sending died is claimed again after the lease.

    Raises BeingMailed while another job holds the claim: relays repeat jobs, and two that cross must not mail twice.
    """
    invoice = Invoice.objects.get(customer_id=customer_id, id=invoice_id)
    claimed = calls.rows(
        """INSERT INTO invoicing_mailing (customer_id, id, invoice_id, address, started_at) VALUES (%s, next_id(), %s, %s, %s)
           ON CONFLICT (customer_id, invoice_id) DO UPDATE SET started_at = excluded.started_at
               WHERE invoicing_mailing.sent_at IS NULL AND invoicing_mailing.started_at <= %s RETURNING id""",
        [customer_id, invoice_id, invoice.buyer["email"], now, now - MAILING_LEASE],
    )
    mailing = Mailing.objects.get(customer_id=customer_id, invoice_id=invoice_id)
    if claimed:
        return mailing
    if mailing.sent_at:
        return None
    raise BeingMailed


@scoped
def finish_mailing(*, customer_id: int, invoice_id: int, now: datetime) -> None:
    if Mailing.objects.filter(customer_id=customer_id, invoice_id=invoice_id, sent_at=None).update(sent_at=now):
        events.record("invoice.mailed", customer_id=customer_id, subject_id=invoice_id, now=now)
