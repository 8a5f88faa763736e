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
_DOUBLE = {Encoding.GSM7: re.compile(f"[{re.escape(EXTENSION)}]"), Encoding.UCS2: re.compile("[\U00010000-\U0010ffff]")}
_FIRST = "\0"  # stands for the first unit of a pair: the escape, or the high surrogate
_LONGEST = MAX_SEGMENTS * JOINED[Encoding.GSM7]  # every character costs at least one unit

INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_VISIBLE = re.compile(rf"[^\s{INVISIBLE}]")
_UNSENDABLE = re.compile("[\0\ud800-\udfff]")


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
    if len(text) > _LONGEST:
        raise _too_long()
    encoding, doubles = _weigh(text)
    if len(text) + doubles <= SINGLE[encoding]:
        return encoding, 1
    segments = len(_cut(_units(text, encoding) if doubles else text, JOINED[encoding]))
    if segments > MAX_SEGMENTS:
        raise _too_long()
    return encoding, segments


def measure(text: str) -> Measure:
    """All that a page or a quote shows about a text. Refuses what `count` refuses."""
    encoding, segments = count(text)
    units = _units(text, encoding)
    room = SINGLE[encoding] if segments == 1 else JOINED[encoding]
    parts = _cut(units, room)
    return Measure(
        encoding=encoding,
        segments=segments,
        units=len(units),
        units_left=room - len(parts[-1]),
        parts=tuple(part.replace(_FIRST, "") for part in parts),
        forcing=_forcing(text) if encoding is Encoding.UCS2 else (),
        cheaper=_cheaper(text, segments) if encoding is Encoding.UCS2 else None,
    )


def _weigh(text: str) -> tuple[Encoding, int]:
    """The encoding, and how many characters take two units in it."""
    if not text or text.isspace():
        raise _empty()
    try:
        # Two passes of C over bytes settle nearly every text in Latin script.
        unusual = text.encode("latin-1").translate(None, _BASIC_LATIN1)
        if not unusual.translate(None, _EXTENSION_LATIN1):
            return Encoding.GSM7, len(unusual)
    except UnicodeEncodeError:
        if _NOT_GSM.search(text) is None:
            return Encoding.GSM7, len(_DOUBLE[Encoding.GSM7].findall(text))
    if unsendable := _UNSENDABLE.search(text):
        what = "the NUL character" if unsendable[0] == "\0" else "half of a surrogate pair"
        raise Unsendable(field="text", remedy=f"Remove {what} at position {unsendable.start()}.")
    if not _VISIBLE.search(text):
        raise _empty()
    return Encoding.UCS2, len(text.encode("utf-16-le")) // 2 - len(text)


def _units(text: str, encoding: Encoding) -> str:
    """The text with one character for each unit: those that take two have `_FIRST` before them."""
    return _DOUBLE[encoding].sub(rf"{_FIRST}\g<0>", text)


def _cut(units: str, room: int) -> list[str]:
    """Segments of at most `room` units; a pair that would be split goes whole into the next one."""
    segments = []
    start = 0
    while start < len(units):
        end = start + room
        if units[end - 1 : end] == _FIRST:
            end -= 1
        segments.append(units[start:end])
        start = end
    return segments


def _empty() -> Empty:
    return Empty(field="text", remedy="Write at least one visible character.")


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
    candidate = plainly(text)
    if candidate is None:
        return None
    try:
        _, cost = count(candidate)
    except BadInput:
        return None
    return Cheaper(candidate, cost) if cost < segments else None


def plainly(text: str) -> str | None:
    """The text in GSM-7's letters; None where one of its own has no likeness there."""
    spelled = []
    for character in unicodedata.normalize("NFC", text):  # a letter with a combining accent is often one GSM-7 character
        plain = character if character in GSM else _plain(character)
        if plain is None:
            return None
        spelled.append(plain)
    return "".join(spelled)


def _plain(character: str) -> str | None:
    """How GSM-7 spells a character that it lacks: a sign that looks alike, or the letter without its accent; else None."""
    if character in _PLAIN:
        return _PLAIN[character]
    letters = [part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)]
    spelled = "".join(_PLAIN.get(letter, letter) for letter in letters)
    return spelled if spelled and GSM.issuperset(spelled) else None
