"""Buying credit in a real browser: the card on the gateway's page, the purchase, the invoice; and every page by axe."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connection

from postmeter.topups import queries as topups
from tests.cast import PASSWORD, Cast, Clinic
from tests.journeys.shop import DECLINED_LATER, saved_card
from tests.stage import Stage

PAGES = [
    "/credit/", "/credit/top-up/?amount=50", "/payments/", "/credit/alerts/", "/credit/automatic/",
    "/credit/statement/", "/credit/statement/?each=1", "/invoices/",
    "/prices/", "/settings/me/", "/settings/invoices/", "/settings/messaging/", "/settings/calls/", "/settings/keys/", "/settings/members/",
    "/settings/keys/new/", "/settings/members/new/", "/payments/cards/add/", "/accounts/2fa/", "/accounts/2fa/totp/activate/",
    "/accounts/password/change/",
]  # fmt: skip

pytestmark = pytest.mark.browser
T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """Database work in a thread of its own: the browser's has a loop."""

    def alone() -> T:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(alone).result()


def sign_in(page: Any, stage: Stage, clinic: Clinic) -> None:
    page.goto(f"{stage.url}/accounts/login/?next=/credit/")
    page.fill("input[name=login]", clinic.master.email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/credit/")


def confirm_person(page: Any) -> None:
    page.fill("main input[name=password]", PASSWORD)
    page.click("main button[type=submit]")


def add_card(page: Any, number: str) -> None:
    page.check("text=Card: charged at once")
    page.click("button:has-text('Go on')")
    page.wait_for_selector("input[name=number]")
    page.fill("input[name=number]", number)
    page.fill("input[name=expiry]", "12 / 40")
    page.fill("input[name=cvc]", "123")
    page.click("text=Save card")


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_from_an_empty_balance_over_the_gateways_page_to_credit_and_invoice(
    chromium: Any, stage: Stage, cast: Cast, script: bool
) -> None:
    # S-012 S-016 S-017 S-018 S-022
    clinic = apart(lambda: cast.clinic(credit_micros=0))
    page = chromium.new_context(java_script_enabled=script).new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    sign_in(page, stage, clinic)
    page.click("main >> text=Top-up Credit >> nth=0")
    page.click("main >> text=Add a payment method >> nth=0")
    confirm_person(page)
    add_card(page, "4242424242424242")
    page.wait_for_url("**/credit/top-up/**")
    page.fill("input[name=amount]", "50")
    page.click("main button:has-text('Top-up Credit')")
    assert "will be charged against the saved credit card" in page.inner_text("main")
    page.click("text=OK, charge $50.00")
    page.wait_for_url("**/credit/top-ups/**")
    assert "$50.00 of credit added" in page.inner_text("main")
    invoice = page.get_attribute("text=Tax invoice (PDF)", "href")
    assert page.request.get(f"{stage.url}{invoice}").body().startswith(b"%PDF")
    assert complaints == []


def test_a_double_click_charges_once(chromium: Any, stage: Stage, cast: Cast) -> None:
    clinic = apart(lambda: cast.clinic(credit_micros=0))
    apart(lambda: saved_card(stage, clinic))
    page = chromium.new_page()
    sign_in(page, stage, clinic)
    page.goto(f"{stage.url}/credit/top-up/?amount=20")
    page.click("main button:has-text('Top-up Credit')")
    page.dblclick("text=OK, charge $20.00")
    page.wait_for_url("**/credit/top-ups/**")
    assert len(apart(lambda: topups.top_ups(customer_id=clinic.id))) == 1
    assert apart(lambda: clinic.available) == 20_000_000


def test_a_declined_card_leads_to_another_and_nothing_was_charged(chromium: Any, stage: Stage, cast: Cast) -> None:
    clinic = apart(lambda: cast.clinic(credit_micros=0))
    apart(lambda: saved_card(stage, clinic, DECLINED_LATER))
    apart(lambda: saved_card(stage, clinic))
    page = chromium.new_page()
    sign_in(page, stage, clinic)
    page.goto(f"{stage.url}/credit/top-up/?amount=20")
    page.click("main button:has-text('Top-up Credit')")
    page.click("text=OK, charge $20.00")
    page.wait_for_url("**/credit/top-ups/**")
    assert "Nothing was charged" in page.inner_text("main")
    page.click("text=Retry, with this card or another")
    page.check("text=•••• 4242")
    serious = [found for found in Axe().run(page).response["violations"] if found["impact"] in ("serious", "critical")]
    assert not serious, serious
    page.dblclick("text=OK, charge $20.00")
    page.wait_for_selector("text=$20.00 of credit added")
    assert apart(lambda: clinic.available) == 20_000_000


def test_the_page_sees_by_itself_that_the_bank_was_visited(chromium: Any, stage: Stage, cast: Cast) -> None:
    clinic = apart(lambda: cast.clinic(credit_micros=0))
    card = apart(lambda: saved_card(stage, clinic))
    stage.simulator.control("POST", f"/payment_methods/{card.token}", {"number": "4000002760003184"})
    page = chromium.new_page()
    sign_in(page, stage, clinic)
    page.goto(f"{stage.url}/credit/top-up/?amount=20")
    page.click("main button:has-text('Top-up Credit')")
    page.click("text=OK, charge $20.00")
    page.click("text=Confirm at your bank")
    page.click("text=Yes, it is me")
    page.wait_for_selector("text=$20.00 of credit added")
    assert apart(lambda: clinic.available) == 20_000_000


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page_about_credit_is_readable_by_everybody(
    chromium: Any, stage: Stage, cast: Cast, width: int, scheme: str
) -> None:
    clinic = apart(lambda: cast.clinic(name="Wilhelmina Featherstonehaugh-Castellanos Physiotherapy"))
    apart(lambda: saved_card(stage, clinic))
    page = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    sign_in(page, stage, clinic)
    page.goto(f"{stage.url}/settings/keys/new/")
    confirm_person(page)
    page.wait_for_selector("text=What it may do")
    for address in PAGES:
        page.goto(f"{stage.url}{address}")
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        serious = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
        assert serious == [], address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    assert complaints == []
