"""A clinic with credit of each member's own, and people in its offices and teams."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from postmeter.customers import groups
from postmeter.customers.models import Role
from postmeter.customers.queries import Seat
from postmeter.db import calls
from postmeter.kit.money import MICROS
from postmeter.messaging.operations import payers
from postmeter.messaging.operations.accept import Accepted, Submission, submit
from postmeter.wallets import queries, sharing, transfers
from postmeter.wallets.models import Transfer, TransferRequest, Wallet
from tests.cast import Cast, Clinic, at, number


@dataclass
class Team:
    clinic: Clinic
    cast: Cast

    def seat(self, *roles: Role) -> Seat:
        found = self.cast.member(self.clinic, *roles)
        if Role.BILLING_ADMIN not in roles:
            self.wallet(found)
        return found

    @property
    def master(self) -> Seat:
        return self.clinic.master

    def wallet(self, seat: Seat) -> Wallet:
        return sharing.wallet_of(customer_id=self.clinic.id, member_id=seat.member_id, now=at())

    def has(self, seat: Seat | None) -> int:
        """Posted, whole units."""
        wallet = self.wallet(seat) if seat else self.clinic.pool
        return queries.balance(customer_id=self.clinic.id, wallet=wallet).posted_micros // MICROS

    def group(self, kind: str, *seats: Seat) -> int:
        made = groups.open_group(
            customer_id=self.clinic.id, kind=kind, name=f"{kind} {calls.next_id()}", actor=self.clinic.actor, now=at()
        )
        ids = [seat.member_id for seat in seats]
        groups.place(customer_id=self.clinic.id, group_id=made.id, member_ids=ids, actor=self.clinic.actor, now=at())
        return made.id

    def transfer(
        self,
        who: Seat,
        source: Seat | None,
        target: Seat | None,
        micros: int,
        *,
        key: UUID | None = None,
        agreed: str | None = None,
    ) -> Transfer | TransferRequest:
        """None is System Credits."""
        ids = [self.wallet(seat).id if seat else self.clinic.pool.id for seat in (source, target)]
        return transfers.transfer(
            customer_id=self.clinic.id,
            seat=who,
            source_id=ids[0],
            target_id=ids[1],
            amount_micros=micros,
            note="for May",
            agreed=transfers.agreed_hash() if agreed is None else agreed,
            key=key or uuid4(),
            now=at(),
        )

    def give(self, seat: Seat, dollars: int) -> None:
        self.cast.give(self.clinic.id, self.wallet(seat), dollars * MICROS)


def team(cast: Cast, *, pool: int = 100) -> Team:
    """Its members have credit of their own; the pool has this many dollars."""
    clinic = cast.clinic(credit_micros=pool * MICROS)
    sharing.switch(customer_id=clinic.id, individual=True, actor="operator:1", now=at())
    return Team(clinic, cast)


def send(clinic: Clinic, actor: str, count: int = 1) -> Accepted:
    payers.forget()
    return submit(Submission(clinic.id, [number(1)] * count, ["Hi"] * count, actor), now=at())


def actor(seat: Seat) -> str:
    return f"member:{seat.member_id}"
