"""Wallets: what is in them."""

from typing import Any

import msgspec

from postmeter.api.messages import Amount
from postmeter.api.operation import Call, operation
from postmeter.customers.permissions import READ_BALANCE
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import decimal_string
from postmeter.kit.refusals import NotFound
from postmeter.topups import queries as topups
from postmeter.wallets import models, queries


class Wallet(msgspec.Struct, kw_only=True):
    """A balance in one unit. available = posted + debt − held + limit."""

    id: str
    kind: str
    unit: str
    posted: Amount
    held: Amount
    available: Amount
    incoming: Amount
    limit: Amount
    debt: Amount


class WalletList(msgspec.Struct, kw_only=True):
    """The wallets that this key may see."""

    data: list[Wallet]


@operation("GET", "/v1/wallets", scope=READ_BALANCE, summary="List wallets", answer=WalletList)
def list_wallets(call: Call[None, None]) -> WalletList:
    """Live keys see the live wallets, test keys the sandbox."""
    rows = queries.wallets(customer_id=call.customer_id)
    return WalletList(data=[_shape(call.customer_id, row) for row in rows if _is_for(call, row)])


@operation("GET", "/v1/wallets/{id}", of="WA", scope=READ_BALANCE, summary="One wallet", answer=Wallet, refusals=(NotFound,))
def get_wallet(call: Call[None, None]) -> Wallet:
    """What was posted, what is promised to messages under way, what may be spent, and what is being paid."""
    return _shape(call.customer_id, wallet_of(call, call.id))


def wallet_of(call: Call[Any, Any], wallet_id: int) -> models.Wallet:
    """The wallet, if this key may see it."""
    found = queries.wallet(customer_id=call.customer_id, wallet_id=wallet_id)
    if not _is_for(call, found):
        raise NotFound("There is no such wallet.", remedy="Test keys see the sandbox, live keys the live wallets.")
    return found


def _is_for(call: Call[Any, Any], wallet: models.Wallet) -> bool:
    return (wallet.kind == "sandbox") == (call.caller.mode == "test")


def _shape(customer_id: int, wallet: models.Wallet) -> Wallet:
    figures = topups.figures(customer_id=customer_id, wallet=wallet)
    return Wallet(
        id=public_ids().encode("WA", wallet.id),
        kind=wallet.kind,
        unit=wallet.unit,
        posted=decimal_string(figures.posted_micros),
        held=decimal_string(figures.held_micros),
        available=decimal_string(figures.available_micros),
        incoming=decimal_string(figures.incoming_micros),
        limit=decimal_string(figures.limit_micros),
        debt=decimal_string(figures.debt_micros),
    )
