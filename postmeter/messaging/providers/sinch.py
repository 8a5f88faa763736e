"""Sinch's Fax API, version 3: it draws the line at the head of each page, calls again when nobody answers, and says which pages arrived."""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import date
from urllib.parse import quote, urlencode, urlsplit

from postmeter.messaging.providers import (
    Accepted,
    Billed,
    BillPage,
    Callback,
    Forged,
    Media,
    Outbound,
    Outcome,
    Receipt,
    Received,
    Refused,
    Reply,
    Request,
    TryLater,
    Unknown,
    amount_micros,
    basic,
    read_json,
)
from postmeter.messaging.states import State

STATES = {
    "QUEUED": State.SENT,
    "IN_PROGRESS": State.SENT,
    "COMPLETED": State.DELIVERED,
    "FAILURE": State.UNDELIVERED,
}
NEVER_CALLED = "DOCUMENT_CONVERSION_ERROR"
HEADER_AT_MOST = 50  # characters
USER = "postmeter"  # of the callbacks; the password is ours to choose
LABEL = "message"
ANONYMOUS = "anonymous"


class Sinch:
    """Settings: base_url, project_id, key_id, key_secret, callback_password, retries."""

    name = "sinch"
    channels = frozenset({"fax"})
    bill_parts = 1

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._faxes = f"{settings['base_url'].rstrip('/')}/v3/projects/{settings['project_id']}/faxes"
        self._headers = {
            "Authorization": basic(settings["key_id"], settings["key_secret"]),
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        self._password, self._retries = settings["callback_password"], int(settings["retries"])

    def request(self, message: Outbound) -> Request:
        asked: dict[str, object] = {
            "to": message.recipient,
            "from": message.sender,
            "files": [{"file": base64.b64encode(file.content).decode(), "fileType": "PDF"} for file in message.media],
            # The number stands beside the name in any case: 47 CFR 68.318(d).
            "headerText": f"{message.name[: HEADER_AT_MOST - len(message.sender) - 1].strip()} {message.sender}".strip(),
            "headerPageNumbers": True,
            "headerTimeZone": message.time_zone,
            "maxRetries": self._retries,
            "labels": {LABEL: str(message.id)},
        }
        if message.callback_url:
            asked |= {"callbackUrl": self._with_password(message.callback_url), "callbackUrlContentType": "application/json"}
        return Request("POST", self._faxes, self._headers, json.dumps(asked).encode())

    def outcome(self, reply: Reply) -> Outcome:
        answer = reply.said
        if reply.status in (200, 201) and answer.get("id"):
            return Accepted(str(answer["id"]), answer)
        if reply.status in (401, 402, 403, 404, 429):
            # Our credentials, our own account at Sinch or its pace: nothing was taken, and it is nobody's message's fault.
            return TryLater(f"Sinch answered {reply.status}.")
        if reply.status in (400, 422):
            return Refused(str(reply.status), str(answer.get("message", "")), answer)
        return Unknown(f"Sinch answered {reply.status} without a fax.")

    def lookup(self, message: Outbound) -> Request:
        asked = {"to": message.recipient, "direction": "OUTBOUND", "pageSize": 100}
        return Request("GET", f"{self._faxes}?{urlencode(asked)}", self._headers)

    def found(self, message: Outbound, reply: Reply, taken: frozenset[str]) -> Receipt | None:
        """The fax that bears our label; none other can be it."""
        faxes = reply.said.get("faxes")
        for fax in faxes if isinstance(faxes, list) else []:
            labels = fax.get("labels") if isinstance(fax, dict) else None
            if isinstance(labels, dict) and labels.get(LABEL) == str(message.id):
                return _receipt(fax)
        return None

    def verify(self, callback: Callback) -> None:
        """Sinch signs nothing; it says the password that stood in the address. Raises Forged."""
        said = next((value for name, value in callback.headers.items() if name.lower() == "authorization"), "")
        if not hmac.compare_digest(said.encode(), basic(USER, self._password).encode()):
            raise Forged

    def facts(self, callback: Callback) -> Sequence[Receipt | Received]:
        """What ended, or came in: Sinch posts JSON, or a form with the same in it, as its service is set."""
        said = callback.form if "fax" in callback.form else read_json(callback.body)
        fax = said.get("fax")
        fax = read_json(fax.encode()) if isinstance(fax, str) else fax
        if not isinstance(fax, dict):
            return []
        if said.get("event") == "INCOMING_FAX" and fax.get("id"):
            return [self._received(fax, callback.files.get("file") or _decoded(said.get("file")))]
        receipt = _receipt(fax) if said.get("event") == "FAX_COMPLETED" else None
        return [receipt] if receipt else []

    def _received(self, fax: Mapping[str, object], content: bytes) -> Received:
        """Without its pages, they are fetched."""
        pages = fax.get("numberOfPages")
        count = pages if isinstance(pages, int) and pages > 0 else 1
        words = f"Fax, {count} page{'s' if count > 1 else ''}"
        ref = str(fax["id"])
        where = () if content else (f"{self._faxes}/{ref}/file.pdf",)
        files = (Media("fax.pdf", "application/pdf", content),) if content else ()
        sender, recipient = _number(fax.get("from")), _number(fax.get("to"))
        return Received(sender, recipient, words, ref, media=where, channel="fax", pages=count, files=files)

    def file(self, url: str) -> Request:
        """Ask for a file that came in. Raises Forged for an address that is not Sinch's."""
        if not url.startswith(f"{self._faxes}/"):
            raise Forged
        return Request("GET", url, {"Authorization": self._headers["Authorization"]})

    def bill(self, part: int, day: date, page: str) -> Request:
        asked = {"createTime": str(day), "pageSize": 1000} | ({"page": page} if page else {})
        return Request("GET", f"{self._faxes}?{urlencode(asked)}", self._headers)

    def billed(self, part: int, day: date, reply: Reply) -> BillPage | None:
        said = reply.said
        faxes, number, last = said.get("faxes"), said.get("pageNumber"), said.get("totalPages")
        if reply.status != 200 or not isinstance(faxes, list):
            return None
        more = isinstance(number, int) and isinstance(last, int) and number < last
        return BillPage([_billed(fax) for fax in faxes if isinstance(fax, dict)], str(number + 1) if more else "")  # type: ignore[operator]

    def _with_password(self, url: str) -> str:
        parts = urlsplit(url)
        return parts._replace(netloc=f"{USER}:{quote(self._password, safe='')}@{parts.netloc}").geturl()


def _receipt(fax: Mapping[str, object]) -> Receipt | None:
    """Pages are paid for that the other machine has confirmed, whatever became of the rest (F54); a failure that does not say how
    many is one of none."""
    status = str(fax.get("status", ""))
    state = STATES.get(status)
    if state is None:
        return None
    if fax.get("errorType") == NEVER_CALLED:
        state = State.FAILED
    arrived = fax.get("pagesSentSuccessfully", fax.get("numberOfPages") if state is State.DELIVERED else 0)
    units = int(arrived) if isinstance(arrived, int) and state is not State.SENT else None
    code = str(fax.get("errorCode") or "")
    kept = {
        name: fax[name]
        for name in ("status", "errorType", "errorMessage", "numberOfPages", "pagesSentSuccessfully")
        if fax.get(name)
    }
    return Receipt(state, str(fax.get("id", "")), status.lower(), code, kept, billable=False, units=units)


def _billed(fax: Mapping[str, object]) -> Billed:
    price = fax.get("price")
    said = price if isinstance(price, dict) else {}
    sent = fax.get("pagesSentSuccessfully", fax.get("numberOfPages"))
    kind = "received" if fax.get("direction") == "INBOUND" else "message"
    micros = amount_micros(said.get("amount"))
    return Billed(kind, str(fax.get("id")), sent if isinstance(sent, int) else 0, micros, str(said.get("currencyCode") or "USD"))


def _number(said: object) -> str:
    """As we spell numbers; who hides theirs is nobody."""
    digits = str(said or "").strip().removeprefix("+")
    return f"+{digits}" if digits.isdigit() and len(digits) > 6 else ANONYMOUS


def _decoded(said: object) -> bytes:
    try:
        return base64.b64decode("".join(str(said or "").split()), validate=True)
    except ValueError:
        return b""
