"""What people keep and look up: statement, invoices, prices."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.test import Client

from postmeter.db import calls, scope
from postmeter.db.scope import EVERYBODY
from postmeter.invoicing import operations as invoicing
from postmeter.kit import csv
from postmeter.kit.money import MICROS
from postmeter.ledger import operations as ledger
from postmeter.rating import operations as rating
from postmeter.statements import operations as statements
from postmeter.wallets import operations as wallets
from tests.cast import Cast, Clinic, at
from tests.invoicing.sellers import bought, settle_in
from tests.invoicing.test_credit_notes import credit
from tests.web.conftest import SignedIn

NOON = datetime(2026, 3, 8, 17, tzinfo=UTC)  # noon in New York, on the day its clocks go forward


def move(clinic: Clinic, micros: int, *, code: str = "sms", now: datetime = NOON) -> None:
    """A charge (below zero) or money that came in."""
    with scope.customer(clinic.id):
        accounts = wallets.accounts(customer_id=clinic.id, wallet=clinic.pool)
        source, target = (accounts.wallet, accounts.usage) if micros < 0 else (accounts.usage, accounts.wallet)
        posting = ledger.Posting(calls.next_id(), source, target, abs(micros), code, calls.next_id())
        assert ledger.post(customer_id=clinic.id, now=now, postings=[posting]) == [ledger.Word.OK]


def words_of(page: str) -> str:
    main = page[page.index("<main") : page.index("</main")]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main))


def test_opening_and_movements_make_closing_on_the_page_and_in_the_file(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=0)
    move(clinic, 50 * MICROS, code="adjustment", now=NOON - timedelta(days=2))
    for micros in (-11_400, -11_400, -22_800, 11_400):
        move(clinic, micros, code="refund" if micros > 0 else "sms")
    browser = signed_in(clinic.master)
    page = words_of(browser.get("/credit/statement/?since=2026-03-08&until=2026-03-08").content.decode())
    assert "Opening balance $50.00" in page
    assert "3 text messages" in page
    assert "minus $0.0456" in page
    assert "Closing balance $49.9658" in page
    file = csv.read(browser.get("/credit/statement.csv?since=2026-03-08&until=2026-03-08").content)
    amounts = [Decimal(row.cells[3]) for row in file.rows]
    assert sum(amounts) == Decimal("-0.0342")
    assert (len(amounts), Decimal(file.rows[-1].cells[4])) == (4, Decimal("49.9658"))
    assert file.rows[0].cells[0].endswith("-04:00"), "the time carries its zone"


def test_a_day_of_the_statement_is_a_day_of_the_customers_zone(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=0)
    move(clinic, 9 * MICROS, code="adjustment", now=datetime(2026, 3, 8, 4, 59, 59, tzinfo=UTC))  # 23:59:59 the day before
    move(clinic, 5 * MICROS, code="adjustment", now=datetime(2026, 3, 8, 5, 0, tzinfo=UTC))
    move(clinic, 3 * MICROS, code="adjustment", now=datetime(2026, 3, 9, 3, 59, 59, tzinfo=UTC))  # a day of 23 hours
    move(clinic, 1 * MICROS, code="adjustment", now=datetime(2026, 3, 9, 4, 0, tzinfo=UTC))
    page = words_of(signed_in(clinic.master).get("/credit/statement/?since=2026-03-08&until=2026-03-08").content.decode())
    assert "Opening balance $9.00" in page
    assert "Closing balance $17.00" in page


def test_every_movement_can_be_unfolded_page_by_page(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=0)
    move(clinic, 50 * MICROS, code="adjustment", now=NOON - timedelta(seconds=1))
    for n in range(230):
        move(clinic, -10_000, now=NOON + timedelta(seconds=n))
    browser, place, seen = signed_in(clinic.master), "?since=2026-03-08&until=2026-03-08&each=1", 0
    while place:
        page = browser.get(f"/credit/statement/{place}").content.decode()
        seen += page.count("Text message")
        later = re.search(r'rel="next" href="([^"]+)"', page)
        place = later[1].replace("&amp;", "&") if later else ""
    assert seen == 230
    assert "Closing balance" in words_of(page)


def test_a_period_that_ends_before_it_begins_is_refused(cast: Cast, signed_in: SignedIn) -> None:
    answer = signed_in(cast.clinic().master).get("/credit/statement/?since=2026-03-09&until=2026-03-08")
    assert answer.status_code == 422
    assert "before the first day" in answer.content.decode()
    assert signed_in(cast.clinic().master).get("/credit/statement/?since=nonsense").status_code == 422


def test_a_debt_stands_beside_the_statement(cast: Cast, signed_in: SignedIn) -> None:
    #
    clinic = cast.clinic(credit_micros=1 * MICROS)
    browser = signed_in(clinic.master)
    assert "is owed" not in browser.get("/credit/statement/").content.decode()
    with scope.customer(clinic.id):
        ledger.take(
            customer_id=clinic.id,
            now=at(),
            id=calls.next_id(),
            debt_id=calls.next_id(),
            wallet_id=clinic.pool.account_id,
            receivable_id=clinic.pool.receivable_id,
            target_id=wallets.accounts(customer_id=clinic.id, wallet=clinic.pool).usage,
            amount_micros=3_500_000,
            code="adjustment",
            ref_id=clinic.pool.id,
        )
    page = words_of(browser.get("/credit/statement/").content.decode())
    assert "Closing balance $0.00" in page
    assert "$2.50 is owed" in page


def test_invoices_are_listed_shown_and_downloaded(cast: Cast, signed_in: SignedIn) -> None:
    # S-022
    clinic = cast.clinic()
    settle_in(clinic, "AU", name="Harbour Physio", time_zone="Australia/Sydney")
    invoice = invoicing.issue(
        customer_id=clinic.id,
        subject_id=1,
        currency="USD",
        lines=[invoicing.Line("Message credit", 1, 110 * MICROS)],
        now=at(),
    )
    browser = signed_in(clinic.master)
    listed = browser.get("/invoices/").content.decode()
    place = re.search(r'href="(/invoices/IN\w+/)"', listed)
    assert place
    page = words_of(browser.get(place[1]).content.decode())
    for said in ("Tax invoice", invoicing.number_of(invoice), "ABN 51 824 753 556", "$10.00", "$110.00", "Harbour Physio"):
        assert said in page
    assert browser.get(f"{place[1]}pdf/").content.startswith(b"%PDF")


def test_the_pages_of_an_invoice_and_its_credit_note_lead_to_each_other(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    invoice = bought(clinic, 100 * MICROS, currency="USD")
    note = credit(clinic, invoice, 40 * MICROS)
    browser = signed_in(clinic.master)
    listed = browser.get("/invoices/").content.decode()
    assert "Adjustment note" in listed
    places = {number: place for place, number in re.findall(r'href="(/invoices/IN\w+/)">([^<]+)<', listed)}
    on_invoice = browser.get(places[invoicing.number_of(invoice)]).content.decode()
    assert places[invoicing.number_of(note)] in on_invoice
    on_note = browser.get(places[invoicing.number_of(note)]).content.decode()
    assert places[invoicing.number_of(invoice)] in on_note
    assert browser.get(f"{places[invoicing.number_of(note)]}pdf/").content.startswith(b"%PDF")


def test_a_closed_month_is_listed_with_its_hash_and_its_file_has_it(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=20 * MICROS)
    this = at().astimezone(ZoneInfo("America/New_York")).replace(day=1)
    [closed] = statements.close_due(customer_id=clinic.id, now=this + timedelta(days=34))
    browser = signed_in(clinic.master)
    assert closed.sha256 in browser.get("/credit/statement/").content.decode()
    file = browser.get(f"/credit/statement/{this:%Y-%m}.csv")
    assert hashlib.sha256(file.content).hexdigest() == closed.sha256
    assert browser.get(f"/credit/statement/{this:%Y-%m}.pdf").content.startswith(b"%PDF")
    for wrong in ("2026-13", "2099-01", "x"):
        assert browser.get(f"/credit/statement/{wrong}.pdf").status_code == 422
    assert Client().get(f"/credit/statement/{this:%Y-%m}.csv").status_code == 302


def test_anybody_sees_the_price_list_and_members_see_their_own(cast: Cast, signed_in: SignedIn) -> None:
    # S-046 S-088 S-090
    with scope.every_customer():
        standard = rating.create_price_list(
            customer_id=EVERYBODY, name="Standard", plan="standard", currency="USD", payable={}, now=at(), actor="operator"
        )
        rates = [
            rating.NewRate("sms", "out", "61", "AU", 51_500, 0),
            rating.NewRate("sms", "out", "1", "US", 9_900, 3_500),
            rating.NewRate("email", "out", "0", "001", 0, 0),
        ]
        rating.set_rates(price_list=standard, new=rates, valid_from=at() - timedelta(days=1), now=at(), actor="operator")
    page = words_of(Client().get("/prices/").content.decode())
    for said in ("Australia", "$0.0515", "$0.0035", "$0.0134", "without markup", "Free: no charge"):
        assert said in page
    own = words_of(signed_in(cast.clinic().master).get("/prices/").content.decode())
    assert "$0.0114" in own  # S-087: 0.0079 and the fee of 0.0035
    assert "$0.0134" not in own


def test_a_number_or_a_country_finds_its_price(cast: Cast, signed_in: SignedIn) -> None:
    browser = signed_in(cast.clinic().master)
    by_number = words_of(browser.get("/prices/", {"q": "+44 7700 900123"}).content.decode())
    assert "+447700900123" in by_number
    assert "$0.0463" in by_number
    assert "$0.0114" not in by_number
    assert "$0.0463" in words_of(browser.get("/prices/", {"q": "kingdom"}).content.decode())
    assert "No destination fits" in words_of(browser.get("/prices/", {"q": "Atlantis"}).content.decode())
