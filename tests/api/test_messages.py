"""Sending single messages over REST, and following them."""

from tests.api.conftest import Caller
from tests.cast import FEE, PRICE, number


def test_a_message_is_priced_held_and_can_be_followed(api: Caller) -> None:
    sent = api.post("/v1/messages", {"to": number(1), "text": "See you tomorrow at ten."})
    assert sent.status_code == 202, sent.text
    assert sent.json()["state"] == "queued"
    assert (sent.json()["price"], sent.json()["fee"], sent.json()["total"], sent.json()["unit"]) == (
        "0.0079",
        "0.0035",
        "0.0114",
        "USD",
    )
    assert api.clinic.held == PRICE + FEE
    found = api.get(f"/v1/messages/{sent.json()['id']}").json()
    assert (found["text"], found["held"], found["charged"]) == ("See you tomorrow at ten.", "0.0114", "0")
    trail = api.get(f"/v1/messages/{sent.json()['id']}/trail").json()
    assert [entry["kind"] for entry in trail["entries"]] == ["hold"]
    assert any("$0.0114 is held for it" in line for line in trail["explanation"])
    [wallet] = api.get("/v1/wallets").json()["data"]
    assert (wallet["posted"], wallet["held"], wallet["available"]) == ("100", "0.0114", "99.9886")
