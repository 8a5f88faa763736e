"""Payment methods in a real browser: ordered by keyboard and by dragging, switched, and readable by everybody."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from postmeter.db.public_ids import public_ids
from postmeter.payments import queries
from postmeter.payments.states import PaymentState
from tests.browser.test_buying import apart, sign_in
from tests.cast import Cast, Clinic
from tests.journeys.shop import DECLINED_LATER, saved_card
from tests.payments.cards import a_card, attempt, look
from tests.stage import Stage
from tests.topups.test_buying_twice import buy

pytestmark = pytest.mark.browser


def order(clinic: Clinic) -> list[int]:
    return apart(lambda: [row.id for row in queries.methods(customer_id=clinic.id)])


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_card_goes_to_the_top_and_back_by_keyboard_alone(chromium: Any, stage: Stage, cast: Cast, script: bool) -> None:
    # S-115 A-37
    clinic = apart(cast.clinic)
    ids = [apart(lambda: a_card(clinic)).id for _ in range(3)]
    page = chromium.new_context(java_script_enabled=script).new_page()
    sign_in(page, stage, clinic)
    page.goto(f"{stage.url}/payments/")
    page.locator("tr[data-method]").nth(2).locator("button:has-text('up')").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=is now 2 of 3")
    page.keyboard.press("Enter")  # the same button has the focus again
    page.wait_for_selector("text=is now 1 of 3")
    assert order(clinic) == [ids[2], ids[0], ids[1]]
    assert "Primary" in page.locator("tr[data-method]").first.inner_text()
    page.keyboard.press("Space")  # at the top the focus is on the way down
    page.wait_for_selector("text=is now 2 of 3")
    assert order(clinic) == [ids[0], ids[2], ids[1]]


def test_a_card_is_dragged_by_its_handle(chromium: Any, stage: Stage, cast: Cast) -> None:
    # S-116
    clinic = apart(cast.clinic)
    ids = [apart(lambda: a_card(clinic)).id for _ in range(3)]
    page = chromium.new_page()
    sign_in(page, stage, clinic)
    page.goto(f"{stage.url}/payments/")
    page.wait_for_selector("[data-handle]")
    handle = page.locator("[data-handle]").first.bounding_box()
    last = page.locator("tr[data-method]").last.bounding_box()
    page.mouse.move(handle["x"] + 5, handle["y"] + 5)
    page.mouse.down()
    page.mouse.move(handle["x"] + 5, last["y"] + last["height"] - 3, steps=8)
    assert order(clinic) == ids, "nothing is saved before it is released"
    page.mouse.up()
    page.wait_for_selector("text=The new order is saved")
    assert order(clinic) == [ids[1], ids[2], ids[0]]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_cards_in_every_health_are_readable_by_everybody(
    chromium: Any, stage: Stage, cast: Cast, width: int, scheme: str
) -> None:
    clinic = apart(cast.clinic)
    cooling, off = apart(lambda: a_card(clinic)), apart(lambda: a_card(clinic, auto_charge=False))
    apart(lambda: a_card(clinic))
    stolen = apart(lambda: a_card(clinic))
    apart(lambda: a_card(clinic, expires=(2020, 1)))
    apart(lambda: attempt(clinic, cooling, PaymentState.DECLINED, "insufficient_funds"))
    apart(lambda: attempt(clinic, stolen, PaymentState.DECLINED, "card_lost_or_stolen"))
    page = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    sign_in(page, stage, clinic)
    page.goto(f"{stage.url}/payments/")
    page.wait_for_selector("[data-handle]")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("tr[data-method]").nth(1).get_by_role("switch").click()
    page.wait_for_selector("text=may be charged automatically")
    assert apart(lambda: look(off)).auto_charge
    assert complaints == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_the_question_of_a_retry_is_readable_by_everybody(
    chromium: Any, stage: Stage, cast: Cast, width: int, scheme: str
) -> None:
    # S-137 A-31
    clinic = apart(lambda: cast.clinic(credit_micros=0))
    failed = apart(lambda: buy(clinic, saved_card(stage, clinic, DECLINED_LATER).id).top_up)
    apart(lambda: buy(clinic, saved_card(stage, clinic).id))
    page = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    sign_in(page, stage, clinic)
    page.goto(f"{stage.url}/payments/")
    page.click("main >> text=Retry")
    assert page.url.endswith(f"/credit/top-ups/{public_ids().encode('TU', failed.id)}/retry/")
    assert "$20.00 was bought since then; the balance is $20.00. Charge anyway?" in page.inner_text("main")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.check("text=•••• 4242")
    page.click("text=OK, charge $20.00")
    page.wait_for_selector("text=$20.00 of credit added")
    assert apart(lambda: clinic.available) == 40_000_000
