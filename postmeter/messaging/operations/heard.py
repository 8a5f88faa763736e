"""What a message centre says on its session: receipts of a text's parts, and parts of texts that come in. Both outlive this process.

A centre knows a text by ids of its own, one for each part, which `messaging_message.provider_ref` keeps joined by commas and an
index finds. A receipt can come before its ids are written, or after the process died that had heard them: it is kept until it is
placed (`place`), or until somebody asks what became of a text whose outcome is unknown (`look_up`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from django.utils.crypto import salted_hmac

from postmeter.customers import bodies
from postmeter.customers import queries as customers
from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.kit import cards
from postmeter.messaging import inbound
from postmeter.messaging.channels import sms
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.providers import Outbound, Receipt, Received
from postmeter.messaging.providers.smpp import NAME, OPTED_OUT, PartReceipt, TextPart, text_of
from postmeter.messaging.states import State

FOUND_WITHIN = timedelta(days=7)  # how far back a receipt's message is looked for; centres use their ids again
KEPT_FOR = timedelta(days=3)  # then a receipt that fits nothing is somebody else's
OF_NOBODY_AFTER = timedelta(minutes=2)  # longer than a text's ids wait to be written: what is unplaced then was lost by a process
REPEATED_WITHIN = timedelta(minutes=5)  # a centre that did not hear our answer delivers again
INCOMPLETE_AFTER = timedelta(minutes=10)
GAP = " […] "
ENDED_BADLY = (State.FAILED, State.UNDELIVERED)


# Receipts


def receipts(*, words: Sequence[PartReceipt], now: datetime) -> int:
    """Record what was said, each customer's in one transaction, and keep what fits no message yet. Repeats change nothing.

    Returns how many were placed.
    """
    placed = _record(words, now)
    left = [word for word in words if word not in placed]
    if left:
        with scope.every_customer():
            for word in left:
                calls.rows(
                    """INSERT INTO messaging_unplaced (provider, ref, word, recipient, sender, said, at)
                       VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s) ON CONFLICT DO NOTHING""",
                    [
                        NAME,
                        word.ref,
                        word.word,
                        word.recipient,
                        word.sender,
                        json.dumps(asdict(replace(word, text=_trace(word.text)))),
                        now,
                    ],
                )
    return len(placed)


def place(*, now: datetime, at_most: int = 500) -> int:
    """Record the kept receipts whose messages are known by now, and forget those that nobody has asked for in days."""
    with scope.every_customer():
        calls.rows("DELETE FROM messaging_unplaced WHERE at < %s", [now - KEPT_FOR])
        kept = calls.rows(
            """SELECT u.id, u.said::text FROM messaging_unplaced u WHERE EXISTS (
                   SELECT 1 FROM messaging_message m WHERE m.provider = %s AND m.provider_ref <> ''
                   AND string_to_array(m.provider_ref, ',') @> ARRAY[u.ref] AND m.id >= db_id_at(%s))
               ORDER BY u.id LIMIT %s""",
            [NAME, now - FOUND_WITHIN, at_most],
        )
    words = {id_: _part_receipt(said) for id_, said in kept}
    placed = _record(list(words.values()), now)
    with scope.every_customer():
        done = [id_ for id_, word in words.items() if word in placed]
        calls.rows("DELETE FROM messaging_unplaced WHERE id = ANY (%b)", [done])
    return len(done)


def look_up(*, message: Outbound, taken: frozenset[str], now: datetime) -> Receipt | None:
    """What kept receipts say of a text that we never heard an answer about: one for each of its parts, and none of another text's.

    The centre itself cannot be asked: it is asked by its own id, which is what we lack.
    """
    known = {ref for joined in taken for ref in joined.split(",")}
    with scope.every_customer():
        rows = calls.rows(
            """SELECT said::text FROM messaging_unplaced WHERE provider = %s AND recipient = %s AND sender = %s AND at < %s
               ORDER BY id""",
            [NAME, message.recipient, message.sender, now - OF_NOBODY_AFTER],
        )
    latest = {word.ref: word for word in (_part_receipt(row[0]) for row in rows) if word.ref not in known}
    parts = sms.measure(message.body).parts
    found: list[PartReceipt] = []
    for part in parts:
        fits = [word for word in latest.values() if word not in found and _begins(part, word.text)]
        if not fits:
            return None
        found.append(fits[0])
    whole = _together(found)
    return Receipt(
        whole.state, ",".join(word.ref for word in found), *_said(whole), whole.billable, whole.error_code == OPTED_OUT
    )


def _trace(quoted: str) -> str:
    """What is kept of the words that a receipt quotes: enough to know them again, and nothing to read (HIPAA 164.312(a)(2)(iv)).

    Nothing of words outside ASCII, which centres spell as they like.
    """
    quoted = quoted[:20].strip()
    return f"{len(quoted)}:{salted_hmac('messaging.unplaced', quoted).hexdigest()}" if quoted and quoted.isascii() else ""


def _begins(part: str, trace: str) -> bool:
    """Whether a receipt may be about this part: it begins with what was quoted, or nothing was."""
    length = int(trace.partition(":")[0] or 0)
    begins = part.strip()[:length]
    return not length or not begins.isascii() or _trace(begins) == trace


def _record(words: Sequence[PartReceipt], now: datetime) -> set[PartReceipt]:
    """Those whose message was found, recorded."""
    by_customer: dict[int, list[tuple[int, PartReceipt]]] = {}
    for word, (customer_id, message_id) in _find(words, now).items():
        by_customer.setdefault(customer_id, []).append((message_id, word))
    for customer_id, said in by_customer.items():
        _record_for(customer_id=customer_id, said=said, now=now)
    return {word for said in by_customer.values() for _, word in said}


def _find(words: Sequence[PartReceipt], now: datetime) -> dict[PartReceipt, tuple[int, int]]:
    """Each receipt's customer and message: the newest that has its id and went to its number, for centres use ids again."""
    refs = {word.ref for word in words}
    if not refs:
        return {}
    with scope.every_customer():
        rows = calls.rows(
            """SELECT customer_id, id, recipient, string_to_array(provider_ref, ',') FROM messaging_message
               WHERE provider = %s AND provider_ref <> '' AND string_to_array(provider_ref, ',') && %b::text[]
               AND id >= db_id_at(%s) ORDER BY id""",
            [NAME, list(refs), now - FOUND_WITHIN],
        )
    found = {}
    for word in words:
        for customer_id, message_id, recipient, joined in rows:
            # Centres write numbers in national form too, or leave them out.
            if word.ref in joined and recipient.endswith(word.recipient[-7:]):
                found[word] = customer_id, message_id
    return found


@scoped
def _record_for(*, customer_id: int, said: Sequence[tuple[int, PartReceipt]], now: datetime) -> None:
    ids = sorted({message_id for message_id, _ in said})
    # Locked as `record` locks them: two parts' receipts on two sessions must each see the other, or neither would be the last.
    refs = {
        id_: ref.split(",")
        for id_, ref in calls.rows(
            """SELECT id, provider_ref FROM messaging_message WHERE customer_id = %s AND id = ANY (%b)
               ORDER BY id FOR NO KEY UPDATE""",
            [customer_id, ids],
        )
    }
    heard = _heard_of_parts(customer_id, [id_ for id_ in ids if len(refs[id_]) > 1])
    facts: list[Fact] = []
    for message_id, word in said:
        joined = refs[message_id]
        if len(joined) == 1:
            facts.append(_fact(message_id, word, str(word.state), word.state))
            continue
        position = joined.index(word.ref) + 1
        # About a part the text itself only learns that it has gone; its end is told when all parts have ended.
        facts.append(_fact(message_id, word, f"part_{position}_of_{len(joined)}_{word.state}", State.SENT))
        parts = heard.setdefault(message_id, {})
        if parts.get(position) is None or parts[position].state is State.SENT:
            parts[position] = word
        if word.state is not State.SENT and (word.state in ENDED_BADLY or _all_ended(parts, len(joined))):
            whole = _together(list(parts.values()))
            facts.append(_fact(message_id, whole, str(whole.state), whole.state))
    record(customer_id=customer_id, facts=facts, now=now)


def _heard_of_parts(customer_id: int, ids: Sequence[int]) -> dict[int, dict[int, PartReceipt]]:
    """What was said earlier about the parts of these messages."""
    heard: dict[int, dict[int, PartReceipt]] = {}
    for message_id, status, code in calls.rows(
        """SELECT message_id, status, error_code FROM messaging_receipt
           WHERE customer_id = %s AND message_id = ANY (%b) AND source = 'callback' AND status LIKE 'part%%' ORDER BY id""",
        [customer_id, list(ids)],
    ):
        _, position, _, _, state = status.split("_")
        meaning = State(state)
        parts = heard.setdefault(message_id, {})
        if parts.get(int(position)) is None or parts[int(position)].state is State.SENT:
            parts[int(position)] = PartReceipt("", "", "", meaning, state, code, meaning is not State.FAILED)
    return heard


def _all_ended(parts: Mapping[int, PartReceipt], total: int) -> bool:
    return len(parts) == total and all(part.state is not State.SENT for part in parts.values())


def _together(parts: Sequence[PartReceipt]) -> PartReceipt:
    """The word about the text: of the part that fared worst (postmangovsg#1150). It cost something if any part did."""
    order = [State.FAILED, State.UNDELIVERED, State.SENT, State.DELIVERED]
    return min(parts, key=lambda part: order.index(part.state))


def _fact(message_id: int, word: PartReceipt, status: str, state: State) -> Fact:
    error_code = word.error_code
    said = (state, word.ref, status, error_code, word.billable)
    return Fact(message_id, "callback", NAME, *said, opted_out=error_code == OPTED_OUT, raw=_raw(word))


def _said(word: PartReceipt) -> tuple[str, str, dict[str, str]]:
    return str(word.state), word.error_code, _raw(word)


def _raw(word: PartReceipt) -> dict[str, str]:
    """The centre's own words, without the text that it quotes: what messages say is kept sealed."""
    return {"stat": word.word, "err": word.error} if word.error else {"stat": word.word}


def _part_receipt(kept: str) -> PartReceipt:
    said = json.loads(kept)
    return PartReceipt(**{**said, "state": State(said["state"])})


# Texts


def text(*, word: Received | TextPart, now: datetime) -> bool:
    """Keep a text that came in, or a part of one; the text is heard once it is whole. Committed when this returns.

    Parts are acknowledged one by one, for a centre that waits for an answer sends no other part; so each is kept, and none is ever
    lost with a process. Says whether anything is new.
    """
    if isinstance(word, Received):
        return _receive(word, now)
    customer_id = customers.customer_of_number(word.recipient)
    return customer_id is not None and _keep_part(customer_id=customer_id, part=word, now=now)


def _receive(word: Received, now: datetime) -> bool:
    """A centre names no text that comes in, so a repeat is known by its words: the last ones that came from there, minutes ago."""
    customer_id = customers.customer_of_number(word.recipient)
    if customer_id is None:
        return False
    with scope.customer(customer_id):
        _one_at_a_time(customer_id, word.sender)
        last = calls.rows(
            """SELECT body FROM messaging_inbound WHERE customer_id = %s AND id >= db_id_at(%s) AND sender = %s AND recipient = %s
               ORDER BY id DESC LIMIT 1""",
            [customer_id, now - REPEATED_WITHIN, word.sender, word.recipient],
        )
        if last and bodies.unseal(customer_id, last[0][0]) == cards.mask(word.body.replace("\x00", "")):
            return False
        named = Received(word.sender, word.recipient, word.body, f"{NAME}-{calls.next_id()}")
        return inbound.receive(provider=NAME, word=named, now=now)


@dataclass(frozen=True, slots=True)
class _Kept:
    id: int
    position: int
    encoding: str
    octets: bytes
    joined: bool


@scoped
def _keep_part(*, customer_id: int, part: TextPart, now: datetime) -> bool:
    _one_at_a_time(customer_id, part.sender)
    kept = _parts(customer_id, part, now)
    if any((old.position, old.octets) == (part.position, part.octets) for old in kept):
        return False
    waiting = {old.position: old for old in kept if not old.joined}
    if part.position in waiting:
        # Another text under the same reference, which phones use again: the older one will get no further parts.
        _hear_parts(customer_id, part, list(waiting.values()), now)
        waiting = {}
    row = calls.rows(
        """INSERT INTO messaging_inbound_part (customer_id, sender, recipient, reference, parts, position, encoding, octets, at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id""",
        [customer_id, *_key(part), part.position, part.encoding, bodies.seal(customer_id, part.octets.hex()), now],
    )
    waiting[part.position] = _Kept(row[0][0], part.position, part.encoding, part.octets, False)
    if len(waiting) == part.parts:
        _hear_parts(customer_id, part, list(waiting.values()), now)
    return True


def join_overdue(*, now: datetime) -> int:
    """Hear the texts whose missing parts have not come, with their gaps shown, and forget parts that were joined a day ago."""
    with scope.every_customer():
        calls.rows("DELETE FROM messaging_inbound_part WHERE joined AND at < %s", [now - timedelta(days=1)])
        late = calls.rows(
            """SELECT customer_id, sender, recipient, reference, parts FROM messaging_inbound_part
               WHERE NOT joined GROUP BY 1, 2, 3, 4, 5 HAVING max(at) < %s LIMIT 100""",
            [now - INCOMPLETE_AFTER],
        )
    for customer_id, *key in late:
        with scope.customer(customer_id):
            sender, recipient, reference, parts = key
            part = TextPart(sender, recipient, reference, parts, 0, "", b"")
            _one_at_a_time(customer_id, part.sender)
            waiting = [old for old in _parts(customer_id, part, now) if not old.joined]
            if waiting:
                _hear_parts(customer_id, part, waiting, now)
    return len(late)


def _hear_parts(customer_id: int, part: TextPart, waiting: list[_Kept], now: datetime) -> None:
    by_position = {old.position: old for old in waiting}
    if len(by_position) == part.parts:
        body = text_of((old.encoding, old.octets) for _, old in sorted(by_position.items()))
    else:
        pieces = [by_position.get(position) for position in range(1, part.parts + 1)]
        body = "".join(text_of([(old.encoding, old.octets)]) if old else GAP for old in pieces)
    calls.rows(
        "UPDATE messaging_inbound_part SET joined = true WHERE customer_id = %s AND id = ANY (%b)",
        [customer_id, [old.id for old in waiting]],
    )
    named = Received(part.sender, part.recipient, body, f"{NAME}-{min(old.id for old in waiting)}")
    inbound.receive(provider=NAME, word=named, now=now)


def _parts(customer_id: int, part: TextPart, now: datetime) -> list[_Kept]:
    """The parts under the same reference: those that wait, and those of the last hour that were joined."""
    return [
        _Kept(id_, position, encoding, bytes.fromhex(bodies.unseal(customer_id, octets)), joined)
        for id_, position, encoding, octets, joined in calls.rows(
            """SELECT id, position, encoding, octets, joined FROM messaging_inbound_part
               WHERE customer_id = %s AND sender = %s AND recipient = %s AND reference = %s AND parts = %s
               AND (NOT joined OR at > %s) ORDER BY id""",
            [customer_id, *_key(part), now - timedelta(hours=1)],
        )
    ]


def _key(part: TextPart) -> tuple[str, str, int, int]:
    return part.sender, part.recipient, part.reference, part.parts


def _one_at_a_time(customer_id: int, sender: str) -> None:
    """A sender's texts one after the other, whatever session of whatever worker they come on."""
    calls.rows("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [f"{NAME} {sender}", customer_id])
