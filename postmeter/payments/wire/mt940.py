"""SWIFT statements (MT940), as banks really write them. Each entry is read by itself, so that none swallows the next."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import mt940

from postmeter.payments.wire.entry import BadStatement, Direction, Entry, Reading, micros_of, own_reference, unbalanced

# What it cannot read becomes a refusal of ours; its log would repeat payers' names and texts.
logging.getLogger("mt940").setLevel(logging.CRITICAL)

_TAG = re.compile(r":([0-9]{2}[A-Z]?|NS):")
_ENDS = ("62F", "62M", "64", "65")  # what stands after the entries of a statement
_INTERIM = ("34F", "13D", "90C", "90D")  # what only an MT942 has
_PAYER = re.compile(r"\?32([^?]*)(?:\?33([^?]*))?")


@dataclass
class _Tag:
    """One field, with its lines as they stand."""

    line: int
    name: str
    text: str


@dataclass
class _Statement:
    """One :20: … of a file: what holds for all of it, and its entries with what follows each."""

    head: list[_Tag] = field(default_factory=list)
    entries: list[list[_Tag]] = field(default_factory=list)

    def value(self, *names: str) -> str:
        return next((tag.text.strip() for name in names for tag in self.head if tag.name == name), "")


def read(data: bytes, name: str) -> Reading:
    """Read an MT940 with any number of statements. Refuses BadStatement: interim reports (MT942), and what cannot be read."""
    tags = list(_tags(_decoded(data)))
    statements = list(_statements(tags))
    if not statements:
        raise BadStatement(f"{name} is not an MT940: it has no field of one.", remedy="Import camt.053, camt.054, MT940 or CSV.")
    entries: list[Entry] = []
    wrong: list[str] = []
    for statement in statements:
        ours = _entries(statement, name)
        where = f"{name}, line {statement.head[0].line}" if statement.head else name
        opening, closing = (_balance(statement.value(*which), where) for which in (("60F", "60M"), ("62F", "62M")))
        wrong += unbalanced(ours, opening, closing, where)
        entries += ours
    booked = tuple(entry for entry in entries if entry.amount_micros)
    return Reading("mt940", booked, len(entries) - len(booked), tuple(wrong))


def _decoded(data: bytes) -> str:
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")  # reads anything: one odd letter in a payer's name must not keep the money out


def _tags(text: str) -> Iterator[_Tag]:
    tag: _Tag | None = None
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        line = line.rstrip("\x03\x1a ")
        begins = _TAG.match(line)
        if begins:
            if tag:
                yield tag
            tag = _Tag(number, begins[1], line[begins.end() :])
        elif line.strip() == "-" or line.startswith(("-}", "{")):
            continue  # the frame in which SWIFT carries a message
        elif tag and line.strip():
            tag.text += f"\n{line}"
    if tag:
        yield tag


def _statements(tags: list[_Tag]) -> Iterator[_Statement]:
    statement, ended = _Statement(), False
    for tag in tags:
        if tag.name == "20" and (statement.head or statement.entries):
            yield statement
            statement, ended = _Statement(), False
        ended = ended or tag.name in _ENDS
        if tag.name == "61":
            statement.entries.append([tag])
        elif tag.name in ("86", "NS") and statement.entries and not ended:
            statement.entries[-1].append(tag)
        else:
            statement.head.append(tag)
    if statement.head or statement.entries:
        yield statement


def _entries(statement: _Statement, name: str) -> list[Entry]:
    names = {tag.name for tag in statement.head}
    if names & set(_INTERIM) and not names & {"60F", "60M"}:
        raise BadStatement(
            f"{name}, line {statement.head[0].line}: this is an interim report (MT942), whose entries may not stay.",
            remedy="Import the MT940 of the day.",
        )
    account, currency = _account(statement)
    entries = []
    for tags in statement.entries:
        where = f"{name}, line {tags[0].line}"
        if not currency:
            raise BadStatement(f"{where}: the statement does not say its currency.", remedy="Ask the bank for a whole MT940.")
        entries.append(_entry(tags, account, currency, where))
    return entries


def _entry(tags: list[_Tag], account: str, currency: str, where: str) -> Entry:
    line, texts = tags[0], [tag.text for tag in tags[1:]]
    found = _parsed(line.text, where)
    extra = found.get("extra_details") or ""
    booked = found.get("entry_date") or found["date"]
    return Entry(
        place=f"line {line.line}",
        account=account,
        currency=currency,
        amount_micros=micros_of(abs(found["amount"].amount), currency, where),
        direction=Direction.CREDIT if found["status"] in ("C", "RD") else Direction.DEBIT,
        booked_on=date(booked.year, booked.month, booked.day),
        valued_on=date(found["date"].year, found["date"].month, found["date"].day),
        bank_ref=own_reference(found.get("bank_reference")),
        texts=tuple(text for text in (*texts, extra, found.get("customer_reference") or "") if text.strip()),
        payer=_payer(texts),
        reversal=found["status"].startswith("R"),
    )


def _parsed(text: str, where: str) -> dict[str, Any]:
    """The fields of one :61:."""
    try:
        [found] = mt940.parse(f":20:ONE\n:61:{text}")
        return dict(found.data)
    except (RuntimeError, ValueError, ArithmeticError, KeyError, TypeError) as error:
        raise BadStatement(
            f"{where}: {text.splitlines()[0][:60] if text else 'nothing'} is not an entry as MT940 has them.",
            remedy="Ask the bank for the file anew, or for camt.053.",
        ) from error


def _account(statement: _Statement) -> tuple[str, str]:
    """The account as the statement names it, and the currency: of its balances, else written behind the account."""
    account = statement.value("25", "25P").partition("\n")[0].strip()
    written = re.match(r"[CD][0-9 ]{6}([A-Z]{3})", statement.value("60F", "60M", "62F", "62M", "64", "65"))
    behind = re.search(r"(?<=[0-9 /])[A-Z]{3}$", account)
    currency = written[1] if written else behind[0] if behind else ""
    return (account.removesuffix(currency).strip() if currency else account), currency


def _balance(text: str, where: str) -> int | None:
    """ "C231105EUR1234,50" in micro-units."""
    found = re.match(r"([CD])[0-9 ]{6}([A-Z]{3})([0-9]*),?([0-9]*)", text)
    if not found:
        return None
    micros = micros_of(Decimal(f"{found[3] or 0}.{found[4] or 0}"), found[2], where)
    return micros if found[1] == "C" else -micros


def _payer(texts: list[str]) -> str:
    found = _PAYER.search("".join("".join(texts).splitlines()))
    return "".join(part for part in found.groups() if part).strip() if found else ""
