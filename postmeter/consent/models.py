"""Who agreed to be written to, who asked not to be, and the proof of both."""

from django.db import models

from postmeter.customers.bodies import sealed
from postmeter.db.models import CustomerRow

CHANNEL, EVERYTHING = "channel", "everything"  # how far a STOP reaches
ALL = "all"  # every kind of message; a kind's name otherwise


class OptOut(CustomerRow):
    """An address that opted out of a channel. Opting in again removes the row; the evidence keeps the history."""

    channel = models.TextField()
    address = models.TextField()
    purpose = models.TextField(default=ALL, db_default=ALL)  # of what: a kind of message, or all
    source = models.TextField()  # the words they sent, or who entered it
    at = models.DateTimeField()

    class Meta:
        db_table = "consent_opt_out"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "channel", "address", "purpose"], name="consent_opt_out_each_once")
        ]


class StopRule(CustomerRow):
    """How far a STOP reaches, from a moment on: the one channel, or everything. Immutable; of one moment the last word holds."""

    reach = models.TextField(choices=[(CHANNEL, "The channel it came on"), (EVERYTHING, "All channels")])
    since = models.DateTimeField()
    set_by = models.TextField()
    set_at = models.DateTimeField()

    class Meta:
        db_table = "consent_stop_rule"


class Untold(CustomerRow):
    """A change that the provider has not been told yet: written with the change, removed when the provider has it."""

    channel = models.TextField()
    address = models.TextField()
    is_out = models.BooleanField()
    at = models.DateTimeField()
    busy_until = models.DateTimeField()  # a worker is telling it

    class Meta:
        db_table = "consent_untold"


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
    purpose = models.TextField(default=ALL)  # what it covers: a kind of message, or all
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
