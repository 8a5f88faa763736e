"""Twilio's HTTP API as far as we use it: create, fetch, list and redact messages, and a null carrier for benchmarks."""

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import msgspec

from postmeter.simulator.faults import Fault, Fired
from postmeter.simulator.trouble import under_fault
from postmeter.simulator.twilio.calls import Telephones
from postmeter.simulator.twilio.messages import API_VERSION, Carrier
from postmeter.simulator.twilio.numbers import ERRORS, Fate, fate_of
from postmeter.simulator.wire import Answer, Receive, Request, Scope, Send, as_json

PATH = re.compile(rf"/{API_VERSION}/Accounts/(?P<account>\w+)/Messages(?:/(?P<sid>\w+))?\.json")
CALL = re.compile(rf"/{API_VERSION}/Accounts/(?P<account>\w+)/Calls(?:/(?P<sid>\w+))?\.json")
PICTURE = re.compile(rf"/{API_VERSION}/Accounts/\w+/Messages/(?P<sid>\w+)/Media/(?P<media>\w+)")
E164 = re.compile(r"\+[1-9]\d{6,14}")
SENDER = re.compile(r"\+[1-9]\d{6,14}|\d{3,6}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
LONGEST_BODY = 1600
FEE_MICROS_PER_SEGMENT = 3_000  # of a US dollar, which carriers charge on top
LARGEST_PAGE = 1000
CONSENTS_AT_ONCE = 25
BLOCKING_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})
UNBLOCKING_WORDS = frozenset({"START", "YES", "UNSTOP"})


class TwilioError(Exception):
    def __init__(self, code: int, status: int = 400, detail: str = "") -> None:
        self.code = code
        self.status = status
        super().__init__(ERRORS[code] + detail)

    def answer(self) -> Answer:
        """Twilio's error shape."""
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        return as_json(self.status, {"code": self.code, "message": str(self), "more_info": more, "status": self.status})


def trouble(status: int) -> Answer:
    return TwilioError({429: 20429, 409: 20429}.get(status, 20500), status).answer()


class TwilioDoor:
    def __init__(self, carrier: Carrier, telephones: Telephones) -> None:
        self._carrier, self._telephones = carrier, telephones
        self._world = carrier.world
        credentials = self._world.settings.credentials
        pair = f"{credentials.twilio_account_sid}:{credentials.twilio_auth_token}"
        self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()

    async def __call__(self, request: Request) -> Answer:
        try:
            return await self._route(request)
        except TwilioError as error:
            return error.answer()

    async def _route(self, request: Request) -> Answer:
        if request.headers.get("authorization") != self._authorization:
            raise TwilioError(20003, 401)
        if picture := PICTURE.fullmatch(request.path):
            return self._picture(picture["sid"], picture["media"])
        if request.path == f"/{API_VERSION}/Accounts/{self._carrier.account}/Usage/Records/Daily.json":
            return as_json(200, self._usage(dict(request.query)))
        if request.path == "/v1/Consents/Bulk" and request.method == "POST":
            fired = self._fault_for(request, "")
            return await under_fault(fired, self._world, lambda: self._consents(request), trouble)
        call = CALL.fullmatch(request.path)
        found = call or PATH.fullmatch(request.path)
        if not found or found["account"] != self._carrier.account:
            raise TwilioError(20404, 404)
        to = dict(request.form).get("To", "") if request.method == "POST" and not found["sid"] else ""
        fired = self._fault_for(request, to)
        handle = self._handle_call if call else self._handle
        return await under_fault(fired, self._world, lambda: handle(request, found["sid"], fired), trouble)

    def _picture(self, sid: str, media: str) -> Answer:
        try:
            return Answer(200, self._carrier.picture(sid, media), {"content-type": "application/octet-stream"})
        except KeyError:
            raise TwilioError(20404, 404) from None

    def _fault_for(self, request: Request, to: str) -> Fired | None:
        fate = fate_of(to)
        switch = self._world.switch
        if fate.fault and (fate.times is None or self._world.log.count("fault.fired", to) < fate.times):
            fired = Fired.by_magic(fate.fault)
            switch.note(fired, service="twilio", subject=to)
            return fired
        facts = {"number": to, "path": request.path, "method": request.method, "body": dict(request.form).get("Body", "")}
        return switch.draw("twilio", callback=False, subject=to or request.path, **facts)

    def _handle(self, request: Request, sid: str | None, fired: Fired | None) -> Answer:
        try:
            match request.method, sid:
                case "POST", None:
                    return as_json(201, self._create(request, fired))
                case "GET", None:
                    return as_json(200, self._list(request))
                case "GET", str():
                    return as_json(200, self._carrier.resource(self._find(sid)))
                case "POST", str():
                    self._find(sid)
                    return as_json(200, self._carrier.redact(sid))
            raise TwilioError(20404, 404)
        except TwilioError as error:  # a refusal is kept in the log like everything else
            return error.answer()

    def _consents(self, request: Request) -> Answer:
        """Who opted out, or came back: each item is answered for itself."""
        items = [msgspec.json.decode(value) for name, value in request.form if name == "Items"]
        if not 1 <= len(items) <= CONSENTS_AT_ONCE:
            raise TwilioError(20001)
        answers, log = [], self._world.log
        for item in items:
            wrong = [] if E164.fullmatch(item["contact_id"]) else ["INVALID_CONTACT_ID"]
            wrong += [] if item["status"] in ("opt-in", "opt-out") else ["INVALID_STATUS"]
            if not wrong:
                facts = {"sender": item["sender_id"], "status": item["status"], "consented_at": item["date_of_consent"]}
                log.append(at=self._world.clock.now(), kind="consent.told", subject=item["contact_id"], **facts)
            code = 30646 if wrong else 0
            answers.append({"correlation_id": item["correlation_id"], "error_code": code, "error_messages": wrong})
        return as_json(201, {"items": answers})

    def _usage(self, query: dict[str, str]) -> dict[str, Any]:
        """What carriers charge for a day's texts, in one line: first said when `carrier_fee_hours` have passed since its end."""
        day, category = query["StartDate"], query["Category"]
        since, until = _span(day)
        told = self._world.clock.now() >= until + 3600 * self._world.knob("carrier_fee_hours")
        row = self._world.log.one(
            "SELECT count(*) AS count, coalesce(sum(num_segments), 0) AS segments FROM messages WHERE direction = 'outbound-api'"
            " AND sid GLOB ? AND price_micros > 0 AND sent >= ? AND sent < ?",
            ("SM*" if category.startswith("sms") else "MM*", since, until),
        )
        price = row["segments"] * FEE_MICROS_PER_SEGMENT if told else 0
        record = {
            "category": category,
            "account_sid": self._carrier.account,
            "start_date": day,
            "end_date": query["EndDate"],
            "count": str(row["count"] if told else 0),
            "count_unit": "messages",
            "price": f"{price / 1_000_000:.5f}",
            "price_unit": "usd",
        }
        return {"usage_records": [record], "next_page_uri": None}

    def _handle_call(self, request: Request, sid: str | None, fired: Fired | None) -> Answer:
        try:
            if request.method == "POST" and sid:
                return as_json(200, self._telephones.change(sid, dict(request.form)))
            if request.method == "POST":
                return as_json(201, self._call(request, fired))
            if sid:
                return as_json(200, self._telephones.resource(self._telephones.find(sid)))
            query = dict(request.query)
            since, until = _span(query["StartTime"]) if "StartTime" in query else (0.0, float("inf"))
            return as_json(200, {"calls": self._telephones.made(query.get("To"), since, until), "next_page_uri": None})
        except KeyError:
            return TwilioError(20404, 404).answer()
        except TwilioError as error:
            return error.answer()

    def _call(self, request: Request, fired: Fired | None) -> dict[str, Any]:
        form = dict(request.form)
        to, sender = form.get("To", ""), form.get("From", "")
        self._check(to=to, sender=sender, body="call", media=0, callback_url=form.get("StatusCallback"))
        if urlsplit(form.get("Url", "")).scheme not in {"http", "https"}:
            raise TwilioError(21205)
        fate = self._fate(to, sender)
        hidden = fired.seconds if fired and fired.fault is Fault.HIDDEN else fate.hidden_seconds
        return self._telephones.make(request.form, hidden=hidden)

    def _find(self, sid: str) -> Any:
        try:
            return self._carrier.find(sid)
        except KeyError:
            raise TwilioError(20404, 404) from None

    def _create(self, request: Request, fired: Fired | None) -> dict[str, Any]:
        form = dict(request.form)
        media = sum(1 for name, _ in request.form if name == "MediaUrl")
        to, body = form.get("To", ""), form.get("Body", "")
        sender = form.get("From") or form.get("MessagingServiceSid", "")
        try:
            self._check(to=to, sender=sender, body=body, media=media, callback_url=form.get("StatusCallback"))
            fate = self._fate(to, sender)
        except TwilioError as error:
            self._world.log.append(
                at=self._world.clock.now(), kind="message.refused", subject=to, to=to, body=body, code=error.code
            )
            raise
        return self._carrier.accept(
            to=to,
            sender=sender,
            body=body,
            media=media,
            service_sid=form.get("MessagingServiceSid"),
            callback_url=form.get("StatusCallback"),
            fate=fate,
            hidden=fired.seconds if fired and fired.fault is Fault.HIDDEN else fate.hidden_seconds,
        )

    def _check(self, *, to: str, sender: str, body: str, media: int, callback_url: str | None) -> None:
        if not to:
            raise TwilioError(21604)
        if not E164.fullmatch(to):
            raise TwilioError(21211, detail=f": {to}")
        if not sender:
            raise TwilioError(21603)
        if not sender.startswith("MG") and not SENDER.fullmatch(sender):
            raise TwilioError(21212, detail=f": {sender}")
        if not body and not media:
            raise TwilioError(21602)
        if len(body) > LONGEST_BODY:
            raise TwilioError(21617)
        if callback_url and urlsplit(callback_url).scheme not in {"http", "https"}:
            raise TwilioError(21609)

    def _fate(self, to: str, sender: str) -> Fate:
        fate = fate_of(to)
        if fate.refusal:
            raise TwilioError(fate.refusal)
        if self._world.knob("carrier_opt_out") and self._has_opted_out(to, sender):
            raise TwilioError(21610)
        return fate

    def _has_opted_out(self, phone: str, sender: str) -> bool:
        rows = self._world.log.rows(
            "SELECT upper(trim(body)) AS word FROM messages WHERE phone = ? AND recipient = ? AND direction = 'inbound'"
            " ORDER BY id DESC",
            (phone, sender),
        )
        deciding = (row["word"] for row in rows if row["word"] in BLOCKING_WORDS | UNBLOCKING_WORDS)
        told = [each for each in self._world.log.entries(kind="consent.told", subject=phone) if each["sender"] == sender]
        if told:
            return bool(told[-1]["status"] == "opt-out")
        return next(deciding, None) in BLOCKING_WORDS

    def _list(self, request: Request) -> dict[str, Any]:
        """Newest first. Filters To, From, DateSent, DateSent<, DateSent>; a page token keeps the place while new ones arrive."""
        query = dict(request.query)
        size = min(max(int(query.get("PageSize") or 50), 1), LARGEST_PAGE)
        page = int(query.get("Page") or 0)
        rows = self._world.log.rows(
            "SELECT * FROM messages WHERE sid GLOB '[SM]M*' AND visible_from <= :now AND (:to IS NULL OR recipient = :to)"
            " AND (:sender IS NULL OR sender = :sender)"
            " AND coalesce(sent, created) >= :since AND coalesce(sent, created) < :until"
            " AND (:token IS NULL OR id < (SELECT id FROM messages WHERE sid = :token)) ORDER BY id DESC LIMIT :size + 1",
            {
                "now": self._world.clock.now(),
                "to": query.get("To"),
                "sender": query.get("From"),
                "token": query["PageToken"][2:] if query.get("PageToken") else None,
                "size": size,
                **_period(query),
            },
        )
        shown = rows[:size]
        kept = {name: value for name, value in query.items() if name not in {"Page", "PageToken"}} | {"PageSize": str(size)}

        def uri(number: int, token: str | None = None) -> str:
            return f"{request.path}?{urlencode(kept | {'Page': str(number)} | ({'PageToken': token} if token else {}))}"

        return {
            "end": page * size + max(len(shown) - 1, 0),
            "first_page_uri": uri(0),
            "next_page_uri": uri(page + 1, "PA" + shown[-1]["sid"]) if len(rows) > size else None,
            "page": page,
            "page_size": size,
            "previous_page_uri": uri(page - 1) if page else None,
            "start": page * size,
            "uri": uri(page, query.get("PageToken")),
            "messages": [self._carrier.resource(row) for row in shown],
        }


def _period(query: dict[str, str]) -> dict[str, float]:
    """A day means the whole day in GMT; both ends count."""
    since, until = 0.0, float("inf")
    if "DateSent" in query:
        since, until = _span(query["DateSent"])
    if "DateSent>" in query:
        since = _span(query["DateSent>"])[0]
    if "DateSent<" in query:
        until = _span(query["DateSent<"])[1]
    return {"since": since, "until": until}


def _span(text: str) -> tuple[float, float]:
    """The first second of a date or time, and the first after it."""
    moment = datetime.fromisoformat(text)
    length = timedelta(days=1) if len(text) == len("2026-11-23") else timedelta(seconds=1)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp(), (moment + length).timestamp()


NULL_HEADERS = [(b"content-type", b"application/json")]
NULL_BODY = '{{"sid":"SM{sid}","status":"queued","num_segments":"1","error_code":null,"error_message":null,"price":null}}'


async def null_carrier(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes every message, keeps none and tells nobody: what a dispatcher can do when the carrier costs nothing."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 201, "headers": NULL_HEADERS})
    await send({"type": "http.response.body", "body": NULL_BODY.format(sid=uuid4().hex).encode()})
