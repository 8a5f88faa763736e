"""Emails through a mail server that nobody here wrote: it takes ours, writes real bounces, and hands in what people answer."""

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.conf import settings
from django.utils import timezone

from postmeter.consent import queries as consent
from postmeter.messaging import inbox, media, queries
from postmeter.messaging.addresses import way_back
from postmeter.messaging.models import Message
from postmeter.messaging.operations.accept import Submission, submit
from tests.cast import Clinic
from tests.journeys.house import House
from tests.journeys.test_first_journey import dispatch_all
from tests.peers.postfix import Postfix
from tests.stage import free_port, until

ANSWERS = {"nobody": "550 5.1.1 No such user here", "full": "552 5.2.2 Mailbox full", "spam": "554 5.7.1 Not wanted"}


class People:
    """The mail server behind which everybody lives: what it took, by mailbox."""

    def __init__(self) -> None:
        self.mail: dict[str, EmailMessage] = {}
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        name = address.partition("@")[0]
        if name in ANSWERS:
            return ANSWERS[name]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        self.mail[envelope.rcpt_tos[0].partition("@")[0]] = BytesParser(policy=default).parsebytes(envelope.content)
        return "250 OK"

    def __enter__(self) -> "People":
        self._controller.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._controller.stop(no_assert=True)


@pytest.fixture(scope="module")
def people() -> Iterator[People]:
    with People() as people:
        yield people


@pytest.fixture(scope="module")
def postfix(house: House, people: People) -> Iterator[Postfix]:
    with Postfix(domain=settings.MAIL_DOMAIN, door=house.stage.mail_port, people=people.port) as postfix:
        yield postfix


@pytest.fixture(autouse=True)
def by_postfix(house: House, postfix: Postfix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.MAIL, "port", str(postfix.port))
    house.stage.open_mail()


def send(clinic: Clinic, *names: str) -> dict[str, int]:
    to = [f"{name}@patients.example" for name in names]
    asked = Submission(clinic.id, to, ["Your visit\nSee you at ten, Łukasz."] * len(to), clinic.actor, channel="email")
    ids = submit(asked, now=timezone.now()).ids
    dispatch_all(clinic.id)
    return dict(zip(names, ids, strict=True))


def row(clinic: Clinic, message_id: int) -> Message:
    return queries.message(customer_id=clinic.id, message_id=message_id)


def test_what_a_real_mail_server_delivers_can_be_unsubscribed_from_and_answered(
    harbour: Clinic, people: People, postfix: Postfix
) -> None:  # S-043 S-074 S-075
    sent = send(harbour, "ann")["ann"]
    until(lambda: "ann" in people.mail, "the email", postfix.log)
    letter = people.mail["ann"]
    body = letter.get_body(("plain",))
    assert body and "See you at ten, Łukasz." in body.get_content()
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert way_back("reply", harbour.id, sent) in letter["Reply-To"]
    assert row(harbour, sent).state == "sent"

    answer = EmailMessage()
    answer["From"], answer["To"], answer["Subject"] = "ann@patients.example", str(letter["Reply-To"]), "Re: Your visit"
    answer["In-Reply-To"] = letter["Message-ID"]
    answer.set_content("Yes, I will be there.")
    answer.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="überweisung.pdf")
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=20) as server:
        server.send_message(answer)

    def came() -> list[inbox.Conversation]:
        return inbox.threads(customer_id=harbour.id, which="all", member_id=0, at_most=9)

    until(lambda: bool(came()), "the answer", postfix.log)
    [found] = came()
    assert found.last and found.last.text == "Yes, I will be there."
    files = media.of_messages(customer_id=harbour.id, message_ids=[found.last.id])[found.last.id]
    assert [(file.name, file.content) for file in files] == [("überweisung.pdf", b"%PDF-1.7")]


def test_bounces_that_a_real_mail_server_writes_end_up_at_their_message(harbour: Clinic, postfix: Postfix) -> None:  # S-060 A-57
    sent = send(harbour, "nobody", "full", "spam")
    until(lambda: all(row(harbour, id_).state == "undelivered" for id_ in sent.values()), "the bounces", postfix.log)
    assert {name: row(harbour, id_).error_code for name, id_ in sent.items()} == {
        "nobody": "5.1.1",
        "full": "5.2.2",
        "spam": "5.7.1",
    }


def test_a_mail_to_the_address_of_unsubscribing_opts_out(harbour: Clinic, people: People, postfix: Postfix) -> None:
    send(harbour, "bob")
    until(lambda: "bob" in people.mail, "the email", postfix.log)
    way = next(part for part in str(people.mail["bob"]["List-Unsubscribe"]).split(",") if "mailto:" in part)
    stop = EmailMessage()
    stop["From"], stop["To"], stop["Subject"] = (
        "bob@patients.example",
        way.strip(" <>").removeprefix("mailto:").partition("?")[0],
        "stop",
    )
    stop.set_content("")
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=20) as server:
        server.send_message(stop)
    until(
        lambda: bool(consent.opted_out(customer_id=harbour.id, channel="email", addresses=["bob@patients.example"])),
        "it",
        postfix.log,
    )


def test_while_our_door_is_closed_a_real_mail_server_keeps_what_comes(
    house: House, harbour: Clinic, people: People, postfix: Postfix
) -> None:
    send(harbour, "eve")
    until(lambda: "eve" in people.mail, "the email", postfix.log)
    house.stage.close_mail()
    answer = EmailMessage()
    answer["From"], answer["To"], answer["Subject"] = "eve@patients.example", str(people.mail["eve"]["From"]), "Hi"
    answer.set_content("Are you open?")
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=20) as server:
        server.send_message(answer)
    until(lambda: "status=deferred" in postfix.log(), "Postfix to find the door closed", postfix.log)
    house.stage.open_mail()
    postfix.try_again()
    until(
        lambda: bool(inbox.threads(customer_id=harbour.id, which="all", member_id=0, at_most=9)),
        "the mail to come in",
        postfix.log,
    )
