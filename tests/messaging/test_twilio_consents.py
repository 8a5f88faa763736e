"""Twilio's Consent Management API, by bodies as its reference shows them."""

import json
from datetime import UTC, datetime
from typing import cast
from urllib.parse import parse_qs

import pytest

from postmeter.messaging.providers import Consent, ConsentProvider, Reply, provider

SETTINGS = {
    "base_url": "https://api.twilio.com",
    "account_sid": "AC1",
    "auth_token": "token",
    "consents_url": "https://accounts.twilio.com",
}
TWILIO = cast(ConsentProvider, provider("twilio", SETTINGS))
AT = datetime(2026, 11, 24, 10, 5, 27, tzinfo=UTC)
ANSWER = (
    b'{"items": [{"correlation_id": "00000000000000000000000000000007", "error_code": 0, "error_messages": []},'
    b' {"correlation_id": "000000000000000000000000000000ff", "error_code": 30646,'
    b' "error_messages": ["INVALID_CONTACT_ID", "INVALID_DATE_OF_CONSENT"]}]}'
)


def test_changes_are_told_as_one_form_with_a_text_of_json_for_each() -> None:
    asked = TWILIO.tell_consents("+15550100000", [Consent(7, "+15550100123", True, AT), Consent(255, "+15550100124", False, AT)])
    assert (asked.method, asked.url) == ("POST", "https://accounts.twilio.com/v1/Consents/Bulk")
    assert [json.loads(item) for item in parse_qs((asked.data or b"").decode())["Items"]] == [
        {
            "contact_id": "+15550100123",
            "correlation_id": "00000000000000000000000000000007",
            "sender_id": "+15550100000",
            "status": "opt-out",
            "source": "others",
            "date_of_consent": "2026-11-24T10:05:27Z",
        },
        {
            "contact_id": "+15550100124",
            "correlation_id": "000000000000000000000000000000ff",
            "sender_id": "+15550100000",
            "status": "opt-in",
            "source": "others",
            "date_of_consent": "2026-11-24T10:05:27Z",
        },
    ]


def test_each_is_answered_for_itself() -> None:
    assert TWILIO.consents_told(Reply(201, ANSWER)) == {7: "", 255: "error 30646"}


@pytest.mark.parametrize(
    "reply", [Reply(429, b"{}"), Reply(500, ANSWER), Reply(201, b"nonsense"), Reply(201, b"{}"), Reply(401, b"")]
)
def test_what_is_no_answer_is_none(reply: Reply) -> None:
    assert TWILIO.consents_told(reply) is None


def test_an_answer_without_names_is_of_nothing() -> None:
    assert TWILIO.consents_told(Reply(201, b'{"items": [{"error_code": 0}, 7]}')) == {}
