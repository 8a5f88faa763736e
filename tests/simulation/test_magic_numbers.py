"""Each magic number does what the table says, and the log shows that it really happened."""

import http.client
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
from twilio.request_validator import RequestValidator

from postmeter.simulator.process import SimulatorProcess
from postmeter.simulator.twilio.numbers import MAGIC
from tests.simulation.conftest import CREDENTIALS, Carrier, a_number, settled
from tests.simulation.listener import Listener, eventually

REFUSED = {ending: fate.refusal for ending, fate in MAGIC.items() if fate.refusal}
UNDELIVERED = {
    ending: fate.steps[-1].error_code
    for ending, fate in MAGIC.items()
    if fate.steps[-1].status == "undelivered" and len(fate.steps) == 3
}
BROKEN_BUT_SENT = ["0409", "0410", "0444", "0501", "0600"]
BROKEN_AND_NOT_SENT = ["0408", "0500"]
TESTED = {
    *(*REFUSED, *UNDELIVERED, *BROKEN_BUT_SENT, *BROKEN_AND_NOT_SENT),
    *("3001", "0700", "0701", "0702", "0703", "0704", "0705", "0706", "0707", "0708", "0709", "0710", "0429", "0503", "0800"),
}


def test_every_magic_number_has_a_test() -> None:
    assert set(MAGIC) == TESTED


def statuses(listener: Listener, sid: str) -> list[str]:
    return [post.form["MessageStatus"] for post in list(listener.posts) if post.form.get("MessageSid") == sid]


def truth(simulator: SimulatorProcess, to: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = simulator.control("GET", f"/log/messages?to=%2B{to[1:]}")["messages"]
    return found


def sent(carrier: Carrier, listener: Listener, to: str) -> str:
    answer = carrier.send(to, StatusCallback=f"{listener.url}/status")
    assert answer.status_code == 201
    return str(answer.json()["sid"])


@pytest.mark.parametrize(("ending", "code"), REFUSED.items())
def test_some_are_refused_at_once(carrier: Carrier, simulator: SimulatorProcess, ending: str, code: int) -> None:
    to = a_number(ending)
    answer = carrier.send(to)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert truth(simulator, to) == []
    assert [entry["code"] for entry in simulator.control("GET", f"/log?kind=message.refused&subject=%2B{to[1:]}")["entries"]] == [
        code
    ]


@pytest.mark.parametrize(("ending", "code"), UNDELIVERED.items())
def test_some_are_sent_but_not_delivered(
    carrier: Carrier, simulator: SimulatorProcess, listener: Listener, ending: str, code: int
) -> None:
    sid = sent(carrier, listener, a_number(ending))
    eventually(lambda: statuses(listener, sid) == ["queued", "sent", "undelivered"])
    last = [post for post in listener.posts if post.form.get("MessageSid") == sid][-1]
    assert last.form["ErrorCode"] == str(code)
    resource = carrier.get(f"/2010-04-01/Accounts/{CREDENTIALS.twilio_account_sid}/Messages/{sid}.json")
    assert (resource["status"], resource["error_code"]) == ("undelivered", code)
    assert resource["error_message"]


def test_some_fail_at_the_carrier(carrier: Carrier, listener: Listener) -> None:
    sid = sent(carrier, listener, a_number("3001"))
    eventually(lambda: statuses(listener, sid) == ["queued", "failed"])


@pytest.mark.parametrize("ending", BROKEN_BUT_SENT)
def test_some_are_sent_though_the_answer_says_otherwise(carrier: Carrier, simulator: SimulatorProcess, ending: str) -> None:
    to = a_number(ending)
    assert _seems_to_fail(carrier, to)
    assert len(truth(simulator, to)) == 1


@pytest.mark.parametrize("ending", BROKEN_AND_NOT_SENT)
def test_some_are_not_sent_and_the_answer_does_not_tell(carrier: Carrier, simulator: SimulatorProcess, ending: str) -> None:
    to = a_number(ending)
    assert _seems_to_fail(carrier, to)
    assert truth(simulator, to) == []


def _seems_to_fail(carrier: Carrier, to: str) -> bool:
    """No answer in time, a broken one, or a 500."""
    try:
        answer = carrier.send(to, timeout=0.7)
        return answer.status_code == 500 or not answer.json()
    except (requests.RequestException, http.client.HTTPException):
        return True


def test_a_lookup_may_find_it_only_later(carrier: Carrier, simulator: SimulatorProcess) -> None:
    to = a_number("0410")
    assert _seems_to_fail(carrier, to)
    assert carrier.get(To=to)["messages"] == []
    simulator.control("POST", "/clock", {"advance": 61})
    assert len(carrier.get(To=to)["messages"]) == 1


@pytest.mark.parametrize(("ending", "status", "times"), [("0429", 429, 3), ("0503", 500, 2)])
def test_some_are_turned_away_a_few_times(
    carrier: Carrier, simulator: SimulatorProcess, ending: str, status: int, times: int
) -> None:
    to = a_number(ending)
    assert [carrier.send(to).status_code for _ in range(times + 1)] == [status] * times + [201]
    assert len(truth(simulator, to)) == 1


def test_a_slow_answer_comes_when_the_clock_says_so(carrier: Carrier, simulator: SimulatorProcess) -> None:
    simulator.control("POST", "/clock", {"rate": 100})
    try:
        assert carrier.send(a_number("0800")).status_code == 201
    finally:
        simulator.control("POST", "/clock", {"rate": 1})


def test_a_receipt_may_never_come(carrier: Carrier, simulator: SimulatorProcess, listener: Listener) -> None:
    to = a_number("0700")
    sid = sent(carrier, listener, to)
    eventually(lambda: [message["status"] for message in truth(simulator, to)] == ["delivered"])
    settled(simulator)
    assert statuses(listener, sid) == []
    assert len(simulator.control("GET", f"/log?kind=callback.lost&subject={sid}")["entries"]) == 3


def test_a_receipt_may_come_days_late(carrier: Carrier, simulator: SimulatorProcess, listener: Listener) -> None:
    sid = sent(carrier, listener, a_number("0701"))
    eventually(lambda: statuses(listener, sid) == ["queued", "sent"])
    settled(simulator)
    simulator.control("POST", "/clock", {"advance": 3 * 86400 + 1})
    eventually(lambda: statuses(listener, sid) == ["queued", "sent", "delivered"])


def test_receipts_may_come_twice(carrier: Carrier, listener: Listener) -> None:
    sid = sent(carrier, listener, a_number("0702"))
    eventually(lambda: statuses(listener, sid) == ["queued", "queued", "sent", "sent", "delivered", "delivered"])


def test_receipts_may_come_in_the_wrong_order(carrier: Carrier, simulator: SimulatorProcess, listener: Listener) -> None:
    sid = sent(carrier, listener, a_number("0703"))
    eventually(lambda: statuses(listener, sid) == ["queued", "delivered"])
    simulator.control("POST", "/clock", {"advance": 6})
    eventually(lambda: statuses(listener, sid) == ["queued", "delivered", "sent"])


@pytest.mark.parametrize(
    ("ending", "first", "then"), [("0704", "undelivered", "delivered"), ("0705", "delivered", "undelivered")]
)
def test_the_carrier_may_contradict_itself_later(
    carrier: Carrier, simulator: SimulatorProcess, listener: Listener, ending: str, first: str, then: str
) -> None:
    sid = sent(carrier, listener, a_number(ending))
    eventually(lambda: statuses(listener, sid) == ["queued", "sent", first])
    settled(simulator)
    simulator.control("POST", "/clock", {"advance": 3601})
    eventually(lambda: statuses(listener, sid) == ["queued", "sent", first, then])


def test_the_carrier_may_count_and_charge_more(carrier: Carrier, simulator: SimulatorProcess, listener: Listener) -> None:
    sids = {ending: sent(carrier, listener, a_number(ending)) for ending in ("9000", "0706", "0707", "0709")}
    settled(simulator)
    path = f"/2010-04-01/Accounts/{CREDENTIALS.twilio_account_sid}/Messages"
    found = {ending: eventually(lambda sid=sid: _delivered(carrier, f"{path}/{sid}.json")) for ending, sid in sids.items()}
    assert [found[ending]["num_segments"] for ending in sids] == ["1", "2", "1", "1"]
    assert [found[ending]["price"] for ending in sids] == ["-0.00790", "-0.01580", "-0.02370", "-0.00000"]


def test_a_message_may_be_missing_in_the_carriers_lists(
    carrier: Carrier, simulator: SimulatorProcess, listener: Listener
) -> None:
    number = a_number("0710")
    sid = sent(carrier, listener, number)
    settled(simulator)
    path = f"/2010-04-01/Accounts/{CREDENTIALS.twilio_account_sid}/Messages"
    eventually(lambda: _delivered(carrier, f"{path}/{sid}.json"))
    assert carrier.get(f"{path}.json?To=%2B{number[1:]}")["messages"] == []


def test_carriers_fees_of_a_day_are_said_when_a_day_has_passed(
    carrier: Carrier, simulator: SimulatorProcess, listener: Listener
) -> None:
    sent(carrier, listener, a_number("9000"))
    settled(simulator)
    day = datetime.fromtimestamp(simulator.control("GET", "/clock")["now"], UTC).date()
    path = f"/2010-04-01/Accounts/{CREDENTIALS.twilio_account_sid}/Usage/Records/Daily.json"
    asked = f"{path}?Category=sms-messages-carrierfees&StartDate={day}&EndDate={day}"
    assert carrier.get(asked)["usage_records"][0]["price"] == "0.00000"
    simulator.control("POST", "/clock", {"advance": 2 * 86_400})
    assert float(carrier.get(asked)["usage_records"][0]["price"]) >= 0.003


def _delivered(carrier: Carrier, path: str) -> Any:
    resource = carrier.get(path)
    return resource if resource["status"] == "delivered" else None


def test_forged_receipts_come_first_and_the_true_one_if_they_are_refused(
    carrier: Carrier, simulator: SimulatorProcess, listener: Listener
) -> None:
    validator = RequestValidator(CREDENTIALS.twilio_auth_token)
    url = f"{listener.url}/status"
    listener.answers = lambda post: 204 if validator.validate(url, post.form, post.headers["X-Twilio-Signature"]) else 403
    sid = sent(carrier, listener, a_number("0708"))
    eventually(lambda: statuses(listener, sid) == ["queued", "sent", "delivered"])
    settled(simulator)
    simulator.control("POST", "/clock", {"advance": 6})
    eventually(lambda: statuses(listener, sid) == ["queued", "sent", "delivered", "delivered"])
    entries = [
        entry
        for entry in simulator.control("GET", f"/log?kind=callback.*&subject={sid}")["entries"]
        if entry["event"] == "delivered"
    ]
    assert [(entry["kind"], entry["forged"]) for entry in entries] == [("callback.refused", True), ("callback.delivered", False)]


def test_texts_are_counted_by_their_alphabet(carrier: Carrier) -> None:
    texts = {
        "a" * 160: "1",
        "a" * 161: "2",
        "€" * 80: "1",
        "€" * 81: "2",
        "a" * 152 + "€" + "a" * 151: "2",
        "a" * 152 + "€" + "a" * 152: "3",
    }
    texts |= {"ж" * 70: "1", "ж" * 71: "2", "🙂" * 35: "1", "🙂" * 36: "2", "🙂" * 66: "2", "🙂" * 67: "3"}
    assert {text: carrier.send(a_number(), text).json()["num_segments"] for text in texts} == texts


def test_the_carrier_blocks_who_answered_stop_if_it_is_told_to(
    carrier: Carrier, simulator: SimulatorProcess, listener: Listener
) -> None:
    to = a_number()
    simulator.control("PATCH", "/settings", {"carrier_opt_out": True})
    try:
        for word, code in (("Stop ", 21610), ("hello?", 21610), ("START", None)):
            simulator.control("POST", "/inbound", {"phone": to, "to": "+15005550006", "body": word})
            assert carrier.send(to).json().get("code") == code
    finally:
        simulator.control("PATCH", "/settings", {"carrier_opt_out": False})


def test_an_answer_is_posted_signed_as_twilio_posts_it(simulator: SimulatorProcess, listener: Listener) -> None:
    phone = a_number()
    simulator.control("POST", "/inbound", {"phone": phone, "to": "+15005550006", "body": "Yes, 3 pm ☕"})
    post = eventually(lambda: [post for post in listener.at("/inbound") if post.form["From"] == phone])[0]
    validator = RequestValidator(CREDENTIALS.twilio_auth_token)
    assert validator.validate(f"{listener.url}/inbound", post.form, post.headers["X-Twilio-Signature"])
    expected = {
        "Body": "Yes, 3 pm ☕",
        "To": "+15005550006",
        "NumMedia": "0",
        "NumSegments": "1",
        "AccountSid": CREDENTIALS.twilio_account_sid,
    }
    assert {name: post.form[name] for name in expected} == expected
    assert post.form["MessageSid"] == post.form["SmsMessageSid"] == post.form["SmsSid"]


def test_dates_follow_the_simulators_clock(carrier: Carrier, simulator: SimulatorProcess) -> None:
    now = simulator.control("GET", "/clock")["now"]
    created = parsedate_to_datetime(carrier.send(a_number()).json()["date_created"]).timestamp()
    assert now - 1 <= created <= now + 60
