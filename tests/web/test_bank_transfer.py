"""The page "Pay by bank transfer": whom to pay, with which reference, to print and to copy."""

from postmeter.customers.models import Role
from postmeter.payments import wires
from postmeter.payments.wire.reference import found, written
from postmeter.topups import wires as credit_by_wire
from tests.cast import Cast, at
from tests.topups.test_wires import imported, opened, paid
from tests.web.conftest import SignedIn
from tests.web.test_records import words_of

PAGE = "/credit/bank-transfer/"


def test_it_says_whom_to_pay_and_the_wallets_own_reference(cast: Cast, signed_in: SignedIn) -> None:  # S-141 A-35
    clinic, rival, bank = cast.clinic(), cast.clinic(), opened()
    wires.set_account(
        account=bank.account, currency="USD", holder="Northlight Pty", bank="Quay Bank", bic="QUAYUS33", note="Mind it."
    )
    page = signed_in(clinic.master).get(PAGE).content.decode()
    reference = credit_by_wire.instructions(customer_id=clinic.id, wallet_id=clinic.pool.id, now=at()).reference
    shown = words_of(page)
    for words in (written(reference), bank.account, "Northlight Pty", "Quay Bank", "QUAYUS33", "Mind it."):
        assert words in shown
    assert set(found([shown])) == {reference}
    assert 'data-copy="reference"' in page
    assert "data-print" in page
    assert written(reference) not in words_of(signed_in(rival.master).get(PAGE).content.decode())
    assert page.count(written(reference)) == signed_in(clinic.master).get(PAGE).content.decode().count(written(reference))


def test_where_one_pays_a_link_leads_to_it(cast: Cast, signed_in: SignedIn) -> None:  # S-141
    browser = signed_in(cast.clinic().master)
    for place in ("/payments/", "/credit/top-up/"):
        assert f'href="{PAGE}"' in browser.get(place).content.decode()


def test_only_those_who_buy_see_it(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    assert signed_in(cast.member(clinic, Role.SENDER)).get(PAGE).status_code == 403
    assert signed_in(cast.member(clinic, Role.BILLING_ADMIN)).get(PAGE).status_code == 200


def test_what_arrived_is_among_the_purchases(cast: Cast, signed_in: SignedIn) -> None:
    clinic, bank = cast.clinic(credit_micros=0), opened()
    imported(bank, bank.camt053(paid(clinic, "47.11")))
    shown = words_of(signed_in(clinic.master).get("/payments/").content.decode())
    assert "Bank transfer" in shown
    assert "$47.11" in shown
