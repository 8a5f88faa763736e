"""The carrier answers as Twilio does, calls back signed, and its log is the truth."""

import json
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from postmeter.simulator.process import SimulatorProcess
from tests.simulation.conftest import CREDENTIALS, Carrier, a_number, settled
from tests.simulation.listener import Listener, eventually


@pytest.fixture(scope="session")
def described(reference: Path) -> dict[str, Any]:
    """Twilio's OpenAPI with what it says in its own dialect said in JSON Schema's."""
    text = (reference / "twilio" / "twilio_api_v2010.json").read_text()

    def in_json_schema(node: Any) -> Any:
        if isinstance(node, list):
            return [in_json_schema(one) for one in node]
        if not isinstance(node, dict):
            return node
        node = {key: in_json_schema(value) for key, value in node.items()}
        if node.pop("nullable", False) and "type" in node:
            node["type"] = [node["type"], "null"]
        return node

    translated: dict[str, Any] = in_json_schema(json.loads(text))
    return translated


def _check(answer: Any, schema: dict[str, Any], described: dict[str, Any]) -> None:
    jsonschema.validate(answer, {**schema, "components": described["components"]})


def test_a_message_looks_as_twilios_own_description_says(carrier: Carrier, described: dict[str, Any]) -> None:
    answer = carrier.send(a_number())
    assert answer.status_code == 201
    schema = {"$ref": "#/components/schemas/api.v2010.account.message"}
    _check(answer.json(), schema, described)
    assert set(answer.json()) == set(described["components"]["schemas"]["api.v2010.account.message"]["properties"])
    _check(carrier.get(answer.json()["uri"]), schema, described)


def test_a_list_looks_as_twilios_own_description_says(carrier: Carrier, described: dict[str, Any]) -> None:
    carrier.send(a_number())
    listing = described["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["get"]["responses"]["200"]
    schema = listing["content"]["application/json"]["schema"]
    answer = carrier.get(PageSize="2")
    _check(answer, schema, described)
    assert set(answer) == set(schema["properties"])


def test_dates_are_rfc_2822_in_gmt(carrier: Carrier) -> None:
    created = carrier.send(a_number()).json()["date_created"]
    assert parsedate_to_datetime(created).utcoffset() is not None
    assert created.endswith("+0000")


def test_twilios_own_client_sends_fetches_lists_and_redacts(twilio: Client, simulator: SimulatorProcess) -> None:
    to = a_number()
    sent = twilio.messages.create(to=to, from_="+15005550006", body="Hello {Ann}")
    assert (sent.status, sent.num_segments, sent.price) == ("queued", "1", None)
    settled(simulator)
    fetched = twilio.messages(sent.sid).fetch()
    assert (fetched.status, fetched.price, fetched.price_unit, fetched.error_code) == ("delivered", "-0.00790", "USD", None)
    assert [message.sid for message in twilio.messages.list(to=to)] == [sent.sid]
    assert twilio.messages(sent.sid).update(body="").body == ""


def test_callbacks_are_signed_and_tell_each_step_in_order(carrier: Carrier, listener: Listener) -> None:
    url = f"{listener.url}/status?customer=7&x=%C3%A9"
    sid = carrier.send(a_number(), StatusCallback=url).json()["sid"]
    posts = eventually(lambda: _of(listener, sid, 3))
    assert [post.form["MessageStatus"] for post in posts] == ["queued", "sent", "delivered"]
    validator = RequestValidator(CREDENTIALS.twilio_auth_token)
    for post in posts:
        assert validator.validate(url, post.form, post.headers["X-Twilio-Signature"])
        assert not validator.validate(url, {**post.form, "MessageStatus": "read"}, post.headers["X-Twilio-Signature"])


def _of(listener: Listener, sid: str, count: int) -> list[Any] | None:
    found = [post for post in list(listener.posts) if post.form.get("MessageSid") == sid]
    return found if len(found) >= count else None


def test_a_refused_callback_comes_again_after_its_back_off(
    simulator: SimulatorProcess, carrier: Carrier, listener: Listener
) -> None:
    listener.answers = lambda post: 503
    sid = carrier.send(a_number(), StatusCallback=f"{listener.url}/refusing").json()["sid"]
    eventually(lambda: _of(listener, sid, 3))
    settled(simulator)
    assert len(_of(listener, sid, 3) or []) == 3
    listener.answers = lambda post: 204
    simulator.control("POST", "/clock", {"advance": 6})
    again = eventually(lambda: _of(listener, sid, 6))[3:]
    assert {post.form["MessageStatus"] for post in again} == {"queued", "sent", "delivered"}


def test_wrong_credentials_and_strange_accounts_are_refused_as_twilio_does(simulator: SimulatorProcess, twilio: Client) -> None:
    answer = requests.post(f"{simulator.url}{Carrier(simulator.url).path}", {"To": a_number()}, auth=("AC1", "no"), timeout=20)
    assert answer.status_code == 401
    more = "https://www.twilio.com/docs/errors/20003"
    assert answer.json() == {"code": 20003, "message": "Authenticate", "more_info": more, "status": 401}
    with pytest.raises(TwilioRestException) as refusal:
        twilio.messages("SM" + 32 * "0").fetch()
    assert (refusal.value.status, refusal.value.code) == (404, 20404)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "12"}, 21211),
        ({"To": "+0123456789"}, 21211),
        ({"From": ""}, 21603),
        ({"From": "a sender that is far too long"}, 21212),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"StatusCallback": "ftp://example.com"}, 21609),
    ],
)
def test_wrong_fields_are_refused_with_twilios_codes(carrier: Carrier, form: dict[str, str], code: int) -> None:
    to = a_number()
    answer = carrier.send(**{"to": to, **{key: value for key, value in form.items() if key != "Body"}, **_body(form)})
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def _body(form: dict[str, str]) -> dict[str, str]:
    return {"body": form["Body"]} if "Body" in form else {}


def test_lookups_by_recipient_date_and_page_find_each_message_once(simulator: SimulatorProcess, carrier: Carrier) -> None:
    to = a_number()
    sids = [carrier.send(to, f"Text {number}").json()["sid"] for number in range(5)]
    day = parsedate_to_datetime(carrier.get(To=to)["messages"][0]["date_created"]).strftime("%Y-%m-%d")
    page = carrier.get(To=to, PageSize="2", DateSent=day)
    found = page["messages"]
    while page["next_page_uri"]:
        page = carrier.get(page["next_page_uri"])
        found += page["messages"]
    assert [message["sid"] for message in found] == sids[::-1]
    assert carrier.get(To=to, **{"DateSent>": "2000-01-01", "DateSent<": "2000-12-31"})["messages"] == []
    assert len(carrier.get(To=to, **{"DateSent>": day})["messages"]) == 5
    assert carrier.get(To=to, From="+15005550999")["messages"] == []


def test_the_log_tells_what_was_really_sent_and_what_twice(simulator: SimulatorProcess, carrier: Carrier) -> None:
    to = a_number()
    for body in ("Once", "Twice", "Twice"):
        carrier.send(to, body)
    truth = simulator.control("GET", f"/log/messages?to=%2B{to[1:]}")
    assert [message["body"] for message in truth["messages"]] == ["Once", "Twice", "Twice"]
    assert truth["repeated"] == [{"to": to, "body": "Twice", "times": 2}]


def test_the_null_carrier_answers_and_keeps_nothing(simulator: SimulatorProcess) -> None:
    before = simulator.control("GET", "/log/messages?limit=100000")["messages"]
    answer = requests.post(f"{simulator.url}/null{Carrier(simulator.url).path}", {"To": a_number(), "Body": "x"}, timeout=20)
    assert (answer.status_code, answer.json()["status"]) == (201, "queued")
    assert answer.json()["sid"].startswith("SM")
    assert simulator.control("GET", "/log/messages?limit=100000")["messages"] == before
