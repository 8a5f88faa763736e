"""Payment references with a checksum (ISO 11649), and how they are found in what banks pass on. A-35, S-141."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iso11649

from postmeter.payments.wire.reference import SERIALS, found, reference_of, written

SERIAL = st.integers(0, SERIALS - 1)
BREAK = st.sampled_from(["", "", "", " ", "  ", "\n", "\r\n", "-", "/", ".", "?21", "\n?22", "\n ?23 "])
NOISE = st.text(alphabet=" abcdefghijklmnopqrstuvwxyzSVWZKREF+/:.,-äöüß\n", max_size=60)


@given(SERIAL, SERIAL)
def test_each_wallet_gets_a_reference_of_its_own_that_anybody_can_check(one: int, other: int) -> None:
    assert iso11649.is_valid(reference_of(one))
    assert len(reference_of(one)) == 14
    assert (reference_of(one) == reference_of(other)) == (one == other)


@given(SERIAL, st.lists(BREAK, min_size=14, max_size=14), NOISE, NOISE, st.booleans())
def test_a_reference_is_found_split_cut_in_lower_case_and_in_noise(
    serial: int, breaks: list[str], before: str, after: str, lower: bool
) -> None:
    reference = reference_of(serial)
    split = "".join(letter + gap for letter, gap in zip(reference, breaks, strict=True))
    text = before + (split.lower() if lower else split) + after
    assert reference in found([text])


@given(SERIAL, st.integers(1, 60))
def test_a_reference_is_found_wherever_the_bank_wraps_its_lines(serial: int, width: int) -> None:
    text = f"SVWZ+Invoice 2026/11 Harbour Physio {written(reference_of(serial))} thank you"
    wrapped = "\n".join(text[at : at + width] for at in range(0, len(text), width))
    assert found([wrapped]) == (reference_of(serial),)


@given(SERIAL, st.integers(2, 13), st.sampled_from("0123456789"))
def test_one_wrong_digit_is_never_taken_for_a_reference(serial: int, place: int, digit: str) -> None:
    reference = reference_of(serial)
    wrong = reference[:place] + digit + reference[place + 1 :]
    assert found([wrong]) == ((reference,) if digit == reference[place] else ())


@given(SERIAL, st.integers(2, 12))
def test_two_digits_that_changed_places_are_noticed(serial: int, place: int) -> None:
    reference = reference_of(serial)
    swapped = reference[:place] + reference[place + 1] + reference[place] + reference[place + 2 :]
    assert found([swapped]) == ((reference,) if swapped == reference else ())


def test_letters_typed_for_digits_are_forgiven_where_the_checksum_agrees() -> None:
    reference = reference_of(100_100)
    assert "0" in reference or "1" in reference
    assert found([reference[:2] + reference[2:].replace("0", "O").replace("1", "l")]) == (reference,)


def test_a_reference_does_not_go_on_from_one_text_into_another() -> None:
    reference = reference_of(7)
    assert found([reference[:8], reference[8:]]) == ()
    assert found([f"{reference[:8]}\n{reference[8:]}"]) == (reference,)


def test_two_references_are_both_found_once_each() -> None:
    one, other = reference_of(1), reference_of(2)
    assert found([f"{one} and {other}", one]) == (one, other)


def test_there_are_no_references_beyond_the_last() -> None:
    with pytest.raises(ValueError, match="no more than"):
        reference_of(SERIALS)
