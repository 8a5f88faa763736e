"""The shape of every business row: it belongs to one customer, and its id rises with time."""

from django.db import models
from django.db.models.expressions import RawSQL


class CustomerRow(models.Model):
    """Primary key (customer_id, id): what lets the data be distributed by customer (docs/decisions)."""

    pk = models.CompositePrimaryKey("customer_id", "id")
    customer_id = models.BigIntegerField()
    id = models.BigIntegerField(db_default=RawSQL("next_id()", []))

    class Meta:
        abstract = True
