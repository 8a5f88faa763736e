"""Invoices: immutable documents with gap-free numbers."""

from django.db import models
from django.db.models.expressions import RawSQL

from postmeter.db.models import CustomerRow


class TaxPoint(models.TextChoices):
    """When tax becomes due: a voucher for one kind of service is taxed when it is bought, one for several when it is used."""

    PURCHASE = "purchase", "At purchase"
    USE = "use", "At use"


class Kind(models.TextChoices):
    """What a document is. A usage invoice is a tax invoice too, of a month instead of a payment, and shares its series."""

    INVOICE = "invoice", "Invoice"
    RECEIPT = "receipt", "Payment receipt"
    USAGE_INVOICE = "usage_invoice", "Invoice of a month's use"
    CREDIT_NOTE = "credit_note", "Credit note"
    BILL = "bill", "Bill"  # of what was sent before it was paid, where tax is due at use


class Seller(models.Model):
    """The operator, as invoices name it. One row; a customer's invoice keeps a copy of what it said that day."""

    id = models.IntegerField(primary_key=True, default=1)
    name = models.TextField()
    address = models.TextField()
    country = models.CharField(max_length=2)
    tax_id = models.TextField(blank=True, default="")
    tax_scheme = models.TextField(default="none")  # whose rules apply; "none": not registered, no document says "tax invoice"
    tax_point = models.TextField(choices=TaxPoint.choices, default=TaxPoint.PURCHASE)
    email = models.EmailField()

    class Meta:
        db_table = "invoicing_seller"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="invoicing_seller_one")]


class TaxRule(models.Model):
    """What a scheme asks of one kind of buyer in one country, from a day on, until a later rule for the same."""

    id = models.BigIntegerField(primary_key=True, db_default=RawSQL("next_id()", []))
    scheme = models.TextField()
    country = models.TextField()  # two letters, "EU" for the other member states, "*" for everywhere else
    buyer = models.TextField(choices=[("any", "Anybody"), ("business_abroad", "With a VAT id of another member state")])
    valid_from = models.DateField()
    rate_ppm = models.IntegerField()  # parts per million: 10 % is 100000
    category = models.CharField(max_length=2)  # UNCL5305: S standard, AE reverse charge, G export, O outside the scope
    name = models.TextField()  # as printed: "GST", "VAT"
    currency = models.TextField(blank=True, default="")  # in which the tax must be stated too; empty: the invoice's own
    words = models.TextField(blank=True, default="")  # what the document must say
    exemption_code = models.TextField(blank=True, default="")  # VATEX, for the electronic invoice

    class Meta:
        db_table = "invoicing_tax_rule"
        constraints = [
            models.UniqueConstraint(fields=["scheme", "country", "buyer", "valid_from"], name="invoicing_tax_rule_once"),
            models.CheckConstraint(condition=models.Q(rate_ppm__gte=0, rate_ppm__lt=1_000_000), name="invoicing_tax_rule_rate"),
        ]


class ExchangeRate(models.Model):
    """What one euro cost that day, for taxes that must be stated in another currency than the invoice's (Article 230)."""

    id = models.BigIntegerField(primary_key=True, db_default=RawSQL("next_id()", []))
    currency = models.CharField(max_length=3)
    day = models.DateField()
    per_euro_micros = models.BigIntegerField()

    class Meta:
        db_table = "invoicing_exchange_rate"
        constraints = [
            models.UniqueConstraint(fields=["currency", "day"], name="invoicing_exchange_rate_once"),
            models.CheckConstraint(condition=models.Q(per_euro_micros__gt=0), name="invoicing_exchange_rate_positive"),
        ]


class Series(models.Model):
    """The last number given in a customer's series. The row is locked while a number is taken, so none is skipped."""

    pk = models.CompositePrimaryKey("customer_id", "name")
    customer_id = models.BigIntegerField()
    name = models.TextField()
    last_number = models.BigIntegerField(default=0)

    class Meta:
        db_table = "invoicing_series"


class Invoice(CustomerRow):
    """A document as it was issued. Never changed: a correction is a credit note."""

    kind = models.TextField(choices=Kind.choices)
    series = models.TextField()
    number = models.BigIntegerField()
    subject_id = models.BigIntegerField()  # what it documents: a payment, a month's first day as yyyymmdd, a refund
    currency = models.CharField(max_length=3)
    seller = models.JSONField()
    buyer = models.JSONField()
    tax = models.JSONField(default=dict)  # the rule as it was applied: tax.Treatment
    lines = models.JSONField()
    net_micros = models.BigIntegerField()
    tax_micros = models.BigIntegerField()
    total_micros = models.BigIntegerField()
    issued_at = models.DateTimeField()
    supplied_from = models.DateField(null=True)  # days of the buyer's zone, both included
    supplied_until = models.DateField(null=True)
    due_on = models.DateField(null=True)  # of what was not paid ahead: the last day to pay it
    credits_id = models.BigIntegerField(null=True)  # the document that a credit note corrects
    reason = models.TextField(blank=True, default="")

    class Meta:
        db_table = "invoicing_invoice"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "series", "number"], name="invoicing_invoice_number"),
            models.UniqueConstraint(fields=["customer_id", "kind", "subject_id"], name="invoicing_invoice_once"),
            models.CheckConstraint(
                condition=models.Q(total_micros=models.F("net_micros") + models.F("tax_micros")), name="invoicing_invoice_total"
            ),
            models.CheckConstraint(
                condition=models.Q(kind=Kind.CREDIT_NOTE, credits_id__isnull=False, total_micros__gt=0)
                | (~models.Q(kind=Kind.CREDIT_NOTE) & models.Q(credits_id=None)),
                name="invoicing_invoice_credits",
            ),
            models.CheckConstraint(
                condition=~models.Q(kind__in=[Kind.RECEIPT, Kind.BILL]) | models.Q(tax_micros=0),
                name="invoicing_receipt_without_tax",
            ),
        ]
        indexes = [
            models.Index(
                fields=["customer_id", "credits_id"],
                condition=models.Q(credits_id__isnull=False),
                name="invoicing_invoice_credited",
            )
        ]


class Mailing(CustomerRow):
    """That an invoice was mailed. The row is the lock and the proof: one mail an invoice."""

    invoice_id = models.BigIntegerField()
    address = models.EmailField()
    started_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "invoicing_mailing"
        constraints = [models.UniqueConstraint(fields=["customer_id", "invoice_id"], name="invoicing_mailing_once")]
