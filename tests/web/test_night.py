"""Quiet hours on the pages: the switch, and what a list says of those who sleep."""

from zoneinfo import ZoneInfo

from postmeter.consent import operations as consent
from postmeter.customers import operations as customers
from postmeter.customers.models import Role
from postmeter.messaging import night
from postmeter.messaging.operations import quote
from postmeter.messaging.operations.quote import Wanted
from tests.cast import Cast, at
from tests.messaging.test_night import EAST, NIGHT, WEST
from tests.web.conftest import SignedIn
from tests.web.test_records import words_of

PAGE = "/settings/messaging/"


def test_the_page_says_how_many_sleep_and_the_switch_is_theirs(cast: Cast, signed_in: SignedIn) -> None:
    harbour = cast.clinic()
    customers.switch_quiet_hours(customer_id=harbour.id, kept=True, now=at(), actor=harbour.actor)
    wanted = [Wanted(EAST, "Hi"), Wanted(WEST, "Hi")]
    made = quote.make(customer_id=harbour.id, wanted=wanted, actor=harbour.actor, now=NIGHT)
    assert night.asleep(customer_id=harbour.id, quote_id=made.id, now=NIGHT) == 1
    browser = signed_in(harbour.master)
    assert "Nobody gets a text before 8" in words_of(browser.get(PAGE).content.decode())
    off = browser.post(PAGE, {"quiet": "0"}, follow=True).content.decode()
    assert "Messages go out at any time" in off and "Texts go out at any time" in off
    assert night.asleep(customer_id=harbour.id, quote_id=made.id, now=NIGHT) == 0
    assert signed_in(cast.member(harbour, Role.SENDER)).post(PAGE, {"quiet": "1"}).status_code == 403


def test_opt_in_is_a_switch_and_its_proof_can_be_downloaded(cast: Cast, signed_in: SignedIn) -> None:  # S-049 A-72
    harbour, rival = cast.clinic(), cast.clinic(name="Rival Physio")
    browser = signed_in(harbour.master)
    assert "May we text you" in words_of(browser.get(PAGE).content.decode())
    on = browser.post(PAGE, {"opt_in": "1"}, follow=True).content.decode()
    assert "asked before their first message" in on and "Ask nobody" in on
    consent.give(
        customer_id=harbour.id, channel="sms", address=EAST, source="form", words="=cmd()", now=at(), actor=harbour.actor
    )
    sheet = b"".join(browser.get(PAGE + "consent.csv")).decode()
    assert EAST in sheet and "Agreed" in sheet and ",=cmd" not in sheet
    assert EAST not in b"".join(signed_in(rival.master).get(PAGE + "consent.csv")).decode()
    assert signed_in(cast.member(harbour, Role.SENDER)).post(PAGE, {"opt_in": "0"}).status_code == 403


def test_the_question_is_asked_in_a_language_of_choice(cast: Cast, signed_in: SignedIn) -> None:  # S-052
    harbour = cast.clinic()
    browser = signed_in(harbour.master)
    page = browser.post(PAGE, {"language": "es"}, follow=True).content.decode()
    assert "People are asked in Spanish." in page and "¿Podemos escribirle sobre visitas y facturas?" in page
    wrong = browser.post(PAGE, {"language": "tlh"})
    assert wrong.status_code == 422 and "Choose one of en, es, fr" in wrong.content.decode()
    assert "¿Podemos" in browser.get(PAGE).content.decode()
    assert signed_in(cast.member(harbour, Role.SENDER)).post(PAGE, {"language": "fr"}).status_code == 403


def test_how_far_a_stop_reaches_is_set_from_a_day_on(cast: Cast, signed_in: SignedIn) -> None:
    harbour = cast.clinic()
    browser = signed_in(harbour.master)
    assert "no more messages of any kind on that channel" in words_of(browser.get(PAGE).content.decode())
    later = browser.post(PAGE, {"reach": "everything", "since": "2099-01-31"}, follow=True).content.decode()
    assert "From 31 January 2099 on: a STOP is for everything" in words_of(later)
    assert "no more messages of any kind on that channel" in words_of(later)
    today = at().astimezone(ZoneInfo(harbour.customer.time_zone)).date().isoformat()
    now = browser.post(PAGE, {"reach": "everything", "since": today}, follow=True).content.decode()
    assert "gets nothing more from you" in words_of(now)
    for wrong in ({"since": "2020-01-01"}, {"since": "soon"}, {"reach": "planet"}):
        assert browser.post(PAGE, {"reach": "channel", "since": "2099-01-31"} | wrong).status_code == 422
    sender = signed_in(cast.member(harbour, Role.SENDER))
    assert sender.post(PAGE, {"reach": "channel", "since": today}).status_code == 403
