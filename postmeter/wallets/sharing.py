"""One pool for all, or credit of each member's own (S-143, A-59, A-60): whose wallet pays, and the change between the two."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from postmeter.customers import permissions
from postmeter.customers import queries as customers
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.refusals import Conflict, NotAllowed
from postmeter.ledger import operations as ledger
from postmeter.wallets import operations, queries, transfers
from postmeter.wallets.models import Sharing, Wallet


class NoPayer(NotAllowed):
    """No credit pays for this."""

    code = "no_payer"


@dataclass(frozen=True, slots=True)
class Swept:
    """What a wallet has, and would have; micro-units."""

    name: str
    unit: str
    before_micros: int
    after_micros: int


@scoped
def sharing(*, customer_id: int) -> Sharing:
    return Sharing.objects.filter(customer_id=customer_id).first() or Sharing(customer_id=customer_id)


@scoped
def wallet_that_pays(*, customer_id: int, actor: str, now: datetime) -> Wallet:
    """Whose credit pays under individual credits: always the sender's own (R-06). Raises NoPayer."""
    kind, _, id_ = actor.partition(":")
    if kind != "member":
        if sharing(customer_id=customer_id).pool_for_programs:
            return queries.pool(customer_id=customer_id)
        raise NoPayer(
            "Each member has credit of their own here, and programs have none.",
            remedy="A master can let programs use System Credits, under Manage SMS Credits.",
        )
    seat = next((seat for seat in customers.members(customer_id=customer_id) if str(seat.member_id) == id_), None)
    if seat is None or permissions.SEND not in seat.permissions:
        raise NoPayer("You may not send.", remedy="Ask a master for the permission.")
    return wallet_of(customer_id=customer_id, member_id=seat.member_id, now=now)


@scoped
def wallet_shown(*, customer_id: int, member_id: int) -> Wallet:
    """The credit that a member sees everywhere: what pays for what they send. Raises NotFound."""
    if sharing(customer_id=customer_id).individual:
        own = Wallet.objects.filter(customer_id=customer_id, kind="user", member_id=member_id).order_by("id").first()
        if own:
            return own
    return queries.pool(customer_id=customer_id)


@scoped
def wallet_of(*, customer_id: int, member_id: int, now: datetime) -> Wallet:
    """A member's own wallet, opened if it is not there."""
    unit = queries.pool(customer_id=customer_id).unit
    return operations.open_wallet(customer_id=customer_id, kind="user", unit=unit, now=now, member_id=member_id)


@scoped
def let_programs(*, customer_id: int, allowed: bool, actor: str, now: datetime) -> None:
    """Let programs and reminders use System Credits, or not (A-59)."""
    row = _locked(customer_id)
    if row.pool_for_programs != allowed:
        row.pool_for_programs = allowed
        row.save()
        data = {"pool_for_programs": allowed}
        events.record("sharing.changed", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data=data)


@scoped
def preview(*, customer_id: int, individual: bool) -> list[Swept]:
    """The balances after a change. To individual: nothing moves. To one pool: what is free goes there, what is held stays first."""
    names = {seat.member_id: seat.name for seat in customers.everybody(customer_id=customer_id)}
    pool, swept, rows = queries.pool(customer_id=customer_id), 0, []
    for wallet in _users(customer_id):
        balance = queries.balance(customer_id=customer_id, wallet=wallet)
        free = 0 if individual else max(0, balance.posted_micros - balance.held_micros)
        swept += free
        rows.append(Swept(names[wallet.member_id], wallet.unit, balance.posted_micros, balance.posted_micros - free))
    before = queries.balance(customer_id=customer_id, wallet=pool).posted_micros
    return [Swept("System Credits", pool.unit, before, before + swept), *rows]


@scoped
def switch(*, customer_id: int, individual: bool, actor: str, now: datetime) -> dict[str, int]:
    """Change the configuration. Returns what was swept into the pool, by wallet; raises Conflict where it is so already."""
    row = _locked(customer_id)
    if row.individual == individual:
        raise Conflict("It is so already.", field="individual", remedy="Nothing is to be done.")
    row.individual = individual
    row.save()
    data = {"individual": individual}
    events.record("sharing.changed", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data=data)
    if not individual:
        return sweep(customer_id=customer_id, actor=actor, now=now)
    for seat in customers.members(customer_id=customer_id):
        if permissions.SEND in seat.permissions:
            wallet_of(customer_id=customer_id, member_id=seat.member_id, now=now)
    return {}


@scoped
def give_back(*, customer_id: int, amounts: dict[str, int], actor: str, now: datetime) -> None:
    """The way back from a sweep: each wallet gets again what it had. Raises NotCovered where the pool has less by now."""
    pool = queries.pool(customer_id=customer_id)
    for wallet_id, micros in sorted(amounts.items()):
        target = queries.wallet(customer_id=customer_id, wallet_id=int(wallet_id))
        transfers.move(
            source=pool, target=target, amount_micros=micros, note="Back to your own credit", key=uuid4(), actor=actor, now=now
        )


@scoped
def sweep(*, customer_id: int, actor: str, now: datetime) -> dict[str, int]:
    """Bring what is free in members' wallets into the pool, where all share it. What is held comes when its messages have ended."""
    if sharing(customer_id=customer_id).individual:
        return {}
    pool, moved = queries.pool(customer_id=customer_id), {}
    users = _users(customer_id)
    ledger.lock(customer_id=customer_id, account_ids=[pool.account_id, *(wallet.account_id for wallet in users)])
    for wallet in users:
        balance = queries.balance(customer_id=customer_id, wallet=wallet)
        free = balance.posted_micros + balance.debt_micros - balance.held_micros
        if free > 0:
            transfers.move(
                source=wallet, target=pool, amount_micros=free, note="Back to one pool", key=uuid4(), actor=actor, now=now
            )
            moved[str(wallet.id)] = free
    return moved


def _users(customer_id: int) -> list[Wallet]:
    return [wallet for wallet in queries.wallets(customer_id=customer_id) if wallet.kind == "user"]


def _locked(customer_id: int) -> Sharing:
    Sharing.objects.get_or_create(customer_id=customer_id)
    return Sharing.objects.select_for_update().get(customer_id=customer_id)
