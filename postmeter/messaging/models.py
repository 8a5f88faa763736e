"""Messages, what became of them, and quotes."""

from django.db import models
from django.db.models.expressions import RawSQL

from postmeter.customers.bodies import sealed
from postmeter.db.models import CustomerRow
from postmeter.messaging.channels import email
from postmeter.messaging.states import MACHINE, State


class Worded(CustomerRow):
    """A message that goes out or came in: an email's body begins with its subject."""

    channel = models.TextField()
    body_sealed = models.TextField(db_column="body")
    body = sealed("body_sealed")

    class Meta:
        abstract = True

    @property
    def subject(self) -> str:
        return email.split(self.body)[0] if self.channel == "email" else ""

    @property
    def text(self) -> str:
        return email.split(self.body)[1] if self.channel == "email" else self.body


class Message(Worded):
    """One message to one recipient. Its hold in the ledger has the same id."""

    kind = models.TextField(default="ad_hoc")
    batch_id = models.BigIntegerField()
    wallet_id = models.BigIntegerField()
    sender = models.TextField()
    recipient = models.TextField()
    encoding = models.TextField()
    segments = models.SmallIntegerField()
    unit = models.TextField()
    price_micros = models.BigIntegerField()
    fee_micros = models.BigIntegerField()
    price_list_id = models.BigIntegerField()
    state = models.TextField()
    provider = models.TextField()
    provider_ref = models.TextField()
    error_code = models.TextField()
    charged_micros = models.BigIntegerField()
    refunded_micros = models.BigIntegerField()
    attempts = models.SmallIntegerField()
    created_by = models.TextField()
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    due_at = models.DateTimeField()
    useful_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "messaging_message"

    @property
    def total_micros(self) -> int:
        return self.price_micros + self.fee_micros

    @property
    def cost_micros(self) -> int:
        """What it came to so far."""
        return self.charged_micros - self.refunded_micros

    @property
    def is_open(self) -> bool:
        return State(self.state) not in MACHINE.finals


class Receipt(models.Model):
    """What a provider said about a message, once per thing said. Immutable; the raw words are kept."""

    pk = models.CompositePrimaryKey("customer_id", "message_id", "source", "status", "error_code")
    customer_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    source = models.TextField()  # reply | callback | lookup | us
    status = models.TextField()
    error_code = models.TextField()
    id = models.BigIntegerField()
    provider = models.TextField()
    provider_ref = models.TextField()
    raw = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        db_table = "messaging_receipt"


class Thread(CustomerRow):
    """The conversation with one contact, across channels: what is unread, who sees to it, and why it needs somebody."""

    contact_id = models.BigIntegerField()
    last_at = models.DateTimeField()  # of what came in, or was written by hand
    unread = models.IntegerField(default=0)
    attention = models.TextField(blank=True, default="")  # a word of `inbox.Attention`, or nothing
    assigned_to = models.BigIntegerField(null=True)  # a member

    class Meta:
        db_table = "messaging_thread"
        constraints = [models.UniqueConstraint(fields=["customer_id", "contact_id"], name="messaging_thread_once")]
        indexes = [
            models.Index(fields=["customer_id", "-last_at"], name="messaging_thread_last"),
            # Every page shows how many there are.
            models.Index(fields=["customer_id"], condition=models.Q(unread__gt=0), name="messaging_thread_unread"),
        ]


class Inbound(Worded):
    """A message that came in. Kept whatever the balance is (A-58); the inbox reads from here."""

    thread_id = models.BigIntegerField(default=0)
    sender = models.TextField()
    recipient = models.TextField()
    provider = models.TextField()
    provider_ref = models.TextField()
    wish = models.TextField(blank=True, default="")  # what it asked for, as it was read (consent/words.py)
    wallet_id = models.BigIntegerField(default=0)  # whose credit paid
    unit = models.TextField(blank=True, default="")
    charged_micros = models.BigIntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        db_table = "messaging_inbound"
        constraints = [models.UniqueConstraint(fields=["customer_id", "provider", "provider_ref"], name="messaging_inbound_once")]
        indexes = [models.Index(fields=["customer_id", "thread_id", "id"], name="messaging_inbound_thread")]


class Media(CustomerRow):
    """A file that a message brings: a picture, a document. Kept once, however many messages carry it; sealed like their texts."""

    name_sealed = models.TextField(db_column="name")
    content_type = models.TextField()  # what its first bytes say, not what somebody called it
    size = models.IntegerField()
    pages = models.SmallIntegerField(default=0, db_default=0)  # of what was drawn to be faxed
    content_sealed = models.BinaryField(db_column="content")
    created_by = models.TextField()
    created_at = models.DateTimeField()
    name = sealed("name_sealed")

    class Meta:
        db_table = "messaging_media"

    @property
    def page_numbers(self) -> range:
        return range(1, self.pages + 1)


class Attachment(models.Model):
    """That a message, going out or come in, carries a file."""

    pk = models.CompositePrimaryKey("customer_id", "message_id", "position")
    customer_id = models.BigIntegerField()
    message_id = models.BigIntegerField()  # of a message or of what came in: their ids are one sequence
    position = models.SmallIntegerField()
    media_id = models.BigIntegerField()

    class Meta:
        db_table = "messaging_attachment"


class InboundPart(CustomerRow):
    """A part of a text that came in over SMPP, kept until the text is whole and a day longer, to know repeats."""

    sender = models.TextField()
    recipient = models.TextField()
    reference = models.IntegerField()  # which parts belong together, for a while: phones use it again
    parts = models.SmallIntegerField()
    position = models.SmallIntegerField()
    encoding = models.TextField()
    octets_sealed = models.TextField(db_column="octets")
    joined = models.BooleanField(default=False, db_default=False)
    at = models.DateTimeField()

    class Meta:
        db_table = "messaging_inbound_part"
        indexes = [
            models.Index(fields=["customer_id", "sender", "recipient", "reference"], name="messaging_inbound_part_text"),
            # What the rounds look for: texts whose parts do not come, and parts that nobody needs any more.
            models.Index(fields=["at"], condition=models.Q(joined=False), name="messaging_inbound_part_waits"),
            models.Index(fields=["at"], condition=models.Q(joined=True), name="messaging_inbound_part_done"),
        ]


class Unplaced(models.Model):
    """A receipt by a message centre's id that is no message's yet: of nobody's, and so read by no customer's login."""

    id = models.BigIntegerField(primary_key=True, db_default=RawSQL("next_id()", []))
    provider = models.TextField()
    ref = models.TextField()
    word = models.TextField()
    recipient = models.TextField()
    sender = models.TextField()
    said = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        db_table = "messaging_unplaced"
        constraints = [models.UniqueConstraint(fields=["provider", "ref", "word"], name="messaging_unplaced_once")]
        indexes = [models.Index(fields=["recipient"], name="messaging_unplaced_recipient")]


class Call(CustomerRow):
    """A call that somebody, or a machine, answered; its id is its message's. It may go on as long as is held for."""

    provider = models.TextField()
    provider_ref = models.TextField()
    answered_at = models.DateTimeField()
    machine = models.BooleanField()
    spoken = models.BooleanField()  # the text, or on a machine that there is one
    pressed = models.TextField(blank=True, default="")  # keys, in order
    held_seconds = models.IntegerField()  # from when it was answered
    told_seconds = models.IntegerField()  # what the provider knows of that
    talk_id = models.BigIntegerField(default=0)  # the message that is the second leg, where they were put through
    ends = models.BooleanField(default=False)  # no more is held for it: it is told so and ends
    warned = models.BooleanField(default=False)
    over = models.BooleanField(default=False)

    class Meta:
        db_table = "messaging_call"
        indexes = [models.Index(fields=["customer_id"], condition=models.Q(over=False), name="messaging_call_on")]


class Extension(CustomerRow):
    """Minutes of a call beyond those that it began with. Immutable. `held`: by the hold of this id; else taken when it had ended (F53)."""

    message_id = models.BigIntegerField()
    minutes = models.SmallIntegerField()
    amount_micros = models.BigIntegerField()
    held = models.BooleanField()
    at = models.DateTimeField()

    class Meta:
        db_table = "messaging_extension"
        indexes = [models.Index(fields=["customer_id", "message_id"], name="messaging_extension_message")]


class CallSetting(CustomerRow):
    """How a customer's calls sound, what machines are told, and which keys there are."""

    language = models.TextField()
    voice = models.TextField()
    machines = models.TextField()  # a word of `calling.Machines`
    responses = models.BooleanField()  # automated calls may be answered by keys (S-064)
    confirms = models.BooleanField()
    cancels = models.BooleanField()
    talk_number = models.TextField(blank=True, default="")  # whom they are put through to (S-069)
    talk_minutes = models.SmallIntegerField()
    keys = models.JSONField()  # the digit of each key
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "messaging_call_setting"
        constraints = [models.UniqueConstraint(fields=["customer_id"], name="messaging_call_setting_once")]


class Quote(CustomerRow):
    """A guaranteed price for a list: sending by its id charges this and nothing else, until `valid_until`."""

    wallet_id = models.BigIntegerField()
    channel = models.TextField()
    unit = models.TextField()
    price_list_id = models.BigIntegerField()
    recipients = models.IntegerField()  # those who would get a message
    excluded = models.IntegerField()
    segments = models.IntegerField()
    price_micros = models.BigIntegerField()
    fee_micros = models.BigIntegerField()
    source = models.TextField()  # the file's name, or empty for what was typed
    created_by = models.TextField()
    created_at = models.DateTimeField()
    valid_until = models.DateTimeField()
    batch_id = models.BigIntegerField(null=True)  # set once, when it is sent

    class Meta:
        db_table = "messaging_quote"

    @property
    def total_micros(self) -> int:
        return self.price_micros + self.fee_micros


class QuoteItem(models.Model):
    """One row of a quote: its price, or why it is excluded."""

    pk = models.CompositePrimaryKey("customer_id", "quote_id", "position")
    customer_id = models.BigIntegerField()
    quote_id = models.BigIntegerField()
    position = models.IntegerField()
    line = models.IntegerField(null=True)  # of the uploaded file
    given = models.TextField()  # the recipient as it was given
    recipient = models.TextField(blank=True, default="")
    body_sealed = models.TextField(blank=True, default="", db_column="body")
    encoding = models.TextField(blank=True, default="")
    segments = models.IntegerField(default=0)
    price_micros = models.BigIntegerField(default=0)
    fee_micros = models.BigIntegerField(default=0)
    forced_by = models.TextField(blank=True, default="")
    cheaper_sealed = models.TextField(blank=True, default="", db_column="cheaper")
    cheaper_segments = models.IntegerField(default=0)
    excluded_code = models.TextField(blank=True, default="")
    excluded_text = models.TextField(blank=True, default="")
    body, cheaper = sealed("body_sealed"), sealed("cheaper_sealed")

    class Meta:
        db_table = "messaging_quote_item"


class Batch(CustomerRow):
    """A list that was sent together."""

    quote_id = models.BigIntegerField(null=True)
    source = models.TextField()
    accepted = models.IntegerField()
    refused = models.IntegerField()
    created_by = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "messaging_batch"
