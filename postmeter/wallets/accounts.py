"""Whose credit somebody sees, and what they may do with it (R-02 … R-09): one function decides for pages, logs and the API."""

from dataclasses import dataclass

from postmeter.customers import groups, permissions
from postmeter.customers import queries as customers
from postmeter.customers.models import Role
from postmeter.customers.queries import Seat
from postmeter.db.scope import scoped
from postmeter.kit.refusals import NotFound
from postmeter.wallets import queries
from postmeter.wallets.models import Wallet
from postmeter.wallets.queries import WalletBalance


@dataclass(frozen=True, slots=True)
class Account:
    """A row of "Manage SMS Credits". `seat` is whose it is; none: System Credits."""

    wallet: Wallet
    name: str
    seat: Seat | None
    balance: WalletBalance
    is_frozen: bool  # its owner left, or may not send any more: it can only be transferred
    may_give: bool  # credit may be transferred from it
    may_take: bool  # to it
    may_buy: bool  # credit may be purchased for it


@scoped
def visible(*, customer_id: int, seat: Seat) -> list[Account]:
    """The accounts that this member has access to, System Credits first, then their own."""
    is_master = Role.MASTER in seat.roles
    manages = is_master or permissions.MANAGE_CREDITS in seat.permissions
    near = (
        frozenset[int]()
        if is_master
        else groups.beside(customer_id=customer_id, member_id=seat.member_id, kind="office" if manages else "team")
    )
    # With the customer's methods, or with one's own for those whom one sees.
    may_buy = bool({permissions.BUY, permissions.SEND, permissions.MANAGE_CREDITS} & seat.permissions)
    people = {person.member_id: person for person in customers.everybody(customer_id=customer_id)}
    rows = []
    for wallet in queries.wallets(customer_id=customer_id):
        owner = people.get(wallet.member_id)
        is_own = owner is not None and owner.member_id == seat.member_id
        if wallet.kind == "pool" and is_master:
            rows.append(
                _account(
                    wallet, "System Credits", None, frozen=False, give=True, take=True, buy=permissions.BUY in seat.permissions
                )
            )
        elif wallet.kind == "user" and owner and (is_own or is_master or owner.member_id in near):
            may_send = permissions.SEND in owner.permissions
            row = _account(
                wallet,
                owner.name,
                owner,
                frozen=not may_send,
                give=is_own or manages,
                take=may_send,
                buy=may_send and may_buy,
            )
            # Who may not send has no row, unless there is credit to take back.
            if may_send or (row.balance.posted_micros > 0 and (is_own or manages)):
                rows.append(row)
    return sorted(
        rows, key=lambda row: (row.seat is not None, row.seat is None or row.seat.member_id != seat.member_id, row.name)
    )


@scoped
def account(*, customer_id: int, seat: Seat, wallet_id: int) -> Account:
    """One of them. Raises NotFound, also for one that is there and not for this member."""
    found = next((row for row in visible(customer_id=customer_id, seat=seat) if row.wallet.id == wallet_id), None)
    if found is None:
        raise NotFound("There is no such account, or it is not yours to see.")
    return found


@scoped
def name_of(*, customer_id: int, wallet_id: int) -> str:
    """Whose credit a wallet is, in words: of somebody who left too."""
    wallet = queries.wallet(customer_id=customer_id, wallet_id=wallet_id)
    if wallet.kind == "sandbox":
        return "the sandbox's play money"
    owner = next((p for p in customers.everybody(customer_id=customer_id) if p.member_id == wallet.member_id), None)
    return f"{owner.name}'s own credit" if owner else "System Credits"


def _account(wallet: Wallet, name: str, owner: Seat | None, *, frozen: bool, give: bool, take: bool, buy: bool) -> Account:
    balance = queries.balance(customer_id=wallet.customer_id, wallet=wallet)
    return Account(wallet, name, owner, balance, frozen, give, take, buy)
