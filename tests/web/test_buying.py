"""Buying credit on the pages, against the simulated gateway."""

import re
import urllib.parse
from html.parser import HTMLParser

import pytest
import requests
from django.test import Client

from postmeter.customers.models import Role
from postmeter.db.public_ids import public_ids
from postmeter.invoicing import queries as invoices
from postmeter.kit.money import MICROS
from postmeter.payments import queries as payments
from postmeter.topups import queries as topups
from tests.cast import Cast, Clinic
from tests.journeys.shop import DECLINED_LATER, confirm_at_bank, fill_in_card, saved_card, saved_card_after_question
from tests.stage import Stage
from tests.topups.test_packs import reprice
from tests.web.conftest import SignedIn

ASKS_EACH_TIME = "4000002760003184"


class _Inputs(HTMLParser):
    """The fields of the page's forms, as a browser would send them."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        unchosen = given.get("type") in ("radio", "checkbox") and "checked" not in given
        if tag == "input" and given.get("name") and not unchosen:
            self.values[str(given["name"])] = given.get("value") or ""


def fields_of(page: str) -> dict[str, str]:
    parser = _Inputs()
    parser.feed(page[page.index("<main") : page.index("</main")])
    return parser.values


def press_top_up(browser: Client, amount: str, **changes: str) -> dict[str, str]:
    """Fill in the form and press "Top-up Credit". Returns the fields of the confirmation."""
    form = fields_of(browser.get("/credit/top-up/").content.decode())
    answer = browser.get("/credit/top-up/confirm/", form | {"amount": amount} | changes)
    assert answer.status_code == 200, answer.content.decode()
    return fields_of(answer.content.decode())


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))


def test_without_a_card_the_way_to_add_one_is_shown_and_nothing_can_be_charged(cast: Cast, signed_in: SignedIn) -> None:
    # S-018
    browser = signed_in(cast.clinic().master)
    page = browser.get("/credit/top-up/").content.decode()
    assert "/payments/cards/add/?next=" in page
    assert "OK, charge" not in page


def test_every_way_to_add_message_credit_leads_to_the_box(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    # S-010 S-011 S-012 S-013 S-014
    clinic = cast.clinic()
    saved_card(stage, clinic)
    browser = signed_in(clinic.master)
    for entrance in ("/settings/messaging/", "/payments/", "/credit/", "/"):
        assert 'href="/credit/top-up/"' in browser.get(entrance).content.decode()
    box = words_of(browser.get("/credit/top-up/").content.decode())
    for said in ("Add Message Credit", "Enter the amount of credit you wish to purchase", "Top-up Credit", "Visa •••• 4242"):
        assert said in box


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("9.99", "The smallest purchase is $10.00."),  # S-015
        ("", "Write the amount"),
        ("ten", "not an amount"),
        ("10.001", "at most 2 decimals"),
        ("1,000", "nothing between thousands"),
        ("50000.01", "The largest purchase is"),
    ],
)
def test_an_amount_that_cannot_be_bought_is_refused_beside_the_field(
    cast: Cast, signed_in: SignedIn, stage: Stage, typed: str, answer: str
) -> None:
    clinic = cast.clinic()
    saved_card(stage, clinic)
    browser = signed_in(clinic.master)
    form = fields_of(browser.get("/credit/top-up/").content.decode()) | {"amount": typed}
    page = browser.get("/credit/top-up/confirm/", form)
    assert page.status_code == 422
    assert answer in words_of(page.content.decode()).replace("&#x27;", "'")
    assert browser.post("/credit/top-up/confirm/", form).status_code == 422
    assert topups.top_ups(customer_id=clinic.id) == []


def test_the_confirmation_names_amount_card_balance_and_the_48_hours(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    # S-016 S-017 S-019
    clinic = cast.clinic(credit_micros=12 * MICROS)
    saved_card(stage, clinic)
    browser = signed_in(clinic.master)
    form = fields_of(browser.get("/credit/top-up/").content.decode()) | {"amount": "10"}  # S-015: the minimum itself
    page = words_of(browser.get("/credit/top-up/confirm/", form).content.decode())
    for said in (
        "Charge $10.00 to Visa •••• 4242?",
        "will be charged against the saved credit card",
        "up to 48 hours",
        "OK, charge",
    ):
        assert said in page
    assert "Before$12.00" in page.replace(" ", "")
    assert "After$22.00" in page.replace(" ", "")
    assert topups.top_ups(customer_id=clinic.id) == [], "asking is not charging"


def test_ok_charges_credits_and_shows_the_invoice(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    # S-003 S-017 S-018 S-022 S-159 S-160 S-161
    clinic = cast.clinic(credit_micros=0)
    saved_card(stage, clinic)
    browser = signed_in(clinic.master)
    answer = browser.post("/credit/top-up/confirm/", press_top_up(browser, "20.50"), follow=True)
    [bought] = topups.history(customer_id=clinic.id)
    assert answer.redirect_chain == [(f"/credit/top-ups/{public_ids().encode('TU', bought.id)}/", 302)]
    page = answer.content.decode()
    assert "$20.50 of credit added" in page
    assert bought.invoice is not None
    assert f"/invoices/{public_ids().encode('IN', bought.invoice.id)}/pdf/" in page
    assert (clinic.available, bought.top_up.created_by) == (20_500_000, clinic.actor)


def test_a_second_press_and_a_second_tab_cannot_charge_twice(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    clinic = cast.clinic(credit_micros=0)
    saved_card(stage, clinic)
    browser = signed_in(clinic.master)
    form = fields_of(browser.get("/credit/top-up/").content.decode()) | {"amount": "20"}
    tabs = [fields_of(browser.get("/credit/top-up/confirm/", form).content.decode()) for _ in range(2)]
    answers = {browser.post("/credit/top-up/confirm/", tab)["Location"] for tab in (*tabs, tabs[0])}
    assert len(answers) == 1
    assert clinic.available == 20 * MICROS
    assert len(stage_charges(stage, clinic)) == 1


def test_another_amount_from_the_same_form_is_another_purchase(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    clinic = cast.clinic(credit_micros=0)
    saved_card(stage, clinic)
    browser = signed_in(clinic.master)
    form = fields_of(browser.get("/credit/top-up/").content.decode())
    for amount in ("20", "30"):
        browser.post("/credit/top-up/confirm/", form | {"amount": amount})
    assert clinic.available == 50 * MICROS


def test_whoever_buys_the_same_again_is_told_of_the_first_purchase(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    clinic = cast.clinic(credit_micros=0)
    saved_card(stage, clinic)
    browser = signed_in(clinic.master)
    browser.post("/credit/top-up/confirm/", press_top_up(browser, "20"))
    form = fields_of(browser.get("/credit/top-up/").content.decode()) | {"amount": "20"}
    assert "You bought $20.00 already" in words_of(browser.get("/credit/top-up/confirm/", form).content.decode())
    form = fields_of(browser.get("/credit/top-up/").content.decode()) | {"amount": "21"}
    assert "already" not in words_of(browser.get("/credit/top-up/confirm/", form).content.decode())


def test_a_declined_card_says_why_and_offers_another(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    # S-133
    clinic = cast.clinic(credit_micros=0)
    saved_card(stage, clinic, "4000034100009995")
    browser = signed_in(clinic.master)
    answer = browser.post("/credit/top-up/confirm/", press_top_up(browser, "20"), follow=True)
    page = words_of(answer.content.decode())
    assert "The card was declined" in page
    assert "not enough money on this card. Nothing was charged." in page
    assert "Retry, with this card or another" in page
    assert clinic.available == 0
    assert invoices.invoices(customer_id=clinic.id) == []
    assert "not enough money on this card" in browser.get("/payments/").content.decode()  # S-137: the list names the reason


def test_the_bank_may_ask_for_the_cardholder_and_the_way_back_finds_the_money(
    cast: Cast, signed_in: SignedIn, stage: Stage
) -> None:
    clinic = cast.clinic(credit_micros=0)
    saved_card_after_question(stage, clinic, ASKS_EACH_TIME)
    browser = signed_in(clinic.master)
    answer = browser.post("/credit/top-up/confirm/", press_top_up(browser, "20"), follow=True)
    assert "Your bank wants you to confirm" in answer.content.decode()
    [bought] = topups.history(customer_id=clinic.id)
    confirm_at_bank(bought.payment.action_url)
    page = browser.get(answer.redirect_chain[0][0]).content.decode()
    assert "$20.00 of credit added" in page
    assert clinic.available == 20 * MICROS


def test_a_purchase_that_waits_for_the_bank_can_be_called_off(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    clinic = cast.clinic(credit_micros=0)
    saved_card_after_question(stage, clinic, ASKS_EACH_TIME)
    browser = signed_in(clinic.master)
    place = browser.post("/credit/top-up/confirm/", press_top_up(browser, "20"))["Location"]
    page = browser.post(f"{place}give-up/", follow=True).content.decode()
    assert "Purchase called off" in page
    assert topups.figures(customer_id=clinic.id, wallet=clinic.pool).incoming_micros == 0
    assert clinic.available == 0


def test_no_answer_is_told_as_such_and_charges_once(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    #
    clinic = cast.clinic(credit_micros=0)
    saved_card(stage, clinic)
    browser = signed_in(clinic.master)
    confirmation = press_top_up(browser, "20")
    rule = {"service": "stripe", "fault": "garbage", "match": {"path": "/v1/payment_intents"}, "count": 1}
    stage.simulator.control("POST", "/faults", rule)
    page = words_of(browser.post("/credit/top-up/confirm/", confirmation, follow=True).content.decode())
    assert "you will not be charged twice" in page or "of credit added" in page  # the callback may have come first
    browser.post("/credit/top-up/confirm/", confirmation)
    assert len(stage_charges(stage, clinic)) == 1


def test_after_buying_one_can_go_on_where_one_was_but_never_off_the_site(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    clinic = cast.clinic(credit_micros=0)
    saved_card(stage, clinic)
    browser = signed_in(clinic.master)
    answer = browser.post("/credit/top-up/confirm/", press_top_up(browser, "20", next="/prices/?q=61"), follow=True)
    assert 'href="/prices/?q=61">Go on where you were' in answer.content.decode()
    answer = browser.post("/credit/top-up/confirm/", press_top_up(browser, "20", next="https://evil.example/"), follow=True)
    assert "evil.example" not in answer.content.decode()
    box = browser.get("/credit/top-up/?next=//evil.example/").content.decode()
    assert "evil.example" not in box[box.index("<main") : box.index("</main")]


def test_who_may_not_buy_sees_the_balance_and_no_way_to_the_cards(cast: Cast, signed_in: SignedIn) -> None:
    # S-107 A-25
    clinic = cast.clinic(credit_micros=7 * MICROS)
    browser = signed_in(cast.member(clinic, Role.SENDER))
    page = browser.get("/credit/").content.decode()
    assert "$7.00" in page
    assert "/credit/top-up/" not in page
    for address in ("/credit/top-up/", "/credit/top-up/confirm/", "/payments/", "/invoices/"):
        assert browser.get(address).status_code == 403


def test_nobody_sees_or_uses_what_is_another_customers(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    harbour, rival = cast.clinic(credit_micros=0), cast.clinic(credit_micros=0)
    theirs = saved_card(stage, rival)
    saved_card(stage, harbour)
    browser, other = signed_in(harbour.master), signed_in(rival.master)
    place = other.post("/credit/top-up/confirm/", press_top_up(other, "20"))["Location"]
    [invoice] = invoices.invoices(customer_id=rival.id)
    ids = public_ids()
    for address in (
        place,
        f"/invoices/{ids.encode('IN', invoice.id)}/",
        f"/invoices/{ids.encode('IN', invoice.id)}/pdf/",
        f"/payments/cards/{ids.encode('PM', theirs.id)}/remove/",
    ):
        assert browser.get(address).status_code == 404
    form = fields_of(browser.get("/credit/top-up/").content.decode())
    stolen = form | {"amount": "20", "card": ids.encode("PM", theirs.id)}
    assert browser.post("/credit/top-up/confirm/", stolen).status_code == 422
    assert browser.post(f"/payments/cards/{ids.encode('PM', theirs.id)}/remove/").status_code == 302
    assert payments.methods(customer_id=rival.id) == [theirs]


# --- cards


def test_a_card_is_added_on_the_gateways_page_after_asking_who_is_there(
    cast: Cast, confirmed: SignedIn, signed_in: SignedIn, stage: Stage
) -> None:
    # S-139 X-04
    clinic = cast.clinic()
    asked = signed_in(clinic.master).get("/payments/cards/add/")
    assert asked["Location"].startswith("/accounts/reauthenticate/")
    browser = confirmed(clinic.master)
    assert browser.get("/payments/cards/add/").status_code == 200
    going = browser.post("/payments/cards/add/", {"kind": "card", "next": "/credit/top-up/"})
    page = re.search(r'content="0;url=([^"]+)"', going.content.decode())
    assert page
    done = fill_in_card(page[1])
    assert done.startswith(f"{stage.url}/payments/cards/CS")
    answer = browser.get(done.removeprefix(stage.url))
    assert answer["Location"] == "/credit/top-up/"
    [card] = payments.methods(customer_id=clinic.id)
    assert (card.brand, card.last4, card.auto_charge) == ("visa", "4242", True)
    browser.get(done.removeprefix(stage.url))
    assert len(payments.methods(customer_id=clinic.id)) == 1


def test_coming_back_without_a_card_says_so(cast: Cast, confirmed: SignedIn, stage: Stage) -> None:
    clinic = cast.clinic()
    browser = confirmed(clinic.master)
    browser.post("/payments/cards/add/", {"kind": "card"})
    assert "Nothing was added." in browser.get("/payments/cards/cancelled/", follow=True).content.decode()
    assert payments.methods(customer_id=clinic.id) == []


def test_a_removed_card_cannot_be_charged_and_its_payments_keep_its_name(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    clinic = cast.clinic()
    card = saved_card(stage, clinic)
    browser = signed_in(clinic.master)
    confirmation = press_top_up(browser, "20")
    browser.post("/credit/top-up/confirm/", confirmation)
    place = f"/payments/cards/{public_ids().encode('PM', card.id)}/remove/"
    assert "It is your last one" in browser.get(place).content.decode()
    page = browser.post(place, follow=True).content.decode()
    assert "It was removed and will not be charged again." in page
    assert "Visa •••• 4242" in page
    assert payments.methods(customer_id=clinic.id) == []
    assert browser.post("/credit/top-up/confirm/", confirmation).status_code == 422


def test_a_declining_card_can_be_saved_and_is_listed(cast: Cast, signed_in: SignedIn, stage: Stage) -> None:
    # S-110
    clinic = cast.clinic()
    saved_card(stage, clinic)
    saved_card(stage, clinic, DECLINED_LATER)
    page = words_of(signed_in(clinic.master).get("/payments/").content.decode())
    assert re.search(r"Visa •••• 4242\s*Primary", page)
    assert "Visa •••• 0341" in page


# --- at the gateway


def stage_charges(stage: Stage, clinic: Clinic) -> list[dict[str, object]]:
    """What the gateway really took from this customer."""
    keys = {f"payment-{bought.payment.id}" for bought in topups.history(customer_id=clinic.id)}
    charges = stage.simulator.control("GET", "/log/payments")["charges"]
    return [row for row in charges if row["idempotency_key"] in keys and row["kind"] == "charge.succeeded"]


def test_what_is_added_is_chosen_and_a_choice_is_asked_for(cast: Cast, confirmed: SignedIn) -> None:
    # S-140
    browser = confirmed(cast.clinic().master)
    page = browser.get("/payments/cards/add/").content.decode()
    for said in ("Card: charged at once", "US bank account: the money arrives after up to four working days", "PayPal:"):
        assert said in page
    for kind in ("", "cheque"):
        refused = browser.post("/payments/cards/add/", {"kind": kind})
        assert refused.status_code == 422
        assert ("Choose one of these." if not kind else "not one of the available choices") in refused.content.decode()


@pytest.mark.parametrize(
    ("kind", "choice", "name"),
    [
        ("bank_debit", {"account": "000123456789"}, "Bank account •••• 6789"),
        ("paypal", {"email": "payer@example.com"}, "PayPal payer@example.com"),
    ],
)
def test_bank_and_paypal_accounts_are_shown_by_their_names(
    cast: Cast, confirmed: SignedIn, stage: Stage, kind: str, choice: dict[str, str], name: str
) -> None:
    # S-137 S-140
    browser = confirmed(cast.clinic().master)
    going = browser.post("/payments/cards/add/", {"kind": kind}).content.decode()
    page = re.search(r'content="0;url=([^"]+)"', going)
    assert page
    back = requests.post(page[1], choice, timeout=20, allow_redirects=False).headers["location"]
    shown = browser.get(urllib.parse.urlsplit(back).path, follow=True).content.decode()
    assert f"{name} was added." in shown.replace("&#x27;", "'")
    assert re.search(rf"{name}\s*<span class=\"method-primary\">", shown)
    assert "never" in shown


class TestCountedCredit:
    """S-154 S-155 S-156: a quantity is bought, and money is charged."""

    def test_a_number_of_credits_is_bought_at_the_price_that_was_shown(
        self, cast: Cast, signed_in: SignedIn, stage: Stage
    ) -> None:
        clinic = cast.clinic(credit_micros=0, unit="SMS")
        saved_card(stage, clinic)
        browser = signed_in(clinic.master)
        asked = words_of(browser.get("/credit/top-up/").content.decode())
        for said in ("How many credits", "At least 100 SMS credits.", "$0.10 each, $0.08 each from 1,000 on"):
            assert said in asked
        form = fields_of(browser.get("/credit/top-up/").content.decode()) | {"amount": "500"}
        page = browser.get("/credit/top-up/confirm/", form).content.decode()
        for said in ("Charge $50.00 to Visa •••• 4242?", "500 SMS credits"):
            assert said in words_of(page)
        done = words_of(browser.post("/credit/top-up/confirm/", fields_of(page), follow=True).content.decode())
        for said in ("500 SMS credits added", "$50.00 with Visa"):
            assert said in done
        assert clinic.posted == 500 * MICROS
        listed = words_of(browser.get("/payments/").content.decode())
        assert "$50.00" in listed and "500 SMS credits" in listed

    def test_a_price_that_changed_meanwhile_is_shown_before_anything_is_charged(
        self, cast: Cast, signed_in: SignedIn, stage: Stage
    ) -> None:
        clinic = cast.clinic(credit_micros=0, unit="SMS")
        saved_card(stage, clinic)
        browser = signed_in(clinic.master)
        form = press_top_up(browser, "500")
        reprice(clinic, 12)
        answer = browser.post("/credit/top-up/confirm/", form)
        assert answer.status_code == 409
        assert "500 SMS credits cost $60.00 by now." in words_of(answer.content.decode())
        assert topups.top_ups(customer_id=clinic.id) == []
        again = press_top_up(browser, "500")
        browser.post("/credit/top-up/confirm/", again)
        assert clinic.posted == 500 * MICROS

    @pytest.mark.parametrize(("typed", "answer"), [("99", "smallest purchase is 100 SMS credits"), ("1.5", "no decimals")])
    def test_what_cannot_be_bought_is_said_in_credits(
        self, cast: Cast, signed_in: SignedIn, stage: Stage, typed: str, answer: str
    ) -> None:
        clinic = cast.clinic(credit_micros=0, unit="SMS")
        saved_card(stage, clinic)
        browser = signed_in(clinic.master)
        form = fields_of(browser.get("/credit/top-up/").content.decode()) | {"amount": typed}
        page = browser.get("/credit/top-up/confirm/", form)
        assert page.status_code == 422
        assert answer in words_of(page.content.decode())
