"""Texts that are kept encrypted: AES-256-GCM, under a key of the customer's that is itself kept under the install's (promises.md 3.3).

A sealed text says by which key: U+0001, then in base64 8 bytes of the key's id, 12 of nonce, the text and its tag. A text that does not
begin so was never sealed.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MARK = "\x01"
_ID, _NONCE, _KEY = 8, 12, 32


class Unreadable(Exception):
    """This was sealed with another key, or changed since."""


def new_key() -> bytes:
    return AESGCM.generate_key(8 * _KEY)


def cipher(key: bytes) -> AESGCM:
    return AESGCM(key)


def seal(text: str, *, key_id: int, with_: AESGCM, whose: int) -> str:
    """An empty text stays empty: it says nothing."""
    if not text:
        return text
    nonce = os.urandom(_NONCE)
    box = with_.encrypt(nonce, text.encode("utf-8", "surrogatepass"), _owner(whose))
    return MARK + base64.b64encode(key_id.to_bytes(_ID) + nonce + box).decode()


def key_id_of(sealed: str) -> int | None:
    """Which key opens it; None for a text that is not sealed."""
    if not sealed.startswith(MARK):
        return None
    try:
        return int.from_bytes(base64.b64decode(sealed[1:13])[:_ID])
    except ValueError:
        return None


def unseal(sealed: str, *, with_: AESGCM, whose: int) -> str:
    """Raises Unreadable."""
    box = base64.b64decode(sealed[1:])[_ID:]
    try:
        return with_.decrypt(box[:_NONCE], box[_NONCE:], _owner(whose)).decode("utf-8", "surrogatepass")
    except InvalidTag:
        raise Unreadable from None


def seal_bytes(content: bytes, *, key_id: int, with_: AESGCM, whose: int) -> bytes:
    """A file, as it is kept: the same as a text's, without base64."""
    nonce = os.urandom(_NONCE)
    return key_id.to_bytes(_ID) + nonce + with_.encrypt(nonce, content, _owner(whose))


def key_id_of_bytes(sealed: bytes) -> int:
    return int.from_bytes(sealed[:_ID])


def unseal_bytes(sealed: bytes, *, with_: AESGCM, whose: int) -> bytes:
    """Raises Unreadable."""
    try:
        return with_.decrypt(sealed[_ID : _ID + _NONCE], sealed[_ID + _NONCE :], _owner(whose))
    except InvalidTag:
        raise Unreadable from None


def wrap(key: bytes, *, under: bytes, whose: int) -> bytes:
    """A customer's key as it is kept."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(under).encrypt(nonce, key, _owner(whose))


def unwrap(wrapped: bytes, *, under: bytes, whose: int) -> bytes:
    """Raises Unreadable."""
    try:
        return AESGCM(under).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _owner(whose))
    except InvalidTag:
        raise Unreadable from None


def _owner(customer_id: int) -> bytes:
    """Bound into each seal: one customer's text is no other's."""
    return b"customer:%d" % customer_id
