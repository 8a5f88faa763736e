"""Who agreed to be written to, who asked not to be, and the proof of both."""

from django.db import models

from postmeter.customers.bodies import sealed
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


class Permission(CustomerRow):
    """Whether an address has agreed to be written to on a channel. What was said, and when, is in `Evidence`."""

    channel = models.TextField()
    address = models.TextField()
    state = models.TextField(choices=[("asked", "Asked"), ("given", "Given"), ("withdrawn", "Withdrawn")])
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "consent_permission"
        constraints = [models.UniqueConstraint(fields=["customer_id", "channel", "address"], name="consent_permission_once")]


class Evidence(CustomerRow):
    """What would stand before a regulator: who was shown which words when, and what they answered (A-72). Immutable."""

    channel = models.TextField()
    address = models.TextField()
    purpose = models.TextField(default="all")  # what it covers: every kind of message
    said = models.TextField(
        choices=[("asked", "Asked"), ("given", "Agreed"), ("withdrawn", "Opted out"), ("returned", "Came back")]
    )
    words_sealed = models.TextField(blank=True, db_column="words")  # that were shown to them, or that they wrote
    source = models.TextField()
    actor = models.TextField()
    at = models.DateTimeField()
    words = sealed("words_sealed")

    class Meta:
        db_table = "consent_evidence"
        indexes = [models.Index(fields=["customer_id", "address", "id"], name="consent_evidence_of")]
