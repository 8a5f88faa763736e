"""GSM 03.38 in octets: the default alphabet, its extension behind an escape, a septet in each octet or eight packed into seven. Pure.

What does not stand in the alphabet cannot be encoded; `sms.count` says which texts are all of it. Reading never fails: what nobody
should have sent is shown as U+FFFD, because a text that came in has to be kept (A-58).
"""

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
ESCAPE = 0x1B
_FILLER = 0x0D  # a carriage return, in the seven bits that are left over (3GPP TS 23.038, 6.1.2.3.1)
_CODES = {character: bytes([code]) for code, character in enumerate(BASIC) if code != ESCAPE}
_CODES |= {character: bytes([ESCAPE, code]) for code, character in EXTENSION.items()}


def encode(text: str) -> bytes:
    """One septet in each octet. Raises KeyError for what the alphabet lacks."""
    return b"".join(_CODES[character] for character in text)


def decode(septets: bytes) -> str:
    shown = []
    codes = iter(septets)
    for code in codes:
        if code == ESCAPE:
            # An extension that a phone does not know is shown as the basic character (6.2.1.1); a lone escape as a space.
            following = next(codes, 0x20)
            shown.append(EXTENSION.get(following) or _basic(following))
        else:
            shown.append(_basic(code))
    return "".join(shown)


def _basic(code: int) -> str:
    return BASIC[code] if code < len(BASIC) and code != ESCAPE else "\ufffd"


def pack(septets: bytes, *, after_octets: int = 0) -> bytes:
    """Eight septets in seven octets; behind a header of so many octets they begin at the next whole septet."""
    skipped = -after_octets * 8 % 7
    bits = skipped + 7 * len(septets)
    if -bits % 8 == 7:
        septets += bytes([_FILLER])  # else the seven bits that are left over would read as an @
    packed = 0
    for position, septet in enumerate(septets):
        packed |= septet << (skipped + 7 * position)
    return packed.to_bytes((skipped + 7 * len(septets) + 7) // 8, "little")


def unpack(packed: bytes, *, after_octets: int = 0) -> bytes:
    skipped = -after_octets * 8 % 7
    count = (len(packed) * 8 - skipped) // 7
    bits = int.from_bytes(packed, "little") >> skipped
    septets = bytes(bits >> 7 * position & 0x7F for position in range(count))
    fills_up = (skipped + 7 * count) == len(packed) * 8
    return septets[:-1] if fills_up and septets.endswith(bytes([_FILLER])) else septets
