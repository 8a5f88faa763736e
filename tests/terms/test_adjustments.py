"""Credit by hand: a reason, a key, and above a limit a second person."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from django.db import connection

from postmeter.cli.checks import verify_all
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict
from postmeter.terms import adjustments, queries
from postmeter.terms.models import Adjustment
from tests.cast import Cast, Clinic, at

ANN, BEN = "operator:1", "operator:2"


def propose(clinic: Clinic, dollars: int, *, key: UUID | None = None, reason: str = "goodwill", actor: str = ANN) -> Adjustment:
    return adjustments.propose(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        amount_micros=dollars * MICROS,
        reason=reason,
        key=key or uuid4(),
        actor=actor,
        now=at(),
    )


def approve(clinic: Clinic, row: Adjustment, actor: str = BEN) -> Adjustment:
    return adjustments.approve(customer_id=clinic.id, adjustment_id=row.id, actor=actor, now=at())


def test_a_small_one_is_done_at_once_and_the_same_key_does_nothing_more(cast: Cast) -> None:
    clinic, key = cast.clinic(credit_micros=0), uuid4()
    rows = [propose(clinic, 100, key=key) for _ in range(3)]
    assert {row.id for row in rows} == {rows[0].id}
    assert [row.state for row in queries.adjustments(customer_id=clinic.id)] == ["posted"]
    assert clinic.posted == 100 * MICROS
    with pytest.raises(Conflict):
        propose(clinic, 99, key=key)
    assert verify_all().ok


def test_a_large_one_waits_for_somebody_else(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    row = propose(clinic, 101)
    assert (row.state, clinic.posted) == ("proposed", 0)
    with pytest.raises(adjustments.SecondPerson):
        approve(clinic, row, ANN)
    assert clinic.posted == 0
    approve(clinic, row)
    assert clinic.posted == 101 * MICROS
    with pytest.raises(Conflict):
        approve(clinic, row)
    assert verify_all().ok


def test_of_many_who_approve_at_once_one_does(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    row = propose(clinic, 500)

    def one(n: int) -> bool:
        try:
            approve(clinic, row, f"operator:{n}")
        except Conflict:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(one, range(2, 8))) == 1
    assert clinic.posted == 500 * MICROS


def test_a_declined_one_is_over(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    row = propose(clinic, 500)
    adjustments.decline(customer_id=clinic.id, adjustment_id=row.id, actor=ANN, now=at())
    with pytest.raises(Conflict):
        approve(clinic, row)
    assert clinic.posted == 0
    assert verify_all().ok


def test_what_is_taken_beyond_the_wallet_is_owed(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=30 * MICROS)
    propose(clinic, -50)
    assert clinic.posted == -20 * MICROS
    assert clinic.available == 0
    assert verify_all().ok


@pytest.mark.parametrize(("dollars", "reason", "field"), [(0, "x", "amount"), (100_001, "x", "amount"), (5, "  ", "reason")])
def test_bad_input_is_refused_by_name(cast: Cast, dollars: int, reason: str, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        propose(cast.clinic(), dollars, reason=reason)
    assert refused.value.field == field
