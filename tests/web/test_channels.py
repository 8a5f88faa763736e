"""Emails and picture messages on the pages, and the pages for those who are no members."""

from dataclasses import replace

import pytest
import typst
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from postmeter.consent import queries as consent
from postmeter.db import scope
from postmeter.db.public_ids import public_ids
from postmeter.messaging import inbox, mailroom, media, queries
from postmeter.messaging.addresses import media_url, unsubscribe_url, way_back
from postmeter.messaging.kinds import PURPOSES
from postmeter.messaging.operations.accept import Submission, submit
from tests.cast import Cast, Clinic, at, number, set_price
from tests.messaging.test_mail import letter
from tests.web.conftest import SignedIn

ANN = "ann@patients.example"
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


@pytest.fixture
def clinic(cast: Cast) -> Clinic:
    return cast.clinic()


@pytest.fixture
def master(clinic: Clinic, signed_in: SignedIn) -> Client:
    return signed_in(clinic.master)


def an_email(clinic: Clinic) -> int:
    sent = submit(Submission(clinic.id, [ANN], ["Your visit\nSee you"], clinic.actor, channel="email"), now=at())
    return sent.ids[0]


def write_back(clinic: Clinic, text: str, *files: tuple[str, bytes]) -> None:
    made = letter(text)
    for name, content in files:
        made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    mailroom.deliver(recipient=way_back("reply", clinic.id, an_email(clinic)), sender=ANN, raw=made.as_bytes(), now=at())


def test_an_email_is_written_checked_and_sent_free_of_charge(master: Client, clinic: Clinic) -> None:  # S-043 S-045
    file = SimpleUploadedFile("plan.pdf", b"%PDF-1.7 plan")
    form = {
        "channel": "email",
        "recipients": f"{ANN}, bo@patients.example",
        "subject": "Your plan",
        "text": "Hello",
        "attached": file,
    }
    page = master.post("/send/", form, follow=True)
    assert "Send 2 messages?" in page.content.decode()
    assert "plan.pdf" in page.content.decode()
    before = clinic.available
    quote_url = page.redirect_chain[-1][0]
    done = master.post(f"{quote_url}send/", {}, follow=True)
    assert done.status_code == 200
    sent = queries.messages(customer_id=clinic.id)
    assert {(row.channel, row.recipient, row.subject, row.text) for row in sent} == {
        ("email", ANN, "Your plan", "Hello"),
        ("email", "bo@patients.example", "Your plan", "Hello"),
    }
    files = media.of_messages(customer_id=clinic.id, message_ids=[row.id for row in sent])
    assert [file.content for each in files.values() for file in each] == [b"%PDF-1.7 plan"] * 2
    assert clinic.available == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subject": ""}, "An email needs a subject"),
        ({"recipients": "nobody"}, "not an email address"),
        ({"text": ""}, "This field is required"),
        ({"channel": "mms", "recipients": number(1)}, "There is no picture"),
        ({"channel": "sms", "recipients": number(1), "attached": SimpleUploadedFile("a.png", PNG)}, "carries no files"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_kept(
    master: Client, clinic: Clinic, change: dict[str, object], said: str
) -> None:
    set_price(clinic, "mms", 20_000, 5_000)
    form = {"channel": "email", "recipients": ANN, "subject": "Hi", "text": "Hello"} | change
    page = master.post("/send/", form)
    assert page.status_code == 422
    assert said in page.content.decode()
    with scope.customer(clinic.id):
        assert not media.Row.objects.filter(customer_id=clinic.id).exists()


def test_a_picture_message_shows_its_price_and_its_picture(master: Client, clinic: Clinic) -> None:
    set_price(clinic, "mms", 20_000, 5_000)
    form = {"channel": "mms", "recipients": number(4), "text": "", "attached": SimpleUploadedFile("a.png", PNG)}
    page = master.post("/send/", form, follow=True)
    assert "0.025" in page.content.decode()
    assert 'alt="a.png"' in page.content.decode()


def fax_form(**more: object) -> dict[str, object]:
    document = typst.compile(b"#lorem(20)\n#pagebreak()\n#lorem(20)", format="pdf")
    file = SimpleUploadedFile("letter.pdf", document)
    return {"channel": "fax", "recipients": f"{number(4)}, {number(5)}", "text": "Dear Dr Weiß", "attached": file} | more


def test_a_fax_shows_its_pages_and_their_price_before_it_goes(master: Client, clinic: Clinic) -> None:  # S-040 A-07
    set_price(clinic, "fax", 70_000)
    page = master.post("/send/", fax_form(), follow=True)
    text = page.content.decode()
    assert "$0.42" in text  # twice a cover sheet and two pages
    assert text.count('class="sheet"') == 3
    with scope.customer(clinic.id):
        [row] = media.Row.objects.filter(customer_id=clinic.id)
    place = f"/inbox/files/{public_ids().encode('ME', row.id)}/"
    seen = master.get(f"{place}pages/3/")
    assert (seen["Content-Type"], seen.content[:4]) == ("image/png", b"\x89PNG")
    assert [master.get(f"{place}pages/{n}/").status_code for n in (0, 4)] == [404, 404]
    kept = master.get(place)
    assert kept.content.startswith(b"%PDF")
    assert kept["Content-Disposition"] == 'attachment; filename="fax.pdf"'
    sent = master.post(f"{page.redirect_chain[-1][0]}send/", follow=True)
    assert sent.status_code == 200
    rows = queries.messages(customer_id=clinic.id)
    assert [(row.channel, row.segments, row.total_micros) for row in rows] == [("fax", 3, 210_000)] * 2
    trail = master.get(f"/messages/{public_ids().encode('SM', rows[0].id)}/").content.decode()
    assert "The fax is 3 pages" in trail


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"attached": SimpleUploadedFile("a.docx", b"PK\x03\x04")}, "a.docx cannot be faxed"),
        ({"attached": SimpleUploadedFile("a.pdf", b"%PDF-1.4 broken")}, "a.pdf is damaged"),
        ({"attached": "", "text": ""}, "There is nothing to fax"),
        ({"text": "x" * 2_501}, "too long for a cover sheet"),
    ],
)
def test_what_cannot_be_faxed_says_so_beside_its_field(
    master: Client, clinic: Clinic, change: dict[str, object], said: str
) -> None:
    set_price(clinic, "fax", 70_000)
    page = master.post("/send/", fax_form(**change))
    assert page.status_code == 422
    assert said in page.content.decode()
    with scope.customer(clinic.id):
        assert not media.Row.objects.filter(customer_id=clinic.id).exists()


def test_the_price_part_tells_who_gets_an_email_before_there_is_a_subject(master: Client) -> None:
    page = master.post("/send/preview/", {"channel": "email", "recipients": f"{ANN}, x", "text": "Hello"})
    assert "Free." in page.content.decode()
    assert "not an email address" in page.content.decode()


def test_an_answer_by_email_is_answered_by_email_under_its_subject(master: Client, clinic: Clinic) -> None:  # S-060
    write_back(clinic, "Can we move it?")
    [row] = inbox.threads(customer_id=clinic.id, which="all", member_id=0, at_most=5)
    url = f"/inbox/{public_ids().encode('TH', row.thread.id)}/"
    assert "Re: Your visit" in master.get(url).content.decode()
    master.post(url, {"do": "reply", "text": "Of course. When?", "key": "0" * 32})
    newest = queries.messages(customer_id=clinic.id)[0]
    assert (newest.channel, newest.recipient, newest.subject, newest.text) == ("email", ANN, "Re: Your visit", "Of course. When?")


def test_files_are_downloaded_and_only_pictures_shown(master: Client, clinic: Clinic, cast: Cast) -> None:  # S-063
    write_back(clinic, "Here", ("page.html", b"<script>alert(1)</script>"), ("me.png", PNG))
    with scope.customer(clinic.id):
        rows = {row.size: row for row in media.Row.objects.filter(customer_id=clinic.id)}
    page, picture = (
        master.get(f"/inbox/files/{public_ids().encode('ME', rows[size].id)}/")
        for size in (len(b"<script>alert(1)</script>"), len(PNG))
    )
    assert page["Content-Disposition"].startswith("attachment")
    assert page["Content-Type"] == "application/octet-stream"
    assert "sandbox" in page["Content-Security-Policy"]
    assert picture["Content-Type"] == "image/png"
    with scope.customer((rival := cast.clinic()).id):
        [theirs] = media.keep(customer_id=rival.id, files=[media.Media("x", "", b"x")], actor="x", now=at())
    assert master.get(f"/inbox/files/{public_ids().encode('ME', theirs)}/").status_code == 404


def test_unsubscribing_takes_one_press_of_a_mail_program_and_no_visit(clinic: Clinic) -> None:  # RFC 8058
    client, url = Client(enforce_csrf_checks=True), "/stop/" + unsubscribe_url(clinic.id, an_email(clinic)).rpartition("/")[2]
    looked = client.get(url)
    assert (looked.status_code, ANN in looked.content.decode()) == (200, True)
    assert consent.opted_out(customer_id=clinic.id, channel="email", addresses=[ANN]) == set()
    for _ in range(2):
        done = Client(enforce_csrf_checks=True).post(url, {"List-Unsubscribe": "One-Click"})
        assert (done.status_code, "You are unsubscribed" in done.content.decode()) == (200, True)
    assert consent.opted_out(customer_id=clinic.id, channel="email", addresses=[ANN]) == {ANN}


def test_somebody_unsubscribes_from_one_kind_of_email_on_its_page(clinic: Clinic) -> None:
    asked = Submission(clinic.id, [ANN], ["Bill\nPlease pay"], clinic.actor, channel="email", kind="billing")
    url = "/stop/" + unsubscribe_url(clinic.id, submit(asked, now=at()).ids[0]).rpartition("/")[2]
    assert "Only from billing reminders" in Client().get(url).content.decode()
    assert "no more billing reminders by email" in Client().post(url, {"only": "1"}).content.decode()
    out = {
        purpose: consent.opted_out(customer_id=clinic.id, channel="email", addresses=[ANN], purpose=purpose)
        for purpose in PURPOSES
    }
    assert {purpose for purpose, addresses in out.items() if addresses} == {"billing"}
    code = replace(asked, kind="code")
    url = "/stop/" + unsubscribe_url(clinic.id, submit(code, now=at()).ids[0]).rpartition("/")[2]
    assert "Only from" not in Client().get(url).content.decode()
    assert Client().post(url, {"only": "1"}).status_code == 404


@pytest.mark.parametrize("token", ["0" * 32, "x", "f" * 32])
def test_an_unsubscribe_address_that_is_made_up_is_not_there(clinic: Clinic, token: str) -> None:
    assert Client().get(f"/stop/{token}").status_code == 404
    assert Client().post(f"/stop/{token}").status_code == 404


def test_a_text_cannot_be_unsubscribed_from_by_link(clinic: Clinic) -> None:
    sent = submit(Submission(clinic.id, [number(2)], ["Hello"], clinic.actor), now=at())
    assert Client().post("/stop/" + unsubscribe_url(clinic.id, sent.ids[0]).rpartition("/")[2]).status_code == 404


def test_a_provider_fetches_a_picture_by_its_signed_address_alone(clinic: Clinic) -> None:
    with scope.customer(clinic.id):
        [id_] = media.keep(customer_id=clinic.id, files=[media.Media("a.png", "", PNG)], actor="x", now=at())
    path = "/media/" + media_url(clinic.id, id_).rpartition("/")[2]
    assert Client().get(path).content == PNG
    assert Client().get(path[:-1] + ("A" if path[-1] != "A" else "B")).status_code == 404
    assert Client().get("/media/" + public_ids().encode_pair(clinic.id, id_)).status_code == 404
