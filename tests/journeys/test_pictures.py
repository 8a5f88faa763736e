"""Pictures that people send: kept with their text at once, and fetched from the provider afterwards."""

import base64

import pytest
from django.conf import settings
from django.utils import timezone

from postmeter.db import scope
from postmeter.events.models import Event
from postmeter.messaging import inbound, inbox, media
from postmeter.messaging.carriers.files import NotFetched
from postmeter.messaging.providers import Forged
from tests.cast import Cast, Clinic, number
from tests.stage import Stage, until

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


def the_event(clinic: Clinic) -> Event:
    with scope.customer(clinic.id):
        return Event.objects.get(customer_id=clinic.id, kind="message.received")


def send_in(stage: Stage, clinic: Clinic, *pictures: bytes) -> None:
    letter = {
        "phone": number(3),
        "to": clinic.customer.sender,
        "body": "It is red",
        "pictures": [base64.b64encode(p).decode() for p in pictures],
    }
    stage.simulator.control("POST", "/inbound", letter)
    stage.settle()
    until(lambda: inbox.unread(customer_id=clinic.id) == 1, "the text")


def test_a_picture_that_comes_in_is_fetched_once_and_kept_with_its_text(stage: Stage, cast: Cast) -> None:  # S-060
    clinic = cast.clinic()
    send_in(stage, clinic, PNG, b"GIF89a dots")
    event = the_event(clinic)
    assert inbound.fetch_files(event=event, settings=settings.PROVIDERS, now=timezone.now()) == 2
    assert inbound.fetch_files(event=event, settings=settings.PROVIDERS, now=timezone.now()) == 0
    files = media.of_messages(customer_id=clinic.id, message_ids=[event.subject_id])[event.subject_id]
    assert [(file.content, file.content_type) for file in files] == [(PNG, "image/png"), (b"GIF89a dots", "image/gif")]
    [found] = inbox.threads(customer_id=clinic.id, which="all", member_id=0, at_most=5)
    assert [line.said.channel for line in inbox.lines(customer_id=clinic.id, conversation=found)] == ["mms"]


def test_a_provider_that_is_away_is_asked_again_and_our_password_goes_nowhere_else(stage: Stage, cast: Cast) -> None:
    clinic = cast.clinic()
    send_in(stage, clinic, PNG)
    event = the_event(clinic)
    good = event.data["files"]
    event.data["files"] = [f"{settings.TWILIO['base_url']}/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1"]
    with pytest.raises(NotFetched):
        inbound.fetch_files(event=event, settings=settings.PROVIDERS, now=timezone.now())
    event.data["files"] = ["http://127.0.0.1:1/elsewhere"]
    with pytest.raises(Forged):
        inbound.fetch_files(event=event, settings=settings.PROVIDERS, now=timezone.now())
    event.data["files"] = good
    assert inbound.fetch_files(event=event, settings=settings.PROVIDERS, now=timezone.now()) == 1
