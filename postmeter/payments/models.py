"""Payment methods and payments. Cards never touch us: a token, a brand, four digits and an expiry."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.expressions import RawSQL

from postmeter.db.models import CustomerRow
from postmeter.payments.gateways import NEVER
from postmeter.payments.states import PaymentState

NAMES = {"bank_debit": "Bank account", "paypal": "PayPal", "wire": "Bank transfer"}


class GatewayCustomer(CustomerRow):
    """Our customer's name at a gateway."""

    gateway = models.TextField()
    ref = models.TextField()

    class Meta:
        db_table = "payments_gateway_customer"
        constraints = [models.UniqueConstraint(fields=["customer_id", "gateway"], name="payments_gateway_customer_once")]


class MethodSetup(CustomerRow):
    """A visit to the gateway's hosted page to add a payment method."""

    kind = models.TextField(default="card")
    member_id = models.BigIntegerField(default=0)  # whose it will be, see PaymentMethod
    gateway = models.TextField()
    session_ref = models.TextField(blank=True, default="")
    method_id = models.BigIntegerField(null=True)
    created_by = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "payments_method_setup"


class PaymentMethod(CustomerRow):
    """A card, a bank account or a PayPal account, kept as the gateway's token."""

    gateway = models.TextField()
    member_id = models.BigIntegerField(default=0)  # 0: the customer's; else this member's own, which nobody else charges
    kind = models.TextField(default="card")
    token = models.TextField()
    brand = models.TextField()
    last4 = models.CharField(max_length=4)
    label = models.TextField(blank=True, default="")  # what stands for the digits where there are none: an account's name
    expires_year = models.IntegerField()
    expires_month = models.IntegerField()
    position = models.IntegerField()
    auto_charge = models.BooleanField()
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)
    # Its health, see health.py. A cool-down that is over stays written until money comes or the next decline.
    cooling_until = models.DateTimeField(null=True)
    needs_person = models.BooleanField(default=False)
    failure_code = models.TextField(blank=True, default="")
    failure_text = models.TextField(blank=True, default="")
    failed_at = models.DateTimeField(null=True)

    @property
    def name(self) -> str:
        """What people call it: "Visa •••• 4242", "PayPal ann@example.com"."""
        kind = NAMES.get(self.kind) or self.brand.replace("_", " ").title()
        return f"{kind} •••• {self.last4}" if self.last4 else f"{kind} {self.label}"

    @property
    def expires(self) -> bool:
        """Whether it ever does: bank and PayPal accounts do not."""
        return (self.expires_year, self.expires_month) < NEVER

    class Meta:
        db_table = "payments_method"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "gateway", "token"], name="payments_method_once"),
            models.CheckConstraint(
                condition=models.Q(needs_person=False) | models.Q(cooling_until=None), name="payments_method_one_ailment"
            ),
            models.CheckConstraint(
                condition=models.Q(failed_at__isnull=False, failure_code__gt="")
                | models.Q(failed_at=None, failure_code="", needs_person=False, cooling_until=None),
                name="payments_method_has_its_reason",
            ),
        ]


class Payment(CustomerRow):
    """One attempt to take money. `id` is its idempotency key at the gateway."""

    method_id = models.BigIntegerField()
    gateway = models.TextField()
    purpose = models.TextField()
    subject_id = models.BigIntegerField()
    amount_micros = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    state = models.TextField(choices=[(s.value, s.value) for s in PaymentState])
    gateway_ref = models.TextField(blank=True, default="")
    action_url = models.TextField(blank=True, default="")
    failure_code = models.TextField(blank=True, default="")
    failure_text = models.TextField(blank=True, default="")
    created_by = models.TextField()
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    asked_at = models.DateTimeField(null=True)  # when the gateway was last asked what became of it

    class Meta:
        db_table = "payments_payment"
        constraints = [
            models.CheckConstraint(condition=models.Q(amount_micros__gt=0), name="payments_payment_positive"),
            models.UniqueConstraint(
                fields=["customer_id", "gateway", "gateway_ref"], condition=~models.Q(gateway_ref=""), name="payments_payment_ref"
            ),
        ]
        indexes = [
            models.Index(
                fields=["customer_id", "changed_at"],
                condition=models.Q(state__in=["created", "calling", "processing", "requires_action", "unknown"]),
                name="payments_payment_open",
            )
        ]


class WireReference(CustomerRow):
    """What a customer writes on bank transfers to a wallet, so that we know whose money it is (ISO 11649)."""

    wallet_id = models.BigIntegerField()
    unit = models.TextField()  # the wallet's: money of another currency needs a person
    reference = models.TextField()
    method_id = models.BigIntegerField()  # what its payments are named after; it is never charged
    created_at = models.DateTimeField()

    class Meta:
        db_table = "payments_wire_reference"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "wallet_id"], name="payments_wire_reference_wallet"),
            models.UniqueConstraint(fields=["customer_id", "reference"], name="payments_wire_reference_once"),
        ]
        indexes = [models.Index(fields=["reference"], name="payments_wire_reference_find")]


class BankAccount(models.Model):
    """An account of the operator that customers transfer money to. Everybody may read it."""

    id = models.BigIntegerField(primary_key=True, db_default=RawSQL("next_id()", []))
    currency = models.CharField(max_length=3)
    account = models.TextField()  # IBAN or number, letters and digits only
    also = ArrayField(models.TextField(), default=list)  # other names that statements have for it
    holder = models.TextField()
    bank = models.TextField(blank=True, default="")
    bic = models.TextField(blank=True, default="")
    note = models.TextField(blank=True, default="")  # what a payer must know besides, such as a routing number
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "payments_bank_account"
        constraints = [models.UniqueConstraint(fields=["account", "currency"], name="payments_bank_account_once")]


class BankEntry(models.Model):
    """An entry of a bank's statement that may be a customer's money. No customer's login reads it: most of it is nobody's yet.

    `matched`: it is known whose it is, and the credit follows. `queued`: a person must look, and `queued_for` says why.
    """

    id = models.BigIntegerField(primary_key=True, db_default=RawSQL("next_id()", []))
    bank_account_id = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    amount_micros = models.BigIntegerField()
    direction = models.TextField(choices=[("credit", "Money in"), ("debit", "Money out")])
    booked_on = models.DateField()
    valued_on = models.DateField()
    bank_ref = models.TextField(blank=True, default="")
    texts = ArrayField(models.TextField())
    payer = models.TextField(blank=True, default="")
    reference = models.TextField(blank=True, default="")  # the payment reference in its texts, whether we know it or not
    digest = models.TextField()  # of what tells it from others where the bank names none of them
    source = models.TextField()  # camt.053, mt940, …
    file_name = models.TextField()
    file_digest = models.TextField()
    place = models.TextField()
    imported_by = models.TextField()
    imported_at = models.DateTimeField()
    state = models.TextField(choices=[(s, s.title()) for s in ("matched", "queued", "credited", "dismissed")])
    queued_for = models.TextField(blank=True, default="")
    customer_id = models.BigIntegerField(null=True)
    wallet_id = models.BigIntegerField(null=True)
    decided_by = models.TextField(blank=True, default="")
    decided_at = models.DateTimeField(null=True)
    decision = models.TextField(blank=True, default="")  # the reason that the person gave

    class Meta:
        db_table = "payments_bank_entry"
        constraints = [
            models.CheckConstraint(condition=models.Q(amount_micros__gt=0), name="payments_bank_entry_positive"),
            # The second wall behind the lock on the account: what is the same in everything is there once in a file.
            models.UniqueConstraint(
                fields=["bank_account_id", "digest", "bank_ref", "file_digest", "place"], name="payments_bank_entry_place"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["matched", "credited"])
                | models.Q(customer_id__isnull=False, wallet_id__isnull=False, direction="credit"),
                name="payments_bank_entry_has_its_wallet",
            ),
        ]
        indexes = [
            models.Index(fields=["bank_account_id", "valued_on"], name="payments_bank_entry_day"),
            models.Index(
                fields=["state", "id"], condition=models.Q(state__in=["matched", "queued"]), name="payments_bank_entry_open"
            ),
        ]
