import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.kit.phone import BadNumber, is_costly, looks_e164, normalize


@pytest.mark.parametrize(
    "text",
    [
        *(
            "+14155550100",
            "(415) 555-0100",
            "415.555.0100",
            "415-555-0100",
            "1 415 555 0100",
            " +1 415 555 0100 ",
            "0014155550100",
        ),
        *("011 1 415 555 0100", "+1 (415) 555‑0100", "４１５５５５０１００", "'+14155550100"),
    ],
)
def test_one_number_written_in_many_ways_is_one_number(text: str) -> None:
    assert normalize(text, "US") == "+14155550100"


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("0412 345 678", "AU", "+61412345678"),
        ("+61 0412 345 678", "US", "+61412345678"),
        ("07700 900123", "GB", "+447700900123"),  # kept for drama: possible, never valid
        ("0044 7700 900123", "US", "+447700900123"),
        ("0014155550100", "GB", "+14155550100"),
        ("0014155550100", None, "+14155550100"),
        ("0011 44 7700 900123", "AU", "+447700900123"),
        ("+39 06 1234567", None, "+39061234567"),
        ("555 555 5555", "US", "+15555555555"),
        ("+1 876 555 0100", None, "+18765550100"),
    ],
)
def test_numbers_are_read_as_their_region_writes_them(text: str, region: str | None, number: str) -> None:
    assert normalize(text, region) == number


@pytest.mark.parametrize(
    ("text", "region", "why"),
    [
        ("", "US", "missing"),
        ("  ", "US", "missing"),
        ("415 555 0100", None, "no country code"),
        ("+999 123456789", None, "no country code that exists"),
        ("1-800-FLOWERS", "US", "letters"),
        ("hello", "US", "letters"),
        ("tel:+14155550100", "US", "letters"),
        ("4.15556E+09", "US", "shortened by a spreadsheet"),
        ("415 555 0100 ext 5", "US", "extension"),
        ("415 555 0100 x5", "US", "extension"),
        ("415 555 0100x5", "US", "extension"),
        ("415 555 0100 Ext. 512", "US", "extension"),
        ("+1 415 555 0100;ext=5", "US", "extension"),
        ("415 555 0100,,5", "US", "extension"),
        ("415 555 0100 #5", "US", "extension"),
        ("911", "US", "emergency"),
        ("112", "US", "emergency"),
        ("000", "AU", "emergency"),
        ("999", "GB", "emergency"),
        ("12345", "US", "short code"),
        ("555-1234", "US", "no area code"),
        ("+1 911", "US", "too short"),
        ("+1 415 555 010", "US", "too short"),
        ("+1 415 555 01000", "US", "too long"),
        ("4" * 61, "US", "too long"),
        ("+" + "4" * 30, "US", "too long"),
        ("+1 (415) 555-0100, +1 (415) 555-0101", "US", "not a telephone number"),
        ("+", "US", "not a telephone number"),
        ("#*!", "US", "not a telephone number"),
        ("+1 900 555 1234", None, "premium"),
        ("+1 212 976 1234", None, "premium"),
        ("+44 909 8790000", None, "premium"),
        ("+44 844 412 4444", None, "shared-cost|premium"),
        ("+979 123456789", None, "premium"),
        ("+883 510000000", None, "satellite"),
        ("+870 773111632", None, "satellite"),
    ],
)
def test_a_number_that_cannot_get_messages_is_refused_and_told_why(text: str, region: str | None, why: str) -> None:
    with pytest.raises(BadNumber, match=why) as refusal:
        normalize(text, region, field="to")
    assert (refusal.value.field, bool(refusal.value.remedy)) == ("to", True)


@pytest.mark.parametrize("kind", ["PREMIUM_RATE", "SHARED_COST", "MOBILE", "FIXED_LINE"])
def test_the_hot_path_calls_the_same_numbers_costly_that_a_list_is_refused_for(kind: str) -> None:  # promises.md 3.4
    examples = [
        phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
        for region in phonenumbers.SUPPORTED_REGIONS
        if (found := phonenumbers.example_number_for_type(region, getattr(phonenumbers.PhoneNumberType, kind)))
    ]
    assert len(examples) > 50
    for spelled in examples:
        try:
            normalize(spelled, None)
            refused = False
        except BadNumber as refusal:
            refused = "premium" in refusal.text or "shared-cost" in refusal.text
        assert is_costly(spelled) is refused, spelled


@given(
    st.text(st.sampled_from("0123456789+-() .,;#x*/０٣\u00a0\u200b'\"=Ee\n"), max_size=30),
    st.sampled_from(["US", "AU", "GB", "ZZ", None]),
)
def test_whatever_is_typed_becomes_a_number_or_a_refusal(text: str, region: str | None) -> None:
    try:
        number = normalize(text, region)
    except BadNumber:
        return
    assert looks_e164(number)
    assert normalize(number, None) == number


@pytest.mark.parametrize("text", ["+14155550100", "+1234567", "+123456789012345"])
def test_e164_is_known_by_its_looks(text: str) -> None:
    assert looks_e164(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "14155550100",
        "+04155550100",
        "+123456",
        "+1234567890123456",
        "+1415555010a",
        "+1 4155550100",
        "+14155550100\n",
        "+１4155550100",
    ],
)
def test_what_is_not_e164_does_not_look_like_it(text: str) -> None:
    assert not looks_e164(text)
