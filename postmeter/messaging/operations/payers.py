"""Who pays for a customer's messages on one channel, with which prices, and what each of them costs."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from postmeter.customers import queries as customers
from postmeter.db import scope
from postmeter.guard import operations as guard
from postmeter.guard import queries as guarding
from postmeter.kit.refusals import BadInput, Conflict, NotAllowed, Refusal
from postmeter.messaging import channels, lint, routes
from postmeter.messaging.addresses import mailbox_of
from postmeter.messaging.channels import Channel
from postmeter.rating import queries as rating
from postmeter.rating.price import price
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets
from postmeter.wallets import sharing
from postmeter.wallets.models import Wallet

PAYER_SECONDS = 5.0


class MessagingOff(NotAllowed):
    """Messaging is switched off for this customer."""

    code = "messaging_off"


@dataclass(frozen=True, slots=True)
class Payer:
    """What accepting on one channel needs to know of a customer and the wallet that pays; kept for a few seconds in the process."""

    customer_id: int
    channel: Channel
    wallet_id: int
    debit: int
    credit: int
    unit: str
    sender: str
    region: str
    provider: str
    prices: rating.Prices
    by_hand: rating.Prices  # of what a member sends (S-083, S-084)
    is_individual: bool = False  # each member's own credit pays
    rules: guarding.Rules | None = None  # None: nothing of it is limited or counted


@dataclass(slots=True)
class Priced:
    """What each text costs; micro-units. `problems` names the rows that cannot go, by position."""

    encodings: list[str]
    segments: list[int]
    prices: list[int]
    fees: list[int]
    problems: dict[int, Refusal] = field(default_factory=dict)


_payers: dict[tuple[int, str, str], tuple[float, Payer]] = {}


def payer(*, customer_id: int, mode: str, actor: str, now: datetime, channel: str = "sms") -> Payer:
    """Who pays, with which prices: the pool, or under individual credits the sender's own (R-06). Raises MessagingOff, NoPayer."""
    if payer_age(customer_id=customer_id, mode=mode, channel=channel) < PAYER_SECONDS:
        found = _payers[customer_id, mode, channel][1]
    else:
        found = read_payer(customer_id=customer_id, mode=mode, channel=channel, now=now)
    if actor.startswith("member:"):
        found = replace(found, prices=found.by_hand)
    return _own(found, actor, now) if found.is_individual else found


def _own(who: Payer, actor: str, now: datetime) -> Payer:
    known = _payers.get((who.customer_id, actor, who.channel.name))
    if known and time.monotonic() - known[0] < PAYER_SECONDS:
        return known[1]
    with scope.customer(who.customer_id):
        wallet = sharing.wallet_that_pays(customer_id=who.customer_id, actor=actor, now=now)
        accounts = wallet_operations.accounts(customer_id=who.customer_id, wallet=wallet)
    found = replace(who, wallet_id=wallet.id, debit=accounts.wallet, credit=accounts.usage, unit=wallet.unit)
    _payers[who.customer_id, actor, who.channel.name] = (time.monotonic(), found)
    return found


def payer_age(*, customer_id: int, mode: str, channel: str) -> float:
    """How many seconds ago the payer was read in this process; infinite if it was not."""
    known = _payers.get((customer_id, mode, channel))
    return time.monotonic() - known[0] if known else math.inf


def read_payer(*, customer_id: int, mode: str, channel: str, now: datetime) -> Payer:
    """Read the payer and keep it. A door that collects messages does this ahead, beside the thread that commits."""
    on = channels.channel(channel)
    with scope.customer(customer_id):
        customer = customers.customer(customer_id=customer_id)
        if guarding.is_stopped(customer_id=customer_id):
            raise guard.stopped()
        if not customer.messaging_enabled or customer.suspended_at:
            raise MessagingOff(remedy="Switch it on under Settings, or ask your account manager.")
        wallet, accounts = _wallet_of(customer_id, mode)
        is_individual = mode == "live" and sharing.sharing(customer_id=customer_id).individual
        # What is free is in no price list; what the list says for all channels holds for it too.
        priced_as = "sms" if on.is_free else channel
        prices, by_hand = (
            rating.prices(customer_id=customer_id, plan=customer.plan, channel=priced_as, direction=direction, now=now)
            for direction in ("out", rating.BY_HAND)
        )
        is_guarded = mode == "live" and on.medium in guarding.GUARDED
        rules = guarding.rules(customer=customer, customer_id=customer_id, unit=wallet.unit) if is_guarded else None
    if prices.currency != wallet.unit:
        raise Conflict("The price list is not in the wallet's currency.", remedy="Ask your account manager.")
    found = Payer(
        customer_id,
        on,
        wallet.id,
        accounts.wallet,
        accounts.usage,
        wallet.unit,
        mailbox_of(customer.name, customer.number) if on.medium == "email" else customer.sender,
        customer.country,
        routes.first(channel) if mode == "live" else routes.SANDBOX,
        prices,
        by_hand,
        is_individual,
        rules,
    )
    _payers[customer_id, mode, channel] = (time.monotonic(), found)
    return found


@lru_cache(maxsize=100_000)
def _wallet_of(customer_id: int, mode: str) -> tuple[Wallet, wallet_operations.Accounts]:
    """Which wallet pays never changes, nor do its accounts: they are read once in a process."""
    wallet = wallets.pool(customer_id=customer_id, mode=mode)
    return wallet, wallet_operations.accounts(customer_id=customer_id, wallet=wallet)


def forget() -> None:
    """Drop what is kept in this process: after a change of settings, and between tests."""
    _payers.clear()
    _wallet_of.cache_clear()
    rating.forget()


def price_list(payer: Payer, recipients: Sequence[str], bodies: Sequence[str], pages: int = 1) -> Priced:
    """Measure and price each text; one that is faxed is as many units as it has pages. Pure and in memory: this is the part that a list
    of thousands spends most Python on."""
    priced = Priced([], [], [], [])
    find, count, check = payer.prices.table.find, payer.channel.count, payer.channel.check
    free = payer.channel.is_free
    opened = payer.rules.countries if payer.rules else None
    known: dict[str, tuple[str, int]] = {}
    for position, (recipient, body) in enumerate(zip(recipients, bodies, strict=True)):
        encoding, segments, each, fee = "", 1, 0, 0
        try:
            check(recipient)
            measured = known.get(body)
            if measured is None:
                lint.check(body)
                found, n = count(body)
                measured = known[body] = (str(found), n * pages)
            encoding, segments = measured
            if not free:
                rate = find(recipient)
                if rate is None:
                    raise BadInput(
                        "There is no price for this destination.", field="to", remedy="See the price list for where you can send."
                    )
                if opened is not None and rate.country not in opened:
                    raise guarding.closed(rate.country)
                cost = price(segments, rate)
                each, fee = cost.price_micros, cost.fee_micros
        except Refusal as refusal:
            priced.problems[position] = refusal
        priced.encodings.append(encoding)
        priced.segments.append(segments)
        priced.prices.append(each)
        priced.fees.append(fee)
    return priced
