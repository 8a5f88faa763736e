"""Twilio's Messages API, version 2010-04-01."""

import base64
import json
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator
from yarl import URL

from postmeter.messaging.providers import (
    Accepted,
    Callback,
    Forged,
    Outbound,
    Outcome,
    Receipt,
    Received,
    Refused,
    Reply,
    Request,
    TryLater,
    Unknown,
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
}
# Carriers charge for what went out, delivered or not.
BILLABLE = frozenset({"sent", "delivered", "read", "undelivered"})
OPTED_OUT = "21610"
FILES_AT_MOST = 10
_LISTS = {"STOP": "stop", "START": "start"}  # what Advanced Opt-Out does, by words that its account has chosen


class Twilio:
    """Settings: base_url, account_sid, auth_token."""

    name = "twilio"
    channels = frozenset({"sms", "mms"})

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._base = settings["base_url"].rstrip("/")
        self._messages = f"{self._base}/2010-04-01/Accounts/{settings['account_sid']}/Messages.json"
        token = base64.b64encode(f"{settings['account_sid']}:{settings['auth_token']}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {token}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        self._validator = RequestValidator(settings["auth_token"])

    def request(self, message: Outbound) -> Request:
        form: dict[str, str | list[str]] = {"To": message.recipient, "From": message.sender, "Body": message.body}
        if message.callback_url:
            form["StatusCallback"] = message.callback_url
        if message.media:
            form["MediaUrl"] = [file.url for file in message.media]
        # yarl quotes in C, five times as fast as urllib: this is the dearest line of a send.
        return Request("POST", self._messages, self._headers, URL.build(query=form).raw_query_string.encode())

    def outcome(self, reply: Reply) -> Outcome:
        answer = _json(reply.body)
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
        """Ask what Twilio has for this recipient: its API takes no id of ours, so body and time have to do."""
        return Request("GET", f"{self._messages}?{urlencode({'To': message.recipient, 'PageSize': 100})}", self._headers)

    def found(self, message: Outbound, reply: Reply, taken: frozenset[str]) -> Receipt | None:
        """The first of Twilio's messages that is this one, leaving out those that we know as another's."""
        for row in _rows(_json(reply.body).get("messages")):
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
        if "MessageStatus" in form:
            receipt = self._receipt(form["MessageStatus"], form.get("MessageSid", ""), form.get("ErrorCode", ""), form)
            return [receipt] if receipt else []
        if "Body" in form and "From" in form and "To" in form:
            # OptOutType stands where Advanced Opt-Out is on, which confirms by itself: one confirmation is all there may be.
            answered = bool(form.get("OptOutType"))
            count = min(int(form["NumMedia"]), FILES_AT_MOST) if form.get("NumMedia", "").isdigit() else 0
            files = [form[f"MediaUrl{n}"] for n in range(count) if f"MediaUrl{n}" in form]
            heard = _LISTS.get(form.get("OptOutType", "").upper(), "")
            return [Received(form["From"], form["To"], form["Body"], form.get("MessageSid", ""), answered, files, heard)]
        return []

    def file(self, url: str) -> Request:
        """Ask for a file that came in. Our password goes to no other address than the provider's. Raises Forged."""
        if not url.startswith(f"{self._base}/"):
            raise Forged
        return Request("GET", url, {"Authorization": self._headers["Authorization"]})

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


def _json(body: bytes) -> dict[str, object]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _rows(found: object) -> list[dict[str, object]]:
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
