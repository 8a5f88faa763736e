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
