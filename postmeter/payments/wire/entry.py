"""What a bank's statement says, in our words, whatever its format."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from postmeter.kit.money import LARGEST_MICROS, MICROS, MINOR_DIGITS
from postmeter.kit.refusals import BadInput

MAX_BYTES = 20 * 1024 * 1024
NO_REFERENCES = frozenset({"", "NONREF", "NONE", "NOTPROVIDED", "NOREF"})  # what banks write where there is none


class BadStatement(BadInput):
    """This file cannot be imported. It names the file, the place in it and the remedy; nothing of it is imported."""

    code = "bad_statement"


class Direction(StrEnum):
    """Seen from the account: money came in, or went out."""

    CREDIT = "credit"
    DEBIT = "debit"


@dataclass(frozen=True, slots=True)
class Entry:
    """One booked amount. `texts`: what payer and bank wrote, a text each, its lines separated by line breaks.

    `payments` is above 1 for a lump sum whose parts the statement does not name.
    """

    place: str  # where it stands in its file, for people: "line 12", "entry 3"
    account: str
    currency: str
    amount_micros: int
    direction: Direction
    booked_on: date
    valued_on: date
    bank_ref: str = ""
    texts: tuple[str, ...] = ()
    payer: str = ""
    reversal: bool = False  # takes an earlier entry back, in whichever direction
    returned: bool = False  # a payment that could not be delivered and came back
    payments: int = 1

    @property
    def signed_micros(self) -> int:
        return self.amount_micros if self.direction is Direction.CREDIT else -self.amount_micros


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file says. `left_out`: entries that are not booked yet, or are of no money; the bank tells booked ones again.

    `unbalanced`: of each statement whose entries do not lead from its opening to its closing balance, a sentence.
    """

    kind: str  # camt.053, camt.054, mt940, csv
    entries: tuple[Entry, ...]
    left_out: int = 0
    unbalanced: tuple[str, ...] = ()


def micros_of(amount: Decimal, currency: str, where: str) -> int:
    """Micro-units of an amount that a bank wrote. Refuses BadStatement what is no money: no currency, too fine, too large."""
    if currency not in MINOR_DIGITS:
        raise BadStatement(f"{where}: {currency or 'no text'} is not a currency.", remedy="Ask the bank for the file anew.")
    if not amount.is_finite() or abs(amount) > LARGEST_MICROS // MICROS:
        raise BadStatement(f"{where}: {amount} is not an amount.", remedy="Ask the bank for the file anew.")
    if round(amount, MINOR_DIGITS[currency]) != amount:
        raise BadStatement(f"{where}: {amount} {currency} has too many decimals.", remedy="Ask the bank for the file anew.")
    return int(amount * MICROS)


def own_reference(text: str | None) -> str:
    """The bank's name of an entry, or nothing where it only fills the field."""
    cleaned = "".join((text or "").split())
    return "" if cleaned.upper() in NO_REFERENCES or not cleaned.strip("0") else cleaned


def unbalanced(entries: list[Entry], opening: int | None, closing: int | None, where: str) -> list[str]:
    """Opening + entries = closing, or the file was cut, changed, or made up by a payer's text. Silent where one is missing."""
    if opening is None or closing is None:
        return []
    total = opening + sum(entry.signed_micros for entry in entries)
    if total == closing:
        return []
    come_to, stands = Decimal(total) / MICROS, Decimal(closing) / MICROS
    return [f"{where}: the opening balance and the entries come to {come_to}, but the closing balance is {stands}."]
