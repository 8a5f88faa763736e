"""Customers to measure with, and the owner's connection that floors are measured on."""

import itertools
from collections.abc import Sequence
from datetime import datetime

import psycopg
from django.utils import timezone

from postmeter.customers import operations as customers
from postmeter.customers import permissions
from postmeter.customers.models import Customer
from postmeter.db import calls, scope
from postmeter.guard import operations as guard
from postmeter.guard.limits import HIGHEST
from postmeter.kit.money import MICROS
from postmeter.rating import operations as rating
from postmeter.wallets import operations as wallets
from postmeter.wallets import queries as wallet_queries

BODY = "Hello Ana, your appointment at Harbour Physio is tomorrow at 10:30. Reply C to confirm or call us."
_count = itertools.count(1)


def customer(*, credit: int = 10_000_000) -> Customer:
    """A customer with this many dollars and prices of its own."""
    now = timezone.now()
    made = customers.create_customer(
        name=f"Bench {next(_count)}",
        email="bench@bench.example",
        country="US",
        currency="USD",
        time_zone="UTC",
        sender=f"+1999{calls.next_id() % 10**10:010d}",
        now=now,
        quiet_hours=False,  # figures are taken by night too
    )
    with scope.customer(made.id):
        pool = wallets.open_wallet(customer_id=made.id, kind="pool", unit="USD", now=now)
        prices = rating.create_price_list(
            customer_id=made.id, name="Bench", plan="standard", currency="USD", payable={}, now=now, actor="bench"
        )
        rate = rating.NewRate("sms", "out", "1", "US", 7_900, 3_500)
        rating.set_rates(price_list=prices, new=[rate], valid_from=now, now=now, actor="bench")
        # Counted like anybody's, and never stopped.
        guard.set_limits(customer_id=made.id, unit="USD", most=HIGHEST, by_operator=True, actor="bench", now=now)
        ids = (calls.next_id(), calls.next_id())
        wallets.credit(
            customer_id=made.id,
            wallet=pool,
            source_kind="adjustment",
            amount_micros=credit * MICROS,
            code="adjustment",
            ref_id=pool.id,
            transfer_ids=ids,
            now=now,
        )
    return made


def api_key(customer_id: int) -> str:
    scopes = [permissions.SEND, permissions.READ_MESSAGES]
    _, text = customers.create_api_key(
        customer_id=customer_id, name="bench", mode="live", scopes=scopes, now=timezone.now(), actor="bench", expires_in_days=1
    )
    return text


def numbers(count: int) -> list[str]:
    return [f"+1999{n:07d}" for n in range(count)]


class Raw:
    """The floor of accepting: the same rows, inserted from the same arrays by the tables' owner, and nothing else."""

    def __init__(self, owner_url: str, customer_id: int) -> None:
        self.connection = psycopg.connect(owner_url)
        self.customer_id = customer_id
        pool = wallet_queries.pool(customer_id=customer_id)
        self.wallet_id, self.account_id = pool.id, pool.account_id

    def insert(self, recipients: Sequence[str], bodies: Sequence[str], now: datetime) -> None:
        count = len(recipients)
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.execute("SELECT array(SELECT next_id() FROM generate_series(1, %s))", [count])
            ids = cursor.fetchone()[0]  # type: ignore[index]
            cursor.execute(_TRANSFERS, [self.customer_id, self.account_id, now, now, ids, [11_400] * count])
            cursor.execute(
                _MESSAGES,
                [
                    *(self.customer_id, self.wallet_id, now, now, now, ids, list(recipients), list(bodies)),
                    *(["GSM-7"] * count, [1] * count, [7_900] * count, [3_500] * count),
                ],
            )


_TRANSFERS = """
INSERT INTO ledger_transfer (customer_id, id, debit_account_id, credit_account_id, amount_micros, code, ref_id, pending, expires_at, at)
SELECT %s, u.id, %s, 1, u.amount, 'raw', u.id, true, %s, %s FROM unnest(%b::bigint[], %b::bigint[]) AS u(id, amount)"""
_MESSAGES = """
INSERT INTO messaging_message (customer_id, id, batch_id, wallet_id, channel, sender, recipient, body, encoding, segments, unit,
    price_micros, fee_micros, price_list_id, state, provider, created_by, created_at, changed_at, due_at)
SELECT %s, u.id, 0, %s, 'sms', '+19990000000', u.dst, u.body, u.encoding, u.segments, 'USD', u.price, u.fee, 1,
    'queued', 'raw', 'raw', %s, %s, %s
FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[], %b::smallint[], %b::bigint[], %b::bigint[])
    AS u(id, dst, body, encoding, segments, price, fee)"""
