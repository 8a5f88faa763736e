"""Top-ups: buying credit."""

from django.db import models

from postmeter.db.models import CustomerRow


class TopUp(CustomerRow):
    """One purchase of credit: a payment, and once it succeeds one posting to the wallet and one invoice."""

    wallet_id = models.BigIntegerField()
    payment_id = models.BigIntegerField()
    amount_micros = models.BigIntegerField()
    unit = models.TextField()
    key = models.UUIDField()  # the buyer's own id of this purchase: a second press finds this row
    state = models.TextField(choices=[("pending", "Pending"), ("succeeded", "Succeeded"), ("failed", "Failed")])
    invoice_id = models.BigIntegerField(null=True)
    transfer_id = models.BigIntegerField()  # the ledger's id of the credit, made beforehand so that it is posted once
    debt_transfer_id = models.BigIntegerField()  # of the part that pays a debt first
    created_by = models.TextField()
    created_at = models.DateTimeField()
    credited_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "topups_topup"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "key"], name="topups_topup_key"),
            models.UniqueConstraint(fields=["customer_id", "payment_id"], name="topups_topup_payment"),
        ]
        indexes = [
            models.Index(fields=["customer_id", "wallet_id"], condition=models.Q(state="pending"), name="topups_topup_pending")
        ]
