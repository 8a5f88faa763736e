"""The automatic top-up over REST."""

from typing import Any

from tests.api.conftest import Caller
from tests.journeys.shop import saved_card
from tests.stage import Stage
from tests.topups.test_automation import automatic, buy, jobs, send

RULE = {"enabled": True, "threshold": "10.00", "kind": "refill", "amount": "20.00", "day_cap": "100.00", "month_cap": "500.00"}


def put(api: Caller, path: str, body: dict[str, object]) -> Any:
    return api("PUT", path, json=body)


def path_of(api: Caller) -> str:
    return f"/v1/wallets/{api.get('/v1/wallets').json()['data'][0]['id']}/automatic-top-up"


def test_a_rule_is_set_read_and_set_again(stage: Stage, api: Caller) -> None:  # A-15 A-37
    path = path_of(api)
    assert api.get(path).status_code == 404
    shown = put(api, path, RULE)
    assert (shown.status_code, shown.json()["state"], shown.json()["payment_method"]) == (200, "waiting_first_purchase", None)
    buy(api.clinic, saved_card(stage, api.clinic), 10)
    assert api.get(path).json()["state"] == "armed"
    assert api.get(path).json() == put(api, path, RULE).json()
    off = put(api, path, {**RULE, "enabled": False}).json()
    assert (off["enabled"], off["state"]) == (False, "off")


def test_a_charge_at_once_is_refused_with_its_amount_until_it_is_agreed_to(stage: Stage, api: Caller) -> None:
    buy(api.clinic, saved_card(stage, api.clinic), 10)
    send(api.clinic, 105)
    path = path_of(api)
    refused = put(api, path, RULE)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (409, "would_charge", "accepts_charge")
    assert refused.json()["needed"] == "20"
    assert put(api, path, {**RULE, "accepts_charge": "40"}).status_code == 409
    assert put(api, path, {**RULE, "accepts_charge": "20"}).status_code == 200
    jobs()
    assert [bought.state for bought in automatic(api.clinic)] == ["succeeded"]


def test_what_cannot_be_is_refused_with_the_field(api: Caller) -> None:
    path = path_of(api)
    wrong = [
        ("threshold", "ten"),
        ("amount", "9.99"),
        ("amount", "1e3"),
        ("day_cap", "19"),
        ("month_cap", "99"),
        ("kind", "often"),
    ]
    for field, value in wrong:
        refused = put(api, path, {**RULE, field: value})
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
    assert api.get(path).status_code == 404
