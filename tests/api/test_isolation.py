"""No key sees another customer's things: every operation of the document, with every wrong caller."""

from typing import Any
from uuid import uuid4

import pytest
from litestar.testing import TestClient

from postmeter.api.app import OPERATIONS
from postmeter.api.operation import Operation
from postmeter.customers.permissions import SCOPES
from postmeter.db import calls
from postmeter.db.public_ids import public_ids
from postmeter.payments import wires
from postmeter.topups import operations as topups
from tests.api.conftest import Caller, caller
from tests.cast import Cast, at, number
from tests.journeys.shop import saved_card
from tests.stage import Stage

BODY = {"to": number(1), "text": "Nobody else may read this."}
RULE = {"enabled": False, "threshold": "10", "kind": "refill", "amount": "20", "day_cap": "100", "month_cap": "500"}
BY_NAME = {operation.name: operation for operation in OPERATIONS}
ABOUT_ONE = [operation.name for operation in OPERATIONS if operation.of]
LISTS = [operation.name for operation in OPERATIONS if operation.method == "GET" and not operation.of]


@pytest.fixture(scope="module")
def full(stage: Stage, client: "TestClient[Any]") -> tuple[Caller, dict[str, str]]:
    """A customer who has one of everything, and the ids of it by prefix."""
    clinic = Cast().clinic(name="Harbour Physio")
    mine = caller(client, clinic)
    quote = mine.post("/v1/quotes", {"messages": [BODY]}).json()["id"]
    card = saved_card(stage, clinic)
    bought = topups.buy(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        method_id=card.id,
        amount_micros=20_000_000,
        key=uuid4(),
        actor=clinic.actor,
        now=at(),
    )
    wallet = mine.get("/v1/wallets").json()["data"][0]["id"]
    mine("PUT", f"/v1/wallets/{wallet}/automatic-top-up", json=RULE)
    wires.set_account(account="DE89370400440532013000", currency="USD", holder="Northlight Messaging")
    return mine, {
        "SM": mine.post("/v1/messages", BODY).json()["id"],
        "BA": mine.post("/v1/batches", {"messages": [BODY]}).json()["id"],
        "QU": quote,
        "WA": wallet,
        "TU": public_ids().encode("TU", bought.top_up.id),
        "PM": mine.get("/v1/payment-methods").json()["data"][0]["id"],
        "IN": mine.get("/v1/invoices").json()["data"][0]["id"],
        "PL": mine.get("/v1/price-lists").json()["data"][0]["id"],
    }


@pytest.fixture(scope="module")
def stranger(client: "TestClient[Any]") -> Caller:
    """A program of somebody else's."""
    return caller(client, Cast().clinic(name="Rival Podiatry"))


def press(who: Caller, operation: Operation, id_: str = "") -> Any:
    path = operation.path.replace("{id}", id_).replace("{month}", f"{at():%Y-%m}")
    path += "?to=%2B15550100123" if operation.name == "list_opt_outs" else ""
    bodies = {
        "send_message": BODY,
        "send_batch": {"messages": [BODY]},
        "create_quote": {"messages": [BODY]},
        "send_quote": {},
        "order_payment_methods": {"order": ["PM" + "0" * 32]},
        "change_payment_method": {"auto_charge": False},
        "create_top_up": {"wallet": "WA" + "0" * 32, "payment_method": "PM" + "0" * 32, "amount": "10"},
        "put_automatic_top_up": RULE,
        "put_alerts": {"levels": []},
        "retry_top_up": {},
        "create_opt_out": {"to": "+15550100123"},
        "create_opt_in": {"to": "ann@patients.example", "channel": "email", "words": "by telephone"},
        "upload_media": {"name": "map.png", "content": "iVBORw0KGgo="},
    }
    return who(operation.method, path, **({"json": bodies[operation.name]} if operation.body else {}))


@pytest.mark.parametrize("name", ABOUT_ONE)
def test_another_customers_thing_is_not_there(full: tuple[Caller, dict[str, str]], stranger: Caller, name: str) -> None:
    mine, ids = full
    operation, thing = BY_NAME[name], ids[BY_NAME[name].of]
    held = mine.clinic.held
    refused = press(stranger, operation, thing)
    invented = press(stranger, operation, public_ids().encode(operation.of, calls.next_id()))
    assert refused.status_code == 404
    assert {**refused.json(), "instance": ""} == {**invented.json(), "instance": ""}, "it tells that the thing exists"
    assert mine.clinic.held == held
    if operation.method == "GET":
        assert press(mine, operation, thing).status_code == 200


@pytest.mark.parametrize("name", ABOUT_ONE)
def test_an_id_of_another_kind_is_not_there(full: tuple[Caller, dict[str, str]], name: str) -> None:
    mine, ids = full
    for prefix, thing in ids.items():
        if prefix != BY_NAME[name].of:
            assert press(mine, BY_NAME[name], thing).status_code == 404
            assert press(mine, BY_NAME[name], BY_NAME[name].of + thing[2:]).status_code == 404


@pytest.mark.parametrize("name", LISTS)
def test_lists_hold_only_ones_own(full: tuple[Caller, dict[str, str]], stranger: Caller, name: str) -> None:
    _, ids = full
    theirs = press(stranger, BY_NAME[name])
    assert theirs.status_code == 200
    assert not [each for each in ids.values() if each in theirs.text]
    assert BODY["text"] not in theirs.text


@pytest.mark.parametrize("name", BY_NAME)
def test_no_key_and_a_key_without_the_scope_get_nothing(full: tuple[Caller, dict[str, str]], name: str) -> None:
    mine, ids = full
    operation = BY_NAME[name]
    thing = ids.get(operation.of, "")
    nobody = Caller(mine.client, mine.clinic, 0, "")
    assert press(nobody, operation, thing).status_code == 401
    weak = caller(mine.client, mine.clinic, scopes=SCOPES - {operation.scope})
    refused = press(weak, operation, thing)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
