"""What credit costs: money is bought one to one, credits counted in messages at their pack price (A-01, S-154)."""

from dataclasses import dataclass
from datetime import datetime

from postmeter.customers import queries as customers
from postmeter.db.scope import scoped
from postmeter.kit.money import CREDITS, MICROS, exact_minor, format_amount
from postmeter.kit.refusals import BadInput, Conflict
from postmeter.rating import queries as rating
from postmeter.rating.packs import Packs
from postmeter.wallets.models import Wallet

MINIMUM_MICROS = 10 * MICROS  # S-015
MAXIMUM_MICROS = 50_000 * MICROS


class PriceChanged(Conflict):
    """This credit has another price by now."""

    code = "price_changed"


@dataclass(frozen=True, slots=True)
class Price:
    """What is paid for so much credit; micro-units of a currency."""

    micros: int
    currency: str


@scoped
def price(*, customer_id: int, wallet: Wallet, amount_micros: int, now: datetime) -> Price:
    """Raises BadInput by `amount` for less than $10 (S-015), more than $50,000, or finer than the unit is paid in."""
    exact_minor(amount_micros, wallet.unit, field="amount")
    packs = _packs(customer_id, wallet, now)
    paid = Price(packs.price_micros(amount_micros // MICROS), packs.currency) if packs else Price(amount_micros, wallet.unit)
    if paid.micros < MINIMUM_MICROS:
        least = format_amount(_least(packs), wallet.unit)
        raise BadInput(f"The smallest purchase is {least}.", field="amount", remedy="Enter at least that much.")
    if paid.micros > MAXIMUM_MICROS:
        raise BadInput(
            f"The largest purchase is {format_amount(MAXIMUM_MICROS, paid.currency)}.",
            field="amount",
            remedy="Buy in several steps, or by invoice.",
        )
    return paid


@scoped
def least(*, customer_id: int, wallet: Wallet, now: datetime) -> int:
    """The smallest purchase, in micro-units of the wallet's unit."""
    return _least(_packs(customer_id, wallet, now))


@scoped
def packs(*, customer_id: int, wallet: Wallet, now: datetime) -> Packs | None:
    """The pack prices that this wallet buys at; None where its credit is money."""
    return _packs(customer_id, wallet, now)


def _packs(customer_id: int, wallet: Wallet, now: datetime) -> Packs | None:
    if wallet.unit not in CREDITS:
        return None
    customer = customers.customer(customer_id=customer_id)
    price_list = rating.price_list_of(customer_id=customer_id, plan=customer.plan)
    return rating.packs(customer_id=customer_id, price_list=price_list, currency=customer.currency, now=now)


def _least(packs: Packs | None) -> int:
    return packs.least(MINIMUM_MICROS) * MICROS if packs else MINIMUM_MICROS
