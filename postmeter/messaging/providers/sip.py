"""Our own SIP trunk (`postmeter/trunk`), which is asked and which reports by HTTP as other providers do.

It knows calls and faxes by our ids: what is asked for twice is made once, and what became of it can always be asked.
"""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence

import msgspec

from postmeter.messaging.channels.voice import minutes
from postmeter.messaging.providers import (
    Accepted,
    Callback,
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
    read_json,
)
from postmeter.messaging.states import State

STATES = {
    "queued": State.SENT,
    "ringing": State.SENT,
    "answered": State.SENT,
    "completed": State.DELIVERED,
    "broken": State.UNDELIVERED,  # off before its end: a fax half sent, a call on which nothing could be said
    "lost": State.UNDELIVERED,  # the trunk died over it
    "busy": State.UNDELIVERED,
    "no-answer": State.UNDELIVERED,
    "failed": State.FAILED,
}
UNCLEAR = frozenset({"broken", "lost", "failed"})  # what asks for a reason; the others are one


class Sip:
    """Settings: url, secret."""

    name = "sip"
    channels = frozenset({"voice", "fax"})
    speaks = "application/json"

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._url = settings["url"].rstrip("/")
        self._bearer = f"Bearer {settings['secret']}"
        self._headers = {"Authorization": self._bearer, "Content-Type": "application/json"}

    def request(self, message: Outbound) -> Request:
        asked: dict[str, object] = {"ref": str(message.id), "to": message.recipient, "sender": message.sender}
        if message.call:
            asked |= {"seconds": message.call.seconds, "asks": message.call.asks, "finds_machines": message.call.finds_machines}
            return self._post("calls", asked | {"receipts": message.callback_url})
        [pages] = message.media
        asked |= {"header": message.name, "zone": message.time_zone, "tiff": base64.b64encode(pages.content).decode()}
        return self._post("faxes", asked | {"receipts": message.callback_url})

    def outcome(self, reply: Reply) -> Outcome:
        answer = reply.said
        if reply.status in (200, 201) and answer.get("ref"):
            return Accepted(str(answer["ref"]), {"status": answer.get("status", "")})
        if reply.status in (401, 403, 404, 429, 503):
            return TryLater(f"The trunk answered {reply.status}.")
        if 400 <= reply.status < 500:
            words = reply.body.decode("utf-8", "replace")[:200]
            return Refused(str(reply.status), words, {"answer": words})
        return Unknown(f"The trunk answered {reply.status}.")

    def lookup(self, message: Outbound) -> Request:
        return Request("GET", f"{self._url}/jobs/{message.id}", self._headers)

    def found(self, message: Outbound, reply: Reply, taken: frozenset[str]) -> Receipt | None:
        return _receipt(reply.said) if reply.status == 200 else None

    def verify(self, callback: Callback) -> None:
        said = next((value for name, value in callback.headers.items() if name.lower() == "authorization"), "")
        if not hmac.compare_digest(said.encode(), self._bearer.encode()):
            raise Forged

    def facts(self, callback: Callback) -> Sequence[Receipt | Received]:
        receipt = _receipt(read_json(callback.body))
        return [receipt] if receipt else []

    def file(self, url: str) -> Request:
        """Nothing of it comes in. Raises Forged."""
        raise Forged

    def heard(self, callback: Callback) -> Heard:
        try:
            return msgspec.json.decode(callback.body, type=Heard)
        except msgspec.DecodeError:
            raise Forged from None

    def speak(self, speech: Speech) -> bytes:
        return msgspec.json.encode(speech)

    def let_go_on(self, ref: str, seconds: int) -> Request:
        return self._post(f"calls/{ref}", {"seconds": seconds})

    def interrupt(self, ref: str, speech: Speech) -> Request:
        return self._post(f"calls/{ref}", {"speech": msgspec.to_builtins(speech)})

    def _post(self, path: str, asked: Mapping[str, object]) -> Request:
        return Request("POST", f"{self._url}/{path}", self._headers, json.dumps(asked).encode())


def _receipt(said: Mapping[str, object]) -> Receipt | None:
    """A call is paid for by the minutes that it lasted, a fax by the pages that the other machine has confirmed."""
    status = str(said.get("status", ""))
    state = STATES.get(status)
    if state is None:
        return None
    seconds, pages = said.get("seconds"), said.get("pages")
    used = minutes(seconds) if said.get("kind") == "call" and isinstance(seconds, int) else pages
    kept = {name: said[name] for name in ("status", "seconds", "pages", "words") if said.get(name)}
    code = str(said.get("code") or "") if status in UNCLEAR else ""
    units = used if isinstance(used, int) and state is not State.SENT else None
    return Receipt(state, str(said.get("ref", "")), status, code, kept, billable=False, units=units)
