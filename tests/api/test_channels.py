"""Emails and picture messages by API."""

import base64

import pytest
import typst
from django.conf import settings

from postmeter.db import scope
from postmeter.db.public_ids import public_ids
from postmeter.messaging import media
from postmeter.messaging.models import Message
from postmeter.messaging.operations.dispatch import claim
from postmeter.messaging.providers import Media
from tests.api.conftest import Caller
from tests.cast import Cast, Clinic, at, number, set_price

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
EMAIL = {"channel": "email", "to": "ann@patients.example", "subject": "Your visit", "text": "See you at ten."}


def upload(api: Caller, content: bytes = PNG, name: str = "map.png") -> str:
    made = api.post("/v1/media", {"name": name, "content": base64.b64encode(content).decode()})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def test_an_email_is_accepted_free_and_shown_with_its_subject(api: Caller, harbour: Clinic) -> None:  # S-043 S-045
    held = harbour.held
    sent = api.post("/v1/messages", EMAIL, key="email-1")
    assert (sent.status_code, sent.json()["total"]) == (202, "0")
    shown = api.get(f"/v1/messages/{sent.json()['id']}").json()
    assert (shown["channel"], shown["subject"], shown["text"], shown["to"]) == (
        "email",
        "Your visit",
        "See you at ten.",
        "ann@patients.example",
    )
    assert harbour.held == held
    assert api.post("/v1/messages", EMAIL, key="email-1").json()["id"] == sent.json()["id"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"subject": None}, "subject"),
        ({"subject": "a\nBcc: all@patients.example"}, "subject"),
        ({"to": number(1)}, "to"),
        ({"to": "ann"}, "to"),
        ({"text": ""}, "text"),
        ({"text": "\u0000"}, "text"),
        ({"channel": "sms", "to": number(1)}, "subject"),
        ({"channel": "sms", "subject": None}, "to"),
        ({"channel": "mms", "subject": None, "to": number(1)}, "media"),
        ({"media": ["ME" + "0" * 32]}, "media"),
    ],
)
def test_what_is_no_email_is_refused_and_the_field_named(api: Caller, change: dict[str, object], field: str) -> None:
    refused = api.post("/v1/messages", EMAIL | change)
    assert (
        refused.status_code,
        refused.json()["errors"][0]["field"] if "errors" in refused.json() else refused.json()["field"],
    ) == (
        422,
        field,
    )


def test_a_picture_message_costs_one_unit_and_its_fee_whatever_its_text(api: Caller, harbour: Clinic) -> None:
    set_price(harbour, "mms", 20_000, 5_000)
    picture = upload(api)
    sent = api.post("/v1/messages", {"channel": "mms", "to": number(7), "text": "x" * 900, "media": [picture]})
    assert (sent.status_code, sent.json()["price"], sent.json()["fee"]) == (202, "0.02", "0.005")
    assert api.get(f"/v1/messages/{sent.json()['id']}").json()["media"] == [picture]
    [claimed] = claim(customer_id=harbour.id, at_most=5, now=at())
    [file] = claimed.media
    assert file.content == PNG
    assert file.url.startswith(f"{settings.PUBLIC_URL}/media/")


def test_a_list_of_emails_carries_one_file_kept_once(api: Caller, harbour: Clinic) -> None:  # S-063
    document = upload(api, b"%PDF-1.7", "plan.pdf")
    rows = [{"to": f"p{n}@patients.example", "text": "Here is your plan."} for n in range(20)]
    quoted = api.post("/v1/quotes", {"channel": "email", "subject": "Plan", "media": [document], "messages": rows}).json()
    assert (quoted["recipients"], quoted["total"]) == (20, "0")
    assert api.post(f"/v1/quotes/{quoted['id']}/sending", {}).status_code == 202
    sent = api.post("/v1/batches", {"channel": "email", "subject": "Plan", "media": [document], "messages": rows}).json()
    assert sent["accepted"] == 20
    with scope.customer(harbour.id):
        ids = list(Message.objects.filter(customer_id=harbour.id, channel="email").values_list("id", flat=True))
    files = media.listed(customer_id=harbour.id, message_ids=ids)
    assert len(ids) == 40
    assert {file.name for each in files.values() for file in each} == {"plan.pdf"}
    assert len({file.id for each in files.values() for file in each}) == 1


def test_anothers_file_and_what_is_no_picture_are_refused(api: Caller, harbour: Clinic, rival: Clinic) -> None:  # I24
    set_price(harbour, "mms", 20_000, 5_000)
    with scope.customer(rival.id):
        [theirs] = media.keep(customer_id=rival.id, files=[media.Media("a.png", "", PNG)], actor="x", now=at())
    from postmeter.db.public_ids import public_ids

    for wrong in (public_ids().encode("ME", theirs), upload(api, b"<svg/>", "a.svg"), upload(api, b"%PDF-1.7")):
        refused = api.post("/v1/messages", {"channel": "mms", "to": number(7), "text": "", "media": [wrong]})
        assert (refused.status_code, refused.json()["field"]) == (422, "media")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a.png", "content": "not base64!"}, "content"),
        ({"name": "a.png", "content": "===="}, "content"),
        ({"name": "\u202e\n", "content": "iVBORw0KGgo="}, "name"),
    ],
)
def test_a_file_that_cannot_be_kept_is_refused(api: Caller, body: dict[str, str], field: str) -> None:
    refused = api.post("/v1/media", body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)


def test_whoever_stopped_texts_gets_no_pictures(api: Caller, harbour: Clinic) -> None:
    from postmeter.consent import operations as consent

    set_price(harbour, "mms", 20_000, 5_000)
    consent.opt_out(customer_id=harbour.id, channel="sms", address=number(8), source="reply", now=at(), actor="recipient")
    refused = api.post("/v1/messages", {"channel": "mms", "to": number(8), "text": "", "media": [upload(api)]})
    assert (refused.status_code, refused.json()["field"]) == (422, "to")


def test_a_fax_is_priced_by_its_pages_and_repeated_by_its_key(api: Caller, harbour: Clinic) -> None:  # S-040 A-07
    set_price(harbour, "fax", 70_000)
    document = upload(api, typst.compile(b"#lorem(50)\n#pagebreak()\n#lorem(50)", format="pdf"), "referral.pdf")
    asked = {"channel": "fax", "to": number(5), "text": "Dear Dr Weiß", "media": [document]}
    sent = api.post("/v1/messages", asked, key="fax-1")
    assert (sent.status_code, sent.json()["segments"], sent.json()["total"]) == (202, 3, "0.21"), sent.text
    assert harbour.held == 210_000
    again = api.post("/v1/messages", asked, key="fax-1")
    assert (again.json()["id"], harbour.held) == (sent.json()["id"], 210_000)
    [kept] = api.get(f"/v1/messages/{sent.json()['id']}").json()["media"]
    assert kept != document  # the pages as they go
    trail = api.get(f"/v1/messages/{sent.json()['id']}/trail").json()
    assert "The fax is 3 pages; pages that do not arrive are not charged." in trail["explanation"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"media": []}, "media"),
        ({"text": "x" * 2_501}, "text"),
        ({"text": "\u0000"}, "text"),
        ({"to": "+8816100000"}, "to"),
        ({"subject": "Hello"}, "subject"),
    ],
)
def test_faxes_that_cannot_go_say_why_and_hold_nothing(
    api: Caller, harbour: Clinic, change: dict[str, object], field: str
) -> None:
    set_price(harbour, "fax", 70_000)
    document = upload(api, typst.compile(b"#lorem(5)", format="pdf"), "a.pdf")
    refused = api.post("/v1/messages", {"channel": "fax", "to": number(5), "text": "", "media": [document]} | change)
    assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
    assert harbour.held == 0


def test_a_file_that_is_no_document_is_refused_by_its_name(api: Caller, harbour: Clinic) -> None:
    set_price(harbour, "fax", 70_000)
    for content, says in ((b"MZ program", "cannot be faxed"), (b"%PDF-1.7 broken", "damaged")):
        file = upload(api, content, "letter.pdf")
        refused = api.post("/v1/messages", {"channel": "fax", "to": number(5), "text": "", "media": [file]})
        assert (refused.status_code, refused.json()["field"]) == (422, "media")
        assert "letter.pdf" in refused.json()["detail"]
        assert says in refused.json()["detail"]


def test_a_file_that_is_not_there_or_somebody_elses_is_refused(api: Caller, harbour: Clinic, cast: Cast) -> None:
    set_price(harbour, "fax", 70_000)
    other = cast.clinic()
    [theirs] = media.keep(customer_id=other.id, files=[Media("a.pdf", "", b"%PDF-")], actor=other.actor, now=at())
    asked = {"channel": "fax", "to": number(5), "text": "", "media": [public_ids().encode("ME", theirs)]}
    refused = api.post("/v1/messages", asked)
    assert (refused.status_code, refused.json()["field"]) == (422, "media"), refused.text


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/quotes"])
@pytest.mark.parametrize("content", [b"II*\x00 three pages", b"%PDF-1.7"])
def test_pages_that_nobody_counted_are_never_faxed(api: Caller, harbour: Clinic, path: str, content: bytes) -> None:
    set_price(harbour, "fax", 70_000)
    file = upload(api, content, "pages.tif")
    asked = {"channel": "fax", "messages": [{"to": number(5), "text": ""}], "media": [file]}
    refused = api.post(path, asked)
    assert (refused.status_code, refused.json()["field"]) == (422, "media"), refused.text
    assert "not fax pages yet" in refused.json()["detail"]
    assert harbour.held == 0
