"""Keys that make a repeat harmless (A-52): what a caller calls its request, and what the request said."""

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from uuid import UUID

from postmeter.kit.refusals import BadInput

Part = str | bytes | int | bool | None | UUID | Sequence["Part"] | Mapping[str, "Part"]

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class BadKey(BadInput):
    """This idempotency key cannot be used."""


def check_key(key: str, *, field: str = "Idempotency-Key") -> str:
    """The key itself, if it is 1 to 255 visible ASCII characters; else BadKey."""
    if not _KEY.fullmatch(key):
        raise BadKey(field=field, remedy="Use 1 to 255 visible ASCII characters, for instance a UUID.")
    return key


def digest(*parts: Part) -> UUID:
    """128 bits (BLAKE2b) that are equal if and only if the parts are, type for type: ("ab", "c") is not ("a", "bc"), nor 1 "1".

    Parts are strings, bytes, integers, booleans, None, UUIDs, and lists and mappings of these; mappings are compared without
    regard to order. Floats are refused with TypeError: equal amounts must have one spelling.
    """
    return UUID(bytes=blake2b(_canonical(parts), digest_size=16).digest())


def _canonical(part: Part) -> bytes:
    """A letter for the type, the length of what follows, and that: no two parts share their bytes."""
    match part:
        case str():
            return _framed(b"s", part.encode("utf-8", "surrogatepass"))
        case bytes():
            return _framed(b"b", part)
        case None | bool():
            return _framed(b"c", str(part).encode())
        case int():
            return _framed(b"i", str(part).encode())
        case UUID():
            return _framed(b"u", part.bytes)
        case Mapping():
            return _framed(b"m", b"".join(_canonical(key) + _canonical(part[key]) for key in sorted(part)))
        case Sequence():
            return _framed(b"l", b"".join(map(_canonical, part)))
    raise TypeError(f"{type(part).__name__} has no canonical bytes")


def _framed(kind: bytes, content: bytes) -> bytes:
    return b"%b%d:%b" % (kind, len(content), content)
