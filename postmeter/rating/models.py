"""Price lists as data."""

from django.db import models

from postmeter.db.models import CustomerRow


class PriceList(CustomerRow):
    """The prices of a plan (`customer_id` 0) or of one customer."""

    name = models.TextField()
    plan = models.TextField()
    currency = models.CharField(max_length=3)
    payable = models.JSONField(default=dict)  # "status" or "status:error class" -> whether it is paid for; see rating/price.py
    created_at = models.DateTimeField()

    class Meta:
        db_table = "rating_price_list"


class Rate(CustomerRow):
    """The price of one unit to one destination prefix, from a date on. Prices change by new rows."""

    price_list_id = models.BigIntegerField()
    channel = models.TextField()
    direction = models.TextField(choices=[("out", "Outbound"), ("in", "Inbound"), ("hand", "Outbound, sent by a member")])
    prefix = models.TextField()  # digits of E.164 without +
    country = models.TextField()
    price_micros = models.BigIntegerField()
    fee_micros = models.BigIntegerField()  # carriers' fee per unit, passed on without markup (S-089)
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "rating_rate"
        indexes = [models.Index(fields=["customer_id", "price_list_id", "channel", "direction"], name="rating_rate_list")]
        constraints = [
            models.CheckConstraint(condition=models.Q(price_micros__gte=0, fee_micros__gte=0), name="rating_rate_not_negative"),
            models.CheckConstraint(
                condition=models.Q(valid_until=None) | models.Q(valid_until__gt=models.F("valid_from")), name="rating_rate_dates"
            ),
            models.UniqueConstraint(
                fields=["customer_id", "price_list_id", "channel", "direction", "prefix", "valid_from"], name="rating_rate_once"
            ),
        ]


class Pack(CustomerRow):
    """What a credit that is counted in messages costs from a quantity on (S-154). The newest set in a currency holds."""

    price_list_id = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    quantity = models.BigIntegerField()
    price_micros = models.BigIntegerField()  # of one credit
    valid_from = models.DateTimeField()

    class Meta:
        db_table = "rating_pack"
        constraints = [
            models.CheckConstraint(condition=models.Q(quantity__gte=1, price_micros__gt=0), name="rating_pack_positive"),
            models.UniqueConstraint(
                fields=["customer_id", "price_list_id", "currency", "valid_from", "quantity"], name="rating_pack_once"
            ),
        ]
