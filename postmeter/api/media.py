"""Files for messages: uploaded once, carried by any number of messages."""

import base64
import binascii
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from postmeter.api.idempotency import once
from postmeter.api.operation import Call, Reply, operation
from postmeter.customers.permissions import SEND
from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import BadInput
from postmeter.messaging import media
from postmeter.messaging.operations.accept import KeyReused
from postmeter.messaging.providers import Media

BYTES_AT_MOST = 10_000_000
LARGEST = 14_000_000  # as much in base64, and the rest of the request


class NewMedia(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A file."""

    name: Annotated[
        str, Meta(description="What its recipients see it called.", min_length=1, max_length=200, examples=["map.png"])
    ]
    content: Annotated[str, Meta(description="The file in base64 (RFC 4648), up to 10 MB before that.", min_length=4)]


class UploadedMedia(msgspec.Struct, kw_only=True):
    """A file as it was kept."""

    id: Annotated[str, Meta(examples=["ME0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
    name: str
    content_type: Annotated[str, Meta(description="What its first bytes say it is.", examples=["image/png"])]
    size: Annotated[int, Meta(description="In bytes.")]
    created_at: datetime


@operation(
    "POST",
    "/v1/media",
    scope=SEND,
    summary="Upload a file",
    body=NewMedia,
    answer=UploadedMedia,
    status=201,
    refusals=(BadInput, KeyReused),
    largest=LARGEST,
    is_list=True,
)
def upload_media(call: Call[NewMedia, None]) -> object:
    """Keeps a file, encrypted, to be named in `media` of picture messages (JPEG, PNG or GIF) and emails."""
    file = Media(_name(call.body.name), "", _content(call.body.content))

    def make() -> int:
        return media.keep(customer_id=call.customer_id, files=[file], actor=call.caller.actor, now=call.now)[0]

    media_id, known = once(call, make)
    kept = media.described(customer_id=call.customer_id, media_id=media_id)
    shape = UploadedMedia(
        id=public_ids().encode("ME", kept.id),
        name=kept.name,
        content_type=kept.content_type,
        size=kept.size,
        created_at=kept.created_at,
    )
    return Reply(shape, {"Idempotent-Replayed": "true"} if known else {})


def _content(text: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("This is not base64.", field="content", remedy="Encode the file as RFC 4648 has it.") from None
    if not found:
        raise BadInput("The file is empty.", field="content", remedy="Send its bytes.")
    if len(found) > BYTES_AT_MOST:
        raise BadInput("This file is bigger than 10 MB.", field="content", remedy="Make it smaller.")
    return found


def _name(text: str) -> str:
    """Without what would be a path, or another header."""
    name = "".join(character for character in text if character.isprintable()).replace("/", "_").replace("\\", "_").strip()
    if not name:
        raise BadInput("The name is missing.", field="name", remedy="Say what its recipients see it called.")
    return name
