"""The street of phones: what each recipient has got, newest phones first."""

from datetime import UTC, datetime
from sqlite3 import Row
from typing import Any

from postmeter.simulator.twilio.calls import PEOPLE
from postmeter.simulator.twilio.numbers import MAGIC
from postmeter.simulator.world import World

PHONES_A_PAGE = 24
BUBBLES_A_PHONE = 3
BUBBLES_ON_ITS_PAGE = 200
SHEETS_A_BUBBLE = 10
FAXED = frozenset({"IN_PROGRESS", "COMPLETED", "FAILURE"})
ARRIVED = frozenset({"delivered", "received", "completed", "COMPLETED"})
LOST = frozenset({"undelivered", "failed", "busy", "no-answer", "FAILURE"})


def phones_of(world: World, *, q: str, before: int | None) -> dict[str, Any]:
    """A page of phones whose number contains the digits of `q`, older than message number `before`."""
    digits = q.strip().lower() if "@" in q else "".join(character for character in q if character.isdigit())
    rows = world.log.rows(
        "SELECT phone, max(id) AS latest, count(*) AS total FROM messages WHERE phone LIKE ? GROUP BY phone"
        " HAVING ? IS NULL OR latest < ? ORDER BY latest DESC LIMIT ?",
        (f"%{digits}%", before, before, PHONES_A_PAGE + 1),
    )
    shown = rows[:PHONES_A_PAGE]
    phones = [
        {"number": row["phone"], "total": row["total"], "bubbles": _bubbles(world, row["phone"], BUBBLES_A_PHONE)}
        for row in shown
    ]
    return {"phones": phones, "older": shown[-1]["latest"] if len(rows) > PHONES_A_PAGE else None}


def phone_of(world: World, number: str) -> dict[str, Any]:
    """One phone with its texts, oldest first, and the numbers of ours that wrote to it."""
    senders = world.log.rows(
        "SELECT sender FROM messages WHERE phone = ? AND direction = 'outbound-api' GROUP BY sender ORDER BY max(id) DESC",
        (number,),
    )
    magic = MAGIC.get(number[-4:]) or PEOPLE.get(number[-4:])
    return {
        "number": number,
        "bubbles": _bubbles(world, number, BUBBLES_ON_ITS_PAGE),
        "senders": [row["sender"] for row in senders],
        "meaning": magic.meaning if magic else None,
        "can_answer": world.settings.twilio_inbound_url is not None,
    }


def _bubbles(world: World, phone: str, limit: int) -> list[dict[str, Any]]:
    rows = world.log.rows("SELECT * FROM messages WHERE phone = ? ORDER BY id DESC LIMIT ?", (phone, limit))
    return [_bubble(row) for row in reversed(rows)]


def _bubble(row: Row) -> dict[str, Any]:
    status = row["status"]
    return {
        "body": row["body"],
        "status": f"{status} ({row['error_code']})" if row["error_code"] else status,
        "state": "arrived" if status in ARRIVED else "lost" if status in LOST else "under-way",
        "mine": row["direction"] == "inbound",
        "other": row["recipient"] if row["direction"] == "inbound" else row["sender"],
        "segments": row["num_segments"],
        "fax": row["sid"] if row["status"] in FAXED else "",
        "pages": range(1, min(row["num_segments"], SHEETS_A_BUBBLE) + 1) if row["status"] in FAXED else (),
        "when": datetime.fromtimestamp(row["updated"], UTC).strftime("%-d %b %H:%M:%S"),
    }
