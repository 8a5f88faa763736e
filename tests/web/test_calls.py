"""The pages of calls: how they sound, what they cost before they are made, and how they went."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from postmeter.customers.models import Role
from postmeter.db import scope
from postmeter.db.public_ids import public_ids
from postmeter.messaging import callsettings, queries
from postmeter.messaging.channels.voice import Key
from postmeter.messaging.models import Message
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.calling import instruct
from postmeter.messaging.providers import Heard
from tests.cast import Cast, Clinic, number, set_price
from tests.web.conftest import SignedIn

MINUTE = 30_000
FORM = {
    "language": "es-US",
    "voice": "Polly.Lupe",
    "machines": "whole",
    "responses": "on",
    "confirms": "on",
    "talk_number": "(555) 010-7000",
    "talk_minutes": "15",
    "key_repeat": "1",
    "key_confirm": "2",
    "key_cancel": "3",
    "key_stop": "8",
    "key_talk": "0",
}


@pytest.fixture
def clinic(cast: Cast) -> Clinic:
    return cast.clinic()


@pytest.fixture
def master(clinic: Clinic, confirmed: SignedIn) -> Client:
    return confirmed(clinic.master)


@pytest.fixture(autouse=True)
def price(clinic: Clinic) -> None:
    set_price(clinic, "voice", MINUTE)


def test_a_master_says_how_calls_sound(master: Client, clinic: Clinic) -> None:  # S-048 S-064 S-069 S-070 S-071
    saved = master.post("/settings/calls/", FORM, follow=True)
    assert "Saved." in saved.content.decode()
    known = callsettings.rules(customer_id=clinic.id)
    assert (known.language, known.voice, known.talk_number, known.talk_minutes) == ("es-US", "Polly.Lupe", "+15550107000", 15)
    assert (known.responses, known.confirms, known.cancels, known.keys[Key.STOP]) == (True, True, False, "8")
    page = master.get("/settings/calls/").content.decode()
    assert "Esta es una llamada automática de" in page and "pulse 8" in page


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"talk_number": "12"}, "talk_number", "12"),
        ({"talk_number": "+44 20 7946 0018"}, "talk_number", "There is no price for calls to this number."),
        ({"key_stop": "1"}, "key_stop", "is for"),
        ({"voice": "Polly.Joanna"}, "voice", "does not speak"),
        ({"talk_minutes": "121"}, "talk_minutes", "120"),
        ({"language": "xx"}, "language", "xx"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(
    master: Client, clinic: Clinic, wrong: dict[str, str], field: str, words: str
) -> None:
    answer = master.post("/settings/calls/", FORM | wrong)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert words in page and f'id="id_{field}"' in page and "has-error" in page
    assert callsettings.rules(customer_id=clinic.id).language == "en-US"


def test_only_who_manages_members_says_how_calls_sound(clinic: Clinic, cast: Cast, confirmed: SignedIn) -> None:
    sender = confirmed(cast.member(clinic, Role.SENDER))
    assert sender.post("/settings/calls/", FORM).status_code == 403
    assert callsettings.rules(customer_id=clinic.id).language == "en-US"


def test_a_call_shows_its_minutes_and_what_is_heard_before_it_is_made(master: Client, clinic: Clinic) -> None:  # S-042
    form = {"channel": "voice", "recipients": f"{number(1)}\n{number(2)}", "text": "Your visit is on Tuesday. " * 12}
    shown = master.post("/send/preview/", form).content.decode()
    assert "For 2 minutes a call" in shown and "$0.12" in shown
    page = master.post("/send/", form, follow=True).content.decode()
    assert "Minutes, together, at most" in page and "This is an automated call from" in page and "press 9" in page
    assert "To talk to us" not in page  # by hand


def test_a_call_tells_who_answered_and_which_keys_were_pressed(master: Client, clinic: Clinic) -> None:
    now = timezone.now()
    asked = Submission(
        clinic.id, [number(1)], ["Hello."], clinic.actor, channel="voice", kind="notice", useful_until=now + timedelta(days=1)
    )
    sent = submit(asked, now=now).ids[0]
    with scope.customer(clinic.id):
        Message.objects.filter(customer_id=clinic.id, id=sent).update(state="sent", provider="twilio")
    for key in ("", "7", "1"):
        instruct(customer_id=clinic.id, message_id=sent, heard=Heard("CA1", key=key), now=now)
    found = queries.call(customer_id=clinic.id, message_id=sent)
    assert found is not None and found.pressed == "71"
    page = master.get(f"/messages/{public_ids().encode('SM', sent)}/").content.decode()
    assert "A person" in page and "7 1" in page and "Minutes, held" in page
