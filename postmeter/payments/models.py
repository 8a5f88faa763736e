"""Payment methods and payments. Cards never touch us: a token, a brand, four digits and an expiry."""

from django.db import models

from postmeter.db.models import CustomerRow
from postmeter.payments.states import PaymentState


class GatewayCustomer(CustomerRow):
    """Our customer's name at a gateway."""

    gateway = models.TextField()
    ref = models.TextField()

    class Meta:
        db_table = "payments_gateway_customer"
        constraints = [models.UniqueConstraint(fields=["customer_id", "gateway"], name="payments_gateway_customer_once")]


class MethodSetup(CustomerRow):
    """A visit to the gateway's hosted page to add a card."""

    gateway = models.TextField()
    session_ref = models.TextField(blank=True, default="")
    method_id = models.BigIntegerField(null=True)
    created_by = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "payments_method_setup"


class PaymentMethod(CustomerRow):
    """A card (others come later), kept as the gateway's token."""

    gateway = models.TextField()
    kind = models.TextField(default="card")
    token = models.TextField()
    brand = models.TextField()
    last4 = models.CharField(max_length=4)
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
