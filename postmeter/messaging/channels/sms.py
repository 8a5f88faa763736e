"""What an SMS measures: encoding and segments, exactly as carriers bill them (A-47, S-085).

GSM 03.38 packs 160 septets into a text, or 153 into each segment of a longer one; an extension character costs two, its escape
and itself, and the pair is never split. Any other character makes the whole text UCS-2: 70 code units, or 67 a segment; a
surrogate pair is never split. CRLF costs two. So dividing the length is wrong: the last unit of a segment may stay empty.

Positions are counted in characters (code points) from 0, units in septets (GSM-7) or 16-bit code units (UCS-2).
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from postmeter.kit.refusals import BadInput

MAX_SEGMENTS = 10
"""What carriers join reliably. Also keeps every text below the 1,600 characters at which providers stop."""


class Encoding(StrEnum):
    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


SINGLE = {Encoding.GSM7: 160, Encoding.UCS2: 70}
JOINED = {Encoding.GSM7: 153, Encoding.UCS2: 67}

BASIC = (
    "\n\r !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
    "¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ"
)
EXTENSION = "\f[\\]^{|}~€"
GSM = frozenset(BASIC + EXTENSION)

_BASIC_LATIN1 = BASIC.encode("latin-1", "ignore")
_EXTENSION_LATIN1 = EXTENSION.encode("latin-1", "ignore")
_NOT_GSM = re.compile(f"[^{re.escape(BASIC + EXTENSION)}]")
_EXTENDED = re.compile(f"[{re.escape(EXTENSION)}]")
_LONGEST = MAX_SEGMENTS * JOINED[Encoding.GSM7]  # every character costs at least one unit

INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_VISIBLE = re.compile(rf"[^\s{INVISIBLE}]")


class Empty(BadInput):
    """The text is empty."""


class Unsendable(BadInput):
    """The text contains a character that no phone can show."""


class TooLong(BadInput):
    """The text is too long."""


@dataclass(frozen=True, slots=True)
class Forcing:
    """A character outside GSM-7, which makes the whole text UCS-2; `plain` is how GSM-7 could spell it, if it can."""

    character: str
    name: str
    positions: tuple[int, ...]
    plain: str | None


@dataclass(frozen=True, slots=True)
class Cheaper:
    """The same words spelled in GSM-7, in fewer segments. An offer: what a person wrote is never changed unasked."""

    text: str
    segments: int


@dataclass(frozen=True, slots=True)
class Measure:
    """`parts` joined give the text; `units_left` is what still fits into the last segment."""

    encoding: Encoding
    segments: int
    units: int
    units_left: int
    parts: tuple[str, ...]
    forcing: tuple[Forcing, ...]
    cheaper: Cheaper | None


def count(text: str) -> tuple[Encoding, int]:
    """The encoding and the number of segments, 1 to MAX_SEGMENTS: the hot path.

    Refuses what cannot be sent: Empty, Unsendable, TooLong.
    """
    length = len(text)
    if length > _LONGEST:
        raise _too_long()
    encoding, doubles = _weigh(text)
    units = length + doubles
    if units <= SINGLE[encoding]:
        return encoding, 1
    if doubles:
        segments = len(_ends(text, encoding))
    else:
        segments = -(-units // JOINED[encoding])
    if segments > MAX_SEGMENTS:
        raise _too_long()
    return encoding, segments


def measure(text: str) -> Measure:
    """All that a page or a quote shows about a text. Refuses what `count` refuses."""
    encoding, segments = count(text)
    ends = [len(text)] if segments == 1 else _ends(text, encoding)
    parts = tuple(text[start:end] for start, end in zip([0, *ends], ends, strict=False))
    room = SINGLE[encoding] if segments == 1 else JOINED[encoding]
    return Measure(
        encoding=encoding,
        segments=segments,
        units=_units(text, encoding),
        units_left=room - _units(parts[-1], encoding),
        parts=parts,
        forcing=_forcing(text) if encoding is Encoding.UCS2 else (),
        cheaper=_cheaper(text, segments) if encoding is Encoding.UCS2 else None,
    )


def _weigh(text: str) -> tuple[Encoding, int]:
    """The encoding, and how many characters take two units in it."""
    if not text or text.isspace():
        raise Empty(field="text", remedy="Write at least one visible character.")
    try:
        # Two passes of C over bytes settle nearly every text in Latin script.
        unusual = text.encode("latin-1").translate(None, _BASIC_LATIN1)
        if not unusual.translate(None, _EXTENSION_LATIN1):
            return Encoding.GSM7, len(unusual)
    except UnicodeEncodeError:
        if not _NOT_GSM.search(text):
            return Encoding.GSM7, len(_EXTENDED.findall(text))
    return Encoding.UCS2, _surrogate_pairs(text)


def _surrogate_pairs(text: str) -> int:
    if "\0" in text:
        raise Unsendable(field="text", remedy=f"Remove the NUL character at position {text.index(chr(0))}.")
    if not _VISIBLE.search(text):
        raise Empty(field="text", remedy="Write at least one visible character.")
    try:
        return len(text.encode("utf-16-le")) // 2 - len(text)
    except UnicodeEncodeError as error:
        raise Unsendable(field="text", remedy=f"Remove the half of a surrogate pair at position {error.start}.") from None


def _is_double(character: str, encoding: Encoding) -> bool:
    return character in EXTENSION if encoding is Encoding.GSM7 else character > "\uffff"


def _units(text: str, encoding: Encoding) -> int:
    return len(text) + sum(_is_double(character, encoding) for character in text)


def _ends(text: str, encoding: Encoding) -> list[int]:
    """Where each segment of a text of several segments ends."""
    ends = []
    used = 0
    for position, character in enumerate(text):
        cost = 1 + _is_double(character, encoding)
        if used + cost > JOINED[encoding]:
            ends.append(position)
            used = 0
        used += cost
    return [*ends, len(text)]


def _too_long() -> TooLong:
    return TooLong(
        f"The text is longer than {MAX_SEGMENTS} segments.",
        field="text",
        remedy=f"Shorten it to {MAX_SEGMENTS * JOINED[Encoding.GSM7]:,} plain characters "
        f"({MAX_SEGMENTS * JOINED[Encoding.UCS2]:,} with emoji or other scripts), or send it as several messages.",
        max_segments=MAX_SEGMENTS,
    )


# --- a cheaper spelling


_SPELLINGS = {
    "'": "‘’‚‛‹›`´ʹʻʼʽˈˊˋ′‵❛❜",
    '"': "“”„‟«»ʺˮ″‶❝❞〝〞",
    "-": "‐‑‒–—―−⁃•·●▪",
    "...": "…",
    " ": "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
    "\n": "\u0085\u2028\u2029",
    "": INVISIBLE + "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    "/": "÷⁄∕",
    "x": "×",
    "(c)": "©",
    "(R)": "®",
    "TM": "™",
    "oe": "œ",
    "OE": "Œ",
    "l": "ł",
    "L": "Ł",
    "d": "đð",
    "D": "ĐÐ",
    "th": "þ",
    "Th": "Þ",
    "i": "ı",
    "h": "ħ",
    "H": "Ħ",
    "SS": "ẞ",
}
_PLAIN = {fancy: plain for plain, fancies in _SPELLINGS.items() for fancy in fancies}


def _forcing(text: str) -> tuple[Forcing, ...]:
    positions: dict[str, list[int]] = {}
    for position, character in enumerate(text):
        if character not in GSM:
            positions.setdefault(character, []).append(position)
    return tuple(
        Forcing(character, unicodedata.name(character, f"U+{ord(character):04X}"), tuple(places), _plain(character))
        for character, places in positions.items()
    )


def _cheaper(text: str, segments: int) -> Cheaper | None:
    """Only if the whole text fits GSM-7 and costs less: spelling accents away for nothing would be rude."""
    spelled = []
    for character in unicodedata.normalize("NFC", text):  # a letter with a combining accent is often one GSM-7 character
        plain = character if character in GSM else _plain(character)
        if plain is None:
            return None
        spelled.append(plain)
    candidate = "".join(spelled)
    try:
        _, cost = count(candidate)
    except BadInput:
        return None
    return Cheaper(candidate, cost) if cost < segments else None


def _plain(character: str) -> str | None:
    """How GSM-7 spells a character that it lacks: a sign that looks alike, or the letter without its accent; else None."""
    if character in _PLAIN:
        return _PLAIN[character]
    letters = [part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)]
    spelled = "".join(_PLAIN.get(letter, letter) for letter in letters)
    return spelled if spelled and GSM.issuperset(spelled) else None
