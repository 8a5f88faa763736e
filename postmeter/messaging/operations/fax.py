"""Faxes before they are priced, and as they go: documents become pages once, and each recipient's cover sheet says who they are."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from postmeter.customers import queries as customers
from postmeter.db import scope
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.messaging import faxes, media
from postmeter.messaging.channels import fax
from postmeter.messaging.faxes.pages import addressed
from postmeter.messaging.operations.dispatch import Claimed
from postmeter.messaging.providers import TAKE_TIFF, Media


def draw(*, customer_id: int, text: str, files: Sequence[Media]) -> tuple[Media, int]:
    """The pages of these files, and how many there are; the text is on a cover sheet before them.

    Takes seconds, and so stands outside of every transaction. Raises BadInput naming the file that cannot be drawn.
    """
    fax.count(text)
    with scope.customer(customer_id):
        customer = customers.customer(customer_id=customer_id)
    cover = faxes.Cover(customer.name, customer.sender, customer.address, text) if text.strip() else None
    drawn = faxes.render([(file.name, media.kind_of(file.content), file.content) for file in files], cover)
    return Media("fax.tiff", faxes.RENDERED, drawn.tiff), drawn.count


def draw_kept(*, customer_id: int, text: str, media_ids: Sequence[int], actor: str, now: datetime) -> int:
    """The same for files that were uploaded before: returns the id of the file that is faxed."""
    files = [_file(customer_id, media_id) for media_id in media_ids]
    drawn, pages = draw(customer_id=customer_id, text=text, files=files)
    return media.keep(customer_id=customer_id, files=[drawn], actor=actor, now=now, pages=pages)[0]


def _file(customer_id: int, media_id: int) -> Media:
    try:
        return media.content(customer_id=customer_id, media_id=media_id)
    except NotFound:
        raise BadInput("One of the files is not there.", field="media", remedy="Upload it, and use its id.") from None


def ready(message: Claimed) -> tuple[Media, ...]:
    """The pages as its provider takes them. Raises OSError for bytes that are no pages."""
    to = message.recipient if message.body.strip() else ""
    kind = faxes.RENDERED if message.provider in TAKE_TIFF else "application/pdf"
    return tuple(replace(file, content_type=kind, content=addressed(file.content, to=to, kind=kind)) for file in message.media)
