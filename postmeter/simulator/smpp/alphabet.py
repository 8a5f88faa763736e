"""Texts in octets, as a message centre reads and writes them.

Written apart from Postmeter's own on purpose: it is to catch its mistakes.
"""

from postmeter.simulator.twilio.segments import ALPHABET

BEFORE_ESCAPE = 27
EXTENSION = dict(zip(b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65", "\f^{}\\[~]|€", strict=True))
SAME_IN_ASCII = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,:;!?'\"()+-/*&%#<=>\n\r")


def read(octets: bytes, coding: int) -> str:
    if coding == 8:
        return octets.decode("utf-16-be", "replace")
    if coding == 3:
        return octets.decode("latin-1")
    text, escaped = "", False
    for octet in octets:
        if octet == BEFORE_ESCAPE and not escaped:
            escaped = True
            continue
        text += EXTENSION.get(octet, "�") if escaped else ALPHABET[octet - (octet > BEFORE_ESCAPE)]
        escaped = False
    return text


def write(text: str) -> tuple[int, list[bytes]]:
    """The data coding, and the octets of each part."""
    narrow = SAME_IN_ASCII.issuperset(text)
    octets = text.encode("ascii" if narrow else "utf-16-be")
    alone, joined = (160, 153) if narrow else (140, 134)
    room = alone if len(octets) <= alone else joined
    return (0 if narrow else 8), [octets[start : start + room] for start in range(0, len(octets), room)] or [b""]
