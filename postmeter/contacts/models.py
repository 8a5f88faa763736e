"""Whom a customer writes to, and at which addresses."""

from django.db import models

from postmeter.db.models import CustomerRow


class Contact(CustomerRow):
    """A person or an office on the other side (S-038). One who wrote first is unknown until somebody gives them a name."""

    kind = models.TextField(choices=[("client", "Client"), ("contact", "Contact"), ("unknown", "Unknown")])
    name = models.TextField(blank=True)
    created_by = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "contacts_contact"


class Address(CustomerRow):
    """Where a contact is reached: one contact has an address at a time, so that a reply belongs to one conversation."""

    contact_id = models.BigIntegerField()
    medium = models.TextField(choices=[("phone", "Telephone"), ("fax", "Fax"), ("email", "Email")])
    value = models.TextField()  # E.164, or an email address in small letters
    created_at = models.DateTimeField()

    class Meta:
        db_table = "contacts_address"
        constraints = [models.UniqueConstraint(fields=["customer_id", "medium", "value"], name="contacts_address_once")]
        indexes = [models.Index(fields=["customer_id", "contact_id"], name="contacts_address_of")]
