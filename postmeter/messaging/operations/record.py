"""Pump 3, record: what providers say, in any order and as often as they like.

Receipts are kept once each; states follow their arrows only; money follows the state: charged from the first word that the
provider bills for, at most the hold; released or given back when the price list says that the end is not payable (A-50, A-51).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.crash import crash_point
from postmeter.ledger import operations as ledger
from postmeter.messaging.channels import CHANNELS
from postmeter.messaging.kinds import TALK
from postmeter.messaging.operations import extensions
from postmeter.messaging.operations.stopping import Stop, stop
from postmeter.messaging.providers import Receipt
from postmeter.messaging.states import MACHINE, State
from postmeter.rating import queries as rating
from postmeter.rating.price import PayablePolicy
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets

FINALS = MACHINE.finals
SETTLED = frozenset({ledger.Word.OK, ledger.Word.EXISTS})


@dataclass(frozen=True, slots=True)
class Fact:
    """One word about one message. `refused`: the provider surely does not have it, so nothing can be payable.

    `opted_out`: the provider blocks this recipient, who opted out with it. `units`: how many of the units held for were used: pages that
    arrived, time that was talked; None where it is all or nothing.
    """

    message_id: int
    source: str  # reply | callback | lookup | us
    provider: str
    state: State
    ref: str = ""
    status: str = ""
    error_code: str = ""
    billable: bool = False
    refused: bool = False
    opted_out: bool = False
    units: int | None = None
    raw: Mapping[str, object] | None = None

    @classmethod
    def of(cls, message_id: int, source: str, provider: str, word: Receipt) -> Self:
        """What a provider's word says about this message."""
        said = (word.state, word.ref, word.status, word.error_code, word.billable)
        return cls(message_id, source, provider, *said, opted_out=word.opted_out, units=word.units, raw=word.raw)


@dataclass(slots=True)
class _Row:
    id: int
    state: State
    wallet_id: int
    price_list_id: int
    segments: int
    total: int
    charged: int
    refunded: int
    ref: str
    error_code: str
    channel: str
    recipient: str
    kind: str
    unheard: str = ""  # why nothing was said on a call, if nothing was
    holds: Sequence[tuple[int, int]] = ()  # of a call that was extended: each with its amount
    overrun: int = 0  # minutes of a call beyond all that was held for it
    changed: bool = False
    action: ledger.Action | None = None
    refund: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many words were new to us, and how many messages moved or were settled by them."""

    new: int
    moved: int


@scoped
def record(*, customer_id: int, facts: Sequence[Fact], now: datetime) -> Recorded:
    """Take in what was said about this customer's messages, in one transaction. A repeat changes nothing."""
    facts = [fact for fact in facts if fact.message_id > 0]
    if not facts:
        return Recorded(0, 0)
    rows = _lock(customer_id, {fact.message_id for fact in facts})
    new = _keep(customer_id, [fact for fact in facts if fact.message_id in rows], now)
    policies = _Policies(customer_id)
    blocked: list[tuple[str, str, Fact]] = []
    for fact in facts:
        if row := rows.get(fact.message_id):
            if fact.opted_out and MACHINE.allows(row.state, fact.state):
                blocked.append((CHANNELS[row.channel].opted_out_of, row.recipient, fact))
            _apply(row, fact, policies)
    _opt_out(customer_id, blocked, now)
    changed = [row for row in rows.values() if row.changed]
    if changed:
        _take_overruns(customer_id, changed, now)
        _write(customer_id, changed, now)
        _settle(customer_id, changed, now)
        _tell(customer_id, changed, now)
    crash_point("messaging.record_uncommitted")
    return Recorded(new, len(changed))


def _lock(customer_id: int, ids: Iterable[int]) -> dict[int, _Row]:
    wanted = sorted(ids)
    found = calls.rows(
        """SELECT id, state, wallet_id, price_list_id, segments, price_micros + fee_micros, charged_micros, refunded_micros,
                  provider_ref, error_code, channel, recipient, kind
           FROM messaging_message WHERE customer_id = %s AND id BETWEEN %s AND %s AND id = ANY (%b)
           ORDER BY id FOR NO KEY UPDATE""",
        [customer_id, wanted[0], wanted[-1], wanted],
    )
    rows = {row[0]: _Row(row[0], State(row[1]), *row[2:]) for row in found}
    if spoken := [row for row in rows.values() if row.channel == "voice"]:
        _read_calls(customer_id, spoken)
    return rows


def _read_calls(customer_id: int, rows: Sequence[_Row]) -> None:
    """What was held for calls as they went on, and on which nothing was said."""
    ids = [row.id for row in rows]
    more = extensions.holds(customer_id=customer_id, message_ids=ids)
    spoken = dict(
        calls.rows("SELECT id, spoken FROM messaging_call WHERE customer_id = %s AND id = ANY (%b)", [customer_id, ids])
    )
    for row in rows:
        added = more.get(row.id, [])
        row.holds = [(row.id, row.total - sum(amount for _, amount in added)), *added]
        if row.kind != TALK and not spoken.get(row.id):
            row.unheard = "machine" if row.id in spoken else "silent"


def _keep(customer_id: int, facts: Sequence[Fact], now: datetime) -> int:
    if not facts:
        return 0
    kept = calls.rows(
        """INSERT INTO messaging_receipt (customer_id, message_id, source, status, error_code, provider, provider_ref, raw, at)
           SELECT %s, u.message_id, u.source, u.status, u.error_code, u.provider, u.ref, u.raw, %s
           FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::jsonb[])
               AS u(message_id, source, status, error_code, provider, ref, raw)
           ON CONFLICT DO NOTHING RETURNING 1""",
        [
            customer_id,
            now,
            [fact.message_id for fact in facts],
            [fact.source for fact in facts],
            [fact.status or str(fact.state) for fact in facts],
            [fact.error_code for fact in facts],
            [fact.provider for fact in facts],
            [fact.ref for fact in facts],
            [json.dumps(dict(fact.raw)) if fact.raw else "{}" for fact in facts],
        ],
    )
    return len(kept)


class _Policies:
    """The price lists' words on what is payable, each read once."""

    def __init__(self, customer_id: int) -> None:
        self._customer_id = customer_id
        self._found: dict[int, PayablePolicy] = {}

    def payable(self, price_list_id: int, state: State, error_code: str) -> bool:
        if price_list_id not in self._found:
            self._found[price_list_id] = rating.policy(customer_id=self._customer_id, price_list_id=price_list_id)
        return self._found[price_list_id].payable(str(state), int(error_code) if error_code.isdigit() else None)


def _apply(row: _Row, fact: Fact, policies: _Policies) -> None:
    """Move one message by one word, and decide what its money does."""
    if fact.ref and not row.ref:
        row.ref, row.changed = fact.ref, True
    if row.unheard and fact.state is State.DELIVERED and fact.units is not None:
        # Somebody's telephone answered, and yet nobody heard it.
        fact = replace(fact, state=State.UNDELIVERED, error_code=row.unheard)
    moves = MACHINE.allows(row.state, fact.state)
    if not moves and fact.state is not row.state:
        return
    waited = row.state is State.WAITING
    if moves:
        row.state, row.changed = fact.state, True
        row.error_code = fact.error_code or row.error_code
    # Money moves when a message moves, and when one that was sent turns out to be billed. An end is settled once.
    # What waits holds nothing.
    if row.total == 0 or waited or not (moves or row.state is State.SENT):
        return
    ended = row.state in FINALS
    owed = fact.billable or row.state is State.DELIVERED
    if ended and row.state is not State.DELIVERED:
        owed = not fact.refused and policies.payable(row.price_list_id, row.state, row.error_code)
    if ended and fact.units is not None:
        owed = fact.units > 0  # what was used is paid for, whatever the end
    if owed and not row.charged and row.action is None:
        row.action, row.charged, row.changed = ledger.Action.POST, _owed(row, fact), True
    elif ended and not owed and moves:
        _give_back(row)


def _owed(row: _Row, fact: Fact) -> int:
    """At most the hold, but for a call that ran past it: a price is a product of its units, so that a part of them has an exact price."""
    if fact.units is None:
        return row.total
    if row.channel == "voice":
        row.overrun = max(fact.units - row.segments, 0)
        return row.total // row.segments * fact.units
    return min(row.total, row.total * fact.units // row.segments)


def _opt_out(customer_id: int, blocked: Sequence[tuple[str, str, Fact]], now: datetime) -> None:
    """Whom the provider blocks we do not write to again: our list and theirs must say the same (F49).

    Only words that ended a message count, for a repeat may come after the recipient's START.
    """
    stops = [Stop(channel, address, fact.error_code, fact.provider) for channel, address, fact in blocked]
    stop(customer_id=customer_id, stops=stops, now=now)


def _give_back(row: _Row) -> None:
    if row.action is ledger.Action.POST:
        # Charged and given back by words that came together: nothing needs to move but the hold.
        row.action, row.charged = ledger.Action.VOID, 0
    elif row.charged:
        row.refund, row.refunded = True, row.charged
    else:
        row.action = ledger.Action.VOID


def _take_overruns(customer_id: int, rows: Sequence[_Row], now: datetime) -> None:
    for row in rows:
        if row.overrun and row.action is ledger.Action.POST:
            extensions.take_overrun(
                customer_id=customer_id,
                wallet_id=row.wallet_id,
                message_id=row.id,
                minutes=row.overrun,
                amount_micros=row.charged - row.total,
                now=now,
            )


def _write(customer_id: int, rows: Sequence[_Row], now: datetime) -> None:
    ids = [row.id for row in rows]
    calls.rows(
        """UPDATE messaging_message m SET state = u.state, provider_ref = u.ref, error_code = u.error_code,
               charged_micros = u.charged, refunded_micros = u.refunded, changed_at = %s
           FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::bigint[])
               AS u(id, state, ref, error_code, charged, refunded)
           WHERE m.customer_id = %s AND m.id = u.id AND m.id BETWEEN %s AND %s""",
        [
            now,
            ids,
            [str(row.state) for row in rows],
            [row.ref for row in rows],
            [row.error_code for row in rows],
            [row.charged for row in rows],
            [row.refunded for row in rows],
            customer_id,
            min(ids),
            max(ids),
        ],
    )


def _settle(customer_id: int, rows: Sequence[_Row], now: datetime) -> None:
    settled = [each for row in rows if row.action for each in _resolutions(row)]
    if settled:
        ids, actions, amounts = zip(*settled, strict=True)
        words = ledger.resolve(customer_id=customer_id, now=now, hold_ids=ids, actions=actions, amounts_micros=amounts)
        wrong = [(id_, word) for id_, word in zip(ids, words, strict=True) if word not in SETTLED]
        assert not wrong, f"holds that the books say are resolved: {wrong[:3]}"
    refunded = [row for row in rows if row.refund]
    if refunded:
        _refund(customer_id, refunded, now)


def _resolutions(row: _Row) -> Iterator[tuple[int, ledger.Action, int]]:
    """What becomes of each of its holds: they are used in turn."""
    left = row.charged if row.action is ledger.Action.POST else 0
    for hold_id, amount in row.holds or ((row.id, row.total),):
        used = min(left, amount)
        left -= used
        yield hold_id, ledger.Action.POST if used else ledger.Action.VOID, used


def _refund(customer_id: int, rows: Sequence[_Row], now: datetime) -> None:
    """A refund is a new transfer back; the charge stays as it was written."""
    accounts = {}
    for wallet_id in {row.wallet_id for row in rows}:
        wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
        accounts[wallet_id] = wallet_operations.accounts(customer_id=customer_id, wallet=wallet)
    postings = [
        ledger.Posting(transfer_id, accounts[row.wallet_id].usage, accounts[row.wallet_id].wallet, row.refunded, "refund", row.id)
        for transfer_id, row in zip(calls.next_ids(len(rows)), rows, strict=True)
    ]
    words = ledger.post(customer_id=customer_id, now=now, postings=postings, linked=True)
    assert set(words) <= SETTLED, f"refund refused: {words[:3]}"


def _tell(customer_id: int, rows: Sequence[_Row], now: datetime) -> None:
    ended = [row for row in rows if row.state in FINALS]
    if ended:
        states: dict[str, int] = {}
        for row in ended:
            states[str(row.state)] = states.get(str(row.state), 0) + 1
        events.record(
            "messages.ended",
            customer_id=customer_id,
            subject_id=ended[0].id,
            now=now,
            data={"states": states, "ids": [row.id for row in ended][:1000]},
        )
