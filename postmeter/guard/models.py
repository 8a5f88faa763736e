"""Countries that are open, limits that were set, what was counted, and stops."""

from django.db import models

from postmeter.db.models import CustomerRow
from postmeter.guard.limits import LIMITS

EVERYWHERE = "*"


class Country(CustomerRow):
    """A country beside its own that a customer may write to by telephone; `*` is every one that has a price."""

    country = models.TextField()
    opened_by = models.TextField()
    opened_at = models.DateTimeField()

    class Meta:
        db_table = "guard_country"
        constraints = [models.UniqueConstraint(fields=["customer_id", "country"], name="guard_country_once")]


class Override(CustomerRow):
    """A limit of one customer: set by the operator, which may raise it, or by the customer's own people, who may lower it."""

    name = models.TextField(choices=[(name, limit.words) for name, limit in LIMITS.items()])
    by_operator = models.BooleanField()
    most = models.BigIntegerField()  # messages, or micro-units of the wallet's unit
    set_by = models.TextField()
    set_at = models.DateTimeField()

    class Meta:
        db_table = "guard_override"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "name", "by_operator"], name="guard_override_once"),
            models.CheckConstraint(condition=models.Q(most__gt=0), name="guard_override_above_zero"),
        ]


class Counter(models.Model):
    """What was accepted in one window. Numbers and prefixes stand here as hashes only; rows are forgotten after two days."""

    pk = models.CompositePrimaryKey("customer_id", "kind", "key", "bucket")
    customer_id = models.BigIntegerField()
    kind = models.SmallIntegerField()  # limits.KINDS
    key = models.BigIntegerField()
    bucket = models.DateTimeField()
    messages = models.IntegerField()
    micros = models.BigIntegerField()

    class Meta:
        db_table = "guard_counter"


class Stop(CustomerRow):
    """The breaker of one customer: while it is open nothing of it is sent and no card is charged automatically."""

    limit = models.TextField()  # which one was passed
    most = models.BigIntegerField()
    reached = models.BigIntegerField()  # what it would have been
    unit = models.TextField()
    prefix = models.TextField(blank=True)  # where it was the prefix of numbers
    actor = models.TextField()  # who passed it
    at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.TextField(blank=True, default="")
    top_ups_go_on = models.BooleanField(default=False)  # what the person who lifted it said

    class Meta:
        db_table = "guard_stop"
        constraints = [
            # However many lists pass a limit at once, it opens once.
            models.UniqueConstraint(fields=["customer_id"], condition=models.Q(lifted_at=None), name="guard_stop_one_open")
        ]
