"""How many segments a text takes (3GPP TS 23.038).

Written apart from Postmeter's own count on purpose: it is to catch its mistakes.
"""

ALPHABET = (  # in the order of its codes, without the escape at 27
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7 = frozenset(ALPHABET)
GSM7_ESCAPED = frozenset("\f^{}\\[~]|€")


def count(text: str) -> int:
    """Segments, at least 1."""
    if all(character in GSM7 or character in GSM7_ESCAPED for character in text):
        return _cut([2 if character in GSM7_ESCAPED else 1 for character in text], alone=160, joined=153)
    return _cut([len(character.encode("utf-16-be")) // 2 for character in text], alone=70, joined=67)


def _cut(widths: list[int], *, alone: int, joined: int) -> int:
    """A character that takes two places is never cut in half."""
    if sum(widths) <= alone:
        return 1
    segments, room = 1, joined
    for width in widths:
        if width > room:
            segments, room = segments + 1, joined
        room -= width
    return segments
