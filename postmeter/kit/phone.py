"""Telephone numbers: one spelling for each, E.164 ("+14155550100").

A number must be *possible* (its length fits its country), not *valid*: reserved ranges such as 555 are what examples, tests and
the simulator use, and lists of assigned ranges are always behind. Whether a number may be written to is for the price list.
"""

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import (
    CountryCodeSource,
    NumberParseException,
    PhoneNumber,
    PhoneNumberType,
    ValidationResult,
    geocoder,
    shortnumberinfo,
)

from postmeter.kit.refusals import BadInput

E164 = r"\+[1-9][0-9]{6,14}"
_E164 = re.compile(E164, re.ASCII)

_LONGEST_TEXT = 60
_SHORT_CODE_DIGITS = 6
_EXTENSION = re.compile(r"(?:[;,#]|(?<![a-z])(?:ext|extn|extension|x))\s*[:.=]?\s*[0-9]{1,6}$", re.IGNORECASE)
_SHORTENED = re.compile(r"[0-9][.,][0-9]+E\+[0-9]+", re.IGNORECASE)

_COSTLY_TYPES = {PhoneNumberType.PREMIUM_RATE: "premium-rate", PhoneNumberType.SHARED_COST: "shared-cost"}
_COSTLY_RANGES = re.compile(
    r"\+(?:1900"  # premium of North America
    r"|1[0-9]{3}976"  # the same inside an area code
    r"|870|881"  # satellite
    r"|808|979"  # international shared cost and premium
    r"|878|882|883)"  # international networks, a favourite of toll fraud
)


class BadNumber(BadInput):
    """This is not a telephone number that can get a message."""


def looks_e164(text: str) -> bool:
    """Whether the text is spelled in E.164: all the hot path asks, since `normalize` has seen the number before."""
    return _E164.fullmatch(text) is not None


def is_costly(e164: str) -> bool:
    """Whether a number in E.164 is premium-rate, shared-cost, satellite or of a network that toll fraud likes.

    For the hot path, where no number is parsed: under a microsecond.
    """
    if _COSTLY_RANGES.match(e164):
        return True
    start, pattern = _costly_of(e164[1:4])
    return pattern is not None and pattern.fullmatch(e164, start) is not None


@lru_cache(maxsize=1000)
def _costly_of(head: str) -> tuple[int, "re.Pattern[str] | None"]:
    """Where the national number begins behind these first three digits, and what is costly there."""
    for digits in (1, 2, 3):
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(head[:digits]))
        if regions:
            found = [
                phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(int(head[:digits]), region) for region in regions
            ]
            kinds = [kind for metadata in found if metadata for kind in (metadata.premium_rate, metadata.shared_cost)]
            patterns = [kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern]
            return 1 + digits, re.compile("|".join(patterns)) if patterns else None
    return 0, None


def for_people(e164: str) -> str:
    """A number as people read it: "+1 415-555-0100". What is no number stays as it is."""
    try:
        return phonenumbers.format_number(phonenumbers.parse(e164), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    except NumberParseException:
        return e164


def normalize(text: str, region: str | None, *, field: str = "phone") -> str:
    """The E.164 spelling of a number as people write it. `region` ("US") is whose numbers lack a country code; None: nobody's.

    Refuses BadNumber, saying why: no country, letters, an extension, too short or long, emergency and short codes, premium,
    shared-cost and satellite numbers.
    """
    text = text.strip()
    _refuse_what_is_no_number(text, field)
    number = _parse(text, region, field)
    _refuse_impossible(number, text, region, field)
    spelled = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not looks_e164(spelled):
        raise _bad(f"{text} is not a complete number.", field, "Check the digits.")
    _refuse_costly(number, spelled, field)
    return spelled


def _bad(text: str, field: str, remedy: str) -> BadNumber:
    return BadNumber(text, field=field, remedy=remedy)


def _refuse_what_is_no_number(text: str, field: str) -> None:
    if not text:
        raise _bad("The number is missing.", field, "Write a telephone number with its country code, such as +14155550100.")
    if len(text) > _LONGEST_TEXT:
        raise _bad("The number is too long.", field, "Write a single telephone number.")
    if _SHORTENED.fullmatch(text):
        raise _bad(
            f"{text} was shortened by a spreadsheet.", field, "Format the column as text there, and write the number again."
        )
    if _EXTENSION.search(text.replace(";ext=", ";")):
        raise _bad(f"{text} has an extension.", field, "Messages cannot reach extensions. Write the direct number.")
    if any(character.isalpha() for character in text):
        raise _bad(f"{text} contains letters.", field, "Write the number in digits.")


def _parse(text: str, region: str | None, field: str) -> PhoneNumber:
    if region is None and not text.lstrip("(").startswith(("+", "＋", "00")):
        raise _bad(f"{text} has no country code.", field, "Begin with a plus and the country code, such as +14155550100.")
    if region is None and text.startswith("00"):
        text = "+" + text[2:]
    try:
        number = phonenumbers.parse(text, region, keep_raw_input=True)
        if text.startswith("00") and number.country_code_source is CountryCodeSource.FROM_DEFAULT_COUNTRY:
            # 00 is how most of the world dials abroad, but not how this region does; no number at home begins with it.
            number = phonenumbers.parse("+" + text[2:])
    except NumberParseException as error:
        raise _why_not(error, text, region, field) from None
    return number


def _why_not(error: NumberParseException, text: str, region: str | None, field: str) -> BadNumber:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return _bad(
            f"{text} has no country code that exists.", field, "Begin with a plus and the country code, such as +14155550100."
        )
    if error.error_type == NumberParseException.TOO_LONG:
        return _bad(f"{text} is too long.", field, "Write a single telephone number.")
    return _short_code(text, region, field) or _bad(f"{text} is not a telephone number.", field, "Write the number in digits.")


def _short_code(text: str, region: str | None, field: str) -> BadNumber | None:
    digits = "".join(character for character in text if character.isdigit())
    if region and shortnumberinfo.is_emergency_number(text, region):
        return _bad(f"{text} is an emergency number.", field, "Write the number of a person.")
    if 0 < len(digits) <= _SHORT_CODE_DIGITS and not text.startswith("+"):
        return _bad(f"{text} is a short code.", field, "Short codes cannot be written to. Write a full number.")
    return None


def _refuse_impossible(number: PhoneNumber, text: str, region: str | None, field: str) -> None:
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason == ValidationResult.IS_POSSIBLE:
        return
    if short := _short_code(text, region, field):
        raise short
    if reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        raise _bad(f"{text} has no area code.", field, "Write the number with its area code.")
    if reason == ValidationResult.TOO_SHORT:
        raise _bad(f"{text} is too short.", field, "Digits are missing.")
    if reason == ValidationResult.TOO_LONG:
        raise _bad(f"{text} is too long.", field, "There are more digits than numbers of this country have.")
    raise _bad(f"{text} has a length that no number of this country has.", field, "Check the digits.")


def _refuse_costly(number: PhoneNumber, spelled: str, field: str) -> None:
    kind = _COSTLY_TYPES.get(phonenumbers.number_type(number))
    if kind is None and _COSTLY_RANGES.match(spelled):
        kind = "premium-rate or satellite"
    if kind:
        raise _bad(f"{spelled} is a {kind} number.", field, "Messages to such numbers are blocked. Write the number of a person.")


_UNNAMED = {  # what the numbering tables have a code for and no name
    "001": "Everywhere",
    "AC": "Ascension Island",
    "BL": "Saint Barthélemy",
    "EH": "Western Sahara",
    "MF": "Saint Martin",
    "TA": "Tristan da Cunha",
    "XK": "Kosovo",
}


@lru_cache(maxsize=512)
def country_name(region: str) -> str:
    """The English name of a country ("AU" is Australia); "001" is everywhere. The letters themselves where it has no name."""
    if region in _UNNAMED:
        return _UNNAMED[region]
    example = phonenumbers.example_number(region)
    return (example and geocoder.country_name_for_number(example, "en")) or region


@lru_cache(maxsize=1)
def countries() -> dict[str, str]:
    """Every country by its two letters, with its English name, in the order of the names."""
    named = {region: country_name(region) for region in phonenumbers.SUPPORTED_REGIONS}
    return dict(sorted(named.items(), key=lambda item: item[1]))
