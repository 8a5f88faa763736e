"""Twilio's Calls API and TwiML, by bodies as its reference (2010-04-01) shows them; and what is said on calls."""

from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.kit.refusals import BadInput
from postmeter.messaging.callsettings import CallRules, script_of
from postmeter.messaging.channels import voice
from postmeter.messaging.channels.voice import LANGUAGES, MINUTE, VOICES, Key, Script, minutes
from postmeter.messaging.kinds import KINDS
from postmeter.messaging.providers import Accepted, Call, Callback, Heard, Outbound, Receipt, Reply, Speech, call_provider
from postmeter.messaging.states import State
from tests.cast import Cast

SETTINGS = {"base_url": "https://api.twilio.com", "account_sid": "AC1", "auth_token": "token"}
TWILIO = call_provider("twilio", SETTINGS)
ASKS = "https://postmeter.example/callbacks/twilio/CU1/SM1/call"
TOLD = "https://postmeter.example/callbacks/twilio/CU1/SM1"
CALL = Outbound(7, "+15550100000", "+15550100123", "See you at nine.", TOLD, call=Call(120, ASKS, finds_machines=True))
# GET /Calls/{Sid}.json, as the reference has it.
RESOURCE = (
    b'{"sid": "CA42ed11f93dc08b952027ffbc406d0868", "date_created": "Tue, 31 Aug 2010 20:36:28 +0000", "parent_call_sid": null,'
    b' "account_sid": "AC1", "to": "+15550100123", "from": "+15550100000", "status": "completed", "duration": "61",'
    b' "price": "-0.03000", "price_unit": "USD", "direction": "outbound-api", "answered_by": "human", "api_version": "2010-04-01"}'
)
QUEUED = RESOURCE.replace(b'"completed", "duration": "61"', b'"queued", "duration": null')


def callback(**form: str) -> Callback:
    return Callback(TOLD, {"CallSid": "CA42", "AccountSid": "AC1", "From": "+15550100000", "To": "+15550100123", **form}, {})


def test_a_call_is_asked_for_with_its_limit_and_where_it_asks_what_to_say() -> None:
    asked = TWILIO.request(CALL)
    assert (asked.method, asked.url) == ("POST", "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json")
    assert parse_qs((asked.data or b"").decode()) == {
        "To": ["+15550100123"],
        "From": ["+15550100000"],
        "Url": [ASKS],
        "TimeLimit": ["120"],
        "Timeout": ["30"],
        "MachineDetection": ["DetectMessageEnd"],
        "StatusCallback": [TOLD],
        "StatusCallbackEvent": ["initiated", "answered", "completed"],
    }
    assert TWILIO.outcome(Reply(201, QUEUED)) == Accepted("CA42ed11f93dc08b952027ffbc406d0868", Reply(201, QUEUED).said)


@pytest.mark.parametrize(
    ("form", "state", "units"),
    [
        ({"CallStatus": "initiated"}, State.SENT, None),
        ({"CallStatus": "ringing"}, State.SENT, None),
        ({"CallStatus": "in-progress"}, State.SENT, None),
        ({"CallStatus": "completed", "CallDuration": "0"}, State.DELIVERED, 0),
        ({"CallStatus": "completed", "CallDuration": "1"}, State.DELIVERED, 1),
        ({"CallStatus": "completed", "CallDuration": "60"}, State.DELIVERED, 1),
        ({"CallStatus": "completed", "CallDuration": "61"}, State.DELIVERED, 2),
        ({"CallStatus": "completed"}, State.DELIVERED, None),
        ({"CallStatus": "busy", "CallDuration": "0"}, State.UNDELIVERED, 0),
        ({"CallStatus": "no-answer"}, State.UNDELIVERED, 0),
        ({"CallStatus": "failed"}, State.FAILED, 0),
        ({"CallStatus": "canceled"}, State.FAILED, 0),
    ],
)
def test_what_a_call_came_to_is_read_from_its_report(form: dict[str, str], state: State, units: int | None) -> None:
    [word] = TWILIO.facts(callback(**form))
    assert isinstance(word, Receipt)
    assert (word.state, word.units, word.ref, word.billable) == (state, units, "CA42", False)


def test_a_word_that_nobody_knows_moves_nothing() -> None:
    assert TWILIO.facts(callback(CallStatus="teleported")) == []


def test_a_call_is_looked_up_by_its_id_or_among_those_to_its_number() -> None:
    known = Outbound(7, "+15550100000", "+15550100123", "", "", ref="CA42", call=CALL.call)
    assert TWILIO.lookup(known).url.endswith("/Calls/CA42.json")
    assert TWILIO.lookup(CALL).url.endswith("/Calls.json?To=%2B15550100123&PageSize=100")
    found = TWILIO.found(known, Reply(200, RESOURCE), frozenset())
    assert found is not None and (found.state, found.units) == (State.DELIVERED, 2)
    listed = Reply(200, b'{"calls": [' + RESOURCE + b"]}")
    again = TWILIO.found(CALL, listed, frozenset())
    assert again is not None and again.ref == "CA42ed11f93dc08b952027ffbc406d0868"
    assert TWILIO.found(CALL, listed, frozenset({"CA42ed11f93dc08b952027ffbc406d0868"})) is None
    assert TWILIO.found(CALL, Reply(500, b"<html>"), frozenset()) is None


@pytest.mark.parametrize(
    ("form", "heard"),
    [
        ({"CallStatus": "in-progress"}, Heard("CA42")),
        ({"CallStatus": "in-progress", "AnsweredBy": "human"}, Heard("CA42")),
        ({"CallStatus": "in-progress", "AnsweredBy": "unknown"}, Heard("CA42")),
        ({"CallStatus": "in-progress", "AnsweredBy": "machine_end_beep"}, Heard("CA42", machine=True)),
        ({"CallStatus": "in-progress", "AnsweredBy": "fax"}, Heard("CA42", machine=True)),
        ({"CallStatus": "in-progress", "Digits": "2"}, Heard("CA42", key="2")),
        ({"CallStatus": "in-progress", "DialCallStatus": "completed", "Digits": "1"}, Heard("CA42", connected=True)),
        ({"CallStatus": "in-progress", "DialCallStatus": "no-answer"}, Heard("CA42", connected=False)),
    ],
)
def test_why_it_asks_is_read_from_its_question(form: dict[str, str], heard: Heard) -> None:
    assert TWILIO.heard(callback(**form)) == heard


def verbs(said: bytes) -> list[Any]:
    return [(verb.tag, dict(verb.attrib), [(inner.tag, inner.text) for inner in verb]) for verb in ElementTree.fromstring(said)]


def test_words_are_said_while_a_key_is_listened_for() -> None:
    said = verbs(TWILIO.speak(Speech("Polly.Amy", "en-GB", ("Hello & <welcome>",), otherwise=("Goodbye.",), keys_to=ASKS)))
    assert said == [
        ("Gather", {"action": ASKS, "method": "POST", "numDigits": "1", "timeout": "6"}, [("Say", "Hello & <welcome>")]),
        ("Say", {"language": "en-GB", "voice": "Polly.Amy"}, []),
        ("Hangup", {}, []),
    ]


def test_who_is_put_through_is_called_with_a_limit_and_receipts_of_its_own() -> None:
    to, sender = "+15550107000", "+15550100000"
    told = {"connect_receipts": TOLD, "connect_ended": ASKS}
    speech = Speech("Polly.Amy", "en-GB", ("Now.",), connect=to, sender=sender, seconds=1800, **told)
    assert verbs(TWILIO.speak(speech))[1] == (
        "Dial",
        {"action": ASKS, "callerId": "+15550100000", "method": "POST", "timeLimit": "1800", "timeout": "30"},
        [("Number", "+15550107000")],
    )


def test_a_call_is_told_how_long_it_may_last_and_why_it_ends() -> None:
    longer = TWILIO.let_go_on("CA42", 300)
    assert (longer.url.rpartition("/")[2], longer.data) == ("CA42.json", b"TimeLimit=300")
    ended = TWILIO.interrupt("CA42", Speech("Polly.Amy", "en-GB", ("It ends.",)))
    [twiml] = parse_qs((ended.data or b"").decode())["Twiml"]
    assert [verb for verb, _, _ in verbs(twiml.encode())] == ["Say", "Hangup"]


@given(st.floats(min_value=0, max_value=100_000))
def test_started_minutes_are_whole_ones(seconds: float) -> None:
    assert minutes(seconds) * MINUTE >= seconds > (minutes(seconds) - 1) * MINUTE


@pytest.mark.parametrize(("length", "units"), [(1, 1), (250, 1), (251, 2), (850, 2), (1_500, 4)])
def test_a_text_has_the_minutes_in_which_it_is_surely_said(length: int, units: int) -> None:  # S-042 A-05
    assert voice.count("a" * length) == ("VOICE", units)


@pytest.mark.parametrize("text", ["", "  \n", "a" * 1_501, "bell \x07", "half \ud83d"])
def test_what_cannot_be_said_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        voice.count(text)
    assert refused.value.field == "text" and refused.value.remedy


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_voices_and_all_words(language: str) -> None:
    assert VOICES[language]
    script = Script(language, "Harbour", "+15550107000", {key: str(n) for n, key in enumerate(Key)})
    assert {script.word(word, key="1", stop="9") for word in voice._WORDS["en"]}
    assert voice._WORDS[language[:2]].keys() == voice._WORDS["en"].keys()
    assert voice.question(language)


def test_who_calls_and_how_to_stop_it_come_first_and_the_number_last(cast: Cast) -> None:  # 47 CFR 64.1200(b)
    clinic = cast.clinic().customer
    for kind in KINDS:
        script = script_of(clinic, CallRules(responses=True, talk_number="+15550107000"), kind=kind, sender=clinic.sender)
        said = [*script.opening(), "text", *script.menu()]
        assert said[0] == f"This is an automated call from {clinic.name}."
        assert kind == "opt_in" or said[1] == "To get no more of these calls, press 9."
        assert said[-1] == "You can reach us at 1 5 5 5 0 1 0 7 0 0 0."
        assert any("press 9" in words for words in said)


def test_only_automated_calls_are_answered_by_keys() -> None:  # S-064 S-065 S-066
    every = CallRules(responses=True, confirms=True, cancels=True, talk_number="+15550107000")
    offered = {kind: set(every.keys_for(kind)) - {Key.STOP, Key.REPEAT} for kind in KINDS}
    assert {kind for kind, keys in offered.items() if Key.TALK in keys} == {"reminder", "notice", "billing", "late_payment"}
    assert {kind for kind, keys in offered.items() if Key.CONFIRM in keys} == {"reminder", "notice"}
    assert all(set(CallRules().keys_for(kind)) <= {Key.STOP, Key.REPEAT, Key.AGREE} for kind in KINDS)
