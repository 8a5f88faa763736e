"""What messages say, kept encrypted with a key of each customer's: who reads the database reads no text (HIPAA 164.312(a)(2)(iv)).

A customer's keys are kept under the install's (`POSTMETER_BODY_KEYS`). Removing them makes all its texts unreadable for ever, in
backups too.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import transaction

from postmeter.customers.models import BodyKey
from postmeter.db import calls, scope
from postmeter.events import operations as events
from postmeter.kit import sealing
from postmeter.kit.refusals import Conflict

log = logging.getLogger("postmeter.bodies")
GONE = "[This text cannot be read any more.]"
KEPT_SECONDS = 60.0  # how long a process may go on sealing with a key that has a successor


class Row(Protocol):
    """What a row with sealed texts has."""

    customer_id: int


@dataclass(frozen=True, slots=True)
class _Ring:
    """One customer's keys in this process. The newest seals, all of them open."""

    read_at: float
    newest: int
    ciphers: dict[int, AESGCM]


_rings: dict[int, _Ring] = {}


def first_key(*, customer_id: int, now: datetime) -> None:
    """A new customer's. In the transaction that makes the customer: a key that is rolled back has sealed nothing."""
    name, under = _newest_of_install()
    wrapped = sealing.wrap(sealing.new_key(), under=under, whose=customer_id)
    BodyKey.objects.create(customer_id=customer_id, id=calls.next_id(), wrapped=wrapped, under=name, created_at=now)


def seal(customer_id: int, text: str) -> str:
    return seal_all(customer_id, [text])[0]


def seal_all(customer_id: int, texts: Iterable[str]) -> list[str]:
    """Texts of one list: one that stands in it twice is sealed once, for that they are equal is no secret of a list."""
    ring = _ring(customer_id)
    newest = ring.ciphers[ring.newest]
    kept: dict[str, str] = {}
    for text in (texts := list(texts)):
        if text not in kept:
            kept[text] = sealing.seal(text, key_id=ring.newest, with_=newest, whose=customer_id)
    return [kept[text] for text in texts]


def unseal(customer_id: int, sealed: str) -> str:
    """The text; what was never sealed stays, and what nobody can read any more says so."""
    key_id = sealing.key_id_of(sealed)
    if key_id is None:
        return sealed
    found = _cipher(customer_id, key_id)
    if found is None:
        return GONE
    try:
        return sealing.unseal(sealed, with_=found, whose=customer_id)
    except (sealing.Unreadable, ValueError):
        log.error("a text of customer %s does not fit its seal", customer_id)
        return GONE


def _cipher(customer_id: int, key_id: int) -> AESGCM | None:
    ring = _ring(customer_id)
    if key_id not in ring.ciphers:
        ring = _read(customer_id)
    return ring.ciphers.get(key_id)


def seal_bytes(customer_id: int, content: bytes) -> bytes:
    ring = _ring(customer_id)
    return sealing.seal_bytes(content, key_id=ring.newest, with_=ring.ciphers[ring.newest], whose=customer_id)


def unseal_bytes(customer_id: int, sealed: bytes) -> bytes:
    """A file's content. Raises Conflict for one that nobody can read any more."""
    found = _cipher(customer_id, sealing.key_id_of_bytes(sealed))
    try:
        return sealing.unseal_bytes(sealed, with_=found, whose=customer_id) if found else _gone()
    except sealing.Unreadable:
        return _gone()


def _gone() -> bytes:
    raise Conflict("This file cannot be read any more.", remedy="Its key was removed.")


def sealed(field: str) -> property:
    """A model's text that the column of `field` keeps sealed."""

    def read(row: Row) -> str:
        return unseal(row.customer_id, getattr(row, field))

    def write(row: Row, text: str) -> None:
        setattr(row, field, seal(row.customer_id, text))

    return property(read, write)


def rotate(*, customer_id: int, now: datetime, actor: str = events.SYSTEM) -> int:
    """A new key seals from now on, and all keys are kept under the install's newest. Returns how many the customer has."""
    with scope.customer(customer_id):
        name, under = _newest_of_install()
        rows = list(BodyKey.objects.select_for_update().filter(customer_id=customer_id).order_by("id"))
        for row in rows:
            if row.under != name:
                row.wrapped = sealing.wrap(_opened(row), under=under, whose=customer_id)
                row.under = name
                row.save(update_fields=["wrapped", "under"])
        first_key(customer_id=customer_id, now=now)
        events.record("customer.body_key_rotated", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor)
        transaction.on_commit(lambda: forget(customer_id))
    return len(rows) + 1


def complete(*, customers: Iterable[int], now: datetime) -> None:
    """A first key for those who were customers before there were keys. At every start, before anybody is served."""
    for customer_id in customers:
        with scope.customer(customer_id):
            if not BodyKey.objects.filter(customer_id=customer_id).exists():
                first_key(customer_id=customer_id, now=now)


def forget(customer_id: int | None = None) -> None:
    """Drop what is kept in this process."""
    if customer_id is None:
        _rings.clear()
    else:
        _rings.pop(customer_id, None)


def _ring(customer_id: int) -> _Ring:
    known = _rings.get(customer_id)
    return known if known and time.monotonic() - known.read_at < KEPT_SECONDS else _read(customer_id)


def _read(customer_id: int) -> _Ring:
    with scope.customer(customer_id):
        rows = list(BodyKey.objects.filter(customer_id=customer_id).order_by("id"))
    if not rows:
        raise Conflict("This customer has no key for its texts.", remedy="Run `postmeter prepare` once.")
    found = _Ring(time.monotonic(), rows[-1].id, {row.id: sealing.cipher(_opened(row)) for row in rows})
    _rings[customer_id] = found
    return found


def _opened(row: BodyKey) -> bytes:
    under = settings.BODY_KEYS.get(row.under)
    if under is None:
        raise Conflict(f"The key {row.under} of POSTMETER_BODY_KEYS is missing.", remedy="Name it again, behind the newest.")
    return sealing.unwrap(bytes(row.wrapped), under=under, whose=row.customer_id)


def _newest_of_install() -> tuple[str, bytes]:
    if not settings.BODY_KEYS:
        raise Conflict("POSTMETER_BODY_KEYS is not set.", remedy="Give every process of this install the same keys for texts.")
    name: str = next(iter(settings.BODY_KEYS))
    return name, settings.BODY_KEYS[name]
