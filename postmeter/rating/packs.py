"""What credit that is counted in messages costs: a price for each, lower from a quantity on (S-154, A-01). Pure.

A pack price turns a count into money once, at purchase; a message then takes credits, whatever a credit costs that day.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from postmeter.kit.money import MICROS, from_minor, to_minor
from postmeter.kit.refusals import BadInput

MOST_CREDITS = 10_000_000  # in a purchase; far inside a BIGINT at the highest price
HIGHEST_PRICE_MICROS = 1_000 * MICROS


@dataclass(frozen=True, slots=True)
class Tier:
    """From this many credits on, each costs this much; micro-units of the currency."""

    quantity: int
    price_micros: int


@dataclass(frozen=True, slots=True)
class Packs:
    """The prices in force, in one currency, the smallest quantity first."""

    currency: str
    tiers: tuple[Tier, ...]

    def price_micros(self, quantity: int) -> int:
        """What so many credits cost together, in whole minor units (half-up). Raises BadInput below the smallest pack."""
        if not self.tiers[0].quantity <= quantity <= MOST_CREDITS:
            raise BadInput(
                f"Credits are sold from {self.tiers[0].quantity:,} to {MOST_CREDITS:,}.",
                field="amount",
                remedy="Choose a number between them.",
            )
        tier = next(tier for tier in reversed(self.tiers) if tier.quantity <= quantity)
        return from_minor(to_minor(quantity * tier.price_micros, self.currency), self.currency)

    def least(self, price_micros: int) -> int:
        """The smallest quantity that costs at least so much."""
        for tier, after in zip(self.tiers, [*self.tiers[1:], None], strict=True):
            quantity = max(tier.quantity, -(-price_micros // tier.price_micros))
            if after is None or quantity < after.quantity:
                return quantity
        raise AssertionError("the last tier has no end")


def check_tiers(tiers: Sequence[Tier]) -> tuple[Tier, ...]:
    """In order. Raises BadInput where they are none, say a quantity twice, or have a price of nothing."""
    found = tuple(sorted(tiers, key=lambda tier: tier.quantity))
    if not found or len({tier.quantity for tier in found}) < len(found):
        raise BadInput("Each quantity stands once, and there is one at least.", field="tiers", remedy="Write 100 = 0.10.")
    for tier in found:
        if not 1 <= tier.quantity <= MOST_CREDITS:
            raise BadInput(f"A pack is 1 to {MOST_CREDITS:,} credits.", field="tiers", remedy="Write 100 = 0.10.")
        if not 0 < tier.price_micros <= HIGHEST_PRICE_MICROS:
            raise BadInput("A credit costs more than nothing and at most 1,000.", field="tiers", remedy="Write 100 = 0.10.")
    return found
