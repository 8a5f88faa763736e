"""Paying by bank transfer: where to, and with which reference."""

from typing import Annotated

import msgspec
from msgspec import Meta

from postmeter.api.operation import Call, operation
from postmeter.api.wallets import wallet_of
from postmeter.customers.permissions import BUY
from postmeter.db.public_ids import public_ids
from postmeter.payments.wire.reference import written
from postmeter.topups import wires
from postmeter.topups.wires import NoBankDetails


class BankAccount(msgspec.Struct, kw_only=True):
    """An account of the operator."""

    holder: str
    account: Annotated[str, Meta(description="IBAN or number, letters and digits only.")]
    bic: str | None
    bank: str | None
    note: Annotated[str | None, Meta(description="What a payer must know besides, such as a routing number.")]


class BankTransfer(msgspec.Struct, kw_only=True):
    """How to pay by bank transfer. What arrives with the reference is credited as received."""

    wallet: str
    currency: str
    reference: Annotated[
        str, Meta(description="ISO 11649, with its checksum; the wallet's own for ever.", examples=["RF18539007547034"])
    ]
    reference_written: Annotated[str, Meta(description="The same in groups, for people.", examples=["RF18 5390 0754 7034"])]
    accounts: list[BankAccount]


@operation(
    "GET",
    "/v1/wallets/{id}/bank-transfer",
    of="WA",
    scope=BUY,
    summary="How to pay by bank transfer",
    answer=BankTransfer,
    live_only=True,
    refusals=(NoBankDetails,),
)
def get_bank_transfer(call: Call[None, None]) -> BankTransfer:
    """The operator's accounts in the wallet's currency, and the wallet's reference. 404 where none are taken in it."""
    wallet = wallet_of(call, call.id)
    told = wires.instructions(customer_id=call.customer_id, wallet_id=wallet.id, now=call.now)
    return BankTransfer(
        wallet=public_ids().encode("WA", wallet.id),
        currency=wallet.unit,
        reference=told.reference,
        reference_written=written(told.reference),
        accounts=[
            BankAccount(holder=row.holder, account=row.account, bic=row.bic or None, bank=row.bank or None, note=row.note or None)
            for row in told.accounts
        ],
    )
