import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.messaging.channels import CHANNELS, NoSuchChannel, channel
from postmeter.messaging.channels.sms import (
    BASIC,
    EXTENSION,
    JOINED,
    MAX_SEGMENTS,
    SINGLE,
    Empty,
    Encoding,
    TooLong,
    Unsendable,
    count,
    measure,
)
from tests.messaging.channels.texts import texts

GSM7, UCS2 = Encoding.GSM7, Encoding.UCS2

# what Twilio billed, by the "manual test results" in message-segment-calculator#66, which describes the texts of rows 3
# and 4 without spelling them. 3b and 3d are 3a and 3c after its smart encoding; ours is the cheaper spelling, tested below.
BILLED_BY_TWILIO = {
    "1a": ("a" * 80 + "\r\n" + "a" * 79, GSM7, 2),
    "1b": ("a" * 80 + "\n" + "a" * 79, GSM7, 1),
    "1c": ("a" * 200 + "\r\n" + "a" * 105, GSM7, 3),
    "2a": ("\u00e9" * 70, GSM7, 1),
    "2b": ("e\u0301" * 70, UCS2, 3),
    "2c": ("e\u0301", UCS2, 1),
    "3a": ("\u201cHello\u201d", UCS2, 1),
    "3b": ('"Hello"', GSM7, 1),
    "3c": ("\u201eHello\u200c", UCS2, 1),
    "3d": ('"Hello', GSM7, 1),
    "4": ("\U0001f600|", UCS2, 1),
    "5a": ("a" * 160, GSM7, 1),
    "5b": ("a" * 161, GSM7, 2),
    "5c": ("中" * 70, UCS2, 1),
    "5d": ("中" * 71, UCS2, 2),
    "5e": ("|", GSM7, 1),
}


@pytest.mark.parametrize("row", BILLED_BY_TWILIO)
def test_a_text_costs_what_twilio_bills(row: str) -> None:
    text, encoding, segments = BILLED_BY_TWILIO[row]
    assert count(text) == (encoding, segments)


@pytest.mark.parametrize(
    ("text", "encoding", "segments"),
    [
        ("]" * 80, GSM7, 1),
        ("]" * 81, GSM7, 2),
        ("]" * 152, GSM7, 2),
        ("]" * 153, GSM7, 3),  # message-segment-calculator#39: 306 septets, but no pair fits into the 153rd of a segment
        ("a" * 152 + "{" + "a" * 152, GSM7, 3),
        ("a" * 151 + "{" + "a" * 153, GSM7, 2),
        ("a" * 159 + "€", GSM7, 2),
        ("a" * 158 + "€", GSM7, 1),
        ("a" * 306, GSM7, 2),
        ("a" * 307, GSM7, 3),
        ("a" * 1530, GSM7, 10),
        ("ж" * 670, UCS2, 10),
        ("this is a " + "]" * 75 + "😘", UCS2, 2),  # message-segment-calculator#18: under UCS-2 a bracket costs one
        ("😀" * 35, UCS2, 1),
        ("😀" * 36, UCS2, 2),
        ("😀" * 66, UCS2, 2),
        ("😀" * 67, UCS2, 3),  # 134 units, but no pair fits into the 67th
        ("a" * 66 + "😀" + "a" * 66, UCS2, 3),
        ("é\u0301\u0301" + "a" * 67, UCS2, 1),
        ("é\u0301\u0301" + "a" * 68, UCS2, 2),
        ("`", UCS2, 1),
        ("\f" + "a" * 159, GSM7, 2),
        ("\x1b", UCS2, 1),
        ("\t.", UCS2, 1),
        ("ç", UCS2, 1),
        ("Ç", GSM7, 1),
        ("ΔΦΓΛΩΠΨΣΘΞ", GSM7, 1),
        ("Α", UCS2, 1),  # the Greek capital that looks like A
    ],
)
def test_the_edges_of_segments(text: str, encoding: Encoding, segments: int) -> None:
    assert count(text) == (encoding, segments)


@pytest.mark.parametrize("character", sorted(BASIC + EXTENSION))
def test_every_character_of_gsm_costs_one_or_two_septets(character: str) -> None:
    cost = 2 if character in EXTENSION else 1
    fits, spills = "." * (160 - cost) + character, "." * (161 - cost) + character
    assert (count(fits), count(spills)) == ((GSM7, 1), (GSM7, 2))


def reference(text: str) -> tuple[Encoding, list[str]]:
    """The rule of A-47 in its plainest form, one character after the other."""
    encoding = GSM7 if set(text) <= set(BASIC + EXTENSION) else UCS2
    wide = (lambda c: c in EXTENSION) if encoding is GSM7 else (lambda c: ord(c) > 0xFFFF)
    costs = [2 if wide(c) else 1 for c in text]
    if sum(costs) <= {GSM7: 160, UCS2: 70}[encoding]:
        return encoding, [text]
    parts, room = [""], {GSM7: 153, UCS2: 67}[encoding]
    for c, cost in zip(text, costs, strict=True):
        if cost > room:
            parts, room = [*parts, ""], {GSM7: 153, UCS2: 67}[encoding]
        parts[-1] += c
        room -= cost
    return encoding, parts


@given(texts())
def test_the_fast_count_and_the_measure_follow_the_rule(text: str) -> None:
    encoding, parts = reference(text)
    if len(parts) > MAX_SEGMENTS:
        with pytest.raises(TooLong):
            count(text)
        return
    assert count(text) == (encoding, len(parts))
    measured = measure(text)
    assert (measured.encoding, measured.segments, list(measured.parts)) == (encoding, len(parts), parts)
    assert measured.units == units(text, encoding)
    room = SINGLE[encoding] if len(parts) == 1 else JOINED[encoding]
    assert measured.units_left == room - units(parts[-1], encoding) >= 0


def units(text: str, encoding: Encoding) -> int:
    if encoding is UCS2:
        return len(text.encode("utf-16-be")) // 2
    return sum(2 if c in EXTENSION else 1 for c in text)


@given(texts(), st.sampled_from("aé€😀中"))
def test_one_more_character_never_makes_a_text_cheaper(text: str, more: str) -> None:
    try:
        longer = count(text + more)
    except TooLong:
        return
    assert longer[1] >= count(text)[1]


def test_units_left_fall_to_zero_before_a_segment_is_added() -> None:
    assert [(measure("a" * n).segments, measure("a" * n).units_left) for n in (1, 160, 161, 306, 307)] == [
        *((1, 159), (1, 0), (2, 145), (2, 0), (3, 152))
    ]


def test_what_forces_ucs2_is_shown_by_name_and_place() -> None:
    measured = measure("Don’t — it’s 中 \u200d 😀")
    assert [(f.character, f.name, f.positions, f.plain) for f in measured.forcing] == [
        ("’", "RIGHT SINGLE QUOTATION MARK", (3, 10), "'"),
        ("—", "EM DASH", (6,), "-"),
        ("中", "CJK UNIFIED IDEOGRAPH-4E2D", (13,), None),
        ("\u200d", "ZERO WIDTH JOINER", (15,), ""),
        ("😀", "GRINNING FACE", (17,), None),
    ]
    assert measure("plain [text] for 5 €").forcing == ()


def test_a_character_without_a_name_is_shown_by_its_number() -> None:
    assert measure("a\x07").forcing[0].name == "U+0007"


@pytest.mark.parametrize(
    ("dear", "plain"),
    [
        ("“Hi” ‘you’ «there»", '"Hi" \'you\' "there"'),
        ("„Hi\u200c", '"Hi'),
        ("a–b—c−d‑e", "a-b-c-d-e"),
        ("wait…", "wait..."),
        ("5\u00a0€ and\t10\u202f€", "5 € and 10 €"),
        ("José, Müller, naïve, façade, Łódź", "José, Müller, naive, facade, Lodz"),
        ("e\u0301te\u0301", "été"),
        ("ﬁne ½ ™ ② ５", "fine 1/2 TM 2 5"),
        ("Œuvre þorn ẞ", "OEuvre thorn SS"),
    ],
)
def test_a_cheaper_spelling_is_offered_when_it_saves_a_segment(dear: str, plain: str) -> None:
    padding = "." * 90
    measured = measure(dear + padding)
    assert (measured.encoding, measured.segments) == (UCS2, 2)
    assert measured.cheaper is not None
    assert (measured.cheaper.text, measured.cheaper.segments) == (plain + padding, 1)


@pytest.mark.parametrize(
    "text",
    [
        "“short”",  # one segment either way
        "“" + "a" * 90 + "” 😀",  # an emoji has no plain spelling, so changing the quotes would save nothing
        "Привет, " + "a" * 90,
        "“" + "…" * 68 + "”",  # three dots for each make it longer, not cheaper
        "plain " * 30,
    ],
)
def test_no_cheaper_spelling_is_offered_where_none_saves_a_segment(text: str) -> None:
    assert measure(text).cheaper is None


@given(texts())
def test_a_cheaper_spelling_really_costs_less(text: str) -> None:
    try:
        measured = measure(text)
    except TooLong:
        return
    if measured.cheaper is not None:
        assert count(measured.cheaper.text) == (GSM7, measured.cheaper.segments)
        assert measured.cheaper.segments < measured.segments


@pytest.mark.parametrize("text", ["", " ", "\n\r ", "\u00a0", "\u200b", " \u200d\ufeff ", "\u3000\t"])
def test_an_empty_text_is_refused(text: str) -> None:
    with pytest.raises(Empty) as refusal:
        count(text)
    assert refusal.value.field == "text"


@pytest.mark.parametrize(
    ("text", "position"), [("a\0b", 1), ("\0", 0), ("Привет\0", 6), ("ab\ud800", 2), ("\udc00a", 0), ("中\udfff\ud83d", 1)]
)
def test_what_no_phone_can_show_is_refused_with_its_place(text: str, position: int) -> None:
    with pytest.raises(Unsendable, match=f"at position {position}"):
        count(text)


@pytest.mark.parametrize("text", ["a" * 1531, "[" * 765 + "a", "ж" * 671, "😀" * 331, "a" * 10_000_000])
def test_a_text_of_more_than_ten_segments_is_refused_with_the_limit(text: str) -> None:
    for refused_by in (count, measure):
        with pytest.raises(TooLong) as refusal:
            refused_by(text)
        assert refusal.value.facts["max_segments"] == MAX_SEGMENTS
        assert "1,530" in str(refusal.value)


def test_the_channels_table_measures_in_segments() -> None:
    sms = channel("sms")
    assert (sms.unit, sms.count("a" * 161)) == ("segment", ("GSM-7", 2))
    assert all(name == entry.name for name, entry in CHANNELS.items())


def test_an_unknown_channel_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(NoSuchChannel, match="sms"):
        channel("pigeon")
