"""Where customers want to be told, and what they were told."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from postmeter.db.models import CustomerRow


class Endpoint(CustomerRow):
    """An address of a customer's system. Its signing secret is derived, never stored (`signing.py`)."""

    url = models.TextField()
    kinds = ArrayField(models.TextField())  # what it wants to be told; empty: everything
    created_by = models.TextField()
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)  # no delivery has succeeded since then
    disabled_at = models.DateTimeField(null=True)  # by us, after days of failures or because it said 410 Gone

    class Meta:
        db_table = "webhooks_endpoint"


class Delivery(CustomerRow):
    """One fact for one endpoint: delivered at least once, or given up after about three days."""

    endpoint_id = models.BigIntegerField()
    event_id = models.BigIntegerField()
    kind = models.TextField()
    body = models.TextField()  # as it is signed and sent, the same each time
    state = models.TextField(
        choices=[("pending", "Waiting"), ("delivered", "Delivered"), ("failed", "Given up")], default="pending"
    )
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField()
    status = models.SmallIntegerField(null=True)  # of the last answer; null: there was none
    problem = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "webhooks_delivery"
        constraints = [models.UniqueConstraint(fields=["customer_id", "endpoint_id", "event_id"], name="webhooks_delivery_once")]
        indexes = [models.Index(fields=["due_at"], condition=models.Q(state="pending"), name="webhooks_delivery_due")]
