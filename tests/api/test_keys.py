"""Who may knock: keys, scopes, revocation, limits."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from litestar.testing import TestClient

from postmeter.api.app import create_app
from postmeter.api.limits import Limits
from postmeter.customers import operations as customers
from postmeter.customers import queries as customer_queries
from postmeter.customers.permissions import READ_BALANCE, READ_MESSAGES, SEND
from tests.api.conftest import Caller, caller
from tests.cast import Clinic, at, number
from tests.stage import until

BODY = {"to": number(1), "text": "See you tomorrow at ten."}


def door(client: "TestClient[Any]") -> Any:
    return client.app.state.door  # type: ignore[attr-defined]


def test_a_revoked_key_is_refused_at_once_although_it_was_remembered(client: "TestClient[Any]", api: Caller) -> None:
    until(lambda: door(client).keys.listening, "the door to listen")
    assert api.get("/v1/wallets").status_code == 200
    known = [entry[1].key_id for entry in door(client).keys._known.values()]
    assert api.key_id in known
    customers.revoke_api_key(customer_id=api.clinic.id, key_id=api.key_id, now=at(), actor=api.clinic.actor)
    until(lambda: api.get("/v1/wallets").status_code == 401, "the revocation to arrive")
    assert api.key_id not in [entry[1].key_id for entry in door(client).keys._known.values()]
    refused = api.get("/v1/wallets")
    assert (refused.json()["code"], refused.headers["www-authenticate"]) == ("bad_key", "Bearer")


def test_without_the_line_to_the_database_no_key_is_remembered(client: "TestClient[Any]", api: Caller, database: str) -> None:
    until(lambda: door(client).keys.listening, "the door to listen")
    api.get("/v1/wallets")
    with psycopg.connect(database, autocommit=True) as owner:
        name = connection.settings_dict["NAME"]
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postmeter keys' AND datname = %s",
            [name],
        )
    until(lambda: not door(client).keys.listening, "the line to drop")
    assert not door(client).keys._known
    assert api.get("/v1/wallets").status_code == 200
    customers.revoke_api_key(customer_id=api.clinic.id, key_id=api.key_id, now=at(), actor=api.clinic.actor)
    until(lambda: api.get("/v1/wallets").status_code == 401, "the database to be asked")
    until(lambda: door(client).keys.listening, "the door to listen again")


def test_an_expired_key_is_refused_although_it_is_remembered(client: "TestClient[Any]", harbour: Clinic) -> None:
    long_ago = at() - timedelta(days=1) + timedelta(seconds=2)
    key, secret = customers.create_api_key(
        customer_id=harbour.id, name="short", mode="live", scopes=[READ_BALANCE], now=long_ago, actor="x", expires_in_days=1
    )
    short = Caller(client, harbour, key.id, secret)
    until(lambda: short.get("/v1/wallets").status_code == 401, "the key to expire")
    assert "expired" in short.get("/v1/wallets").json()["detail"]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer nonsense",
        "Bearer pm_live_" + "0" * 70,
        "Bearer pm_live_é",
        "bearer\x00",
    ],
)
def test_what_is_no_key_is_a_401_with_a_remedy(client: "TestClient[Any]", header: str | None) -> None:
    refused = client.get("/v1/wallets", headers={} if header is None else {"Authorization": header.encode("latin-1")})
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["remedy"]


def test_two_keys_at_once_are_no_key(client: "TestClient[Any]", api: Caller) -> None:
    headers = [("Authorization", f"Bearer {api.secret}"), ("Authorization", f"Bearer {api.secret}")]
    assert client.get("/v1/wallets", headers=headers).status_code == 401


def test_the_use_of_a_key_is_noted(api: Caller) -> None:
    api.get("/v1/wallets")

    def noted() -> bool:
        return customer_queries.api_keys(customer_id=api.clinic.id)[0].last_used_at is not None

    until(noted, "the use to be noted")


def test_a_key_without_the_scope_may_not(client: "TestClient[Any]", harbour: Clinic) -> None:
    reader = caller(client, harbour, scopes=[READ_MESSAGES])
    refused = reader.post("/v1/messages", BODY)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert SEND in refused.json()["detail"]
    assert harbour.held == 0


def test_a_test_key_spends_from_the_sandbox_and_sees_nothing_else(client: "TestClient[Any]", harbour: Clinic) -> None:
    live, test = caller(client, harbour), caller(client, harbour, mode="test")
    sent, trial = live.post("/v1/messages", BODY).json()["id"], test.post("/v1/messages", BODY).json()["id"]
    assert [row["id"] for row in live.get("/v1/messages").json()["data"]] == [sent]
    assert [row["id"] for row in test.get("/v1/messages").json()["data"]] == [trial]
    assert test.get(f"/v1/messages/{sent}").status_code == live.get(f"/v1/messages/{trial}").status_code == 404
    assert [row["kind"] for row in test.get("/v1/wallets").json()["data"]] == ["sandbox"]
    assert [row["kind"] for row in live.get("/v1/wallets").json()["data"]] == ["pool"]
    assert test.get("/v1/invoices").json()["code"] == "live_only"
    assert harbour.held == 11_400


def test_a_key_has_so_many_requests_and_is_told_when_there_are_more(harbour: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTMETER_API_REQUESTS_PER_MINUTE", "3")
    with TestClient(create_app()) as client:
        api, other = caller(client, harbour), caller(client, harbour)
        answers = [api.get("/v1/wallets") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert answers[0].headers["ratelimit-limit"] == "3"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 21
        assert answers[3].json()["code"] == "too_many_requests"
        assert other.get("/v1/wallets").status_code == 200


def test_a_bucket_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [1000.0]
    monkeypatch.setattr("postmeter.api.limits.time.monotonic", lambda: moment[0])
    limits = Limits(per_minute=60)
    for _ in range(60):
        limits.take(1)
    moment[0] += 2.5
    assert limits.take(1)["RateLimit-Remaining"] == "1"
