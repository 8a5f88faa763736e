"""Customers, their members and keys; and people, who sign in."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.expressions import RawSQL

from postmeter.db.models import CustomerRow


class Role(models.TextChoices):
    """What a member may do for the customer. The permissions of each stand in `permissions.py`."""

    MASTER = "master", "Master"
    BILLING_ADMIN = "billing_admin", "Billing admin"
    OFFICE_MANAGER = "office_manager", "Office manager"
    SENDER = "sender", "Sender"


class People(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """A person who signs in. Not business data: an address is unique across customers."""

    id = models.BigIntegerField(primary_key=True, db_default=RawSQL("next_id()", []))
    email = models.EmailField(unique=True)
    name = models.TextField(blank=True, default="")
    is_active = models.BooleanField(default=True)
    is_account_manager = models.BooleanField(default=False)
    joined_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = EMAIL_FIELD = "email"
    REQUIRED_FIELDS = []
    objects = People()

    class Meta:
        db_table = "customers_user"

    def __str__(self) -> str:
        return self.name or self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        if isinstance(self.email, str):
            self.email = self.email.lower()
        super().save(*args, **kwargs)


class Customer(models.Model):
    """The paying organisation. Its id is the `customer_id` of every business row."""

    id = models.BigIntegerField(primary_key=True, db_default=RawSQL("next_id()", []))
    number = models.BigIntegerField(
        unique=True, db_default=RawSQL("nextval('customers_number')", [])
    )  # for people: invoice series
    name = models.TextField()
    email = models.EmailField()  # where invoices and notices go
    address = models.TextField(blank=True, default="")
    tax_id = models.TextField(blank=True, default="")
    country = models.CharField(max_length=2)
    time_zone = models.TextField()
    currency = models.CharField(max_length=3)
    plan = models.TextField(default="standard")
    sender = models.TextField()  # the number that texts come from
    messaging_enabled = models.BooleanField(default=True)
    quiet_hours = models.BooleanField(default=True)  # nobody is written to at night, by their own clock
    opt_in = models.BooleanField(default=False)  # nobody is written to before they have agreed (S-049)
    language = models.TextField(default="en", db_default="en")  # in which people are asked whether they agree
    suspended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "customers_customer"

    def __str__(self) -> str:
        return self.name


class BodyKey(CustomerRow):
    """A key that a customer's texts are sealed with, itself sealed with a key of the install (`bodies.py`)."""

    wrapped = models.BinaryField()
    under = models.TextField()  # the install's key, by its name
    created_at = models.DateTimeField()

    class Meta:
        db_table = "customers_body_key"


def mailbox_name(number: int) -> str:
    """A customer's mailbox: its number, which stays when its name changes."""
    return f"mailbox:{number}"


class SenderNumber(models.Model):
    """A number that texts come from and replies come to, or a mailbox. Not business data: it is one customer's at a time."""

    number = models.TextField(primary_key=True)  # E.164, or `mailbox_name`
    customer_id = models.BigIntegerField()

    class Meta:
        db_table = "customers_sender_number"


class Member(CustomerRow):
    """A person of a customer, with roles."""

    user_id = models.BigIntegerField()
    roles = ArrayField(models.TextField(choices=Role.choices))
    created_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "customers_member"
        constraints = [models.UniqueConstraint(fields=["customer_id", "user_id"], name="customers_member_once")]


class Group(CustomerRow):
    """An office or a team that members stand in (R-03, R-04)."""

    kind = models.TextField(choices=[("office", "Office"), ("team", "Team")])
    name = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "customers_group"
        constraints = [models.UniqueConstraint(fields=["customer_id", "kind", "name"], name="customers_group_name")]


class Placement(CustomerRow):
    """That a member stands in an office or a team; in as many as it takes."""

    group_id = models.BigIntegerField()
    member_id = models.BigIntegerField()

    class Meta:
        db_table = "customers_placement"
        constraints = [models.UniqueConstraint(fields=["customer_id", "group_id", "member_id"], name="customers_placement_once")]


class ApiKey(CustomerRow):
    """A program's key. Only its hash is kept; the key itself is shown once."""

    name = models.TextField()
    mode = models.TextField(choices=[("live", "Live"), ("test", "Test")])
    secret_hash = models.BinaryField()
    hint = models.TextField()
    scopes = ArrayField(models.TextField())
    created_by = models.TextField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "customers_api_key"
