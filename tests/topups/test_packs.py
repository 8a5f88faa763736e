"""Credit that is counted in messages: bought at a pack price, spent one by one, and given back in proportion (S-154, A-01)."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from postmeter.cli.checks import verify_all
from postmeter.db import scope
from postmeter.invoicing import queries as invoices
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.payments.gateways import Reversal as Fact
from postmeter.rating import operations as rating
from postmeter.rating import queries as rates
from postmeter.rating.packs import Packs, Tier, check_tiers
from postmeter.statements import usage
from postmeter.topups import automation, exchange, operations, queries, reversals
from postmeter.topups.price import PriceChanged
from postmeter.wallets import operations as wallets
from tests.cast import Cast, Clinic
from tests.invoicing.sellers import GERMAN, selling
from tests.journeys.shop import saved_card
from tests.stage import Stage
from tests.topups.test_automation import automatic, save
from tests.wallets.team import send


@pytest.fixture
def harbour(cast: Cast) -> Clinic:
    """No credit; SMS credits cost ten cents, eight from a thousand on."""
    return cast.clinic(credit_micros=0, unit="SMS")


def buy(stage: Stage, clinic: Clinic, quantity: int, *, agreed: int | None = None) -> queries.Bought:
    bought = operations.buy(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        method_id=saved_card(stage, clinic).id,
        amount_micros=quantity * MICROS,
        key=uuid4(),
        actor=clinic.actor,
        now=timezone.now(),
        agreed_micros=agreed,
    )
    return queries.bought(customer_id=clinic.id, top_up_id=bought.top_up.id)


@pytest.mark.parametrize(("quantity", "dollars"), [(100, 10), (999, 99.9), (1_000, 80)])
def test_a_count_is_bought_with_money_and_invoiced_in_money(
    stage: Stage, harbour: Clinic, quantity: int, dollars: float
) -> None:  # S-154 S-156 A-01
    bought = buy(stage, harbour, quantity)
    price = round(dollars * MICROS)
    assert (bought.payment.amount_micros, bought.payment.currency) == (price, "USD")
    assert harbour.posted == quantity * MICROS
    assert bought.invoice is not None
    assert (bought.invoice.total_micros, bought.invoice.currency) == (price, "USD")
    assert bought.invoice.lines == [{"description": "SMS credits", "quantity": quantity, "total_micros": price}]
    assert verify_all().ok


def test_each_segment_takes_one_credit(stage: Stage, harbour: Clinic) -> None:  # S-154
    buy(stage, harbour, 100)
    send(harbour, harbour.actor, 3)
    assert (harbour.held, harbour.available) == (3 * MICROS, 97 * MICROS)
    assert verify_all().ok


@pytest.mark.parametrize("quantity", [99, 0, 700_000])
def test_less_than_ten_dollars_worth_or_too_much_is_refused_in_credits(harbour: Clinic, stage: Stage, quantity: int) -> None:
    # S-015
    with pytest.raises(BadInput) as refused:
        buy(stage, harbour, quantity)
    assert refused.value.field == "amount"
    assert queries.top_ups(customer_id=harbour.id) == []


def test_half_a_credit_is_not_sold(harbour: Clinic, stage: Stage) -> None:
    with pytest.raises(BadInput):
        operations.buy(
            customer_id=harbour.id,
            wallet_id=harbour.pool.id,
            method_id=saved_card(stage, harbour).id,
            amount_micros=100 * MICROS + MICROS // 2,
            key=uuid4(),
            actor=harbour.actor,
            now=timezone.now(),
        )


def reprice(clinic: Clinic, cents: int, currency: str = "USD") -> None:
    with scope.customer(clinic.id):
        own = rates.own_list(customer_id=clinic.id)
        assert own is not None
        now = timezone.now()
        rating.set_packs(
            price_list=own, currency=currency, tiers=[Tier(1, cents * 10_000)], valid_from=now, now=now, actor="operator"
        )


def test_a_price_that_changed_after_it_was_shown_charges_nobody(stage: Stage, harbour: Clinic) -> None:
    reprice(harbour, 12)
    with pytest.raises(PriceChanged) as refused:
        buy(stage, harbour, 200, agreed=20 * MICROS)
    assert "$24.00" in str(refused.value)
    assert queries.top_ups(customer_id=harbour.id) == []
    assert buy(stage, harbour, 200, agreed=24 * MICROS).payment.amount_micros == 24 * MICROS


def test_where_no_pack_has_a_price_nothing_is_sold(stage: Stage, cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0, unit="SMS")
    reprice(clinic, 10, "AUD")
    assert buy(stage, clinic, 100).payment.currency == "USD", "prices in another currency change nothing"
    with pytest.raises(NotFound, match="not sold in NZD"), scope.customer(clinic.id):
        own = rates.own_list(customer_id=clinic.id)
        assert own is not None
        rates.packs(customer_id=clinic.id, price_list=own, currency="NZD", now=timezone.now())


@pytest.mark.parametrize("parts", [[2_000], [667, 667, 666], [1, 1_999]])
def test_a_refund_takes_the_credits_of_its_part_of_the_price_and_all_parts_take_all(
    stage: Stage, harbour: Clinic, parts: list[int]
) -> None:
    # A-13 A-14: units must match (eliza #31449)
    bought = buy(stage, harbour, 200)
    for position, cents in enumerate(parts):
        fact = Fact("refund", f"re_{position}", bought.payment.gateway_ref, cents, "USD", False)
        for _ in range(2):
            reversals.book(customer_id=harbour.id, payment_id=bought.payment.id, fact=fact, now=timezone.now())
        assert verify_all().ok
    assert harbour.posted == 0
    notes = [row for row in invoices.invoices(customer_id=harbour.id) if row.kind == "credit_note"]
    assert sum(note.total_micros for note in notes) == 20 * MICROS


def test_a_dispute_that_is_won_gives_the_credits_back(stage: Stage, harbour: Clinic) -> None:
    bought = buy(stage, harbour, 200)
    for is_back, posted in ((False, 0), (True, 200 * MICROS)):
        fact = Fact("dispute", "dp_1", bought.payment.gateway_ref, 2_000, "USD", is_back)
        reversals.book(customer_id=harbour.id, payment_id=bought.payment.id, fact=fact, now=timezone.now())
        assert harbour.posted == posted
        assert verify_all().ok


def test_its_price_is_taxed_when_it_is_bought_whatever_the_sellers_tax_point(stage: Stage, harbour: Clinic) -> None:
    with selling(GERMAN, tax_point="use"):
        bought = buy(stage, harbour, 200)
        assert bought.invoice is not None
        assert bought.invoice.kind == "invoice"
        send(harbour, harbour.actor, 3)
        assert usage.bill_due(customer_id=harbour.id, now=timezone.now() + timedelta(days=40)) == []


def test_an_automatic_top_up_is_set_in_credits_and_charges_money(stage: Stage, harbour: Clinic) -> None:  # S-117
    buy(stage, harbour, 200)
    rule = {"amount_micros": 150 * MICROS, "day_cap_micros": 1_000 * MICROS, "month_cap_micros": 5_000 * MICROS}
    with pytest.raises(BadInput, match="100 SMS credits"):
        save(harbour, threshold_micros=50 * MICROS, **(rule | {"amount_micros": 99 * MICROS}))
    save(harbour, threshold_micros=250 * MICROS, accepts=150 * MICROS, **rule)
    automation.react(customer_id=harbour.id, wallet_id=harbour.pool.id, now=timezone.now() + timedelta(seconds=1))
    [made] = automatic(harbour)
    paid = queries.bought(customer_id=harbour.id, top_up_id=made.id).payment
    assert (harbour.posted, paid.amount_micros) == (350 * MICROS, 15 * MICROS)
    assert verify_all().ok


def test_it_cannot_go_below_zero_by_agreement(harbour: Clinic) -> None:
    with pytest.raises(BadInput, match="cannot go below zero"), scope.customer(harbour.id):
        wallets.set_limit(customer_id=harbour.id, wallet=harbour.pool, limit_micros=MICROS, actor="operator", now=timezone.now())


TIERS = st.lists(
    st.builds(Tier, st.integers(1, 100_000), st.integers(1, 5 * MICROS)), min_size=1, max_size=5, unique_by=lambda t: t.quantity
)


@given(TIERS, st.integers(1, 100 * MICROS))
def test_the_least_quantity_costs_enough_and_one_less_of_its_tier_does_not(tiers: list[Tier], price: int) -> None:
    packs = Packs("USD", check_tiers(tiers))
    price = -(-price // 10_000) * 10_000
    least = packs.least(price)
    if least <= 10_000_000:
        assert packs.price_micros(least) >= price
    cheaper = [q for q in (least - 1, packs.tiers[0].quantity) if packs.tiers[0].quantity <= q < min(least, 10_000_000)]
    assert all(packs.price_micros(q) < price + 10_000 for q in cheaper)


@given(st.integers(1, 10**7), st.lists(st.integers(1, 10**6), min_size=1, max_size=6))
def test_shares_of_a_purchase_come_to_the_whole(credits: int, cents: list[int]) -> None:
    whole, price = credits * MICROS, sum(cents) * 10_000
    done, taken = 0, 0
    for each in cents:
        taken += exchange.share(whole, done + each * 10_000, price) - exchange.share(whole, done, price)
        done += each * 10_000
    assert taken == whole


@pytest.mark.parametrize("tiers", [[], [Tier(1, 1), Tier(1, 2)], [Tier(0, 1)], [Tier(1, 0)], [Tier(1, 2_000 * MICROS)]])
def test_pack_prices_that_make_no_sense_are_refused(tiers: list[Tier]) -> None:
    with pytest.raises(BadInput):
        check_tiers(tiers)
