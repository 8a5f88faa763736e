"""Wallets, statements, purchases, invoices and prices over REST."""

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from litestar.testing import TestClient

from postmeter.kit.money import MICROS
from postmeter.statements import operations as statements
from tests.api.conftest import Caller, caller
from tests.cast import Cast, at, number
from tests.journeys.shop import DECLINED_LATER, saved_card
from tests.stage import Stage


def test_credit_is_bought_with_a_saved_card_once(stage: Stage, api: Caller) -> None:
    saved_card(stage, api.clinic)
    [method] = api.get("/v1/payment-methods").json()["data"]
    assert (method["brand"], method["last4"], method["has_expired"]) == ("visa", "4242", False)
    [wallet] = api.get("/v1/wallets").json()["data"]
    order = {"wallet": wallet["id"], "payment_method": method["id"], "amount": "25.00"}
    assert api.post("/v1/top-ups", order).json()["field"] == "Idempotency-Key"
    bought = api.post("/v1/top-ups", order, key="march")
    assert (bought.status_code, bought.json()["state"], bought.json()["amount"]) == (201, "succeeded", "25")
    assert api.post("/v1/top-ups", order, key="march").json()["id"] == bought.json()["id"]
    assert api.clinic.posted == 125 * MICROS
    reused = api.post("/v1/top-ups", {**order, "amount": "30.00"}, key="march")
    assert (reused.status_code, reused.json()["code"]) == (409, "conflict")
    assert [row["id"] for row in api.get("/v1/top-ups").json()["data"]] == [bought.json()["id"]]
    assert api.get(f"/v1/top-ups/{bought.json()['id']}").json() == bought.json()

    [invoice] = api.get("/v1/invoices").json()["data"]
    assert invoice["id"] == bought.json()["invoice"]
    assert (invoice["total"], invoice["lines"][0]["total"]) == ("25", "25")
    assert api.get(f"/v1/invoices/{invoice['id']}").json() == invoice
    document = api.get(f"/v1/invoices/{invoice['id']}/pdf")
    assert (document.headers["content-type"], document.content[:5]) == ("application/pdf", b"%PDF-")
    assert invoice["number"] in document.headers["content-disposition"]


def test_a_failed_purchase_is_tried_again_once_and_asks_when_credit_has_come(stage: Stage, api: Caller) -> None:  # S-137 A-31
    saved_card(stage, api.clinic, DECLINED_LATER)
    saved_card(stage, api.clinic)
    bad, good = (row["id"] for row in api.get("/v1/payment-methods").json()["data"])
    [wallet] = api.get("/v1/wallets").json()["data"]
    order = {"wallet": wallet["id"], "payment_method": bad, "amount": "25.00"}
    failed = api.post("/v1/top-ups", order, key="one").json()
    assert failed["state"] == "failed"
    path = f"/v1/top-ups/{failed['id']}/retry"
    bought = api.post("/v1/top-ups", {**order, "payment_method": good}, key="two").json()
    refused = api.post(path, {"payment_method": good})
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (409, "already_full", "charge_anyway")
    anyway = {"payment_method": good, "charge_anyway": True}
    made = api.post(path, anyway)
    assert (made.status_code, made.json()["state"], made.json()["retry_of"]) == (201, "succeeded", failed["id"])
    assert api.post(path, anyway).json()["id"] == made.json()["id"]
    assert api.post(f"/v1/top-ups/{bought['id']}/retry", {}).json()["code"] == "not_failed"
    assert api.post(path, {"payment_method": "PM" + "0" * 32, "charge_anyway": True}).status_code in (404, 409, 422)
    assert api.clinic.posted == 150 * MICROS


def test_purchases_that_cannot_be_are_refused_with_the_field(stage: Stage, api: Caller) -> None:
    card = saved_card(stage, api.clinic)
    [method], [wallet] = api.get("/v1/payment-methods").json()["data"], api.get("/v1/wallets").json()["data"]
    order = {"wallet": wallet["id"], "payment_method": method["id"], "amount": "25.00"}
    keys = itertools.count()
    # S-015: ten dollars at least
    for amount in ("9.99", "0", "-10", "10.001", "1e3", "NaN", "١٠", "10,00", " 10", "10\n", "50000.01", "9" * 40):
        refused = api.post("/v1/top-ups", {**order, "amount": amount}, key=f"k{next(keys)}")
        assert (refused.status_code, refused.json()["field"]) == (422, "amount"), (amount, refused.text)
    for amount in (10, 10.0, None, True, ["10"]):
        refused = api.post("/v1/top-ups", {**order, "amount": amount}, key=f"k{next(keys)}")
        assert (refused.status_code, refused.json()["field"]) == (422, "amount"), (amount, refused.text)
    for field in ("wallet", "payment_method"):
        refused = api.post(
            "/v1/top-ups",
            {**order, field: order["wallet" if field == "payment_method" else "payment_method"]},
            key=f"k{next(keys)}",
        )
        assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert card.customer_id == api.clinic.id
    assert api.clinic.posted == 100 * MICROS
    assert api.get("/v1/top-ups").json()["data"] == []


def test_a_statement_adds_up_page_by_page(api: Caller, cast: Cast) -> None:
    for n in range(1, 6):
        cast.give(api.clinic.id, api.clinic.pool, n * MICROS)
    path = f"/v1/wallets/{api.get('/v1/wallets').json()['data'][0]['id']}/transactions"
    whole = api.get(path).json()
    assert (whole["opening"], whole["closing"], whole["unit"]) == ("0", "115", "USD")
    assert [line["amount"] for line in whole["data"]] == ["100", "1", "2", "3", "4", "5"]
    balance = Decimal(whole["opening"])
    for line in whole["data"]:
        balance += Decimal(line["amount"])
        assert Decimal(line["balance"]) == balance
    assert balance == Decimal(whole["closing"])

    span = {"since": whole["since"], "until": whole["until"], "limit": 4}
    first = api.get(path, params=span).json()
    second = api.get(path, params={**span, "cursor": first["next_cursor"]}).json()
    assert first["data"] + second["data"] == whole["data"]
    assert second["next_cursor"] is None
    later = api.get(path, params={"since": whole["data"][2]["at"]}).json()
    assert (later["opening"], len(later["data"])) == ("101", 4)


def test_times_that_cannot_be_are_refused(api: Caller) -> None:
    path = f"/v1/wallets/{api.get('/v1/wallets').json()['data'][0]['id']}/transactions"
    for bad in (
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2027-01-01T00:00:00",
        "yesterday",
        "",
        "2027-02-30T00:00:00Z",
        "1e9",
    ):
        refused = api.get(path, params={"since": bad})
        assert (refused.status_code, refused.json()["field"]) == (422, "since"), bad
    swapped = api.get(path, params={"since": "2027-01-02T00:00:00Z", "until": "2027-01-01T00:00:00Z"})
    assert (swapped.status_code, swapped.json()["field"]) == (422, "since")


def test_prices_are_what_messages_cost(api: Caller) -> None:
    [mine] = api.get("/v1/price-lists").json()["data"]
    rates = {rate["prefix"]: rate for rate in api.get(f"/v1/price-lists/{mine['id']}").json()["data"]}
    assert (rates["1"]["price"], rates["1"]["fee"], rates["44"]["price"]) == ("0.0079", "0.0035", "0.0463")
    sent = api.post("/v1/messages", {"to": number(1), "text": "Hello"}).json()
    assert (sent["price"], sent["fee"]) == (rates["1"]["price"], rates["1"]["fee"])
    inbound = api.get(f"/v1/price-lists/{mine['id']}?direction=in").json()
    assert [rate["price"] for rate in inbound["data"]] == ["0.0075"]


def test_a_month_of_a_wallet_adds_up_and_tells_its_hash_once_it_is_closed(cast: Cast, client: "TestClient[Any]") -> None:
    clinic = cast.clinic(credit_micros=30_000_000)
    api = caller(client, clinic)
    wallet = api.get("/v1/wallets").json()["data"][0]["id"]
    zone = ZoneInfo("America/New_York")
    this = f"{at().astimezone(zone):%Y-%m}"
    month = api.get(f"/v1/wallets/{wallet}/statements/{this}").json()
    assert (month["opening"], month["closing"], month["movements"], month["sha256"]) == ("0", "30", 1, None)
    assert month["groups"] == [{"code": "adjustment", "count": 1, "amount": "30"}]
    assert [(day["amount"], day["balance"]) for day in month["days"]] == [("30", "30")]
    soon = at().astimezone(zone).replace(day=1) + timedelta(days=34)
    [closed] = statements.close_due(customer_id=clinic.id, now=soon)
    assert api.get(f"/v1/wallets/{wallet}/statements/{this}").json()["sha256"] == closed.sha256
    for wrong in ("2026-13", "november", "2099-01"):
        assert api.get(f"/v1/wallets/{wallet}/statements/{wrong}").status_code == 422
