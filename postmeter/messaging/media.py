"""Files that messages carry: checked, sealed, kept once (S-063, K2). What a file is, its first bytes say."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from postmeter.customers import bodies
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.messaging.addresses import media_url
from postmeter.messaging.channels import Channel, Files
from postmeter.messaging.models import Attachment
from postmeter.messaging.models import Media as Row
from postmeter.messaging.providers import Media

CHANNELS = frozenset({"email", "mms", "fax"})  # whose messages may carry files
BYTES_AT_MOST = 30_000_000
UNKNOWN = "application/octet-stream"
_BEGINS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif"})  # a browser may show these: there is no script in them


def kind_of(content: bytes) -> str:
    """What the bytes are, of what we know; everything else is a file to download."""
    return next((kind for begin, kind in _BEGINS if content.startswith(begin)), UNKNOWN)


@scoped
def keep(*, customer_id: int, files: Sequence[Media], actor: str, now: datetime, pages: int = 0) -> list[int]:
    """Keep files; returns their ids in the same order. `pages`: how many are drawn in it, where it is to be faxed. Raises BadInput for
    one that is too big."""
    for file in files:
        if len(file.content) > BYTES_AT_MOST:
            raise BadInput(
                f"{file.name} is bigger than {BYTES_AT_MOST // 1_000_000} MB.", field="file", remedy="Make it smaller."
            )
    ids = calls.next_ids(len(files))
    Row.objects.bulk_create(
        Row(
            customer_id=customer_id,
            id=id_,
            name_sealed=bodies.seal(customer_id, file.name),
            content_type=kind_of(file.content),
            size=len(file.content),
            pages=pages,
            content_sealed=bodies.seal_bytes(customer_id, file.content),
            created_by=actor,
            created_at=now,
        )
        for id_, file in zip(ids, files, strict=True)
    )
    return ids


def check(*, customer_id: int, on: Channel, media_ids: Sequence[int]) -> int:
    """How many units the files are: the pages of a fax, else one. Raises BadInput for files that a message on this channel cannot
    carry, and where it needs one and has none."""
    if not media_ids:
        if on.files and on.files.needed:
            text, remedy = on.files.needed
            raise BadInput(text, field="media", remedy=remedy)
        return 1
    if on.files is None:
        raise BadInput("A text message carries no files.", field="media", remedy="Send it as a picture message or an email.")
    return _check_files(customer_id=customer_id, files=on.files, media_ids=media_ids)


@scoped
def _check_files(*, customer_id: int, files: Files, media_ids: Sequence[int]) -> int:
    rows = {row.id: row for row in Row.objects.filter(customer_id=customer_id, id__in=list(media_ids)).defer("content_sealed")}
    if len(rows) != len(media_ids):
        raise BadInput(
            "One of the files is not there, or is named twice.", field="media", remedy="Upload it, and use its id once."
        )
    if files.drawn and not all(row.pages for row in rows.values()):
        raise BadInput(
            "Files are not fax pages yet.",
            field="media",
            remedy="Send them one fax at a time, which draws them; or to many on the page for sending.",
        )
    if len(rows) > files.count_at_most:
        raise BadInput("There are too many files.", field="media", remedy=f"Send at most {files.count_at_most}.")
    if sum(row.size for row in rows.values()) > files.bytes_at_most:
        limit = f"{files.bytes_at_most // 1_000_000} MB"
        raise BadInput(f"Together the files are bigger than {limit}.", field="media", remedy="Make them smaller, or send fewer.")
    wrong = [row.name for row in rows.values() if files.kinds and row.content_type not in files.kinds]
    if wrong:
        raise BadInput(f"{wrong[0]} is no picture that phones show.", field="media", remedy="Send JPEG, PNG or GIF pictures.")
    return max(1, sum(row.pages for row in rows.values()))


@scoped
def attach(*, customer_id: int, message_ids: Sequence[int], media_ids: Sequence[int], first: int = 0) -> None:
    """Have each of these messages carry all of these files, after the `first` ones."""
    Attachment.objects.bulk_create(
        Attachment(customer_id=customer_id, message_id=message_id, position=position, media_id=media_id)
        for message_id in message_ids
        for position, media_id in enumerate(media_ids, first)
    )


@scoped
def of_messages(*, customer_id: int, message_ids: Collection[int]) -> dict[int, tuple[Media, ...]]:
    """The files of each message that has some."""
    if not message_ids:
        return {}
    links = list(Attachment.objects.filter(customer_id=customer_id, message_id__in=list(message_ids)).order_by("position"))
    rows = {row.id: row for row in Row.objects.filter(customer_id=customer_id, id__in={link.media_id for link in links})}
    opened = {id_: replace(_open(row), url=media_url(customer_id, id_)) for id_, row in rows.items()}
    found: dict[int, tuple[Media, ...]] = {}
    for link in links:
        found[link.message_id] = (*found.get(link.message_id, ()), opened[link.media_id])
    return found


@scoped
def listed(*, customer_id: int, message_ids: Collection[int]) -> dict[int, list[Row]]:
    """The files of each message without their content, for pages."""
    links = list(Attachment.objects.filter(customer_id=customer_id, message_id__in=list(message_ids)).order_by("position"))
    rows = Row.objects.filter(customer_id=customer_id, id__in={link.media_id for link in links}).defer("content_sealed")
    by_id = {row.id: row for row in rows}
    found: dict[int, list[Row]] = {}
    for link in links:
        found.setdefault(link.message_id, []).append(by_id[link.media_id])
    return found


@scoped
def described(*, customer_id: int, media_id: int) -> Row:
    """A file without its content. Raises NotFound."""
    row = Row.objects.filter(customer_id=customer_id, id=media_id).defer("content_sealed").first()
    if row is None:
        raise NotFound("There is no such file.")
    return row


@scoped
def content(*, customer_id: int, media_id: int) -> Media:
    """Raises NotFound."""
    row = Row.objects.filter(customer_id=customer_id, id=media_id).first()
    if row is None:
        raise NotFound("There is no such file.")
    return _open(row)


def _open(row: Row) -> Media:
    return Media(row.name, row.content_type, bodies.unseal_bytes(row.customer_id, bytes(row.content_sealed)))
