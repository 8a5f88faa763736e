"""Pages by cursor: opaque, encrypted, and steady while rows arrive."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import msgspec

from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import BadInput, NotFound

Limit = Annotated[int, msgspec.Meta(ge=1, le=200, description="How many at most.", examples=[50])]
Cursor = Annotated[str, msgspec.Meta(description="`next_cursor` of the page before.", max_length=64)]
R = TypeVar("R")


class PageQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which page of a list."""

    cursor: Cursor | None = None
    limit: Limit = 50


def position_of(cursor: str | None, kind: str) -> int | None:
    """The id that a cursor stands at. Raises BadInput for one that we did not write, or wrote for another list."""
    if cursor is None:
        return None
    try:
        return public_ids().decode(kind, cursor)
    except NotFound:
        raise BadInput(
            "This cursor is not from this list.", field="cursor", remedy="Use next_cursor as it was given, or leave it out."
        ) from None


def page(rows: Sequence[R], limit: int, kind: str, id_of: Callable[[R], int]) -> tuple[Sequence[R], str | None]:
    """`rows` was read with one more than `limit`: those to show, and the cursor of what follows if there is more."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], public_ids().encode(kind, id_of(rows[limit - 1]))
