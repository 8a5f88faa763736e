"""What people want to be told of, and what they were told."""

from django.db import models

from postmeter.db.models import CustomerRow


class Alert(CustomerRow):
    """One level of a wallet at which a mail goes out. It only ever tells: no alert charges anybody (S-130)."""

    wallet_id = models.BigIntegerField()
    kind = models.TextField(
        choices=[("money", "Balance below"), ("days", "Credit for fewer days than"), ("limit", "Percent of the overdraft used")]
    )
    level = models.BigIntegerField()  # micro-units, days or percent
    # Told and not armed again: it is armed once the balance is well above.
    told_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)
    created_by = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "notifications_alert"
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "wallet_id", "kind", "level"], name="notifications_alert_once"),
            models.CheckConstraint(
                condition=models.Q(kind="money") | models.Q(level__gt=0), name="notifications_alert_days_and_percent_are_positive"
            ),
        ]


class Notice(CustomerRow):
    """One thing that a customer is told by mail, once. The row is the lock and the proof."""

    kind = models.TextField(
        choices=[
            ("low_balance", "Low balance"),
            ("runway", "Credit ends soon"),
            ("top_up_failed", "Automatic top-up failed"),
            ("top_up_paused", "Automatic top-up paused"),
            ("top_up_capped", "Automatic top-up at its cap"),
            ("top_up_reversed", "Top-up taken back"),
            ("card_expires", "Card expires"),
            ("no_method", "No card can be charged"),
            ("bill", "Bill"),
            ("overdraft_stopped", "Nothing more is lent"),
            ("suspended", "Sending is suspended"),
            ("stopped", "Sending is stopped"),
            ("reinstated", "Sending goes on"),
            ("request_decided", "A request was decided"),
            ("adjusted", "Credit was adjusted"),
            ("promotion", "Promotional credit"),
            ("waiting", "Messages wait for credit"),
            ("transfer", "Credit was transferred"),
            ("transfer_waits", "A transfer waits for a master"),
            ("transfer_declined", "A transfer was declined"),
            ("news", "New messages, and errors"),
            ("webhook_disabled", "A webhook is told nothing any more"),
        ]
    )
    key = models.TextField()  # what it is about: a repeated job finds the first one's row
    facts = models.JSONField(default=dict)
    address = models.EmailField()
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "notifications_notice"
        constraints = [models.UniqueConstraint(fields=["customer_id", "kind", "key"], name="notifications_notice_once")]


class Subscription(CustomerRow):
    """How often a member is mailed about messages: what came in, and what could not be delivered (S-079 … S-082)."""

    member_id = models.BigIntegerField()
    frequency = models.TextField(
        choices=[("each", "At once"), ("hour", "Once an hour"), ("day", "Once a day"), ("never", "Never")]
    )
    told_at = models.DateTimeField()  # what came or failed later is news

    class Meta:
        db_table = "notifications_subscription"
        constraints = [models.UniqueConstraint(fields=["customer_id", "member_id"], name="notifications_subscription_once")]
