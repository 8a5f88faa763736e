"""Consent on the pages, in a real browser: read by everybody, on a phone too, and written down in words."""

from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from postmeter.consent import operations as consent
from postmeter.consent.models import EVERYTHING
from postmeter.messaging.addresses import unsubscribe_url
from postmeter.messaging.operations.accept import Submission, submit
from tests.browser.test_sending import sign_in
from tests.cast import Cast, Clinic, at
from tests.messaging.test_inbound import ANA
from tests.stage import Stage
from tests.web.test_inbox import conversation

pytestmark = pytest.mark.browser


@pytest.fixture
def told(cast: Cast) -> tuple[Clinic, str, str]:
    """A clinic, its conversation with Ana, who wants no advertising, and the page that an email of a bill links to."""
    clinic = cast.clinic()
    path, now = conversation(clinic, "Can we move it?"), at()
    consent.opt_out(
        customer_id=clinic.id, channel="sms", address=ANA, source="reply", now=now, actor="recipient", purpose="advertising"
    )
    consent.set_stop_rule(customer_id=clinic.id, reach=EVERYTHING, since=now + timedelta(days=68), actor=clinic.actor, now=now)
    bill = Submission(
        clinic.id, ["ana@patients.example"], ["Your bill\nPlease pay"], clinic.actor, channel="email", kind="billing"
    )
    return clinic, path, "/stop/" + unsubscribe_url(clinic.id, submit(bill, now=now).ids[0]).rpartition("/")[2]


@pytest.mark.parametrize("width", [1280, 390])
def test_consent_is_readable_by_everybody_and_written_down_by_keyboard(
    told: tuple[Clinic, str, str], stage: Stage, chromium: Browser, width: int, tmp_path: Path
) -> None:
    clinic, path, stop = told
    page = sign_in(chromium, stage, clinic, viewport={"width": width, "height": 844})

    def look(name: str) -> None:
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == [], page.url
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)

    page.goto("/settings/messaging/")
    expect(page.get_by_text("a STOP is for everything.")).to_be_visible()
    look("settings")
    page.goto(path)
    expect(page.get_by_text("they opted out of advertising")).to_be_visible()
    page.get_by_label("What", exact=True).select_option("billing")
    page.get_by_label("What they said").fill("On the telephone")
    page.get_by_role("button", name="They want no more").press("Enter")
    expect(page.get_by_text("they opted out of billing reminders")).to_be_visible()
    look("thread")
    page.goto(stop)
    look("stop")
    page.get_by_role("button", name="Only from billing reminders").click()
    expect(page.get_by_text("sends no more billing reminders by email")).to_be_visible()
    look("stopped")
