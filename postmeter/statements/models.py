"""Months that are closed."""

from django.db import models

from postmeter.db.models import CustomerRow


class Statement(CustomerRow):
    """One month of one wallet as it was when it was closed. Never changed; only that it was mailed is written later."""

    wallet_id = models.BigIntegerField()
    month = models.DateField()  # its first day
    time_zone = models.TextField()
    since = models.DateTimeField()
    until = models.DateTimeField()
    unit = models.TextField()
    opening_micros = models.BigIntegerField()
    closing_micros = models.BigIntegerField()
    movements = models.IntegerField()
    sha256 = models.CharField(max_length=64)  # of the CSV file, so that anybody can check theirs
    closed_at = models.DateTimeField()
    mail_started_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "statements_statement"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "wallet_id", "month"], name="statements_statement_once"),
            models.CheckConstraint(condition=models.Q(since__lt=models.F("until")), name="statements_statement_span"),
        ]
