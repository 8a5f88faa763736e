"""Payment references with a checksum (ISO 11649): made, written for people, and found in what banks pass on."""

import re
from collections.abc import Iterable

from stdnum import iso11649
from stdnum.iso7064 import mod_97_10

DIGITS = 10
SERIALS = 10**DIGITS
# Neighbouring serials get references that look nothing alike. Coprime to SERIALS, so that no two get the same one.
_SPREAD = 7_368_787_871
# Letters that people type for digits; the checksum decides whether they meant that.
_SLIPS = str.maketrans("OIL", "011")
_SHAPE = re.compile(rf"(?=RF([0-9OIL]{{{DIGITS + 2}}}))")
_SUBFIELD = re.compile(r"[?<>~^][0-9]{2}")  # how MT940 marks the lines of a text


def reference_of(serial: int) -> str:
    """The reference of the serial-th payee, 0 <= serial < SERIALS: RF, two check digits, ten digits."""
    if not 0 <= serial < SERIALS:
        raise ValueError(f"there are no more than {SERIALS} references")
    body = f"{serial * _SPREAD % SERIALS:0{DIGITS}d}"
    return f"RF{mod_97_10.calc_check_digits(f'{body}RF')}{body}"


def written(reference: str) -> str:
    """In groups of four, as it is printed: "RF18 5390 0754 7034"."""
    return str(iso11649.format(reference))


def found(texts: Iterable[str]) -> tuple[str, ...]:
    """The references in these texts whose checksum is right, in their order, each once.

    Blanks, line breaks, punctuation and marks of lines may stand anywhere in one, and whatever else around it; case does not
    matter. A reference does not go on from one text into the next.
    """
    candidates = (f"RF{match[1].translate(_SLIPS)}" for text in texts for match in _SHAPE.finditer(squeezed(text)))
    return tuple(dict.fromkeys(each for each in candidates if iso11649.is_valid(each)))


def squeezed(text: str) -> str:
    """Letters and digits only, upper case, the lines joined: what stays the same when a bank wraps a text."""
    joined = "".join(line.strip() for line in text.splitlines())
    return re.sub(r"[^0-9A-Z]", "", _SUBFIELD.sub("", joined).upper())
