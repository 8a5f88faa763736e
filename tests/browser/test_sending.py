"""Sending as people do it, in a real browser: with a list, by keyboard, without JavaScript, on a phone, in the dark."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.cast import PASSWORD, Cast, Clinic, number
from tests.stage import Stage

pytestmark = pytest.mark.browser

TEXT = "Hi {First name}, your appointment is on {When}. Reply C to confirm."
ROWS = ["First name,Mobile,When"]
ROWS += [f"Ana{n},{number(n)},Tue 24 Nov 9:45" for n in range(40)]
ROWS += [f"Zoë 🎉,{number(50)},Wed 25 Nov", f",{number(51)},x", "Bad,12345,x", f"Twin,{number(0)},x", "Ragged,1"]
SOON = 30_000  # milliseconds


@pytest.fixture
def clinic(cast: Cast) -> Clinic:
    """Prepared before the browser starts."""
    return cast.clinic(name="Children’s Dental & Orthodontic Practice of Wagga Wagga")


def sign_in(browser: Browser, stage: Stage, clinic: Clinic, **options: Any) -> Page:
    page = browser.new_context(base_url=stage.url, **options).new_page()
    page.goto("/send/")
    page.get_by_label("Email").fill(clinic.master.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Send a message")).to_be_visible()
    return page


def upload(page: Page, folder: Path) -> None:
    file = folder / "recall list.csv"
    file.write_text("\n".join(ROWS), encoding="utf-8")
    page.goto("/send/list/")
    page.get_by_label("List", exact=True).set_input_files(file)
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/send/list/UP*/")


def test_a_list_goes_from_file_to_delivered(
    clinic: Clinic, stage: Stage, worker: None, chromium: Browser, tmp_path: Path
) -> None:
    page = sign_in(chromium, stage, clinic)
    upload(page, tmp_path)
    expect(page.get_by_label("Column with the telephone numbers")).to_have_value("1")
    page.get_by_label("Text", exact=True).fill(TEXT)
    page.get_by_role("button", name="Show the price").click()
    page.wait_for_url("**/send/quotes/QU*/")
    expect(page.get_by_text("41 recipients, 4 excluded")).to_be_visible()
    expect(page.get_by_text("This row has nothing in “First name”.")).to_be_visible()
    confirm = page.get_by_role("button", name=re.compile("Send 41 for"))
    assert confirm.inner_text() == "Send 41 for $0.4674"
    confirm.dblclick()
    page.wait_for_url("**/batches/BA*/")
    # The page follows by itself, without being loaded again.
    expect(page.get_by_text("All done")).to_be_visible(timeout=SOON)
    expect(page.locator("#batch")).to_contain_text("Delivered")
    expect(page.locator("#batch")).to_contain_text("$0.4674")
    # The carrier's own log is the truth: pressed twice, sent once.
    carried = json.dumps(stage.simulator.control("GET", "/log/messages?limit=100000"))
    assert carried.count("your appointment is on Tue 24 Nov 9:45") == 40
    page.get_by_role("link", name="All its messages").click()
    page.locator("tbody th a").first.click()
    expect(page.get_by_text("It was delivered.")).to_be_visible()


def test_the_first_messages_are_read_while_columns_are_chosen(
    clinic: Clinic, stage: Stage, chromium: Browser, tmp_path: Path
) -> None:
    page = sign_in(chromium, stage, clinic)
    upload(page, tmp_path)
    preview = page.locator("#preview")
    page.get_by_label("Text", exact=True).press_sequentially("Hi {First name}, see you on {When}.")
    expect(preview).to_contain_text("Hi Ana0, see you on Tue 24 Nov 9:45.")
    expect(preview).to_contain_text("Hi Ana4, see you on")
    expect(preview).to_contain_text("2 later rows cannot be sent")
    expect(preview).to_contain_text("Line 43: This row has nothing in “First name”.")
    page.get_by_label("Column with the telephone numbers").select_option("First name")
    expect(preview).to_contain_text("Ana0")
    expect(preview.locator(".field-error")).to_have_count(5)
    page.get_by_label("Text", exact=True).fill("Hi {Nome}")
    expect(preview).to_contain_text("There is no column “Nome”")


def test_a_message_is_written_priced_and_sent_by_keyboard_alone(clinic: Clinic, stage: Stage, chromium: Browser) -> None:
    page = sign_in(chromium, stage, clinic)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(6):  # past what stands beside the heading
        if page.evaluate("document.activeElement.name") == "recipients":
            break
        page.keyboard.press("Tab")
    page.keyboard.type(f"{number(1)}, {number(2)}")
    page.keyboard.press("Tab")
    page.keyboard.type("It’s time for your check-up.")
    expect(page.locator("#preview")).to_contain_text("right single quotation mark")
    expect(page.locator("#preview")).to_contain_text(re.compile(r"Together\s*\$0\.0228"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/send/quotes/QU*/")
    page.get_by_role("button", name="Send 2 for $0.0228").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/batches/BA*/")
    expect(page.get_by_role("heading", name="2 messages")).to_be_visible()


def test_everything_works_without_javascript(clinic: Clinic, stage: Stage, chromium: Browser, tmp_path: Path) -> None:
    page = sign_in(chromium, stage, clinic, java_script_enabled=False)
    page.get_by_label("To").fill(number(1))
    page.get_by_label("Text", exact=True).fill("It’s time. " * 8)
    page.get_by_role("button", name="Show price").click()
    expect(page.locator("#preview")).to_contain_text(re.compile(r"Together\s*\$0\.0228"))
    page.get_by_role("button", name="Use this spelling").click()
    expect(page.locator("#preview")).to_contain_text(re.compile(r"Together\s*\$0\.0114"))
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Send 1 for $0.0114").click()
    page.wait_for_url("**/batches/BA*/")
    expect(page.get_by_role("heading", name="1 message")).to_be_visible()
    upload(page, tmp_path)
    page.get_by_label("Text", exact=True).fill(TEXT)
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("Hi Ana0, your appointment is on Tue 24 Nov 9:45.")
    expect(page.get_by_label("Text", exact=True)).to_have_value(TEXT)
    page.get_by_role("button", name="Show the price").click()
    expect(page.get_by_text("41 recipients, 4 excluded")).to_be_visible()


def test_errors_are_read_first_and_lead_to_their_field(clinic: Clinic, stage: Stage, chromium: Browser) -> None:
    page = sign_in(chromium, stage, clinic)
    page.get_by_label("To").fill("not a number")
    page.get_by_label("Text", exact=True).fill("Hello")
    page.get_by_role("button", name="Continue").click()
    summary = page.locator(".form-errors")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="To").click()
    expect(page.get_by_label("To")).to_be_focused()
    expect(page.get_by_label("To")).to_have_value("not a number")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_readable_by_everybody_and_fits(
    clinic: Clinic, stage: Stage, chromium: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    page = sign_in(chromium, stage, clinic, viewport={"width": width, "height": 844}, color_scheme=scheme)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def look() -> None:
        page.wait_for_load_state("networkidle")
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        serious = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
        assert serious == [], page.url
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url

    look()
    page.goto("/send/list/")
    look()
    upload(page, tmp_path)
    look()
    page.get_by_label("Text", exact=True).fill(TEXT)
    page.get_by_role("button", name="Show the price").click()
    page.wait_for_url("**/send/quotes/QU*/")
    look()
    page.get_by_role("button", name=re.compile("Send 41 for")).click()
    page.wait_for_url("**/batches/BA*/")
    stop = page.get_by_role("button", name="Stop the rest")
    if stop.is_visible():
        stop.click()
        page.wait_for_load_state()
    expect(page.get_by_text(re.compile("All done|receipts are coming in"))).to_be_visible(timeout=SOON)
    look()
    for address in ("/", "/messages/", "/messages/?state=expired", "/inbox/"):
        page.goto(address)
        look()
    page.goto("/messages/")
    page.locator("tbody th a").first.click()
    page.wait_for_url("**/messages/SM*/")
    look()
    assert complaints == []


def test_on_a_phone_the_chart_opens_at_the_newest_day(clinic: Clinic, stage: Stage, worker: None, chromium: Browser) -> None:
    page = sign_in(chromium, stage, clinic, viewport={"width": 390, "height": 844})
    page.get_by_label("To").fill(number(1))
    page.get_by_label("Text", exact=True).fill("Hello")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Send 1 for").click()
    expect(page.get_by_text("All done")).to_be_visible(timeout=SOON)
    page.goto("/")
    bars = page.locator(".chart-bar")
    expect(bars).to_have_count(30)
    first, last = bars.first.bounding_box(), bars.last.bounding_box()
    assert first
    assert last
    assert first["x"] < 0, "the oldest day is scrolled out"
    assert 0 < last["x"] < last["x"] + last["width"] < 390
