"""API keys, members, the person's own details, and messaging on or off."""

import re

from django.core import mail
from django.test import Client

from postmeter.customers import keys as key_texts
from postmeter.customers import queries as customers
from postmeter.customers.models import Role, User
from postmeter.customers.queries import Seat
from postmeter.db.public_ids import public_ids
from postmeter.web.forms import new_key
from tests.cast import Cast, Clinic, at
from tests.web.conftest import SignedIn

KEY = {"name": "Booking system", "mode": "live", "scopes": ["messages.send"], "expires_in_days": "365"}


def shown_key(page: str) -> str:
    found = re.search(r"pm_(?:live|test)_\w+", page)
    assert found, page
    return found[0]


def test_a_key_is_shown_once_works_is_replaced_and_revoked(cast: Cast, confirmed: SignedIn) -> None:
    clinic = cast.clinic()
    browser = confirmed(clinic.master)
    answer = browser.post("/settings/keys/new/", KEY)
    first = shown_key(answer.content.decode())
    assert answer["Cache-Control"] == "no-store"
    assert customers.caller(first, now=at()).scopes == {"messages.send"}
    assert first not in browser.get("/settings/keys/").content.decode()
    [row] = customers.api_keys(customer_id=clinic.id)
    place = f"/settings/keys/{public_ids().encode('KE', row.id)}"
    second = shown_key(browser.post(f"{place}/rotate/").content.decode())
    assert {customers.caller(text, now=at()).mode for text in (first, second)} == {"live"}
    assert "already has two live keys" in browser.post(f"{place}/rotate/", follow=True).content.decode()
    assert "cannot be taken back" in browser.get(f"{place}/revoke/").content.decode()
    browser.post(f"{place}/revoke/")
    try:
        customers.caller(first, now=at())
    except key_texts.BadKey as refused:
        assert "revoked" in refused.text
    else:
        raise AssertionError("a revoked key still works")
    assert customers.caller(second, now=at())


def test_a_key_without_a_scope_is_refused_beside_the_field(cast: Cast, confirmed: SignedIn) -> None:
    answer = confirmed(cast.clinic().master).post("/settings/keys/new/", KEY | {"scopes": []})
    assert answer.status_code == 422
    assert "Choose what the key may do." in answer.content.decode()


def test_cards_keys_and_members_ask_again_who_is_there(cast: Cast, signed_in: SignedIn) -> None:
    # ASVS 7.5.1
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    for address in ("/payments/cards/add/", "/settings/keys/new/", "/settings/members/new/"):
        assert browser.get(address)["Location"].startswith("/accounts/reauthenticate/"), address
        assert browser.post(address, KEY)["Location"].startswith("/accounts/reauthenticate/"), address
    assert customers.api_keys(customer_id=clinic.id) == []


def test_an_invited_person_gets_a_link_that_sets_a_password_and_lets_them_in(cast: Cast, confirmed: SignedIn) -> None:
    clinic = cast.clinic()
    address = f"new-{new_key()}@clinic.example"
    page = confirmed(clinic.master).post(
        "/settings/members/new/", {"name": "Noor Haddad", "email": address, "roles": ["sender"]}, follow=True
    )
    assert "Noor Haddad is a member now" in page.content.decode()
    [sent] = [each for each in mail.outbox if each.to == [address]]
    assert "Harbour Physio invites you" in sent.subject
    link = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", str(sent.body))
    assert link
    guest = Client()
    form = guest.get(link[1], follow=True)
    place = form.redirect_chain[-1][0]
    password = "a long enough pass phrase"
    guest.post(place, {"password1": password, "password2": password})
    answer = guest.post("/accounts/login/", {"login": address, "password": password})
    assert answer.status_code == 302
    assert "Harbour Physio" in guest.get("/").content.decode()


def test_a_person_who_has_a_password_is_told_to_sign_in(cast: Cast, confirmed: SignedIn) -> None:
    known, clinic = cast.clinic().master, cast.clinic(name="Quay Dental")
    confirmed(clinic.master).post("/settings/members/new/", {"name": "x", "email": known.email, "roles": ["sender"]})
    [sent] = [each for each in mail.outbox if each.to == [known.email]]
    assert "/accounts/login/" in str(sent.body)
    assert "password/reset" not in str(sent.body)


def test_nobody_gives_or_touches_more_than_they_may_do(cast: Cast, confirmed: SignedIn) -> None:
    # S-107
    clinic = cast.clinic()
    manager = cast.member(clinic, Role.OFFICE_MANAGER)
    browser = confirmed(manager)
    offered = browser.get("/settings/members/new/").content.decode()
    assert 'value="sender"' in offered
    assert 'value="master"' not in offered
    refused = browser.post("/settings/members/new/", {"name": "Eve", "email": "eve@clinic.example", "roles": ["master"]})
    assert refused.status_code == 422
    assert browser.post(place_of(manager), {"roles": ["master"]}).status_code == 422
    for what in ("", "remove/"):
        assert browser.post(place_of(clinic.master) + what, {"roles": ["sender"]}).status_code == 403
    assert not User.objects.filter(email="eve@clinic.example").exists()


def test_the_last_master_stays(cast: Cast, confirmed: SignedIn) -> None:
    clinic = cast.clinic()
    browser = confirmed(clinic.master)
    refused = browser.post(place_of(clinic.master), {"roles": ["sender"]})
    assert (refused.status_code, "last master" in refused.content.decode()) == (409, True)
    assert "last master" in browser.post(place_of(clinic.master) + "remove/", follow=True).content.decode()
    assert roles_of(clinic, clinic.master) == ("master",)


def test_roles_change_and_members_leave(cast: Cast, confirmed: SignedIn) -> None:
    clinic = cast.clinic()
    sender = cast.member(clinic, Role.SENDER)
    browser = confirmed(clinic.master)
    browser.post(place_of(sender), {"roles": ["billing_admin", "sender"]})
    assert roles_of(clinic, sender) == ("billing_admin", "sender")
    browser.post(place_of(sender) + "remove/")
    assert [seat.member_id for seat in customers.members(customer_id=clinic.id)] == [clinic.master.member_id]


def test_a_name_is_changed_and_the_ways_to_sign_in_are_at_hand(cast: Cast, signed_in: SignedIn) -> None:
    clinic = cast.clinic()
    browser = signed_in(clinic.master)
    page = browser.post("/settings/me/", {"name": "Morgan <b>Reyes</b>"}, follow=True).content.decode()
    assert "Morgan &lt;b&gt;Reyes&lt;/b&gt;" in page
    assert "/accounts/2fa/" in page
    assert "/accounts/password/change/" in page
    assert browser.post("/settings/me/", {"name": " "}).status_code == 422


def test_messaging_is_switched_by_those_who_may_and_the_page_leads_to_more_credit(cast: Cast, signed_in: SignedIn) -> None:
    # S-010
    clinic = cast.clinic()
    master, sender = signed_in(clinic.master), signed_in(cast.member(clinic, Role.SENDER))
    assert "Add Message Credit" in master.get("/settings/messaging/").content.decode()
    assert "Messaging is off" in master.post("/settings/messaging/", {"enabled": "0"}, follow=True).content.decode()
    assert customers.customer(customer_id=clinic.id).messaging_enabled is False
    assert sender.post("/settings/messaging/", {"enabled": "1"}).status_code == 403
    master.post("/settings/messaging/", {"enabled": "1"})
    assert customers.customer(customer_id=clinic.id).messaging_enabled is True


def place_of(seat: Seat) -> str:
    return f"/settings/members/{public_ids().encode('MB', seat.member_id)}/"


def roles_of(clinic: Clinic, seat: Seat) -> tuple[str, ...]:
    return next(each.roles for each in customers.members(customer_id=clinic.id) if each.member_id == seat.member_id)
