"""Emails through a mail service's API: what it answers, what it says later, and what comes in by it; Postmark's shapes, as its reference
shows them."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.test import Client

from postmeter.consent import queries as consent
from postmeter.customers.bodies import GONE
from postmeter.db import scope
from postmeter.db.public_ids import public_ids
from postmeter.messaging import inbox, mailroom, queries
from postmeter.messaging.addresses import way_back
from postmeter.messaging.carriers import carrier
from postmeter.messaging.channels import email
from postmeter.messaging.dispatch import Dispatcher
from postmeter.messaging.models import Inbound, Message
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.providers import Accepted, Media, Outbound, Refused, TryLater, Unknown
from tests.cast import Cast, Clinic, at
from tests.stage import free_port

ANN = "ann@patients.example"
BODY = email.compose("Your visit on Tuesday", "See you at ten.\nHarbour")
TAKEN = {"To": ANN, "SubmittedAt": "2026-11-24T10:00:00Z", "MessageID": "0a129aee-e1cd-480d-b08d-4f48548ff48d", "ErrorCode": 0,
         "Message": "OK"}  # fmt: skip
INACTIVE = (
    b'{"ErrorCode": 406, "Message": "You tried to send to recipient(s) that have been marked as inactive.\\nFound inactive addresses: '
    b'ann@patients.example.\\nInactive recipients are ones that have generated a hard bounce or a spam complaint."}'
)
SECRET = "hooks:0123456789abcdef"


class Service:
    """Postmark, on this machine."""

    def __init__(self) -> None:
        self.status, self.answer, self.hang_up = 200, json.dumps(TAKEN).encode(), False
        self.asked: list[dict[str, Any]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                service.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                if service.hang_up:
                    self.connection.close()
                    return
                self.send_response(service.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(service.answer)))
                self.end_headers()
                self.wfile.write(service.answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def service(settings: Any) -> Iterator[Service]:
    made = Service()
    settings.ANYMAIL_ESP = "postmark"
    settings.ANYMAIL = {
        "POSTMARK_SERVER_TOKEN": "token",
        "POSTMARK_API_URL": f"http://127.0.0.1:{made.port}/",
        "WEBHOOK_SECRET": SECRET,
    }
    settings.PROVIDERS = settings.PROVIDERS | {"anymail": {"esp": "postmark"}}
    settings.ROUTES = settings.ROUTES | {"email": ("anymail",)}
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def clinic(cast: Cast) -> Clinic:
    return cast.clinic(name="Harbour, Physio & “Co”")


def outbound(media: tuple[Media, ...] = (), kind: str = "notice") -> Outbound:
    return Outbound(7, "harbour-1@mail.example", ANN, BODY, "", media, 5, "Harbour, Physio & “Co”", "7 Quay Road", kind)


def give(message: Outbound) -> Any:
    async def send() -> Any:
        async with carrier("anymail", {"esp": "postmark"}) as found:
            return await found.send(message)

    return asyncio.run(send())


def test_an_email_goes_with_its_files_its_way_to_stop_and_whose_it_is(service: Service) -> None:  # S-043
    assert give(outbound((Media("map.png", "image/png", b"\x89PNG"),))) == Accepted(TAKEN["MessageID"], {"status": "sent"})
    [asked] = service.asked
    assert (asked["To"], asked["Subject"]) == (ANN, "Your visit on Tuesday")
    assert "harbour-1@mail.example" in asked["From"] and "reply+" in asked["ReplyTo"]
    assert "See you at ten." in asked["TextBody"] and "7 Quay Road" in asked["TextBody"]
    headers = {each["Name"]: each["Value"] for each in asked["Headers"]}
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"  # RFC 8058
    assert headers["List-Unsubscribe"].startswith("<http")
    assert [(each["Name"], base64.b64decode(each["Content"])) for each in asked["Attachments"]] == [("map.png", b"\x89PNG")]
    assert asked["Metadata"] == {"postmeter": public_ids().encode_pair(5, 7)}


def test_a_one_time_code_cannot_be_unsubscribed_from(service: Service) -> None:
    give(outbound(kind="code"))
    assert "Headers" not in service.asked[0] or not service.asked[0]["Headers"]


@pytest.mark.parametrize(
    ("status", "answer", "outcome"),
    [
        (200, INACTIVE, Refused),
        (422, INACTIVE, Refused),
        (200, b"{}", Unknown),
        (422, b'{"ErrorCode": 300, "Message": "Invalid email request"}', Refused),
        (401, b'{"ErrorCode": 10, "Message": "Bad or missing Server API token."}', TryLater),
        (429, b"{}", TryLater),
        (500, b'{"ErrorCode": 100, "Message": "Maintenance"}', Unknown),
        (503, b"<html>", Unknown),
    ],
)
def test_each_answer_is_one_of_four_outcomes(service: Service, status: int, answer: bytes, outcome: type) -> None:
    service.status, service.answer = status, answer
    assert isinstance(give(outbound()), outcome)


def test_an_answer_that_breaks_off_is_unknown_and_a_service_that_is_away_is_asked_again(service: Service, settings: Any) -> None:
    service.hang_up = True
    assert isinstance(give(outbound()), Unknown)
    settings.ANYMAIL = settings.ANYMAIL | {"POSTMARK_API_URL": f"http://127.0.0.1:{free_port()}/"}
    assert isinstance(give(outbound()), TryLater)


def sent(clinic: Clinic) -> Message:
    [id_] = submit(Submission(clinic.id, [ANN], [BODY], clinic.actor, channel="email"), now=at()).ids
    from django.conf import settings

    asyncio.run(Dispatcher(settings=settings.PROVIDERS, clock=at, work=lambda: [clinic.id]).drain())
    return queries.message(customer_id=clinic.id, message_id=id_)


def post(kind: str, said: dict[str, Any], *, secret: str = SECRET, esp: str = "postmark") -> int:
    token = base64.b64encode(secret.encode()).decode()
    path = f"/hooks/email/{esp}/{kind}/"
    return (
        Client()
        .post(path, json.dumps(said), content_type="application/json", headers={"Authorization": f"Basic {token}"})
        .status_code
    )


def word(message: Message, kind: str, **more: object) -> dict[str, Any]:
    token = public_ids().encode_pair(message.customer_id, message.id)
    common = {"RecordType": kind, "MessageID": TAKEN["MessageID"], "Metadata": {"postmeter": token}, "ServerID": 23}
    return (
        common
        | {"Recipient": ANN, "Email": ANN, "DeliveredAt": "2026-11-24T10:00:05Z", "BouncedAt": "2026-11-24T10:00:05Z"}
        | more
    )


BOUNCE = {"Type": "HardBounce", "TypeCode": 1, "ID": 42, "Description": "The server was unable to deliver your message.",
          "Details": "smtp;550 5.1.1 The email account does not exist."}  # fmt: skip


def test_what_became_of_an_email_is_told_by_the_service(clinic: Clinic, service: Service) -> None:  # S-074 S-075
    arrived, bounced = sent(clinic), sent(clinic)
    assert (arrived.state, arrived.provider, arrived.provider_ref) == ("sent", "anymail", TAKEN["MessageID"])
    for _ in range(2):  # told twice
        assert post("tracking", word(arrived, "Delivery", Details="250 2.0.0 OK")) == 200
        assert post("tracking", word(bounced, "Bounce", **BOUNCE)) == 200
    states = {row.id: (row.state, row.error_code) for row in queries.messages(customer_id=clinic.id)}
    assert states == {arrived.id: ("delivered", ""), bounced.id: ("undelivered", "5.1.1")}


def test_who_calls_an_email_unwanted_gets_no_more(clinic: Clinic, service: Service) -> None:
    message = sent(clinic)
    assert post("tracking", word(message, "SpamComplaint", Type="SpamComplaint", TypeCode=512, ID=43)) == 200
    assert consent.opted_out(customer_id=clinic.id, channel="email", addresses=[ANN]) == {ANN}


@pytest.mark.parametrize("token", ["", "0" * 32, "not a token", 5])
def test_a_word_about_nothing_of_ours_moves_nothing(clinic: Clinic, service: Service, token: object) -> None:
    message = sent(clinic)
    assert post("tracking", word(message, "Bounce", **BOUNCE) | {"Metadata": {"postmeter": token}}) == 200
    assert queries.message(customer_id=clinic.id, message_id=message.id).state == "sent"


def test_a_reply_comes_into_the_inbox_with_its_files_and_once(clinic: Clinic, service: Service) -> None:  # S-060 S-063
    message = sent(clinic)
    to = way_back("reply", clinic.id, message.id)
    said = {
        "From": ANN,
        "FromFull": {"Email": ANN, "Name": "Ann", "MailboxHash": ""},
        "To": to,
        "ToFull": [{"Email": to, "Name": "", "MailboxHash": ""}],
        "OriginalRecipient": to,
        "Subject": "Re: Your visit on Tuesday",
        "MessageID": "22c74902-a0c1-4511-804f-341342852c90",
        "TextBody": "I will be there.",
        "Headers": [{"Name": "Message-ID", "Value": "<1@patients.example>"}, {"Name": "Return-Path", "Value": f"<{ANN}>"}],
        "Attachments": [
            {"Name": "x.txt", "Content": base64.b64encode(b"x").decode(), "ContentType": "text/plain", "ContentLength": 1}
        ],
    }
    assert [post("inbound", said) for _ in range(2)] == [200, 200]
    [thread] = inbox.threads(customer_id=clinic.id, which="unread", member_id=clinic.master.member_id, at_most=5)
    with scope.customer(clinic.id):
        [row] = Inbound.objects.filter(customer_id=clinic.id)
    assert row.text.strip() == "I will be there." != GONE
    [line] = [line for line in inbox.lines(customer_id=clinic.id, conversation=thread) if not line.mine]
    assert [file.name for file in line.files] == ["x.txt"]


def test_an_email_to_nobody_here_is_not_said_again(clinic: Clinic, service: Service) -> None:
    stranger = "nobody@elsewhere.example"
    writer = {"From": ANN, "FromFull": {"Email": ANN, "Name": "", "MailboxHash": ""}, "Subject": "Hi", "TextBody": "x"}
    reached = {"ToFull": [{"Email": stranger, "Name": ""}], "OriginalRecipient": stranger}
    said = writer | reached | {"MessageID": "1", "Headers": [], "Attachments": []}
    assert post("inbound", said) == 200
    with pytest.raises(mailroom.Nobody):
        mailroom.look_for(stranger)


@pytest.mark.parametrize(
    ("kind", "esp", "secret", "status"),
    [
        ("tracking", "postmark", "hooks:wrong", 400),
        ("inbound", "postmark", "hooks:wrong", 400),
        ("tracking", "sendgrid", SECRET, 404),  # another service than ours
        ("other", "postmark", SECRET, 404),
    ],
)
def test_what_is_not_from_our_service_is_not_heard(
    clinic: Clinic, service: Service, kind: str, esp: str, secret: str, status: int
) -> None:
    message = sent(clinic)
    assert post(kind, word(message, "Bounce", **BOUNCE), secret=secret, esp=esp) == status
    assert queries.message(customer_id=clinic.id, message_id=message.id).state == "sent"
