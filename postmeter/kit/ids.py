"""Ids as the outside sees them: two letters for the kind of thing and 32 hex digits, such as SM0f1e….

The digits are one AES-128 block with the 64-bit id, the two letters and zeros in it. So an id is opaque (neighbours and numbers
of rows stay private), reversible without a column, and has the shape that clients of Twilio's API expect. The letters and the
zeros in the block refuse ids of another kind and ids that somebody made up: one guess in 2**64 would pass.
"""

import re
import struct
from collections.abc import Iterable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from postmeter.kit.refusals import NotFound

_BLOCK = struct.Struct(">Q2s6x")
_PAIR = struct.Struct(">QQ")
_PREFIX = re.compile(r"[A-Za-z]{2}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{32}", re.ASCII)
_TOO_LARGE = 2**63


class NoSuchId(NotFound):
    """There is nothing with this id."""


class PublicIds:
    """Turns database ids into public ones and back, with the install's key of 16 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 16:
            raise ValueError("the key for public ids has 16 bytes")
        # ECB is right here and nowhere else: every block is different, because every id is.
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305

    def encode(self, prefix: str, id: int) -> str:
        """The public id of row `id` (1 to 2**63 - 1) of the kind `prefix` (two ASCII letters)."""
        return self.encode_many(prefix, (id,))[0]

    def encode_many(self, prefix: str, ids: Iterable[int]) -> list[str]:
        """The same for many at once, in their order: one call of the cipher."""
        tag = _tag(prefix)
        blocks = bytearray()
        for each in ids:
            if not 0 < each < _TOO_LARGE:
                raise ValueError(f"{each} is not an id")
            blocks += _BLOCK.pack(each, tag)
        digits = self._cipher.encryptor().update(bytes(blocks)).hex()
        return [prefix + digits[start : start + 32] for start in range(0, len(digits), 32)]

    def decode(self, prefix: str, text: str) -> int:
        """The id behind a public one. Refuses NoSuchId: another kind, another install's, made up, or misspelled."""
        tag = _tag(prefix)
        if not text.startswith(prefix) or not _HEX.fullmatch(text, len(prefix)):
            raise NoSuchId
        block = self._cipher.decryptor().update(bytes.fromhex(text[len(prefix) :]))
        id_, _ = _BLOCK.unpack(block)
        if not 0 < id_ < _TOO_LARGE or block != _BLOCK.pack(id_, tag):
            raise NoSuchId
        return int(id_)

    def encode_pair(self, first: int, second: int) -> str:
        """Two ids in one block, as 32 hex digits: where an id of 34 characters and its owner's do not fit, as before an @.

        All of the block is used, so whoever reads one back has to see whether there is such a pair.
        """
        if not (0 < first < _TOO_LARGE and 0 < second < _TOO_LARGE):
            raise ValueError(f"{first} and {second} are not ids")
        return self._cipher.encryptor().update(_PAIR.pack(first, second)).hex()

    def decode_pair(self, text: str) -> tuple[int, int]:
        """The two ids. Refuses NoSuchId what cannot be a pair: three of four that somebody makes up."""
        if not _HEX.fullmatch(text):
            raise NoSuchId
        first, second = _PAIR.unpack(self._cipher.decryptor().update(bytes.fromhex(text)))
        if not (0 < first < _TOO_LARGE and 0 < second < _TOO_LARGE):
            raise NoSuchId
        return first, second


def _tag(prefix: str) -> bytes:
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is not two letters")
    return prefix.encode()
