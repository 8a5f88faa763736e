"""Alerts and the runway over REST."""

from typing import Any

from postmeter.notifications import queries
from tests.api.conftest import Caller

LEVELS = {"levels": [{"kind": "money", "level": "25.00"}, {"kind": "days", "level": "5"}, {"kind": "limit", "level": "80"}]}


def path_of(api: Caller, what: str = "alerts") -> str:
    return f"/v1/wallets/{api.get('/v1/wallets').json()['data'][0]['id']}/{what}"


def put(api: Caller, body: dict[str, object]) -> Any:
    return api("PUT", path_of(api), json=body)


def test_levels_are_set_read_and_set_again(api: Caller) -> None:  # S-126
    shown = put(api, LEVELS)
    assert shown.status_code == 200
    assert [(row["kind"], row["level"]) for row in shown.json()["data"]] == [("money", "25"), ("days", "5"), ("limit", "80")]
    assert api.get(path_of(api)).json() == shown.json() == put(api, LEVELS).json()
    assert put(api, {"levels": []}).json() == {"data": []}


def test_a_level_that_is_passed_is_told_at_once(api: Caller) -> None:
    shown = put(api, {"levels": [{"kind": "money", "level": "1000000"}]}).json()
    assert shown["data"][0]["told_at"]
    assert [row.kind for row in queries.notices(customer_id=api.clinic.id)] == ["low_balance"]


def test_what_cannot_be_a_level_is_refused_with_its_field(api: Caller) -> None:
    for kind, level in (("money", "ten"), ("money", "1e30"), ("days", "0"), ("days", "1.5"), ("days", "²"), ("limit", "101")):
        refused = put(api, {"levels": [{"kind": kind, "level": level}]})
        assert (refused.status_code, refused.json()["field"]) == (422, "level"), refused.text
    assert put(api, {"levels": [{"kind": "often", "level": "1"}]}).status_code in (400, 422)
    assert put(api, {"levels": [{"kind": "days", "level": str(n)} for n in range(1, 10)]}).status_code in (400, 422)


def test_a_runway_says_that_nothing_is_known_yet(api: Caller) -> None:
    shown = api.get(path_of(api, "runway")).json()
    assert (shown["ends_on"], shown["days"], shown["waiting"], shown["to_buy"]) == (None, [], 0, "0")
