"""Sending through the pages: from what a person types or uploads to what is held, with every refusal on the way."""

import html
import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from postmeter.consent import operations as consent
from postmeter.customers.models import Role
from postmeter.db import scope
from postmeter.db.public_ids import public_ids
from postmeter.messaging import queries
from postmeter.messaging.models import Batch, Message, Quote
from postmeter.messaging.operations import dispatch
from postmeter.web import uploads
from postmeter.web.models import Upload
from postmeter.web.views import send as send_views
from tests.cast import FEE, PRICE, Cast, Clinic, at, knows, number
from tests.web.conftest import SignedIn

EACH = PRICE + FEE
HTMX = {"HX-Request": "true"}


def words(answer: HttpResponse) -> str:
    """The page as one reads it: without its tags."""
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split()))


def messages_of(clinic: Clinic) -> list[Message]:
    return queries.messages(customer_id=clinic.id, at_most=1_000)


def typed(browser: Client, recipients: str, text: str = "Your appointment is at 9:45.") -> str:
    """Write, continue; the address of the quote."""
    answer = browser.post("/send/", {"recipients": recipients, "text": text})
    assert answer.status_code == 302, words(answer)
    return str(answer["Location"])


def uploaded(browser: Client, content: str | bytes, name: str = "list.csv") -> str:
    """Upload; the address of its columns."""
    file = SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content, "text/csv")
    answer = browser.post("/send/list/", {"file": file})
    assert answer.status_code == 302, words(answer)
    return str(answer["Location"])


def listed(browser: Client, content: str, text: str, column: int = 1) -> str:
    """Upload and map; the address of the quote."""
    answer = browser.post(uploaded(browser, content), {"number": column, "text": text})
    assert answer.status_code == 302, words(answer)
    return str(answer["Location"])


# --- writing


# S-037
def test_writing_shows_the_exact_price_sends_it_and_a_second_press_sends_nothing_more(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    quote = typed(browser, f"{number(1)}, {number(2)}\n(202) 555-0103")
    page = words(browser.get(quote))
    assert "Send 3 messages for $0.0342?" in page
    assert "Price $0.0237" in page
    assert "Carrier fee, passed on as it is $0.0105" in page
    first = browser.post(f"{quote}send/")
    assert first.status_code == 302
    assert first["Location"].startswith("/batches/BA")
    again = browser.post(f"{quote}send/")
    assert again["Location"] == first["Location"]
    assert (len(messages_of(clinic)), clinic.held) == (3, 3 * EACH)
    assert browser.get(quote)["Location"] == first["Location"]  # a quote that was sent leads to its list
    assert "Held $0.0342" in words(browser.get(first["Location"]))


def test_the_balance_is_shown_before_and_after(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=10_000_000)
    page = words(signed_in(clinic.master).get(typed(signed_in(clinic.master), number(1))))
    assert "Before $10.00" in page
    assert "After $9.99" in page


@pytest.mark.parametrize(
    ("recipients", "text", "said"),
    [
        ("", "Hello", "This field is required"),
        ("+15550000001", "", "This field is required"),
        ("+15550000001", "   ", "empty"),
        ("+15550000001", "x" * 2_000, "longer than 10 segments"),
        ("12345", "Hello", "short code"),
        ("+7 495 123 45 67", "Hello", "no price for this destination"),
        ("no number at all", "Hello", "contains letters"),
    ],
)
def test_what_cannot_be_sent_is_refused_beside_its_field_and_nothing_typed_is_lost(
    cast: Cast, signed_in: SignedIn, recipients: str, text: str, said: str
) -> None:
    clinic = cast.clinic()
    answer = signed_in(clinic.master).post("/send/", {"recipients": recipients, "text": text})
    assert answer.status_code == 422
    assert "needs your attention" in words(answer)
    assert said in words(answer)
    assert recipients in answer.content.decode()
    assert text in answer.content.decode()


def test_the_price_follows_while_one_types(cast: Cast, signed_in: SignedIn) -> None:
    browser = signed_in(cast.clinic().master)
    part = browser.post("/send/preview/", {"recipients": f"{number(1)}\n12345", "text": "It’s time. " * 8}, headers=HTMX)
    assert "<html" not in part.content.decode()
    told = words(part)
    assert "Segments 2" in told
    assert "UCS-2" in told
    assert "right single quotation mark" in told
    assert "Spelled plainly it takes 1 segment" in told
    assert "Together $0.0228" in told
    assert "1 will not get it" in told
    assert "appear here as you write" in words(browser.post("/send/preview/", {"text": ""}, headers=HTMX))


def test_without_javascript_a_button_shows_the_price_and_another_takes_the_plain_spelling(
    cast: Cast, signed_in: SignedIn
) -> None:
    browser = signed_in(cast.clinic().master)
    form = {"recipients": number(1), "text": "It’s time. " * 8}
    shown = browser.post("/send/", form | {"show": "1"})
    assert shown.status_code == 200
    assert "Together $0.0228" in words(shown)
    plain = browser.post("/send/", form | {"cheaper": "1"})
    assert "It&#x27;s time." in plain.content.decode()
    assert "Together $0.0114" in words(plain)


def test_an_opted_out_number_and_a_twin_are_left_out_with_the_reason(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    consent.opt_out(customer_id=clinic.id, channel="sms", address=number(2), source="test", now=at(), actor=clinic.actor)
    quote = typed(signed_in(clinic.master), f"{number(1)}\n{number(2)}\n{number(1)}")
    page = words(signed_in(clinic.master).get(quote))
    assert "Send 1 message for $0.0114?" in page
    assert "This recipient has opted out." in page
    assert "This number stands in the list before" in page


# --- lists


def test_a_list_fills_each_text_with_its_own_row_and_nothing_a_cell_brings_is_a_template(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    content = f"Name;Mobile;Note\nZoë {{Note}};{number(1)};secret\n<b>Bo</b>;{number(2)};x\n"
    quote = listed(browser, content, "Hi {name}, see you.")
    page = browser.get(quote).content.decode()
    assert "Hi Zoë {Note}, see you." in page
    assert "Hi &lt;b&gt;Bo&lt;/b&gt;, see you." in page
    browser.post(f"{quote}send/")
    assert {m.recipient: m.body for m in messages_of(clinic)} == {
        number(1): "Hi Zoë {Note}, see you.",
        number(2): "Hi <b>Bo</b>, see you.",
    }


def test_a_name_that_makes_a_text_longer_is_paid_for_by_its_own_row(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    content = f"Name;Mobile\nBo;{number(1)}\nMaximiliane;{number(2)}\n"
    quote = listed(browser, content, "Hi {name}, " + "x" * 150)
    browser.post(f"{quote}send/")
    assert {m.recipient: m.segments for m in messages_of(clinic)} == {number(1): 1, number(2): 2}
    assert clinic.held == 3 * EACH


def test_the_columns_are_guessed_and_the_first_rows_shown(cast: Cast, signed_in: SignedIn) -> None:
    browser = signed_in(cast.clinic().master)
    address = uploaded(browser, f"Id,First name,Cell\n10234567,Ana,{number(1)}\n10234568,Bo,{number(2)}\n")
    page = browser.get(address).content.decode()
    assert '<option value="2" selected>Cell</option>' in page
    assert "{First name}" in page
    assert "Ana" in page
    headless = browser.get(f"{address}?header=0")
    assert "“list.csv” has 3 rows" in words(headless)
    assert "Column 1" in words(headless)


def test_rows_that_cannot_go_are_named_by_line_and_can_be_taken_away_as_csv(cast: Cast, signed_in: SignedIn) -> None:
    browser = signed_in(cast.clinic().master)
    content = f"Name,Mobile\nAna,{number(1)}\n,{number(2)}\nCy,=HYPERLINK(1)\nDi\nEd,{number(1)}\n"
    quote = listed(browser, content, "Hi {Name}")
    page = words(browser.get(quote))
    assert "1 recipient, 4 excluded" in page
    assert "This row has nothing in “Name”." in page
    answer = browser.get(f"{quote}not-sent.csv")
    rows = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()  # type: ignore[arg-type]
    assert rows[0] == "Line,Number,Reason"
    assert [row.split(",")[0] for row in rows[1:]] == ["3", "4", "5", "6"]
    assert rows[2].startswith("4,'=HYPERLINK(1),")  # ASVS 1.2.10: no spreadsheet runs it
    assert answer["Content-Disposition"] == 'attachment; filename="not-sent.csv"'


def test_many_excluded_rows_come_in_pages(cast: Cast, signed_in: SignedIn) -> None:
    browser = signed_in(cast.clinic().master)
    quote = listed(browser, "Name,Mobile\n" + f"Ana,{number(1)}\n" + "".join(f"N{n},bad{n}\n" for n in range(60)), "Hi {Name}")
    first = browser.get(quote).content.decode()
    assert "bad49" in first
    assert "bad50" not in first
    assert "?after=50#excluded" in first
    second = browser.get(f"{quote}?after=50").content.decode()
    assert "bad50" in second
    assert "bad59" in second


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a text file"),
        (b"a,b\n" + b"x" * (5 * 1024 * 1024), "larger than 5,120 KB"),
        (b"Number\n" + b"+15550000001\n" * 10_001, "more than 10,000 rows"),
        (b'Name\n"never closed', "cannot be read"),
    ],
)
def test_a_file_that_is_no_list_is_refused_in_words(cast: Cast, signed_in: SignedIn, content: bytes, said: str) -> None:
    clinic = cast.clinic()
    answer = signed_in(clinic.master).post("/send/list/", {"file": SimpleUploadedFile("x.csv", content)})
    assert answer.status_code == 422
    assert said in words(answer)
    with scope.customer(clinic.id):
        assert not Upload.objects.filter(customer_id=clinic.id).exists()


def test_a_text_that_names_an_unknown_column_is_refused_with_the_columns_there_are(cast: Cast, signed_in: SignedIn) -> None:
    browser = signed_in(cast.clinic().master)
    answer = browser.post(uploaded(browser, f"Name,Mobile\nAna,{number(1)}\n"), {"number": 1, "text": "Hi {Nme}"})
    assert answer.status_code == 422
    assert "There is no column “Nme”. The columns are {Name}, {Mobile}." in words(answer)
    assert "Hi {Nme}" in answer.content.decode()


def test_an_upload_is_forgotten_after_a_day(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    address = uploaded(browser, f"Name,Mobile\nAna,{number(1)}\n")
    with scope.customer(clinic.id):
        [row] = Upload.objects.filter(customer_id=clinic.id)
    assert uploads.kept(customer_id=clinic.id, upload_id=row.id, now=row.created_at + timedelta(hours=23)).name == "list.csv"
    with pytest.raises(uploads.Gone):
        uploads.kept(customer_id=clinic.id, upload_id=row.id, now=row.created_at + uploads.KEPT)
    assert browser.get(address).status_code == 200
    assert uploads.forget_old(customer_id=clinic.id, now=row.created_at + uploads.KEPT) == 1
    gone = browser.get(address)
    assert gone.status_code == 404
    assert "Files are kept for a day" in words(gone)


# --- credit that falls short


def test_short_credit_names_what_is_missing_and_sends_nothing_unasked(cast: Cast, signed_in: SignedIn) -> None:
    #
    clinic = cast.clinic(credit_micros=2 * EACH + 1)
    browser = signed_in(clinic.master)
    quote = typed(browser, "\n".join(number(n) for n in range(3)))
    page = words(browser.get(quote))
    assert "Your credit is $0.011399 short" in page
    assert "Send 2 of 3 for $0.0228" in page
    refused = browser.post(f"{quote}send/")
    assert refused.status_code == 402
    assert "does not cover" in words(refused)
    assert messages_of(clinic) == []
    assert clinic.held == 0


def test_sending_what_the_credit_covers_is_a_choice_of_its_own_and_the_list_says_what_stayed(
    cast: Cast, signed_in: SignedIn
) -> None:
    #
    clinic = cast.clinic(credit_micros=2 * EACH)
    browser = signed_in(clinic.master)
    quote = typed(browser, "\n".join(number(n) for n in range(3)))
    answer = browser.post(f"{quote}send/", {"short": "part"})
    assert answer.status_code == 302
    assert "1 of 3 did not go" in words(browser.get(answer["Location"]))
    assert (len(messages_of(clinic)), clinic.available) == (2, 0)
    assert browser.post(f"{quote}send/", {"short": "part"})["Location"] == answer["Location"]
    assert len(messages_of(clinic)) == 2


def test_what_the_credit_does_not_cover_may_wait_for_it(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=2 * EACH)
    browser = signed_in(clinic.master)
    quote = typed(browser, "\n".join(number(n) for n in range(3)))
    assert "Send 2 now, keep 1 waiting" in words(browser.get(quote))
    answer = browser.post(f"{quote}send/", {"short": "wait", "days": "3"})
    assert browser.post(f"{quote}send/", {"short": "wait", "days": "3"})["Location"] == answer["Location"]
    found = messages_of(clinic)
    assert sorted(message.state for message in found) == ["queued", "queued", "waiting"]
    [waiting] = [message for message in found if message.state == "waiting"]
    assert waiting.useful_until and timedelta(days=2, hours=23) < waiting.useful_until - waiting.created_at <= timedelta(days=3)
    assert clinic.available == 0
    assert "waiting" in words(browser.get(answer["Location"])).lower()


def test_with_no_credit_at_all_a_message_may_wait_and_nonsense_is_no_wait(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=0)
    browser = signed_in(clinic.master)
    quote = typed(browser, number(1))
    assert "Keep 1 waiting" in words(browser.get(quote))
    assert browser.post(f"{quote}send/", {"short": "wait", "days": "9999"}).status_code == 402
    assert browser.post(f"{quote}send/", {"short": "perhaps"}).status_code == 402
    assert messages_of(clinic) == []
    browser.post(f"{quote}send/", {"short": "wait", "days": "1"})
    assert [message.state for message in messages_of(clinic)] == ["waiting"]


def test_whom_the_credit_does_not_cover_may_be_emailed(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=1 * EACH)
    for n in (1, 2):
        knows(clinic, n, f"p{n}@patients.example")
    browser = signed_in(clinic.master)
    quote = typed(browser, "\n".join(number(n) for n in range(4)))
    page = words(browser.get(quote))
    assert "Send 1 for $0.0114, email 2" in page
    assert "2 of the 3 can be emailed; of the others no address is known" in page
    answer = browser.post(f"{quote}send/", {"short": "email"})
    assert browser.post(f"{quote}send/", {"short": "email"})["Location"] == answer["Location"]
    found = sorted((message.channel, message.recipient) for message in messages_of(clinic))
    assert found == [("email", "p1@patients.example"), ("email", "p2@patients.example"), ("sms", number(0))]
    assert "1 of 4 did not go" in words(browser.get(answer["Location"]))


def test_what_is_promised_to_fit_is_what_the_ledger_takes(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic(credit_micros=3 * EACH)
    browser = signed_in(clinic.master)
    long = "x" * 161  # two segments
    quote = listed(browser, f"Text,Mobile\na,{number(1)}\n{long},{number(2)}\n{long},{number(3)}\nb,{number(4)}\n", "{Text}")
    assert "Send 2 of 4 for $0.0342" in words(browser.get(quote))
    browser.post(f"{quote}send/", {"short": "part"})
    assert [m.recipient for m in reversed(messages_of(clinic))] == [number(1), number(2)]


def test_topping_up_suggests_what_is_missing_and_leads_back(
    cast: Cast, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = cast.clinic(credit_micros=0)
    monkeypatch.setattr(send_views.context, "address_of", lambda entry, seat: "/credit/add/")
    browser = signed_in(clinic.master)
    quote = typed(browser, number(1))
    assert f"/credit/add/?amount=10&amp;next={quote.replace('/', '%2F')}" in browser.get(quote).content.decode()
    dear = typed(browser, "\n".join(number(n) for n in range(1_000)))
    assert "/credit/add/?amount=11.4&amp;next=" in browser.get(dear).content.decode()


# --- time and again


def test_a_price_whose_time_is_up_is_not_sent_but_asked_for_again(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    quote = listed(browser, f"Name,Mobile\nAna,{number(1)}\n,{number(2)}\nCy,bad\n", "Hi {Name}")
    with scope.customer(clinic.id):
        Quote.objects.filter(customer_id=clinic.id).update(valid_until=at() - timedelta(seconds=1))
    assert "Show today’s price" in words(browser.get(quote))
    refused = browser.post(f"{quote}send/")
    assert refused.status_code == 409
    assert "time is up" in words(refused)
    assert messages_of(clinic) == []
    fresh = browser.post(f"{quote}again/")
    assert fresh["Location"] != quote
    page = words(browser.get(fresh["Location"]))
    assert "Send 1 message" in page
    assert "This row has nothing in “Name”." in page
    assert "bad contains letters" in page


def test_spelling_a_list_plainly_saves_what_it_says(cast: Cast, signed_in: SignedIn) -> None:
    browser = signed_in(cast.clinic().master)
    quote = listed(browser, f"Name,Mobile\nAna,{number(1)}\n李,{number(2)}\n", "It’s time, {Name}. " * 5)
    assert "Spell 1 plainly and save $0.0114" in words(browser.get(quote))
    plain = browser.post(f"{quote}again/", {"plainly": "1"})["Location"]
    page = words(browser.get(plain))
    assert "It's time, Ana." in page
    assert "It’s time, 李." in page


# --- under way


def test_stopping_a_list_takes_back_what_has_not_gone_and_only_that(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    quote = typed(browser, "\n".join(number(n) for n in range(5)))
    batch = browser.post(f"{quote}send/")["Location"]
    dispatch.claim(customer_id=clinic.id, at_most=2, now=at())
    page = words(browser.get(batch))
    assert "Stop the rest" in page
    stopped = browser.post(f"{batch}stop/", follow=True)
    assert "3 messages were taken back" in words(stopped)
    assert clinic.held == 2 * EACH
    again = browser.post(f"{batch}stop/", follow=True)
    assert "nothing left to stop" in words(again)
    assert clinic.held == 2 * EACH


def test_the_part_that_changes_is_asked_for_until_everything_has_ended(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    batch = browser.post(f"{typed(browser, number(1))}send/")["Location"]
    part = browser.get(f"{batch}progress/", headers=HTMX).content.decode()
    assert f'hx-get="{batch}progress/"' in part
    assert "<html" not in part
    browser.post(f"{batch}stop/")
    assert "hx-get" not in browser.get(f"{batch}progress/", headers=HTMX).content.decode()


# --- who may


def test_another_customers_quote_list_and_upload_do_not_exist(cast: Cast, signed_in: SignedIn) -> None:
    ours, theirs = cast.clinic(), cast.clinic()
    us, them = signed_in(ours.master), signed_in(theirs.master)
    upload = uploaded(us, f"Name,Mobile\nAna,{number(1)}\n")
    quote = typed(us, number(1))
    for address in (upload, quote, f"{quote}not-sent.csv"):
        assert them.get(address).status_code == 404, address
    for address in (f"{quote}send/", f"{quote}again/"):
        assert them.post(address).status_code == 404, address
    batch = us.post(f"{quote}send/")["Location"]
    for address in (batch, f"{batch}progress/", f"/messages/?list={batch.split('/')[2]}"):
        assert them.get(address).status_code == 404, address
    assert them.post(f"{batch}stop/").status_code == 404
    assert ours.held == EACH


def test_who_may_not_send_is_told_who_can(cast: Cast, signed_in: SignedIn) -> None:
    # S-107
    clinic = cast.clinic()
    quote = typed(signed_in(clinic.master), number(1))
    clerk = signed_in(cast.member(clinic, Role.BILLING_ADMIN))
    for answer in (clerk.get("/send/"), clerk.get("/send/list/"), clerk.post("/send/preview/"), clerk.post(f"{quote}send/")):
        assert answer.status_code == 403
        assert "Your role does not let you send messages." in words(answer)
        assert "master or office manager or sender" in words(answer)
    assert messages_of(clinic) == []
    assert 'href="/send/"' not in clerk.get("/").content.decode()


def test_a_form_from_elsewhere_sends_nothing(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    quote = typed(signed_in(clinic.master), number(1))
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = signed_in(clinic.master).cookies
    assert strict.post(f"{quote}send/").status_code == 403
    assert messages_of(clinic) == []


def test_sending_is_never_done_by_following_a_link(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    quote = typed(browser, number(1))
    batch = public_ids().encode("BA", 1)
    for address in (f"{quote}send/", f"{quote}again/", f"/batches/{batch}/stop/", "/send/preview/"):
        assert browser.get(address).status_code == 405, address
    with scope.customer(clinic.id):
        assert not Batch.objects.filter(customer_id=clinic.id).exists()


def test_a_text_that_offers_cancel_for_an_appointment_is_refused_beside_its_field(
    cast: Cast, signed_in: SignedIn
) -> None:
    clinic = cast.clinic()
    wrong = "See you Tuesday. Reply CANCEL to cancel your appointment."
    answer = signed_in(clinic.master).post("/send/", {"recipients": number(1), "text": wrong})
    assert answer.status_code == 422 and "opts out of all your texts" in answer.content.decode()
    assert clinic.held == 0
