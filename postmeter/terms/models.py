"""What a customer and its operator agree on, and what was changed by hand."""

from django.db import models

from postmeter.db.models import CustomerRow


class Agreement(models.Model):
    """How far a customer may go below zero, how it pays for that, and what happens when it does not."""

    customer_id = models.BigIntegerField(primary_key=True)
    limit_micros = models.BigIntegerField(default=0)  # as agreed; what the wallet has may be less while a bill is overdue
    post_paid_since = models.DateTimeField(null=True)
    days_to_pay = models.SmallIntegerField(default=14)
    stop_after_days = models.SmallIntegerField(default=7)  # overdue: then nothing more is lent
    suspend_after_days = models.SmallIntegerField(null=True)  # overdue: then nothing more is sent; null: never
    suspend_on_dispute = models.BooleanField(default=True)  # a payment that was spent and is disputed
    stopped_at = models.DateTimeField(null=True)  # since when nothing more is lent
    suspended_for = models.TextField(blank=True, default="")  # overdue | disputed | by_hand

    class Meta:
        db_table = "terms_agreement"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(limit_micros__gte=0, days_to_pay__gte=0, stop_after_days__gte=0),
                name="terms_agreement_positive",
            )
        ]


class Adjustment(CustomerRow):
    """Credit given or taken by hand, with its reason; above a limit by two people."""

    wallet_id = models.BigIntegerField()
    amount_micros = models.BigIntegerField()  # above zero gives, below takes
    reason = models.TextField()
    key = models.UUIDField()
    state = models.TextField(choices=[("proposed", "Waits for a second person"), ("posted", "Done"), ("declined", "Declined")])
    proposed_by = models.TextField()
    proposed_at = models.DateTimeField()
    decided_by = models.TextField(blank=True, default="")
    decided_at = models.DateTimeField(null=True)
    transfer_id = models.BigIntegerField()
    debt_transfer_id = models.BigIntegerField()

    class Meta:
        db_table = "terms_adjustment"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "key"], name="terms_adjustment_key"),
            models.CheckConstraint(condition=~models.Q(amount_micros=0), name="terms_adjustment_amount"),
        ]


class Grant(CustomerRow):
    """Promotional credit: given, not sold; used before what was bought, and gone on its day, if it has one (A-12)."""

    wallet_id = models.BigIntegerField()
    amount_micros = models.BigIntegerField()
    reason = models.TextField()
    key = models.UUIDField()
    granted_by = models.TextField()
    granted_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    transfer_id = models.BigIntegerField()
    expiry_transfer_id = models.BigIntegerField()
    expired_at = models.DateTimeField(null=True)
    expired_micros = models.BigIntegerField(default=0)

    class Meta:
        db_table = "terms_grant"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "key"], name="terms_grant_key"),
            models.CheckConstraint(condition=models.Q(amount_micros__gt=0), name="terms_grant_positive"),
        ]
        indexes = [
            models.Index(
                fields=["customer_id", "expires_at"],
                condition=models.Q(expired_at=None, expires_at__isnull=False),
                name="terms_grant_expiring",
            )
        ]


class ChangeRequest(CustomerRow):
    """A change that a customer asks for and an account manager decides about (S-144)."""

    kind = models.TextField()
    wanted = models.JSONField(default=dict)
    reason = models.TextField(blank=True, default="")
    state = models.TextField(
        choices=[
            ("asked", "Asked"),
            ("withdrawn", "Withdrawn"),
            ("declined", "Declined"),
            ("approved", "Approved"),
            ("reversed", "Reversed"),
        ]
    )
    asked_by = models.TextField()
    asked_at = models.DateTimeField()
    decided_by = models.TextField(blank=True, default="")
    decided_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True, default="")
    before = models.JSONField(default=dict)  # what an approved one was before: the way back

    class Meta:
        db_table = "terms_change_request"
        constraints = [
            models.UniqueConstraint(
                fields=["customer_id", "kind"], condition=models.Q(state="asked"), name="terms_change_request_one_open"
            )
        ]
