"""Emails: free, out through the operator's mail server, and back as replies, bounces and complaints."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings
from django.db import connection
from django.test import Client

from postmeter.consent import queries as consent
from postmeter.customers import operations as customers
from postmeter.db import scope
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.messaging import inbox, mailroom, media, queries
from postmeter.messaging.addresses import mailbox_of, read_mailbox, way_back
from postmeter.messaging.channels import email
from postmeter.messaging.dispatch import Dispatcher
from postmeter.messaging.inbox import Attention
from postmeter.messaging.models import Inbound, Message
from postmeter.messaging.operations.accept import Submission, submit
from tests.cast import Cast, Clinic, at
from tests.stage import free_port

ANN = "ann@patients.example"
BODY = email.compose("Your visit on Tuesday", "See you at ten.\nHarbour")


class MailServer:
    """The operator's: it says what its test tells it to, and keeps what it took."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, EmailMessage]] = []
        self.rcpt = self.data = ""
        self.hang_up, self.port = False, 0
        self._lock = threading.Lock()

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802
        if self.rcpt:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.hang_up:
            assert server.transport is not None
            server.transport.abort()
        if self.data:
            return self.data
        assert isinstance(envelope.content, bytes)
        with self._lock:
            made = message_from_bytes(envelope.content, policy=policy.default)
            self.taken.append((envelope.mail_from or "", envelope.rcpt_tos[0], made))
        return "250 2.0.0 queued"


@pytest.fixture
def server() -> Iterator[MailServer]:
    handler = MailServer()
    handler.port = free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=handler.port)
    controller.start()
    try:
        yield handler
    finally:
        controller.stop()


def send(clinic: Clinic, body: str = BODY, *, to: str = ANN, **more: object) -> Message:
    accepted = submit(Submission(clinic.id, [to], [body], clinic.actor, channel="email", **more), now=at())  # type: ignore[arg-type]
    return queries.message(customer_id=clinic.id, message_id=accepted.ids[0])


def dispatch(clinic: Clinic, port: int) -> None:
    place = {"host": "127.0.0.1", "port": str(port)}
    asyncio.run(Dispatcher(settings={"smtp": place}, clock=at, senders=4, work=lambda: [clinic.id]).drain())


def again(message: Message) -> Message:
    return queries.message(customer_id=message.customer_id, message_id=message.id)


def letter(text: str, *, subject: str = "Re: Your visit", sender: str = f"Ann Lee <{ANN}>", **headers: str) -> EmailMessage:
    made = EmailMessage(policy=policy.SMTP)
    made["From"], made["Subject"], made["To"] = sender, subject, "clinic@example.com"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made


def deliver(to: str, made: EmailMessage, *, sender: str = ANN) -> bool:
    return mailroom.deliver(recipient=to, sender=sender, raw=made.as_bytes(), now=at())


def came(clinic: Clinic) -> list[Inbound]:
    with scope.customer(clinic.id):
        return list(Inbound.objects.filter(customer_id=clinic.id).order_by("id"))


def reply_to(message: Message) -> str:
    return way_back("reply", message.customer_id, message.id)


def the_thread(clinic: Clinic) -> inbox.Conversation:
    [found] = inbox.threads(customer_id=clinic.id, which="all", member_id=0, at_most=5)
    return found


# Out


def test_an_email_goes_out_free_with_ways_to_answer_and_to_unsubscribe(cast: Cast, server: MailServer) -> None:  # S-043 S-045
    clinic = cast.clinic(credit_micros=0, name="Harbour, Physio")
    message = send(clinic)
    dispatch(clinic, server.port)
    [(envelope_from, to, made)] = server.taken
    assert (again(message).state, message.total_micros, to) == ("sent", 0, ANN)
    assert made["From"].addresses[0].display_name == "Harbour, Physio"
    assert made["From"].addresses[0].addr_spec == mailbox_of("Harbour, Physio", clinic.customer.number)
    assert read_mailbox(made["Reply-To"].addresses[0].addr_spec) == read_mailbox(reply_to(message))
    assert envelope_from == way_back("bounce", clinic.id, message.id)
    assert made["Subject"] == "Your visit on Tuesday"
    text = made.get_content().replace("\r\n", "\n")
    assert text.startswith("See you at ten.\nHarbour\n")
    assert "7 Quay Road" in text
    # RFC 8058: both headers, an https address first, and nothing to sign in to
    assert made["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert made["List-Unsubscribe"].strip().startswith(f"<{settings.PUBLIC_URL}/stop/")
    assert made["Message-ID"].endswith(f"@{settings.MAIL_DOMAIN}>")


def test_an_email_is_sent_while_the_customer_owes_money(cast: Cast) -> None:  # A-57 S-006
    clinic = cast.clinic(credit_micros=0)
    clinic.take(1_000_000)
    assert send(clinic).state == "queued"


def test_a_one_time_code_cannot_be_unsubscribed_from(cast: Cast, server: MailServer) -> None:
    clinic = cast.clinic()
    send(clinic, kind="code")
    dispatch(clinic, server.port)
    assert server.taken[0][2]["List-Unsubscribe"] is None


@pytest.mark.parametrize(
    ("rcpt", "data", "state", "code"),
    [
        ("550 5.1.1 no such user", "", "failed", "5.1.1"),
        ("554 go away", "", "failed", "554"),
        ("", "552 5.2.2 mailbox full", "failed", "5.2.2"),
        ("451 4.7.1 greylisted", "", "queued", ""),
        ("", "452 4.3.1 no space", "queued", ""),
    ],
)
def test_what_the_mail_server_says_is_what_becomes_of_it(  # F63
    cast: Cast, server: MailServer, rcpt: str, data: str, state: str, code: str
) -> None:
    clinic = cast.clinic()
    message = send(clinic)
    server.rcpt, server.data = rcpt, data
    dispatch(clinic, server.port)
    assert (again(message).state, again(message).error_code) == (state, code)


def test_a_mail_server_that_hangs_up_after_the_text_leaves_it_unknown_and_it_is_not_sent_again(
    cast: Cast, server: MailServer
) -> None:  # A-23 F41
    clinic = cast.clinic()
    message = send(clinic)
    server.hang_up = True
    dispatch(clinic, server.port)
    assert again(message).state == "unknown"
    server.hang_up = False
    dispatch(clinic, server.port)
    assert (again(message).state, len(server.taken)) == ("unknown", 1)  # it had it all the time


def test_a_mail_server_that_is_away_costs_nothing_but_time(cast: Cast) -> None:
    clinic = cast.clinic()
    message = send(clinic)
    dispatch(clinic, 9)
    assert again(message).state == "queued"


def test_many_emails_go_over_few_connections_and_each_arrives_once(cast: Cast, server: MailServer) -> None:
    clinic = cast.clinic()
    to = [f"p{n}@patients.example" for n in range(60)]
    submit(Submission(clinic.id, to, [BODY] * 60, clinic.actor, channel="email"), now=at())
    dispatch(clinic, server.port)
    assert sorted(taken[1] for taken in server.taken) == sorted(to)


@pytest.mark.parametrize(
    "to", ["ann", "ann@", "@x.example", "ann@localhost", "Ann <ann@x.example>", "a@x.example\nBcc: b@x.example", ""]
)
def test_what_is_no_address_is_refused(cast: Cast, to: str) -> None:
    with pytest.raises(BadInput) as refusal:
        send(cast.clinic(), to=to)
    assert refusal.value.field == "to"


@pytest.mark.parametrize("subject", ["", " ", "a\nBcc: all@x.example", "a\r\nX: y", "a\x00b", "a" * 201, "tab\there"])
def test_a_subject_that_is_none_or_could_be_a_header_is_refused(subject: str) -> None:
    with pytest.raises(BadInput) as refusal:
        email.compose(subject, "text")
    assert refusal.value.field == "subject"


# In


def test_a_reply_with_a_file_is_in_the_inbox_and_its_file_is_sealed(cast: Cast) -> None:  # S-060 S-063 S-062
    clinic = cast.clinic()
    message = send(clinic)
    made = letter("Here is my referral.\n\nOn Tue, 24 Nov 2026 at 10:00, Harbour wrote:\n> See you at ten.\n")
    made.add_attachment(b"%PDF-1.7 referral", maintype="application", subtype="pdf", filename="../referral.pdf")
    assert deliver(reply_to(message), made)
    [got] = came(clinic)
    files = media.of_messages(customer_id=clinic.id, message_ids=[got.id])[got.id]
    assert (got.channel, got.sender, got.body.startswith("Re: Your visit\nHere is my referral.")) == ("email", ANN, True)
    assert [(file.name, file.content_type, file.content) for file in files] == [
        (".._referral.pdf", "application/pdf", b"%PDF-1.7 referral")
    ]
    found = the_thread(clinic)
    assert (found.thread.unread, found.thread.attention, found.person.emails) == (1, Attention.REPLY, (ANN,))
    with connection.cursor() as cursor, scope.customer(clinic.id):
        cursor.execute("SELECT name, content FROM messaging_media WHERE customer_id = %s", [clinic.id])
        name, content = cursor.fetchone()
    assert "referral" not in name
    assert b"referral" not in bytes(content)


def test_the_same_email_twice_is_kept_once_even_at_the_same_time(cast: Cast) -> None:
    clinic = cast.clinic()
    message = send(clinic)
    made = letter("Yes", Message_ID="<1@patients.example>")
    with ThreadPoolExecutor(4) as pool:

        def again_and_close(_: int) -> bool:
            try:
                return deliver(reply_to(message), made)
            finally:
                connection.close()

        assert sorted(pool.map(again_and_close, range(4))) == [False, False, False, True]
    assert len(came(clinic)) == 1


def test_whoever_writes_to_the_clinic_unasked_has_a_conversation(cast: Cast) -> None:  # S-073
    clinic = cast.clinic()
    to = mailbox_of("Any Name It Had", clinic.customer.number)
    assert deliver(to, letter("Do you take new patients?", sender="New Person <new@people.example>"))
    assert the_thread(clinic).person.emails == ("new@people.example",)


def test_a_reply_that_says_stop_opts_the_address_out_of_emails_alone(cast: Cast) -> None:
    clinic = cast.clinic()
    message = send(clinic)
    deliver(reply_to(message), letter("STOP\n\nOn Tue, 24 Nov 2026 at 10:00, Harbour wrote:\n> See you"))
    assert consent.opted_out(customer_id=clinic.id, channel="email", addresses=[ANN]) == {ANN}
    with pytest.raises(BadInput, match="opted out"):
        send(clinic)
    deliver(reply_to(message), letter("start"))
    assert send(clinic).state == "queued"


def test_a_long_letter_that_mentions_stopping_is_for_people_to_read(cast: Cast) -> None:
    clinic = cast.clinic()
    message = send(clinic)
    deliver(reply_to(message), letter("I will stop by on Monday. " * 20 + "Please stop sending paper bills."))
    assert consent.opted_out(customer_id=clinic.id, channel="email", addresses=[ANN]) == set()
    assert the_thread(clinic).thread.attention == Attention.REPLY


def test_an_out_of_office_answer_asks_for_nobody(cast: Cast) -> None:
    clinic = cast.clinic()
    message = send(clinic)
    deliver(reply_to(message), letter("STOP by when I am back", Auto_Submitted="auto-replied"))
    assert the_thread(clinic).thread.attention == Attention.NONE
    deliver(way_back("bounce", clinic.id, message.id), letter("I am away", Auto_Submitted="auto-replied"))
    assert len(came(clinic)) == 1


def test_a_card_number_in_an_email_is_not_kept(cast: Cast) -> None:
    clinic = cast.clinic()
    deliver(reply_to(send(clinic)), letter("My card is 4111 1111 1111 1111"))
    assert "4111 1111 1111" not in came(clinic)[0].body


def test_html_is_kept_as_what_somebody_sees_of_it(cast: Cast) -> None:
    clinic = cast.clinic()
    made = letter("")
    made.set_content("<p>Can we <b>move</b> it?</p><script>alert(1)</script>", subtype="html")
    deliver(reply_to(send(clinic)), made)
    assert came(clinic)[0].body == "Re: Your visit\nCan we move it?"


def _bounce(action: str, status: str) -> EmailMessage:
    """As Postfix makes them."""
    lines = [
        "From: MAILER-DAEMON@mx.example (Mail Delivery System)",
        "Subject: Undelivered Mail Returned to Sender",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b1"',
        "",
        "--b1",
        "Content-Type: text/plain",
        "",
        "I'm sorry to have to inform you",
        "",
        "--b1",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mx.example",
        "",
        f"Final-Recipient: rfc822; {ANN}",
        f"Action: {action}",
        f"Status: {status}",
        f"Diagnostic-Code: smtp; 550 {status} no such user",
        "",
        "--b1--",
        "",
    ]
    return message_from_bytes("\r\n".join(lines).encode(), policy=policy.default)


@pytest.mark.parametrize(
    ("action", "status", "state"),
    [
        ("failed", "5.1.1", "undelivered"),
        ("delayed", "4.4.1", "sent"),
        ("delivered", "2.0.0", "delivered"),
        ("relayed", "2.0.0", "sent"),
    ],
)
def test_a_report_of_a_mail_server_moves_its_message(  # S-074 S-075 F63
    cast: Cast, server: MailServer, action: str, status: str, state: str
) -> None:
    clinic = cast.clinic()
    message = send(clinic)
    dispatch(clinic, server.port)
    for _ in range(2):
        deliver(way_back("bounce", clinic.id, message.id), _bounce(action, status), sender="")
    assert again(message).state == state
    assert came(clinic) == []
    if action == "failed":
        assert again(message).error_code == "5.1.1"
        assert queries.ended_badly(
            customer_id=clinic.id, actor=clinic.actor, with_programs=False, since=at() - timedelta(hours=1)
        ) == (1, 0)


def test_a_complaint_opts_its_writer_out(cast: Cast, server: MailServer) -> None:  # RFC 5965
    clinic = cast.clinic()
    message = send(clinic)
    dispatch(clinic, server.port)
    original = server.taken[0][2]["Message-ID"]
    lines = [
        "From: feedback@provider.example",
        "Subject: complaint",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b1"',
        "",
        "--b1",
        "Content-Type: text/plain",
        "",
        "This is an email abuse report",
        "--b1",
        "Content-Type: message/feedback-report",
        "",
        "Feedback-Type: abuse",
        "Version: 1",
        "",
        "--b1",
        "Content-Type: message/rfc822",
        "",
        f"Message-ID: {original}",
        "Subject: Your visit on Tuesday",
        "",
        "See you",
        "--b1--",
        "",
    ]
    raw = "\r\n".join(lines).encode()
    to = f"complaints@{settings.MAIL_DOMAIN}"
    assert mailroom.deliver(recipient=to, sender="feedback@provider.example", raw=raw, now=at())
    assert consent.opted_out(customer_id=clinic.id, channel="email", addresses=[message.recipient]) == {ANN}


def test_a_mail_to_the_unsubscribe_address_opts_out(cast: Cast) -> None:  # RFC 2369
    clinic = cast.clinic()
    message = send(clinic)
    assert deliver(way_back("stop", clinic.id, message.id), letter("", subject="unsubscribe"))
    assert consent.opted_out(customer_id=clinic.id, channel="email", addresses=[ANN]) == {ANN}


@pytest.mark.parametrize(
    "make",
    [
        lambda clinic: "somebody@elsewhere.example",
        lambda clinic: f"harbour-99999999@{settings.MAIL_DOMAIN}",
        lambda clinic: f"postmaster@{settings.MAIL_DOMAIN}",
        lambda clinic: f"reply+{'0' * 32}@{settings.MAIL_DOMAIN}",
        lambda clinic: way_back("reply", clinic.id, clinic.id),
        lambda clinic: "",
    ],
)
def test_what_is_nobodys_address_is_refused(cast: Cast, make: Callable[[Clinic], str]) -> None:
    with pytest.raises(NotFound):
        deliver(make(cast.clinic()), letter("Hello"))


def test_a_reply_to_one_customer_is_seen_by_no_other(cast: Cast) -> None:  # I24
    clinic, rival = cast.clinic(), cast.clinic()
    deliver(reply_to(send(clinic)), letter("Hello"))
    assert (len(came(clinic)), came(rival)) == (1, [])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"From: a\r\n\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n--\r\n",
        b"From: " + b"<" * 5000 + b"\r\n\r\nx",
    ],
)
def test_an_email_that_is_hardly_one_is_kept_as_far_as_it_can_be_read(cast: Cast, raw: bytes) -> None:
    clinic = cast.clinic()
    assert mailroom.deliver(recipient=reply_to(send(clinic)), sender="", raw=raw, now=at())
    assert came(clinic)[0].sender == ANN


def test_a_customer_that_was_renamed_keeps_its_mailbox(cast: Cast) -> None:
    clinic = cast.clinic()
    old = mailbox_of("Harbour Physio", clinic.customer.number)
    customers.change_details(
        customer_id=clinic.id,
        name="Quay Physio",
        address="",
        country="US",
        tax_id="",
        email="new@clinic.example",
        time_zone="UTC",
        now=at(),
        actor="x",
    )
    assert deliver(old, letter("Hello"))


# Asked first


@pytest.mark.parametrize("by", ["page", "reply"])
def test_whoever_has_not_agreed_to_emails_is_asked_once_by_email(
    cast: Cast, server: MailServer, by: str
) -> None:  # S-050 S-053 S-054
    clinic = cast.clinic()
    customers.switch_opt_in(customer_id=clinic.id, wanted=True, now=at(), actor=clinic.actor)
    first, second = send(clinic), send(clinic, "More\nto read")
    dispatch(clinic, server.port)
    dispatch(clinic, server.port)
    [(_, _, asked)] = server.taken
    assert asked["Subject"] == "May Harbour Physio email you?"
    found = re.search(r"/agree/([0-9a-f]{32})", asked.get_content().replace("=\n", ""))
    assert found is not None
    path = found[0]
    if by == "page":
        assert Client().get(path).status_code == 200
        dispatch(clinic, server.port)
        assert len(server.taken) == 1, "looking is not agreeing"
        assert Client(enforce_csrf_checks=True).post(path).status_code == 200
    else:
        question = next(row for row in queries.messages(customer_id=clinic.id) if row.kind == "opt_in")
        deliver(reply_to(question), letter("Yes, please\n\nOn Tue, 24 Nov 2026 at 10:00, Harbour wrote:\n> May we"))
    dispatch(clinic, server.port)
    assert {again(first).state, again(second).state} == {"sent"}
    evidence = consent.evidence(customer_id=clinic.id, after=0, at_most=9)
    assert [(row.channel, row.said, row.source) for row in evidence] == [
        ("email", "asked", "opt-in message"),
        ("email", "given", by),
    ]
