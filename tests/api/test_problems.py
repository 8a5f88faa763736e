"""Whatever comes in, the answer is a problem document that helps, and never a 500 (promises.md, bad input)."""

from typing import Any

import pytest
from litestar.testing import TestClient

from postmeter.api import batches, messages
from tests.api.conftest import Caller, caller
from tests.cast import Cast, number

JSON = {"Content-Type": "application/json"}
TEXT = "See you tomorrow at ten."


@pytest.fixture(scope="module")
def api(client: "TestClient[Any]") -> Caller:
    """One clinic for all: nothing here may move its money, save where a test looks at that."""
    return caller(client, Cast().clinic())


def is_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["title"]
    assert problem["detail"]
    assert problem["remedy"]
    assert problem["type"].endswith(f"/v1/docs#{code}")
    assert problem["instance"].startswith("/v1")
    return problem


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"to": "+15550000001", "text": "\\ud800"}',
        b'{"to": "+15550000001", "text": "\xed\xa0\x80"}',
        b'{"to": "+15550000001", "text": "a\xff"}',
        b'{"to": "+15550000001", "text": "a",}',
        b"{'to': 1}",
        b'{"to": NaN, "text": Infinity}',
    ],
)
def test_what_is_not_json_is_malformed(api: Caller, body: bytes) -> None:
    is_problem(api("POST", "/v1/messages", headers=JSON, content=body), 400, "malformed")


@pytest.mark.parametrize("body", [b"null", b"[]", b"1", b'"text"', b"[" * 50_000, b'{"to":' + b"[" * 50_000, b'{"to":' * 9_000])
def test_other_json_is_bad_input(api: Caller, body: bytes) -> None:
    answer = api("POST", "/v1/messages", headers=JSON, content=body)
    assert answer.json()["code"] in ("malformed", "bad_input")
    is_problem(answer, answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "to"),
        ({"to": number(1)}, "text"),
        ({"to": number(1), "text": TEXT, "form": "x"}, "form"),
        ({"to": 15550000001, "text": TEXT}, "to"),
        ({"to": 10**400, "text": TEXT}, "to"),
        ({"to": None, "text": TEXT}, "to"),
        ({"to": "0555 0100", "text": TEXT}, "to"),
        ({"to": "+15550000001\x00", "text": TEXT}, "to"),
        ({"to": "+15550000001\n", "text": TEXT}, "to"),
        ({"to": "+1" + "5" * 30, "text": TEXT}, "to"),
        ({"to": "+９15550000001", "text": TEXT}, "to"),
        ({"to": "+999555000000", "text": TEXT}, "to"),
        ({"to": number(1), "text": ""}, "text"),
        ({"to": number(1), "text": " \u200b\n"}, "text"),
        ({"to": number(1), "text": "a\x00b"}, "text"),
        ({"to": number(1), "text": "a" * 1601}, "text"),
        ({"to": number(1), "text": "\U0001f600" * 400}, "text"),
        ({"to": number(1), "text": ["a"]}, "text"),
        ({"to": number(1), "text": TEXT, "useful_until": "yesterday"}, "useful_until"),
        ({"to": number(1), "text": TEXT, "useful_until": "2020-01-01T00:00:00Z"}, "useful_until"),
        ({"to": number(1), "text": TEXT, "useful_until": "2027-01-01T00:00:00"}, "useful_until"),
        ({"to": number(1), "text": TEXT, "useful_until": "0001-01-01T00:00:00+23:59"}, "useful_until"),
        ({"to": number(1), "text": TEXT, "useful_until": 1}, "useful_until"),
    ],
)
def test_a_wrong_field_is_named(api: Caller, body: dict[str, Any], field: str) -> None:
    held = api.clinic.held
    assert is_problem(api.post("/v1/messages", body), 422, "bad_input")["field"] == field
    assert api.clinic.held == held


@pytest.mark.parametrize(
    "body",
    [
        b'{"to": "+15550000001", "to": "+15550000002", "text": "a"}',
        b'{"to": "+15550000001", "text": "a", "t\\u006f": "+15550000002"}',
        b'{"to": "+15550000001", "text": "a", "text": "b"}',
    ],
)
def test_a_name_that_stands_twice_is_refused(api: Caller, body: bytes) -> None:
    problem = is_problem(api("POST", "/v1/messages", headers=JSON, content=body), 422, "bad_input")
    assert "twice" in problem["detail"]


def test_a_name_that_stands_twice_in_a_row_of_a_list_is_refused(api: Caller) -> None:
    held = api.clinic.held
    body = b'{"messages": [{"to": "+15550000001", "text": "a"}, {"to": "+15550000002", "text": "b", "to": "+15550000003"}]}'
    is_problem(api("POST", "/v1/batches", headers=JSON, content=body), 422, "bad_input")
    assert api.clinic.held == held


def test_a_quote_of_what_cannot_be_kept_says_so_row_by_row(api: Caller) -> None:
    rows = [{"to": to, "text": TEXT} for to in ("\x00", "call\x00me", "\u202e+1555", "0555;ext=1", "\U0001f916", " ", "1" * 200)]
    made = api.post("/v1/quotes", {"messages": [*rows, {"to": number(1), "text": "\x00"}]})
    assert (made.status_code, made.json()["recipients"], made.json()["excluded"]) == (201, 0, len(rows) + 1)


def test_a_text_that_looks_like_a_name_is_a_text(api: Caller) -> None:
    for text in ("to", "text", '"to": "to"', "\u0000bserve".replace("\u0000", "o"), "back\\u0074o"):
        assert api.post("/v1/messages", {"to": number(1), "text": text}).status_code == 202, text


def test_names_of_members_are_repeated_only_as_far_as_they_print(api: Caller) -> None:
    problem = is_problem(api.post("/v1/messages", {"\u202e<script>": 1, "to": number(1), "text": TEXT}), 422, "bad_input")
    assert "\u202e" not in problem["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", None])
def test_other_types_of_body_are_refused(api: Caller, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    is_problem(api("POST", "/v1/messages", headers=headers, content=b'{"to": "+15550000001", "text": "a"}'), 415, "wrong_type")


def test_a_charset_is_no_other_type(api: Caller) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert api("POST", "/v1/messages", headers=headers, content=b'{"to": "+15550000001", "text": "a"}').status_code == 202


def test_compressed_bodies_are_refused(api: Caller) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    is_problem(api("POST", "/v1/messages", headers=headers, content=b"\x1f\x8b"), 415, "wrong_type")


def test_bodies_have_a_largest_size(api: Caller) -> None:
    is_problem(api("POST", "/v1/messages", headers=JSON, content=b" " * (messages.LARGEST + 1)), 413, "too_large")
    lied = {**JSON, "Content-Length": str(batches.LARGEST + 1)}
    is_problem(api("POST", "/v1/batches", headers=lied, content=b"{}"), 413, "too_large")


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/nothing", "/v1/messages/x/y/z", "/v1/%00", "/v1/%ff", "/v1/..%2f", "/v1/\u202e", "/v1/message"]
)
def test_addresses_that_are_not_there(api: Caller, path: str) -> None:
    is_problem(api.get(path), 404, "no_such_address")


@pytest.mark.parametrize(
    "id_", ["x", "SM", "SM" + "0" * 32, "sm" + "a" * 32, "SM" + "A" * 32, "%00", "%ff%fe", "SM" + "a" * 5_000, "\u0663", "-1"]
)
def test_ids_that_cannot_be_are_not_there(api: Caller, id_: str) -> None:
    is_problem(api.get(f"/v1/messages/{id_}"), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/v1/messages"), ("PUT", "/v1/messages/x"), ("TRACE", "/v1/wallets"), ("HEAD", "/v1/wallets")]
)
def test_methods_that_are_not_taken_say_which_are(api: Caller, method: str, path: str) -> None:
    answer = api(method, path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("limit=" + "9" * 5_000, "limit"),
        ("limit=1_0", "limit"),
        ("limit=", "limit"),
        ("state=gone", "state"),
        ("to=nobody", "to"),
        ("to=%00", "to"),
        ("cursor=x", "cursor"),
        ("cursor=" + "a" * 34, "cursor"),
        ("stat=queued", "stat"),
        ("state=null", "state"),
        ("batch=null", "batch"),
        ("batch=SM" + "a" * 32, "batch"),
        ("limit=1&limit=2", "query"),
        ("limit", "query"),
        ("%ff=1", "query"),
        ("&".join(f"a{n}=1" for n in range(60)), "query"),
    ],
)
def test_queries_that_cannot_be_are_refused(api: Caller, query: str, field: str) -> None:
    assert is_problem(api.get(f"/v1/messages?{query}"), 422, "bad_input")["field"] == field


def test_another_lists_cursor_is_refused(api: Caller) -> None:
    for _ in range(2):
        api.post("/v1/messages", {"to": number(1), "text": TEXT})
    cursor = api.get("/v1/messages?limit=1").json()["next_cursor"]
    assert api.get(f"/v1/messages?limit=1&cursor={cursor}").status_code == 200
    assert is_problem(api.get(f"/v1/invoices?cursor={cursor}"), 422, "bad_input")["field"] == "cursor"


def test_what_has_gone_out_can_no_longer_be_taken_back(api: Caller) -> None:
    from postmeter.db import calls, scope

    sent = api.post("/v1/messages", {"to": number(1), "text": TEXT}).json()["id"]
    with scope.customer(api.clinic.id):
        calls.rows("UPDATE messaging_message SET state = 'sending' WHERE customer_id = %s", [api.clinic.id])
    is_problem(api.post(f"/v1/messages/{sent}/cancellation"), 409, "too_late")


def test_a_broken_database_is_a_503_that_says_what_to_do(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def fail(**_: object) -> None:
        raise OperationalError("no connection")

    monkeypatch.setattr("postmeter.api.wallets.queries.wallets", fail)
    answer = api.get("/v1/wallets")
    is_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"]


def test_a_bug_is_a_500_that_gives_nothing_away(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr("postmeter.api.wallets.queries.wallets", fail)
    assert "secret" not in str(is_problem(api.get("/v1/wallets"), 500, "out_of_order"))


def test_one_message_that_the_database_refuses_does_not_take_its_neighbours_down(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from postmeter.api import batcher

    real = batcher.submit_together

    def refuse_poison(submissions: list[Any], *, now: Any) -> Any:
        answers = real(submissions, now=now)
        if any(one.bodies == ["poison"] for one in submissions):
            raise ValueError("the database does not like this one")
        return answers

    monkeypatch.setattr(batcher, "submit_together", refuse_poison)
    texts = [TEXT, "poison", *[TEXT] * 10]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda text: api.post("/v1/messages", {"to": number(1), "text": text}), texts))
    assert [answer.status_code for answer in answers] == [202, 500, *[202] * 10]


def test_documents_need_no_key(client: "TestClient[Any]") -> None:
    assert client.get("/v1/openapi.json").json()["openapi"] == "3.1.0"
    page = client.get("/v1/docs")
    assert "Send a message" in page.text
    assert "http" not in page.text.replace("http://127.0.0.1", "").split("<style", 1)[0].split("</head>")[0]
    assert client.get("/v1/docs.css").headers["content-type"].startswith("text/css")
