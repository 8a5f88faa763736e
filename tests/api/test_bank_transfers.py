"""Paying by bank transfer, over REST."""

from postmeter.payments.wire.reference import found
from tests.api.conftest import Caller
from tests.topups.test_wires import imported, opened, paid


def test_where_to_transfer_and_with_which_reference(api: Caller) -> None:  # S-141 A-35
    bank = opened()
    wallet = api.get("/v1/wallets").json()["data"][0]["id"]
    told = api.get(f"/v1/wallets/{wallet}/bank-transfer")
    body = told.json()
    assert told.status_code == 200
    assert (body["wallet"], body["currency"]) == (wallet, "USD")
    assert found([body["reference_written"]]) == (body["reference"],)
    account = next(each for each in body["accounts"] if each["account"] == bank.account)
    assert (account["holder"], account["bic"], account["note"]) == ("Northlight Messaging", "COBADEFFXXX", None)
    imported(bank, bank.mt940(paid(api.clinic, "47.11")))
    bought = api.get("/v1/top-ups").json()["data"][0]
    assert (bought["amount"], bought["state"], bought["payment_state"]) == ("47.11", "succeeded", "succeeded")
    assert bought["invoice"]
