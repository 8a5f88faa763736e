"""Who asked not to be written to."""

from django.db import models

from postmeter.db.models import CustomerRow


class OptOut(CustomerRow):
    """An address that opted out of a channel. Opting in again removes the row; the events keep the history."""

    channel = models.TextField()
    address = models.TextField()
    source = models.TextField()  # the words they sent, or who entered it
    at = models.DateTimeField()

    class Meta:
        db_table = "consent_opt_out"
        constraints = [models.UniqueConstraint(fields=["customer_id", "channel", "address"], name="consent_opt_out_once")]
