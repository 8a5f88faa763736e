"""Promotional credit: used first, gone on its day, never more than was left. A-12."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from postmeter.cli.checks import verify_all
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.terms import grants, lots
from postmeter.terms.models import Grant
from tests.cast import FEE, PRICE, Cast, Clinic, number
from tests.topups.test_bills import allow, use

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def give(clinic: Clinic, dollars: int, *, days: int | None = None, on: datetime = START, key: UUID | None = None) -> Grant:
    return grants.give(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        amount_micros=dollars * MICROS,
        reason="welcome",
        expires_at=on + days * DAY if days else None,
        key=key or uuid4(),
        actor="operator:1",
        now=on,
    )


def left(clinic: Clinic, now: datetime) -> list[int]:
    found = grants.standings(customer_id=clinic.id, wallet_id=clinic.pool.id, now=now)
    return [each.left_micros // MICROS for each in found]


def expire(clinic: Clinic, now: datetime) -> int:
    return grants.expire_due(customer_id=clinic.id, now=now)


def test_it_is_there_at_once_and_the_same_key_gives_it_once(cast: Cast) -> None:
    clinic, key = cast.clinic(credit_micros=0), uuid4()
    assert give(clinic, 20, key=key).id == give(clinic, 20, key=key).id
    assert clinic.available == 20 * MICROS
    assert verify_all().ok


def test_it_is_used_before_what_was_bought_and_the_rest_goes_on_its_day(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=100 * MICROS)
    give(clinic, 20, days=30)
    use(clinic, 15 * MICROS, at=START + 3 * DAY)
    assert left(clinic, START + 4 * DAY) == [5]
    assert expire(clinic, START + 29 * DAY) == 0
    assert expire(clinic, START + 30 * DAY) == 1
    assert clinic.posted == 100 * MICROS
    assert expire(clinic, START + 31 * DAY) == 0
    assert clinic.posted == 100 * MICROS
    assert verify_all().ok


def test_the_soonest_to_expire_is_used_first(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    for days in (None, 60, 10):
        give(clinic, 10, days=days)
    use(clinic, 12 * MICROS, at=START + DAY)
    assert left(clinic, START + 2 * DAY) == [0, 8, 10]


def test_use_after_its_day_or_before_it_was_given_takes_nothing_of_it(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=100 * MICROS)
    use(clinic, 9 * MICROS, at=START - DAY)
    give(clinic, 10, days=2)
    use(clinic, 9 * MICROS, at=START + 3 * DAY)
    assert left(clinic, START + 4 * DAY) == [10]
    expire(clinic, START + 4 * DAY)
    assert clinic.posted == (100 - 9 - 9) * MICROS


def test_what_is_held_for_messages_under_way_stays(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    now = timezone.now()
    give(clinic, 1, days=2, on=now)
    submit(Submission(clinic.id, [number(1)] * 10, ["Hi"] * 10, clinic.actor), now=now)
    expire(clinic, now + 2 * DAY)
    assert clinic.held == clinic.posted == 10 * (PRICE + FEE)


def test_a_present_pays_no_debt_and_an_overdrawn_wallet_loses_nothing(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    allow(clinic)
    use(clinic, 30 * MICROS, at=START - DAY)
    give(clinic, 10, days=2)
    assert clinic.posted == -20 * MICROS
    expire(clinic, START + 2 * DAY)
    assert clinic.posted == -20 * MICROS
    assert verify_all().ok


def test_bad_input_is_refused_by_name(cast: Cast) -> None:
    clinic = cast.clinic()
    for dollars, days, field in ((0, None, "amount"), (10_001, None, "amount")):
        with pytest.raises(BadInput) as refused:
            give(clinic, dollars, days=days)
        assert refused.value.field == field
    with pytest.raises(BadInput) as refused:
        grants.give(
            customer_id=clinic.id, wallet_id=clinic.pool.id, amount_micros=MICROS, reason="x", key=uuid4(),
            expires_at=START + timedelta(hours=3), actor="operator:1", now=START,
        )  # fmt: skip
    assert refused.value.field == "expires"


moments = st.integers(0, 50).map(lambda days: START + days * DAY)


@given(
    given=st.lists(st.tuples(st.integers(1, 50), moments, st.one_of(st.none(), st.integers(1, 40))), max_size=6),
    uses=st.lists(st.tuples(st.integers(0, 30), moments), max_size=10),
    now=moments,
)
def test_lots_are_used_as_a_till_would(
    given: list[tuple[int, datetime, int | None]], uses: list[tuple[int, datetime]], now: datetime
) -> None:
    """Against a till that takes each use coin by coin."""
    rows = [lots.Lot(n, amount, on, on + days * DAY if days else None) for n, (amount, on, days) in enumerate(given)]
    uses = [(amount, on + DAY / 2) for amount, on in uses]  # never at the very moment of a beginning or an end

    def used_until(moment: datetime) -> int:
        return sum(amount for amount, on in uses if on < moment)

    till = {lot.id: lot.amount_micros for lot in rows}
    for amount, on in sorted(uses, key=lambda use: use[1]):
        if on >= now:
            continue
        for _ in range(amount):
            good = [lot for lot in rows if lot.granted_at <= on and (not lot.expires_at or on < lot.expires_at) and till[lot.id]]
            if good:
                first = min(good, key=lambda lot: (lot.expires_at is None, lot.expires_at or on, lot.granted_at, lot.id))
                till[first.id] -= 1
    found = lots.left(rows, used_until, now)
    assert found == till
