"""What a message costs: the rate of its destination times its units. Pure.

Money is in micro-units. Prices from outside may be finer than a micro; `Rate.read` rounds them up to one, once, here. From there
on every price is a product of integers and exact.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from types import MappingProxyType
from typing import Self

from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput

HIGHEST_PRICE_MICROS = 10**12
"""A million for one unit is a slip of the pen. It also keeps every product far inside a BIGINT."""

_PREFIX = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}|001")  # 001 is the world: satellite and other numbers of no country
_PRICE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,18})?", re.ASCII)


class BadRate(BadInput):
    """This line of the price list is not right."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The price and the carrier fee of one unit to the numbers beginning with `prefix` (digits, no plus). S-087 to S-090.

    Refuses negative prices: lists of carriers mark "not offered" with -1, and a price below zero would pay for sending.
    Leave such a destination out instead. Zero is a price.
    """

    prefix: str
    country: str
    price_micros: int
    fee_micros: int = 0

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise BadRate(
                f"{self.prefix!r} is not a prefix of telephone numbers.",
                field="prefix",
                remedy="Write 1 to 15 digits, the country code first, without a plus.",
            )
        if not _COUNTRY.fullmatch(self.country):
            raise BadRate(f"{self.country!r} is not a country.", field="country", remedy="Write two capital letters, such as US.")
        _check_price(self.price_micros, "price_micros", self.prefix)
        _check_price(self.fee_micros, "fee_micros", self.prefix)

    @classmethod
    def read(cls, prefix: str, country: str, price: str, fee: str = "0") -> Self:
        """A line of a price list: prices as decimal strings of whole units, rounded up to a micro."""
        return cls(prefix, country, _read_price(price, "price"), _read_price(fee, "fee"))


def _check_price(micros: int, name: str, prefix: str) -> None:
    if not 0 <= micros <= HIGHEST_PRICE_MICROS:
        raise BadRate(
            f"The {name} of prefix {prefix} is {micros}.",
            field=name,
            remedy="Prices are zero or more and at most a million a unit. Leave out destinations that are not offered.",
        )


def _read_price(text: str, name: str) -> int:
    if not _PRICE.fullmatch(text):
        raise BadRate(f"{text!r} is not a price.", field=name, remedy="Write a decimal number of zero or more, such as 0.0079.")
    return up_to_a_micro(Decimal(text))


def up_to_a_micro(amount: Decimal) -> int:
    """Pricing's one rounding: an amount of whole units in micros, a fraction of a micro counting as a whole one."""
    return int((amount * MICROS).to_integral_value(rounding=ROUND_CEILING))


class RateTable:
    """The rates of one price list for one channel and direction; finds the rate of the longest prefix of a number."""

    MEMO_SIZE = 100_000

    def __init__(self, rates: Iterable[Rate], otherwise: "RateTable | None" = None) -> None:
        """`otherwise` has the rates of the numbers that these do not reach."""
        self._otherwise = otherwise
        self._rates: dict[str, Rate] = {}
        for rate in rates:
            if rate.prefix in self._rates:
                raise BadRate(
                    f"Prefix {rate.prefix} stands in the list twice.", field="prefix", remedy="Keep one line for each prefix."
                )
            self._rates[rate.prefix] = rate
        self._lengths = sorted({len(prefix) for prefix in self._rates}, reverse=True)
        self._deciding = 1 + max(self._lengths, default=0)  # the plus and the digits that can make a difference
        self._memo: dict[str, Rate | None] = {}

    def __len__(self) -> int:
        return len(self._rates)

    def find(self, e164: str) -> Rate | None:
        """The rate for a number such as "+14155550100"; None where the list does not reach, and then it must not be sent to."""
        head = e164[: self._deciding]
        try:
            return self._memo[head]
        except KeyError:
            rate = self._search(head[1:])
        if rate is None and self._otherwise is not None:
            return self._otherwise.find(e164)
        if len(self._memo) >= self.MEMO_SIZE:
            self._memo.clear()  # else whoever writes to enough numbers could fill our memory
        self._memo[head] = rate
        return rate

    def _search(self, digits: str) -> Rate | None:
        for length in self._lengths:
            if (rate := self._rates.get(digits[:length])) is not None:
                return rate
        return None


@dataclass(frozen=True, slots=True)
class Price:
    """What one message costs; the carrier fee is passed through without markup (S-088)."""

    price_micros: int
    fee_micros: int

    @property
    def total_micros(self) -> int:
        return self.price_micros + self.fee_micros


def price(units: int, rate: Rate) -> Price:
    """The price of `units` (segments, pages, increments; at least 1) at a rate."""
    if units < 1:
        raise ValueError(f"a message has at least one unit, not {units}")
    return Price(units * rate.price_micros, units * rate.fee_micros)


# --- who pays for what was not delivered


ANY = "*"

PROVIDER_ACCEPTED: Mapping[tuple[str, str], bool] = MappingProxyType(
    {
        ("sent", ANY): True,  # accepted, and no receipt ever came
        ("delivered", ANY): True,
        ("undelivered", ANY): True,  # the provider did its work and bills us: unreachable, blocked, filtered, landline
        ("undelivered", "internal"): False,
        ("failed", ANY): False,
        ("expired", ANY): False,
        ("cancelled", ANY): False,
    }
)
"""A-50: charge when the provider accepted and reports anything but an internal failure."""

ERROR_CLASSES: Mapping[int, str] = MappingProxyType(
    {
        30001: "internal",  # queue overflow
        30002: "internal",  # the operator's account is suspended
        30003: "unreachable",
        30004: "blocked",
        30005: "unknown_number",
        30006: "landline",
        30007: "filtered",
        30008: "unknown",
        30009: "internal",  # a segment went missing
        30500: "internal",
    }
)
"""The error codes that providers report (Twilio's numbers, which the other adapters translate to) by what they mean for money."""


@dataclass(frozen=True, slots=True)
class PayablePolicy:
    """Who pays for which end of a message: final status × error class, as data of the price list (D-08).

    `outcomes` maps (status, error class or ANY) to whether the customer pays; the exact class wins over ANY.
    """

    outcomes: Mapping[tuple[str, str], bool] = field(default_factory=lambda: PROVIDER_ACCEPTED)
    error_classes: Mapping[int, str] = field(default_factory=lambda: ERROR_CLASSES)

    def payable(self, status: str, error_code: int | None = None) -> bool:
        """Whether the customer pays. A status that is not final (or unknown to the policy) is a bug of the caller: ValueError."""
        error_class = self.error_classes.get(error_code, "other") if error_code is not None else "none"
        for key in ((status, error_class), (status, ANY)):
            if key in self.outcomes:
                return self.outcomes[key]
        raise ValueError(f"the policy says nothing about messages that are {status}")
