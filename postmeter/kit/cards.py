"""Card numbers that people write where they do not belong. We never keep one (PCI DSS 3.3, promises.md 3.4)."""

import re

# 13 to 19 digits, with a space, dot or hyphen between any two of them; not part of a longer number.
_DIGITS = re.compile(r"(?<![\d.\-])\d(?:[ .\-\u00a0\u2010-\u2015]?\d){12,18}(?![\d])")
_FIRST = frozenset("23456")  # what payment cards begin with


def mask(text: str) -> str:
    """The text with each card number cut to its last four digits. Numbers that fail the check digit stay."""
    return _DIGITS.sub(_masked, text)


def _masked(match: "re.Match[str]") -> str:
    digits = "".join(character for character in match[0] if character.isdecimal())
    return f"[card number ending in {digits[-4:]}]" if digits[0] in _FIRST and passes_luhn(digits) else match[0]


def passes_luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
