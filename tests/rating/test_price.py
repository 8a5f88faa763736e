from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.rating.price import (
    ANY,
    HIGHEST_PRICE_MICROS,
    PROVIDER_ACCEPTED,
    BadRate,
    PayablePolicy,
    Price,
    Rate,
    RateTable,
    price,
    up_to_a_micro,
)

NORTH_AMERICA = Rate("1", "US", 7_900, 3_000)
JAMAICA = Rate("1876", "JM", 180_000)
UNITED_KINGDOM = Rate("44", "GB", 40_000)
prefixes = st.from_regex(r"[1-9][0-9]{0,5}", fullmatch=True)


@pytest.mark.parametrize(
    ("number", "rate"),
    [
        ("+14155550100", NORTH_AMERICA),
        ("+18765550100", JAMAICA),
        ("+447700900123", UNITED_KINGDOM),
        ("+18", NORTH_AMERICA),
        ("+61412345678", None),
        ("+", None),
        ("", None),
    ],
)
def test_the_longest_prefix_decides(number: str, rate: Rate | None) -> None:
    table = RateTable([NORTH_AMERICA, JAMAICA, UNITED_KINGDOM])
    assert table.find(number) is rate
    assert table.find(number) is rate  # the second answer comes from memory


@given(st.lists(prefixes, unique=True, max_size=40), st.lists(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), max_size=40))
def test_a_table_finds_what_a_search_through_all_rates_finds(listed: list[str], numbers: list[str]) -> None:
    rates = [Rate(prefix, "US", len(prefix)) for prefix in listed]
    table = RateTable(rates)
    for number in numbers + ["+" + prefix for prefix in listed]:
        fitting = [rate for rate in rates if number.startswith("+" + rate.prefix)]
        assert table.find(number) == max(fitting, key=lambda rate: len(rate.prefix), default=None)


def test_the_memory_of_a_table_is_bounded() -> None:
    table = RateTable([NORTH_AMERICA, Rate("12345678", "US", 1)])
    table.MEMO_SIZE = 10
    for number in range(10_000_000, 10_000_100):
        assert table.find(f"+{number}") is NORTH_AMERICA
    assert len(table._memo) <= 10


def test_an_empty_list_reaches_nowhere() -> None:
    assert RateTable([]).find("+14155550100") is None


def test_one_prefix_has_one_rate() -> None:
    with pytest.raises(BadRate, match="twice"):
        RateTable([NORTH_AMERICA, Rate("1", "CA", 7_900)])


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("prefix", {"prefix": ""}),
        ("prefix", {"prefix": "+1"}),
        ("prefix", {"prefix": "0"}),
        ("prefix", {"prefix": "1 876"}),
        ("prefix", {"prefix": "١"}),
        ("prefix", {"prefix": "1" * 16}),
        ("country", {"country": "us"}),
        ("country", {"country": "USA"}),
        ("price_micros", {"price_micros": -1}),
        ("fee_micros", {"fee_micros": -1}),
        ("price_micros", {"price_micros": HIGHEST_PRICE_MICROS + 1}),
    ],
)
def test_a_line_that_would_misprice_is_refused(field: str, values: dict[str, object]) -> None:
    with pytest.raises(BadRate) as refusal:
        Rate(**{"prefix": "1", "country": "US", "price_micros": 1, **values})  # type: ignore[arg-type]
    assert (refusal.value.field, bool(refusal.value.remedy)) == (field, True)


def test_zero_is_a_price() -> None:
    assert price(3, Rate("1", "US", 0)).total_micros == 0


def test_price_and_carrier_fee_are_counted_by_the_segment_and_kept_apart() -> None:  # S-085, S-088, S-089
    assert price(3, NORTH_AMERICA) == Price(price_micros=23_700, fee_micros=9_000)
    assert price(3, NORTH_AMERICA).total_micros == 32_700


@given(st.integers(1, 100), st.integers(1, 100), st.integers(0, HIGHEST_PRICE_MICROS), st.integers(0, HIGHEST_PRICE_MICROS))
def test_the_price_of_a_whole_is_the_sum_of_its_parts(one: int, other: int, price_micros: int, fee_micros: int) -> None:
    rate = Rate("1", "US", price_micros, fee_micros)
    assert price(one + other, rate).total_micros == price(one, rate).total_micros + price(other, rate).total_micros


@pytest.mark.parametrize("units", [0, -1])
def test_a_message_without_units_is_a_bug(units: int) -> None:
    with pytest.raises(ValueError, match="at least one unit"):
        price(units, NORTH_AMERICA)


@pytest.mark.parametrize(
    ("text", "micros"),
    [("0.0079", 7_900), ("0", 0), ("1", 1_000_000), ("0.0000001", 1), ("0.00790001", 7_901), ("0.007900", 7_900)],
)
def test_prices_finer_than_a_micro_are_rounded_up_once(text: str, micros: int) -> None:
    assert Rate.read("1", "US", text, text) == Rate("1", "US", micros, micros)


@pytest.mark.parametrize(
    "text", ["", "-1", "-0.01", "1e-3", "NaN", "Infinity", "0,01", "$1", " 1", "1_0", "１", ".5", "9" * 5000]
)
def test_a_price_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadRate):
        Rate.read("1", "US", text)


@given(st.decimals(0, 1000, places=12))
def test_rounding_up_takes_less_than_a_micro(amount: Decimal) -> None:
    assert 0 <= up_to_a_micro(amount) - amount * 1_000_000 < 1


#
@pytest.mark.parametrize(
    ("status", "error_code", "payable"),
    [
        ("delivered", None, True),
        ("sent", None, True),
        ("undelivered", None, True),
        ("undelivered", 30003, True),
        ("undelivered", 30006, True),
        ("undelivered", 99999, True),
        ("undelivered", 30001, False),
        ("undelivered", 30500, False),
        ("failed", None, False),
        ("failed", 30003, False),
        ("expired", None, False),
        ("cancelled", None, False),
    ],
)
def test_by_default_a_message_is_paid_that_the_provider_took_and_did_not_break(
    status: str, error_code: int | None, payable: bool
) -> None:
    assert PayablePolicy().payable(status, error_code) is payable


def test_a_price_list_may_say_otherwise() -> None:  # D-08
    only_delivered = PayablePolicy({**PROVIDER_ACCEPTED, ("undelivered", ANY): False, ("undelivered", "landline"): True})
    assert not only_delivered.payable("undelivered", 30003)
    assert not only_delivered.payable("undelivered")
    assert only_delivered.payable("undelivered", 30006)


@pytest.mark.parametrize("status", ["queued", "sending", "unknown", ""])
def test_what_has_not_ended_is_not_decided(status: str) -> None:
    with pytest.raises(ValueError, match="says nothing"):
        PayablePolicy().payable(status)
