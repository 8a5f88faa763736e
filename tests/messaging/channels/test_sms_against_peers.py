"""Our segments beside those of other people's programs, on thousands of texts made to be measured wrongly (A-47).

Where the peers differ from the rule, the difference is known and tested too:

- Twilio's calculator keeps what a reader sees as one character (a family emoji, a letter and its accents) in one segment, which
  can only add segments; the rule keeps escape and surrogate pairs together, nothing else.
- smsutil knows no form feed and takes the escape itself for a character.
"""

from collections.abc import Callable

import pytest
import smsutil
from hypothesis import HealthCheck, example, given, settings

from postmeter.messaging.channels.sms import GSM, JOINED, SINGLE, Encoding, TooLong, count, measure
from tests.messaging.channels.conftest import Answer
from tests.messaging.channels.test_sms import units
from tests.messaging.channels.texts import ZWJ_EMOJI, texts

many = settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def segments_of_whole_graphemes(graphemes: list[str], encoding: Encoding) -> int:
    """The rule with graphemes as what may not be split: how Twilio's calculator cuts."""
    costs = [units(grapheme, encoding) for grapheme in graphemes]
    if sum(costs) <= SINGLE[encoding]:
        return 1
    segments, room = 1, JOINED[encoding]
    for cost in costs:
        if cost > room:
            segments, room = segments + 1, JOINED[encoding]
        room -= cost
    return segments


def may_be_cut(graphemes: list[str]) -> bool:
    return any(len(grapheme) > 1 for grapheme in graphemes)


@pytest.mark.peer
@many
@given(text=texts(graphemes=False))
@example(text="]" * 153)
@example(text="this is a " + "]" * 75 + "😘")
def test_single_characters_cost_what_twilios_calculator_says(calculator: Callable[[str], Answer], text: str) -> None:
    answer = calculator(text)
    assert not may_be_cut(answer.graphemes)
    try:
        assert count(text) == (answer.encoding, answer.segments)
    except TooLong:
        assert answer.segments > 10


@pytest.mark.peer
@many
@given(text=texts())
@example(text=ZWJ_EMOJI[0] * 13)
@example(text="a" * 66 + "e\u0301" + "a" * 70)
def test_composed_characters_cost_what_twilios_calculator_says_or_less_where_it_keeps_them_whole(
    calculator: Callable[[str], Answer], text: str
) -> None:
    answer = calculator(text)
    try:
        encoding, segments = count(text)
    except TooLong:
        assert answer.segments > 10
        return
    assert encoding == answer.encoding
    if segments != answer.segments:
        assert may_be_cut(answer.graphemes)
        assert segments < answer.segments == segments_of_whole_graphemes(answer.graphemes, encoding)


@pytest.mark.peer
def test_the_known_difference_is_a_composed_character_on_a_boundary(calculator: Callable[[str], Answer]) -> None:
    flags = "🇦🇺" * 33  # four code units each, 132 in all: two segments of 67, but only 16 whole flags fit into one
    assert (count(flags), calculator(flags).segments) == ((Encoding.UCS2, 2), 3)


@pytest.mark.peer
def test_every_character_has_the_encoding_that_twilios_calculator_gives_it(calculator: Callable[[str], Answer]) -> None:
    for point in range(1, 0x10000):
        if not 0xD800 <= point < 0xE000:
            expected = "GSM-7" if chr(point) in GSM else "UCS-2"
            assert (point, calculator(chr(point)).encoding) == (point, expected)


@many
@given(text=texts().filter(lambda text: not set(text) & {"\f", "\x1b"}))
def test_texts_are_split_as_smsutil_splits_them(text: str) -> None:
    parts = tuple(part.content for part in smsutil.split(text).parts)
    try:
        measured = measure(text)
    except TooLong:
        assert len(parts) > 10
        return
    assert measured.parts == parts
