"""`postmeter customer`: an install without the demo gets its first customer by a command."""

import pytest
from click.testing import CliRunner, Result
from django.test import Client

from postmeter.cli import customer as commands
from postmeter.cli import ledger, postmeter
from postmeter.customers.models import Customer
from postmeter.db import calls, scope
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict, Refusal
from postmeter.rating import operations as rating
from postmeter.rating import queries as rating_queries
from postmeter.topups import queries as topups
from postmeter.wallets import operations as wallets
from postmeter.wallets import queries
from tests.cast import Cast, at
from tests.notifications.test_alerts import spend

OPENING = {
    "--name": "Bay Dental",
    "--email": "accounts@bay.example",
    "--country": "AU",
    "--currency": "AUD",
    "--time-zone": "Australia/Sydney",
    "--address": "1 Quay;Sydney NSW 2000",
    "--master-name": "Alex Moana",
    "--plan": "bay",
}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command works on the test's database."""
    for module in (commands, ledger):
        monkeypatch.setattr(module, "connect", lambda: None)


@pytest.fixture(autouse=True)
def plan() -> None:
    """A plan of its own: what prices other tests have left is nobody's business here."""
    with scope.every_customer():
        if rating_queries.plan_list(plan="bay") is None:
            rating.create_price_list(name="Bay", plan="bay", currency="AUD", payable={}, now=at(), actor="operator")


def run(*words: str) -> Result:
    return CliRunner().invoke(postmeter, ["customer", *words])


def unique() -> dict[str, str]:
    number = calls.next_id() % 10**10
    return {"--sender": f"+6149{number:010d}", "--master-email": f"alex-{number}@bay.example"}


def add(**changes: str) -> Result:
    options = OPENING | unique() | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return run("add", *(word for pair in options.items() for word in pair))


def test_a_customer_is_opened_and_its_master_sets_a_password() -> None:
    done = add()
    assert done.exit_code == 0, done.output
    number, link = int(done.output.split()[0]), done.output.split()[-1]
    with scope.every_customer():
        found = Customer.objects.get(number=number)
    assert (found.name, found.address) == ("Bay Dental", "1 Quay\nSydney NSW 2000")
    assert [wallet.kind for wallet in queries.wallets(customer_id=found.id)] == ["pool", "sandbox"]
    browser = Client()
    form = browser.get(link[link.index("/accounts") :], follow=True)
    assert form.status_code == 200
    assert "password1" in form.content.decode()
    assert f"{number}  Bay Dental" in run("list").output


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("country", "XX", "country"),
        ("currency", "DOLLARS", "currency"),
        ("time_zone", "Sydney", "time_zone"),
        ("sender", "0491", "sender"),
        ("email", "nobody", "email"),
        ("name", " ", "name"),
    ],
)
def test_what_cannot_be_is_refused_by_field_and_nothing_is_opened(option: str, value: str, field: str) -> None:
    before = _customers()
    refused = add(**{option: value}).exception
    assert isinstance(refused, BadInput)
    assert refused.field == field
    assert _customers() == before


def test_a_number_in_use_opens_nothing() -> None:
    sender = unique()["--sender"]
    assert add(sender=sender).exit_code == 0
    before = _customers()
    assert isinstance(add(sender=sender).exception, Conflict)
    assert _customers() == before


def _customers() -> int:
    with scope.every_customer():
        return Customer.objects.count()


def test_a_customer_may_go_below_zero_as_far_as_its_limit(cast: Cast) -> None:  # S-095 S-096 A-39
    clinic = cast.clinic(credit_micros=10 * MICROS)
    number = str(clinic.customer.number)
    assert run("limit", number, "20").exit_code == 0
    spend(clinic, 25 * MICROS)
    figures = topups.figures(customer_id=clinic.id, wallet=clinic.pool)
    assert figures.limit_micros == 20 * MICROS
    assert 5 * MICROS <= figures.available_micros < 6 * MICROS
    assert figures.posted_micros - figures.held_micros < 0
    assert isinstance(run("limit", number, "5").exception, Conflict), "more than that is used"
    assert run("limit", number, "15").exit_code == 0
    assert "may go to −$15.00" in run("list").output


@pytest.mark.parametrize(("customer", "amount"), [("0", "5"), ("nobody", "5"), ("", "-5"), ("", "ten"), ("", "9000000")])
def test_a_limit_that_cannot_be_is_refused(cast: Cast, customer: str, amount: str) -> None:
    clinic = cast.clinic()
    done = run("limit", customer or str(clinic.customer.number), "--", amount)
    assert isinstance(done.exception, Refusal), done.output
    with scope.customer(clinic.id), pytest.raises(BadInput):
        wallets.set_limit(customer_id=clinic.id, wallet=clinic.pool, limit_micros=-1, actor="operator", now=at())
