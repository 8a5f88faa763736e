"""Payment methods over REST: what is told of them, their switch and their order."""

from datetime import datetime, timedelta

import pytest

from postmeter.payments import queries
from postmeter.payments.states import PaymentState
from tests.api.conftest import Caller, caller
from tests.cast import at
from tests.payments.cards import a_card, attempt, facts

S = PaymentState
ADDRESS = "/v1/payment-methods"


def listed(api: Caller) -> list[dict[str, object]]:
    return list(api.get(ADDRESS).json()["data"])


def test_the_list_tells_order_primary_health_and_the_reason_in_plain_words(api: Caller) -> None:
    # S-110 S-113 S-115 S-131 S-133 A-27 A-28
    cards = [a_card(api.clinic), a_card(api.clinic, auto_charge=False), a_card(api.clinic), a_card(api.clinic)]
    before = at()
    attempt(api.clinic, cards[0], S.DECLINED, "insufficient_funds")
    attempt(api.clinic, cards[3], S.DECLINED, "card_lost_or_stolen")
    rows = listed(api)
    assert [(row["order"], row["auto_charge"], row["primary"], row["health"]) for row in rows] == [
        (1, True, False, "cooling"),
        (2, False, False, "well"),
        (3, True, True, "well"),
        (4, True, False, "needs_person"),
    ]
    until = datetime.fromisoformat(str(rows[0]["cooling_until"]))
    assert timedelta(hours=48) <= until - before < timedelta(hours=48, minutes=5)
    assert (rows[0]["failure_code"], rows[0]["failure"]) == (
        "insufficient_funds", "The bank says that there is not enough money on this card.",
    )  # fmt: skip
    assert rows[0]["failed_at"]
    assert [rows[2][name] for name in ("cooling_until", "failure_code", "failure", "failed_at")] == [None] * 4
    assert rows[3]["cooling_until"] is None


def test_a_switch_moves_the_star_and_names_the_key_that_did_it(api: Caller) -> None:
    # S-111 S-112 A-27
    a_card(api.clinic), a_card(api.clinic)
    first, second = listed(api)
    changed = api("PATCH", f"{ADDRESS}/{first['id']}", json={"auto_charge": False})
    assert (changed.status_code, changed.json()["auto_charge"], changed.json()["primary"]) == (200, False, False)
    assert [row["primary"] for row in listed(api)] == [False, True]
    assert facts(api.clinic, "payment_method.auto_charge_switched") == [(f"key:{api.key_id}", {"on": False})]
    assert [row["id"] for row in listed(api)] == [first["id"], second["id"]]


@pytest.mark.parametrize("body", [{}, {"auto_charge": "yes"}, {"auto_charge": None}, {"auto_charge": True, "order": 1}])
def test_a_switch_is_on_or_off(api: Caller, body: dict[str, object]) -> None:
    a_card(api.clinic)
    [row] = listed(api)
    assert api("PATCH", f"{ADDRESS}/{row['id']}", json=body).status_code == 422


def test_an_order_is_given_as_the_whole_list_and_the_answer_is_the_new_list(api: Caller) -> None:
    # S-113 A-37
    for _ in range(3):
        a_card(api.clinic)
    ids = [row["id"] for row in listed(api)]
    answer = api("PUT", f"{ADDRESS}/order", json={"order": ids[::-1]})
    assert (answer.status_code, answer.json()["data"]) == (200, listed(api))
    assert [(row["id"], row["order"], row["primary"]) for row in listed(api)] == [
        (ids[2], 1, True), (ids[1], 2, False), (ids[0], 3, False),
    ]  # fmt: skip
    assert api("PUT", f"{ADDRESS}/order", json={"order": ids[::-1]}).status_code == 200


def test_an_order_that_is_not_exactly_the_methods_is_refused_with_its_field(api: Caller) -> None:
    a_card(api.clinic), a_card(api.clinic)
    before = listed(api)
    first, second = (row["id"] for row in before)
    for wrong in ([], [first], [first, first], [first, second, second], [first, "PM" + "0" * 32], [first, "x"], [first, 5], "x"):
        refused = api("PUT", f"{ADDRESS}/order", json={"order": wrong})
        assert (refused.status_code, refused.json()["field"].split("[")[0]) == (422, "order"), (wrong, refused.text)
        assert refused.headers["content-type"].startswith("application/problem+json")
    assert listed(api) == before


def test_a_key_that_may_not_buy_or_is_for_trying_changes_nothing(api: Caller) -> None:
    card = a_card(api.clinic)
    [row] = listed(api)
    for other in (caller(api.client, api.clinic, scopes=["wallets.read"]), caller(api.client, api.clinic, mode="test")):
        assert other("PATCH", f"{ADDRESS}/{row['id']}", json={"auto_charge": False}).status_code == 403
        assert other("PUT", f"{ADDRESS}/order", json={"order": [row["id"]]}).status_code == 403
    assert queries.method(customer_id=api.clinic.id, method_id=card.id).auto_charge
