"""Amounts: whole micro-units of a unit, never floats.

A unit is an ISO 4217 currency ("USD") or a named credit ("SMS"). One micro is a millionth of it, so 10 USD are 10_000_000 and
half a cent is exact. Amounts fit a BIGINT. Rounding happens in two places only: prices up to a micro (`rating.price`), and here
to the currency's minor unit, for invoices and cards (`to_minor`).
"""

import re
from dataclasses import dataclass

from postmeter.kit.refusals import BadInput

MICROS = 1_000_000
LARGEST_MICROS = 2**63 - 1

_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DIGITS = "CLF UYW"
_TWO_DIGITS = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP "
    "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR "
    "KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN "
    "PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD "
    "TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
MINOR_DIGITS: dict[str, int] = {
    **dict.fromkeys(_NO_DIGITS.split(), 0),
    **dict.fromkeys(_TWO_DIGITS.split(), 2),
    **dict.fromkeys(_THREE_DIGITS.split(), 3),
    **dict.fromkeys(_FOUR_DIGITS.split(), 4),
}
"""Digits of the minor unit by currency (ISO 4217, list one)."""


@dataclass(frozen=True, slots=True)
class Credit:
    """A named credit: bought and spent in whole ones."""

    one: str
    many: str


CREDITS = {"SMS": Credit(one="SMS credit", many="SMS credits")}

SYMBOLS = {
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "¥",
    "INR": "₹",
    "AUD": "A$",
    "CAD": "CA$",
    "NZD": "NZ$",
    "MXN": "MX$",
    "BRL": "R$",
}


class BadAmount(BadInput):
    """This is not an amount."""


class UnknownUnit(BadInput):
    """There is no such currency or credit."""


class NotWhole(BadInput):
    """This amount cannot be paid exactly."""


def minor_digits(unit: str) -> int:
    """Digits after the point in which the unit is paid: USD 2, JPY 0, KWD 3, a named credit 0. Refuses UnknownUnit."""
    if unit in CREDITS:
        return 0
    try:
        return MINOR_DIGITS[unit]
    except KeyError:
        raise UnknownUnit(
            f"{unit!r} is not a currency or credit.", field="unit", remedy="Use an ISO 4217 code such as USD."
        ) from None


# --- what people type


_TYPED = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_LONGEST_TEXT = 40  # before any arithmetic: very long digit strings are slow to read


def parse_amount(text: str, unit: str, *, field: str) -> int:
    """Micros of an amount as people type it: "10", "10.5", " 10.00 ". Zero or more.

    Refuses (BadAmount, naming `field`) whatever could be read in two ways or hides a slip: signs, separators of thousands,
    exponents, digits of other scripts, more decimals than the unit has, more than a BIGINT holds.
    """
    typed = text.strip(" ")
    digits = minor_digits(unit)
    example = f"{10:.{digits}f}" if digits else "10"
    if not typed:
        raise BadAmount("The amount is missing.", field=field, remedy=f"Write an amount such as {example}.")
    match = _TYPED.fullmatch(typed) if len(typed) <= _LONGEST_TEXT else None
    if match is None:
        raise BadAmount(
            f"{_short(typed)} is not an amount.", field=field, remedy=_remedy(typed) or f"Write plain digits, such as {example}."
        )
    whole, decimals = match[1], match[2] or ""
    if len(decimals) > digits:
        allowed = f"at most {digits} decimals" if digits else "no decimals"
        raise BadAmount(f"{unit} has {allowed}.", field=field, remedy=f"Write an amount such as {example}.")
    return _in_range(int(whole) * MICROS + int(decimals.ljust(6, "0")), field)


def _remedy(typed: str) -> str | None:
    if typed[0] in "-−–":
        return "Write an amount of zero or more."
    if "," in typed or "'" in typed or " " in typed:
        return "Write it with a point for decimals and nothing between thousands, such as 1000.00."
    return None


def _short(typed: str) -> str:
    return repr(typed if len(typed) <= _LONGEST_TEXT else typed[:_LONGEST_TEXT] + "…")


def _in_range(micros: int, field: str) -> int:
    if abs(micros) > LARGEST_MICROS:
        raise BadAmount("This amount is too large.", field=field, remedy=f"The largest is {decimal_string(LARGEST_MICROS)}.")
    return micros


# --- what programs say


_DECIMAL_STRING = re.compile(r"(-?)(0|[1-9][0-9]{0,12})(?:\.([0-9]{1,6}))?", re.ASCII)


def decimal_string(micros: int) -> str:
    """The exact amount for programs, shortest form: "10", "0.0079", "-0.5"."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    decimals = f"{rest:06d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def parse_decimal_string(text: object, *, field: str) -> int:
    """Micros of a decimal string from a program: an optional minus, digits, at most six decimals. Inverse of `decimal_string`."""
    if not isinstance(text, str):
        raise BadAmount(
            "An amount must be a string.", field=field, remedy='Write "0.1", not 0.1: JSON numbers do not keep decimals exactly.'
        )
    match = _DECIMAL_STRING.fullmatch(text)
    if match is None:
        raise BadAmount(
            f"{_short(text)} is not a decimal string.",
            field=field,
            remedy='Write digits with at most six decimals, such as "12.34".',
        )
    micros = int(match[2]) * MICROS + int((match[3] or "").ljust(6, "0"))
    return _in_range(-micros if match[1] else micros, field)


# --- what people read


def format_amount(micros: int, unit: str, places: int | None = None) -> str:
    """An amount for pages: "$12.34", "−$0.50" (U+2212), "CHF 1,200.00", "12 SMS credits".

    Without `places` it is exact: the unit's own decimals, four where a unit price needs them ("$0.0079"), six if even that is not
    enough. With `places` (0 to 6) it is rounded half-up for the eye.
    """
    shown = _places_needed(micros, unit) if places is None else places
    step = _step(shown)
    rounded = (abs(micros) + step // 2) // step
    sign = "−" if micros < 0 and rounded else ""
    whole, rest = divmod(rounded, 10**shown)
    number = f"{whole:,}.{rest:0{shown}d}" if shown else f"{whole:,}"
    if unit in CREDITS:
        return f"{sign}{number} {CREDITS[unit].one if number == '1' else CREDITS[unit].many}"
    if unit in SYMBOLS:
        return f"{sign}{SYMBOLS[unit]}{number}"
    return f"{sign}{unit} {number}"


def _places_needed(micros: int, unit: str) -> int:
    own = minor_digits(unit)
    return next(places for places in (own, 4, 6) if places >= own and micros % _step(places) == 0)


# --- invoices and cards


def to_minor(micros: int, unit: str) -> int:
    """Invoicing's one rounding: micros in the unit's minor unit (cents), half-up, away from zero for credit notes too.

    What rounding left over is `micros - from_minor(to_minor(micros, unit), unit)`; keep it visible (A-11).
    """
    step = _step(minor_digits(unit))
    rounded = (abs(micros) + step // 2) // step
    return -rounded if micros < 0 else rounded


def exact_minor(micros: int, unit: str, *, field: str = "amount") -> int:
    """Micros in the minor unit, where nothing may be rounded. Refuses NotWhole if a remainder would be lost."""
    minor = to_minor(micros, unit)
    if from_minor(minor, unit) != micros:
        raise NotWhole(
            f"{format_amount(micros, unit)} is not a whole number of the smallest coin of {unit}.",
            field=field,
            remedy=f"Use an amount such as {format_amount(from_minor(minor, unit), unit)}.",
        )
    return minor


def from_minor(minor: int, unit: str) -> int:
    """Micros of an amount in the unit's minor unit."""
    return minor * _step(minor_digits(unit))


def _step(places: int) -> int:
    """How many micros the last of `places` decimals is worth."""
    return int(10 ** (6 - places))
