"""Card numbers in what people write are never kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.kit.cards import mask, passes_luhn


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("my card is 4242 4242 4242 4242 exp 12/29", "my card is [card number ending in 4242] exp 12/29"),
        ("4242424242424242", "[card number ending in 4242]"),
        ("5555-5555-5555-4444, 123", "[card number ending in 4444], 123"),
        ("amex 3782 822463 10005!", "amex [card number ending in 0005]!"),
        ("6011.1111.1111.1117", "[card number ending in 1117]"),
        ("two: 4242424242424242 and 5555555555554444", "two: [card number ending in 4242] and [card number ending in 4444]"),
        ("4242424242424243 fails its check digit", "4242424242424243 fails its check digit"),
        ("call +1 415 555 0100 or 020 7946 0018", "call +1 415 555 0100 or 020 7946 0018"),
        ("order 1234567890128 begins with a one", "order 1234567890128 begins with a one"),
        ("see you at 10:30 on 2026-11-24", "see you at 10:30 on 2026-11-24"),
    ],
)
def test_a_card_number_is_cut_to_its_last_four_digits(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(st.text(max_size=20), st.from_regex(r"\A[2-6][0-9]{11,17}\Z"), st.sampled_from(["", " ", "-", "."]))
def test_no_card_number_is_left_however_it_is_grouped(before: str, digits: str, between: str) -> None:
    number = next(digits + str(check) for check in range(10) if passes_luhn(digits + str(check)))
    grouped = between.join(number[place : place + 4] for place in range(0, len(number), 4))
    left = mask(f"{before}: {grouped} thanks")
    assert grouped not in left
    assert f"ending in {number[-4:]}]" in left
