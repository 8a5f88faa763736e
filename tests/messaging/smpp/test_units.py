"""What we write and read, octet by octet: protocol data units as centres send them, in hex, and texts of every kind."""

import pytest
import smsutil
from hypothesis import given
from hypothesis import strategies as st

from postmeter.kit.refusals import BadInput
from postmeter.messaging.channels import gsm, sms
from postmeter.messaging.providers import Outbound, Received, Refused, TryLater, smpp
from postmeter.messaging.providers.smpp import Account, PartReceipt, TextPart
from postmeter.messaging.states import State
from tests.messaging.channels.texts import texts

TOLD = {"host": "smsc.example", "system_id": "postmeter", "password": "secret"}


def account(**more: str) -> Account:
    return Account.read({**TOLD, **more})


def outbound(body: str, sender: str = "+15550100000", recipient: str = "+447700900123") -> Outbound:
    return Outbound(1, sender, recipient, body, "")


def heard(unit: str, **more: str) -> PartReceipt | TextPart | Received | None:
    said = smpp.delivered(bytes.fromhex(unit))
    assert said is not None
    return smpp.heard(account(**more), said)


def deliver(body: bytes, *, esm_class: int = 0, coding: int = 0, tlvs: bytes = b"") -> str:
    """A deliver_sm from +15550101234 to +15550100000, made here from the specification (4.6.1)."""
    addresses = b"\0\1\1" + b"15550101234\0" + b"\1\1" + b"15550100000\0"
    rest = bytes([esm_class, 0, 0, 0, 0, 0, 0, coding, 0, len(body)]) + body + tlvs
    content = addresses + rest
    return smpp.unit(smpp.Command.DELIVER_SM, content, sequence=7).hex()


def test_a_bind_is_what_the_specification_says() -> None:
    expected = "00000027000000090000000000000000706f73746d6574657200736563726574000034000000"
    assert smpp.bind(account()).hex() == expected.replace("00000027", f"{len(bytes.fromhex(expected)):08x}")


def test_a_short_text_is_one_submit_with_a_receipt_asked_for() -> None:
    [part] = smpp.submits(account(), outbound("Hi {€}@"), 7)
    body = "000101313535353031303030303000010134343737303039303031323300000000000001000000"
    assert part.encode().hex()[32:] == body + "0a" + "4869201b281b651b2900"


@pytest.mark.parametrize(("sender", "ton_npi"), [("+15550100000", (1, 1)), ("41411", (3, 0)), ("Harbour", (5, 0))])
def test_a_sender_has_the_type_of_number_that_it_looks_like(sender: str, ton_npi: tuple[int, int]) -> None:
    [part] = smpp.submits(account(), outbound("Hi", sender), 1)
    assert (part.source_addr_ton, part.source_addr_npi) == ton_npi
    [part] = smpp.submits(account(source="0:1"), outbound("Hi", sender), 1)
    assert (part.source_addr_ton, part.source_addr_npi) == (0, 1)


@given(texts(), st.sampled_from(["udh", "sar"]), st.sampled_from(["gsm", "gsm-packed"]))
def test_a_text_goes_in_as_many_parts_as_are_charged_and_comes_out_whole(body: str, long: str, alphabet: str) -> None:
    told = account(long=long, alphabet=alphabet)
    try:
        encoding, segments = sms.count(body)
    except BadInput:
        return
    parts = smpp.submits(told, outbound(body), 0x1FF)
    assert len(parts) == segments
    assert {part.data_coding for part in parts} == {0 if encoding is sms.Encoding.GSM7 else 8}
    kept = []
    for position, part in enumerate(parts, 1):
        room = 140 if encoding is sms.Encoding.UCS2 or alphabet == "gsm-packed" else 160
        assert len(part.short_message) <= room
        tlvs = b"".join(tlv.tag.to_bytes(2, "big") + len(tlv.value).to_bytes(2, "big") + tlv.value for tlv in part.tlvs)
        word = heard(deliver(part.short_message, esm_class=part.esm_class, coding=part.data_coding, tlvs=tlvs), alphabet=alphabet)
        if segments == 1:
            assert isinstance(word, Received)
            assert word.body == body
            return
        assert isinstance(word, TextPart)
        assert (word.parts, word.position) == (segments, position)
        kept.append((word.encoding, word.octets))
    assert smpp.text_of(kept) == body


@given(texts())
def test_a_payload_carries_the_whole_text_in_one(body: str) -> None:
    try:
        segments = sms.count(body)[1]
    except BadInput:
        return
    [part] = smpp.submits(account(long="payload"), outbound(body), 1)
    assert (len(part.tlvs), bool(part.short_message)) == ((0, True) if segments == 1 else (1, False))


@given(st.text(alphabet=sorted(gsm.BASIC.replace("\x1b", "").replace("\r", "") + sms.EXTENSION), max_size=400))
def test_the_alphabet_is_smsutils_and_comes_back(body: str) -> None:
    if "\f" not in body:
        assert gsm.encode(body) == smsutil.encode(body)
    for after in (0, 6, 7):
        assert gsm.decode(gsm.unpack(gsm.pack(gsm.encode(body), after_octets=after), after_octets=after)) == body


def test_septets_are_packed_as_the_specification_shows() -> None:
    assert gsm.pack(gsm.encode("hellohello")).hex() == "e8329bfd4697d9ec37"


@pytest.mark.parametrize("octets", [b"\x1b", b"abc\x1b", b"\xff\x80", b"\x1b\x1b", bytes(range(256))])
def test_octets_that_nobody_should_have_sent_are_shown_somehow(octets: bytes) -> None:
    assert gsm.decode(octets)


# What comes in


@pytest.mark.parametrize(
    ("coding", "body", "text"),
    [
        (0x00, b"STOP", "STOP"),
        (0x00, b"\x00 \x02 \x1be", "@ $ €"),
        (0x01, b"STOP", "STOP"),
        (0x03, b"caf\xe9", "café"),
        (0x08, "Ça va? 👍".encode("utf-16-be"), "Ça va? 👍"),
        (0xF1, b"STOP", "STOP"),
        (0x10, b"STOP", "STOP"),
        (0x18, "да".encode("utf-16-be"), "да"),
        (0x04, b"\x01\xff", "\x01ÿ"),
        (0x08, b"\xd8", "\ufffd"),
    ],
)
def test_a_text_is_read_in_whatever_coding_it_came(coding: int, body: bytes, text: str) -> None:
    assert heard(deliver(body, coding=coding)) == Received("+15550101234", "+15550100000", text, "")


def test_an_empty_text_is_kept_too() -> None:
    assert heard(deliver(b"")) == Received("+15550101234", "+15550100000", "", "")


def test_the_default_alphabet_is_what_the_operator_says() -> None:
    assert heard(deliver(b"caf\xe9"), alphabet="latin-1") == Received("+15550101234", "+15550100000", "café", "")
    packed = gsm.pack(gsm.encode("STOP it"))
    assert heard(deliver(packed), alphabet="gsm-packed") == Received("+15550101234", "+15550100000", "STOP it", "")


@pytest.mark.parametrize(
    ("header", "reference", "parts", "position"),
    [
        (bytes.fromhex("050003cc0201"), 0xCC, 2, 1),
        (bytes.fromhex("06080412340302"), 0x1234, 3, 2),
        (bytes.fromhex("0a0504158100000003cc0201"[:22]), 0, 0, 0),
        (bytes.fromhex("0b0504158100000003cc0201"), 0xCC, 2, 1),
    ],
)
def test_a_part_says_where_it_belongs_by_its_header(header: bytes, reference: int, parts: int, position: int) -> None:
    word = heard(deliver(header + b"hello", esm_class=0x40))
    if parts == 0:
        assert isinstance(word, Received)  # a header that is about something else, or broken
    else:
        assert word == TextPart("+15550101234", "+15550100000", reference, parts, position, "gsm", b"hello")


def test_a_part_says_where_it_belongs_by_its_parameters() -> None:
    tlvs = bytes.fromhex("020c00020123020e000102020f000102")
    assert heard(deliver(b"hello", tlvs=tlvs)) == TextPart("+15550101234", "+15550100000", 0x123, 2, 2, "gsm", b"hello")


@pytest.mark.parametrize("header", ["050003000001", "050003aa0203", "050003aa0101", "ff", "0500"])
def test_a_header_that_makes_no_sense_loses_no_text(header: str) -> None:
    assert isinstance(heard(deliver(bytes.fromhex(header) + b"STOP", esm_class=0x40)), Received)


def test_a_character_cut_in_half_is_whole_when_the_parts_are() -> None:
    octets = "👍".encode("utf-16-be")
    assert smpp.text_of([("utf-16-be", octets[:2]), ("utf-16-be", octets[2:])]) == "👍"
    assert smpp.text_of([("gsm", b"5 \x1b"), ("gsm", b"e")]) == "5 €"


# Receipts

TEXT = b"id:12ab sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:%s err:%s text:Hello, this is"


@pytest.mark.parametrize(
    ("stat", "state", "code"),
    [
        (b"DELIVRD", State.DELIVERED, ""),
        (b"UNDELIV", State.UNDELIVERED, "30008"),
        (b"EXPIRED", State.UNDELIVERED, "30003"),
        (b"REJECTD", State.FAILED, "30007"),
        (b"DELETED", State.FAILED, "30008"),
        (b"ACCEPTD", State.SENT, ""),
        (b"ENROUTE", State.SENT, ""),
        (b"UNKNOWN", State.SENT, ""),
        (b"SOMENEW", State.SENT, ""),
    ],
)
def test_a_receipt_in_words_says_what_became_of_its_part(stat: bytes, state: State, code: str) -> None:
    word = heard(deliver(TEXT % (stat, b"000"), esm_class=4))
    assert isinstance(word, PartReceipt)
    assert (word.ref, word.recipient, word.sender) == ("12ab", "+15550101234", "+15550100000")
    assert (word.state, word.error_code, word.text) == (state, code, "Hello, this is")


def test_parameters_count_more_than_words_and_need_no_mark() -> None:
    tlvs = bytes.fromhex("001e00053961626300042700010514000002ff01")
    word = heard(deliver(TEXT % (b"DELIVRD", b"000"), tlvs=tlvs))
    assert isinstance(word, PartReceipt)
    assert (word.ref, word.state) == ("9abc", State.UNDELIVERED)


def test_what_libraries_stumble_over_is_read() -> None:
    """Errors that are no numbers, dates with seconds, words in lower case, fields left out."""
    odd = b"id:7 submit date:260101000000 done date:never stat:undeliv err:A12"
    word = heard(deliver(odd, esm_class=4), errors="A12:30005")
    assert isinstance(word, PartReceipt)
    assert (word.ref, word.state, word.error_code, word.error, word.text) == ("7", State.UNDELIVERED, "30005", "A12", "")


@pytest.mark.parametrize(
    ("mode", "answered", "told"),
    [("same", "12AB", "12AB"), ("hexadecimal", "4779", "12AB"), ("decimal", "12ab", "0000004779"), ("decimal", "x-1", "x-1")],
)
def test_an_id_is_the_same_in_the_answer_and_in_the_receipt(mode: str, answered: str, told: str) -> None:
    given = account(receipt_ids=mode)
    assert smpp.known_id(given, answered) == smpp.known_id(given, told, in_receipt=True)
    assert "," not in smpp.known_id(given, "a,b")


def test_a_phones_own_acknowledgement_is_no_news() -> None:
    assert heard(deliver(b"read", esm_class=0x08)) is None


@pytest.mark.parametrize("unit", ["00000010000000050000000000000001", "0000001200000005000000000000000141"])
def test_a_unit_that_nobody_can_read_is_said_to_be_so(unit: str) -> None:
    assert smpp.delivered(bytes.fromhex(unit)) is None


# Statuses


@pytest.mark.parametrize("status", [0x08, 0x14, 0x58, 0x64, 0x04, 0x15, 0xC4])
def test_what_is_not_the_texts_fault_is_tried_later(status: int) -> None:
    assert isinstance(smpp.verdict(account(), status), TryLater)


@pytest.mark.parametrize(
    ("status", "code"), [(0x0B, "21211"), (0x0A, "21606"), (0x01, "21617"), (0x45, "30008"), (0x66, "30007"), (0x410, "30008")]
)
def test_a_refusal_has_a_number_that_the_price_list_knows(status: int, code: str) -> None:
    said = smpp.verdict(account(), status)
    assert isinstance(said, Refused)
    assert (said.code, said.opted_out) == (code, False)


def test_the_operator_says_what_the_vendors_own_statuses_mean() -> None:
    told = account(statuses="0x410:21610,1041:later")
    blocked = smpp.verdict(told, 0x410)
    assert isinstance(blocked, Refused)
    assert blocked.opted_out
    assert isinstance(smpp.verdict(told, 1041), TryLater)


def test_a_letter_that_the_centres_alphabet_lacks_is_not_changed_unasked() -> None:
    with pytest.raises(UnicodeEncodeError):
        smpp.submits(account(alphabet="latin-1"), outbound("5 €"), 1)
    assert smpp.submits(account(alphabet="latin-1"), outbound("ñ"), 1)[0].short_message == b"\xf1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "0"),
        ("port", "70000"),
        ("port", "2775x"),
        ("password", "longer than eight"),
        ("system_id", ""),
        ("window", "0"),
        ("per_second", "-1"),
        ("source", "9:1"),
        ("destination", "1"),
        ("alphabet", "utf-8"),
        ("data_coding", "256"),
        ("long", "sms"),
        ("receipt_ids", "octal"),
        ("statuses", "0x410"),
        ("errors", "1:x"),
        ("tls", "yes"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(name: str, value: str) -> None:
    with pytest.raises(BadInput) as refusal:
        account(**{name: value})
    assert refusal.value.field == name
    assert f"POSTMETER_SMPP_{name.upper()}" in refusal.value.text
    assert refusal.value.remedy
