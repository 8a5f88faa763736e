"""The page of the automatic top-up: what it says, what it refuses, and the yes that a charge needs."""

from postmeter.customers.models import Role
from postmeter.topups import queries
from tests.cast import Cast
from tests.journeys.shop import saved_card
from tests.stage import Stage
from tests.topups.test_automation import automatic, buy, jobs, send
from tests.web.conftest import SignedIn
from tests.web.test_records import words_of

PAGE = "/credit/automatic/"
RULE = {"enabled": "on", "threshold": "10.00", "kind": "refill", "amount": "20.00", "day_cap": "100", "month_cap": "500"}


def test_it_begins_switched_off_and_says_how_it_stands(
    stage: Stage, cast: Cast, signed_in: SignedIn
) -> None:  # S-009 S-024 S-025 S-105
    clinic = cast.clinic(credit_micros=0)
    browser = signed_in(clinic.master)
    assert "no card is charged unless somebody buys" in words_of(browser.get(PAGE).content.decode())
    saved = words_of(browser.post(PAGE, RULE, follow=True).content.decode())
    assert "armed after your first purchase" in saved
    buy(clinic, saved_card(stage, clinic), 30)
    assert "would charge Visa •••• 4242" in words_of(browser.get(PAGE).content.decode())


def test_every_refusal_stands_beside_its_field_and_nothing_typed_is_lost(
    cast: Cast, signed_in: SignedIn
) -> None:  # S-026 S-027 S-028
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    for field, typed in (("amount", "5"), ("threshold", "ten"), ("day_cap", "15"), ("month_cap", "50"), ("kind", "often")):
        answer = browser.post(PAGE, RULE | {field: typed})
        page = answer.content.decode()
        assert answer.status_code == 422
        assert f'id="id_{field}_error"' in page or f"id_{field}" in page
        assert field == "kind" or f'value="{typed}"' in page
    assert queries.automatic(customer_id=clinic.id, wallet_id=clinic.pool.id, now=clinic.pool.created_at) is None


def test_a_charge_that_saving_causes_needs_a_yes_and_is_explained(stage: Stage, cast: Cast, signed_in: SignedIn) -> None:
    # S-118 S-119 S-120 S-121 A-24
    clinic = cast.clinic(credit_micros=0)
    buy(clinic, saved_card(stage, clinic), 30)
    send(clinic, 25)
    browser = signed_in(clinic.master)
    asked = browser.post(PAGE, RULE)
    assert asked.status_code == 409
    assert "Your card will be charged $20.00 now" in words_of(asked.content.decode())
    jobs()
    assert automatic(clinic) == []
    browser.post(PAGE, RULE | {"accepts_charge": "20.00"})
    jobs()
    [bought] = automatic(clinic)
    page = browser.get("/payments/").content.decode()
    link = page[page.index("/credit/top-ups/TU") :].split('"')[0]
    why = words_of(browser.get(link).content.decode())
    assert "Why was my card charged?" in why
    assert "the balance fell below $10.00" in why
    assert bought.state == "succeeded"


def test_who_may_not_touch_cards_sees_no_such_page(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    assert signed_in(cast.member(clinic, Role.SENDER)).get(PAGE).status_code == 403
