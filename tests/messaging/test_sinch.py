"""Sinch's Fax API, by bodies as its reference (version 3.0) shows them."""

import base64
import json
from typing import Any

import pytest

from postmeter.messaging.providers import (
    Accepted,
    Callback,
    Forged,
    Media,
    Outbound,
    Outcome,
    Receipt,
    Refused,
    Reply,
    TryLater,
    Unknown,
    provider,
)
from postmeter.messaging.providers.sinch import HEADER_AT_MOST
from postmeter.messaging.states import State

SETTINGS = {
    "base_url": "https://fax.api.sinch.com",
    "project_id": "P1",
    "key_id": "key",
    "key_secret": "secret",
    "callback_password": "pass/word",
    "retries": "2",
}
SINCH = provider("sinch", SETTINGS)
FAX = Outbound(
    7,
    "+15550100123",
    "+15550100999",
    "Dear Dr Weiß",
    "https://postmeter.example/callbacks/sinch/CU1/SM1",
    (Media("fax", "application/pdf", b"%PDF-1.7"),),
    1,
    "Harbour Clinic for Names That Are Longer Than Any Header Line",
    "",
    "ad_hoc",
    "America/Chicago",
)
SENT: dict[str, Any] = {
    "id": "01HDF5S9P29WC29J578J8EKC1C",
    "direction": "OUTBOUND",
    "to": "+15550100999",
    "status": "IN_PROGRESS",
    "maxRetries": 2,
    "createTime": "2026-10-23T21:06:52.231Z",
    "labels": {"message": "7"},
}


def test_a_fax_is_asked_for_with_its_pages_its_header_line_and_where_its_end_is_told() -> None:
    asked = SINCH.request(FAX)
    body = json.loads(asked.data or b"")
    assert (asked.method, asked.url) == ("POST", "https://fax.api.sinch.com/v3/projects/P1/faxes")
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(b"key:secret").decode()
    assert [base64.b64decode(file["file"]) for file in body["files"]] == [b"%PDF-1.7"]
    # 47 CFR 68.318(d): the number is never what is cut.
    assert body["headerText"].startswith("Harbour Clinic")
    assert body["headerText"].endswith("+15550100123")
    assert len(body["headerText"]) <= HEADER_AT_MOST
    assert (body["headerTimeZone"], body["headerPageNumbers"], body["maxRetries"]) == ("America/Chicago", True, 2)
    assert body["callbackUrl"] == "https://postmeter:pass%2Fword@postmeter.example/callbacks/sinch/CU1/SM1"
    assert body["callbackUrlContentType"] == "application/json"
    assert "Weiß" not in str(body["labels"])


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, SENT, Accepted),
        (200, {}, Unknown),
        (400, {"code": "400", "message": "no"}, Refused),
        (422, {"code": "422", "message": "not a number"}, Refused),
        (401, {}, TryLater),
        (402, {"code": "402", "message": "no money"}, TryLater),
        (403, {}, TryLater),
        (404, {}, TryLater),
        (429, {}, TryLater),
        (500, {}, Unknown),
        (503, {"code": "500"}, Unknown),
    ],
)
def test_each_answer_is_one_outcome(status: int, body: object, kind: type[Outcome]) -> None:  # F41 F43 F50
    assert isinstance(SINCH.outcome(Reply(status, json.dumps(body).encode())), kind)
    assert isinstance(SINCH.outcome(Reply(status, b"<html>")), kind if kind is not Accepted else Unknown)


def told(**more: object) -> Receipt | None:
    body = {"event": "FAX_COMPLETED", "eventTime": "2026-11-01T23:25:57Z", "fax": SENT | more}
    facts = SINCH.facts(Callback("", {}, {}, json.dumps(body).encode()))
    assert all(isinstance(fact, Receipt) for fact in facts)
    return facts[0] if facts else None  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("fax", "state", "units"),
    [
        ({"status": "COMPLETED", "numberOfPages": 3, "pagesSentSuccessfully": 3}, State.DELIVERED, 3),
        ({"status": "COMPLETED", "numberOfPages": 3}, State.DELIVERED, 3),
        ({"status": "COMPLETED"}, State.DELIVERED, None),
        ({"status": "FAILURE", "numberOfPages": 3, "pagesSentSuccessfully": 2, "errorCode": 8}, State.UNDELIVERED, 2),
        ({"status": "FAILURE", "numberOfPages": 3, "errorType": "CALL_ERROR", "errorCode": 17}, State.UNDELIVERED, 0),
        ({"status": "FAILURE", "errorType": "DOCUMENT_CONVERSION_ERROR", "errorCode": 133}, State.FAILED, 0),
        ({"status": "IN_PROGRESS", "numberOfPages": 3}, State.SENT, None),
        ({"status": "QUEUED"}, State.SENT, None),
    ],
)
def test_pages_that_were_confirmed_are_what_is_paid_for(
    fax: dict[str, object], state: State, units: int | None
) -> None:  # F54 A-07
    receipt = told(**fax)
    assert receipt is not None
    assert (receipt.state, receipt.units, receipt.billable, receipt.ref) == (state, units, False, SENT["id"])


def test_what_we_do_not_know_says_nothing() -> None:
    assert told(status="PAUSED") is None
    assert SINCH.facts(Callback("", {}, {}, b'{"event": "INCOMING_FAX", "fax": {}}')) == []
    assert SINCH.facts(Callback("", {}, {}, b"no json")) == []
    assert SINCH.facts(Callback("", {}, {}, b"[]")) == []


def test_only_who_knows_the_password_is_believed() -> None:
    def headers(pair: str) -> dict[str, str]:
        return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    SINCH.verify(Callback("", {}, headers("postmeter:pass/word")))
    for wrong in ({}, headers("postmeter:pass"), headers("key:secret"), {"authorization": "Basic é"}):
        with pytest.raises(Forged):
            SINCH.verify(Callback("", {}, wrong))


def test_a_fax_of_ours_is_found_by_its_label_and_nobody_elses_is() -> None:
    asked = SINCH.lookup(FAX)
    assert (asked.method, "to=%2B15550100999" in asked.url) == ("GET", True)
    others = [{**SENT, "labels": {"message": "8"}}, {**SENT, "labels": None}, "odd", {**SENT, "id": "mine"}]
    found = SINCH.found(FAX, Reply(200, json.dumps({"faxes": others}).encode()), frozenset())
    assert found is not None
    assert found.ref == "mine"
    for nothing in (b"{}", b"", b'{"faxes": [{"id": "x"}]}', b'{"faxes": {}}'):
        assert SINCH.found(FAX, Reply(200, nothing), frozenset()) is None


def test_our_key_goes_to_no_other_address() -> None:
    assert SINCH.file("https://fax.api.sinch.com/v3/projects/P1/faxes/1/file.pdf").headers["Authorization"]
    with pytest.raises(Forged):
        SINCH.file("https://elsewhere.example/v3/projects/P1/faxes/1")


# As the reference shows a callback of a fax that came in; `file` only where the service is set to bring it.
INCOMING: dict[str, Any] = {
    "event": "INCOMING_FAX",
    "eventTime": "2026-10-23T21:06:52.231Z",
    "fax": {
        "id": "01HDFHACK1YN7CCDYRA6ZRMA8Z",
        "direction": "INBOUND",
        "from": "+14155552222",
        "to": "+14155553333",
        "numberOfPages": 2,
        "status": "COMPLETED",
        "price": {"amount": "0.09", "currencyCode": "USD"},
        "createTime": "2026-10-23T21:06:52.231Z",
        "serviceId": "01GVRB50KEQFFE1SGMPFRNBG6J",
    },
    "fileType": "PDF",
}


def came(said: dict[str, Any]) -> Any:
    [word] = SINCH.facts(Callback("https://x", {}, {}, json.dumps(said).encode()))
    return word


def test_a_fax_that_came_in_is_read_with_its_pages() -> None:
    word = came(INCOMING | {"file": base64.b64encode(b"%PDF-1.7").decode()})
    assert (word.sender, word.recipient, word.ref) == ("+14155552222", "+14155553333", "01HDFHACK1YN7CCDYRA6ZRMA8Z")
    assert (word.channel, word.pages, word.body, word.media) == ("fax", 2, "Fax, 2 pages", ())
    assert [file.content for file in word.files] == [b"%PDF-1.7"]
    folded = came(INCOMING | {"file": base64.encodebytes(b"%PDF-1.7" * 20).decode()})
    assert [file.content for file in folded.files] == [b"%PDF-1.7" * 20]


def test_without_its_pages_it_is_fetched_from_sinch_alone() -> None:
    word = came(INCOMING)
    [place] = word.media
    assert place == "https://fax.api.sinch.com/v3/projects/P1/faxes/01HDFHACK1YN7CCDYRA6ZRMA8Z/file.pdf"
    assert SINCH.file(place).headers["Authorization"].startswith("Basic ")
    assert word.files == ()


def test_a_form_says_the_same_as_json() -> None:
    form = {"event": "INCOMING_FAX", "fax": json.dumps(INCOMING["fax"])}
    [word] = SINCH.facts(Callback("https://x", form, {}, b"--x", {"file": b"%PDF-1.7"}))
    assert word == came(INCOMING | {"file": base64.b64encode(b"%PDF-1.7").decode()})


@pytest.mark.parametrize(
    ("said", "sender"),
    [("14155552222", "+14155552222"), ("", "anonymous"), (None, "anonymous"), ("Anonymous", "anonymous"), ("911", "anonymous")],
)
def test_a_sender_is_a_number_or_nobody(said: str | None, sender: str) -> None:
    assert came(INCOMING | {"fax": INCOMING["fax"] | {"from": said}}).sender == sender


@pytest.mark.parametrize("wrong", [{"fax": {}}, {"fax": []}, {"fax": "x"}, {"event": "SOMETHING"}])
def test_what_is_no_fax_is_nothing(wrong: dict[str, Any]) -> None:
    assert SINCH.facts(Callback("https://x", {}, {}, json.dumps(INCOMING | wrong).encode())) == []
