"""`postmeter prices import`: all rows of a table, or none."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from django.utils import timezone

from postmeter.cli import postmeter
from postmeter.cli import prices as commands
from postmeter.db import calls, scope
from postmeter.kit.refusals import BadInput, Conflict, NotFound, Refusal
from postmeter.rating import queries

HEAD = "channel,direction,prefix,country,price,fee"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "connect", lambda: None)


@pytest.fixture
def plan() -> str:
    return f"plan-{calls.next_id()}"


def load(path: Path, plan: str, *rows: str, head: str = HEAD, **options: str) -> Result:
    path.joinpath("prices.csv").write_text("\n".join([head, *rows]))
    more = [word for name, value in options.items() for word in (f"--{name}", value)]
    currency = [] if "currency" in options else ["--currency", "USD"]
    return CliRunner().invoke(postmeter, ["prices", "import", str(path / "prices.csv"), "--plan", plan, *currency, *more])


def test_prices_are_set_and_set_again(tmp_path: Path, plan: str) -> None:
    done = load(tmp_path, plan, "sms,out,1,US,0.0079,0.0035", "sms,out,+44,GB,0.0463,")
    assert done.exit_code == 0, done.output
    assert "2 prices" in done.output
    assert load(tmp_path, plan, "sms,out,1,US,0.0081,0.0035").exit_code == 0
    assert sorted(of(plan)) == [("1", 7_900, 3_500, True), ("1", 8_100, 3_500, False), ("44", 46_300, 0, False)]


def of(plan: str) -> list[tuple[str, int, int, bool]]:
    """(prefix, price, fee, whether it has ended)"""
    with scope.every_customer():
        return calls.rows(
            """SELECT r.prefix, r.price_micros, r.fee_micros, r.valid_until IS NOT NULL FROM rating_rate r
               JOIN rating_price_list l ON l.customer_id = r.customer_id AND l.id = r.price_list_id WHERE l.plan = %s""",
            [plan],
        )


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("sms,out,one,US,0.01,0", "prefix"),
        ("pigeon,out,1,US,0.01,0", "channel"),
        ("sms,up,1,US,0.01,0", "direction"),
        ("sms,out,1,US,cheap,0", "price"),
        ("sms,out,1,US,-1,0", "price"),
        ("sms,out,44,GB,0.01,0", "file"),
        ("sms,out", "file"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_set(tmp_path: Path, plan: str, row: str, field: str) -> None:
    refused = load(tmp_path, plan, "sms,out,44,GB,0.0463,0", row).exception
    assert isinstance(refused, BadInput)
    assert (refused.field, "Line 3" in refused.text) == (field, True)
    assert of(plan) == []


def test_a_table_of_something_else_is_refused(tmp_path: Path, plan: str) -> None:
    for head, rows in (("a,b", ["1,2"]), (HEAD, [])):
        assert isinstance(load(tmp_path, plan, *rows, head=head).exception, Refusal)


def test_a_plan_keeps_its_currency_and_a_day_its_price(tmp_path: Path, plan: str) -> None:
    row = "sms,out,1,US,0.0079,0.0035"
    assert load(tmp_path, plan, row, **{"from": "2027-01-01"}).exit_code == 0
    assert isinstance(load(tmp_path, plan, row, **{"from": "2027-01-01"}).exception, Conflict)
    assert isinstance(load(tmp_path, plan, row, currency="EUR").exception, BadInput)


def test_a_plan_without_prices_is_not_found(plan: str) -> None:
    with pytest.raises(NotFound):
        queries.price_list_of(customer_id=calls.next_id(), plan=plan)


def pack(tiers: str, plan: str, *more: str) -> Result:
    return CliRunner().invoke(postmeter, ["prices", "packs", tiers, "--plan", plan, "--currency", "AUD", *more])


def test_what_credits_cost_is_set_for_a_plan_that_counts_them(tmp_path: Path, plan: str) -> None:  # S-154
    load(tmp_path, plan, "sms,out,61,AU,1,0", currency="SMS")
    done = pack("1000 = 0.08; 1 = 0.10", plan)
    assert done.exit_code == 0, done.output
    assert done.output == "from 1 on A$0.10 each\nfrom 1,000 on A$0.08 each\n"
    assert pack("1 = 0.12", plan).exit_code == 0
    [now] = queries.plan_packs(plan=plan, now=timezone.now())
    assert [(tier.quantity, tier.price_micros) for tier in now.tiers] == [(1, 120_000)], "a new set replaces the whole old one"


@pytest.mark.parametrize("tiers", ["", "10", "x = 1", "1 = -1", "1 = 0", "1 = 1; 1 = 2", "5.5 = 1", "1 = 0.0000001"])
def test_pack_prices_that_cannot_be_are_refused_by_field(tmp_path: Path, plan: str, tiers: str) -> None:
    load(tmp_path, plan, "sms,out,61,AU,1,0", currency="SMS")
    refused = pack(tiers, plan)
    assert isinstance(refused.exception, BadInput)
    assert refused.exception.field == "tiers"
    assert queries.plan_packs(plan=plan, now=timezone.now()) == []


def test_a_plan_in_money_has_no_pack_prices(tmp_path: Path, plan: str) -> None:
    load(tmp_path, plan, "sms,out,1,US,0.0079,0")
    for refused in (pack("1 = 0.1", plan), pack("1 = 0.1", "no-such-plan")):
        assert isinstance(refused.exception, BadInput)
        assert refused.exception.field == "plan"
