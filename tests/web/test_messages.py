"""Messages and trails as a member sees them: filters, pages, downloads, explanations, and nobody else's."""

import csv
import io
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.test import Client

from postmeter.customers.models import Role
from postmeter.db.public_ids import public_ids
from postmeter.messaging import queries
from postmeter.messaging.operations import dispatch
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import State
from postmeter.web.views import overview
from tests.cast import FEE, PRICE, Cast, Clinic, at, number
from tests.web.conftest import SignedIn
from tests.web.test_sending import words

EACH = PRICE + FEE


def sent(clinic: Clinic, count: int = 1, body: str = "Hello", first: int = 0, now: datetime | None = None) -> list[int]:
    """Accepted messages, the oldest first."""
    recipients = [number(first + n) for n in range(count)]
    return submit(Submission(clinic.id, recipients, [body] * count, clinic.actor), now=now or at()).ids


def ended(clinic: Clinic, ids: list[int], state: State, status: str, error: str = "") -> None:
    dispatch.claim(customer_id=clinic.id, at_most=1_000, now=at())
    facts = [Fact(id_, "callback", "twilio", state, f"SM{id_}", status, error, billable=True) for id_ in ids]
    record(customer_id=clinic.id, facts=facts, now=at())


def rows_of(browser: Client, query: str = "") -> list[dict[str, str]]:
    answer = browser.get(f"/messages/messages.csv{query}")
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[arg-type]
    return list(csv.DictReader(io.StringIO(text)))


def numbers_of(browser: Client, query: str = "") -> list[str]:
    return [row["To"].lstrip("'") for row in rows_of(browser, query)]


def address(id_: int) -> str:
    return f"/messages/{public_ids().encode('SM', id_)}/"


def test_an_empty_list_says_what_to_do(cast: Cast, signed_in: SignedIn) -> None:
    browser = signed_in(cast.clinic().master)
    page = browser.get("/messages/")
    assert "No message went out yet." in words(page)
    assert 'href="/send/"' in page.content.decode()
    assert "No message is like that." in words(browser.get("/messages/?state=failed"))


def test_filters_stand_in_the_address_and_narrow_page_and_download_alike(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    first = sent(clinic, 2)
    ended(clinic, first[:1], State.DELIVERED, "delivered")
    sent(clinic, 3, first=10)
    assert len(rows_of(browser)) == 5
    assert numbers_of(browser, "?state=delivered") == [number(0)]
    assert numbers_of(browser, "?to=%28555%29%20000-0011") == ["+15550000011"]
    batch = queries.message(customer_id=clinic.id, message_id=first[0]).batch_id
    in_list = f"?list={public_ids().encode('BA', batch)}"
    assert numbers_of(browser, in_list) == [number(1), number(0)]
    page = browser.get(f"/messages/{in_list}&state=delivered").content.decode()
    assert page.count("<tr>") == 2  # the head and one message
    assert f"/messages/messages.csv{in_list}&amp;state=delivered" in page


def test_a_filter_that_makes_no_sense_is_said_beside_it(cast: Cast, signed_in: SignedIn) -> None:
    browser = signed_in(cast.clinic().master)
    for query, said in (("to=abc", "contains letters"), ("state=nonsense", "valid choice"), ("list=BAxyz", "not complete")):
        answer = browser.get(f"/messages/?{query}")
        assert answer.status_code == 422, query
        assert said in words(answer), query


def test_pages_hold_every_message_once(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    sent(clinic, 120)
    browser, seen, query = signed_in(clinic.master), [], "?state=queued"
    while query:
        page = browser.get(f"/messages/{query}").context["page"]
        seen += [row.id for row in page.rows]
        query = f"?state=queued&before={page.older}" if page.older else ""
    assert len(seen) == len(set(seen)) == 120
    assert seen == sorted(seen, reverse=True)
    assert browser.get("/messages/?before=nonsense").status_code == 422


def test_a_download_names_its_zone_keeps_amounts_numbers_and_runs_nothing(cast: Cast, signed_in: SignedIn) -> None:
    #
    clinic = cast.clinic()
    now = at().replace(hour=3, minute=30, second=0) - timedelta(days=2)
    ids = sent(clinic, body="=1+1", now=now)
    ended(clinic, ids, State.DELIVERED, "delivered")
    [row] = rows_of(signed_in(clinic.master))
    assert row["Accepted (America/New_York)"] == f"{now.astimezone(ZoneInfo('America/New_York')):%Y-%m-%d %H:%M:%S}"
    assert row["Text"] == "'=1+1"
    assert row["To"] == f"'{number()}"  # else a spreadsheet makes a sum of it
    assert (Decimal(row["Charged"]) * 1_000_000, row["Unit"]) == (EACH, "USD")


def test_a_trail_answers_first_and_shows_everything_behind_it(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    ids = sent(clinic, body="It’s <script>alert(1)</script>")
    ended(clinic, ids, State.UNDELIVERED, "undelivered", "30003")
    answer = signed_in(clinic.master).get(address(ids[0]))
    page = words(answer)
    assert page.index("It was sent but did not reach the phone.") < page.index("What happened")
    assert "The phone was switched off or out of reach. (error 30003)" in page
    assert "right single quotation mark" in page
    assert "Ledger entries" in page
    assert "<script>alert" not in answer.content.decode()
    entries = queries.trail(customer_id=clinic.id, message_id=ids[0]).entries
    assert entries
    for entry in entries:
        assert public_ids().encode("LE", entry.id) in page


def test_taking_a_message_back_works_once_and_then_says_why_not(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser, [id_, late] = signed_in(clinic.master), sent(clinic, 2)
    assert "Take it back" in words(browser.get(address(id_)))
    assert "Taken back" in words(browser.post(f"{address(id_)}cancel/", follow=True))
    assert clinic.held == EACH
    browser.post(f"{address(id_)}cancel/")
    assert clinic.held == EACH
    dispatch.claim(customer_id=clinic.id, at_most=10, now=at())
    assert "can no longer be taken back" in words(browser.post(f"{address(late)}cancel/", follow=True))
    assert "Take it back" not in words(browser.get(address(late)))


def test_another_customers_messages_do_not_exist(cast: Cast, signed_in: SignedIn) -> None:
    ours, theirs = cast.clinic(), cast.clinic()
    [id_] = sent(ours)
    them = signed_in(theirs.master)
    assert them.get(address(id_)).status_code == 404
    assert them.post(f"{address(id_)}cancel/").status_code == 404
    assert rows_of(them) == []
    assert ours.held == EACH
    for nonsense in ("SM" + "0" * 32, "XX" + "0" * 32, public_ids().encode("BA", id_)):
        assert them.get(f"/messages/{nonsense}/").status_code == 404


def test_a_billing_admin_sees_messages_but_cannot_take_them_back(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    [id_] = sent(clinic)
    clerk = signed_in(cast.member(clinic, Role.BILLING_ADMIN))
    assert "Take it back" not in words(clerk.get(address(id_)))
    assert clerk.post(f"{address(id_)}cancel/").status_code == 403
    assert clinic.held == EACH


# --- the overview


def test_the_overview_shows_the_meter_what_is_under_way_and_what_was_last(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=10_000_000)
    browser = signed_in(clinic.master)
    assert "How long it lasts is known once something was spent on a day before this one." in words(browser.get("/"))
    ids = sent(clinic, 3)
    ended(clinic, ids[:1], State.DELIVERED, "delivered")
    page = words(browser.get("/"))
    assert "Under way" in page
    assert "2 of 3 left" in page
    assert "Spend per day" in page
    assert "is known once something was spent on a day before" in page, "a day that is not over says nothing of a usual one"
    assert number(0)[-4:] in page


def test_spend_is_by_day_of_the_customers_zone_and_without_gaps(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    # 03:30 in UTC is still the day before in New York.
    now = at().replace(hour=3, minute=30) - timedelta(days=2)
    ended(clinic, sent(clinic, now=now), State.DELIVERED, "delivered")
    days = dict(signed_in(clinic.master).get("/").context["spend"])
    assert len(days) == overview.SPEND_DAYS
    assert {day: micros for day, micros in days.items() if micros} == {now.date() - timedelta(days=1): EACH}


def test_an_empty_wallet_offers_one_thing_to_do(cast: Cast, signed_in: SignedIn) -> None:
    page = words(signed_in(cast.clinic(credit_micros=0).master).get("/"))
    assert "There is no credit yet." in page
    assert "Spend per day" not in page
