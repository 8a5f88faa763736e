"""`postmeter wire`: what an operator types to import statements and to decide about the rest. A-35, S-141."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postmeter.cli import ledger, postmeter
from postmeter.cli import wire as commands
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict, Refusal
from postmeter.payments.wire.reference import found
from tests.cast import Cast
from tests.payments.bank import Arrived, Bank
from tests.topups.test_wires import entries, opened, paid, reference


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command works on the test's database."""
    for module in (commands, ledger):
        monkeypatch.setattr(module, "connect", lambda: None)


@pytest.fixture
def bank() -> Bank:
    return opened()


def run(*words: str) -> Result:
    return CliRunner().invoke(postmeter, ["wire", *words])


def refusal_of(result: Result, kind: type[Refusal]) -> str:
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def test_an_account_is_told_shown_and_closed() -> None:  # S-141
    told = run(
        "account", "GB33 BUKB 2020 1555 5555 55", "gbp", "--holder", "Northlight", "--bic", "BUKBGB22", "--also", "20-20/15"
    )
    assert told.exit_code == 0, told.output
    [line] = [line for line in run("accounts").output.splitlines() if "GB33BUKB20201555555555" in line]
    assert line == "GBP  GB33BUKB20201555555555 (also 202015)  Northlight  BUKBGB22"
    assert run("account", "GB33BUKB20201555555555", "GBP", "--close").exit_code == 0
    assert "GB33" not in run("accounts").output
    assert "needs its number and its holder" in refusal_of(run("account", "1", "GBP"), BadInput)
    assert "is not a currency" in refusal_of(run("account", "1", "XXQ", "--holder", "x"), BadInput)


def test_statements_are_imported_and_the_rest_is_decided(cast: Cast, bank: Bank, tmp_path: Path) -> None:
    clinic, rival = cast.clinic(credit_micros=0), cast.clinic(credit_micros=0)
    number = str(clinic.customer.number)
    assert found([run("reference", number).output]) == (reference(clinic),)
    file = tmp_path / "day.csv"
    rows = (Arrived("5.00", ("who is this",)), Arrived("6.00", ("not ours",)))
    file.write_bytes(bank.csv(paid(clinic, "47.11"), *rows).replace(b"Amount", b"How much"))
    assert "no column for amount" in refusal_of(run("import", str(file), "--account", bank.account), BadInput)
    assert entries(bank) == []
    done = run("import", str(file), "--account", bank.account, "--column", "amount=How much")
    assert (
        done.output == "day.csv (csv): 1 credited, 2 for a person to look at, 0 known already, 0 of no customer, 0 not booked\n"
    )
    one, other = (entry for entry in entries(bank) if entry.state == "queued")
    [line] = [line for line in run("queue").output.splitlines() if line.startswith(str(one.id))]
    for word in ("5 USD", "no_reference", "who is this", "day.csv, line 3"):
        assert word in line
    assert f"credited to {rival.customer.name}" in run("assign", str(one.id), str(rival.id), "--reason", "They told us.").output
    assert run("dismiss", str(other.id), "Sent back.").exit_code == 0
    assert "dismissed by operator" in refusal_of(run("assign", str(other.id), number, "--reason", "x"), Conflict)
    assert (clinic.available, rival.available) == (47_110_000, 5 * MICROS)
    assert not {str(one.id), str(other.id)} & {line.split()[0] for line in run("queue").output.splitlines()}
