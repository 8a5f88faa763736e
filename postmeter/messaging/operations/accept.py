"""Pump 1, accept: measure and price in memory, then one call of the database for one customer's list.

`submit` takes one list in a transaction of its own. `submit_together` is for the API door, which collects single requests
while the previous commit is under way: one transaction and one call for all of them.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F

from postmeter.customers import bodies
from postmeter.db import calls, scope
from postmeter.guard import operations as guard
from postmeter.kit.crash import crash_point
from postmeter.kit.refusals import BadInput, Conflict, NotCovered, Refusal
from postmeter.messaging import channels, media
from postmeter.messaging.kinds import AD_HOC, CHOSEN, CODE, KINDS, OPT_IN
from postmeter.messaging.models import Batch
from postmeter.messaging.operations.payers import Payer, Priced, payer, price_list

LIST_AT_MOST = 10_000
# A receipt may be days late; what is still open then is settled by the sweeper.
HOLD_FOR = timedelta(days=4)
KEY_FOR = timedelta(hours=48)
TAKEN = frozenset({"ok", "waits"})


class NotCoveredList(NotCovered):
    """The available credit does not cover all of this."""

    code = "exceeds_available"


class KeyReused(Conflict):
    """This Idempotency-Key was used for another request."""

    code = "key_reused"


class TooManyEmails(Refusal):
    """This is more email than a customer may send in an hour."""

    status = 429
    code = "too_many_emails"


@dataclass(slots=True)
class Submission:
    """A list to send: parallel lists of recipients (in their one spelling) and texts. `kind`: what it is for (`kinds.py`).

    `whole`: all or nothing, when credit is short or a row cannot go (A-46). `wait`: what credit is short for waits for it, until
    its `useful_until`; None: as its kind does. `listed`: a list even when it holds one message. `batch_id`: the list that it completes.
    """

    customer_id: int
    recipients: Sequence[str]
    bodies: Sequence[str]
    actor: str
    mode: str = "live"
    channel: str = "sms"
    kind: str = AD_HOC
    sender: str | None = None
    key: UUID | None = None
    digest: UUID | None = None
    whole: bool = True
    wait: bool | None = None
    listed: bool = False
    batch_id: int = 0
    source: str = ""
    due_at: datetime | None = None
    useful_until: datetime | None = None
    quote_id: int | None = None
    priced: Priced | None = None
    media: Sequence[int] = ()  # files that each of the messages carries


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a submission: an id and a word per row, in the rows' order."""

    batch_id: int
    ids: list[int]
    words: list[str]
    priced: Priced
    unit: str


def submit(submission: Submission, *, now: datetime) -> Accepted:
    """Accept one list. Raises BadInput naming the first bad rows, NotCoveredList, KeyReused, MessagingOff, and what the guard says.

    A list that is not whole goes without its bad rows: they answer `refused`, and `priced.problems` says why.
    """
    with guarded(now):
        return accept_list(submission, now=now)


@contextmanager
def guarded(now: datetime) -> Iterator[None]:
    """Where a limit is passed, sending stops once everything inside was rolled back. So it stands outside of every transaction."""
    try:
        yield
    except guard.Passed as passed:
        guard.stop_for(passed.breaches, now=now)
        raise guard.refusal(passed.breaches[0], now=now) from None


def accept_list(submission: Submission, *, now: datetime) -> Accepted:
    """What `submit` does, for a caller that has opened a transaction and stands in `guarded` itself."""
    _decide_class(submission, now)
    who = _payer_of(submission, now)
    pages = media.check(customer_id=submission.customer_id, on=who.channel, media_ids=submission.media)
    priced = submission.priced or price_list(who, submission.recipients, submission.bodies, pages)
    if submission.whole or not 0 < len(priced.problems) < len(submission.recipients):
        _refuse_problems(submission, priced)
    else:
        return _submit_good_rows(submission, priced, now)
    _within_rate(submission, len(submission.recipients), now)
    with transaction.atomic():
        is_list = submission.listed or len(submission.recipients) > 1 or submission.quote_id
        batch_id = submission.batch_id or (calls.next_id() if is_list else 0)
        row = calls.rows(_ACCEPT, _arguments(who, submission, priced, batch_id, now))[0]
        accepted = Accepted(batch_id, row[0], row[1], priced, who.unit)
        _refuse_answers(submission, who, accepted)
        if "exists" in accepted.words:
            return _as_before(submission.customer_id, accepted)
        if submission.media:
            sent = [id_ for id_, word in zip(accepted.ids, accepted.words, strict=True) if word in TAKEN]
            media.attach(customer_id=submission.customer_id, message_ids=sent, media_ids=submission.media)
        rows = zip(range(len(accepted.ids)), submission.recipients, priced.prices, priced.fees, accepted.words, strict=True)
        guard.count([_use(who, submission, rows)], now=now)
        if batch_id:
            _note_batch(submission, accepted, now)
        crash_point("messaging.accept_uncommitted")
    crash_point("messaging.accept_written")
    return accepted


def _within_rate(submission: Submission, count: int, now: datetime) -> None:
    """What is free is not without end: one customer's emails must not cost everybody the mail server's good name (A-57)."""
    if submission.channel != "email" or submission.mode != "live":
        return
    with scope.customer(submission.customer_id):
        sent = calls.value(
            "SELECT count(*) FROM messaging_message WHERE customer_id = %s AND id >= db_id_at(%s) AND channel = 'email'",
            [submission.customer_id, now - timedelta(hours=1)],
        )
    if int(sent) + count > settings.EMAILS_PER_HOUR:
        raise TooManyEmails(
            f"You can send {settings.EMAILS_PER_HOUR:,} emails an hour; {int(sent):,} were accepted in the last one.",
            field="messages",
            remedy="Send the rest later, or ask your account manager.",
        )


def _use(who: Payer, like: Submission, rows: Iterable[tuple[int, str, int, int, str]]) -> guard.Use:
    """What the guard counts of these positions, recipients, prices, fees and words: questions for consent are not
    their sender's, and what is free has a limit of its own."""
    rules = None if like.kind == OPT_IN or who.channel.is_free else who.rules
    taken = [(position, to, price + fee) for position, to, price, fee, word in rows if word in TAKEN] if rules else []
    return guard.Use(
        rules,
        like.actor,
        [to for _, to, _ in taken],
        sum(micros for _, _, micros in taken),
        is_code=like.kind == CODE,
        positions=[position for position, _, _ in taken],
    )


def _payer_of(submission: Submission, now: datetime) -> Payer:
    return payer(
        customer_id=submission.customer_id, mode=submission.mode, actor=submission.actor, channel=submission.channel, now=now
    )


def _submit_good_rows(submission: Submission, priced: Priced, now: datetime) -> Accepted:
    good = [position for position in range(len(submission.recipients)) if position not in priced.problems]
    kept = _rows_of(priced, good)
    recipients, bodies = [submission.recipients[i] for i in good], [submission.bodies[i] for i in good]
    accepted = accept_list(replace(submission, recipients=recipients, bodies=bodies, priced=kept, listed=True), now=now)
    if len(accepted.ids) != len(good):
        raise Conflict(
            "This list was accepted before, and other rows of it can be sent by now.",
            remedy="See what became of it under its batch.",
        )
    ids, words = [0] * len(submission.recipients), ["refused"] * len(submission.recipients)
    for position, id_, word in zip(good, accepted.ids, accepted.words, strict=True):
        ids[position], words[position] = id_, word
    return Accepted(accepted.batch_id, ids, words, priced, accepted.unit)


def _rows_of(priced: Priced, positions: list[int]) -> Priced:
    return Priced(
        [priced.encodings[i] for i in positions],
        [priced.segments[i] for i in positions],
        [priced.prices[i] for i in positions],
        [priced.fees[i] for i in positions],
    )


def submit_together(submissions: Sequence[Submission], *, now: datetime) -> list[Accepted | Refusal]:
    """Accept many single messages without files in one transaction and one call. Each gets its own answer.

    What would pass a limit is refused, and the others are accepted without it.
    """
    over: dict[int, guard.Breach] = {}
    while True:
        try:
            answers = _submit_together(submissions, over, now)
            break
        except guard.Passed as passed:
            # The last ones that count towards a limit are too many.
            over |= {position: breach for breach in passed.breaches for position in breach.positions[-breach.over :]}
    guard.stop_for(over.values(), now=now)
    for position, breach in over.items():
        answers[position] = guard.refusal(breach, now=now)
    return [answer for answer in answers if answer is not None]


def _submit_together(submissions: Sequence[Submission], over: Container[int], now: datetime) -> list[Accepted | Refusal | None]:
    answers: list[Accepted | Refusal | None] = [None] * len(submissions)
    groups: dict[tuple[object, ...], list[int]] = {}
    for position, one in enumerate(submissions):
        if position in over:
            continue
        try:
            _decide_class(one, now)
            media.check(customer_id=one.customer_id, on=channels.channel(one.channel), media_ids=one.media)
        except Refusal as refusal:
            answers[position] = refusal
            continue
        alike = (one.customer_id, one.mode, one.channel, one.kind, one.actor, one.sender, one.due_at, one.useful_until, one.wait)
        groups.setdefault(alike, []).append(position)
    with transaction.atomic():
        together: list[_Group] = []
        uses: list[guard.Use] = []
        for positions in groups.values():
            like = submissions[positions[0]]
            try:
                who = _payer_of(like, now)
                _within_rate(like, len(positions), now)
            except Refusal as refusal:
                for position in positions:
                    answers[position] = refusal
            else:
                together += _group(who, submissions, positions, answers)
        for each in sorted({group.payer.channel.name for group in together}):
            # In order of customer and account: two doors that commit at once lock accounts in the same order. What carries no
            # file and costs something is a text, so only one of the channels here locks any.
            groups_on = sorted(
                (group for group in together if group.payer.channel.name == each),
                key=lambda group: (group.payer.customer_id, group.payer.debit),
            )
            ids, words = calls.rows(_ACCEPT_EACH, _arguments_of_groups(each, groups_on, now))[0]
            rows = ((group, row) for group in groups_on for row in group.rows)
            for (group, row), id_, word in zip(rows, ids, words, strict=True):
                answers[row.position] = _single_answer(group.payer.unit, row, id_, word)
            said = iter(words)
            uses += [
                _use(group.payer, group.like, ((r.position, r.recipient, r.price, r.fee, next(said)) for r in group.rows))
                for group in groups_on
            ]
        guard.count(uses, now=now)
        crash_point("messaging.accept_uncommitted")
    crash_point("messaging.accept_written")
    return answers


class _Row(NamedTuple):
    """One message of a group; what stands after `position` are columns of `messaging_accept_each`."""

    position: int
    key: UUID | None
    digest: UUID | None
    recipient: str
    body: str
    encoding: str
    segments: int
    price: int
    fee: int


@dataclass(frozen=True, slots=True)
class _Group:
    """One customer's messages out of several requests that differ in nothing but their rows."""

    payer: Payer
    like: Submission
    rows: list[_Row]


def _group(
    who: Payer, submissions: Sequence[Submission], positions: list[int], answers: list[Accepted | Refusal | None]
) -> list[_Group]:
    """The rows that can go, as one group or none; the others get their refusal."""
    chosen = [submissions[position] for position in positions]
    priced = price_list(who, [one.recipients[0] for one in chosen], [one.bodies[0] for one in chosen])
    rows = []
    for n, (position, one) in enumerate(zip(positions, chosen, strict=True)):
        if refusal := priced.problems.get(n):
            answers[position] = refusal
        else:
            cost = (priced.encodings[n], priced.segments[n], priced.prices[n], priced.fees[n])
            rows.append(_Row(position, one.key, one.digest, one.recipients[0], one.bodies[0], *cost))
    return [_Group(who, chosen[0], rows)] if rows else []


def _sealed(group: _Group) -> list[_Row]:
    """The rows as they are kept."""
    texts = bodies.seal_all(group.payer.customer_id, (row.body for row in group.rows))
    return [row._replace(body=text) for row, text in zip(group.rows, texts, strict=True)]


_ACCEPT_EACH = """SELECT * FROM messaging_accept_each(%s, %s, %s, %s,
    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::text[], %b::text[],
    %b::timestamptz[], %b::timestamptz[], %b::boolean[], %b::boolean[], %b::int[],
    %b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::text[], %b::smallint[], %b::bigint[], %b::bigint[])"""


def _arguments_of_groups(channel: str, groups: Sequence[_Group], now: datetime) -> list[object]:
    lists = [
        (
            who.customer_id,
            who.wallet_id,
            who.debit,
            who.credit,
            who.unit,
            like.sender or who.sender,
            who.provider,
            who.prices.price_list_id,
            like.kind,
            like.actor,
            like.due_at or now,
            like.useful_until,
            like.wait,
            any(row.key for row in rows),
            len(rows),
        )
        for who, like, rows in ((group.payer, group.like, group.rows) for group in groups)
    ]
    rows = [row[1:] for group in groups for row in _sealed(group)]
    columns = [list(column) for table in (lists, rows) for column in zip(*table, strict=True)]
    return [now, now + HOLD_FOR, now + KEY_FOR, channel, *columns]


def _single_answer(unit: str, row: _Row, id_: int, word: str) -> Accepted | Refusal:
    if word == "key_reused":
        return KeyReused(field="Idempotency-Key", remedy="Use a new key for a new request.")
    if word == "opted_out":
        return BadInput("This recipient has opted out.", field="to", remedy="They can opt in again by sending START.")
    if word == "exceeds_available":
        return NotCoveredList(remedy="Top up your credit, then send again.", needed_micros=row.price + row.fee, unit=unit)
    return Accepted(0, [id_], [word], Priced([row.encoding], [row.segments], [row.price], [row.fee]), unit)


_ACCEPT = """SELECT * FROM messaging_accept(
    %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
    %b::uuid[], %b::uuid[], %b::text[], %b::text[], %b::text[], %b::smallint[], %b::bigint[], %b::bigint[])"""


def _arguments(
    who: Payer,
    submission: Submission,
    priced: Priced,
    batch_id: int,
    now: datetime,
) -> list[object]:
    return [
        who.customer_id,
        now,
        who.wallet_id,
        who.debit,
        who.credit,
        who.unit,
        who.channel.name,
        submission.sender or who.sender,
        who.provider,
        who.prices.price_list_id,
        batch_id,
        submission.kind,
        submission.actor,
        now + HOLD_FOR,
        submission.due_at or now,
        submission.useful_until,
        now + KEY_FOR,
        submission.key,
        submission.digest,
        submission.whole,
        submission.wait,
        None,
        None,
        list(submission.recipients),
        bodies.seal_all(who.customer_id, submission.bodies),
        priced.encodings,
        priced.segments,
        priced.prices,
        priced.fees,
    ]


def _refuse_problems(submission: Submission, priced: Priced) -> None:
    if not submission.recipients:
        raise BadInput("There is nobody to send to.", field="messages", remedy="Give at least one message.")
    if len(submission.recipients) > LIST_AT_MOST:
        raise BadInput("This list is too long.", field="messages", remedy=f"Send at most {LIST_AT_MOST:,} messages at a time.")
    if priced.problems:
        position, first = min(priced.problems.items())
        rows = [
            {"position": p, "field": r.field or "", "detail": r.text, "remedy": r.remedy or ""}
            for p, r in sorted(priced.problems.items())[:100]
        ]
        if len(submission.recipients) == 1:
            raise first
        raise BadInput(
            f"{len(priced.problems)} of {len(submission.recipients)} messages cannot be sent. "
            f"The first is number {position + 1}: {first.text}",
            field="messages",
            remedy=first.remedy,
            errors=rows,
        )


def _decide_class(submission: Submission, now: datetime) -> None:
    """Fill in what its kind says of waiting for credit (A-43, A-44). Raises BadInput."""
    if submission.kind not in CHOSEN and submission.kind != OPT_IN:
        raise BadInput("There is no such kind of message.", field="kind", remedy=f"Choose one of: {', '.join(CHOSEN)}.")
    kind = KINDS[submission.kind]
    if submission.wait is None:
        submission.wait = kind.waits and bool(submission.useful_until or kind.useful_for)
    if submission.wait and submission.useful_until is None:
        if kind.useful_for is None:
            raise BadInput(
                "What waits for credit needs an end.", field="useful_until", remedy="Say until when it is worth sending."
            )
        submission.useful_until = now + kind.useful_for


def _refuse_answers(submission: Submission, who: Payer, accepted: Accepted) -> None:
    words = accepted.words
    if "key_reused" in words:
        raise KeyReused(field="Idempotency-Key", remedy="Use a new key for a new request.")
    if len(words) == 1 and words[0] == "opted_out":
        raise BadInput("This recipient has opted out.", field="to", remedy="They can opt in again by sending START.")
    if "exceeds_available" in words and (submission.whole or "ok" not in words):
        total = sum(accepted.priced.prices) + sum(accepted.priced.fees)
        raise NotCoveredList(remedy="Top up your credit, then send again.", needed_micros=total, unit=who.unit)


def _note_batch(submission: Submission, accepted: Accepted, now: datetime) -> None:
    """The list and its counts, or what completes one: then that much less of it was refused."""
    taken = sum(word in TAKEN for word in accepted.words)
    with scope.customer(submission.customer_id):
        if submission.batch_id:
            begun = Batch.objects.filter(customer_id=submission.customer_id, id=submission.batch_id)
            begun.update(accepted=F("accepted") + taken, refused=F("refused") - taken)
            return
        Batch(
            customer_id=submission.customer_id,
            id=accepted.batch_id,
            quote_id=submission.quote_id,
            source=submission.source,
            accepted=taken,
            refused=len(accepted.words) - taken,
            created_by=submission.actor,
            created_at=now,
        ).save(force_insert=True)


def _as_before(customer_id: int, accepted: Accepted) -> Accepted:
    with scope.customer(customer_id):
        rows = calls.rows(
            "SELECT batch_id FROM messaging_message WHERE customer_id = %s AND id = ANY (%b) LIMIT 1", [customer_id, accepted.ids]
        )
    return Accepted(rows[0][0] if rows else 0, accepted.ids, accepted.words, accepted.priced, accepted.unit)
