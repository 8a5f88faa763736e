"""A change is asked for, previewed, decided once, and has a way back. S-100, S-144, A-41, A-60."""

from datetime import timedelta

import pytest

from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict
from postmeter.terms import queries, requests
from postmeter.terms.models import ChangeRequest
from postmeter.topups import queries as topups
from tests.cast import Cast, Clinic
from tests.terms.test_agreement import limit_of
from tests.topups.test_automation import save
from tests.topups.test_bills import ENDS, NOW, allow, use

ANN = "operator:1"


def ask(clinic: Clinic, kind: str = "overdraft", **wanted: object) -> ChangeRequest:
    wanted = wanted or ({"limit_micros": 200 * MICROS} if kind == "overdraft" else {})
    return requests.ask(customer_id=clinic.id, kind=kind, wanted=wanted, reason="growing", actor=clinic.actor, now=NOW)


def approve(clinic: Clinic, row: ChangeRequest, **given: object) -> ChangeRequest:
    return requests.approve(customer_id=clinic.id, request_id=row.id, actor=ANN, now=NOW, given=given)


def big(cast: Cast, *months: int) -> Clinic:
    """A clinic that spent so much in August, September and October."""
    clinic = cast.clinic(credit_micros=0)
    allow(clinic, 100_000 * MICROS)
    for dollars, ago in zip(months, (85, 50, 20), strict=True):
        use(clinic, dollars * MICROS, at=ENDS - timedelta(days=ago))
    cast.give(clinic.id, clinic.pool, sum(months) * MICROS)
    return clinic


def test_what_is_asked_for_is_shown_and_happens_only_when_it_is_approved(cast: Cast) -> None:
    clinic = cast.clinic()
    shown = requests.preview(customer_id=clinic.id, kind="overdraft", wanted={"limit_micros": 200 * MICROS}, now=NOW)
    assert [(line.before, line.after) for line in shown] == [("$0.00", "$200.00"), ("$100.00", "$300.00")]
    row = ask(clinic)
    assert limit_of(clinic) == 0
    approve(clinic, row)
    assert limit_of(clinic) == 200 * MICROS


def test_a_change_is_reversed_to_what_was_before(cast: Cast) -> None:
    clinic = cast.clinic()
    approve(clinic, ask(clinic, limit_micros=50 * MICROS))
    row = approve(clinic, ask(clinic))
    requests.reverse(customer_id=clinic.id, request_id=row.id, actor=ANN, now=NOW)
    assert limit_of(clinic) == 50 * MICROS
    with pytest.raises(requests.Decided):
        requests.reverse(customer_id=clinic.id, request_id=row.id, actor=ANN, now=NOW)


def test_a_reversal_that_is_no_longer_possible_changes_nothing(cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=0)
    row = approve(clinic, ask(clinic))
    use(clinic, 150 * MICROS, at=NOW)
    with pytest.raises(Conflict):
        requests.reverse(customer_id=clinic.id, request_id=row.id, actor=ANN, now=NOW)
    assert queries.request(customer_id=clinic.id, request_id=row.id).state == "approved"
    assert limit_of(clinic) == 200 * MICROS


def test_one_of_a_kind_waits_at_a_time_and_is_decided_once(cast: Cast) -> None:
    clinic = cast.clinic()
    row = ask(clinic)
    with pytest.raises(Conflict):
        ask(clinic)
    requests.decline(customer_id=clinic.id, request_id=row.id, actor=ANN, now=NOW, note="Not yet.")
    with pytest.raises(requests.Decided):
        approve(clinic, row)
    again = ask(clinic)
    requests.withdraw(customer_id=clinic.id, request_id=again.id, actor=clinic.actor, now=NOW)
    assert [each.state for each in queries.requests(customer_id=clinic.id)] == ["withdrawn", "declined"]
    assert limit_of(clinic) == 0


def test_bad_input_is_refused_by_name(cast: Cast) -> None:
    clinic = cast.clinic()
    for kind, wanted, field in (
        ("gold", {"x": 1}, "kind"),
        ("overdraft", {"limit_micros": 0}, "limit"),
        ("overdraft", {"limit_micros": "100"}, "limit"),
        ("overdraft", {"limit_micros": True}, "limit"),
        ("overdraft", {"limit_micros": 10**18}, "limit"),
    ):
        with pytest.raises(BadInput) as refused:
            ask(clinic, kind, **wanted)
        assert refused.value.field == field
    row = ask(clinic)
    with pytest.raises(BadInput):
        requests.decline(customer_id=clinic.id, request_id=row.id, actor=ANN, now=NOW, note=" ")
    assert queries.request(customer_id=clinic.id, request_id=row.id).state == "asked"


# S-100 S-101 A-41
def test_paying_afterwards_needs_three_months_above_five_thousand(cast: Cast) -> None:
    for months in ((5_000, 6_000, 7_000), (9_000, 1, 9_000)):
        with pytest.raises(Conflict, match=r"more than \$5,000.00 in each of the last three months"):
            ask(big(cast, *months), "post_paid")
    assert ask(big(cast, 5_001, 6_000, 7_000), "post_paid").state == "asked"


# S-100
def test_who_pays_afterwards_uses_its_credit_first_and_no_card_is_charged_ahead(cast: Cast) -> None:
    clinic = big(cast, 6_000, 6_000, 6_000)
    allow(clinic, 0)
    cast.give(clinic.id, clinic.pool, 80 * MICROS)
    save(clinic)
    row = approve(clinic, ask(clinic, "post_paid"))
    assert queries.agreement(customer_id=clinic.id).post_paid_since
    assert (clinic.posted, limit_of(clinic)) == (80 * MICROS, 9_000 * MICROS)
    standing = topups.automatic(customer_id=clinic.id, wallet_id=clinic.pool.id, now=NOW)
    assert standing and (standing.standing, standing.rule.paused_for) == ("paused", "post_paid")
    with pytest.raises(Conflict):
        ask(clinic, "post_paid")
    requests.reverse(customer_id=clinic.id, request_id=row.id, actor=ANN, now=NOW)
    assert queries.agreement(customer_id=clinic.id).post_paid_since is None
    assert limit_of(clinic) == 0
