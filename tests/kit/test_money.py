from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.kit.money import (
    LARGEST_MICROS,
    MINOR_DIGITS,
    BadAmount,
    NotWhole,
    UnknownUnit,
    decimal_string,
    exact_minor,
    format_amount,
    from_minor,
    minor_digits,
    parse_amount,
    parse_decimal_string,
    to_minor,
)

micros = st.integers(-LARGEST_MICROS, LARGEST_MICROS)
units = st.sampled_from([*MINOR_DIGITS, "SMS"])


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("10", "USD", 10_000_000),
        ("10.5", "USD", 10_500_000),
        (" 10.00 ", "USD", 10_000_000),
        ("0", "USD", 0),
        ("0.01", "USD", 10_000),
        ("007.10", "USD", 7_100_000),
        ("1500", "JPY", 1_500_000_000),
        ("1.234", "KWD", 1_234_000),
        ("500", "SMS", 500_000_000),
        ("9223372036854.77", "USD", 9_223_372_036_854_770_000),
    ],
)
def test_plain_amounts_are_read_as_people_type_them(text: str, unit: str, expected: int) -> None:
    assert parse_amount(text, unit, field="amount") == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "-",
            ".",
            "-1",
            "−1",
            "–1",
            "-0",
            "+10",
            "1e3",
            "1E3",
            "1_000",
            "0x10",
            "１０",
            "٣",
            "10\n",
            "\t10",
            "10\u00a0",
        ),
        *(
            "NaN",
            "nan",
            "Infinity",
            "inf",
            "1,000.00",
            "1.000,00",
            "1,5",
            "1'000",
            "1 000",
            "10.",
            ".5",
            "1.2.3",
            "$10",
            "10 USD",
        ),
        *("10.001", "10.000", "9223372036854.78", "9223372036855", "1" + "0" * 40, "9" * 5000, "²", "½", "1\x00", "null", "true"),
    ],
)
def test_whatever_could_be_misread_is_refused_with_the_field_and_a_remedy(text: str) -> None:
    with pytest.raises(BadAmount) as refusal:
        parse_amount(text, "USD", field="top_up")
    assert refusal.value.field == "top_up"
    assert refusal.value.remedy
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(("text", "unit"), [("1.5", "JPY"), ("1.0", "SMS"), ("1.2345", "KWD")])
def test_an_amount_has_at_most_the_decimals_of_its_unit(text: str, unit: str) -> None:
    with pytest.raises(BadAmount, match=r"decimals"):
        parse_amount(text, unit, field="amount")


def test_a_thousands_separator_is_answered_with_how_to_write_it() -> None:
    with pytest.raises(BadAmount, match=r"such as 1000\.00"):
        parse_amount("1,000", "USD", field="amount")


@pytest.mark.parametrize("unit", ["", "usd", "XXX", "BTC", "US", "sms"])
def test_unknown_units_are_refused(unit: str) -> None:
    with pytest.raises(UnknownUnit):
        parse_amount("10", unit, field="amount")


@pytest.mark.parametrize(("unit", "digits"), [("USD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("SMS", 0)])
def test_units_know_their_minor_digits(unit: str, digits: int) -> None:
    assert minor_digits(unit) == digits


@given(micros)
def test_decimal_strings_are_exact_both_ways(amount: int) -> None:
    assert parse_decimal_string(decimal_string(amount), field="amount") == amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (10_000_000, "10"), (7_900, "0.0079"), (-500_000, "-0.5"), (1, "0.000001"), (12_340_000, "12.34")],
)
def test_decimal_strings_take_their_shortest_form(amount: int, text: str) -> None:
    assert decimal_string(amount) == text


@pytest.mark.parametrize("text", ["10.50", "0.000000", "10.000000"])
def test_programs_may_write_trailing_zeros(text: str) -> None:
    assert parse_decimal_string(text, field="amount") == round(float(text) * 1_000_000)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " 1",
            "1 ",
            "+1",
            "01",
            "1.",
            ".5",
            "1.0000001",
            "1e3",
            "1_0",
            "１",
            "NaN",
            "9223372036855",
            "-9223372036855",
            "1\n",
        ),
        "--1",
    ],
)
def test_programs_must_write_exactly(text: str) -> None:
    with pytest.raises(BadAmount):
        parse_decimal_string(text, field="amount")


@pytest.mark.parametrize("value", [10, 0.1, None, True, [], {}])
def test_a_number_instead_of_a_string_is_refused_since_it_may_have_lost_decimals(value: object) -> None:
    with pytest.raises(BadAmount, match="must be a string"):
        parse_decimal_string(value, field="amount")


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (12_340_000, "USD", "$12.34"),
        (-500_000, "USD", "−$0.50"),
        (0, "USD", "$0.00"),
        (1_234_567_000_000, "USD", "$1,234,567.00"),
        (7_900, "USD", "$0.0079"),
        (12_345_000, "USD", "$12.3450"),
        (1, "USD", "$0.000001"),
        (1_200_000_000, "CHF", "CHF 1,200.00"),
        (-1_000_000, "CHF", "−CHF 1.00"),
        (1_500_000_000, "JPY", "¥1,500"),
        (1_234_000, "KWD", "KWD 1.234"),
        (12_000_000, "SMS", "12 SMS credits"),
        (1_000_000, "SMS", "1 SMS credit"),
        (-1_000_000, "SMS", "−1 SMS credit"),
        (1_500_000, "SMS", "1.5000 SMS credits"),
    ],
)
def test_amounts_on_pages(amount: int, unit: str, text: str) -> None:
    assert format_amount(amount, unit) == text


@pytest.mark.parametrize(
    ("amount", "places", "text"),
    [
        (12_345_000, 2, "$12.35"),
        (12_344_999, 2, "$12.34"),
        (-4_999, 2, "$0.00"),
        (-5_000, 2, "−$0.01"),
        (1_999_999, 0, "$2"),
        (1, 6, "$0.000001"),
    ],
)
def test_amounts_on_pages_may_be_rounded_for_the_eye(amount: int, places: int, text: str) -> None:
    assert format_amount(amount, "USD", places) == text


@given(micros, units)
def test_an_amount_on_a_page_is_exact_unless_rounding_was_asked_for(amount: int, unit: str) -> None:
    shown = format_amount(amount, unit)
    digits = "".join(c for c in shown if c in "0123456789.")
    assert parse_decimal_string(digits, field="shown") == abs(amount)
    assert shown.startswith("−") == (amount < 0)


#
@pytest.mark.parametrize(
    ("amount", "unit", "minor"),
    [
        *((4_999, "USD", 0), (5_000, "USD", 1), (14_999, "USD", 1), (15_000, "USD", 2), (-5_000, "USD", -1), (-4_999, "USD", 0)),
        *((500_000, "JPY", 1), (499_999, "JPY", 0), (500, "KWD", 1), (1_234_000, "KWD", 1_234)),
    ],
)
def test_invoices_round_half_up_once(amount: int, unit: str, minor: int) -> None:
    assert to_minor(amount, unit) == minor


@given(micros, units)
def test_rounding_loses_at_most_half_of_the_smallest_coin(amount: int, unit: str) -> None:
    remainder = amount - from_minor(to_minor(amount, unit), unit)
    assert 2 * abs(remainder) <= 10 ** (6 - minor_digits(unit))


@given(st.integers(-(10**12), 10**12), units)
def test_coins_survive_the_way_there_and_back(minor: int, unit: str) -> None:
    assert exact_minor(from_minor(minor, unit), unit) == minor


@pytest.mark.parametrize(("amount", "unit"), list(product([1, 9_999, -1], ["USD", "JPY", "KWD"])))
def test_a_remainder_is_refused_where_nothing_may_be_rounded(amount: int, unit: str) -> None:
    with pytest.raises(NotWhole) as refusal:
        exact_minor(amount, unit, field="amount")
    assert refusal.value.field == "amount"
