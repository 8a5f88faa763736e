"""Sinch's Fax API: send a fax, get one, list them; each fax ends and is told to its callback address, with the password in it."""

import base64
import re
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import msgspec
import pypdfium2 as pdfium

from postmeter.simulator.agenda import Task
from postmeter.simulator.callbacks import Callback
from postmeter.simulator.faults import Fault, Fired
from postmeter.simulator.trouble import under_fault
from postmeter.simulator.twilio.numbers import DAY, fate_of
from postmeter.simulator.wire import Answer, Request, as_json
from postmeter.simulator.world import World

PREFIX = "/v3/projects/"
PATH = re.compile(r"/v3/projects/(?P<project>[\w-]+)/faxes(?:/(?P<id>\w+))?(?P<file>/file\.pdf)?")
E164 = re.compile(r"\+[1-9]\d{6,14}")
PRICE_MICROS_PER_PAGE = 45_000  # of a US dollar
# By the last four digits of the number: (status, type and code of the error, how many pages arrived, or None for all).
ENDS: dict[str, tuple[str, str, int | None, int | None]] = {
    "2100": ("FAILURE", "CALL_ERROR", 17, 0),  # busy, however often it is called
    "2101": ("FAILURE", "FAX_ERROR", 8, 0),  # a person answers, no machine
    "2102": ("FAILURE", "FAX_ERROR", 8, 2),  # the line breaks after two pages
    "2103": ("FAILURE", "FAX_ERROR", 8, None),  # it breaks, and nobody says after how many
    "2104": ("FAILURE", "DOCUMENT_CONVERSION_ERROR", 133, 0),
}
MEANINGS = {
    None: "",
    17: "The line was busy",
    8: "The other side is no fax machine, or broke off",
    133: "The document cannot be converted",
}


def trouble(status: int) -> Answer:
    return as_json(status, {"code": str(status), "error": "Simulated", "message": f"The simulator answers {status}."})


class SinchDoor:
    def __init__(self, world: World) -> None:
        self._world = world
        credentials = world.settings.credentials
        pair = f"{credentials.sinch_key_id}:{credentials.sinch_key_secret}"
        self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        self._project = credentials.sinch_project_id
        world.agenda.on("fax.end", self._end)

    async def __call__(self, request: Request) -> Answer:
        if request.headers.get("authorization") != self._authorization:
            return trouble(401)
        found = PATH.fullmatch(request.path)
        if not found or found["project"] != self._project:
            return trouble(404)
        if found["file"]:
            content = self.pages(found["id"] or "")
            return Answer(200, content, {"content-type": "application/pdf"}) if content else trouble(404)
        asked = _json(request.body) if request.method == "POST" else {}
        to = str(asked.get("to", ""))
        fired = self._fault_for(to)
        return await under_fault(fired, self._world, lambda: self._handle(request, found["id"], asked, fired), trouble)

    def _fault_for(self, to: str) -> Fired | None:
        fate, switch = fate_of(to), self._world.switch
        if fate.fault and (fate.times is None or self._world.log.count("fault.fired", to) < fate.times):
            fired = Fired.by_magic(fate.fault)
            switch.note(fired, service="sinch", subject=to)
            return fired
        return switch.draw("sinch", callback=False, subject=to, number=to)

    def _handle(self, request: Request, fax_id: str | None, asked: dict[str, Any], fired: Fired | None) -> Answer:
        if request.method == "POST" and fax_id is None:
            return self._send(asked, fired)
        if request.method != "GET":
            return trouble(404)
        if fax_id is None:
            return as_json(200, self._list(dict(request.query)))
        row = self._find(fax_id)
        return as_json(200, _resource(row)) if row else trouble(404)

    def _send(self, asked: dict[str, Any], fired: Fired | None) -> Answer:
        to = str(asked.get("to", ""))
        if not E164.fullmatch(to):
            return as_json(
                422, {"code": "422", "error": "Invalid parameters", "message": f"The ({to}) is not a valid phone number"}
            )
        files = [base64.b64decode(file["file"]) for file in asked.get("files", ())]
        if not files:
            return as_json(422, {"code": "422", "error": "Invalid parameters", "message": "There is no file"})
        pages = sum(len(pdfium.PdfDocument(content)) for content in files)
        now, fax_id, log = self._world.clock.now(), uuid4().hex, self._world.log
        hidden = fired.seconds if fired and fired.fault is Fault.HIDDEN else fate_of(to).hidden_seconds
        log.execute(
            "INSERT INTO messages (sid, direction, sender, recipient, phone, body, num_segments, num_media, status, callback_url,"
            " service_sid, created, updated, visible_from) VALUES (?, 'outbound-api', ?, ?, ?, ?, ?, 1, 'IN_PROGRESS', ?, ?, ?, ?, ?)",
            (
                *(fax_id, asked.get("from", ""), to, to, f"{asked.get('headerText', '')}\n[fax of {pages} pages]", pages),
                *(asked.get("callbackUrl"), msgspec.json.encode(asked.get("labels", {})).decode(), now, now, now + hidden),
            ),
        )
        for content in files:
            log.execute("INSERT INTO media (sid, message, content) VALUES (?, ?, ?)", (uuid4().hex, fax_id, content))
        log.append(at=now, kind="fax.accepted", subject=fax_id, to=to, pages=pages, header=asked.get("headerText", ""))
        self._world.agenda.add(due=self._world.soon("receipt_delay"), kind="fax.end", fax=fax_id)
        return as_json(200, _resource(self._find(fax_id)))

    def receive(self, *, phone: str, to: str, content: bytes, along: bool = True) -> dict[str, Any]:
        """A machine faxes one of our numbers; Postmeter is told, with the pages `along` or to be fetched. Broken ones count as one."""
        now, fax_id, log = self._world.clock.now(), uuid4().hex, self._world.log
        try:
            pages = len(pdfium.PdfDocument(content))
        except pdfium.PdfiumError:
            pages = 1
        with log.transaction():
            log.execute(
                "INSERT INTO messages (sid, direction, sender, recipient, phone, body, num_segments, num_media, status,"
                " created, updated, visible_from) VALUES (?, 'inbound', ?, ?, ?, ?, ?, 1, 'COMPLETED', ?, ?, ?)",
                (fax_id, phone, to, phone, f"[fax of {pages} pages]", pages, now, now, now),
            )
            log.execute("INSERT INTO media (sid, message, content) VALUES (?, ?, ?)", (uuid4().hex, fax_id, content))
            log.append(at=now, kind="fax.received", subject=fax_id, to=to, sender=phone, pages=pages)
            row = self._find(fax_id)
            if self._world.settings.sinch_inbound_url:
                secret = f"postmeter:{self._world.settings.credentials.sinch_callback_password}"
                file = {"file": base64.b64encode(content).decode(), "fileType": "PDF"} if along else {}
                told = _callback(row, now, self._world.settings.sinch_inbound_url, "INCOMING_FAX", file)
                self._world.postman.schedule(replace(told, secret=secret), due=now)
        return _resource(row)

    def pages(self, fax_id: str) -> bytes:
        """What was faxed, as a PDF; nothing where there is no such fax."""
        row = self._world.log.row("SELECT content FROM media WHERE message = ?", (fax_id,))
        return bytes(row["content"]) if row else b""

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        rows = self._world.log.rows(
            "SELECT * FROM messages WHERE sid NOT LIKE 'SM%' AND status IN ('IN_PROGRESS', 'COMPLETED', 'FAILURE')"
            " AND visible_from <= ? AND (? IS NULL OR recipient = ?) AND created >= ? AND created < ? ORDER BY id DESC",
            (self._world.clock.now(), query.get("to"), query.get("to"), *_day(query.get("createTime"))),
        )
        size, number = int(query.get("pageSize", 20)), int(query.get("page", 1))
        shown = [_resource(row) for row in rows[(number - 1) * size : number * size]]
        return {
            "faxes": shown,
            "pageNumber": number,
            "pageSize": size,
            "totalPages": max(-(-len(rows) // size), 1),
            "totalItems": len(rows),
        }

    def _find(self, fax_id: str) -> Any:
        return self._world.log.row("SELECT * FROM messages WHERE sid = ?", (fax_id,))

    async def _end(self, task: Task) -> None:
        row = self._find(task.facts["fax"])
        status, _, code, arrived = ENDS.get(row["recipient"][-4:], ("COMPLETED", "", None, None))
        now, log = self._world.clock.now(), self._world.log
        with log.transaction():
            sent = min(arrived if arrived is not None else row["num_segments"], row["num_segments"])
            log.execute(
                "UPDATE messages SET status = ?, error_code = ?, updated = ?, sent = ?, price_micros = ? WHERE sid = ?",
                (status, code, now, now, sent * PRICE_MICROS_PER_PAGE, row["sid"]),
            )
            log.append(at=now, kind="fax.ended", subject=row["sid"], status=status, pages=sent)
            row = self._find(row["sid"])
        if row["callback_url"]:
            step = next((step for step in fate_of(row["recipient"]).steps if step.fault), None)
            magic = Fired.by_magic(step.fault) if step and step.fault else None
            await self._world.postman.deliver(_callback(row, now, row["callback_url"], "FAX_COMPLETED"), magic)
        with log.transaction():
            self._world.agenda.done(task)


def _resource(row: sqlite3.Row) -> dict[str, Any]:
    """The Fax object, without what it has no value for."""
    known: dict[str, Any] = {
        "id": row["sid"],
        "direction": "INBOUND" if row["direction"] == "inbound" else "OUTBOUND",
        "from": row["sender"],
        "to": row["recipient"],
        "numberOfPages": row["num_segments"],
        "status": row["status"],
        "createTime": datetime.fromtimestamp(row["created"], UTC).isoformat(),
        "labels": msgspec.json.decode(row["service_sid"] or "{}"),
    }
    if row["price_micros"] is not None:
        known["price"] = {"amount": f"{row['price_micros'] / 1_000_000:.4f}", "currencyCode": "USD"}
    if row["status"] == "COMPLETED":
        known["pagesSentSuccessfully"] = row["num_segments"]
    if row["status"] == "FAILURE" and row["recipient"][-4:] in ENDS:
        _, error, code, arrived = ENDS[row["recipient"][-4:]]
        known |= {"errorType": error, "errorCode": code, "errorMessage": MEANINGS[code]}
        if arrived is not None:
            known["pagesSentSuccessfully"] = min(arrived, row["num_segments"])
    return known


def _callback(row: sqlite3.Row, now: float, url: str, event: str, file: dict[str, str] | None = None) -> Callback:
    """`secret` is what stood in the address: user and password of Basic authentication."""
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    said = {"event": event, "eventTime": datetime.fromtimestamp(now, UTC).isoformat(), "fax": _resource(row)} | (file or {})
    return Callback(
        service="sinch",
        url=parts._replace(netloc=host).geturl(),
        body=msgspec.json.encode(said).decode(),
        secret=f"{unquote(parts.username or '')}:{unquote(parts.password or '')}",
        subject=row["sid"],
        event=row["status"],
        facts={"number": row["phone"]},
    )


def _day(text: str | None) -> tuple[float, float]:
    """From its first second to the first after it; always, without one."""
    if text is None:
        return 0.0, float("inf")
    first = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    return first, first + DAY


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
