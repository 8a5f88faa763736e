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
