"""The cast: customers and people that the tests tell their stories with.

Harbour is the clinic that most stories are about; a rival must never see anything of Harbour's.
"""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from postmeter.contacts.models import Address
from postmeter.customers import operations as customers
from postmeter.customers import queries as customer_queries
from postmeter.customers.models import Customer, Role
from postmeter.db import calls, scope
from postmeter.guard import operations as guard
from postmeter.guard.limits import HIGHEST
from postmeter.guard.models import EVERYWHERE
from postmeter.kit.money import MICROS
from postmeter.ledger import operations as ledger
from postmeter.rating import operations as rating
from postmeter.rating.models import PriceList
from postmeter.rating.packs import Tier
from postmeter.wallets import operations as wallets
from postmeter.wallets import queries as wallet_queries
from postmeter.wallets.models import Wallet

PASSWORD = "correct horse battery staple"
PRICE, FEE = 7_900, 3_500  # a segment to +1
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Clinic:
    """A customer with a pool, a sandbox, a price list and a master."""

    customer: Customer
    pool: Wallet
    sandbox: Wallet
    master: customer_queries.Seat

    @property
    def id(self) -> int:
        return self.customer.id

    @property
    def actor(self) -> str:
        return f"member:{self.master.member_id}"

    @property
    def available(self) -> int:
        return wallet_queries.balance(customer_id=self.id, wallet=self.pool).available_micros

    @property
    def held(self) -> int:
        return wallet_queries.balance(customer_id=self.id, wallet=self.pool).held_micros

    @property
    def posted(self) -> int:
        return wallet_queries.balance(customer_id=self.id, wallet=self.pool).posted_micros

    def take(self, micros: int) -> None:
        """Have this much taken whatever is there, such as a late fee: beyond the wallet it becomes debt."""
        with scope.customer(self.id):
            accounts = wallets.accounts(customer_id=self.id, wallet=self.pool)
            ledger.take(
                customer_id=self.id,
                now=timezone.now(),
                id=calls.next_id(),
                debt_id=calls.next_id(),
                wallet_id=accounts.wallet,
                receivable_id=accounts.receivable,
                target_id=accounts.usage,
                amount_micros=micros,
                code="late_fee",
                ref_id=1,
            )


class Cast:
    """Makes the people of one test."""

    def clinic(
        self,
        *,
        credit_micros: int = 100 * MICROS,
        name: str = "Harbour Physio",
        payable: dict[str, bool] | None = None,
        unit: str = "USD",
        guarded: bool = False,
    ) -> Clinic:
        """A customer with this much credit, in US dollars, or in SMS credits of ten cents each, eight from 1,000 on.

        It may send as much as it likes, and everywhere, unless it is `guarded` like any new customer.
        """
        now, n = at(), next(_numbers)
        unique = f"{n}-{calls.next_id()}"
        customer = customers.create_customer(
            name=name,
            email=f"accounts-{unique}@clinic.example",
            country="US",
            currency="USD",
            time_zone="America/New_York",
            sender=f"+1555{calls.next_id() % 10**10:010d}"[:15],
            now=now,
            address="7 Quay Road\nPortland, ME 04101",
            quiet_hours=False,  # tests run by night too
        )
        with scope.customer(customer.id):
            pool = wallets.open_wallet(customer_id=customer.id, kind="pool", unit=unit, now=now)
            sandbox = wallets.open_wallet(customer_id=customer.id, kind="sandbox", unit=unit, now=now)
            prices = rating.create_price_list(
                customer_id=customer.id,
                name="Test prices",
                plan="standard",
                currency=unit,
                payable={"undelivered": False} if payable is None else payable,
                now=now,
                actor="operator",
            )
            rates = [
                rating.NewRate("sms", "out", "1", "US", PRICE, FEE),
                rating.NewRate("sms", "out", "44", "GB", 46_300, 0),
                rating.NewRate("sms", "in", "1", "US", 7_500, 0),
            ]
            if unit == "SMS":
                rates = [rating.NewRate("sms", "out", "1", "US", MICROS, 0)]
                tiers = [Tier(1, 100_000), Tier(1_000, 80_000)]
                rating.set_packs(price_list=prices, currency="USD", tiers=tiers, valid_from=now, now=now, actor="operator")
            rating.set_rates(price_list=prices, new=rates, valid_from=now - timedelta(days=30), now=now, actor="operator")
            customers.add_member(
                customer_id=customer.id,
                email=f"master-{unique}@clinic.example",
                name="Morgan Reyes",
                roles=[Role.MASTER],
                now=now,
                actor="operator",
                password=PASSWORD,
            )
        if not guarded:
            guard.set_countries(customer_id=customer.id, opened=[EVERYWHERE], actor="operator", now=now)
            guard.set_limits(customer_id=customer.id, unit=unit, most=HIGHEST, by_operator=True, actor="operator", now=now)
        for wallet, micros in ((pool, credit_micros), (sandbox, 1_000 * MICROS)):
            if micros:
                self.give(customer.id, wallet, micros)
        return Clinic(customer, pool, sandbox, customer_queries.members(customer_id=customer.id)[0])

    def give(self, customer_id: int, wallet: Wallet, amount_micros: int) -> None:
        """Credit out of thin air, booked as an adjustment."""
        with scope.customer(customer_id):
            wallets.credit(
                customer_id=customer_id,
                wallet=wallet,
                source_kind="adjustment",
                amount_micros=amount_micros,
                code="adjustment",
                ref_id=wallet.id,
                transfer_ids=(calls.next_id(), calls.next_id()),
                now=at(),
            )

    def member(self, clinic: Clinic, *roles: Role) -> customer_queries.Seat:
        """Another person of this clinic."""
        email = f"member-{calls.next_id()}@clinic.example"
        customers.add_member(
            customer_id=clinic.id,
            email=email,
            name="Sam Lindqvist",
            roles=list(roles),
            now=at(),
            actor="operator",
            password=PASSWORD,
        )
        return next(seat for seat in customer_queries.members(customer_id=clinic.id) if seat.email == email)


def set_price(clinic: Clinic, channel: str, price: int, fee: int = 0, *, direction: str = "out") -> None:
    """One more price in this clinic's list, to +1 from now on; micro-units."""
    with scope.customer(clinic.id):
        found = PriceList.objects.get(customer_id=clinic.id)
        new = [rating.NewRate(channel, direction, "1", "US", price, fee)]
        rating.set_rates(price_list=found, new=new, valid_from=at(), now=at(), actor="operator")


def at() -> datetime:
    """Now. Tests that turn on time pass their own."""
    return datetime.now(UTC)


def number(n: int = 0, country: str = "1555") -> str:
    """A number of nobody, different for each n."""
    return f"+{country}{n:07d}"


def knows(clinic: Clinic, n: int, *emails: str) -> None:
    """This number's contact has these addresses."""
    with scope.customer(clinic.id):
        contact = calls.next_id()
        for medium, value in [("phone", number(n)), *(("email", email) for email in emails)]:
            Address.objects.create(
                customer_id=clinic.id, id=calls.next_id(), contact_id=contact, medium=medium, value=value, created_at=at()
            )
