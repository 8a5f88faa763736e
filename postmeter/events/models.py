"""One append-only table of facts: audit log, outbox for webhooks and reactions."""

from django.db import models

from postmeter.db.models import CustomerRow


class Event(CustomerRow):
    """A fact. Written in the transaction that makes it true; never changed."""

    kind = models.TextField()
    actor = models.TextField()
    subject_id = models.BigIntegerField()
    data = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        db_table = "events_event"
        managed = True
