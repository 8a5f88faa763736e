"""The pages on which a failed top-up is tried again."""

from datetime import timedelta
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest
from django.core import signing
from django.test import Client
from django.utils import timezone

from postmeter.customers.models import Role
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import MICROS
from postmeter.topups import operations, queries
from postmeter.topups import retry as topups
from postmeter.topups.models import TopUp
from tests.cast import Cast, Clinic
from tests.journeys.shop import DECLINED_LATER, saved_card
from tests.stage import Stage
from tests.web.conftest import SignedIn
from tests.web.test_records import words_of


@pytest.fixture
def clinic(stage: Stage, cast: Cast) -> Clinic:
    """Its $20 were declined; there is a good card too."""
    clinic = cast.clinic(credit_micros=0)
    buy(clinic, saved_card(stage, clinic, DECLINED_LATER).id, 20)
    saved_card(stage, clinic)
    return clinic


def buy(clinic: Clinic, card_id: int, dollars: int) -> TopUp:
    return operations.buy(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        method_id=card_id,
        amount_micros=dollars * MICROS,
        key=uuid4(),
        actor=clinic.actor,
        now=timezone.now(),
    ).top_up


def failed(clinic: Clinic) -> TopUp:
    return next(row for row in queries.top_ups(customer_id=clinic.id) if row.state == "failed")


def place(top_up: TopUp) -> str:
    return f"/credit/top-ups/{public_ids().encode('TU', top_up.id)}/retry/"


def cards(clinic: Clinic) -> dict[str, str]:
    from postmeter.payments import queries as payments

    return {card.last4: public_ids().encode("PM", card.id) for card in payments.methods(customer_id=clinic.id)}


def test_retry_stands_beside_what_failed_and_charges_after_a_yes(clinic: Clinic, signed_in: SignedIn) -> None:  # S-137
    browser, top_up = signed_in(clinic.master), failed(clinic)
    assert place(top_up) in browser.get("/payments/").content.decode()
    asked = browser.get(place(top_up)).content.decode()
    assert "Charge $20.00?" in words_of(asked)
    assert clinic.available == 0
    answer = browser.post(place(top_up), {"card": cards(clinic)["4242"]}, follow=True)
    assert "$20.00 of credit added" in words_of(answer.content.decode())
    browser.post(place(top_up), {"card": cards(clinic)["4242"]})
    assert clinic.available == 20 * MICROS
    page = browser.get("/payments/").content.decode()
    assert place(top_up) not in page
    assert "Tried again" in page


def test_retry_asks_when_credit_came_meanwhile(clinic: Clinic, signed_in: SignedIn) -> None:
    browser, top_up = signed_in(clinic.master), failed(clinic)
    good = cards(clinic)["4242"]
    buy(clinic, public_ids().decode("PM", good), 50)
    asked = browser.post(place(top_up), {"card": good})
    assert asked.status_code == 409
    assert "$50.00 was bought since then" in words_of(asked.content.decode())
    assert clinic.available == 50 * MICROS
    browser.post(place(top_up), {"card": good, "anyway": "1"})
    assert clinic.available == 70 * MICROS


def test_retry_without_a_card_is_refused_beside_its_field(clinic: Clinic, signed_in: SignedIn) -> None:
    answer = signed_in(clinic.master).post(place(failed(clinic)), {"card": "PM0"})
    assert answer.status_code == 422
    assert clinic.available == 0


def test_the_link_of_a_mail_leads_there_for_a_day(
    clinic: Clinic, cast: Cast, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_up = failed(clinic)
    link = topups.path(customer_id=clinic.id, top_up_id=top_up.id)
    assert signed_in(clinic.master).get(link).headers["Location"] == place(top_up)
    stranger = signed_in(cast.clinic().master).get(link, follow=True).content.decode()
    assert "for another customer" in words_of(stranger)
    assert "not complete" in words_of(signed_in(clinic.master).get(f"{link[:-4]}x/", follow=True).content.decode())
    monkeypatch.setattr(topups, "LINK_GOOD_FOR", timedelta(seconds=-1))
    with pytest.raises(signing.SignatureExpired):
        topups.of_path(link.split("/")[3])
    assert "good for a day" in words_of(signed_in(clinic.master).get(link, follow=True).content.decode())


def test_the_link_of_a_mail_charges_nobody_and_asks_who_opens_it(clinic: Clinic, cast: Cast, signed_in: SignedIn) -> None:
    top_up = failed(clinic)
    link = topups.path(customer_id=clinic.id, top_up_id=top_up.id)
    stranger = Client().get(link)
    assert (stranger.status_code, urlsplit(stranger.headers["Location"]).query) == (302, f"next={quote(link)}")
    assert signed_in(cast.member(clinic, Role.SENDER)).get(link).status_code == 403
    browser = signed_in(clinic.master)
    assert "Charge $20.00?" in words_of(browser.get(link, follow=True).content.decode())
    assert clinic.available == 0


def test_the_link_of_a_mail_is_of_use_once(clinic: Clinic, signed_in: SignedIn) -> None:
    top_up, browser = failed(clinic), signed_in(clinic.master)
    link = topups.path(customer_id=clinic.id, top_up_id=top_up.id)
    browser.post(place(top_up), {"card": cards(clinic)["4242"]})
    assert "$20.00 of credit added" in words_of(browser.get(link, follow=True).content.decode())
    browser.post(place(top_up), {"card": cards(clinic)["4242"]})
    assert clinic.available == 20 * MICROS
