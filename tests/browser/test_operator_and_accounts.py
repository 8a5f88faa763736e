"""The operator's pages, terms, accounts and webhooks in a real browser: journeys by hand, and every page by axe."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connection
from django.utils import timezone

from postmeter.costs import operations as costs
from postmeter.costs import queries as known_costs
from postmeter.costs.models import Run
from postmeter.customers import operations as customers
from postmeter.customers.models import Role, User
from postmeter.db import calls, scope
from postmeter.db.public_ids import public_ids
from postmeter.db.roles import roles_of
from postmeter.kit.money import MICROS
from postmeter.messaging.providers import Billed
from postmeter.terms import grants, queries, requests
from postmeter.topups import automation, bills
from tests.browser.test_buying import apart, confirm_person, sign_in
from tests.cast import PASSWORD, Cast, Clinic
from tests.stage import Stage, answers, end, free_port, until
from tests.topups.test_automation import rule
from tests.topups.test_bills import issued, overdrawn
from tests.wallets.team import team

pytestmark = pytest.mark.browser


@pytest.fixture
def console(stage: Stage) -> Iterator[str]:
    """The operator's pages as they run: a process of their own with the operator's login."""
    port = free_port()
    url, database = f"http://127.0.0.1:{port}", connection.settings_dict
    login = f"{roles_of(str(database['NAME'])).operator}:operator-password"
    told = stage.environment() | {
        "POSTMETER_DATABASE_URL": f"postgresql://{login}@{database['HOST']}:{database['PORT']}/{database['NAME']}",
        "POSTMETER_CONSOLE_URL": url,
    }
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)]
    with (stage.folder / "console.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "postmeter.config.console:application"], env=os.environ | told, stdout=log, stderr=log
        )
    until(lambda: answers(f"{url}/readyz"), "the console", lambda: (stage.folder / "console.log").read_text()[-2000:])
    yield url
    end(process, signal.SIGTERM)


def manager() -> User:
    user = customers.appoint(email=f"avery{calls.next_id()}@operator.example", name="Avery Featherstonehaugh-Castellanos")
    user.set_password(PASSWORD)
    user.save()
    return user


def read_by_everybody(page: Any, address: str, width: int) -> None:
    page.goto(address)
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
    assert serious == [], address
    assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def a_busy_clinic(cast: Cast) -> Clinic:
    """With a bill, a request, a promotion and a paused automatic top-up."""
    clinic = overdrawn(cast, 41_230_000)
    issued(clinic)
    now, common = timezone.now(), {"customer_id": clinic.id, "wallet_id": clinic.pool.id}
    grants.give(**common, amount_micros=5 * MICROS, reason="Welcome.", expires_at=None, key=uuid4(), actor="operator", now=now)
    requests.ask(
        customer_id=clinic.id,
        kind="overdraft",
        wanted={"limit_micros": 2_000 * MICROS},
        reason="More.",
        actor=clinic.actor,
        now=now,
    )
    automation.save(**common, rule=rule(), accepts_charge_micros=None, actor=clinic.actor, now=now)
    automation.stop(**common, reason="disputed", now=now)
    return clinic


def test_an_account_manager_finds_a_customer_and_gives_it_credit(chromium: Any, console: str, cast: Cast) -> None:
    user = apart(manager)
    clinic = apart(lambda: cast.clinic(name=f"Quoll Clinic {calls.next_id()}", credit_micros=0))
    page = chromium.new_context().new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"{console}/customers/")
    page.fill("input[name=login]", user.email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/customers/")
    page.fill("input[name=q]", clinic.customer.name)
    page.click("button:has-text('Find')")
    page.click(f"main >> text={clinic.customer.name}")
    page.click("text=Give or take credit")
    if page.locator("main input[name=password]").count():
        confirm_person(page)
    page.fill("input[name=amount]", "12.50")
    page.fill("textarea[name=reason]", "A late delivery")
    page.click("text=See what it does")
    assert "Give $12.50?" in page.inner_text("main")
    page.dblclick("main form button:has-text('OK')")
    page.wait_for_selector("text=A late delivery")
    assert apart(lambda: clinic.posted) == 12_500_000
    assert complaints == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page_of_the_operator_is_readable_by_everybody(
    chromium: Any, console: str, cast: Cast, width: int, scheme: str
) -> None:
    user, clinic = apart(manager), apart(lambda: a_busy_clinic(cast))
    page = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    page.goto(f"{console}/prices/new/")
    page.fill("input[name=login]", user.email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_selector("h1:has-text('Confirm that it is you')")
    confirm_person(page)
    page.wait_for_selector("h1:has-text('Set prices')")
    one = f"/customers/{public_ids().encode('CU', clinic.id)}/"
    asked = apart(lambda: queries.requests(customer_id=clinic.id)[0])
    own = [one, f"{one}terms/", f"{one}credit/", f"{one}requests/{public_ids().encode('CR', asked.id)}/"]
    for address in (
        "/",
        "/customers/",
        "/customers/new/",
        "/wires/",
        "/costs/",
        *apart(a_bill),
        "/money/",
        "/invoices/",
        "/prices/",
        "/prices/new/",
        "/log/",
        *own,
    ):
        read_by_everybody(page, f"{console}{address}", width)


def a_bill() -> list[str]:
    """A day's bill with a line, and its page."""
    day = timezone.now().date()
    with scope.every_customer():
        costs.keep(provider="sinch", day=day, records=[Billed("message", "F" * 26, 3, 90_000, "USD")], now=timezone.now())
        known = {
            "started_at": timezone.now(),
            "finished_at": timezone.now(),
            "totals": known_costs.totals(provider="sinch", day=day),
        }
        Run.objects.get_or_create(provider="sinch", day=day, nth=1, defaults=known | {"id": calls.next_id()})
    return [f"/costs/sinch/{day}/"]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_terms_bills_and_webhooks_are_readable_by_everybody(
    chromium: Any, stage: Stage, cast: Cast, width: int, scheme: str
) -> None:
    clinic = apart(lambda: a_busy_clinic(cast))
    bill = apart(lambda: bills.bills(customer_id=clinic.id)[0])
    page = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    sign_in(page, stage, clinic)
    page.goto(f"{stage.url}/settings/webhooks/")
    confirm_person(page)
    page.wait_for_selector("text=Add an address")
    for address in (
        "/credit/terms/",
        f"/credit/bills/{public_ids().encode('BI', bill.id)}/",
        "/settings/webhooks/",
        "/settings/groups/",
    ):
        read_by_everybody(page, f"{stage.url}{address}", width)


@pytest.mark.parametrize("width", [1280, 390])
def test_credit_goes_from_one_member_to_another_by_keyboard(chromium: Any, stage: Stage, cast: Cast, width: int) -> None:
    # S-145 S-146 S-151 S-162 S-163 S-164 S-165 S-166 S-167
    house = apart(lambda: team(cast))
    sam = apart(lambda: house.seat(Role.SENDER))
    page = chromium.new_context(viewport={"width": width, "height": 900}).new_page()
    sign_in(page, stage, house.clinic)
    for address in ("/credit/accounts/", "/credit/transfer/"):
        read_by_everybody(page, f"{stage.url}{address}", width)
    page.select_option("select[name=source]", index=1)
    page.select_option(
        "select[name=target]",
        label=next(text for text in page.locator("select[name=target] option").all_inner_texts() if text.startswith(sam.name)),
    )
    page.fill("input[name=amount]", "3")
    page.focus("input[name=agree]")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Both have been told.")
    assert apart(lambda: house.has(sam)) == 3
