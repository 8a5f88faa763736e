"""Idempotency keys of what makes one thing: a quote, a stop. Accepting messages keeps its keys in `messaging_accept`."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.messaging.operations.accept import KEY_FOR, KeyReused


@scoped
def once(*, customer_id: int, key: UUID, digest: UUID, now: datetime, make: Callable[[], int]) -> tuple[int, bool]:
    """The id of what `make` makes for this key, and whether it was made before. Raises KeyReused for another request.

    The key and what was made are one transaction: of two calls at once the second waits for the first and then finds it.
    A refusal is not remembered.
    """
    reserved = calls.next_id()
    if calls.rows(_RESERVE, [customer_id, key, digest, [reserved], now + KEY_FOR]):
        made = make()
        calls.rows("UPDATE messaging_key SET ids = %s WHERE customer_id = %s AND key = %s", [[made], customer_id, key])
        return made, False
    known, ids = calls.rows("SELECT digest, ids FROM messaging_key WHERE customer_id = %s AND key = %s", [customer_id, key])[0]
    if known != digest:
        raise KeyReused(field="Idempotency-Key", remedy="Use a new key for a new request.")
    return int(ids[0]), True


@scoped
def name(*, customer_id: int, key: UUID, digest: UUID, ids: Sequence[int], now: datetime) -> None:
    """Have a key name these, in the transaction that made them."""
    calls.rows(
        """INSERT INTO messaging_key (customer_id, key, digest, ids, expires_at) VALUES (%s, %s, %s, %s::bigint[], %s)
           ON CONFLICT (customer_id, key) DO UPDATE SET ids = excluded.ids RETURNING key""",
        [customer_id, key, digest, list(ids), now + KEY_FOR],
    )


_RESERVE = """INSERT INTO messaging_key (customer_id, key, digest, ids, expires_at) VALUES (%s, %s, %s, %s::bigint[], %s)
    ON CONFLICT (customer_id, key) DO NOTHING RETURNING key"""
