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
    automatic = models.BooleanField(default=False)
    why = models.JSONField(default=dict)  # of an automatic one: what it was that charged the card
    retry_of = models.BigIntegerField(null=True)  # the failed one that somebody tries again (S-137)

    class Meta:
        db_table = "topups_topup"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "key"], name="topups_topup_key"),
            models.UniqueConstraint(fields=["customer_id", "payment_id"], name="topups_topup_payment"),
            # Two people, or two presses, try a failed one again once; what failed again is tried again itself.
            models.UniqueConstraint(fields=["customer_id", "retry_of"], name="topups_topup_one_retry"),
            # However many sends see the balance fall, one automatic top-up is under way.
            models.UniqueConstraint(
                fields=["customer_id", "wallet_id"],
                condition=models.Q(state="pending", automatic=True),
                name="topups_topup_one_automatic",
            ),
        ]
        indexes = [
            models.Index(fields=["customer_id", "wallet_id"], condition=models.Q(state="pending"), name="topups_topup_pending")
        ]


class Reversal(CustomerRow):
    """Money of a top-up that its gateway took back, or gave again. Never changed: what comes back is a row of its own."""

    top_up_id = models.BigIntegerField()
    kind = models.TextField(choices=[("refund", "Refund"), ("dispute", "Dispute")])
    ref = models.TextField()  # the gateway's name of the refund or the dispute
    is_back = models.BooleanField()
    amount_micros = models.BigIntegerField()
    transfer_id = models.BigIntegerField()
    debt_transfer_id = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        db_table = "topups_reversal"
        constraints = [
            # The same news comes by several callbacks, in any order: each movement is booked once.
            models.UniqueConstraint(fields=["customer_id", "kind", "ref", "is_back"], name="topups_reversal_once"),
            models.CheckConstraint(condition=models.Q(amount_micros__gt=0), name="topups_reversal_positive"),
        ]
        indexes = [models.Index(fields=["customer_id", "top_up_id"], name="topups_reversal_top_up")]


class Automation(CustomerRow):
    """The automatic top-up of one wallet: its rule, and what has become of it."""

    wallet_id = models.BigIntegerField()
    enabled = models.BooleanField()
    threshold_micros = models.BigIntegerField()
    kind = models.TextField(
        choices=[
            ("refill", "Add this amount"),
            ("target", "Up to this balance"),
            ("weekly", "Add this amount every Monday"),
            ("monthly", "Add this amount on the first of the month"),
        ]
    )
    next_at = models.DateTimeField(null=True)  # of a weekly or monthly one: when it is due
    amount_micros = models.BigIntegerField()
    day_cap_micros = models.BigIntegerField()
    month_cap_micros = models.BigIntegerField()
    strikes = models.SmallIntegerField(default=0)  # charges that no method would pay, one after the other
    # Its top-up that is under way, or whose end has not been followed yet. Kept whatever the end is: a failure must not set free
    # what a repeated job then charges again.
    top_up_id = models.BigIntegerField(null=True)
    tried = models.JSONField(default=list)  # methods that declined since the last success or strike: the next one's turn
    try_after = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    paused_for = models.TextField(blank=True, default="")
    changed_by = models.TextField()
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "topups_automation"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "wallet_id"], name="topups_automation_wallet"),
            models.CheckConstraint(
                condition=models.Q(amount_micros__gt=0, day_cap_micros__gt=0, month_cap_micros__gt=0),
                name="topups_automation_positive",
            ),
        ]
        indexes = [
            models.Index(fields=["customer_id", "try_after"], condition=models.Q(enabled=True), name="topups_automation_due"),
            models.Index(fields=["customer_id", "next_at"], condition=models.Q(enabled=True), name="topups_automation_next"),
        ]
