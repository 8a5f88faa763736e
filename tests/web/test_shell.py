"""What stands round every page: sign-in, sessions, seats, permissions, refusals."""

from datetime import timedelta

import pytest
from django import forms as django_forms
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from postmeter.customers import operations as customers
from postmeter.customers import permissions
from postmeter.customers.models import Role, User
from postmeter.db.public_ids import public_ids
from postmeter.kit.refusals import BadInput, NotAllowed, NotCovered
from postmeter.web import context, cursors, forms, session
from postmeter.web.middleware import RefusalPages
from tests.cast import PASSWORD, Cast, at
from tests.web.conftest import SignedIn


def test_nobody_sees_a_page_without_signing_in_and_comes_back_to_it_afterwards(cast: Cast) -> None:
    clinic, browser = cast.clinic(), Client()
    answer = browser.get("/?tab=1")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=/%3Ftab%3D1")
    answer = browser.post(answer["Location"], {"login": clinic.master.email, "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/?tab=1")
    assert "Harbour Physio" in browser.get("/?tab=1").content.decode()


def test_the_frame_shows_the_balance_and_only_what_the_member_may_open(cast: Cast, signed_in: SignedIn) -> None:
    # S-004 S-093
    clinic = cast.clinic(credit_micros=12_340_000)
    page = signed_in(clinic.master).get("/").content.decode()
    assert "$12.34" in page
    assert "Top-up Credit" in page
    clerk = cast.member(clinic, Role.BILLING_ADMIN)
    entry = context.Entry("Send", "overview", permission=permissions.SEND)
    assert context.address_of(entry, clinic.master) == "/"
    assert context.address_of(entry, clerk) == ""


def test_balance_and_payment_methods_are_one_press_away(cast: Cast, signed_in: SignedIn) -> None:  # S-092 S-128
    browser = signed_in(cast.clinic().master)
    frame = browser.get("/").content.decode()
    assert 'href="/credit/"' in frame and 'href="/payments/"' in frame
    assert 'href="/settings/messaging/"' in frame  # S-048
    for address in ("/billing/", "/payment-methods/"):
        assert browser.get(address, follow=True).redirect_chain[-1][0] == "/payments/"


def test_a_session_ends_after_half_an_hour_of_nothing_and_says_so(cast: Cast, signed_in: SignedIn) -> None:
    # ASVS 7.3.1
    browser = signed_in(cast.clinic().master)
    assert browser.get("/").status_code == 200
    _age(browser, seen_at=timedelta(minutes=29))
    assert browser.get("/").status_code == 200
    _age(browser, seen_at=timedelta(minutes=30))
    answer = browser.get("/", follow=True)
    assert answer.redirect_chain[0][0] == "/accounts/login/?next=/"
    assert "You were signed out after 30 minutes without activity." in answer.content.decode()


def test_a_session_ends_twelve_hours_after_sign_in_however_busy_it_is(cast: Cast, signed_in: SignedIn) -> None:
    # ASVS 7.3.2
    browser = signed_in(cast.clinic().master)
    browser.get("/")
    _age(browser, signed_in_at=timedelta(hours=12))
    assert browser.get("/").status_code == 302
    assert browser.get("/").status_code == 302


def test_a_page_that_refreshes_itself_does_not_keep_a_session_alive(cast: Cast, signed_in: SignedIn) -> None:
    browser = signed_in(cast.clinic().master)
    browser.get("/")
    _age(browser, seen_at=timedelta(minutes=20))
    before = browser.session["seen_at"]
    browser.get("/", headers={"HX-Request": "true"})
    assert browser.session["seen_at"] == before
    browser.get("/")
    assert browser.session["seen_at"] > before
    _age(browser, seen_at=timedelta(minutes=31))
    answer = browser.get("/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Refresh"]) == (204, "true")


def test_a_person_with_two_seats_chooses_and_cannot_choose_a_stranger(cast: Cast, signed_in: SignedIn) -> None:
    first, second, stranger = cast.clinic(), cast.clinic(name="Zoë Ó Súilleabháin & Co"), cast.clinic()
    customers.add_member(
        customer_id=second.id, email=first.master.email, name="", roles=[Role.SENDER], now=at(), actor="operator"
    )
    browser = signed_in(first.master)
    answer = browser.get("/?a=1")
    assert answer["Location"] == "/customers/choose/?next=%2F%3Fa%3D1"
    assert "Zoë Ó Súilleabháin &amp; Co" in browser.get(answer["Location"]).content.decode()
    refused = browser.post("/customers/choose/", {"customer": public_ids().encode("CU", stranger.id)})
    assert refused.status_code == 200
    chosen = browser.post("/customers/choose/", {"customer": public_ids().encode("CU", second.id), "next": "/?a=1"})
    assert chosen["Location"] == "/?a=1"
    assert "Zoë Ó Súilleabháin" in browser.get("/").content.decode()


def test_a_person_who_left_sees_nothing_and_learns_why(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    gone = cast.member(clinic, Role.SENDER)
    browser = signed_in(gone)
    assert browser.get("/").status_code == 200
    customers.remove_member(customer_id=clinic.id, member_id=gone.member_id, now=at(), actor=clinic.actor)
    answer = browser.get("/", follow=True)
    assert "not a member of any customer" in answer.content.decode()


def test_after_choosing_nobody_is_led_off_the_site(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    answer = browser.post(
        "/customers/choose/", {"customer": public_ids().encode("CU", clinic.id), "next": "https://evil.example/"}
    )
    assert answer["Location"] == "/"


def test_lacking_a_permission_names_the_roles_that_have_it(cast: Cast) -> None:
    clinic = cast.clinic()
    with pytest.raises(NotAllowed) as refused:
        session.require(cast.member(clinic, Role.SENDER), permissions.BUY)
    assert "buy credit" in refused.value.text
    assert "master or billing admin" in str(refused.value.remedy)


def test_the_permission_is_asked_for_before_the_view_runs(cast: Cast) -> None:
    clinic = cast.clinic()
    clerk = cast.member(clinic, Role.BILLING_ADMIN)
    ran: list[str] = []

    @session.member_page(permission=permissions.SEND)
    def view(request: session.MemberRequest) -> HttpResponse:
        ran.append(timezone.get_current_timezone_name())
        return HttpResponse(request.actor)

    def ask(user_id: int | None) -> HttpResponse:
        request = RequestFactory().get("/send/")
        request.user = User.objects.get(id=user_id) if user_id else AnonymousUser()
        request.session = {}  # type: ignore[assignment]
        answer = view(request)
        assert isinstance(answer, HttpResponse)
        return answer

    assert ask(None).status_code == 302
    with pytest.raises(NotAllowed):
        ask(clerk.user_id)
    assert ran == []
    assert ask(clinic.master.user_id).content.decode() == clinic.actor
    assert ran == ["America/New_York"]


def test_a_refusal_that_no_form_shows_is_a_page_with_its_status_and_remedy() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    pages = RefusalPages(lambda request: HttpResponse())
    page = pages.process_exception(request, NotCovered(remedy="Top up first."))
    assert page is not None
    assert page.status_code == 402
    assert "does not cover" in page.content.decode()
    assert "Top up first." in page.content.decode()
    assert pages.process_exception(request, ValueError("a bug stays a bug")) is None


def test_a_refusal_stands_beside_its_field_or_at_the_top() -> None:
    form = _Form({"recipients": "x"})
    forms.add_refusal(form, BadInput("No number.", field="to", remedy="Write one."), {"to": "recipients"})
    forms.add_refusal(form, BadInput("Too late.", field="elsewhere"))
    assert form.errors["recipients"] == ["No number. Write one."]
    assert form.non_field_errors() == ["Too late."]


def test_a_form_without_its_key_is_refused() -> None:
    key = forms.new_key()
    assert str(forms.key_of(RequestFactory().post("/", {"key": key}))) == key
    for bad in ("", "1", key[:-1]):
        with pytest.raises(BadInput):
            forms.key_of(RequestFactory().post("/", {"key": bad}))


def test_cursor_pages_meet_without_gap_or_overlap() -> None:
    rows = [_Row(n) for n in range(10, 0, -1)]

    def read(before: int | None, at_most: int) -> list["_Row"]:
        return [row for row in rows if before is None or row.id < before][:at_most]

    seen, query = [], ""
    while query is not None:
        page = cursors.page(RequestFactory().get(f"/?before={query}"), "SM", read, size=4)
        seen += [row.id for row in page.rows]
        query = page.older  # type: ignore[assignment]
    assert seen == list(range(10, 0, -1))
    with pytest.raises(BadInput):
        cursors.page(RequestFactory().get(f"/?before={public_ids().encode('BA', 5)}"), "SM", read)


class _Row:
    def __init__(self, id: int) -> None:
        self.id = id


class _Form(django_forms.Form):
    recipients = django_forms.CharField()


def _age(browser: Client, **ages: timedelta) -> None:
    kept = browser.session
    for name, age in ages.items():
        kept[name] = (timezone.now() - age).isoformat()
    kept.save()
