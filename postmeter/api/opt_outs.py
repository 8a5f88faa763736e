"""Who wants no more messages, of all or of one kind: as customers' own systems are told it."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from postmeter.api.messages import ChannelName, Recipient
from postmeter.api.operation import Call, operation
from postmeter.consent import queries
from postmeter.customers import queries as customers
from postmeter.customers.permissions import READ_MESSAGES, SEND
from postmeter.kit.refusals import BadInput
from postmeter.messaging.channels import channel
from postmeter.messaging.operations import stopping

What = Annotated[
    Literal["all", "ad_hoc", "reminder", "notice", "billing", "late_payment", "form", "contact", "advertising"],
    Meta(description="Which kind of message; `all` is every kind."),
]
Words = Annotated[
    str,
    Meta(description="What they said, where and when: it is the proof.", max_length=500, examples=["On the telephone, 3 March"]),
]


class NewOptOut(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """That somebody wants no more."""

    to: Recipient
    channel: ChannelName = "sms"
    purpose: What = "all"
    words: Words = ""


class NewOptIn(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """That somebody has agreed again."""

    to: Recipient
    words: Annotated[Words, Meta(min_length=1)]
    channel: ChannelName = "sms"
    purpose: What = "all"


class OptOut(msgspec.Struct, kw_only=True):
    """What stands in the way of a message."""

    to: str
    channel: Annotated[str, Meta(description="Whose opt-outs hold: `sms` is for picture messages, too.")]
    purpose: str
    source: Annotated[str, Meta(description="How it came: a reply, a page, a key on a call, a provider's list, a program, …")]
    at: datetime


class OptOuts(msgspec.Struct, kw_only=True):
    """All that this recipient has opted out of, the oldest first."""

    data: list[OptOut]


class OptOutQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whose."""

    to: Annotated[str, Meta(max_length=254, description="A number (E.164; write + as %2B) or an email address.")]


@operation("GET", "/v1/opt-outs", scope=READ_MESSAGES, summary="What a recipient opted out of", answer=OptOuts, query=OptOutQuery)
def list_opt_outs(call: Call[None, OptOutQuery]) -> OptOuts:
    """On all channels. Their own STOP and START are heard without you."""
    return _standing(call.customer_id, call.query.to.strip().lower())


@operation(
    "POST",
    "/v1/opt-outs",
    scope=SEND,
    summary="Write down an opt-out",
    body=NewOptOut,
    answer=OptOuts,
    live_only=True,
    refusals=(BadInput,),
)
def create_opt_out(call: Call[NewOptOut, None]) -> OptOuts:
    """Somebody told you that they want no more. It holds at once, for messages that wait, too; saying it again changes nothing."""
    return _noted(call, stopping.write_down)


@operation(
    "POST",
    "/v1/opt-ins",
    scope=SEND,
    summary="Write down that somebody came back",
    body=NewOptIn,
    answer=OptOuts,
    live_only=True,
    refusals=(BadInput,),
)
def create_opt_in(call: Call[NewOptIn, None]) -> OptOuts:
    """Takes an opt-out back, with its proof. Whoever stopped all texts comes back by their own START only: carriers keep lists, too."""
    return _noted(call, stopping.take_back)


def _noted(call: Call[Any, None], note: Callable[..., object]) -> OptOuts:
    """What somebody told a customer's program is kept as that, and what stands after it."""
    asked, region = call.body, customers.customer(customer_id=call.customer_id).country
    said = {"on": asked.channel, "to": asked.to, "purpose": asked.purpose, "words": asked.words, "source": "told to a program"}
    note(customer_id=call.customer_id, region=region, actor=call.caller.actor, now=call.now, **said)
    return _standing(call.customer_id, channel(asked.channel).read(asked.to, region))


def _standing(customer_id: int, address: str) -> OptOuts:
    rows = queries.opt_outs(customer_id=customer_id, addresses=[address])
    return OptOuts(
        data=[OptOut(to=row.address, channel=row.channel, purpose=row.purpose, source=row.source, at=row.at) for row in rows]
    )
