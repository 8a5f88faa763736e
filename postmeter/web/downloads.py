"""Tables to take away: CSV that streams row by row and that no spreadsheet runs as a formula."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from postmeter.kit import csv

_LINES_AT_ONCE = 500


def csv_download(
    request: HttpRequest, name: str, headers: Sequence[str], rows: Iterable[Sequence[csv.Cell]]
) -> StreamingHttpResponse:
    """A CSV file of that name. `rows` may be a generator that reads as it goes: only a few hundred are in memory at a time."""
    lines = csv.write(headers, rows)
    content = _from_a_thread(lines) if isinstance(request, ASGIRequest) else lines
    return StreamingHttpResponse(
        content,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
    )


async def _from_a_thread(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The event loop does not wait for the database: chunks are made in the request's thread."""

    def take() -> bytes:
        return b"".join(islice(lines, _LINES_AT_ONCE))

    while chunk := await sync_to_async(take)():
        yield chunk
