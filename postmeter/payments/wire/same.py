"""Which entries of a file are known already, from that file, another one, or another format of the same day."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from postmeter.payments.wire.reference import squeezed

_REFERENCE_LENGTH = 16  # what MT940 keeps of the bank's name of an entry


@dataclass(frozen=True, slots=True)
class Seen:
    """What tells an entry from others of its account. `what`: its payment reference, else its squeezed texts."""

    money: tuple[str, int, str]  # currency, micro-units, direction
    days: frozenset[date]  # booked, valued: formats and banks differ in which one they tell
    bank_ref: str
    reference: str
    what: str
    source: str


def what_of(reference: str, texts: Iterable[str]) -> str:
    return reference or squeezed("".join(texts))


def compare(read: Sequence[Seen], stored: Sequence[Seen]) -> tuple[list[int], set[int]]:
    """Positions in `read` that are new; and those of them that may yet be known, which a person must decide.

    Each stored entry answers for one that is read: of twins in a file, as many are known as were stored. The surest first:
    the bank's own name of the entry, then the same words where one of the two has no such name.
    """
    new, doubtful = [], set()
    for money in dict.fromkeys(seen.money for seen in read):
        free = [place for place, seen in enumerate(stored) if seen.money == money]
        left = [place for place, seen in enumerate(read) if seen.money == money]
        left = _pair(left, free, lambda one, other: _same_name(read[one], stored[other]))
        left = _pair(left, free, lambda one, other: _same_words(read[one], stored[other]))
        new += left
        doubtful |= set(left) - set(_pair(left, free, lambda one, other: _alike(read[one], stored[other])))
    return sorted(new), doubtful


def _pair(these: list[int], free: list[int], same: Callable[[int, int], bool]) -> list[int]:
    """Pair each with the first free one that is the same, which is then taken; returns those that found none."""
    left = []
    for one in these:
        match = next((other for other in free if same(one, other)), None)
        if match is None:
            left.append(one)
        else:
            free.remove(match)
    return left


def _could_be(one: Seen, other: Seen) -> bool:
    contradict = one.reference and other.reference and one.reference != other.reference
    return bool(one.days & other.days) and not contradict


def _same_name(one: Seen, other: Seen) -> bool:
    return _could_be(one, other) and _names_agree(one, other) and (one.what == other.what or one.source != other.source)


def _same_words(one: Seen, other: Seen) -> bool:
    return _could_be(one, other) and not (one.bank_ref and other.bank_ref) and one.what == other.what


def _alike(one: Seen, other: Seen) -> bool:
    """The same words under two names in two formats, or the same name with other words: one entry or two, who knows."""
    if not _could_be(one, other) or not (one.bank_ref and other.bank_ref):
        return False
    return _names_agree(one, other) or (one.what == other.what and one.source != other.source)


def _names_agree(one: Seen, other: Seen) -> bool:
    mine, theirs = one.bank_ref[:_REFERENCE_LENGTH], other.bank_ref[:_REFERENCE_LENGTH]
    return bool(mine) and mine == theirs
