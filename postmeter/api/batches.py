"""Lists that are sent together: up to 10,000 messages in one request and one transaction."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from postmeter.api.errors import RowError
from postmeter.api.idempotency import once
from postmeter.api.messages import (
    Amount,
    ChannelName,
    MediaIds,
    Moment,
    Purpose,
    Subject,
    Text,
    WhenShort,
    body_of,
    useful_until,
)
from postmeter.api.operation import Call, Reply, operation
from postmeter.api.reading import id_in
from postmeter.customers.permissions import READ_MESSAGES, SEND
from postmeter.db.public_ids import public_ids
from postmeter.guard import operations as guard
from postmeter.kit.money import decimal_string
from postmeter.kit.refusals import BadInput, NotFound, Refusal
from postmeter.messaging import queries
from postmeter.messaging.operations import cancel
from postmeter.messaging.operations.accept import (
    LIST_AT_MOST,
    TAKEN,
    Accepted,
    KeyReused,
    NotCoveredList,
    Submission,
    TooManyEmails,
    submit,
)
from postmeter.messaging.operations.instead import submit_or_email
from postmeter.messaging.operations.payers import MessagingOff
from postmeter.messaging.states import State

# 10,000 texts of 10 segments in UTF-8.
LARGEST = 50_000_000
_SENT = TAKEN | {"exists"}
_REFUSED = {
    "opted_out": ("This recipient has opted out.", "They can opt in again by sending START."),
    "exceeds_available": ("The available credit does not cover this one.", "Top up your credit, then send it again."),
    "refused_before": ("This one was refused when the list was first sent.", "Send it again in a new list."),
}


class Row(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One message of a list."""

    to: Annotated[
        str, Meta(description="A phone number in E.164, or for an email an address.", max_length=254, examples=["+15550100123"])
    ]
    text: Text


Rows = Annotated[list[Row], Meta(min_length=1, max_length=LIST_AT_MOST)]


class NewBatch(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A list to send."""

    messages: Rows
    channel: ChannelName = "sms"
    subject: Subject = None
    media: MediaIds = []
    whole: Annotated[
        bool,
        Meta(description="All or nothing. Without it the rows that can be sent and paid for go, and the others say why not."),
    ] = True
    name: Annotated[str, Meta(description="What to call it, for you.", max_length=200)] = ""
    useful_until: Annotated[Moment | None, Meta(description="After this what has not gone is not sent any more.")] = None
    when_short: WhenShort = None
    kind: Purpose = "ad_hoc"


class SentRow(msgspec.Struct, kw_only=True):
    """What became of one row: a message, or why not."""

    id: str | None
    total: Amount
    error: RowError | None = None


class SentBatch(msgspec.Struct, kw_only=True):
    """A list as it was accepted; `messages` are in the order of the request."""

    id: Annotated[str, Meta(examples=["BA0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
    accepted: int
    refused: int
    total: Annotated[str, Meta(description="What all of it costs at most: on hold, but for what waits for credit.")]
    unit: str
    messages: list[SentRow]


class Batch(msgspec.Struct, kw_only=True):
    """How far a list has got."""

    id: str
    quote: str | None
    name: str
    accepted: int
    refused: int
    states: dict[State, int]
    left: Annotated[int, Meta(description="How many have not gone out yet.")]
    held: Amount
    charged: Amount
    refunded: Amount
    created_at: datetime


@operation(
    "POST",
    "/v1/batches",
    scope=SEND,
    summary="Send a list",
    body=NewBatch,
    answer=SentBatch,
    status=202,
    refusals=(BadInput, NotCoveredList, KeyReused, MessagingOff, TooManyEmails, *guard.REFUSALS),
    largest=LARGEST,
    is_list=True,
)
def send_batch(call: Call[NewBatch, None]) -> object:
    """Prices, holds and queues up to 10,000 messages in one transaction.

    A whole list (the default) goes entirely or not at all: a row that cannot be sent is a 422 that names it, missing credit a
    402. Recipients who have opted out are left out in any case.
    """
    body = call.body
    submission = Submission(
        customer_id=call.customer_id,
        recipients=[row.to for row in body.messages],
        bodies=[body_of(body.channel, body.subject, row.text, body.when_short) for row in body.messages],
        channel=body.channel,
        media=[id_in(each, "ME", "media") for each in body.media],
        actor=call.caller.actor,
        mode=call.caller.mode,
        key=call.key.key if call.key else None,
        digest=call.key.digest if call.key else None,
        whole=body.whole,
        listed=True,
        source=_printable(body.name),
        useful_until=useful_until(body.useful_until, call.now),
        wait=None if body.when_short is None else body.when_short == "wait",
        kind=body.kind,
    )
    if body.when_short == "email":
        return sent_batch(submit_or_email(submission, subject=body.subject or "", now=call.now))
    return sent_batch(submit(submission, now=call.now))


def sent_batch(accepted: Accepted) -> Reply:
    """A list's answer; used by quotes too."""
    priced, words = accepted.priced, accepted.words
    totals = [price + fee if word in _SENT else 0 for price, fee, word in zip(priced.prices, priced.fees, words, strict=True)]
    names = iter(public_ids().encode_many("SM", [id_ for id_, word in zip(accepted.ids, words, strict=True) if word in _SENT]))
    rows = [
        SentRow(id=next(names), total=decimal_string(total))
        if word in _SENT
        else SentRow(id=None, total="0", error=_row_error(position, word, priced.problems.get(position)))
        for position, (word, total) in enumerate(zip(words, totals, strict=True))
    ]
    gone = sum(row.id is not None for row in rows)
    batch = SentBatch(
        id=public_ids().encode("BA", accepted.batch_id),
        accepted=gone,
        refused=len(rows) - gone,
        total=decimal_string(sum(totals)),
        unit=accepted.unit,
        messages=rows,
    )
    return Reply(batch, {"Idempotent-Replayed": "true"} if "exists" in words else {})


def _row_error(position: int, word: str, problem: Refusal | None) -> RowError:
    if problem is not None:
        return RowError(position=position, field=problem.field or "", detail=problem.text, remedy=problem.remedy or "")
    detail, remedy = _REFUSED[word]
    return RowError(position=position, field="to" if word == "opted_out" else "", detail=detail, remedy=remedy)


def _printable(name: str) -> str:
    if not name.isprintable():
        raise BadInput("The name has characters that cannot be shown.", field="name", remedy="Use letters, digits and spaces.")
    return name


@operation(
    "GET", "/v1/batches/{id}", of="BA", scope=READ_MESSAGES, summary="A list's progress", answer=Batch, refusals=(NotFound,)
)
def get_batch(call: Call[None, None]) -> Batch:
    """How many messages are in which state, and their money."""
    return _batch(call)


@operation(
    "POST",
    "/v1/batches/{id}/cancellation",
    of="BA",
    scope=SEND,
    summary="Stop a list",
    answer=Batch,
    refusals=(NotFound, KeyReused),
)
def cancel_batch(call: Call[None, None]) -> Batch:
    """Takes back everything of it that has not gone out, and releases what that held. A repeat changes nothing."""
    _batch(call)

    def stop() -> int:
        cancel.cancel_batch(customer_id=call.customer_id, batch_id=call.id, now=call.now, actor=call.caller.actor)
        return call.id

    once(call, stop)
    return _batch(call)


def _batch(call: Call[None, None]) -> Batch:
    progress = queries.progress(customer_id=call.customer_id, batch_id=call.id)
    if not queries.messages(customer_id=call.customer_id, batch_id=call.id, at_most=1, sandbox=call.caller.mode == "test"):
        raise NotFound("There is no such list.", remedy="Test keys see the sandbox's lists, live keys the others.")
    ids, found = public_ids(), progress.batch
    return Batch(
        id=ids.encode("BA", found.id),
        quote=ids.encode("QU", found.quote_id) if found.quote_id else None,
        name=found.source,
        accepted=found.accepted,
        refused=found.refused,
        states={State(state): count for state, count in progress.states.items()},
        left=progress.left,
        held=decimal_string(progress.held_micros),
        charged=decimal_string(progress.charged_micros),
        refunded=decimal_string(progress.refunded_micros),
        created_at=found.created_at,
    )
