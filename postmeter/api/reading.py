"""Reading what clients send: strict, so that a slip is refused and named instead of guessed at."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from postmeter.api.errors import Malformed
from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import BadInput, NotFound

S = TypeVar("S")
_WHERE = re.compile(r"^(?P<text>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")


class Reader(Generic[S]):
    """Reads bodies of one type."""

    def __init__(self, wanted: type[S]) -> None:
        self.wanted = wanted
        self._decoder = msgspec.json.Decoder(wanted)
        self._own, self._lists = _names_of(wanted)

    def read(self, body: bytes) -> S:
        """The body as what is wanted. Raises Malformed, and BadInput naming the first field that is not right."""
        try:
            read: S = self._decoder.decode(body)
            self._refuse_repeated_names(body, read)
        except msgspec.ValidationError as error:
            raise _bad_input(str(error)) from None
        except (ValueError, RecursionError) as error:
            raise Malformed(
                f"The body is not JSON that we can read: {error}"[:300], remedy="Send one JSON object, in UTF-8."
            ) from None
        return read

    def _refuse_repeated_names(self, body: bytes, read: S) -> None:
        """Most readers of JSON take the last of two members of one name, without a word. Raises BadInput.

        Counting names tells nearly always that there is nothing to find, at a tenth of the cost of looking.
        """
        times = dict.fromkeys(self._own, 1)
        for attribute, names in self._lists:
            times |= dict.fromkeys(names, len(getattr(read, attribute)))
        if b"\\u00" in body or any(body.count(name) > most for name, most in times.items()):
            json.loads(body, object_pairs_hook=_once)


def read_query(query: bytes, wanted: type[S] | None) -> S | None:
    """The query string as what is wanted. Raises BadInput for what is unknown, given twice or out of range."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query), errors="strict", max_num_fields=50
        )
    except (ValueError, UnicodeDecodeError):
        raise BadInput(
            "The query string cannot be read.", field="query", remedy="Write name=value pairs, percent-encoded UTF-8."
        ) from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise BadInput(f"{name[:50]!a} is given twice.", field="query", remedy="Give it once.")
        if value.lower() == "null":
            raise BadInput("There is no null in a query string.", field=name[:50], remedy="Leave it out.")
        given[name] = value
    if wanted is None:
        if given:
            raise _bad_input(f"Object contains unknown field `{next(iter(given))[:50]}`")
        return None
    try:
        return msgspec.convert(given, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise _bad_input(str(error)) from None


def id_in(text: str, kind: str, field: str) -> int:
    """An id that stands in a body or a query: one that is wrong is bad input, not a wrong address."""
    try:
        return public_ids().decode(kind, text)
    except NotFound:
        raise BadInput(
            f"There is no such {field.replace('_', ' ')}.", field=field, remedy="Use an id that the API gave you."
        ) from None


Instant = Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"}, examples=["2027-03-01T09:30:00Z"])]
"""A time in a query string."""


def instant(text: str, field: str) -> datetime:
    """A time in a query string, in UTC. Raises BadInput."""
    try:
        at = msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
    except msgspec.ValidationError:
        raise BadInput(
            "This is not a time.", field=field, remedy="Write it as 2027-03-01T09:30:00Z, with its zone; + is %2B."
        ) from None
    return moment(at, field)


def moment(at: datetime, field: str) -> datetime:
    """A point in time, in UTC. Raises BadInput for those that no message or statement can be about."""
    if not 2000 <= at.year <= 2200:
        raise BadInput("This time is too far away.", field=field, remedy="Use a year from 2000 to 2200.")
    return at.astimezone(UTC)


def _bad_input(message: str) -> BadInput:
    """msgspec's words as ours: the path in front becomes the field."""
    found = _WHERE.match(message)
    text, path = (found["text"], found["path"] or "") if found else (message, "")
    field = path.removeprefix("$").lstrip(".")
    for pattern, said in ((_UNKNOWN, "is not known here."), (_MISSING, "is missing.")):
        if match := pattern.search(text):
            name = f"{field}.{match['name']}" if field else match["name"]
            return BadInput(f"{name!a} {said}", field=name, remedy="See the reference for what this takes.")
    return BadInput(f"{text}.", field=field or "body", remedy="See the reference for what this takes.")


def _names_of(wanted: Any) -> tuple[tuple[bytes, ...], tuple[tuple[str, tuple[bytes, ...]], ...]]:
    """The quoted names of a struct, and of the rows of its lists.

    Rows have no optional members: then a name that stands twice in one row and never in the next cannot hide in the count.
    """
    own, lists = [], []
    for member in msgspec.structs.fields(wanted):
        own.append(_quoted(member.encode_name))
        row = next((each for each in get_args(_plain(member.type)) if _is_struct(each)), None)
        if row is not None:
            inner = msgspec.structs.fields(row)
            assert all(each.required for each in inner), f"{row.__name__} has optional members"
            lists.append((member.name, tuple(_quoted(each.encode_name) for each in inner)))
    return tuple(own), tuple(lists)


def _plain(type_: Any) -> Any:
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


def _is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _quoted(name: str) -> bytes:
    return f'"{name}"'.encode()


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{name!a} stands twice in one object.", field=name, remedy="Write it once.")
