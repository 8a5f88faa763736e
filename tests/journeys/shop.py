"""Buying things in the simulator's world."""

import http.cookiejar
import urllib.parse
import urllib.request

import requests
from django.utils import timezone

from postmeter.payments import operations as payments
from postmeter.payments.models import PaymentMethod
from tests.cast import Clinic
from tests.stage import Stage

GOOD, DECLINED_LATER = "4242424242424242", "4000000000000341"


def saved_card(stage: Stage, clinic: Clinic, number: str = GOOD) -> PaymentMethod:
    """Add a card on the gateway's hosted page, as a browser would, and come back."""
    setup_id = visit_card_page(stage, clinic, number)
    method = payments.finish_setup(customer_id=clinic.id, setup_id=setup_id, now=timezone.now())
    assert method is not None, "the hosted page did not take the card"
    return method


def visit_card_page(stage: Stage, clinic: Clinic, number: str = GOOD) -> int:
    """Add a card on the hosted page, and close the browser before it comes back to us. Returns the visit's id."""
    setup_id, page = payments.start_setup(
        customer_id=clinic.id,
        actor=clinic.actor,
        success_url=f"{stage.simulator.url}/control/clock?setup=SETUP",
        cancel_url=f"{stage.simulator.url}/control/clock",
        now=timezone.now(),
    )
    form = urllib.parse.urlencode({"number": number, "expiry": "12 / 40", "cvc": "123"}).encode()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    opener.open(page, data=form).read()
    return setup_id


def fill_in_card(page: str, number: str = GOOD) -> str:
    """As the cardholder, on the hosted page. Returns where it leads."""
    answer = requests.post(page, {"number": number, "expiry": "12 / 40", "cvc": "123"}, timeout=20, allow_redirects=False)
    return urllib.parse.urljoin(page, answer.headers["location"])


def confirm_at_bank(page: str) -> None:
    answer = requests.post(page, {"answer": "yes"}, timeout=20, allow_redirects=False)
    assert answer.status_code in (302, 303), answer.text


def saved_card_after_question(stage: Stage, clinic: Clinic, number: str) -> PaymentMethod:
    """A card whose bank asks already when it is saved."""
    setup_id, page = payments.start_setup(
        customer_id=clinic.id,
        actor=clinic.actor,
        success_url=f"{stage.url}/SETUP",
        cancel_url=f"{stage.url}/",
        now=timezone.now(),
    )
    confirm_at_bank(fill_in_card(page, number))
    method = payments.finish_setup(customer_id=clinic.id, setup_id=setup_id, now=timezone.now())
    assert method is not None
    return method
