"""Telephones: they ring, somebody or a machine answers, hears what TwiML says, presses keys, is put through, hangs up.

What takes time takes it by the simulator's clock, and is counted on the call: the provider's bill is that count. A call ends when its
time limit, which may be raised meanwhile, has been talked.
"""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from postmeter.simulator.agenda import Task
from postmeter.simulator.callbacks import Callback
from postmeter.simulator.faults import Fault, Fired
from postmeter.simulator.world import World

API_VERSION = "2010-04-01"
CHARACTERS_A_SECOND = 14.0
PRICE_MICROS_A_MINUTE = 14_000  # of a US dollar
USUAL_LIMIT = 4 * 3600
FINDING_OUT = 4.0  # seconds until it is known whether a machine has answered
OPEN = ("queued", "ringing", "in-progress")


@dataclass(frozen=True, slots=True)
class Person:
    """Who has the telephone with these last four digits. `keys` are pressed one after the other, whenever one is asked for."""

    meaning: str
    ends: str = ""  # busy, no-answer or failed: nobody answers
    machine: bool = False
    keys: str = ""
    talks: int = 20  # seconds, when put through
    hears: float = float("inf")  # seconds, then hangs up
    beyond: int = 0  # seconds that the call lasts longer than its limit
    end: Fault | None = None  # what becomes of the last callback


PEOPLE: dict[str, Person] = {
    "2200": Person("Busy", ends="busy"),
    "2201": Person("Nobody answers", ends="no-answer"),
    "2202": Person("The call fails: there is no such number", ends="failed"),
    "2203": Person("An answering machine", machine=True),
    "2204": Person("Presses 1 twice", keys="11"),
    "2205": Person("Presses 2", keys="2"),
    "2206": Person("Presses 3", keys="3"),
    "2207": Person("Presses 9", keys="9"),
    "2208": Person("Presses 0, and talks for 12 minutes when put through", keys="0", talks=720),
    "2209": Person("Presses 1 again and again", keys="1" * 99),
    "2210": Person("Hangs up after five seconds", hears=5),
    "2211": Person("The line stays open two minutes beyond the limit", keys="1" * 99, beyond=120),
    "2212": Person("Nobody is told that the call ended", end=Fault.LOSE),
    "2213": Person("The end is told twice", end=Fault.DUPLICATE),
    "2214": Person("Presses 7, which means nothing", keys="7"),
}
USUAL = Person("Answers, listens and hangs up")


def person_of(number: str) -> Person:
    return PEOPLE.get(number[-4:], USUAL)


class Telephones:
    def __init__(self, world: World) -> None:
        self._world, self._log = world, world.log
        credentials = world.settings.credentials
        self._account, self._secret = credentials.twilio_account_sid, credentials.twilio_auth_token
        world.agenda.on("call.ring", self._ring)
        world.agenda.on("call.on", self._on)
        world.agenda.on("call.ask", self._ask)
        world.agenda.on("call.end", self._tell_end)

    # What Twilio's API does

    def make(self, form: list[tuple[str, str]], *, hidden: float) -> dict[str, Any]:
        known = dict(form)
        sid = self._begin(
            sender=known["From"],
            to=known["To"],
            url=known.get("Url", ""),
            callback=known.get("StatusCallback", ""),
            limit=int(known.get("TimeLimit") or USUAL_LIMIT),
            detect=bool(known.get("MachineDetection")),
            hidden=hidden,
        )
        self._world.agenda.add(due=self._world.soon("receipt_delay"), kind="call.ring", sid=sid)
        return self.resource(self.find(sid))

    def change(self, sid: str, form: dict[str, str]) -> dict[str, Any]:
        """TimeLimit, Twiml, or Status=completed on a call that goes on."""
        row = self.find(sid)
        if row["status"] in OPEN and "TimeLimit" in form:
            self._log.execute("UPDATE calls SET time_limit = ? WHERE sid = ?", (int(form["TimeLimit"]), sid))
            self._note(sid, "call.limit", seconds=int(form["TimeLimit"]))
        if row["status"] == "in-progress" and form.get("Twiml"):
            self._perform(self._interrupt(row), _steps(form["Twiml"]), self._world.clock.now())
        if row["status"] in OPEN and form.get("Status") == "completed":
            self._interrupt(row)
            self._end(sid, "completed")
        return self.resource(self.find(sid))

    def made(self, to: str | None, since: float, until: float) -> list[dict[str, Any]]:
        rows = self._log.rows(
            "SELECT * FROM calls WHERE visible_from <= ? AND (? IS NULL OR recipient = ?) AND created >= ? AND created < ?"
            " ORDER BY id DESC LIMIT 1000",
            (self._world.clock.now(), to, to, since, until),
        )
        return [self.resource(row) for row in rows]

    def find(self, sid: str) -> sqlite3.Row:
        """Raises KeyError."""
        row = self._log.row("SELECT * FROM calls WHERE sid = ?", (sid,))
        if row is None:
            raise KeyError(sid)
        return row

    def resource(self, row: sqlite3.Row) -> dict[str, Any]:
        """The Call resource (Twilio's OpenAPI, api.v2010.account.call): nearly all of it strings."""
        seconds = _seconds(row)
        ended = row["status"] not in OPEN
        return {
            "sid": row["sid"],
            "account_sid": self._account,
            "api_version": API_VERSION,
            "parent_call_sid": row["parent"],
            "from": row["sender"],
            "to": row["recipient"],
            "status": row["status"],
            "answered_by": row["answered_by"],
            "direction": "outbound-dial" if row["parent"] else "outbound-api",
            "duration": str(seconds) if ended else None,
            "price": f"-{_minutes(seconds) * PRICE_MICROS_A_MINUTE / 1_000_000:.5f}" if ended and seconds else None,
            "price_unit": "USD",
            "date_created": format_datetime(datetime.fromtimestamp(row["created"], UTC)),
            "uri": f"/{API_VERSION}/Accounts/{self._account}/Calls/{row['sid']}.json",
        }

    # What people do

    def press(self, phone: str, key: str) -> bool:
        """Somebody presses a key on the street. False where no call of theirs listens for one."""
        with self._log.transaction():
            row = self._log.row(
                "SELECT * FROM calls WHERE recipient = ? AND status = 'in-progress' AND action <> '' ORDER BY id DESC", (phone,)
            )
            if row is None:
                return False
            keys_to = row["action"]
            self._pressed(self._interrupt(row)["sid"], keys_to, key, self._world.clock.now())
            return True

    def live(self, phone: str) -> sqlite3.Row | None:
        """The call that goes on there."""
        return self._log.row("SELECT * FROM calls WHERE recipient = ? AND status = 'in-progress' ORDER BY id DESC", (phone,))

    # How a call goes

    def _begin(
        self,
        *,
        sender: str,
        to: str,
        url: str,
        callback: str,
        limit: int,
        detect: bool = False,
        hidden: float = 0,
        parent: str = "",
    ) -> str:
        now, sid = self._world.clock.now(), "CA" + uuid4().hex
        with self._log.transaction():
            self._log.execute(
                "INSERT INTO calls (sid, parent, sender, recipient, url, callback_url, time_limit, detect, status, keys, created,"
                " visible_from) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
                (sid, parent or None, sender, to, url, callback, limit, detect, person_of(to).keys, now, now + hidden),
            )
            self._log.execute(
                "INSERT INTO messages (sid, direction, sender, recipient, phone, body, num_segments, num_media, status,"
                " callback_url, created, updated, visible_from) VALUES (?, 'outbound-api', ?, ?, ?, ?, 1, 0, 'queued', ?, ?, ?, ?)",
                (sid, sender, to, to, "☎", callback, now, now, now),
            )
            self._log.append(at=now, kind="call.accepted", subject=sid, to=to, sender=sender, limit=limit, parent=parent)
        return sid

    async def _ring(self, task: Task) -> None:
        sid = task.facts["sid"]
        row = self.find(sid)
        person = person_of(row["recipient"])
        await self._tell(row, "initiated")
        with self._log.transaction():
            self._world.agenda.done(task)
            if self.find(sid)["status"] != "queued":
                return
            if person.ends:
                self._end(sid, person.ends)
                return
            by = ("machine_end_beep" if person.machine else "human") if row["detect"] else None
            spent = FINDING_OUT if by else 0.0
            self._log.execute(
                "UPDATE calls SET status = 'in-progress', answered_by = ?, spent = ? WHERE sid = ?", (by, spent, sid)
            )
            self._log.execute("UPDATE messages SET status = 'in-progress' WHERE sid = ?", (sid,))
            self._note(sid, "call.answered", by=by)
            if row["url"]:
                self._ask_soon(sid, row["url"], task.due)
        await self._tell(self.find(sid), "in-progress")

    def _ask_soon(self, sid: str, url: str, at: float, **fields: str) -> None:
        self._world.agenda.add(due=at, kind="call.ask", sid=sid, url=url, fields=fields)

    async def _ask(self, task: Task) -> None:
        """Ask what to say. Without an answer that can be understood, the call ends."""
        sid = task.facts["sid"]
        row = self.find(sid)
        fields = {"CallStatus": "in-progress", **task.facts["fields"]}
        if row["answered_by"]:
            fields["AnsweredBy"] = row["answered_by"]
        said = await self._world.postman.ask(self._callback(row, task.facts["url"], fields))
        with self._log.transaction():
            self._world.agenda.done(task)
            row = self.find(sid)
            if row["status"] == "in-progress":
                self._perform(row, _steps(said), task.due)

    def _perform(self, row: sqlite3.Row, steps: list[dict[str, Any]], at: float) -> None:
        """Begin the first of these steps, `at` when what was before has ended."""
        sid, step = row["sid"], steps[0] if steps else {"do": "hangup"}
        seconds = float(step.get("seconds", 0))
        self._log.execute("UPDATE calls SET turn = turn + 1, action = ? WHERE sid = ?", (step.get("keys_to", ""), sid))
        match step["do"]:
            case "hangup":
                self._end(sid, "completed")
                return
            case "say":
                self._transcribe(sid, step["text"])
            case "listen" if row["keys"]:
                self._log.execute("UPDATE calls SET keys = ? WHERE sid = ?", (row["keys"][1:], sid))
                self._pressed(sid, step["keys_to"], row["keys"][0], at)
                return
            case "dial":
                seconds = self._dial(row, step, at)
        self._wait(self.find(sid), seconds, steps, at)

    def _dial(self, row: sqlite3.Row, step: dict[str, Any], at: float) -> float:
        """Call somebody else; how long they will talk."""
        limit, sid = int(step["limit"]), row["sid"]
        other = self._begin(sender=step["from"], to=step["to"], url="", callback=step["callback"], limit=limit, parent=sid)
        self._log.execute("UPDATE calls SET talks_to = ?, dialled_at = spent WHERE sid = ?", (other, sid))
        self._world.agenda.add(due=at, kind="call.ring", sid=other)
        return 0.0 if person_of(step["to"]).ends else float(min(person_of(row["recipient"]).talks, limit))

    def _wait(self, row: sqlite3.Row, left: float, steps: list[dict[str, Any]], at: float) -> None:
        """Until the step is over or the time limit reached, which is looked at again then: it may have been raised."""
        part = min(left, max(_most(row) - row["spent"], 0.0))
        self._log.execute("UPDATE calls SET since = ?, part = ? WHERE sid = ?", (at, part, row["sid"]))
        facts = {"sid": row["sid"], "turn": row["turn"], "left": left - part, "steps": steps}
        self._world.agenda.add(due=at + part, kind="call.on", **facts)

    async def _on(self, task: Task) -> None:
        sid, left, steps = task.facts["sid"], task.facts["left"], task.facts["steps"]
        with self._log.transaction():
            self._world.agenda.done(task)
            row = self.find(sid)
            if row["status"] != "in-progress" or row["turn"] != task.facts["turn"]:
                return  # something else has been said to it meanwhile
            self._log.execute("UPDATE calls SET spent = spent + part, part = 0 WHERE sid = ?", (sid,))
            row = self.find(sid)
            if row["spent"] >= _most(row):
                self._end(sid, "completed")
            elif left > 0:
                self._wait(row, left, steps, task.due)
            elif steps[0]["do"] == "dial":
                other = self._put_down(row)
                self._ask_soon(sid, steps[0]["action"], task.due, DialCallStatus=other["status"], DialCallSid=other["sid"])
            else:
                self._perform(row, steps[1:], task.due)

    def _pressed(self, sid: str, keys_to: str, key: str, at: float) -> None:
        self._note(sid, "call.pressed", key=key)
        self._transcribe(sid, f"[{key}]")
        self._log.execute("UPDATE calls SET turn = turn + 1, action = '' WHERE sid = ?", (sid,))
        self._ask_soon(sid, keys_to, at, Digits=key)

    def _interrupt(self, row: sqlite3.Row) -> sqlite3.Row:
        """Count what has gone by of the step that goes on, and end it."""
        gone = min(max(self._world.clock.now() - row["since"], 0.0), row["part"])
        self._log.execute("UPDATE calls SET spent = spent + ?, part = 0, turn = turn + 1 WHERE sid = ?", (gone, row["sid"]))
        row = self.find(row["sid"])
        if row["talks_to"]:
            self._put_down(row)
        return self.find(row["sid"])

    def _put_down(self, row: sqlite3.Row) -> sqlite3.Row:
        """End the call of whom they were put through to, which is returned."""
        other = self.find(row["talks_to"])
        if other["status"] in OPEN:
            ends = person_of(other["recipient"]).ends
            self._log.execute("UPDATE calls SET spent = ? WHERE sid = ?", (row["spent"] - row["dialled_at"], other["sid"]))
            self._end(other["sid"], ends or "completed")
        self._log.execute("UPDATE calls SET talks_to = '' WHERE sid = ?", (row["sid"],))
        return self.find(other["sid"])

    def _end(self, sid: str, status: str) -> None:
        """It is over, also for whom they were put through to."""
        row = self.find(sid)
        if row["talks_to"]:
            self._put_down(row)
        now, seconds = self._world.clock.now(), _seconds(row)
        self._log.execute("UPDATE calls SET status = ?, turn = turn + 1, action = '' WHERE sid = ?", (status, sid))
        self._log.execute(
            "UPDATE messages SET status = ?, num_segments = ?, price_micros = ?, sent = ?, updated = ? WHERE sid = ?",
            (status, max(_minutes(seconds), 1), _minutes(seconds) * PRICE_MICROS_A_MINUTE, now, now, sid),
        )
        self._note(sid, "call.ended", status=status, seconds=seconds)
        self._world.agenda.add(due=now, kind="call.end", sid=sid)

    async def _tell_end(self, task: Task) -> None:
        row = self.find(task.facts["sid"])
        fault = person_of(row["recipient"]).end
        await self._tell(row, row["status"], Fired.by_magic(fault) if fault else None)
        with self._log.transaction():
            self._world.agenda.done(task)

    async def _tell(self, row: sqlite3.Row, status: str, magic: Fired | None = None) -> None:
        if row["callback_url"]:
            fields = {"CallStatus": status}
            if status == "completed":
                fields["CallDuration"] = str(_seconds(row))
            await self._world.postman.deliver(self._callback(row, row["callback_url"], fields), magic)

    def _callback(self, row: sqlite3.Row, url: str, fields: dict[str, str]) -> Callback:
        common = {
            "CallSid": row["sid"],
            "AccountSid": self._account,
            "From": row["sender"],
            "To": row["recipient"],
            "ApiVersion": API_VERSION,
        }
        parent = {"ParentCallSid": row["parent"]} if row["parent"] else {}
        return Callback(
            service="twilio",
            url=url,
            body=urlencode(common | parent | fields),
            secret=self._secret,
            subject=row["sid"],
            event=fields["CallStatus"],
            facts={"number": row["recipient"]},
        )

    def _transcribe(self, sid: str, words: str) -> None:
        now = self._world.clock.now()
        self._log.execute("UPDATE messages SET body = body || char(10) || ?, updated = ? WHERE sid = ?", (words, now, sid))
        self._note(sid, "call.said", words=words)

    def _note(self, sid: str, kind: str, **facts: Any) -> None:
        self._log.append(at=self._world.clock.now(), kind=kind, subject=sid, to=self.find(sid)["recipient"], **facts)


def _most(row: sqlite3.Row) -> float:
    """After how many seconds this call is over."""
    person = person_of(row["recipient"])
    return float(min(row["time_limit"] + person.beyond, person.hears))


def _seconds(row: sqlite3.Row) -> int:
    return -int(-round(row["spent"], 3) // 1)


def _minutes(seconds: int) -> int:
    return -(-seconds // 60)


def _steps(twiml: str) -> list[dict[str, Any]]:
    """TwiML as what happens one after the other. What cannot be read, or is not understood, is nothing: the call ends."""
    try:
        response = fromstring(twiml)
    except ParseError:
        return []
    steps: list[dict[str, Any]] = []
    for verb in response:
        keys_to = verb.get("action", "") if verb.tag == "Gather" else ""
        for said in [verb, *verb] if verb.tag in ("Say", "Gather") else []:
            if said.tag == "Say":
                words = said.text or ""
                steps.append({"do": "say", "text": words, "seconds": len(words) / CHARACTERS_A_SECOND, "keys_to": keys_to})
        if verb.tag == "Gather":
            steps.append({"do": "listen", "seconds": float(verb.get("timeout", 5)), "keys_to": keys_to})
        elif verb.tag == "Dial":
            steps.append(_dialled(verb))
        elif verb.tag == "Hangup":
            steps.append({"do": "hangup"})
    return steps


def _dialled(verb: Element) -> dict[str, Any]:
    number = verb.find("Number")
    assert number is not None
    return {
        "do": "dial",
        "to": number.text or "",
        "from": verb.get("callerId", ""),
        "limit": verb.get("timeLimit", str(USUAL_LIMIT)),
        "callback": number.get("statusCallback", ""),
        "action": verb.get("action", ""),
    }
