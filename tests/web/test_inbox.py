"""The inbox: who wrote, what was said, and a reply at the price that is shown."""

import re
from uuid import uuid4

import pytest
import typst
from django.test import Client

from postmeter.consent import operations as consent
from postmeter.customers.models import Role
from postmeter.db import scope
from postmeter.db.public_ids import public_ids
from postmeter.events.models import Event
from postmeter.messaging import inbound, inbox, queries
from postmeter.messaging.inbox import Conversation
from postmeter.messaging.providers import Media, Received
from tests.cast import FEE, PRICE, Cast, Clinic, at, number
from tests.messaging.test_inbound import ANA, deliver, hear, threads
from tests.web.conftest import SignedIn
from tests.web.test_records import words_of

EACH = PRICE + FEE


def page(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return words_of(answer.content.decode())


def path_of(found: Conversation) -> str:
    return f"/inbox/{public_ids().encode('TH', found.thread.id)}/"


def conversation(clinic: Clinic, text: str = "Can we move it?") -> str:
    hear(clinic, text)
    return path_of(threads(clinic)[0])


def sent(clinic: Clinic) -> list[str]:
    return [message.body for message in queries.messages(customer_id=clinic.id) if message.kind == "ad_hoc"]


def test_an_empty_inbox_says_what_will_stand_in_it(cast: Cast, signed_in: SignedIn) -> None:
    browser = signed_in(cast.clinic().master)
    assert "Nobody has written yet" in page(browser, "/inbox/")
    assert "Nothing needs anybody" in page(browser, "/inbox/?which=attention")


def test_it_lists_one_conversation_with_each_the_newest_first_and_only_ones_own(cast: Cast, signed_in: SignedIn) -> None:
    harbour, rival = cast.clinic(), cast.clinic(name="Rival Physio")  # S-062
    for n in (1, 2):
        hear(harbour, f"hello from {n}", sender=number(n))
    hear(harbour, "again from 1", sender=number(1))
    path = path_of(threads(harbour)[0])
    browser = signed_in(harbour.master)
    shown = page(browser, "/inbox/")
    assert shown.index("again from 1") < shown.index("hello from 2")
    assert "hello from 1" not in shown
    assert re.search(r">2<span class=\"sr-only\"> unread", browser.get("/").content.decode()), "the navigation counts them"
    assert "hello from 2" not in page(browser, f"/inbox/?q={number(1)[1:]}")
    assert "no number is like it" in page(browser, "/inbox/?q=Nobody")
    stranger = signed_in(rival.master)
    assert "again from 1" not in page(stranger, "/inbox/")
    assert {stranger.get(path).status_code, stranger.get(path + "lines/").status_code} == {404}
    assert stranger.post(path, {"do": "done"}).status_code == 404


def test_older_conversations_are_a_page_away(cast: Cast, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    from postmeter.web.views import inbox as views

    monkeypatch.setattr(views, "AT_ONCE", 2)
    harbour = cast.clinic()
    for n in range(3):
        hear(harbour, f"text {n} end", sender=number(n))
    browser = signed_in(harbour.master)
    first = browser.get("/inbox/").content.decode()
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older and "text 0 end" not in first
    assert "text 0 end" in page(browser, "/inbox/" + older[1].replace("&amp;", "&"))
    assert "text 2 end" in page(browser, "/inbox/?before=nonsense")


# S-036
def test_a_reply_is_shown_its_price_first_and_goes_once_from_the_number_they_wrote_to(
    cast: Cast, signed_in: SignedIn
) -> None:  # S-060
    harbour = cast.clinic()
    path = conversation(harbour)
    browser = signed_in(harbour.master)
    assert "$0.0114" in browser.post(path + "price/", {"text": "Of course"}).content.decode()
    form = {"do": "reply", "text": "Of course", "key": str(uuid4())}
    unseen = browser.post(path, form)
    assert (unseen.status_code, sent(harbour)) == (200, []), "no price was seen"
    assert f'name="price" value="{EACH}"' in unseen.content.decode()
    for _ in range(2):
        assert browser.post(path, form | {"price": EACH}).status_code == 302
    assert sent(harbour) == ["Of course"]
    (message,) = queries.messages(customer_id=harbour.id)
    assert (message.recipient, message.sender, message.created_by) == (ANA, harbour.customer.sender, harbour.actor)
    deliver(harbour)
    shown = page(browser, path)
    assert shown.index("Can we move it?") < shown.index("Of course") < shown.index("Delivered")
    assert threads(harbour, "attention") == []


def test_a_reply_at_another_price_than_was_shown_is_shown_again_and_not_sent(cast: Cast, signed_in: SignedIn) -> None:
    harbour = cast.clinic()
    path = conversation(harbour)
    answer = signed_in(harbour.master).post(path, {"do": "reply", "text": "Yes", "key": str(uuid4()), "price": EACH - 1})
    assert "Check the price" in answer.content.decode()
    assert sent(harbour) == []


def test_a_reply_that_is_empty_or_not_covered_says_so_beside_its_field(cast: Cast, signed_in: SignedIn) -> None:
    harbour = cast.clinic(credit_micros=0)
    path = conversation(harbour)
    browser = signed_in(harbour.master)
    empty = browser.post(path, {"do": "reply", "text": " ", "key": str(uuid4())})
    short = browser.post(path, {"do": "reply", "text": "Yes", "key": str(uuid4()), "price": EACH})
    assert (empty.status_code, short.status_code) == (422, 402)
    assert "field-error" in empty.content.decode()
    assert "Top up your credit" in short.content.decode()
    assert browser.post(path, {"do": "reply", "text": "Yes", "price": EACH}).status_code == 422, "the form lost its key"
    assert sent(harbour) == []


def test_a_page_that_is_left_open_reads_nothing_for_anybody(cast: Cast, signed_in: SignedIn) -> None:
    harbour = cast.clinic()
    path = conversation(harbour)
    browser = signed_in(harbour.master)
    assert "Can we move it?" in browser.get(path + "lines/").content.decode()
    assert inbox.unread(customer_id=harbour.id) == 1
    browser.get(path)
    assert inbox.unread(customer_id=harbour.id) == 0


def test_whoever_opted_out_is_not_offered_a_reply(cast: Cast, signed_in: SignedIn) -> None:
    harbour = cast.clinic()
    path = conversation(harbour)
    consent.opt_out(customer_id=harbour.id, channel="sms", address=ANA, source="reply", now=at(), actor="recipient")
    browser = signed_in(harbour.master)
    assert "They have opted out" in page(browser, path)
    answer = browser.post(path, {"do": "reply", "text": "But", "key": str(uuid4()), "price": EACH})
    assert "opted out" in answer.content.decode() and sent(harbour) == []


def test_what_somebody_said_about_consent_is_written_down_and_stands_there_in_words(cast: Cast, signed_in: SignedIn) -> None:
    #
    harbour = cast.clinic()
    path, where = conversation(harbour), f"sms {ANA}"
    browser = signed_in(harbour.master)
    assert "They have opted out of nothing" in page(browser, path)
    told = {"do": "heard", "at": where, "purpose": "billing", "words": "On the telephone"}
    assert "Saved." in browser.post(path, told | {"heard": "stop"}, follow=True).content.decode()
    assert f"No texts to {ANA}: they opted out of billing reminders" in page(browser, path)
    assert "That is so already" in browser.post(path, told | {"heard": "stop"}, follow=True).content.decode()
    refused = browser.post(path, told | {"heard": "back", "words": ""})
    assert (refused.status_code, "How they agreed is missing" in refused.content.decode()) == (422, True)
    browser.post(path, told | {"heard": "back"})
    assert "They have opted out of nothing" in page(browser, path)
    assert browser.post(path, told | {"heard": "stop", "at": f"sms {number(9)}"}).status_code == 422, "not an address of theirs"
    assert browser.post(path, told | {"heard": "stop", "purpose": "code"}).status_code == 422
    reader = signed_in(cast.member(harbour, Role.BILLING_ADMIN))
    assert reader.post(path, told | {"heard": "stop"}).status_code == 403
    sheet = b"".join(browser.get("/settings/messaging/consent.csv")).decode()
    assert "billing,Opted out,On the telephone,told to a member" in sheet


def test_a_contact_gets_a_name_and_somebody_to_see_to_it(cast: Cast, signed_in: SignedIn) -> None:
    harbour = cast.clinic()
    path = conversation(harbour, "wrong number")
    browser = signed_in(harbour.master)
    assert "They say that this is the wrong number" in page(browser, path)
    assert browser.post(path, {"do": "name", "name": "", "kind": "client"}).status_code == 422
    browser.post(path, {"do": "name", "name": "Ana <b>Silva</b>", "kind": "client"})
    assert "Ana &lt;b&gt;Silva&lt;/b&gt;" in browser.get("/inbox/").content.decode()
    me = public_ids().encode("MB", harbour.master.member_id)
    browser.post(path, {"do": "assign", "member": me})
    assert "Seen to by Morgan Reyes" in page(browser, path)
    browser.post(path, {"do": "done"})
    assert "Nothing needs anybody" in page(browser, "/inbox/?which=attention")
    browser.post(path, {"do": "unread"})
    assert inbox.unread(customer_id=harbour.id) == 1
    assert browser.post(path, {"do": "dance"}).status_code == 422
    assert browser.post(path, {"do": "assign", "member": "MB" + "0" * 32}).status_code == 404


def test_who_may_only_read_may_not_write(cast: Cast, signed_in: SignedIn) -> None:  # S-107
    harbour = cast.clinic()
    path = conversation(harbour)
    browser = signed_in(cast.member(harbour, Role.BILLING_ADMIN))
    assert "Your reply" not in page(browser, path)
    assert browser.post(path, {"do": "reply", "text": "Hi", "key": str(uuid4()), "price": EACH}).status_code == 403
    assert browser.post(path + "price/", {"text": "Hi"}).status_code == 403


def test_a_received_text_stands_on_the_statement_with_its_number(cast: Cast, signed_in: SignedIn) -> None:  # S-002
    harbour = cast.clinic()
    path = conversation(harbour)
    browser = signed_in(harbour.master)
    assert "Received text" in page(browser, "/credit/statement/")
    each = browser.get("/credit/statement/?each=1").content.decode()
    assert path in each and "Received text from +1 555-000-0031" in words_of(each)


def test_a_fax_that_came_in_shows_its_pages_and_is_answered_by_fax(cast: Cast, signed_in: SignedIn) -> None:  # S-040 S-060 S-062
    clinic = cast.clinic()
    master = signed_in(clinic.master)
    letter = typst.compile(b"#lorem(30)\n#pagebreak()\n#lorem(30)", format="pdf")
    files = (Media("fax.pdf", "application/pdf", bytes(letter)),)
    word = Received(number(77), clinic.customer.sender, "Fax, 2 pages", "F1", channel="fax", pages=2, files=files)
    inbound.receive(provider="sinch", word=word, now=at())
    with scope.customer(clinic.id):
        event = Event.objects.get(customer_id=clinic.id, kind="message.received")
    listed = master.get("/inbox/").content.decode()
    assert "Fax, 2 pages" in listed
    [thread] = inbox.threads(customer_id=clinic.id, which="all", member_id=clinic.master.member_id, at_most=5)
    address = f"/inbox/{public_ids().encode('TH', thread.thread.id)}/"
    assert 'class="sheet"' not in master.get(address).content.decode()  # not drawn yet: the PDF is there
    assert inbound.draw_pages(event=event, now=at()) == 2
    page = master.get(address).content.decode()
    assert page.count('class="sheet"') == 2 and "fax.pdf" in page and "2 pages as PDF" not in page
    assert "/send/?channel=fax&amp;recipients=%2B" in page
    assert f"faxes to {number(77)}" in page
    form = master.get(f"/send/?channel=fax&recipients=%2B{number(77)[1:]}").content.decode()
    assert number(77) in form
    picture = master.get(re.findall(r'src="(/inbox/files/[^"]+/pages/1/)"', page)[0])
    assert picture.content.startswith(b"\x89PNG")
