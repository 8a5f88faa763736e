"""ISO 20022 statements (camt.053) and notifications (camt.054), any version: elements are known by their names alone."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from postmeter.payments.wire.entry import BadStatement, Direction, Entry, Reading, micros_of, own_reference, unbalanced

KINDS = {"BkToCstmrStmt": ("camt.053", "Stmt"), "BkToCstmrDbtCdtNtfctn": ("camt.054", "Ntfctn")}
_DIRECTIONS = {"CRDT": Direction.CREDIT, "DBIT": Direction.DEBIT}
_OPENING, _CLOSING = ("OPBD", "PRCD"), ("CLBD",)


def read(data: bytes, name: str) -> Reading:
    """Read a camt.053 or camt.054. Refuses BadStatement: not well-formed, DTDs and entities, interim reports, no money."""
    root = _parsed(data, name)
    message = next((child for child in root if _local(child) in KINDS), None)
    if message is None:
        inside = ", ".join(_local(child) for child in root) or "nothing"
        raise BadStatement(
            f"{name} is neither a camt.053 nor a camt.054: it has {inside}.",
            remedy="Import booked statements; interim reports (camt.052) tell of money that may not come.",
        )
    kind, item = KINDS[_local(message)]
    statements = list(_all(message, item))
    if not statements:
        raise BadStatement(f"{name} has no statement in it.", remedy="Ask the bank for the file anew.")
    entries: list[Entry] = []
    wrong: list[str] = []
    left_out = number = 0
    for statement in statements:
        ours: list[Entry] = []
        for element in _all(statement, "Ntry"):
            number += 1
            read_entries = _entries(statement, element, f"entry {number}", f"{name}, entry {number}")
            left_out += not read_entries
            ours += read_entries
        opening, closing = (_balance(statement, codes, name) for codes in (_OPENING, _CLOSING))
        wrong += unbalanced(ours, opening, closing, name)
        entries += ours
    return Reading(kind, tuple(entries), left_out, tuple(wrong))


def _parsed(data: bytes, name: str) -> Element:
    try:
        root: Element = fromstring(data, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as error:
        raise BadStatement(
            f"{name} has a document type or entities, which no bank's statement has.", remedy="Ask the bank for the file anew."
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise BadStatement(f"{name} is not well-formed XML: {error}.", remedy="Download it again; it may be cut.") from error
    return root


def _entries(statement: Element, element: Element, place: str, where: str) -> list[Entry]:
    """One for each payment that the entry names with its amount; one for all of it where they are not named."""
    status = _text(element, "Sts/Cd") or _text(element, "Sts/Prtry") or _text(element, "Sts") or "BOOK"
    whole, currency = _money(_need(element, "Amt", where), where)
    if status != "BOOK" or whole == 0:
        return []
    parts = [part for details in _all(element, "NtryDtls") for part in _all(details, "TxDtls")]
    amounts = [_part_micros(part, currency, where) for part in parts]
    if len(parts) < 2 or sum(amounts) != whole or not all(amounts):
        count = int(_text(element, "NtryDtls/Btch/NbOfTxs") or 1) if not parts else len(parts)
        return [_entry(statement, element, parts, whole, place, where, "", payments=count)]
    return [
        _entry(statement, element, [part], amount, f"{place}, payment {turn}", where, f"/{turn}")
        for turn, (part, amount) in enumerate(zip(parts, amounts, strict=True), start=1)
    ]


def _entry(
    statement: Element, element: Element, parts: list[Element], micros: int, place: str, where: str, turn: str, payments: int = 1
) -> Entry:
    own = own_reference(_text(element, "AcctSvcrRef"))
    if turn:  # one of several: its own name, else its place under the entry's
        own = next((own_reference(_text(part, "Refs/AcctSvcrRef")) for part in parts), "") or (own and own + turn)
    elif not own and len(parts) == 1:
        own = own_reference(_text(parts[0], "Refs/AcctSvcrRef"))
    booked = _date(element, "BookgDt") or _date(element, "ValDt")
    if booked is None:
        raise BadStatement(f"{where} has no date.", remedy="Ask the bank for the file anew.")
    direction = _text(element, "CdtDbtInd")
    if direction not in _DIRECTIONS:
        raise BadStatement(f"{where} says neither credit nor debit.", remedy="Ask the bank for the file anew.")
    return Entry(
        place=place,
        account=_text(statement, "Acct/Id/IBAN") or _text(statement, "Acct/Id/Othr/Id"),
        currency=_money(_need(element, "Amt", where), where)[1],
        amount_micros=micros,
        direction=_DIRECTIONS[direction],
        booked_on=booked,
        valued_on=_date(element, "ValDt") or booked,
        bank_ref=own,
        texts=tuple(text for part in [*parts, element] for text in _texts(part)),
        payer=next((payer for part in parts if (payer := _payer(part))), ""),
        reversal=_text(element, "RvslInd") in ("true", "1"),
        returned=any(next(_all(part, "RtrInf"), None) is not None for part in parts),
        payments=payments,
    )


def _part_micros(part: Element, currency: str, where: str) -> int:
    """What a part of an entry is of the account's currency; 0 where it does not say so."""
    for path in ("Amt", "AmtDtls/TxAmt/Amt"):
        found = next(_all(part, path), None)
        if found is not None and found.get("Ccy", currency) == currency:
            return _money(found, where, currency)[0]
    return 0


def _texts(part: Element) -> Iterator[str]:
    """What the payer wrote, the lines of a text joined by line breaks; then names under which it travelled."""
    yield from filter(None, ("\n".join(_all_texts(part, "RmtInf/Ustrd")), *_all_texts(part, "RmtInf/Strd/CdtrRefInf/Ref")))
    for path in ("RmtInf/Strd/AddtlRmtInf", "Refs/EndToEndId", "Refs/InstrId", "AddtlTxInf", "AddtlNtryInf"):
        yield from _all_texts(part, path)


def _payer(part: Element) -> str:
    return _text(part, "RltdPties/Dbtr/Pty/Nm") or _text(part, "RltdPties/Dbtr/Nm") or _text(part, "RltdPties/UltmtDbtr/Nm")


def _balance(statement: Element, codes: tuple[str, ...], name: str) -> int | None:
    for code in codes:
        for balance in _all(statement, "Bal"):
            if _text(balance, "Tp/CdOrPrtry/Cd") == code:
                micros, _ = _money(_need(balance, "Amt", f"{name}, balance {code}"), f"{name}, balance {code}")
                return -micros if _text(balance, "CdtDbtInd") == "DBIT" else micros
    return None


def _money(element: Element, where: str, currency: str = "") -> tuple[int, str]:
    code = element.get("Ccy", currency)
    try:
        amount = Decimal((element.text or "").strip())
    except InvalidOperation as error:
        raise BadStatement(f"{where}: {element.text!r} is not an amount.", remedy="Ask the bank for the file anew.") from error
    if amount < 0:
        raise BadStatement(f"{where}: an amount below zero.", remedy="Ask the bank for the file anew.")
    return micros_of(amount, code, where), code


def _date(element: Element, tag: str) -> date | None:
    text = _text(element, f"{tag}/Dt") or _text(element, f"{tag}/DtTm")
    try:
        return datetime.fromisoformat(text).date() if text else None
    except ValueError:
        return None


def _need(element: Element, path: str, where: str) -> Element:
    found = next(_all(element, path), None)
    if found is None:
        raise BadStatement(f"{where} has no {path}.", remedy="Ask the bank for the file anew.")
    return found


def _all_texts(element: Element, path: str) -> list[str]:
    return [text for found in _all(element, path) if (text := (found.text or "").strip())]


def _text(element: Element, path: str) -> str:
    return next(iter(_all_texts(element, path)), "")


def _all(element: Element, path: str) -> Iterator[Element]:
    """The elements at a path of names, whatever their namespace."""
    first, _, rest = path.partition("/")
    for child in element:
        if _local(child) == first:
            if rest:
                yield from _all(child, rest)
            else:
                yield child


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
