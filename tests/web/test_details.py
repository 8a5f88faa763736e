"""What invoices call the customer: changed by those who look after money, for later invoices only."""

import re

import pytest

from postmeter.customers import operations as customers
from postmeter.customers import queries
from postmeter.customers.models import Role
from postmeter.db import scope
from postmeter.events.models import Event
from postmeter.invoicing import operations as invoicing
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput
from postmeter.notifications import news
from tests.cast import Cast, Clinic, at
from tests.web.conftest import SignedIn
from tests.web.test_records import words_of

PAGE = "/settings/invoices/"
NEW = {
    "name": "Zoë Ó Súilleabháin  & Co Ltd",
    "address": "Unit 4\r\n\r\n  12 Harbour Street \r\nGalway H91 X2C4",
    "country": "IE",
    "tax_id": "VAT IE6388047V",
    "email": " books@quay.example ",
    "time_zone": "Europe/Dublin",
}


def issue(clinic: Clinic, subject_id: int) -> str:
    """The number of a new invoice."""
    lines = [invoicing.Line("Message credit", 1, 20 * MICROS)]
    return invoicing.number_of(
        invoicing.issue(customer_id=clinic.id, subject_id=subject_id, currency="USD", lines=lines, now=at())
    )


def test_a_later_invoice_says_the_new_words_and_an_earlier_one_the_old(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    before = issue(clinic, 1)
    saved = browser.post(PAGE, NEW, follow=True).content.decode()
    assert "earlier ones stay as they are" in saved
    after = issue(clinic, 2)
    places = {
        number: place
        for place, number in re.findall(r'href="(/invoices/IN\w+/)">([^<]+)<', browser.get("/invoices/").content.decode())
    }
    old, new = (words_of(browser.get(places[number]).content.decode()) for number in (before, after))
    for said in ("Harbour Physio", "7 Quay Road", "United States"):
        assert said in old
        assert said not in new
    for said in ("Zoë Ó Súilleabháin &amp; Co Ltd", "Unit 4 12 Harbour Street Galway H91 X2C4 Ireland VAT IE6388047V"):
        assert said in new
        assert said not in old
    assert queries.customer(customer_id=clinic.id).email == "books@quay.example"
    # The form shows what is kept, in the zone's list.
    assert 'value="Europe/Dublin"' in browser.get(PAGE).content.decode()


def test_the_change_is_a_fact_that_names_the_fields_and_not_the_words(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    was = {field: getattr(clinic.customer, field) for field in NEW}
    browser.post(PAGE, was)
    browser.post(PAGE, was | {"tax_id": "US 12-3456789"})
    with scope.customer(clinic.id):
        facts = list(Event.objects.filter(customer_id=clinic.id, kind="customer.details_changed"))
    assert [(fact.actor, fact.data) for fact in facts] == [(clinic.actor, {"changed": ["tax_id"]})]


@pytest.mark.parametrize(
    ("field", "wrong", "said"),
    [
        ("name", " ", "required"),
        ("name", "x" * 201, "200 characters"),
        ("address", "a\n" * 9, "Up to 8 lines"),
        ("country", "ZZ", "not one of the available choices"),
        ("email", "nobody", "valid email"),
        ("time_zone", "Mars/Olympus", "There is no such time zone. Use a name such as Australia/Sydney."),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    cast: Cast, signed_in: SignedIn, field: str, wrong: str, said: str
) -> None:
    clinic = cast.clinic()
    answer = signed_in(clinic.master).post(PAGE, NEW | {field: wrong})
    page = answer.content.decode()
    assert answer.status_code == 422
    beside = re.search(rf'id="id_{field}_error">.*?</div>', page, re.DOTALL)
    assert beside
    assert said in beside[0]
    assert "VAT IE6388047V" in page
    assert queries.customer(customer_id=clinic.id).name == "Harbour Physio"


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("name", ""), ("name", "x" * 201), ("tax_id", "x" * 51), ("country", "ZZ"), ("email", "nobody"), ("time_zone", "../etc")],
)
def test_the_operation_refuses_what_no_form_has_looked_at(cast: Cast, field: str, wrong: str) -> None:
    clinic = cast.clinic()
    with pytest.raises(BadInput) as refused:
        customers.change_details(customer_id=clinic.id, **NEW | {field: wrong}, now=at(), actor=clinic.actor)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert refused.value.remedy


def test_only_those_who_look_after_money_change_it(cast: Cast, signed_in: SignedIn) -> None:
    # S-107
    clinic = cast.clinic()
    assert signed_in(cast.member(clinic, Role.BILLING_ADMIN)).get(PAGE).status_code == 200
    for role in (Role.OFFICE_MANAGER, Role.SENDER):
        browser = signed_in(cast.member(clinic, role))
        assert browser.post(PAGE, NEW).status_code == 403
        assert PAGE not in browser.get("/").content.decode()
    assert queries.customer(customer_id=clinic.id).name == "Harbour Physio"


def test_an_invoice_without_an_address_says_where_to_add_it(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    assert "no address" not in browser.get("/invoices/").content.decode()
    browser.post(PAGE, NEW | {"address": ""})
    assert f'<a href="{PAGE}">Add your address</a>' in browser.get("/invoices/").content.decode()
    issue(clinic, 1)
    place = re.search(r'href="(/invoices/IN\w+/)"', browser.get("/invoices/").content.decode())
    assert place
    assert f'<a href="{PAGE}">Add your address</a>' in browser.get(place[1]).content.decode()
    browser.post(PAGE, NEW)
    assert "Later ones say yours." in browser.get(place[1]).content.decode()


def test_how_often_they_are_mailed_is_each_members_own(cast: Cast, signed_in: SignedIn) -> None:  # S-081 S-082
    clinic = cast.clinic()
    sender = cast.member(clinic, Role.SENDER)
    page = signed_in(sender)
    assert 'value="each"' in page.get("/settings/me/").content.decode()
    assert "your own mails only" in page.post("/settings/me/", {"frequency": "day"}, follow=True).content.decode()
    assert news.frequency(customer_id=clinic.id, member_id=sender.member_id) == "day"
    assert news.frequency(customer_id=clinic.id, member_id=clinic.master.member_id) == "each"
    assert page.post("/settings/me/", {"frequency": "yearly"}).status_code == 422
