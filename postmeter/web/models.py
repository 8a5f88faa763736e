"""What the pages keep for themselves."""

from django.db import models

from postmeter.db.models import CustomerRow


class Upload(CustomerRow):
    """A file between its upload and its quote, as it came; gone after a day."""

    name = models.TextField()
    content = models.BinaryField()
    created_by = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "web_upload"
