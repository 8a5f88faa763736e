"""The pages of members' own credit."""

import csv
import html
import io
import re
import urllib.parse
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from postmeter.customers import operations as customers
from postmeter.customers.models import Role
from postmeter.customers.queries import Seat
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import NotFound
from postmeter.payments import operations as payment_operations
from postmeter.payments import queries as payments
from postmeter.topups import operations as topups
from postmeter.wallets.models import Wallet
from tests.cast import Cast, at
from tests.journeys.shop import fill_in_card, saved_card
from tests.stage import Stage
from tests.wallets.team import Team, actor, send, team
from tests.web.conftest import SignedIn
from tests.web.test_records import words_of as words_in


@pytest.fixture
def house(cast: Cast) -> Team:
    return team(cast)


def words_of(answer: HttpResponse) -> str:
    return words_in(answer.content.decode())


def named(wallet: Wallet) -> str:
    return public_ids().encode("WA", wallet.id)


def form(house: Team, browser: Client, source: Wallet, target: Wallet, amount: str) -> dict[str, str]:
    """The form as a person fills it in."""
    page = browser.get(f"/credit/transfer/?from={named(source)}&to={named(target)}").content.decode()
    key = re.search(r'name="key" value="([^"]+)"', page)
    agreed = re.search(r'name="conditions" value="([^"]+)"', page)
    assert key
    assert agreed
    return {
        "source": named(source), "target": named(target), "amount": amount, "note": "for May", "agree": "on",
        "key": key[1], "conditions": agreed[1],
    }  # fmt: skip


def test_each_sees_the_accounts_that_are_theirs_to_manage(house: Team, signed_in: SignedIn) -> None:
    # S-145 S-146 S-147 S-148 S-149 R-09
    sam, mate, far = (house.seat(Role.SENDER) for _ in range(3))
    for seat, name in ((sam, "Sam Own"), (mate, "Mia Mate"), (far, "Fay Far")):
        customers.rename_person(user_id=seat.user_id, name=name)
    house.group("team", sam, mate)
    master = words_of(signed_in(house.master).get("/credit/accounts/"))
    for said in ("System Credits", "Sam Own", "Mia Mate", "Fay Far", "Purchase", "Transfer to", "Transfer from", "Last 30 days"):
        assert said in master
    own = words_of(signed_in(sam).get("/credit/accounts/"))
    assert "Manage SMS Credits" in own
    assert "Mia Mate" in own
    assert "Fay Far" not in own
    assert "Let System Credits pay" not in own
    assert named(house.clinic.pool) not in signed_in(sam).get("/credit/accounts/").content.decode()


def test_a_transfer_goes_from_form_to_log_and_a_second_press_does_nothing(house: Team, signed_in: SignedIn) -> None:
    # S-151 S-163 S-164 S-165 S-166 S-167 S-172
    sam = house.seat(Role.SENDER)
    browser = signed_in(house.master)
    filled = form(house, browser, house.clinic.pool, house.wallet(sam), "12.50")
    for _ in range(2):
        done = browser.post("/credit/transfer/", filled, follow=True)
        assert "$12.50 went from System Credits to" in words_of(done)
    assert house.clinic.posted == 87_500_000
    log = words_of(signed_in(sam).get(f"/credit/accounts/{named(house.wallet(sam))}/log/"))
    assert "Transfer between accounts" in log
    assert "+$12.50" in log
    assert "See also" in log


def test_a_large_transfer_waits_for_a_master_who_decides_on_the_page(house: Team, signed_in: SignedIn) -> None:
    sam, mate = house.seat(Role.SENDER), house.seat(Role.SENDER)
    house.group("team", sam, mate)
    house.give(sam, 50)
    master, sender = signed_in(house.master), signed_in(sam)
    assert "not an amount" in html.unescape(words_of(master.post("/credit/accounts/approval/", {"above": "much"}, follow=True)))
    assert sender.post("/credit/accounts/approval/", {"above": "0"}).status_code == 403
    assert "Saved." in words_of(master.post("/credit/accounts/approval/", {"above": "10"}, follow=True))
    filled = form(house, sender, house.wallet(sam), house.wallet(mate), "30")
    assert "a master decides" in words_of(sender.post("/credit/transfer/", filled, follow=True))
    assert house.has(mate) == 0
    shown = master.get("/credit/accounts/").content.decode()
    [place] = re.findall(r"/credit/accounts/waiting/TA[0-9a-f]{32}/", shown)
    assert sender.post(place, {"decision": "approve"}).status_code == 403
    assert "Transferred." in words_of(master.post(place, {"decision": "approve"}, follow=True))
    assert "decided already" in words_of(master.post(place, {"decision": "decline"}, follow=True))
    assert (house.has(sam), house.has(mate)) == (20, 30)
    assert "Waits for you" not in words_of(master.get("/credit/accounts/"))


def test_a_trail_says_whose_credit_paid(house: Team, signed_in: SignedIn) -> None:  # R-06 R-08
    sam = house.seat(Role.SENDER)
    house.give(sam, 5)
    [message_id] = send(house.clinic, actor(sam)).ids
    shown = signed_in(house.master).get(f"/messages/{public_ids().encode('SM', message_id)}/")
    assert "Paid from Sam Lindqvist's own credit" in html.unescape(words_of(shown))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"amount": ""}, "required"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": "-5"}, "amount"),
        ({"amount": "100.01"}, "Only $100.00 of this account is free"),
        ({"agree": ""}, "tick the box"),
        ({"conditions": "other words"}, "tick the box"),
        ({"source": "WA" + "0" * 32}, "valid choice"),
        ({"key": "x"}, "lost its key"),
    ],
)
def test_wrong_input_is_refused_with_its_remedy_and_moves_nothing(
    house: Team, signed_in: SignedIn, changes: dict[str, str], said: str
) -> None:
    sam = house.seat(Role.SENDER)
    browser = signed_in(house.master)
    filled = {
        name: value
        for name, value in (form(house, browser, house.clinic.pool, house.wallet(sam), "5") | changes).items()
        if value
    }
    answer = browser.post("/credit/transfer/", filled)
    assert answer.status_code in (402, 422)
    assert said in words_of(answer)
    assert house.has(None) == 100


def test_a_log_of_somebody_elses_account_is_not_there(house: Team, signed_in: SignedIn, cast: Cast) -> None:  # S-169
    sam, far = house.seat(Role.SENDER), house.seat(Role.SENDER)
    browser = signed_in(sam)
    rival = team(cast)
    for wallet in (house.clinic.pool, house.wallet(far), rival.clinic.pool):
        assert browser.get(f"/credit/accounts/{named(wallet)}/log/").status_code == 404
        assert browser.get(f"/credit/statement/?account={named(wallet)}").status_code == 404
        assert browser.get(f"/credit/statement.csv?account={named(wallet)}").status_code == 404
        assert browser.get(f"/credit/top-up/?account={named(wallet)}").status_code in (403, 404)
    assert "User Credits" in words_of(browser.get("/credit/statement/"))


def test_the_log_is_a_csv_file_that_no_spreadsheet_runs(house: Team, signed_in: SignedIn) -> None:  # S-153 S-168 S-170 A-64
    sam = house.seat(Role.SENDER)
    house.transfer(house.master, None, sam, 3 * MICROS)
    browser = signed_in(sam)
    assert "data-print" in browser.get(f"/credit/accounts/{named(house.wallet(sam))}/log/").content.decode()  # S-171
    answer = browser.get(f"/credit/statement.csv?account={named(house.wallet(sam))}")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0][0] == "Time (America/New_York)"
    assert [row[3] for row in rows[1:]] == ["3"]
    assert not [cell for row in rows for cell in row if cell[:1] in "=+@\t" and cell]


def test_credit_is_purchased_for_a_member_with_its_invoice_and_next_steps(stage: Stage, house: Team, signed_in: SignedIn) -> None:
    # S-150 S-155 S-156 S-157 S-158 S-159 S-160 S-161
    sam = house.seat(Role.SENDER)
    card = saved_card(stage, house.clinic)
    browser, account = signed_in(house.master), named(house.wallet(sam))
    page = browser.get(f"/credit/top-up/?account={account}&amount=20")
    assert "change billing details" in words_of(page)
    once = re.search(r'name="once" value="([^"]+)"', page.content.decode())
    assert once
    chosen = {"amount": "20", "card": public_ids().encode("PM", card.id), "once": once[1], "account": account}
    assert "Sam Lindqvist" in words_of(browser.get("/credit/top-up/confirm/", chosen))
    done = browser.post("/credit/top-up/confirm/", chosen, follow=True)
    words = words_of(done)
    assert "$20.00 of credit added" in words
    for said in ("(PDF)", "Send messages", "Transfer", "View logs"):
        assert said in words
    assert (house.has(sam), house.has(None)) == (20, 100)


def test_the_credit_of_who_left_is_taken_back_to_the_pool(house: Team, signed_in: SignedIn) -> None:  # A-61 R-07
    sam = house.seat(Role.SENDER)
    house.give(sam, 10)
    customers.remove_member(customer_id=house.clinic.id, member_id=sam.member_id, now=at(), actor="x")
    browser = signed_in(house.master)
    page = browser.get("/credit/accounts/")
    assert "frozen" in words_of(page)
    key = re.search(r'name="key" value="([^"]+)"', page.content.decode())
    assert key
    link = f"/credit/accounts/{named(house.wallet(sam))}/reclaim/"
    assert "went to System Credits" in words_of(browser.post(link, {"key": key[1]}, follow=True))
    assert browser.post(link, {"key": key[1]}).status_code == 404  # there is nothing left to see
    assert (house.has(sam), house.has(None)) == (0, 110)


def test_allowances_and_programs_are_a_masters_to_set(house: Team, signed_in: SignedIn) -> None:  # A-20 A-59
    sam, boss = house.seat(Role.SENDER), house.seat(Role.OFFICE_MANAGER)
    link = f"/credit/accounts/{named(house.wallet(sam))}/allowance/"
    browser = signed_in(house.master)
    assert browser.post(link, {"amount": "x", "period": "month"}).status_code == 422
    assert "Saved" in words_of(browser.post(link, {"amount": "25", "period": "week"}, follow=True))
    assert "Filled up to $25.00" in words_of(browser.get(link))
    assert "use System Credits" in words_of(browser.post("/credit/accounts/programs/", {"on": "1"}, follow=True))
    assert signed_in(boss).get(link).status_code == 404
    assert signed_in(boss).post("/credit/accounts/programs/", {"on": "0"}).status_code == 403


def test_offices_and_teams_are_made_filled_and_closed(house: Team, signed_in: SignedIn) -> None:  # R-03 R-04
    sam: Seat = house.seat(Role.SENDER)
    browser = signed_in(house.master)
    assert browser.post("/settings/groups/", {"kind": "office", "name": ""}).status_code == 422
    made = browser.post("/settings/groups/", {"kind": "office", "name": "North"})
    assert made.status_code == 302
    assert browser.post("/settings/groups/", {"kind": "office", "name": "North"}).status_code == 409
    browser.post(made["Location"], {"member": [public_ids().encode("MB", sam.member_id)]})
    assert "Sam Lindqvist" in words_of(browser.get("/settings/groups/"))
    assert browser.post(made["Location"], {"member": ["MB" + "0" * 32]}).status_code == 404
    browser.post(made["Location"], {"close": "1"})
    assert "There is none yet." in words_of(browser.get("/settings/groups/"))
    assert signed_in(sam).get("/settings/groups/").status_code == 403


def test_under_one_pool_the_page_shows_it_and_leads_on(cast: Cast, signed_in: SignedIn) -> None:
    words = words_of(signed_in(cast.clinic().master).get("/credit/accounts/"))
    assert "share one balance" in words
    assert "Ask for individual credits" in words
    assert "nothing to transfer" in words_of(signed_in(cast.clinic().master).get("/credit/transfer/"))


def test_who_may_not_see_system_credits_sees_them_on_no_page(house: Team, signed_in: SignedIn) -> None:
    sam = house.seat(Role.SENDER)
    house.give(sam, 7)
    browser = signed_in(sam)
    for path in ("/", "/credit/", "/settings/messaging/", "/credit/statement/", "/credit/accounts/", "/send/"):
        answer = browser.get(path)
        assert answer.status_code == 200
        page = answer.content.decode()
        assert "$100.00" not in page
        assert "$7.00" in page
    assert browser.get("/credit/alerts/").status_code == 403
    assert browser.get("/credit/terms/").status_code == 403


def own_card(browser: Client, number: str = "4242424242424242") -> HttpResponse:
    """Add a card of one's own on the hosted page. Returns the page that one comes back to."""
    going = browser.post("/payments/cards/add/", {"kind": "card"}).content.decode()
    page = re.search(r'content="0;url=([^"]+)"', going)
    assert page, words_in(going)
    return browser.get(urllib.parse.urlsplit(fill_in_card(page[1], number)).path, follow=True)  # type: ignore[return-value]


def purchase(browser: Client, account: Wallet, card: str, amount: str = "20") -> HttpResponse:
    page = browser.get(f"/credit/top-up/?account={named(account)}&amount={amount}")
    once = re.search(r'name="once" value="([^"]+)"', page.content.decode())
    chosen = {"amount": amount, "card": card, "once": once[1] if once else "", "account": named(account)}
    return browser.post("/credit/top-up/confirm/", chosen, follow=True)  # type: ignore[return-value]


def test_a_member_buys_with_a_card_of_their_own_that_nobody_else_sees_or_charges(
    stage: Stage, house: Team, confirmed: SignedIn, signed_in: SignedIn
) -> None:
    # R-03 A-25
    sam, kim = house.seat(Role.SENDER), house.seat(Role.SENDER)
    browser = confirmed(sam)
    assert "Your payment methods" in words_of(browser.get("/credit/accounts/"))
    assert "Visa •••• 4242" in words_of(own_card(browser))
    [card] = payments.methods(customer_id=house.clinic.id, member_id=sam.member_id)
    assert (card.auto_charge, payments.methods(customer_id=house.clinic.id)) == (False, [])
    done = purchase(browser, house.wallet(sam), public_ids().encode("PM", card.id))
    assert "$20.00 of credit added" in words_of(done)
    assert (house.has(sam), house.has(kim), house.has(None)) == (20, 0, 100)
    link = re.search(r'href="([^"]+/invoices/pdf/[^"]+)"', done.content.decode())
    assert link and browser.get(urllib.parse.urlsplit(link[1]).path).content.startswith(b"%PDF")
    assert "4242" not in words_of(signed_in(house.master).get("/payments/")).split("Purchases")[0]
    assert payments.chargeable(customer_id=house.clinic.id, now=timezone.now()) == []
    place = done.redirect_chain[-1][0]  # type: ignore[attr-defined]
    assert signed_in(kim).get(place).status_code == 404
    theirs = purchase(confirmed(kim), house.wallet(kim), public_ids().encode("PM", card.id))
    assert (theirs.status_code, house.has(kim)) == (422, 0)
    for other in (confirmed(kim), confirmed(house.master)):
        assert other.post(f"/payments/cards/{public_ids().encode('PM', card.id)}/remove/", follow=True).status_code == 200
    assert payments.methods(customer_id=house.clinic.id, member_id=sam.member_id) == [card]
    browser.post(f"/payments/cards/{public_ids().encode('PM', card.id)}/remove/")
    assert payments.methods(customer_id=house.clinic.id, member_id=sam.member_id) == []


def test_one_buys_for_team_mates_and_an_office_manager_for_the_office_and_for_nobody_else(
    stage: Stage, house: Team, confirmed: SignedIn
) -> None:
    # R-03 R-04 R-05
    sam, mate, stranger = (house.seat(Role.SENDER) for _ in range(3))
    manager = house.seat(Role.OFFICE_MANAGER)
    house.group("team", sam, mate)
    house.group("office", manager, stranger)
    for buyer, friend, other in ((sam, mate, stranger), (manager, stranger, mate)):
        browser = confirmed(buyer)
        own_card(browser)
        [card] = payments.methods(customer_id=house.clinic.id, member_id=buyer.member_id)
        name = public_ids().encode("PM", card.id)
        before = house.has(friend)
        assert "of credit added" in words_of(purchase(browser, house.wallet(friend), name))
        assert house.has(friend) == before + 20
        for forbidden in (house.wallet(other), house.clinic.pool):
            assert purchase(browser, forbidden, name).status_code in (403, 404)
    assert house.has(None) == 100


def test_under_one_pool_nobody_buys_with_a_card_of_their_own(cast: Cast, confirmed: SignedIn) -> None:
    #
    clinic = cast.clinic()
    browser = confirmed(cast.member(clinic, Role.SENDER))
    for page in ("/credit/top-up/", "/payments/cards/add/", "/credit/methods/"):
        refused = browser.get(page)
        assert refused.status_code == 403
        assert "billing admin" in words_of(refused)


def test_a_program_cannot_charge_a_members_own_card(stage: Stage, house: Team, confirmed: SignedIn) -> None:
    #
    sam = house.seat(Role.SENDER)
    own_card(confirmed(sam))
    [card] = payments.methods(customer_id=house.clinic.id, member_id=sam.member_id)
    with pytest.raises(NotFound):
        topups.buy(
            customer_id=house.clinic.id,
            wallet_id=house.clinic.pool.id,
            method_id=card.id,
            amount_micros=20 * MICROS,
            key=uuid4(),
            actor="key:1",
            now=timezone.now(),
        )
    with pytest.raises(NotFound):
        payment_operations.set_auto_charge(
            customer_id=house.clinic.id, method_id=card.id, on=True, now=timezone.now(), actor="key:1"
        )
