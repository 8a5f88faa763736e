"""Single messages: send one, look at them, follow one's trail, take one back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from postmeter.api.idempotency import once
from postmeter.api.operation import Call, Reply, operation
from postmeter.api.paging import Cursor, Limit, page, position_of
from postmeter.api.reading import id_in, moment
from postmeter.customers.permissions import READ_MESSAGES, SEND
from postmeter.db.public_ids import public_ids
from postmeter.guard import operations as guard
from postmeter.kit import phone
from postmeter.kit.money import decimal_string
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.ledger.queries import Entry
from postmeter.messaging import media, models, queries
from postmeter.messaging.channels import channel, email
from postmeter.messaging.explain import Step, explain, steps
from postmeter.messaging.operations import cancel, fax
from postmeter.messaging.operations.accept import (
    Accepted,
    KeyReused,
    NotCoveredList,
    Submission,
    TooManyEmails,
    submit,
    submit_together,
)
from postmeter.messaging.operations.instead import submit_or_email
from postmeter.messaging.operations.payers import MessagingOff
from postmeter.messaging.states import MACHINE, State

Amount = Annotated[str, Meta(description="A decimal string, in units of `unit`.", examples=["0.0114"])]
Number = Annotated[
    str,
    Meta(
        description="A phone number in E.164.",
        max_length=20,
        examples=["+15550100123"],
        extra_json_schema={"pattern": f"^{phone.E164}$"},
    ),
]
Recipient = Annotated[
    str,
    Meta(
        description="A phone number in E.164, or for an email an address.",
        max_length=254,
        examples=["+15550100123"],
        extra_json_schema={"pattern": rf"^({phone.E164}|[^@\s]+@[^@\s]+)$"},
    ),
]
Text = Annotated[
    str,
    Meta(
        description="What it says: a text message up to 10 segments, a picture message up to 1,600 characters and may be empty, an "
        "email up to 50,000 characters.",
        max_length=50_000,
        examples=["See you tomorrow at ten. Harbour Physio"],
    ),
]
ChannelName = Annotated[
    Literal["sms", "mms", "fax", "voice", "email"],
    Meta(
        description="`sms`: a text message; `mms`: a picture message, which needs `media`; `fax`: `media` as pages, after a cover sheet"
        " where there is a `text`; `voice`: a call that speaks the `text`; `email`: free, and needs a `subject`."
    ),
]
Subject = Annotated[str, Meta(description="Of an email, in one line.", max_length=200, examples=["Your visit on Tuesday"])] | None
MediaIds = Annotated[
    list[Annotated[str, Meta(max_length=64)]], Meta(description="Files to go with it, uploaded before.", max_length=20)
]
Moment = Annotated[datetime, Meta(tz=True, examples=["2027-03-01T09:30:00Z"])]
WhenShort = Annotated[
    Literal["refuse", "wait", "email"] | None,
    Meta(
        description="What to do when the credit is short. What waits goes out by itself once there is credit, until `useful_until`. "
        "`email` sends it as a free email, with `subject`, to whom you know an email address of, and refuses the others. "
        "Unless given, reminders with a `useful_until`, notices, billing reminders, late payment notices and forms wait, and other "
        "kinds are refused."
    ),
]
Purpose = Annotated[
    Literal["ad_hoc", "reminder", "notice", "billing", "late_payment", "form", "contact", "advertising", "code"],
    Meta(
        description="What it is for; its recipients may opt out of each by itself. `advertising` goes by fax only to who has agreed, "
        "where you ask for consent. `code` is for one-time codes and what is urgent: it alone goes in the recipient's quiet hours."
    ),
]
LARGEST = 400_000  # an email of 50,000 characters, each escaped
HOLDS_NOTHING = MACHINE.finals | {State.WAITING}


class NewMessage(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A message to send to one recipient."""

    to: Recipient
    text: Text
    channel: ChannelName = "sms"
    subject: Subject = None
    media: MediaIds = []
    useful_until: Annotated[Moment | None, Meta(description="After this it is not sent any more, and costs nothing.")] = None
    when_short: WhenShort = None
    kind: Purpose = "ad_hoc"


class AcceptedMessage(msgspec.Struct, kw_only=True):
    """A message as it was accepted: its worst price is on hold."""

    id: Annotated[str, Meta(examples=["SM0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
    state: State
    to: str
    encoding: str
    segments: int
    price: Amount
    fee: Amount
    total: Amount
    unit: str
    created_at: datetime


class Message(msgspec.Struct, kw_only=True):
    """A message and what it has cost so far."""

    id: str
    batch: str | None
    kind: Annotated[str, Meta(description="What it is for; `answer` is ours, to STOP, HELP or START.")]
    wallet: str
    channel: str
    sender: Annotated[str, Meta(description="The number that it comes from.")]
    to: str
    subject: Annotated[str | None, Meta(description="Of an email.")]
    text: str
    media: Annotated[list[str], Meta(description="The files that it carries.")]
    encoding: str
    segments: Annotated[int, Meta(description="The units that it is priced in: segments of a text message, one of the others.")]
    state: State
    price: Amount
    fee: Amount
    total: Amount
    held: Amount
    charged: Amount
    refunded: Amount
    unit: str
    error_code: str | None
    created_at: datetime
    changed_at: datetime
    useful_until: datetime | None


class MessagePage(msgspec.Struct, kw_only=True):
    """Messages, the newest first."""

    data: list[Message]
    next_cursor: str | None


class MessageQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which messages."""

    cursor: Cursor | None = None
    limit: Limit = 50
    state: State | None = None
    to: (
        Annotated[str, Meta(max_length=254, description="Only those to this number (E.164; write + as %2B) or email address.")]
        | None
    ) = None
    batch: Annotated[str, Meta(max_length=64, description="Only those of this batch.")] | None = None


class MessageReceipt(msgspec.Struct, kw_only=True):
    """What somebody said about the message."""

    at: datetime
    source: str
    provider: str | None
    provider_ref: str | None
    status: str
    error_code: str | None


class LedgerEntry(msgspec.Struct, kw_only=True):
    """One row of the ledger."""

    id: str
    at: datetime
    kind: Annotated[str, Meta(description="hold, post, void, expire or transfer")]
    code: str
    amount: Amount
    debit_account: str
    credit_account: str


class TrailStep(msgspec.Struct, kw_only=True):
    """One thing that happened."""

    at: datetime
    title: str
    text: str
    amount: Annotated[str | None, Meta(description="What the available balance gained or lost by it.", examples=["-0.0114"])]
    entry: Annotated[str | None, Meta(description="The ledger's entry, where it is one.")]


class MessageTrail(msgspec.Struct, kw_only=True):
    """Everything about one message: why (not) sent, when, who said what, and every movement of money."""

    message: Message
    explanation: Annotated[list[str], Meta(description="What became of it, why, and what it cost, in plain words.")]
    wallet: Annotated[str, Meta(description="What pays for it.", examples=["WA0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
    steps: Annotated[list[TrailStep], Meta(description="Everything that happened, the oldest first.")]
    receipts: list[MessageReceipt]
    entries: list[LedgerEntry]
    held: Amount
    charged: Amount
    refunded: Amount
    unit: str


@operation(
    "POST",
    "/v1/messages",
    scope=SEND,
    summary="Send a message",
    body=NewMessage,
    answer=AcceptedMessage,
    status=202,
    refusals=(BadInput, NotCoveredList, KeyReused, MessagingOff, TooManyEmails, *guard.REFUSALS),
    largest=LARGEST,
)
async def send_message(call: Call[NewMessage, None]) -> object:
    """Prices one text, puts its price on hold and queues it. It is charged when it is delivered, at most the hold.

    With `when_short` it may wait for credit instead of being refused.
    """
    accepted, at = await _accept(call)
    if accepted.words[0] == "exists":
        return await call.door.threads.run(_as_accepted_before, call.customer_id, accepted.ids[0])
    priced = accepted.priced
    return AcceptedMessage(
        id=public_ids().encode("SM", accepted.ids[0]),
        state=State.WAITING if accepted.words[0] == "waits" else State.QUEUED,
        to=call.body.to,
        encoding=priced.encodings[0],
        segments=priced.segments[0],
        price=decimal_string(priced.prices[0]),
        fee=decimal_string(priced.fees[0]),
        total=decimal_string(priced.prices[0] + priced.fees[0]),
        unit=accepted.unit,
        created_at=at,
    )


async def _accept(call: Call[NewMessage, None]) -> tuple[Accepted, datetime]:
    body, key = call.body, call.key
    submission = Submission(
        customer_id=call.customer_id,
        recipients=[body.to],
        bodies=[body_of(body.channel, body.subject, body.text, body.when_short)],
        channel=body.channel,
        media=[id_in(each, "ME", "media") for each in body.media],
        actor=call.caller.actor,
        mode=call.caller.mode,
        key=key.key if key else None,
        digest=key.digest if key else None,
        useful_until=useful_until(body.useful_until, call.now),
        wait=None if body.when_short is None else body.when_short == "wait",
        kind=body.kind,
    )
    if body.channel == "fax":
        return await call.door.lists.run(_accept_fax, submission, call.now), call.now
    if body.when_short == "email":
        return await call.door.threads.run(submit_or_email, submission, subject=body.subject or "", now=call.now), call.now
    if submission.media:
        return await call.door.threads.run(submit, submission, now=call.now), call.now
    if call.door.batcher:
        return await call.door.batcher.submit(submission)
    [answer] = await call.door.threads.run(submit_together, [submission], now=call.now)
    if isinstance(answer, Exception):
        raise answer
    return answer, call.now


def _accept_fax(submission: Submission, now: datetime) -> Accepted:
    """Its pages are counted before it is priced: they have to be drawn."""
    drawn = fax.draw_kept(
        customer_id=submission.customer_id, text=submission.bodies[0], media_ids=submission.media, actor=submission.actor, now=now
    )
    return submit(replace(submission, media=[drawn]), now=now)


def body_of(channel: str, subject: str | None, text: str, when_short: str | None = None) -> str:
    """What is kept of a message. Raises BadInput for an email without a subject, and for a subject of anything else."""
    if channel == "email":
        return email.compose(subject or "", text)
    if subject is not None and when_short != "email":
        raise BadInput("Only an email has a subject.", field="subject", remedy="Leave it out, or send an email.")
    return text


def useful_until(at: datetime | None, now: datetime) -> datetime | None:
    """Raises BadInput for a time that has passed."""
    if at is None:
        return None
    at = moment(at, "useful_until")
    if at <= now:
        raise BadInput("This time has passed.", field="useful_until", remedy="Leave it out, or use a time to come.")
    return at


def _as_accepted_before(customer_id: int, message_id: int) -> Reply:
    found = queries.message(customer_id=customer_id, message_id=message_id)
    before = AcceptedMessage(
        id=public_ids().encode("SM", found.id),
        state=State.WAITING if found.state == State.WAITING else State.QUEUED,
        to=found.recipient,
        encoding=found.encoding,
        segments=found.segments,
        price=decimal_string(found.price_micros),
        fee=decimal_string(found.fee_micros),
        total=decimal_string(found.total_micros),
        unit=found.unit,
        created_at=found.created_at,
    )
    return Reply(before, {"Idempotent-Replayed": "true"})


@operation(
    "GET",
    "/v1/messages",
    scope=READ_MESSAGES,
    summary="List messages",
    query=MessageQuery,
    answer=MessagePage,
    refusals=(BadInput,),
)
def list_messages(call: Call[None, MessageQuery]) -> MessagePage:
    """The newest first."""
    query = call.query
    if query.to is not None:
        channel("email" if "@" in query.to else "sms").check(query.to)
    rows = queries.messages(
        customer_id=call.customer_id,
        before=position_of(query.cursor, "sm"),
        at_most=query.limit + 1,
        state=query.state,
        recipient=query.to,
        batch_id=id_in(query.batch, "BA", "batch") if query.batch is not None else None,
        sandbox=call.caller.mode == "test",
    )
    shown, cursor = page(rows, query.limit, "sm", lambda row: row.id)
    files = _files(call.customer_id, shown)
    return MessagePage(data=[shape_of(row, files.get(row.id, ())) for row in shown], next_cursor=cursor)


@operation("GET", "/v1/messages/{id}", of="SM", scope=READ_MESSAGES, summary="One message", answer=Message, refusals=(NotFound,))
def get_message(call: Call[None, None]) -> Message:
    """Where it stands and what it has cost."""
    return _shown(_message(call))


@operation(
    "GET",
    "/v1/messages/{id}/trail",
    of="SM",
    scope=READ_MESSAGES,
    summary="A message's trail",
    answer=MessageTrail,
    refusals=(NotFound,),
)
def get_trail(call: Call[None, None]) -> MessageTrail:
    """Why it was or was not sent, when, what the provider said, what it cost, and which ledger entries."""
    _message(call)
    trail = queries.trail(customer_id=call.customer_id, message_id=call.id)
    shown = _shown(trail.message)
    return MessageTrail(
        message=shown,
        explanation=explain(trail),
        wallet=public_ids().encode("WA", trail.message.wallet_id),
        steps=[_step(each) for each in steps(trail)],
        receipts=[_receipt(row) for row in trail.receipts],
        entries=[_entry(row) for row in trail.entries],
        held=shown.held,
        charged=shown.charged,
        refunded=shown.refunded,
        unit=shown.unit,
    )


@operation(
    "POST",
    "/v1/messages/{id}/cancellation",
    of="SM",
    scope=SEND,
    summary="Take a message back",
    answer=Message,
    refusals=(NotFound, KeyReused, cancel.TooLate),
)
def cancel_message(call: Call[None, None]) -> Message:
    """Possible until a worker has claimed it; what it held is released. A repeat changes nothing."""
    _message(call)

    def take_back() -> int:
        cancel.cancel(customer_id=call.customer_id, message_id=call.id, now=call.now, actor=call.caller.actor)
        return call.id

    once(call, take_back)
    return _shown(_message(call))


def _message(call: Call[None, None]) -> models.Message:
    found = queries.message(customer_id=call.customer_id, message_id=call.id)
    if (found.provider == "sandbox") != (call.caller.mode == "test"):
        raise NotFound("There is no such message.", remedy="Test keys see the sandbox's messages, live keys the others.")
    return found


def _shown(row: models.Message) -> Message:
    return shape_of(row, _files(row.customer_id, [row]).get(row.id, ()))


def _files(customer_id: int, rows: Sequence[models.Message]) -> dict[int, list[models.Media]]:
    ids = [row.id for row in rows if row.channel in media.CHANNELS]
    return media.listed(customer_id=customer_id, message_ids=ids) if ids else {}


def shape_of(row: models.Message, files: Sequence[models.Media] = ()) -> Message:
    ids = public_ids()
    held = 0 if row.state in HOLDS_NOTHING else row.total_micros - row.charged_micros
    return Message(
        id=ids.encode("SM", row.id),
        batch=ids.encode("BA", row.batch_id) if row.batch_id else None,
        kind=row.kind,
        wallet=ids.encode("WA", row.wallet_id),
        channel=row.channel,
        sender=row.sender,
        to=row.recipient,
        subject=row.subject or None,
        text=row.text,
        media=[ids.encode("ME", file.id) for file in files],
        encoding=row.encoding,
        segments=row.segments,
        state=State(row.state),
        price=decimal_string(row.price_micros),
        fee=decimal_string(row.fee_micros),
        total=decimal_string(row.total_micros),
        held=decimal_string(held),
        charged=decimal_string(row.charged_micros),
        refunded=decimal_string(row.refunded_micros),
        unit=row.unit,
        error_code=row.error_code or None,
        created_at=row.created_at,
        changed_at=row.changed_at,
        useful_until=row.useful_until,
    )


def _step(row: Step) -> TrailStep:
    return TrailStep(
        at=row.at,
        title=row.title,
        text=row.text,
        amount=None if row.micros is None else decimal_string(row.micros),
        entry=public_ids().encode("LE", row.entry_id) if row.entry_id else None,
    )


def _receipt(row: models.Receipt) -> MessageReceipt:
    return MessageReceipt(
        at=row.at,
        source=row.source,
        provider=row.provider or None,
        provider_ref=row.provider_ref or None,
        status=row.status,
        error_code=row.error_code or None,
    )


def _entry(row: Entry) -> LedgerEntry:
    ids = public_ids()
    return LedgerEntry(
        id=ids.encode("LE", row.id),
        at=row.at,
        kind=row.kind,
        code=row.code,
        amount=decimal_string(row.amount_micros),
        debit_account=ids.encode("AC", row.debit_account_id),
        credit_account=ids.encode("AC", row.credit_account_id),
    )
