"""API keys: `pm_live_<32 hex><secret><checksum>`.

The 32 hex digits are one encrypted block holding the customer's and the key's ids, so a key says which customer to look
under without a table that stands outside tenant scope. The checksum lets scanners of leaked secrets, and us, tell a
mistyped key from a wrong one without asking the database. Only a SHA-256 of the secret is stored: it has 190 bits of
randomness, so a slow hash would add cost and no safety.
"""

import hashlib
import hmac
import secrets
import string
import zlib
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from django.conf import settings

from postmeter.kit.refusals import Refusal

_ALPHABET = string.ascii_letters + string.digits
_SECRET_LENGTH, _SUM_LENGTH = 32, 6


class BadKey(Refusal):
    """This API key is not valid."""

    status = 401
    code = "bad_key"


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key taken apart."""

    mode: str
    customer_id: int
    key_id: int
    secret: str


def new_secret() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def same(secret: str, stored: bytes) -> bool:
    return hmac.compare_digest(hash_secret(secret), bytes(stored))


def write(*, mode: str, customer_id: int, key_id: int, secret: str) -> str:
    encryptor = _cipher().encryptor()
    block = encryptor.update(customer_id.to_bytes(8) + key_id.to_bytes(8)) + encryptor.finalize()
    body = f"pm_{mode}_{block.hex()}{secret}"
    return body + _checksum(body)


def read(text: str) -> KeyText:
    """Take a key apart. Raises BadKey for anything that we did not write."""
    body, checksum = text[:-_SUM_LENGTH], text[-_SUM_LENGTH:]
    parts = body.split("_")
    if len(parts) != 3 or parts[0] != "pm" or parts[1] not in ("live", "test") or len(parts[2]) != 32 + _SECRET_LENGTH:
        raise BadKey(remedy="A key starts with pm_live_ or pm_test_ and is sent whole: Authorization: Bearer pm_live_…")
    if not hmac.compare_digest(_checksum(body).encode(), checksum.encode("utf-8", "replace")):
        raise BadKey(remedy="It is mistyped or cut short.")
    try:
        block = bytes.fromhex(parts[2][:32])
    except ValueError:
        raise BadKey(remedy="It is mistyped or cut short.") from None
    decryptor = _cipher().decryptor()
    plain = decryptor.update(block) + decryptor.finalize()
    return KeyText(parts[1], int.from_bytes(plain[:8]), int.from_bytes(plain[8:]), parts[2][32:])


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode("utf-8", "replace")), ""
    for _ in range(_SUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits += _ALPHABET[digit]
    return digits


@lru_cache(maxsize=1)
def _cipher() -> "Cipher[modes.ECB]":
    # One block, never repeated with other content: ECB of a single block is what is wanted here. A key of its own.
    key = hashlib.blake2b(settings.ID_KEY, person=b"api-key", digest_size=16).digest()
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
