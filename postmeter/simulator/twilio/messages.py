"""The life of a message at the carrier: accepted, then step by step to its end, each step told to the status callback."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import uuid4

import msgspec

from postmeter.simulator.agenda import Task
from postmeter.simulator.callbacks import Callback
from postmeter.simulator.faults import Fired
from postmeter.simulator.twilio import segments
from postmeter.simulator.twilio.numbers import ERRORS, Fate, Step
from postmeter.simulator.world import World

API_VERSION = "2010-04-01"
PRICE_MICROS_PER_SEGMENT = 7_900  # of a US dollar
FINAL = ("delivered", "undelivered", "failed")


class MessageCentre(Protocol):
    @property
    def is_bound(self) -> bool: ...
    def receive(self, *, phone: str, to: str, body: str) -> dict[str, Any]: ...
    def drop(self) -> int: ...


class Carrier:
    def __init__(self, world: World) -> None:
        self.world = world
        self.account = world.settings.credentials.twilio_account_sid
        self.centre: MessageCentre | None = None  # where there is a session with it, people's texts go that way
        world.agenda.on("message.step", self._step)

    def accept(
        self,
        *,
        to: str,
        sender: str,
        body: str,
        media: int,
        service_sid: str | None,
        callback_url: str | None,
        fate: Fate,
        hidden: float,
    ) -> dict[str, Any]:
        """The message is ours now and will be sent: it stands in the log before anybody hears of it."""
        now = self.world.clock.now()
        sid = ("MM" if media else "SM") + uuid4().hex
        num_segments = segments.count(body) + fate.extra_segments
        log = self.world.log
        with log.transaction():
            log.execute(
                "INSERT INTO messages (sid, direction, sender, recipient, phone, body, num_segments, num_media, status,"
                " service_sid, callback_url, created, updated, visible_from)"
                " VALUES (?, 'outbound-api', ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
                (sid, sender, to, to, body, num_segments, media, service_sid, callback_url, now, now, now + hidden),
            )
            log.append(
                at=now,
                kind="message.accepted",
                subject=sid,
                to=to,
                sender=sender,
                body=body,
                segments=num_segments,
                callback_url=callback_url,
            )
            self._plan(sid, fate.steps, price_factor=fate.price_factor)
        return self.resource(self.find(sid))

    def receive(self, *, phone: str, to: str, body: str, pictures: Sequence[bytes] = ()) -> dict[str, Any]:
        """A person writes to one of our numbers; Postmeter is told at the inbound address, signed, or by the message centre."""
        if self.centre and self.centre.is_bound and not pictures:
            return self.centre.receive(phone=phone, to=to, body=body)
        now = self.world.clock.now()
        sid, media = ("MM" if pictures else "SM") + uuid4().hex, len(pictures)
        log = self.world.log
        with log.transaction():
            for picture in pictures:
                log.execute("INSERT INTO media (sid, message, content) VALUES (?, ?, ?)", ("ME" + uuid4().hex, sid, picture))
            log.execute(
                "INSERT INTO messages (sid, direction, sender, recipient, phone, body, num_segments, num_media, status,"
                " price_micros, created, updated, sent, visible_from)"
                " VALUES (?, 'inbound', ?, ?, ?, ?, ?, ?, 'received', ?, ?, ?, ?, ?)",
                (sid, phone, to, phone, body, segments.count(body), media, PRICE_MICROS_PER_SEGMENT, now, now, now, now),
            )
            log.append(at=now, kind="message.received", subject=sid, sender=phone, to=to, body=body)
            row = self.find(sid)
            if self.world.settings.twilio_inbound_url:
                self.world.postman.schedule(
                    self._callback(row, self.world.settings.twilio_inbound_url, _inbound_fields(row) | self._pictures(sid)),
                    due=now,
                )
        return self.resource(row)

    def _pictures(self, sid: str) -> dict[str, str]:
        found = self.world.log.rows("SELECT sid FROM media WHERE message = ? ORDER BY rowid", (sid,))
        place = f"{self.world.settings.public_url}/{API_VERSION}/Accounts/{self.account}/Messages/{sid}/Media"
        return {f"MediaUrl{n}": f"{place}/{row['sid']}" for n, row in enumerate(found)}

    def picture(self, sid: str, media_sid: str) -> bytes:
        """Raises KeyError."""
        row = self.world.log.row("SELECT content FROM media WHERE sid = ? AND message = ?", (media_sid, sid))
        if row is None:
            raise KeyError(media_sid)
        return bytes(row["content"])

    def find(self, sid: str) -> sqlite3.Row:
        """Raises KeyError."""
        row = self.world.log.row("SELECT * FROM messages WHERE sid = ?", (sid,))
        if row is None:
            raise KeyError(sid)
        return row

    def redact(self, sid: str) -> dict[str, Any]:
        self.world.log.execute("UPDATE messages SET body = '', updated = ? WHERE sid = ?", (self.world.clock.now(), sid))
        return self.resource(self.find(sid))

    def resource(self, row: sqlite3.Row) -> dict[str, Any]:
        """The Message resource: everything a string but the error code (Twilio's OpenAPI, api.v2010.account.message)."""
        uri = f"/{API_VERSION}/Accounts/{self.account}/Messages/{row['sid']}"
        return {
            "account_sid": self.account,
            "api_version": API_VERSION,
            "body": row["body"],
            "date_created": _rfc2822(row["created"]),
            "date_sent": _rfc2822(row["sent"]),
            "date_updated": _rfc2822(row["updated"]),
            "direction": row["direction"],
            "error_code": row["error_code"],
            "error_message": ERRORS.get(row["error_code"]),
            "from": row["sender"],
            "messaging_service_sid": row["service_sid"],
            "num_media": str(row["num_media"]),
            "num_segments": str(row["num_segments"]),
            "price": None
            if row["price_micros"] is None
            else f"-{row['price_micros'] // 1_000_000}.{row['price_micros'] % 1_000_000 // 10:05}",
            "price_unit": "USD",
            "sid": row["sid"],
            "status": row["status"],
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": row["recipient"],
            "uri": f"{uri}.json",
        }

    def _plan(self, sid: str, steps: tuple[Step, ...] | list[Step], *, price_factor: int, first: bool = True) -> None:
        """Puts the next step on the agenda; the others wait behind it, so that receipts keep their order unless a fault comes."""
        if steps:
            due = self.world.clock.now() if first else self.world.soon("receipt_delay") + steps[0].after
            self.world.agenda.add(
                due=due, kind="message.step", sid=sid, steps=msgspec.to_builtins(steps), price_factor=price_factor
            )

    async def _step(self, task: Task) -> None:
        step, *rest = msgspec.convert(task.facts["steps"], list[Step])
        sid, price_factor = task.facts["sid"], task.facts["price_factor"]
        row = self._reach(sid, step, price_factor=price_factor)
        if row["callback_url"]:
            magic = Fired.by_magic(step.fault) if step.fault else None
            await self.world.postman.deliver(self._callback(row, row["callback_url"], _status_fields(row, step)), magic)
        with self.world.log.transaction():
            self.world.agenda.done(task)
            self._plan(sid, rest, price_factor=price_factor, first=False)

    def _reach(self, sid: str, step: Step, *, price_factor: int) -> sqlite3.Row:
        now = self.world.clock.now()
        log = self.world.log
        with log.transaction():
            if step.status != "queued":
                log.execute(
                    "UPDATE messages SET status = ?, error_code = ?, updated = ?, sent = coalesce(sent, ?),"
                    " price_micros = num_segments * ? WHERE sid = ?",
                    (step.status, step.error_code, now, now, PRICE_MICROS_PER_SEGMENT * price_factor, sid),
                )
                log.append(at=now, kind="message.status", subject=sid, status=step.status, error_code=step.error_code)
            return self.find(sid)

    def _callback(self, row: sqlite3.Row, url: str, fields: dict[str, str]) -> Callback:
        common = {
            "MessageSid": row["sid"],
            "SmsSid": row["sid"],
            "AccountSid": self.account,
            "From": row["sender"],
            "To": row["recipient"],
            "ApiVersion": API_VERSION,
        }
        return Callback(
            service="twilio",
            url=url,
            body=urlencode(common | fields),
            secret=self.world.settings.credentials.twilio_auth_token,
            subject=row["sid"],
            event=fields["SmsStatus"],
            facts={"number": row["phone"], "body": row["body"]},
        )


def _status_fields(row: sqlite3.Row, step: Step) -> dict[str, str]:
    fields = {"MessageStatus": step.status, "SmsStatus": step.status}
    if row["service_sid"]:
        fields["MessagingServiceSid"] = row["service_sid"]
    if step.error_code:
        fields |= {"ErrorCode": str(step.error_code), "ErrorMessage": ERRORS[step.error_code]}
    return fields


def _inbound_fields(row: sqlite3.Row) -> dict[str, str]:
    return {
        "SmsMessageSid": row["sid"],
        "SmsStatus": "received",
        "Body": row["body"],
        "NumMedia": str(row["num_media"]),
        "NumSegments": str(row["num_segments"]),
    }


def _rfc2822(seconds: float | None) -> str | None:
    return None if seconds is None else format_datetime(datetime.fromtimestamp(seconds, UTC))
