"""A passkey in a real browser: Chromium's virtual authenticator registers it and signs in with it, as a phone would."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.cast import PASSWORD, Cast, Clinic
from tests.stage import Stage

pytestmark = pytest.mark.browser


@pytest.fixture
def clinic(cast: Cast) -> Clinic:
    """Prepared before the browser starts."""
    return cast.clinic()


@pytest.fixture
def page(clinic: Clinic, stage: Stage, chromium: Browser) -> Iterator[Page]:
    """Passkeys are for a name, not for an address of digits: localhost, where browsers allow them without TLS."""
    page = chromium.new_context(base_url=stage.url.replace("127.0.0.1", "localhost")).new_page()
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    yield page


def test_a_passkey_is_added_signs_in_alone_and_confirms_the_person(page: Page, clinic: Clinic) -> None:
    # issue 2 §3: sign-in with passkeys
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/settings/me/")
    sign_in_by_password(page, clinic)
    page.get_by_role("link", name="Authenticator app and passkeys").click()
    readable(page)
    page.get_by_role("link", name="Add a key").click()
    confirm_by_password(page)
    readable(page)
    page.get_by_label("Name").fill("Reception laptop")
    page.get_by_role("button", name="Add the key").click()
    page.wait_for_url("**/recovery-codes/")
    expect(page.get_by_text("10 of 10 are unused")).to_be_visible()
    readable(page)
    sign_out(page)
    page.goto("/settings/me/")
    readable(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="My Details")).to_be_visible()
    page.goto("/accounts/2fa/webauthn/")
    expect(page.get_by_role("row", name="Reception laptop alone")).to_be_visible()
    readable(page)
    page.goto("/accounts/2fa/webauthn/reauthenticate/?next=/settings/keys/new/")
    readable(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Create an API key")).to_be_visible()
    assert complaints == []


def test_a_password_then_asks_for_the_key_and_a_removed_key_opens_nothing(page: Page, clinic: Clinic) -> None:
    page.goto("/accounts/2fa/webauthn/add/")
    sign_in_by_password(page, clinic)
    confirm_by_password(page)
    page.get_by_label("Sign in with it alone").uncheck()
    page.get_by_role("button", name="Add the key").click()
    page.wait_for_url("**/recovery-codes/")
    sign_out(page)
    page.goto("/settings/me/")
    sign_in_by_password(page, clinic)
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    readable(page)
    page.get_by_role("button", name="Use a security key").click()
    expect(page.get_by_role("heading", name="My Details")).to_be_visible()
    page.goto("/accounts/2fa/webauthn/")
    expect(page.get_by_role("cell", name="after the password")).to_be_visible()
    page.get_by_role("link", name="Rename").click()
    confirm_by_password(page)
    readable(page)
    page.get_by_label("Name").fill("Key ring")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Remove Key ring").click()
    readable(page)
    page.get_by_role("button", name="Remove the key").click()
    expect(page.get_by_text("You have no key yet.")).to_be_visible()
    sign_out(page)
    page.goto("/settings/me/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("No passkey was used")).to_be_visible()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_address_of_digits_says_where_passkeys_work(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    said = page.get_by_text("Browsers keep passkeys for a name")
    expect(said).to_be_visible()
    said.get_by_role("link", name="localhost").click()
    page.wait_for_url("http://localhost:*/accounts/login/")


def sign_in_by_password(page: Page, clinic: Clinic) -> None:
    page.get_by_label("Email").fill(clinic.master.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def confirm_by_password(page: Page) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def sign_out(page: Page) -> None:
    page.goto("/")
    page.locator("summary", has_text="Morgan Reyes").click()
    page.get_by_role("button", name="Sign out").click()


def readable(page: Page) -> None:
    found: list[dict[str, Any]] = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == [], page.url
    expect(page.locator("h1")).to_have_count(1)
