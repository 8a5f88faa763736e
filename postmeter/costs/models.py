"""What was billed, and when it was asked for. The operator's: customers never see what their messages cost to carry."""

from django.db import models
from django.db.models.expressions import RawSQL


class Run(models.Model):
    """One reading of a provider's bill for a day. Goes on where it stopped."""

    id = models.BigIntegerField(primary_key=True, db_default=RawSQL("next_id()", []))
    provider = models.TextField()
    day = models.DateField()  # by the provider's calendar, which is UTC
    nth = models.SmallIntegerField()  # prices come late: a day is read more than once
    part = models.SmallIntegerField(default=0)  # of the provider's bill, and
    page = models.TextField(blank=True, default="")  # which page of it comes next
    records = models.IntegerField(default=0)
    unpriced = models.IntegerField(default=0)  # records that have no price yet
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    totals = models.JSONField(default=dict)  # as they were then: what `queries.totals` says

    class Meta:
        db_table = "costs_run"
        constraints = [models.UniqueConstraint(fields=["provider", "day", "nth"], name="costs_run_once")]


class Billed(models.Model):
    """What a provider says that something costs. Immutable: where it says more later, the difference is a new row.

    `kind`: message (what went out), received, or fee: a carrier's, told for a whole day at once.
    """

    id = models.BigIntegerField(primary_key=True, db_default=RawSQL("next_id()", []))
    provider = models.TextField()
    kind = models.TextField()
    ref = models.TextField()  # the provider's name for it
    day = models.DateField()
    units = models.IntegerField()
    price_micros = models.BigIntegerField()
    nth = models.SmallIntegerField()  # word about it
    currency = models.TextField()
    at = models.DateTimeField()

    class Meta:
        db_table = "costs_billed"
        constraints = [models.UniqueConstraint(fields=["provider", "kind", "ref", "nth"], name="costs_billed_once")]
        indexes = [models.Index(fields=["provider", "day"], name="costs_billed_day")]
