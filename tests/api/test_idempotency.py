"""The same key is the same request, whoever is in a hurry (A-52)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from litestar.testing import TestClient

from tests.api.conftest import Caller, caller
from tests.cast import FEE, PRICE, Cast, Clinic, number

BODY = {"to": number(1), "text": "See you tomorrow at ten."}


def test_a_repeat_gives_the_same_answer_and_holds_nothing_more(api: Caller) -> None:
    first = api.post("/v1/messages", BODY, key="visit-1")
    again = api.post("/v1/messages", dict(reversed(BODY.items())), key="visit-1")
    assert first.status_code == again.status_code == 202
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert api.clinic.held == PRICE + FEE


def test_a_key_with_another_request_is_refused(api: Caller) -> None:
    api.post("/v1/messages", BODY, key="visit-1")
    for path, body in (
        ("/v1/messages", {**BODY, "text": "Somebody else's words."}),
        ("/v1/batches", {"messages": [BODY]}),
        ("/v1/quotes", {"messages": [BODY]}),
    ):
        refused = api.post(path, body, key="visit-1")
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (409, "key_reused", "Idempotency-Key")
    assert api.clinic.held == PRICE + FEE


def test_one_key_pressed_by_many_at_once_sends_once(api: Caller) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: api.post("/v1/messages", BODY, key="hurry"), range(36)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert api.clinic.held == PRICE + FEE


def test_one_list_pressed_by_many_at_once_is_sent_once(api: Caller) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.post("/v1/batches", {"messages": [BODY, BODY]}, key="hurry"), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert api.clinic.held == 2 * (PRICE + FEE)


def test_many_who_want_the_last_credit_at_once_get_exactly_what_there_is(client: "TestClient[Any]", cast: Cast) -> None:
    poor = caller(client, cast.clinic(credit_micros=23 * (PRICE + FEE)))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: poor.post("/v1/messages", {**BODY, "to": number(n)}, key=f"n{n}"), range(60)))
    assert sorted(answer.status_code for answer in answers) == [202] * 23 + [402] * 37
    assert poor.clinic.available == 0


def test_a_refusal_is_not_remembered(client: "TestClient[Any]", cast: Cast) -> None:
    poor = caller(client, cast.clinic(credit_micros=0))
    with ThreadPoolExecutor(4) as pool:
        refused = list(pool.map(lambda _: poor.post("/v1/messages", BODY, key="later"), range(8)))
    assert {answer.status_code for answer in refused} == {402}
    cast.give(poor.clinic.id, poor.clinic.pool, 1_000_000)
    assert poor.post("/v1/messages", BODY, key="later").status_code == 202


def test_customers_and_modes_do_not_share_keys(client: "TestClient[Any]", harbour: Clinic, rival: Clinic) -> None:
    callers = [caller(client, harbour), caller(client, rival), caller(client, harbour, mode="test")]
    answers = [each.post("/v1/messages", BODY, key="mine") for each in callers]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 3


def test_keys_that_cannot_be_keys_are_refused(api: Caller) -> None:
    for bad in ("", " ", "two words", "x" * 256, "caf\u00e9"):
        refused = api("POST", "/v1/messages", headers={"Idempotency-Key": bad.encode("latin-1")}, json=BODY)
        assert (refused.status_code, refused.json()["field"]) == (422, "Idempotency-Key"), bad
    assert api.clinic.held == 0
