"""The pages of terms and bills."""

from uuid import uuid4

import pytest
from django.http import HttpResponse

from postmeter.customers.models import Role
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import MICROS
from postmeter.terms import agreement, grants, queries, requests
from postmeter.topups import bills
from postmeter.topups.models import Bill
from tests.cast import Cast, Clinic, at
from tests.journeys.shop import DECLINED_LATER, saved_card
from tests.stage import Stage
from tests.topups.test_bills import issued, overdrawn
from tests.web.conftest import SignedIn
from tests.web.test_records import words_of as words_in


def words_of(answer: HttpResponse) -> str:
    return words_in(answer.content.decode())


def place(bill: Bill) -> str:
    return f"/credit/bills/{public_ids().encode('BI', bill.id)}/"


def test_a_bill_is_paid_by_card_from_its_page(stage: Stage, cast: Cast, signed_in: SignedIn) -> None:  # S-097
    clinic = overdrawn(cast, 41_230_000)
    bill = issued(clinic)
    bad, good = saved_card(stage, clinic, DECLINED_LATER), saved_card(stage, clinic)
    browser = signed_in(clinic.master)
    words = words_of(browser.get("/credit/terms/"))
    assert "October 2026" in words
    assert "$41.23" in words
    assert "Charge $41.23" in words_of(browser.get(place(bill)))
    declined = browser.post(place(bill), {"card": public_ids().encode("PM", bad.id)}, follow=True)
    assert "was declined" in words_of(declined)
    paid = browser.post(place(bill), {"card": public_ids().encode("PM", good.id)}, follow=True)
    assert "The bill is paid." in words_of(paid)
    again = browser.post(place(bill), {"card": public_ids().encode("PM", good.id)}, follow=True)
    assert again.status_code == 200
    assert bills.bill(customer_id=clinic.id, bill_id=bill.id).state == "paid"
    assert "Charge" not in words_of(browser.get(place(bill)))
    assert "pays a bill" in words_of(browser.get("/payments/"))


def test_a_bill_is_paid_from_credit_only_where_that_covers_it(cast: Cast, signed_in: SignedIn) -> None:
    clinic = overdrawn(cast, 40 * MICROS)
    bill = issued(clinic)
    browser = signed_in(clinic.master)
    assert "does not cover" in words_of(browser.get(place(bill)))
    assert "$40.00 short" in words_of(browser.post(place(bill), {"credit": "1"}, follow=True))
    cast.give(clinic.id, clinic.pool, 50 * MICROS)
    assert "is paid from your credit" in words_of(browser.post(place(bill), {"credit": "1"}, follow=True))
    assert clinic.posted == 10 * MICROS


def test_a_card_that_is_not_theirs_and_a_bill_that_is_not_are_refused(cast: Cast, signed_in: SignedIn) -> None:
    bill = issued(overdrawn(cast, 40 * MICROS))
    rival = overdrawn(cast, 40 * MICROS)
    browser = signed_in(rival.master)
    assert browser.get(place(bill)).status_code == 404
    own = issued(rival)
    assert browser.post(place(own), {"card": "PM" + "0" * 32}).status_code == 422
    assert browser.post(place(own), {}).status_code == 422


def test_a_change_is_shown_before_it_is_asked_for_and_can_be_withdrawn(cast: Cast, signed_in: SignedIn) -> None:  # S-144
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    wanted = {"kind": "overdraft", "limit": "200", "reason": "We grow."}
    words = words_of(browser.post("/credit/terms/", wanted))
    assert "Ask for this?" in words
    assert "$300.00" in words
    assert queries.requests(customer_id=clinic.id) == []
    browser.post("/credit/terms/", wanted | {"agreed": "1"})
    [row] = queries.requests(customer_id=clinic.id)
    assert (row.state, row.wanted, row.reason) == ("asked", {"limit_micros": 200 * MICROS}, "We grow.")
    assert browser.post("/credit/terms/", wanted | {"agreed": "1"}).status_code == 409
    link = f"/credit/requests/{public_ids().encode('CR', row.id)}/withdraw/"
    assert "Withdrawn." in words_of(browser.post(link, follow=True))
    assert "withdrawn already" in words_of(browser.post(link, follow=True))


@pytest.mark.parametrize("limit", ["", "abc", "-5", "0", "1e9", "99999999999", "１０"])
def test_a_wrong_limit_is_refused_beside_its_field(cast: Cast, signed_in: SignedIn, limit: str) -> None:
    answer = signed_in(cast.clinic().master).post("/credit/terms/", {"kind": "overdraft", "limit": limit})
    assert answer.status_code == 422
    assert 'id="id_limit_error"' in answer.content.decode()


def test_who_spends_little_reads_why_paying_afterwards_is_not_open(cast: Cast, signed_in: SignedIn) -> None:  # S-100
    answer = signed_in(cast.clinic().master).post("/credit/terms/", {"kind": "post_paid"})
    assert answer.status_code == 409
    assert "more than $5,000.00 in each of the last three months" in words_of(answer)


def test_the_page_tells_promotions_suspension_and_decisions(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    now = at()
    grants.give(
        customer_id=clinic.id, wallet_id=clinic.pool.id, amount_micros=20 * MICROS, reason="Welcome", expires_at=None,
        key=uuid4(), actor="operator:1", now=now,
    )  # fmt: skip
    row = requests.ask(
        customer_id=clinic.id, kind="overdraft", wanted={"limit_micros": MICROS}, reason="", actor=clinic.actor, now=now
    )
    requests.decline(customer_id=clinic.id, request_id=row.id, actor="operator:1", now=now, note="Not before spring.")
    agreement.suspend(customer_id=clinic.id, reason=agreement.BY_HAND, actor="operator:1", now=now)
    words = words_of(signed_in(clinic.master).get("/credit/terms/"))
    for said in ("Welcome", "$20.00", "Not before spring.", "Sending is suspended", "Declined"):
        assert said in words


def test_a_sender_does_not_see_terms_and_a_billing_admin_does(cast: Cast, signed_in: SignedIn) -> None:
    clinic: Clinic = cast.clinic()
    assert signed_in(cast.member(clinic, Role.SENDER)).get("/credit/terms/").status_code == 403
    assert signed_in(cast.member(clinic, Role.BILLING_ADMIN)).get("/credit/terms/").status_code == 200
