"""The guard at the doors: pages of members and of the operator, the command line, the API."""

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from django.test import Client
from django.urls import clear_url_caches, set_urlconf
from django.utils import timezone
from litestar.testing import TestClient

from postmeter.cli import guard as commands
from postmeter.cli import ledger, postmeter
from postmeter.customers import operations as customers
from postmeter.customers.models import Role
from postmeter.db import calls
from postmeter.db.public_ids import public_ids
from postmeter.guard import queries
from postmeter.guard.models import EVERYWHERE
from postmeter.kit.money import MICROS
from postmeter.messaging import queries as messages
from postmeter.messaging.operations import payers
from tests.api.conftest import caller, client
from tests.cast import PASSWORD, Cast, Clinic, number
from tests.guard.test_stop import a_key, pump, send
from tests.web.conftest import SignedIn, confirmed, signed_in
from tests.web.test_records import words_of as words_in

__all__ = ["client", "confirmed", "signed_in"]  # fixtures
LIMITS, LIFT = "/settings/limits/", "/settings/limits/lift/"
LONDON = "+447700900123"


@pytest.fixture
def harbour(cast: Cast) -> Clinic:
    return cast.clinic(guarded=True)


def words_of(answer: Any) -> str:
    return html.unescape(words_in(answer.content.decode()))


# Members


def test_a_master_opens_a_country_once_they_have_confirmed_who_they_are(
    harbour: Clinic, signed_in: SignedIn, confirmed: SignedIn
) -> None:
    page = "/settings/limits/countries/"
    assert "United States only" in words_of(signed_in(harbour.master).get(LIMITS))
    unsure = signed_in(harbour.master).post(page, {"countries": ["GB"]})
    assert unsure.status_code == 302 and "reauthenticate" in unsure["Location"]
    assert queries.opened_countries(customer_id=harbour.id) == set()
    browser = confirmed(harbour.master)
    assert "United Kingdom" in words_of(browser.get(page))
    assert "and to United Kingdom" in words_of(browser.post(page, {"countries": ["GB"]}, follow=True))
    assert browser.post(page, {"countries": ["XX"]}).status_code == 422
    assert "every country" in words_of(browser.post(page, {"everywhere": "on"}, follow=True))
    assert queries.opened_countries(customer_id=harbour.id) == {EVERYWHERE}
    browser.post(page, {}, follow=True)
    assert queries.opened_countries(customer_id=harbour.id) == set()


def test_a_master_lowers_a_limit_and_cannot_raise_one(harbour: Clinic, confirmed: SignedIn) -> None:
    browser, page = confirmed(harbour.master), "/settings/limits/own/"
    assert "At most 20,000." in words_of(browser.get(page))
    said = words_of(browser.post(page, {"key": "100", "key_spend": "5.00"}, follow=True))
    assert "100 messages a day by one API key" in said and "$5.00 a day by one API key" in said
    assert queries.limits(customer_id=harbour.id, unit="USD")["key_spend"] == 5 * MICROS
    assert 'value="100"' in browser.get(page).content.decode()
    for wrong, remedy in (("20001", "Ask your account manager"), ("0", "above zero"), ("many", "whole number"), ("1.5", "whole")):
        refused = browser.post(page, {"key": wrong})
        assert refused.status_code == 422 and remedy in words_of(refused), wrong
    browser.post(page, {}, follow=True)
    assert queries.overrides(customer_id=harbour.id, by_operator=False) == {}


@pytest.mark.parametrize("role", [Role.SENDER, Role.OFFICE_MANAGER, Role.BILLING_ADMIN])
def test_others_see_limits_and_the_stop_but_change_nothing(cast: Cast, harbour: Clinic, signed_in: SignedIn, role: Role) -> None:
    pump(harbour)
    browser = signed_in(cast.member(harbour, role))
    shown = words_of(browser.get(LIMITS))
    assert "500 messages within an hour" in shown and "A master can let sending go on." in shown
    for page in ("countries/", "own/", "lift/"):
        assert browser.get(LIMITS + page).status_code == 403
        assert browser.post(LIMITS + page, {}).status_code == 403
    assert queries.standing(customer_id=harbour.id)


def test_every_page_says_that_sending_is_stopped_and_the_master_lifts_it(
    harbour: Clinic, signed_in: SignedIn, confirmed: SignedIn
) -> None:
    stolen = a_key(harbour, "Old booking form")
    send(harbour, [number(700)], stolen)
    pump(harbour, stolen)
    browser = confirmed(harbour.master)
    for page in ("/", "/messages/", "/credit/", "/settings/keys/"):
        assert "Sending is stopped because somebody would have passed a limit" in words_of(browser.get(page)), page
    page = words_of(browser.get(LIMITS))
    assert "The API key “Old booking form” would have passed" in page and "+1555000••••" in page
    assert "Messages of theirs that wait 1" in page
    assert "reauthenticate" in signed_in(harbour.master).post(LIFT, {"waiting": "send"})["Location"]
    assert browser.post(LIFT, {"waiting": "nonsense"}).status_code == 422
    assert queries.standing(customer_id=harbour.id)
    done = words_of(browser.post(LIFT, {"waiting": "take_back"}, follow=True))
    assert "Sending goes on." in done and "Earlier stops" in done
    assert [message.state for message in messages.messages(customer_id=harbour.id)] == ["cancelled"]
    assert "Sending is stopped" not in words_of(browser.get("/"))
    assert browser.post(LIFT, {"waiting": "send"}).status_code == 404


def test_no_customer_sees_or_lifts_anothers_stop(cast: Cast, harbour: Clinic, confirmed: SignedIn) -> None:
    pump(harbour)
    rival = confirmed(cast.clinic(name="Rival").master)
    assert "Sending is stopped" not in words_of(rival.get("/")) + words_of(rival.get(LIMITS))
    assert rival.post(LIFT, {"waiting": "send"}).status_code == 404
    assert queries.standing(customer_id=harbour.id)


def test_the_compose_page_names_a_closed_country(harbour: Clinic, signed_in: SignedIn) -> None:
    answer = signed_in(harbour.master).post("/send/", {"recipients": f"{number(1)}\n{LONDON}", "text": "Hello"}, follow=True)
    assert "Messages to United Kingdom are not open for you." in words_of(answer)


# The operator


@pytest.fixture
def console(settings: Any) -> Iterator[Client]:
    """An account manager at the operator's pages, who has just confirmed who they are."""
    settings.CONSOLE, settings.ROOT_URLCONF = True, "postmeter.config.console_urls"
    clear_url_caches()
    set_urlconf(None)
    avery = customers.appoint(email=f"avery{calls.next_id()}@operator.example", name="Avery")
    avery.set_password(PASSWORD)
    avery.save()
    browser = Client()
    browser.force_login(avery, "allauth.account.auth_backends.AuthenticationBackend")
    assert browser.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    yield browser
    clear_url_caches()
    set_urlconf(None)


def test_an_account_manager_sees_who_is_stopped_and_lifts_it(harbour: Clinic, console: Client) -> None:
    pump(harbour)
    place = f"/customers/{public_ids().encode('CU', harbour.id)}/"
    assert "Stopped customers" in words_of(console.get("/"))
    assert place in console.get("/").content.decode()
    assert "Sending and automatic top-ups are stopped" in words_of(console.get(place))
    assert "Morgan Reyes" in words_of(console.get(place + "lift/"))
    assert "Sending goes on." in words_of(console.post(place + "lift/", {"waiting": "send", "top_ups": "on"}, follow=True))
    [stop] = queries.history(customer_id=harbour.id)
    assert stop.lifted_by.startswith("operator:") and stop.top_ups_go_on
    assert console.get(place + "lift/").status_code == 404


def test_an_account_manager_raises_limits_and_opens_countries(harbour: Clinic, console: Client) -> None:
    place = f"/customers/{public_ids().encode('CU', harbour.id)}/limits/"
    assert "Now 500." in words_of(console.get(place))
    assert console.post(place, {"prefix": "5000", "member_spend": "2000.00", "countries": ["GB"]}).status_code == 302
    assert queries.limits(customer_id=harbour.id, unit="USD")["prefix"] == 5_000
    assert queries.opened_countries(customer_id=harbour.id) == {"GB"}
    assert console.post(place, {"prefix": "x", "countries": ["GB"]}).status_code == 422
    assert console.post(place, {"prefix": "1" + "0" * 15}).status_code == 422


# The command line


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (commands, ledger):
        monkeypatch.setattr(module, "connect", lambda: None)


@pytest.mark.usefixtures("here")
def test_the_command_shows_sets_and_lifts(harbour: Clinic) -> None:
    def run(*words: str) -> Result:
        return CliRunner().invoke(postmeter, ["guard", words[0], str(harbour.customer.number), *words[1:]])

    assert "500 messages within an hour" in run("show").output
    assert run("limit", "prefix", "1,000").exit_code == 0
    assert run("limit", "key_spend", "50").exit_code == 0
    assert re.search(r"prefix +1,000 messages .* \(set\)", run("show").output)
    assert run("limit", "prefix", "usual").exit_code == 0
    for name, most in (("prefix", "many"), ("nonsense", "5"), ("key_spend", "-1"), ("prefix", "0")):
        assert run("limit", name, "--", most).exit_code == 1, (name, most)
    assert run("countries", "GB", "AU").exit_code == 0
    assert "countries: US AU GB" in run("show").output
    assert run("countries", "XX").exit_code == 1
    assert run("lift").exit_code == 1
    pump(harbour)
    assert "would have passed 500 messages" in run("show").output
    assert run("lift", "--top-ups", "--send").output == "Sending goes on.\n"
    [stop] = queries.history(customer_id=harbour.id)
    assert stop.top_ups_go_on and stop.lifted_by == "operator"


# The API


def test_a_program_hears_what_was_passed_and_what_to_do(client: "TestClient[Any]", harbour: Clinic) -> None:
    api = caller(client, harbour)
    closed = api.post("/v1/messages", {"to": LONDON, "text": "Hello"})
    assert (closed.status_code, closed.json()["code"]) == (403, "country_closed")
    assert "Limits and countries" in closed.json()["remedy"]
    for _ in range(10):
        assert api.post("/v1/messages", {"to": number(1), "text": "Hello"}).status_code == 202
    often = api.post("/v1/messages", {"to": number(1), "text": "Hello"})
    assert (often.status_code, often.json()["code"], often.json()["field"]) == (403, "too_often", "to")
    listed = api.post("/v1/batches", {"messages": [{"to": LONDON, "text": "Hello"}, {"to": number(2), "text": "Hello"}]})
    assert listed.status_code == 422
    assert [row["position"] for row in listed.json()["errors"]] == [0]
    many = [{"to": number(n), "text": "Hello"} for n in range(501)]
    passed = api.post("/v1/batches", {"messages": many})
    assert (passed.status_code, passed.json()["code"]) == (403, "limit_passed")
    payers.forget()
    for path, body in (("/v1/messages", {"to": number(3), "text": "Hello"}), ("/v1/batches", {"messages": many[:2]})):
        stopped = api.post(path, body)
        assert (stopped.status_code, stopped.json()["code"]) == (403, "sending_stopped")
    assert len(messages.messages(customer_id=harbour.id)) == 10
    assert timezone.now() >= queries.history(customer_id=harbour.id)[0].at
