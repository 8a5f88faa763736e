"""Top-ups: buying credit."""

from django.db import models
from django.db.models.expressions import RawSQL

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
    bill_id = models.BigIntegerField(null=True)  # it pays this bill, whose credit was there before, and adds none

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
            # Two people, or two presses, pay a bill once.
            models.UniqueConstraint(
                fields=["customer_id", "bill_id"],
                condition=models.Q(bill_id__isnull=False) & ~models.Q(state="failed"),
                name="topups_topup_one_payment_of_a_bill",
            ),
        ]
        indexes = [
            models.Index(fields=["customer_id", "wallet_id"], condition=models.Q(state="pending"), name="topups_topup_pending"),
            models.Index(fields=["created_at"], condition=models.Q(automatic=True), name="topups_topup_automatic"),
        ]


class Bill(CustomerRow):
    """What a wallet was below zero at a month's end, billed: the wallet is at zero again, and this is owed (S-097, S-098)."""

    wallet_id = models.BigIntegerField()
    month = models.DateField()  # its first day
    unit = models.TextField()
    lifted_micros = models.BigIntegerField()  # what the wallet was lifted by
    amount_micros = models.BigIntegerField()  # what is owed: the same in whole minor units
    invoice_id = models.BigIntegerField()
    issued_at = models.DateTimeField()
    due_on = models.DateField()
    state = models.TextField(choices=[("open", "To be paid"), ("paid", "Paid"), ("cancelled", "Cancelled")], default="open")
    settled_at = models.DateTimeField(null=True)
    settled_by = models.TextField(blank=True, default="")
    note = models.TextField(blank=True, default="")  # of whoever settled it by hand: why

    class Meta:
        db_table = "topups_bill"
        constraints = [
            # However often the round comes, a month is billed once (S-099, A-40).
            models.UniqueConstraint(fields=["customer_id", "wallet_id", "month"], name="topups_bill_once"),
            models.CheckConstraint(condition=models.Q(lifted_micros__gt=0, amount_micros__gt=0), name="topups_bill_positive"),
            models.CheckConstraint(
                condition=models.Q(state="open", settled_at=None)
                | (~models.Q(state="open") & models.Q(settled_at__isnull=False)),
                name="topups_bill_settled",
            ),
        ]


class Reversal(CustomerRow):
    """Money of a top-up that its gateway took back, or gave again. Never changed: what comes back is a row of its own."""

    top_up_id = models.BigIntegerField()
    kind = models.TextField(choices=[("refund", "Refund"), ("dispute", "Dispute")])
    ref = models.TextField()  # the gateway's name of the refund or the dispute
    is_back = models.BooleanField()
    amount_micros = models.BigIntegerField()  # of credit
    paid_micros = models.BigIntegerField(null=True)  # of the payment's currency, where the credit is counted in messages
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


class Refund(CustomerRow):
    """Money of a top-up that we give back (A-13). `id` is also its hold in the ledger, and makes the key that the gateway gets."""

    top_up_id = models.BigIntegerField()
    amount_micros = models.BigIntegerField()  # of credit, held until it ends
    paid_micros = models.BigIntegerField()  # of the payment's currency
    reason = models.TextField()
    key = models.UUIDField()
    state = models.TextField(
        choices=[("asked", "No answer yet"), ("pending", "On its way"), ("succeeded", "Given back"), ("failed", "Refused")]
    )
    ref = models.TextField(default="", db_default="")  # the gateway's name of it
    text = models.TextField(default="", db_default="")  # why it was refused
    created_by = models.TextField()
    created_at = models.DateTimeField()
    last_asked_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "topups_refund"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "key"], name="topups_refund_key"),
            models.UniqueConstraint(
                fields=["customer_id", "top_up_id"],
                condition=models.Q(state__in=["asked", "pending"]),
                name="topups_refund_one_under_way",
            ),
            models.CheckConstraint(condition=models.Q(amount_micros__gt=0, paid_micros__gt=0), name="topups_refund_positive"),
        ]


class Breaker(models.Model):
    """One time that automatic top-ups were stopped for everybody. Open while `closed_at` is empty. Every login may read it."""

    id = models.BigIntegerField(primary_key=True, db_default=RawSQL("next_id()", []))
    opened_at = models.DateTimeField()
    opened_by = models.TextField()
    reason = models.TextField()
    closed_at = models.DateTimeField(null=True)
    closed_by = models.TextField(blank=True, default="")
    closed_because = models.TextField(blank=True, default="")

    class Meta:
        db_table = "topups_breaker"
        constraints = [
            models.UniqueConstraint(models.Value(1), condition=models.Q(closed_at=None), name="topups_breaker_one_open")
        ]


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
