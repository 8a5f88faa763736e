"""The page of payment methods: rows, switch, order, star, health, help."""

import re
from datetime import timedelta

import pytest

from postmeter.customers.models import Role
from postmeter.db.public_ids import public_ids
from postmeter.payments import queries
from postmeter.payments.states import PaymentState
from tests.cast import Cast, Clinic, at
from tests.payments.cards import a_card, attempt, facts, look
from tests.web.conftest import SignedIn

S = PaymentState


@pytest.fixture
def clinic(cast: Cast) -> Clinic:
    return cast.clinic()


def order(clinic: Clinic) -> list[int]:
    return [row.id for row in queries.methods(customer_id=clinic.id)]


def address(card_id: int, what: str) -> str:
    return f"/payments/cards/{public_ids().encode('PM', card_id)}/{what}/"


def rows(page: str) -> list[str]:
    """The words of each row."""
    found = re.findall(r"<tr data-method.*?</tr>", page, re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)) for row in found]


def test_each_row_says_its_place_its_star_its_reason_and_the_time_left(signed_in: SignedIn, clinic: Clinic) -> None:
    # S-110 S-113 S-114 S-115 S-131 S-132 S-133 A-27 A-28
    cooling, off, well, stolen, gone = (
        a_card(clinic), a_card(clinic, auto_charge=False), a_card(clinic), a_card(clinic), a_card(clinic, expires=(2020, 1)),
    )  # fmt: skip
    attempt(clinic, cooling, S.DECLINED, "insufficient_funds", now=at() - timedelta(hours=1))
    attempt(clinic, stolen, S.DECLINED, "card_lost_or_stolen")
    found = rows(signed_in(clinic.master).get("/payments/").content.decode())
    assert [row.split()[1] for row in found] == ["1", "2", "3", "4", "5"]
    assert ["Primary" in row for row in found] == [False, False, True, False, False]
    assert "Cooling down" in found[0]
    assert "not enough money on this card" in found[0]
    assert re.search(r"Back in 1\sday,\s2[23]\shours", found[0])
    assert "restores it at once" in found[0]
    assert "Off" in found[1]
    assert "Needs you" in found[3]
    assert "Back in" not in found[3]
    assert "Expired" in found[4]
    assert order(clinic) == [cooling.id, off.id, well.id, stolen.id, gone.id]


def test_the_switch_is_turned_and_the_star_moves_on(signed_in: SignedIn, clinic: Clinic) -> None:
    # S-111 S-112 S-115
    first, _ = a_card(clinic), a_card(clinic)
    browser = signed_in(clinic.master)
    for on in (False, True):
        answer = browser.post(address(first.id, "auto-charge"), {"on": "1" if on else "0"}, follow=True)
        page = answer.content.decode()
        assert ("may be charged" if on else "will not be charged") in page
        assert ["Primary" in row for row in rows(page)] == [on, not on]
        assert look(first).auto_charge is on
    assert [actor for actor, _ in facts(clinic, "payment_method.auto_charge_switched")] == [clinic.actor] * 2


def test_buttons_move_a_card_and_the_pressed_one_keeps_the_focus(signed_in: SignedIn, clinic: Clinic) -> None:
    #
    ids = [a_card(clinic).id for _ in range(3)]
    browser = signed_in(clinic.master)
    page = browser.post(address(ids[2], "move"), {"position": "2", "way": "up"}, follow=True).content.decode()
    assert order(clinic) == [ids[0], ids[2], ids[1]]
    assert "is now 2 of 3" in page
    assert re.findall(r'value="(\d)" autofocus', page) == ["1"]
    page = browser.post(address(ids[2], "move"), {"position": "1", "way": "up"}, follow=True).content.decode()
    assert re.findall(r'value="(\d)" autofocus', page) == ["2"], "at the top only down is left"
    for nonsense in ("0", "4", "-1", "x", "", "٢", "9" * 30):
        browser.post(address(ids[2], "move"), {"position": nonsense, "way": "up"})
        assert order(clinic) == [ids[2], ids[0], ids[1]], nonsense


def test_a_drag_gives_the_whole_order_and_a_stale_one_is_refused(signed_in: SignedIn, clinic: Clinic, cast: Cast) -> None:
    # S-116
    ids = [a_card(clinic).id for _ in range(3)]
    names = [public_ids().encode("PM", each) for each in ids]
    theirs = public_ids().encode("PM", a_card(cast.clinic()).id)
    browser = signed_in(clinic.master)
    assert "The new order is saved" in browser.post("/payments/order/", {"order": names[::-1]}, follow=True).content.decode()
    assert order(clinic) == ids[::-1]
    for wrong in ([], names[:2], [*names, names[0]], [*names[:2], theirs], [*names[:2], "x"]):
        page = browser.post("/payments/order/", {"order": wrong}, follow=True).content.decode()
        assert "The new order is saved" not in page
        assert order(clinic) == ids[::-1]


def test_who_may_not_manage_cards_and_who_is_elsewhere_changes_nothing(signed_in: SignedIn, clinic: Clinic, cast: Cast) -> None:
    #
    first, second = a_card(clinic), a_card(clinic)
    sender, rival = signed_in(cast.member(clinic, Role.SENDER)), signed_in(cast.clinic().master)
    names = [public_ids().encode("PM", each.id) for each in (second, first)]
    for who, status in ((sender, 403), (rival, 404)):
        assert who.post(address(first.id, "auto-charge"), {"on": "0"}).status_code == status
        assert who.post(address(second.id, "move"), {"position": "1", "way": "up"}).status_code == status
        who.post("/payments/order/", {"order": names})
    assert signed_in(clinic.master).get(address(first.id, "auto-charge")).status_code == 405
    assert order(clinic) == [first.id, second.id]
    assert look(first).auto_charge


def test_the_page_explains_itself_in_four_cards(signed_in: SignedIn, clinic: Clinic) -> None:
    # S-142 S-123
    page = signed_in(clinic.master).get("/payments/").content.decode()
    assert re.findall(r"<h3>(\w+):", page) == ["Important", "Note", "Warning", "Hint"]
