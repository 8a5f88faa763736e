"""Reads of messages, quotes and batches."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.kit.refusals import NotFound
from postmeter.ledger import queries as ledger
from postmeter.messaging.models import Batch, Call, Extension, Message, Quote, QuoteItem, Receipt

# What providers say of a number that does not exist or takes no texts (Twilio's, which the other adapters translate to), and mail
# servers of a mailbox (RFC 3463: 5.1 an address, 5.2 a mailbox that is off).
BAD_ADDRESS = ("21211", "21614", "30005", "30006", "5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "550")
ENDS_WITHIN = timedelta(days=4)


@dataclass(frozen=True, slots=True)
class Trail:
    """Everything about one message: why (not) sent, when, who said what, what was held, charged and given back."""

    message: Message
    receipts: tuple[Receipt, ...]
    entries: tuple[ledger.Entry, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a list has got: messages by state, and its money in micro-units."""

    batch: Batch
    states: dict[str, int]
    held_micros: int
    charged_micros: int
    refunded_micros: int

    @property
    def cost_micros(self) -> int:
        return self.charged_micros - self.refunded_micros

    @property
    def total(self) -> int:
        return sum(self.states.values())

    @property
    def left(self) -> int:
        return sum(self.states.get(state, 0) for state in ("waiting", "queued", "sending"))


@scoped
def message(*, customer_id: int, message_id: int) -> Message:
    found = Message.objects.filter(customer_id=customer_id, id=message_id).first()
    if found is None:
        raise NotFound("There is no such message.")
    return found


@scoped
def waiting_of(*, customer_id: int, sender: str) -> int:
    """How many messages of one sender (`member:…`, `key:…`) have not gone out."""
    return Message.objects.filter(customer_id=customer_id, created_by=sender, state__in=["waiting", "queued"]).count()


@scoped
def messages(
    *,
    customer_id: int,
    before: int | None = None,
    at_most: int = 50,
    state: str | None = None,
    recipient: str | None = None,
    batch_id: int | None = None,
    created_by: str | None = None,
    sandbox: bool | None = None,
) -> list[Message]:
    """The newest first, filtered; `before` is the id of the last one seen, so that pages stay put while messages arrive."""
    rows = Message.objects.filter(customer_id=customer_id).order_by("-id")
    if before:
        rows = rows.filter(id__lt=before)
    if state:
        rows = rows.filter(state=state)
    if recipient:
        rows = rows.filter(recipient=recipient)
    if batch_id:
        rows = rows.filter(batch_id=batch_id)
    if created_by:
        rows = rows.filter(created_by=created_by)
    if sandbox is not None:
        rows = rows.filter(provider="sandbox") if sandbox else rows.exclude(provider="sandbox")
    return list(rows[:at_most])


@scoped
def messages_named(*, customer_id: int, message_ids: Collection[int]) -> dict[int, Message]:
    return {row.id: row for row in Message.objects.filter(customer_id=customer_id, id__in=message_ids)}


@scoped
def trail(*, customer_id: int, message_id: int) -> Trail:
    found = message(customer_id=customer_id, message_id=message_id)
    receipts = Receipt.objects.filter(customer_id=customer_id, message_id=message_id).order_by("at", "id")
    more = Extension.objects.filter(customer_id=customer_id, message_id=message_id) if found.channel == "voice" else []
    entries = ledger.entries_of(customer_id=customer_id, ref_id=message_id, hold_ids=[message_id, *(each.id for each in more)])
    return Trail(found, tuple(receipts), tuple(entries))


@scoped
def call(*, customer_id: int, message_id: int) -> Call | None:
    """How a call went; None where nobody answered it."""
    return Call.objects.filter(customer_id=customer_id, id=message_id).first()


@scoped
def quote(*, customer_id: int, quote_id: int) -> Quote:
    found = Quote.objects.filter(customer_id=customer_id, id=quote_id).first()
    if found is None:
        raise NotFound("There is no such quote.")
    return found


@scoped
def quote_items(
    *, customer_id: int, quote_id: int, excluded: bool | None = None, after: int = -1, at_most: int = 100
) -> list[QuoteItem]:
    """A quote's rows in the order of the list; `excluded` chooses those that go or those that do not."""
    rows = QuoteItem.objects.filter(customer_id=customer_id, quote_id=quote_id, position__gt=after).order_by("position")
    if excluded is not None:
        rows = rows.exclude(excluded_code="") if excluded else rows.filter(excluded_code="")
    return list(rows[:at_most])


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a quote's texts are encoded: messages and segments by encoding, and what a plainer spelling would save."""

    encodings: tuple[tuple[str, int, int], ...]  # (encoding, messages, segments)
    forced_by: str  # the characters that made texts UCS-2, the first of them
    cheaper: int  # messages that could be spelled more cheaply
    saves_micros: int


@scoped
def spelling(*, customer_id: int, quote_id: int) -> Spelling:
    encodings = calls.rows(
        """SELECT encoding, count(*), sum(segments)::bigint FROM messaging_quote_item
           WHERE customer_id = %s AND quote_id = %s AND excluded_code = '' GROUP BY encoding ORDER BY encoding""",
        [customer_id, quote_id],
    )
    cheaper, saves = calls.rows(
        """SELECT count(*), coalesce(sum((price_micros + fee_micros) / segments * (segments - cheaper_segments)), 0)::bigint
           FROM messaging_quote_item
           WHERE customer_id = %s AND quote_id = %s AND excluded_code = '' AND cheaper_segments > 0""",
        [customer_id, quote_id],
    )[0]
    forced = calls.rows(
        """SELECT DISTINCT forced_by FROM messaging_quote_item
           WHERE customer_id = %s AND quote_id = %s AND excluded_code = '' AND forced_by <> '' LIMIT 50""",
        [customer_id, quote_id],
    )
    characters = "".join(dict.fromkeys("".join(row[0] for row in forced)))
    return Spelling(tuple((row[0], row[1], row[2]) for row in encodings), characters[:12], cheaper, saves)


@scoped
def fitting(*, customer_id: int, quote_id: int, available_micros: int) -> tuple[int, int]:
    """How many of a quote's messages this much credit covers, from the first on as the ledger takes them; and their cost."""
    count, cost = calls.rows(
        """SELECT count(*), coalesce(max(running), 0)::bigint FROM (
               SELECT sum(price_micros + fee_micros) OVER (ORDER BY position) AS running FROM messaging_quote_item
               WHERE customer_id = %s AND quote_id = %s AND excluded_code = '') AS items WHERE running <= %s""",
        [customer_id, quote_id, available_micros],
    )[0]
    return count, cost


@scoped
def beyond(*, customer_id: int, quote_id: int, count: int) -> list[str]:
    """To whom a quote's messages go after its first `count`."""
    items = QuoteItem.objects.filter(customer_id=customer_id, quote_id=quote_id, excluded_code="").order_by("position")
    return list(items.values_list("recipient", flat=True)[count:])


@scoped
def batch(*, customer_id: int, batch_id: int) -> Batch:
    found = Batch.objects.filter(customer_id=customer_id, id=batch_id).first()
    if found is None:
        raise NotFound("There is no such list.")
    return found


@scoped
def progress(*, customer_id: int, batch_id: int) -> Progress:
    found = batch(customer_id=customer_id, batch_id=batch_id)
    rows = calls.rows(
        """SELECT state, count(*), sum(price_micros + fee_micros)::bigint, sum(charged_micros)::bigint,
                  sum(refunded_micros)::bigint
           FROM messaging_message WHERE customer_id = %s AND batch_id = %s GROUP BY state""",
        [customer_id, batch_id],
    )
    held = sum(row[2] - row[3] for row in rows if row[0] in ("queued", "sending", "sent", "unknown"))
    return Progress(found, {row[0]: row[1] for row in rows}, held, sum(row[3] for row in rows), sum(row[4] for row in rows))


@scoped
def under_way(*, customer_id: int) -> dict[str, int]:
    """How many messages have not ended, by state."""
    return dict(
        calls.rows(
            """SELECT state, count(*) FROM messaging_message WHERE customer_id = %s
               AND (state = 'queued' OR state IN ('waiting', 'sending', 'sent', 'unknown')) GROUP BY state""",
            [customer_id],
        )
    )


@scoped
def open_batches(*, customer_id: int, at_most: int = 5) -> list[Batch]:
    """The lists that have not ended, the newest first."""
    ids = calls.rows(
        """SELECT DISTINCT batch_id FROM messaging_message WHERE customer_id = %s AND batch_id <> 0
               AND (state = 'queued' OR state IN ('waiting', 'sending', 'sent', 'unknown'))
           ORDER BY batch_id DESC LIMIT %s""",
        [customer_id, at_most],
    )
    return list(Batch.objects.filter(customer_id=customer_id, id__in=[row[0] for row in ids]).order_by("-id"))


@scoped
def spend_per_day(*, customer_id: int, since: datetime, until: datetime, time_zone: str) -> list[tuple[str, int, int]]:
    """For each day in the customer's zone on which something was sent: (ISO date, charged less refunded, messages)."""
    return [
        (row[0], int(row[1]), int(row[2]))
        for row in calls.rows(
            """SELECT to_char(created_at AT TIME ZONE %s, 'YYYY-MM-DD'), sum(charged_micros - refunded_micros), count(*)
               FROM messaging_message WHERE customer_id = %s AND created_at >= %s AND created_at < %s
                   AND id >= db_id_at(%s) AND id < db_id_at(%s) AND provider <> 'sandbox' GROUP BY 1 ORDER BY 1""",
            [time_zone, customer_id, since, until, since, until],
        )
    ]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The messages that wait for credit: how many, what they cost in micro-units, and when the first of them lapses."""

    count: int
    micros: int
    first_lapses_at: datetime | None


@scoped
def waiting(*, customer_id: int) -> Waiting:
    row = calls.rows(
        """SELECT count(*), coalesce(sum(price_micros + fee_micros), 0)::bigint, min(useful_until) FROM messaging_message
           WHERE customer_id = %s AND state = 'waiting' AND provider <> 'sandbox'""",
        [customer_id],
    )[0]
    return Waiting(*row)


@scoped
def ended_badly(*, customer_id: int, actor: str, with_programs: bool, since: datetime) -> tuple[int, int]:
    """How many messages of this actor, and of programs if wanted, ended after then because of their number or address (S-075,
    S-076), and how many because their recipient did not agree in time (S-077)."""
    numbers, unanswered = calls.rows(
        """SELECT count(*) FILTER (WHERE state IN ('failed', 'undelivered') AND error_code = ANY (%s)),
               count(*) FILTER (WHERE state = 'expired' AND EXISTS (
                   SELECT 1 FROM messaging_receipt r WHERE r.customer_id = m.customer_id AND r.message_id = m.id
                       AND r.source = 'us' AND r.status = 'no_consent'))
           FROM messaging_message m WHERE customer_id = %s AND id >= db_id_at(%s) AND changed_at > %s
               AND state IN ('failed', 'undelivered', 'expired') AND provider <> 'sandbox'
               AND (created_by = %s OR %s AND created_by NOT LIKE 'member:%%')""",
        [list(BAD_ADDRESS), customer_id, since - ENDS_WITHIN, since, actor, with_programs],
    )[0]
    return numbers, unanswered


@scoped
def held_by_day(*, customer_id: int, since: datetime, time_zone: str) -> dict[date, int]:
    """What is held for messages that are scheduled for later, by the day in this zone on which they go out; micro-units."""
    return dict(
        calls.rows(
            """SELECT (due_at AT TIME ZONE %s)::date, sum(price_micros + fee_micros)::bigint FROM messaging_message
               WHERE customer_id = %s AND state = 'queued' AND due_at > %s AND provider <> 'sandbox' GROUP BY 1""",
            [time_zone, customer_id, since],
        )
    )


@scoped
def sums_of(*, customer_id: int, message_ids: Sequence[int]) -> tuple[int, int]:
    """Charged and refunded over these messages."""
    row = calls.rows(
        """SELECT coalesce(sum(charged_micros), 0)::bigint, coalesce(sum(refunded_micros), 0)::bigint FROM messaging_message
           WHERE customer_id = %s AND id = ANY (%b)""",
        [customer_id, list(message_ids)],
    )[0]
    return row[0], row[1]


# Each check is a query that returns the rows that are wrong.
CHECKS = {
    "every message's charge and refund stand in the ledger": """
        SELECT m.id, m.state, m.charged_micros, r.amount_micros, m.refunded_micros, b.amount FROM messaging_message m
        LEFT JOIN ledger_resolution r ON r.customer_id = m.customer_id AND r.hold_id = m.id
        LEFT JOIN LATERAL (SELECT sum(coalesce(x.amount_micros, CASE WHEN NOT e.held THEN e.amount_micros END)) AS amount
            FROM messaging_extension e LEFT JOIN ledger_resolution x ON x.customer_id = e.customer_id AND x.hold_id = e.id
            WHERE e.customer_id = m.customer_id AND e.message_id = m.id) more ON m.channel = 'voice'
        LEFT JOIN LATERAL (SELECT sum(amount_micros) AS amount FROM ledger_transfer t WHERE t.customer_id = m.customer_id
            AND t.ref_id = m.id AND t.code = 'refund' AND NOT t.pending) b ON m.refunded_micros > 0
        WHERE m.customer_id = %(customer)s AND (m.charged_micros <> coalesce(r.amount_micros, 0) + coalesce(more.amount, 0)
            OR m.refunded_micros <> coalesce(b.amount, 0))""",
    "every message that can cost something, and did not only wait, has its hold, of its price": """
        SELECT m.id, m.state FROM messaging_message m
        LEFT JOIN ledger_transfer t ON t.customer_id = m.customer_id AND t.id = m.id AND t.pending
        LEFT JOIN LATERAL (SELECT sum(amount_micros) AS amount FROM messaging_extension e
            WHERE e.customer_id = m.customer_id AND e.message_id = m.id) more ON m.channel = 'voice'
        WHERE m.customer_id = %(customer)s AND m.price_micros + m.fee_micros > 0
            AND t.amount_micros + coalesce(more.amount, 0) IS DISTINCT FROM m.price_micros + m.fee_micros
            AND NOT (t.id IS NULL AND m.attempts = 0 AND m.state IN ('waiting', 'expired', 'cancelled'))""",
    "what a call was extended by stands in the ledger": """
        SELECT e.id, e.amount_micros, t.amount FROM messaging_extension e
        LEFT JOIN LATERAL (SELECT sum(amount_micros) AS amount FROM ledger_transfer t WHERE t.customer_id = e.customer_id
            AND CASE WHEN e.held THEN t.id = e.id AND t.pending ELSE t.ref_id = e.message_id AND t.code = 'overrun' END) t ON true
        WHERE e.customer_id = %(customer)s AND e.amount_micros IS DISTINCT FROM t.amount""",
    "a message that ended holds nothing, and one under way has not been settled for nothing": """
        SELECT m.id, m.state, r.action FROM messaging_message m
        LEFT JOIN ledger_transfer t ON t.customer_id = m.customer_id AND t.id = m.id AND t.pending
        LEFT JOIN ledger_resolution r ON r.customer_id = m.customer_id AND r.hold_id = m.id
        WHERE m.customer_id = %(customer)s AND m.price_micros + m.fee_micros > 0 AND CASE
            WHEN m.state IN ('delivered', 'undelivered', 'failed', 'expired', 'cancelled') THEN t.id IS NOT NULL AND r.hold_id IS NULL
            WHEN m.state = 'waiting' THEN t.id IS NOT NULL
            WHEN m.state IN ('queued', 'sending', 'unknown') THEN r.hold_id IS NOT NULL
            ELSE r.action <> 'post' END""",
    "every received text's charge stands in the ledger": """
        SELECT i.id, i.charged_micros, t.amount FROM messaging_inbound i
        LEFT JOIN (SELECT ref_id, sum(amount_micros) AS amount FROM ledger_transfer
            WHERE customer_id = %(customer)s AND code IN ('sms_in', 'fax_in') GROUP BY ref_id) t ON t.ref_id = i.id
        WHERE i.customer_id = %(customer)s AND i.charged_micros <> coalesce(t.amount, 0)""",
    "every hold of a message belongs to a message": """
        SELECT t.id FROM ledger_transfer t WHERE t.customer_id = %(customer)s AND t.pending AND t.code IN ('sms', 'mms', 'fax', 'voice')
            AND NOT EXISTS (SELECT 1 FROM messaging_message m WHERE m.customer_id = t.customer_id AND m.id = t.id)
            AND NOT EXISTS (SELECT 1 FROM messaging_extension e WHERE e.customer_id = t.customer_id AND e.id = t.id)""",
    "what was held for a call that ended is held no more": """
        SELECT e.id FROM messaging_extension e
        JOIN messaging_message m ON m.customer_id = e.customer_id AND m.id = e.message_id
        LEFT JOIN ledger_resolution r ON r.customer_id = e.customer_id AND r.hold_id = e.id
        WHERE e.customer_id = %(customer)s AND e.held AND r.hold_id IS NULL
            AND m.state IN ('delivered', 'undelivered', 'failed', 'expired', 'cancelled')""",
}
