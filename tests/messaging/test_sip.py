"""How the trunk is asked and what it reports, as bodies; tests/trunk has it really call."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from postmeter.messaging.providers import (
    Accepted,
    Call,
    Callback,
    Forged,
    Heard,
    Media,
    Outbound,
    Receipt,
    Refused,
    Reply,
    Speech,
    TryLater,
    Unknown,
    call_provider,
)
from postmeter.messaging.states import State
from postmeter.trunk.app import NewCall, NewFax, Told
from postmeter.trunk.journal import Job
from postmeter.trunk.teller import said_of

SIP = call_provider("sip", {"url": "http://127.0.0.1:8005/", "secret": "secret-of-the-trunk"})
TOLD = "https://postmeter.example/callbacks/sip/CU1/SM1"
CALL = Outbound(7, "+15550100000", "+15550100123", "See you at nine.", TOLD, call=Call(120, f"{TOLD}/call", finds_machines=True))
FAX = replace(
    CALL, call=None, media=[Media("pages", "image/tiff", b"II*\0")], name="Harbour Clinic", time_zone="America/New_York"
)
KNOWS_US = {"authorization": "Bearer secret-of-the-trunk"}
SPEECH = Speech("Polly.Amy", "en-GB", ["Hello.", "Press 0."], ["Bye."], keys_to=f"{TOLD}/call")


def report(**said: Any) -> Callback:
    job = {"ref": "7", "kind": "call", "receipts": "", "status": "completed", "seconds": 0, "pages": 0, "code": "", "words": ""}
    return Callback(TOLD, {}, KNOWS_US, json.dumps(said_of(Job(**job | said))).encode())


def read(asked: bytes | None, kind: type[Any]) -> Any:
    """As the trunk reads it."""
    return msgspec.json.decode(asked or b"", type=kind)


def test_a_call_and_a_fax_are_asked_for_in_words_that_the_trunk_reads() -> None:
    asked = SIP.request(CALL)
    assert (asked.method, asked.url, asked.headers["Authorization"]) == (
        "POST",
        "http://127.0.0.1:8005/calls",
        "Bearer secret-of-the-trunk",
    )
    assert read(asked.data, NewCall) == NewCall("7", "+15550100123", "+15550100000", 120, f"{TOLD}/call", TOLD, True)
    asked = SIP.request(FAX)
    assert asked.url == "http://127.0.0.1:8005/faxes"
    fax = read(asked.data, NewFax)
    assert (fax.header, fax.zone, fax.tiff, fax.receipts) == ("Harbour Clinic", "America/New_York", "SUkqAA==", TOLD)


def test_what_is_said_on_a_call_is_read_as_it_was_meant() -> None:
    assert read(SIP.speak(SPEECH), Speech) == SPEECH
    asked = SIP.interrupt("7", SPEECH)
    assert (asked.url, read(asked.data, Told)) == ("http://127.0.0.1:8005/calls/7", Told(speech=SPEECH))
    assert read(SIP.let_go_on("7", 180).data, Told) == Told(seconds=180)
    assert SIP.heard(Callback(TOLD, {}, KNOWS_US, b'{"ref":"7","machine":true,"key":"0","connected":null}')) == Heard(
        "7", True, "0"
    )
    with pytest.raises(Forged):
        SIP.heard(Callback(TOLD, {}, KNOWS_US, b"nonsense"))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (201, b'{"ref":"7","status":"queued"}', Accepted),
        (201, b"nonsense", Unknown),
        (400, b"ref is a number", Refused),
        (401, b"", TryLater),
        (429, b"", TryLater),
        (500, b"", Unknown),
        (502, b"", Unknown),
        (503, b"", TryLater),
    ],
)
def test_what_it_answers_is_one_of_four(status: int, body: bytes, kind: type) -> None:
    assert isinstance(SIP.outcome(Reply(status, body)), kind)


@pytest.mark.parametrize(
    ("said", "state", "units", "code"),
    [
        ({"status": "ringing"}, State.SENT, None, ""),
        ({"status": "answered"}, State.SENT, None, ""),
        ({"seconds": 60}, State.DELIVERED, 1, ""),
        ({"seconds": 61}, State.DELIVERED, 2, ""),
        ({"status": "busy", "code": "sip-486"}, State.UNDELIVERED, 0, ""),
        ({"status": "no-answer"}, State.UNDELIVERED, 0, ""),
        ({"status": "failed", "code": "sip-404"}, State.FAILED, 0, "sip-404"),
        ({"status": "lost", "seconds": 61}, State.UNDELIVERED, 2, ""),
        ({"status": "broken", "seconds": 3, "code": "unsaid"}, State.UNDELIVERED, 1, "unsaid"),
        ({"kind": "fax", "seconds": 90, "pages": 3}, State.DELIVERED, 3, ""),
        ({"kind": "fax", "status": "broken", "seconds": 90, "pages": 1, "code": "t30"}, State.UNDELIVERED, 1, "t30"),
    ],
)
def test_calls_are_paid_for_by_the_minute_and_faxes_by_confirmed_pages(
    said: dict[str, Any], state: State, units: int | None, code: str
) -> None:  # F52 F54
    [word] = SIP.facts(report(**said))
    assert isinstance(word, Receipt)
    assert (word.state, word.units, word.error_code, word.ref, word.billable) == (state, units, code, "7", False)


def test_reports_without_the_secret_are_nobodys() -> None:
    SIP.verify(report())
    for headers in ({}, {"authorization": "Bearer guessed"}, {"authorization": "Basic secret-of-the-trunk"}):
        with pytest.raises(Forged):
            SIP.verify(replace(report(), headers=headers))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"status":"teleported"}', b'{"status":7}'])
def test_what_nobody_understands_moves_nothing(body: bytes) -> None:
    assert SIP.facts(Callback(TOLD, {}, KNOWS_US, body)) == []


def test_what_became_of_an_order_is_asked_by_our_own_name_for_it() -> None:
    assert SIP.lookup(CALL).url == SIP.lookup(FAX).url == "http://127.0.0.1:8005/jobs/7"
    known = Reply(200, report(seconds=5).body)
    found = SIP.found(CALL, known, frozenset())
    assert found and (found.state, found.units) == (State.DELIVERED, 1)
    assert SIP.found(CALL, Reply(404, b""), frozenset()) is None
