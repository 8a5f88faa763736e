"""The ledger's tables. Only the functions in `sql/` write them; the application's role may read and call."""

from django.db import models

from postmeter.db.models import CustomerRow


class Account(CustomerRow):
    """One account of one customer, in one unit. Only accounts with a limit keep a materialised balance."""

    kind = models.TextField()
    unit = models.TextField()
    ref_id = models.BigIntegerField()
    limited = models.BooleanField()
    normal = models.TextField()
    limit_micros = models.BigIntegerField()
    debits_posted = models.BigIntegerField()
    credits_posted = models.BigIntegerField()
    debits_pending = models.BigIntegerField()

    class Meta:
        db_table = "ledger_account"


class Transfer(CustomerRow):
    """One immutable movement; `pending` marks a hold, which moves nothing until a Resolution posts it."""

    debit_account_id = models.BigIntegerField()
    credit_account_id = models.BigIntegerField()
    amount_micros = models.BigIntegerField()
    code = models.TextField()
    ref_id = models.BigIntegerField()
    pending = models.BooleanField()
    expires_at = models.DateTimeField(null=True)
    at = models.DateTimeField()

    class Meta:
        db_table = "ledger_transfer"


class Resolution(models.Model):
    """What became of a hold: posted (in part or whole), voided or expired. At most one row a hold, by primary key."""

    pk = models.CompositePrimaryKey("customer_id", "hold_id")
    customer_id = models.BigIntegerField()
    hold_id = models.BigIntegerField()
    id = models.BigIntegerField()
    action = models.TextField()
    debit_account_id = models.BigIntegerField()
    credit_account_id = models.BigIntegerField()
    amount_micros = models.BigIntegerField()
    code = models.TextField()
    ref_id = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        db_table = "ledger_resolution"
