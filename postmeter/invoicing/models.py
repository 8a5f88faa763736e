"""Invoices: immutable documents with gap-free numbers."""

from django.db import models

from postmeter.db.models import CustomerRow


class Seller(models.Model):
    """The operator, as invoices name it. One row; a customer's invoice keeps a copy of what it said that day."""

    id = models.IntegerField(primary_key=True, default=1)
    name = models.TextField()
    address = models.TextField()
    country = models.CharField(max_length=2)
    tax_id = models.TextField(blank=True, default="")
    tax_name = models.TextField(blank=True, default="")  # empty: not registered, and no document says "tax invoice"
    tax_rate_ppm = models.IntegerField(default=0)  # parts per million: 10 % is 100000
    email = models.EmailField()

    class Meta:
        db_table = "invoicing_seller"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="invoicing_seller_one")]


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

    kind = models.TextField(choices=[("invoice", "Invoice"), ("credit_note", "Credit note")])
    series = models.TextField()
    number = models.BigIntegerField()
    subject_id = models.BigIntegerField()  # the payment that it documents
    currency = models.CharField(max_length=3)
    seller = models.JSONField()
    buyer = models.JSONField()
    lines = models.JSONField()
    net_micros = models.BigIntegerField()
    tax_micros = models.BigIntegerField()
    total_micros = models.BigIntegerField()
    issued_at = models.DateTimeField()

    class Meta:
        db_table = "invoicing_invoice"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "series", "number"], name="invoicing_invoice_number"),
            models.UniqueConstraint(fields=["customer_id", "kind", "subject_id"], name="invoicing_invoice_once"),
            models.CheckConstraint(
                condition=models.Q(total_micros=models.F("net_micros") + models.F("tax_micros")), name="invoicing_invoice_total"
            ),
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
