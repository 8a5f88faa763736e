"""A carrier's message centre over SMPP 3.4: what we write to it and what it says, in protocol data units.

The octets are smpp34's; what they mean is decided here. A centre talks by a session of its own (`carriers/smpp.py`), so this is no
`HttpProvider`. Section numbers are those of the SMPP 3.4 specification, issue 1.2.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Self

import smpp34
from smpp34 import DeliverSm, SubmitSm, Tlv

from postmeter.kit.refusals import BadInput
from postmeter.messaging.channels import gsm, sms
from postmeter.messaging.providers import Outbound, Received, Refused, TryLater
from postmeter.messaging.states import State

NAME = "smpp"
UDHI = 0x40  # the text begins with a user data header (5.2.12)
GSM, UCS2 = "gsm", "utf-16-be"

# What a centre refuses a text with (5.1.3), as Twilio's numbers, which the price lists and the trail explain.
REFUSALS = {
    0x01: "21617",  # the message is too long
    0x0A: "21606",  # the sender's address
    0x0B: "21211",  # the recipient's address
    0x45: "30008",  # submit_sm failed
    0x48: "21606",  # the sender's type of number
    0x49: "21606",
    0x50: "21211",  # the recipient's type of number
    0x51: "21211",
    0x65: "30008",  # an application refuses for ever
    0x66: "30007",  # an application refuses this message
    0xFE: "30008",
    0xFF: "30008",
}
SLOW_DOWN = frozenset({0x14, 0x58})  # the queue is full; throttled
# It was not taken, and the fault is not the message's: the centre's own trouble, or how we are set up there, which the operator can mend.
LATER = frozenset({0x02, 0x03, 0x04, 0x06, 0x07, 0x08, 0x15, 0x43, 0x53, 0x61, 0x62, 0x64, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4})
OPTED_OUT = "21610"

# The words of a receipt (appendix B) and of its parameter message_state (5.2.28), and what they mean to us.
WORDS = {1: "ENROUTE", 2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 6: "ACCEPTD", 7: "UNKNOWN", 8: "REJECTD"}
STATES = {
    "ENROUTE": State.SENT,
    "ACCEPTD": State.SENT,
    "DELIVRD": State.DELIVERED,
    "EXPIRED": State.UNDELIVERED,
    "UNDELIV": State.UNDELIVERED,
    "DELETED": State.FAILED,
    "REJECTD": State.FAILED,
}
ERRORS = {"EXPIRED": "30003", "UNDELIV": "30008", "DELETED": "30008", "REJECTD": "30007"}
_FIELD = re.compile(r"\b(id|stat|err):\s*(\S+)|\btext:(.*)", re.IGNORECASE | re.DOTALL)

ALPHABETS = frozenset({"gsm", "gsm-packed", "latin-1"})
LONG = frozenset({"udh", "sar", "payload"})
RECEIPT_IDS = {"same": None, "hexadecimal": (10, 16), "decimal": (16, 10)}


@dataclass(frozen=True, slots=True)
class Account:
    """How a centre is reached and what it expects; the table in docs/operating/smpp.md says it in words."""

    host: str
    port: int
    system_id: str
    password: str
    system_type: str = ""
    tls: bool = False
    ca: str = ""
    window: int = 10
    per_second: int = 10
    source: tuple[int, int] | None = None  # type of number and numbering plan; None: by what the sender looks like
    destination: tuple[int, int] = (1, 1)
    alphabet: str = "gsm"
    data_coding: int = 0
    long: str = "udh"
    receipt_ids: str = "same"
    statuses: Mapping[int, str] | None = None
    errors: Mapping[str, str] | None = None

    @classmethod
    def read(cls, settings: Mapping[str, str]) -> Self:
        """Refuses what cannot be meant, naming the variable."""
        told = {name: value for name, value in settings.items() if value}
        return cls(
            host=told.get("host", ""),
            port=_number(told, "port", 2775, 1, 65_535),
            system_id=_text(told, "system_id", 15),
            password=_text(told, "password", 8),
            system_type=_text({"system_type": "", **told}, "system_type", 12),
            tls=_choice(told, "tls", "0", {"0", "1"}) == "1",
            ca=told.get("ca", ""),
            window=_number(told, "window", 10, 1, 1_000),
            per_second=_number(told, "per_second", 10, 1, 10_000),
            source=None if told.get("source", "auto") == "auto" else _ton_npi(told, "source", "auto"),
            destination=_ton_npi(told, "destination", "1:1"),
            alphabet=_choice(told, "alphabet", "gsm", ALPHABETS),
            data_coding=_number(told, "data_coding", 0, 0, 255),
            long=_choice(told, "long", "udh", LONG),
            receipt_ids=_choice(told, "receipt_ids", "same", set(RECEIPT_IDS)),
            statuses={int(code, 0): word for code, word in _pairs(told, "statuses", r"[1-9]\d{0,9}|0x[0-9a-fA-F]{1,8}").items()},
            errors=_pairs(told, "errors", r"\w+"),
        )


# What we write


def submits(account: Account, message: Outbound, reference: int) -> list[SubmitSm]:
    """The parts that this text goes in, in order: as many as were charged, or one that the centre cuts by itself.

    `reference` holds the parts together on the phone. Raises KeyError or UnicodeEncodeError for a character that the centre's
    alphabet lacks, and the refusals of `sms.measure`.
    """
    measured = sms.measure(message.body)
    narrow = measured.encoding is sms.Encoding.GSM7
    coding = account.data_coding if narrow else 0x08
    if account.long == "payload" or len(measured.parts) == 1:
        octets = _octets(account, message.body, narrow, header=b"")
        in_payload = len(octets) > 254 or (account.long == "payload" and len(measured.parts) > 1)
        return [_submit(account, message, b"" if in_payload else octets, coding, [Tlv(0x0424, octets)] if in_payload else [])]
    made, total = [], len(measured.parts)
    for position, part in enumerate(measured.parts, 1):
        header = bytes([5, 0, 3, reference & 0xFF, total, position]) if account.long == "udh" else b""
        tlvs = (
            []
            if header
            else [Tlv(0x020C, reference.to_bytes(2, "big")), Tlv(0x020E, bytes([total])), Tlv(0x020F, bytes([position]))]
        )
        octets = _octets(account, part, narrow, header)
        made.append(_submit(account, message, octets, coding, tlvs, esm_class=UDHI if header else 0))
    return made


def _octets(account: Account, text: str, narrow: bool, header: bytes) -> bytes:
    if not narrow:
        return header + text.encode(UCS2)
    if account.alphabet == "latin-1":
        return header + text.encode("latin-1")
    septets = gsm.encode(text)
    return header + (gsm.pack(septets, after_octets=len(header)) if account.alphabet == "gsm-packed" else septets)


def _submit(account: Account, message: Outbound, octets: bytes, coding: int, tlvs: list[Tlv], esm_class: int = 0) -> SubmitSm:
    source, destination = account.source or _looks_like(message.sender), account.destination
    return SubmitSm(
        message.sender.removeprefix("+"),
        message.recipient.removeprefix("+"),
        octets,
        source_addr_ton=source[0],
        source_addr_npi=source[1],
        dest_addr_ton=destination[0],
        dest_addr_npi=destination[1],
        esm_class=esm_class,
        registered_delivery=1,
        data_coding=coding,
        tlvs=tlvs,
    )


def _looks_like(sender: str) -> tuple[int, int]:
    """International, alphanumeric, or a short code of the network's."""
    if sender.startswith("+"):
        return 1, 1
    return (3, 0) if sender.isdigit() else (5, 0)


def verdict(account: Account, status: int) -> TryLater | Refused:
    """What a command status other than 0 says about a text: surely not taken, now or ever.

    A status that nobody knows is the vendor's own: refused, unless the operator's settings say what it means.
    """
    told = (account.statuses or {}).get(status)
    if told == "later" or (told is None and (status in LATER or status in SLOW_DOWN)):
        return TryLater(f"The carrier answered {status:#x}.")
    code = told or REFUSALS.get(status, "30008")
    return Refused(code, f"The carrier answered {status:#x}.", {"command_status": status}, opted_out=code == OPTED_OUT)


def known_id(account: Account, given: str, *, in_receipt: bool = False) -> str:
    """A message id as we keep it, whether it came in an answer or in a receipt: some centres write the two in different bases."""
    given = given.strip().replace(",", "%2C")  # the ids of a text's parts are joined by commas
    bases = RECEIPT_IDS[account.receipt_ids]
    if bases is None:
        return given
    try:
        return str(int(given, bases[in_receipt]))
    except ValueError:
        return given


# What it says


@dataclass(frozen=True, slots=True)
class PartReceipt:
    """A receipt about one part of a text, found by the centre's id. `text` is how the part begins, where the centre says it."""

    ref: str
    recipient: str
    sender: str
    state: State
    word: str
    error_code: str
    billable: bool
    text: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class TextPart:
    """A part of a text that came in. Decoded when the text is whole: a character may be cut in half."""

    sender: str
    recipient: str
    reference: int
    parts: int
    position: int
    encoding: str
    octets: bytes


def heard(account: Account, said: DeliverSm) -> PartReceipt | TextPart | Received | None:
    """What a deliver_sm brings; None for what is no news of ours (a phone's own acknowledgements)."""
    tlvs = {tlv.tag: tlv.value for tlv in said.tlvs}
    sender, recipient = _address(said.source_addr, said.source_addr_ton), _address(said.destination_addr, said.dest_addr_ton)
    body, kind = said.short_message or tlvs.get(0x0424, b""), said.esm_class & 0x3C
    if kind in (0x04, 0x20) or 0x001E in tlvs:
        return _receipt(account, tlvs, body.decode("latin-1"), recipient=sender, sender=recipient)
    if kind:
        return None
    header, body = _split_header(body) if said.esm_class & UDHI else (b"", body)
    encoding, octets = _as_sent(account, said.data_coding, body, len(header))
    joined = _joined(header, tlvs)
    if joined is None:
        return Received(sender, recipient, text_of([(encoding, octets)]), "")
    return TextPart(sender, recipient, *joined, encoding, octets)


def text_of(parts: Iterable[tuple[str, bytes]]) -> str:
    """The text of parts in order, each with its encoding."""
    texts = []
    for encoding, run in groupby(parts, key=lambda part: part[0]):
        octets = b"".join(part[1] for part in run)
        texts.append(gsm.decode(octets) if encoding == GSM else octets.decode(encoding, "replace"))
    return "".join(texts)


def _receipt(account: Account, tlvs: Mapping[int, bytes], text: str, *, recipient: str, sender: str) -> PartReceipt | None:
    said = {match[1].lower(): match[2] for match in _FIELD.finditer(text) if match[1]}
    quoted = next((match[3] for match in _FIELD.finditer(text) if match[3] is not None), "")
    ref = _c_string(tlvs.get(0x001E, b"")) or said.get("id", "")
    state = tlvs.get(0x0427, b"")
    word = WORDS.get(state[0], "UNKNOWN") if state else said.get("stat", "UNKNOWN").upper()[:7]
    if not ref:
        return None
    error = said.get("err", "")
    code = (account.errors or {}).get(error.lstrip("0") or "0") or (account.errors or {}).get(error) or ERRORS.get(word, "")
    meaning = STATES.get(word, State.SENT)  # a word that we do not know moves nothing
    ended_badly = meaning in (State.UNDELIVERED, State.FAILED)
    return PartReceipt(
        known_id(account, ref, in_receipt=True),
        recipient,
        sender,
        meaning,
        word,
        code if ended_badly else "",
        meaning is not State.FAILED,
        quoted.strip(),
        error,
    )


def _split_header(body: bytes) -> tuple[bytes, bytes]:
    length = body[0] + 1 if body else 0
    return body[:length], body[length:]


def _joined(header: bytes, tlvs: Mapping[int, bytes]) -> tuple[int, int, int] | None:
    """Reference, number of parts and position of a part of a longer text, from its header or its parameters."""
    at = 1
    while at + 1 < len(header):
        element, value = header[at], header[at + 2 : at + 2 + header[at + 1]]
        if element in (0x00, 0x08) and len(value) == (3 if element == 0 else 4):
            return _sane(int.from_bytes(value[:-2], "big"), value[-2], value[-1])
        at += 2 + header[at + 1]
    if {0x020C, 0x020E, 0x020F} <= set(tlvs):
        reference, total, position = (int.from_bytes(tlvs[tag], "big") for tag in (0x020C, 0x020E, 0x020F))
        return _sane(reference & 0xFFFF, total, position)
    return None


def _sane(reference: int, parts: int, position: int) -> tuple[int, int, int] | None:
    """A text of one part is whole, and so is one whose header makes no sense (3GPP TS 23.040, 9.2.3.24.1)."""
    return (reference, parts, position) if 1 <= position <= parts <= 255 and parts > 1 else None


def _as_sent(account: Account, coding: int, octets: bytes, header_octets: int) -> tuple[str, bytes]:
    """The encoding of a text and its octets, unpacked (5.2.19, and 3GPP TS 23.038 for the codings above 15)."""
    if coding & 0xC0 == 0x00 and coding >= 0x10:
        coding = {0x00: 0, 0x04: 4, 0x08: 8}.get(coding & 0x0C, 0)
    elif coding & 0xF0 == 0xF0:
        coding = 4 if coding & 0x04 else 0
    if coding == 0 and account.alphabet == "latin-1":
        return "latin-1", octets
    if coding == 0:
        packed = account.alphabet == "gsm-packed"
        return GSM, gsm.unpack(octets, after_octets=header_octets) if packed else octets
    return {5: "iso2022_jp", 6: "iso8859_5", 7: "iso8859_8", 8: UCS2, 14: "euc_kr"}.get(coding, "latin-1"), octets


def _address(number: str, ton: int) -> str:
    """As E.164 where it is a whole number; a short code or a name as it is."""
    if number.startswith("+") or not number.isdigit():
        return number
    if number.startswith("00"):
        return f"+{number[2:]}"
    return f"+{number}" if ton == 1 or (ton == 0 and len(number) > 7) else number


def _c_string(octets: bytes) -> str:
    return octets.split(b"\0")[0].decode("latin-1")


# Session units that smpp34 has no class for: a header of four numbers, and C strings (4.1)


class Command:
    """Command ids (5.1.2.1)."""

    GENERIC_NACK = 0x80000000
    BIND_TRANSCEIVER = 0x09
    UNBIND = 0x06
    SUBMIT_SM = 0x04
    DELIVER_SM = 0x05
    ENQUIRE_LINK = 0x15
    RESPONSE = 0x80000000  # the bit that makes an answer


TRY_LATER_STATUS = 0x64  # ESME_RX_T_APPN: deliver it again
NOT_SUPPORTED_STATUS = 0x03  # ESME_RINVCMDID
REFUSED_STATUS = 0x65  # ESME_RX_P_APPN: do not


def unit(command: int, body: bytes = b"", *, status: int = 0, sequence: int = 0) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in (16 + len(body), command, status, sequence)) + body


def numbered(octets: bytes, sequence: int) -> bytes:
    return octets[:12] + sequence.to_bytes(4, "big") + octets[16:]


def bind(account: Account) -> bytes:
    """Ask to send and receive on one session, as version 3.4."""
    named = [account.system_id, account.password, account.system_type]
    body = b"".join(word.encode("ascii") + b"\0" for word in named) + bytes([0x34, 0, 0, 0])
    return unit(Command.BIND_TRANSCEIVER, body)


def message_id(body: bytes) -> str:
    """The id in the body of a submit_sm_resp."""
    return _c_string(body)


def delivered(octets: bytes) -> DeliverSm | None:
    """A deliver_sm as it came; None for one that nobody can read."""
    try:
        said = smpp34.decode(octets)
    except smpp34.SmppError:
        return None
    return said if isinstance(said, DeliverSm) else None


# Reading the settings


def _wrong(name: str, remedy: str) -> BadInput:
    return BadInput(f"POSTMETER_SMPP_{name.upper()} cannot be used.", field=name, remedy=remedy)


def _text(told: Mapping[str, str], name: str, longest: int) -> str:
    value = told.get(name)
    if value is None or len(value) > longest or not value.isascii() or not (value.isprintable() or not value):
        raise _wrong(name, f"Write at most {longest} plain characters, as the carrier gave them to you.")
    return value


def _number(told: Mapping[str, str], name: str, usual: int, lowest: int, highest: int) -> int:
    value = told.get(name, str(usual))
    if not re.fullmatch(r"[0-9]{1,6}", value) or not lowest <= int(value) <= highest:
        raise _wrong(name, f"Write a whole number from {lowest} to {highest}.")
    return int(value)


def _choice(told: Mapping[str, str], name: str, usual: str, choices: Iterable[str]) -> str:
    value = told.get(name, usual)
    if value not in choices:
        raise _wrong(name, f"Choose one of: {', '.join(sorted(choices))}.")
    return value


def _ton_npi(told: Mapping[str, str], name: str, usual: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-7]):([0-9]|1[0-8])", told.get(name, usual))
    if match is None:
        raise _wrong(name, "Write the type of number and the numbering plan as two numbers, such as 1:1.")
    return int(match[1]), int(match[2])


def _pairs(told: Mapping[str, str], name: str, left: str) -> dict[str, str]:
    pairs = [pair.split(":") for pair in told.get(name, "").split(",") if pair]
    if not all(len(pair) == 2 and re.fullmatch(left, pair[0]) and re.fullmatch(r"\d{5}|later", pair[1]) for pair in pairs):
        raise _wrong(
            name, "Write pairs by commas, each the carrier's code, a colon and one of our error codes, such as 1042:21610."
        )
    return dict(pairs)
