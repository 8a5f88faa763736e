"""Twilio's Messages and Calls, API version 2010-04-01, and what is said on calls in TwiML."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Dial, Gather, Say, VoiceResponse
from yarl import URL

from postmeter.messaging.channels.voice import minutes
from postmeter.messaging.providers import (
    Accepted,
    Billed,
    BillPage,
    Callback,
    Consent,
    Forged,
    Heard,
    Outbound,
    Outcome,
    Receipt,
    Received,
    Refused,
    Reply,
    Request,
    Speech,
    TryLater,
    Unknown,
    amount_micros,
    basic,
)
from postmeter.messaging.states import State

# Twilio's words for a message that it has, and what they mean to us. A word we do not know moves nothing.
STATES = {
    "accepted": State.SENT,
    "scheduled": State.SENT,
    "queued": State.SENT,
    "sending": State.SENT,
    "sent": State.SENT,
    "delivered": State.DELIVERED,
    "read": State.DELIVERED,
    "undelivered": State.UNDELIVERED,
    "failed": State.FAILED,
    "canceled": State.FAILED,
    # Calls
    "initiated": State.SENT,
    "ringing": State.SENT,
    "in-progress": State.SENT,
    "answered": State.SENT,
    "completed": State.DELIVERED,
    "busy": State.UNDELIVERED,
    "no-answer": State.UNDELIVERED,
}
# Calls that somebody answered are paid for, by the minute; the others are not.
UNANSWERED = frozenset({"busy", "no-answer", "failed", "canceled"})
MACHINES = frozenset({"machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax"})
UNBILLED = UNANSWERED  # they never get a price
KEY_SECONDS = 6  # to press one, after everything is said
RING_SECONDS = 30
# Carriers charge for what went out, delivered or not.
BILLABLE = frozenset({"sent", "delivered", "read", "undelivered"})
OPTED_OUT = "21610"
FILES_AT_MOST = 10
_LISTS = {"STOP": "stop", "START": "start"}  # what Advanced Opt-Out does, by words that its account has chosen


# The parts of a bill: where each is asked for, and how the day is said. Carriers' fees are told about a day later.
BILL = (
    ("Messages.json?PageSize=1000&DateSent={day}", "messages"),
    ("Calls.json?PageSize=1000&StartTime={day}", "calls"),
    ("Usage/Records/Daily.json?Category=sms-messages-carrierfees&StartDate={day}&EndDate={day}", "usage_records"),
    ("Usage/Records/Daily.json?Category=mms-messages-carrierfees&StartDate={day}&EndDate={day}", "usage_records"),
)


class Twilio:
    """Settings: base_url, account_sid, auth_token; consents_url, where it is told who opted out."""

    name = "twilio"
    channels = frozenset({"sms", "mms", "voice"})
    bill_parts = len(BILL)
    speaks = "text/xml"
    consents_at_once = 25

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._base = settings["base_url"].rstrip("/")
        self._account = f"{self._base}/2010-04-01/Accounts/{settings['account_sid']}"
        self._messages, self._calls = f"{self._account}/Messages.json", f"{self._account}/Calls"
        self._headers = {
            "Authorization": basic(settings["account_sid"], settings["auth_token"]),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        self._consents = f"{settings.get('consents_url', '').rstrip('/')}/v1/Consents/Bulk"
        self._validator = RequestValidator(settings["auth_token"])

    def request(self, message: Outbound) -> Request:
        if message.call:
            return self._call(message)
        form: dict[str, str | list[str]] = {"To": message.recipient, "From": message.sender, "Body": message.body}
        if message.callback_url:
            form["StatusCallback"] = message.callback_url
        if message.media:
            form["MediaUrl"] = [file.url for file in message.media]
        # yarl quotes in C, five times as fast as urllib: this is the dearest line of a send.
        return Request("POST", self._messages, self._headers, URL.build(query=form).raw_query_string.encode())

    def _call(self, message: Outbound) -> Request:
        assert message.call is not None
        form = {
            "To": message.recipient,
            "From": message.sender,
            "Url": message.call.asks,
            "TimeLimit": str(message.call.seconds),
            "Timeout": str(RING_SECONDS),
        }
        if message.call.finds_machines:
            form["MachineDetection"] = "DetectMessageEnd"
        events = [("StatusCallbackEvent", event) for event in ("initiated", "answered", "completed")]
        told = [("StatusCallback", message.callback_url), *events] if message.callback_url else []
        return Request("POST", f"{self._calls}.json", self._headers, urlencode([*form.items(), *told]).encode())

    def outcome(self, reply: Reply) -> Outcome:
        answer = reply.said
        if reply.status == 429:
            return TryLater("Twilio asks us to slow down.")
        if reply.status in (200, 201) and answer.get("sid"):
            return Accepted(str(answer["sid"]), answer)
        if reply.status in (401, 403, 404):
            # Our own credentials or address are wrong: nothing was taken, and the operator can mend it.
            return TryLater(f"Twilio answered {reply.status} to our credentials.")
        if 400 <= reply.status < 500 and answer.get("code"):
            code = str(answer["code"])
            return Refused(code, str(answer.get("message", "")), answer, opted_out=code == OPTED_OUT)
        # A 5xx can come after the message was taken, and so can an answer that we cannot read.
        return Unknown(f"Twilio answered {reply.status} without a message.")

    def lookup(self, message: Outbound) -> Request:
        """Ask what Twilio has for this recipient: its API takes no id of ours, so body and time have to do; a call has no body."""
        if message.call and message.ref:
            return Request("GET", f"{self._calls}/{message.ref}.json", self._headers)
        if message.call:
            return Request("GET", f"{self._calls}.json?{urlencode({'To': message.recipient, 'PageSize': 100})}", self._headers)
        return Request("GET", f"{self._messages}?{urlencode({'To': message.recipient, 'PageSize': 100})}", self._headers)

    def found(self, message: Outbound, reply: Reply, taken: frozenset[str]) -> Receipt | None:
        """The first of Twilio's messages that is this one, leaving out those that we know as another's."""
        if message.call:
            said = reply.said
            found = [said] if message.ref else _rows(said.get("calls"))
            mine = (row for row in found if row.get("to") == message.recipient and row.get("from") == message.sender)
            row = next((row for row in mine if str(row.get("sid")) not in taken), None)
            return (
                self._call_receipt(str(row.get("status")), str(row.get("sid")), str(row.get("duration") or ""), row)
                if row
                else None
            )
        for row in _rows(reply.said.get("messages")):
            same = row.get("to") == message.recipient and row.get("from") == message.sender and row.get("body") == message.body
            if same and str(row.get("sid")) not in taken:
                return self._receipt(str(row.get("status")), str(row.get("sid")), str(row.get("error_code") or ""), row)
        return None

    def verify(self, callback: Callback) -> None:
        signature = next((v for k, v in callback.headers.items() if k.lower() == "x-twilio-signature"), "")
        if not self._validator.validate(callback.url, dict(callback.form), signature):
            raise Forged

    def facts(self, callback: Callback) -> Sequence[Receipt | Received]:
        form = callback.form
        if "CallStatus" in form:
            receipt = self._call_receipt(form["CallStatus"], form.get("CallSid", ""), form.get("CallDuration", ""), form)
            return [receipt] if receipt else []
        if "MessageStatus" in form:
            receipt = self._receipt(form["MessageStatus"], form.get("MessageSid", ""), form.get("ErrorCode", ""), form)
            return [receipt] if receipt else []
        if "Body" in form and "From" in form and "To" in form:
            # OptOutType stands where Advanced Opt-Out is on, which confirms by itself: one confirmation is all there may be.
            answered = bool(form.get("OptOutType"))
            count = min(int(form["NumMedia"]), FILES_AT_MOST) if form.get("NumMedia", "").isdigit() else 0
            files = [form[f"MediaUrl{n}"] for n in range(count) if f"MediaUrl{n}" in form]
            heard = _LISTS.get(form.get("OptOutType", "").upper(), "")
            return [Received(form["From"], form["To"], form["Body"], form.get("MessageSid", ""), answered, files, heard=heard)]
        return []

    def file(self, url: str) -> Request:
        """Ask for a file that came in. Our password goes to no other address than the provider's. Raises Forged."""
        if not url.startswith(f"{self._base}/"):
            raise Forged
        return Request("GET", url, {"Authorization": self._headers["Authorization"]})

    def heard(self, callback: Callback) -> Heard:
        form = callback.form
        connected = form["DialCallStatus"] in ("completed", "answered") if "DialCallStatus" in form else None
        machine = form.get("AnsweredBy", "") in MACHINES
        return Heard(form.get("CallSid", ""), machine, form.get("Digits", "") if connected is None else "", connected)

    def speak(self, speech: Speech) -> bytes:
        return str(_twiml(speech)).encode()

    def let_go_on(self, ref: str, seconds: int) -> Request:
        return Request("POST", f"{self._calls}/{ref}.json", self._headers, urlencode({"TimeLimit": seconds}).encode())

    def interrupt(self, ref: str, speech: Speech) -> Request:
        return Request("POST", f"{self._calls}/{ref}.json", self._headers, urlencode({"Twiml": str(_twiml(speech))}).encode())

    def tell_consents(self, sender: str, consents: Sequence[Consent]) -> Request:
        """The Consent Management API; each item is a JSON text of its own."""
        items = [
            {
                "contact_id": consent.address,
                "correlation_id": f"{consent.ref:032x}",
                "sender_id": sender,
                "status": "opt-out" if consent.is_out else "opt-in",
                "source": "others",
                "date_of_consent": consent.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            for consent in consents
        ]
        form = urlencode([("Items", json.dumps(item, separators=(",", ":"))) for item in items])
        return Request("POST", self._consents, self._headers, form.encode())

    def consents_told(self, reply: Reply) -> dict[int, str] | None:
        items = reply.said.get("items")
        if reply.status not in (200, 201) or not isinstance(items, list):
            return None
        found = {}
        for item in _rows(items):
            ref = str(item.get("correlation_id"))
            if re.fullmatch("[0-9a-f]{32}", ref):
                found[int(ref, 16)] = "" if item.get("error_code") == 0 else f"error {item.get('error_code')}"
        return found

    def bill(self, part: int, day: date, page: str) -> Request:
        url = f"{self._base}{page}" if page else f"{self._account}/{BILL[part][0].format(day=day)}"
        return Request("GET", url, self._headers)

    def billed(self, part: int, day: date, reply: Reply) -> BillPage | None:
        said, name = reply.said, BILL[part][1]
        if reply.status != 200 or not isinstance(said.get(name), list):
            return None
        read = _fee if name == "usage_records" else _billed
        records = [record for row in _rows(said[name]) if (record := read(row, day))]
        return BillPage(records, str(said.get("next_page_uri") or ""))

    def _call_receipt(self, status: str, ref: str, duration: str, raw: Mapping[str, object]) -> Receipt | None:
        """Paid for are the minutes that Twilio counted, of a call that ended (F52, F53)."""
        state = STATES.get(status)
        if state is None:
            return None
        units = None
        if state is not State.SENT:
            units = 0 if status in UNANSWERED else minutes(int(duration)) if duration.isdigit() else None
        kept = {
            name: raw[name]
            for name in ("CallStatus", "status", "CallDuration", "duration", "AnsweredBy", "SipResponseCode")
            if raw.get(name)
        }
        return Receipt(state, ref, status, "", kept, billable=False, units=units)

    def _receipt(self, status: str, ref: str, error_code: str, raw: Mapping[str, object]) -> Receipt | None:
        state = STATES.get(status)
        kept = {
            key: raw[key]
            for key in ("MessageStatus", "status", "ErrorCode", "error_code", "error_message", "num_segments")
            if raw.get(key)
        }
        error_code = "" if error_code in ("0", "None") else error_code
        if state is None:
            return None
        return Receipt(state, ref, status, error_code, kept, status in BILLABLE, opted_out=error_code == OPTED_OUT)


def _rows(found: object) -> list[dict[str, object]]:
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _billed(row: Mapping[str, object], day: date) -> Billed | None:
    units = str(row.get("num_segments") or minutes(int(str(row.get("duration") or "0"))))
    kind = "received" if str(row.get("direction", "")).startswith("inbound") else "message"
    price = amount_micros(row.get("price"))
    if price is None and str(row.get("status")) in UNBILLED:
        price = 0
    return Billed(kind, str(row.get("sid")), int(units), price, str(row.get("price_unit") or "USD").upper())


def _fee(row: Mapping[str, object], day: date) -> Billed | None:
    """All fees of a day in one line, which grows."""
    price = amount_micros(row.get("price"))
    if not price:
        return None
    count = str(row.get("count") or "0")
    ref = f"{row.get('category')} {day}"
    return Billed("fee", ref, int(count) if count.isdigit() else 0, price, str(row.get("price_unit") or "USD").upper())


def _twiml(speech: Speech) -> VoiceResponse:
    """Everything is said, and a key listened for, in one verb: who presses one early need not hear the rest."""
    answer = VoiceResponse()
    heard: VoiceResponse | Gather = answer
    if speech.keys_to:
        heard = answer.gather(num_digits=1, action=speech.keys_to, method="POST", timeout=KEY_SECONDS)
    for where, said in ((heard, speech.says), (answer, speech.otherwise)):
        for words in said:
            where.append(Say(words, voice=speech.voice, language=speech.language))
    if speech.connect:
        dial = Dial(
            action=speech.connect_ended, method="POST", timeout=RING_SECONDS, time_limit=speech.seconds, caller_id=speech.sender
        )
        events = "initiated ringing answered completed"
        dial.number(speech.connect, status_callback=speech.connect_receipts, status_callback_event=events)
        answer.append(dial)
    else:
        answer.hangup()
    return answer
