"""Lists and quotes over REST."""

from tests.api.conftest import Caller
from tests.cast import FEE, PRICE, Cast, number

TEXT = "See you tomorrow at ten."


def rows(count: int, start: int = 0) -> list[dict[str, str]]:
    return [{"to": number(start + n), "text": f"{TEXT} {n}"} for n in range(count)]


def test_a_list_of_ten_thousand_fits(api: Caller, cast: Cast) -> None:
    cast.give(api.clinic.id, api.clinic.pool, 100_000_000)
    sent = api.post("/v1/batches", {"messages": rows(10_000)})
    assert sent.status_code == 202, sent.text[:500]
    assert (sent.json()["accepted"], sent.json()["refused"], sent.json()["total"]) == (10_000, 0, "114")
    assert len({row["id"] for row in sent.json()["messages"]}) == 10_000
    assert api.clinic.held == 10_000 * (PRICE + FEE)
    too_many = api.post("/v1/batches", {"messages": rows(10_001)})
    assert (too_many.status_code, too_many.json()["field"]) == (422, "messages")


def test_a_whole_list_with_one_bad_row_sends_nothing_and_names_it(api: Caller) -> None:
    bad = [*rows(2), {"to": "0800 NOBODY", "text": TEXT}]
    refused = api.post("/v1/batches", {"messages": bad})
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_input")
    assert [(row["position"], row["field"]) for row in refused.json()["errors"]] == [(2, "to")]
    assert api.clinic.held == 0


def test_a_list_that_is_not_whole_sends_what_it_can_and_says_why_not_the_rest(api: Caller) -> None:
    mixed = [{"to": "nobody", "text": TEXT}, *rows(2), {"to": number(9), "text": " "}]
    sent = api.post("/v1/batches", {"messages": mixed, "whole": False}, key="a-list")
    assert sent.status_code == 202, sent.text
    assert [row["id"] is not None for row in sent.json()["messages"]] == [False, True, True, False]
    assert [row["error"]["field"] for row in sent.json()["messages"] if row["error"]] == ["to", "text"]
    assert api.clinic.held == 2 * (PRICE + FEE)
    again = api.post("/v1/batches", {"messages": mixed, "whole": False}, key="a-list")
    assert again.json() == sent.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert api.clinic.held == 2 * (PRICE + FEE)


def test_a_list_of_one_is_a_list(api: Caller) -> None:
    sent = api.post("/v1/batches", {"messages": rows(1), "name": "Tuesday"}).json()
    progress = api.get(f"/v1/batches/{sent['id']}").json()
    assert (progress["name"], progress["states"], progress["left"], progress["held"]) == ("Tuesday", {"queued": 1}, 1, "0.0114")


def test_without_enough_credit_a_whole_list_is_refused_and_says_what_it_needs(api: Caller) -> None:
    refused = api.post("/v1/batches", {"messages": [{"to": number(n, "4420"), "text": TEXT} for n in range(3_000)]})
    assert refused.status_code == 402
    assert (refused.json()["code"], refused.json()["needed"], refused.json()["unit"]) == ("exceeds_available", "138.9", "USD")
    assert api.clinic.held == 0


def test_a_list_can_be_stopped_and_gives_back_what_it_held(api: Caller) -> None:
    sent = api.post("/v1/batches", {"messages": rows(3)}).json()
    for _ in range(2):
        stopped = api.post(f"/v1/batches/{sent['id']}/cancellation", key="stop-it")
        assert (stopped.status_code, stopped.json()["states"], stopped.json()["held"]) == (200, {"cancelled": 3}, "0")
    assert api.clinic.held == 0
    other = api.post("/v1/batches", {"messages": rows(1)}).json()
    assert api.post(f"/v1/batches/{other['id']}/cancellation", key="stop-it").json()["code"] == "key_reused"


def test_a_quote_says_the_price_and_is_sent_at_it_once(api: Caller) -> None:
    wanted = [*rows(2), {"to": number(0), "text": TEXT}, {"to": "12", "text": TEXT}, {"to": number(5), "text": "Great 🎉"}]
    made = api.post("/v1/quotes", {"messages": wanted}, key="a-quote")
    assert made.status_code == 201, made.text
    quote = made.json()
    assert (quote["recipients"], quote["excluded"], quote["total"], quote["batch"]) == (3, 2, "0.0342", None)
    assert api.post("/v1/quotes", {"messages": wanted}, key="a-quote").json() == quote
    items = api.get(f"/v1/quotes/{quote['id']}/items?limit=3").json()
    rest = api.get(f"/v1/quotes/{quote['id']}/items?cursor={items['next_cursor']}").json()
    every = items["data"] + rest["data"]
    assert [item["position"] for item in every] == [0, 1, 2, 3, 4]
    assert [item["excluded"] is not None for item in every] == [False, False, True, True, False]
    assert every[4]["forced_by"] == "🎉"
    sent = api.post(f"/v1/quotes/{quote['id']}/sending", {}, key="send-it")
    assert (sent.status_code, sent.json()["accepted"], sent.json()["total"]) == (202, 3, "0.0342")
    assert api.post(f"/v1/quotes/{quote['id']}/sending", {}, key="send-it").json() == sent.json()
    assert api.post(f"/v1/quotes/{quote['id']}/sending", {}).json() == sent.json()
    assert api.get(f"/v1/quotes/{quote['id']}").json()["batch"] == sent.json()["id"]
    assert api.clinic.held == 3 * (PRICE + FEE)
