"""Wallets: balances in one unit."""

from django.db import models

from postmeter.db.models import CustomerRow


class Wallet(CustomerRow):
    """The pool (System Credits), a member's own (User Credits), or the sandbox that test keys spend from.

    Its money is the ledger's account `account_id`; what the customer owes beyond it is `receivable_id`.
    """

    kind = models.TextField(choices=[("pool", "System Credits"), ("user", "User Credits"), ("sandbox", "Sandbox")])
    unit = models.TextField()  # an ISO currency, or a named credit
    member_id = models.BigIntegerField(default=0)
    account_id = models.BigIntegerField()
    receivable_id = models.BigIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "wallets_wallet"
        constraints = [models.UniqueConstraint(fields=["customer_id", "kind", "unit", "member_id"], name="wallets_wallet_once")]


class Sharing(models.Model):
    """Whether the members of a customer share one pool, or each has credit of their own (S-143)."""

    customer_id = models.BigIntegerField(primary_key=True)
    individual = models.BooleanField(default=False)
    pool_for_programs = models.BooleanField(default=False)  # under individual credits: who pays what nobody sends by hand
    approve_above_micros = models.BigIntegerField(null=True)  # transfers above it wait for a master; null: none does

    class Meta:
        db_table = "wallets_sharing"


class Transfer(CustomerRow):
    """Credit that went from one wallet of a customer to another. Never changed: what goes back is a row of its own."""

    source_id = models.BigIntegerField()
    target_id = models.BigIntegerField()
    amount_micros = models.BigIntegerField()
    note = models.TextField(blank=True, default="")
    key = models.UUIDField()
    agreed = models.TextField(blank=True, default="")  # SHA-256 of the conditions that were ticked; empty: a rule's
    actor = models.TextField()
    at = models.DateTimeField()

    class Meta:
        db_table = "wallets_transfer"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "key"], name="wallets_transfer_key"),
            models.CheckConstraint(condition=models.Q(amount_micros__gt=0), name="wallets_transfer_positive"),
        ]


class TransferRequest(CustomerRow):
    """A transfer that waits for a master's word, or waited for it (A-62). What was approved is a Transfer with the same key."""

    source_id = models.BigIntegerField()
    target_id = models.BigIntegerField()
    amount_micros = models.BigIntegerField()
    note = models.TextField(blank=True, default="")
    key = models.UUIDField()
    agreed = models.TextField()
    asked_by = models.TextField()
    asked_at = models.DateTimeField()
    state = models.TextField(choices=[("asked", "Asked"), ("approved", "Approved"), ("declined", "Declined")])
    decided_by = models.TextField(default="", db_default="")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "wallets_transfer_request"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "key"], name="wallets_transfer_request_key"),
            models.CheckConstraint(condition=models.Q(amount_micros__gt=0), name="wallets_transfer_request_positive"),
        ]


class Allowance(CustomerRow):
    """Credit that a member gets from the pool by itself: up to so much, at the beginning of each period (A-20)."""

    wallet_id = models.BigIntegerField()
    up_to_micros = models.BigIntegerField()
    period = models.TextField(choices=[("day", "Each day"), ("week", "Each Monday"), ("month", "Each first of the month")])
    filled_for = models.DateField(null=True)  # the first day of the last period that it was given for
    changed_by = models.TextField()
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "wallets_allowance"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "wallet_id"], name="wallets_allowance_once"),
            models.CheckConstraint(condition=models.Q(up_to_micros__gt=0), name="wallets_allowance_positive"),
        ]
