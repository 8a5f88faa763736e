"""`Idempotency-Key`: the same key with the same request is the same answer, with another request it is refused (A-52).

Keys belong to the customer, and test keys have a world of their own. What a request said is its address and its body as we
understood it, so that white space and the order of members do not make it another one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from postmeter.kit.idempotency import check_key, digest
from postmeter.messaging.operations import keys


@dataclass(frozen=True, slots=True)
class Key:
    """What the caller calls its request, and what the request said."""

    key: UUID
    digest: UUID


def key_of(text: str, *, mode: str, address: str, body: bytes) -> Key:
    """Raises BadKey when the text cannot be a key."""
    return Key(digest(mode, check_key(text)), digest(address, body))


class Keyed(Protocol):
    """A request that may have a key."""

    @property
    def customer_id(self) -> int: ...
    @property
    def key(self) -> Key | None: ...
    @property
    def now(self) -> datetime: ...


def once(call: Keyed, make: Callable[[], int]) -> tuple[int, bool]:
    """The id of what the request makes, and whether it was made before under the same key. Raises KeyReused."""
    if call.key is None:
        return make(), False
    return keys.once(customer_id=call.customer_id, key=call.key.key, digest=call.key.digest, now=call.now, make=make)
