"""`postmeter terms`: everything about terms from the command line."""

import re
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from postmeter.cli import ledger, postmeter
from postmeter.cli import terms as commands
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict, NotFound, Refusal
from postmeter.terms import adjustments, requests
from postmeter.topups import bills, operations
from tests.cast import Cast, Clinic, at
from tests.journeys.shop import saved_card
from tests.stage import Stage
from tests.topups.test_bills import issued, overdrawn


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (commands, ledger):
        monkeypatch.setattr(module, "connect", lambda: None)


def run(clinic: Clinic, *words: str) -> str:
    done = attempt(clinic, *words)
    assert done.exit_code == 0, done.output
    return done.output


def attempt(clinic: Clinic, *words: str) -> Result:
    return CliRunner().invoke(postmeter, ["terms", words[0], str(clinic.customer.number), *words[1:]])


def refused(clinic: Clinic, kind: type[Refusal], *words: str) -> None:
    done = attempt(clinic, *words)
    assert isinstance(done.exception, kind) or kind.__name__ in repr(done.exception) or done.exit_code == 1, done.output


def test_credit_is_given_and_taken_with_a_reason(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    assert run(clinic, "adjust", "25.50", "--reason", "goodwill").startswith("posted: AD")
    run(clinic, "adjust", "--reason", "mistake", "--", "-5.50")
    assert clinic.posted == 20 * MICROS


def test_a_large_adjustment_waits_for_somebody_else(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    said = run(clinic, "adjust", "500", "--reason", "goodwill", "--as", "operator:ann")
    name = said.split()[-1]
    refused(clinic, adjustments.SecondPerson, "approve-adjustment", name, "--as", "operator:ann")
    assert clinic.posted == 0
    assert run(clinic, "approve-adjustment", name, "--as", "operator:ben").strip() == "posted"
    assert clinic.posted == 500 * MICROS
    refused(clinic, NotFound, "approve-adjustment", "AD" + "0" * 32, "--as", "operator:ben")


def test_a_request_is_decided_and_shown(cast: Cast) -> None:
    clinic = cast.clinic()
    row = requests.ask(
        customer_id=clinic.id, kind="overdraft", wanted={"limit_micros": 9 * MICROS}, reason="", actor=clinic.actor, now=at()
    )
    name = public_ids().encode("CR", row.id)
    assert name in run(clinic, "show")
    assert run(clinic, "decide", name, "approve").strip() == "approved"
    refused(clinic, Conflict, "decide", name, "decline", "--note", "no")
    assert "may go below zero by $9.00" in run(clinic, "show")
    assert run(clinic, "decide", name, "reverse").strip() == "reversed"


def test_bills_are_settled_and_promotions_given(cast: Cast) -> None:
    clinic = overdrawn(cast, 40 * MICROS)
    bill = issued(clinic)
    name = re.findall(r"BI[0-9a-f]{32}", run(clinic, "show"))[0]
    assert run(clinic, "settle", name, "paid", "--reason", "cheque").strip() == "paid"
    assert bills.bill(customer_id=clinic.id, bill_id=bill.id).note == "cheque"
    run(clinic, "grant", "10", "--reason", "Welcome", "--expires", "2099-01-31")
    assert "promotion $10.00, left $10.00" in run(clinic, "show")
    refused(clinic, BadInput, "grant", "10", "--reason", "Welcome", "--expires", "2001-01-31")


def test_suspending_and_policies(cast: Cast) -> None:
    clinic = cast.clinic()
    assert "Suspended." in run(clinic, "suspend")
    assert "already" in run(clinic, "suspend")
    assert "suspended: by_hand" in run(clinic, "show")
    assert "Reinstated." in run(clinic, "reinstate")
    run(clinic, "policy", "--days-to-pay", "30", "--suspend-after", "60", "--no-suspend-on-dispute")
    assert "due after 30 days" in run(clinic, "show")
    refused(clinic, BadInput, "policy", "--days-to-pay", "-1")


def test_money_of_a_purchase_is_given_back(stage: Stage, cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    bought = operations.buy(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        method_id=saved_card(stage, clinic).id,
        amount_micros=30 * MICROS,
        key=uuid4(),
        actor=clinic.actor,
        now=at(),
    )
    named = public_ids().encode("TU", bought.top_up.id)
    assert run(clinic, "refund", named, "10", "--reason", "Left us") == "Given back\n"
    assert clinic.posted == 20 * MICROS
    refused(clinic, BadInput, "refund", named, "25", "--reason", "Left us")
    refused(clinic, NotFound, "refund", "TU" + "0" * 32, "5", "--reason", "Left us")
    assert clinic.posted == 20 * MICROS
