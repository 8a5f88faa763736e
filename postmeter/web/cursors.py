"""Cursor pages: the address carries the public id of the last row seen, so that pages stay put while rows arrive."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from django.http import HttpRequest

from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import BadInput, Refusal

AT_MOST = 50


class HasId(Protocol):
    @property
    def id(self) -> Any: ...


Row = TypeVar("Row", bound=HasId)


@dataclass(frozen=True, slots=True)
class CursorPage(Generic[Row]):
    """Rows, newest first, and the cursors for `<c-pager>`: `newer` is "" for the first page, None on it."""

    rows: list[Row]
    older: str | None
    newer: str | None


def page(
    request: HttpRequest, prefix: str, read: Callable[[int | None, int], list[Row]], *, size: int = AT_MOST
) -> CursorPage[Row]:
    """The page that `?before=` asks for; `read(before, at_most)` is a query, the newest first. Raises BadInput."""
    text = request.GET.get("before")
    before = row_id(text, prefix) if text else None
    rows = read(before, size + 1)
    older = public_ids().encode(prefix, rows[size - 1].id) if len(rows) > size else None
    return CursorPage(rows[:size], older, "" if before else None)


def row_id(text: str, prefix: str) -> int:
    """The id inside a cursor. Raises BadInput."""
    try:
        return public_ids().decode(prefix, text)
    except Refusal:
        raise BadInput("This page address is not complete.", remedy="Go back to the first page of the list.") from None
