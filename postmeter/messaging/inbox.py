"""The inbox: one conversation with each contact, what is unread, who sees to it, and why it needs somebody."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import Q

from postmeter.contacts import queries as contacts
from postmeter.contacts.queries import Person
from postmeter.customers import bodies
from postmeter.customers import queries as customers
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.messaging import media
from postmeter.messaging.models import Inbound, Media, Message, Thread

SHOWN_AT_MOST = 200  # of each side of a conversation


class Attention(StrEnum):
    """Why somebody should look at a conversation."""

    NONE = ""
    REPLY = "reply"  # they wrote something that no rule reads
    MAY_CANCEL = "may_cancel"  # CANCEL opted them out; they may have meant the appointment
    WRONG_NUMBER = "wrong_number"  # not who we think


_GRAVE = (Attention.MAY_CANCEL, Attention.WRONG_NUMBER)


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a conversation, in or out, with its files."""

    at: datetime
    mine: bool
    said: Message | Inbound
    message: Message | None = None
    received: Inbound | None = None
    files: Sequence[Media] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A thread with its contact; `last` is the newest text that came in."""

    thread: Thread
    person: Person
    last: Inbound | None


@scoped
def thread_of(*, customer_id: int, contact_id: int, now: datetime) -> int:
    """The id of the contact's thread, begun if there is none."""
    return int(
        calls.value(
            """INSERT INTO messaging_thread (customer_id, id, contact_id, last_at, unread, attention)
               VALUES (%s, next_id(), %s, %s, 0, '')
               ON CONFLICT (customer_id, contact_id) DO UPDATE SET contact_id = excluded.contact_id RETURNING id""",
            [customer_id, contact_id, now],
        )
    )


@dataclass(frozen=True, slots=True)
class Come:
    """Something that came in, as it is kept; `ref` is its provider's name for it."""

    channel: str
    sender: str
    recipient: str
    text: str
    provider: str
    ref: str
    wish: str = ""


@scoped
def keep(
    *, customer_id: int, thread_id: int, come: Come, now: datetime, wallet_id: int = 0, unit: str = "", charged_micros: int = 0
) -> int | None:
    """Keep it in this thread; its id, or None for what is there already."""
    new = calls.rows(
        """INSERT INTO messaging_inbound (customer_id, id, thread_id, channel, sender, recipient, body, provider, provider_ref,
               wish, wallet_id, unit, charged_micros, at)
           VALUES (%s, next_id(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (customer_id, provider, provider_ref) DO NOTHING RETURNING id""",
        [
            customer_id,
            thread_id,
            come.channel,
            come.sender,
            come.recipient,
            bodies.seal(customer_id, come.text),
            come.provider,
            come.ref,
            come.wish,
            wallet_id,
            unit,
            charged_micros,
            now,
        ],
    )
    return int(new[0][0]) if new else None


@scoped
def came_in(*, customer_id: int, thread_id: int, attention: Attention, now: datetime) -> None:
    """Something new is in this thread. What is grave stays said until somebody has seen to it."""
    grave = [str(word) for word in _GRAVE]
    calls.rows(
        """UPDATE messaging_thread SET last_at = greatest(last_at, %s), unread = unread + 1,
               attention = CASE WHEN %s = '' OR attention = ANY (%s) AND NOT %s = ANY (%s) THEN attention ELSE %s END
           WHERE customer_id = %s AND id = %s""",
        [now, attention, grave, attention, grave, attention, customer_id, thread_id],
    )


@scoped
def threads(
    *, customer_id: int, which: str, member_id: int, text: str = "", before: datetime | None = None, at_most: int
) -> list[Conversation]:
    """The newest first; `which` is all, unread, attention or mine. `text` is looked for in names and addresses."""
    rows = Thread.objects.filter(customer_id=customer_id)
    narrowed = {"unread": Q(unread__gt=0), "attention": ~Q(attention=""), "mine": Q(assigned_to=member_id)}
    if which in narrowed:
        rows = rows.filter(narrowed[which])
    if text:
        rows = rows.filter(contact_id__in=contacts.search(customer_id=customer_id, text=text))
    if before:
        rows = rows.filter(last_at__lt=before)
    found = list(rows.order_by("-last_at", "-id")[:at_most])
    people = contacts.people(customer_id=customer_id, contact_ids=[row.contact_id for row in found])
    last = _last_of(customer_id, [row.id for row in found])
    return [Conversation(row, people[row.contact_id], last.get(row.id)) for row in found]


def _last_of(customer_id: int, thread_ids: Sequence[int]) -> dict[int, Inbound]:
    ids = [
        row[0]
        for row in calls.rows(
            """SELECT (SELECT max(i.id) FROM messaging_inbound i WHERE i.customer_id = %s AND i.thread_id = t.id)
               FROM unnest(%s::bigint[]) t (id)""",
            [customer_id, list(thread_ids)],
        )
    ]
    rows = Inbound.objects.filter(customer_id=customer_id, id__in=[id_ for id_ in ids if id_])
    return {row.thread_id: row for row in rows}


@scoped
def unread(*, customer_id: int) -> int:
    """How many conversations have something that nobody has read."""
    return Thread.objects.filter(customer_id=customer_id, unread__gt=0).count()


@scoped
def news(*, customer_id: int, member_id: int, since: datetime) -> int:
    """How many texts came in after then that ask for somebody, are unread, and are nobody else's to see to."""
    return int(
        calls.value(
            """SELECT count(*) FROM messaging_inbound i
               JOIN messaging_thread t ON t.customer_id = i.customer_id AND t.id = i.thread_id
               WHERE i.customer_id = %s AND i.at > %s AND t.unread > 0 AND t.attention <> ''
                   AND (t.assigned_to IS NULL OR t.assigned_to = %s)""",
            [customer_id, since, member_id],
        )
    )


@scoped
def conversation(*, customer_id: int, thread_id: int) -> Conversation:
    row = _thread(customer_id, thread_id)
    person = contacts.person(customer_id=customer_id, contact_id=row.contact_id)
    return Conversation(row, person, _last_of(customer_id, [row.id]).get(row.id))


@scoped
def lines(*, customer_id: int, conversation: Conversation) -> list[Line]:
    """What was said on both sides, the oldest first; of each side the newest 200."""
    received = Inbound.objects.filter(customer_id=customer_id, thread_id=conversation.thread.id).order_by("-id")[:SHOWN_AT_MOST]
    sent = Message.objects.filter(customer_id=customer_id, recipient__in=conversation.person.addresses).order_by("-id")[
        :SHOWN_AT_MOST
    ]
    carrying = [row.id for row in (*received, *sent) if row.channel in media.CHANNELS]
    files = media.listed(customer_id=customer_id, message_ids=carrying) if carrying else {}
    found = [Line(row.at, False, row, received=row, files=files.get(row.id, ())) for row in received]
    found += [Line(row.created_at, True, row, message=row, files=files.get(row.id, ())) for row in sent]
    return sorted(found, key=lambda line: line.at)


@scoped
def received_named(*, customer_id: int, ids: Collection[int]) -> dict[int, Inbound]:
    """Texts that came in, by id."""
    return {row.id: row for row in Inbound.objects.filter(customer_id=customer_id, id__in=list(ids))}


@scoped
def mark_read(*, customer_id: int, thread_id: int) -> None:
    Thread.objects.filter(customer_id=customer_id, id=thread_id, unread__gt=0).update(unread=0)


@scoped
def mark_unread(*, customer_id: int, thread_id: int) -> None:
    Thread.objects.filter(customer_id=customer_id, id=thread_id, unread=0).update(unread=1)


@scoped
def settle(*, customer_id: int, thread_id: int, actor: str, now: datetime) -> None:
    """Nobody needs to look at it any more. Doing it twice changes nothing."""
    row = _thread(customer_id, thread_id, lock=True)
    if row.attention:
        was, row.attention = row.attention, Attention.NONE
        row.save(update_fields=["attention"])
        events.record("thread.settled", customer_id=customer_id, subject_id=thread_id, now=now, actor=actor, data={"was": was})


@scoped
def assign(*, customer_id: int, thread_id: int, member_id: int | None, actor: str, now: datetime) -> None:
    """Have a member see to it; None: nobody in particular. Raises BadInput for who is no member."""
    row = _thread(customer_id, thread_id, lock=True)
    if member_id is not None and all(seat.member_id != member_id for seat in customers.members(customer_id=customer_id)):
        raise BadInput("There is no such member.", field="member", remedy="Choose one of the list.")
    if row.assigned_to != member_id:
        row.assigned_to = member_id
        row.save(update_fields=["assigned_to"])
        events.record(
            "thread.assigned", customer_id=customer_id, subject_id=thread_id, now=now, actor=actor, data={"member": member_id}
        )


@scoped
def answered(*, customer_id: int, thread_id: int, now: datetime) -> None:
    """Somebody wrote back: it is read, and what merely waited for an answer has one."""
    row = _thread(customer_id, thread_id, lock=True)
    row.last_at, row.unread = max(row.last_at, now), 0
    if row.attention == Attention.REPLY:
        row.attention = Attention.NONE
    row.save(update_fields=["last_at", "unread", "attention"])


def _thread(customer_id: int, thread_id: int, *, lock: bool = False) -> Thread:
    rows = Thread.objects.select_for_update() if lock else Thread.objects
    found = rows.filter(customer_id=customer_id, id=thread_id).first()
    if found is None:
        raise NotFound("There is no such conversation.")
    return found
