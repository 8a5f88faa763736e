"""The operator's pages: who gets in, and everything that an account manager does there."""

import html
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import clear_url_caches, set_urlconf
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.customers import operations as customers
from postmeter.customers.models import User
from postmeter.db import calls, scope
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import MICROS
from postmeter.payments import wires as bank_wires
from postmeter.payments.states import PaymentState
from postmeter.rating import queries as rating
from postmeter.rating import table
from postmeter.terms import adjustments, agreement, queries, requests
from postmeter.topups import automation, breaker, operations, refunds
from postmeter.topups import queries as topups
from tests.cast import PASSWORD, PRICE, Cast, Clinic, at
from tests.journeys.shop import saved_card
from tests.payments.bank import Arrived, Bank
from tests.payments.cards import a_card, intent, told
from tests.stage import Stage
from tests.topups.test_automation import rule
from tests.topups.test_bills import issued, overdrawn
from tests.topups.test_wires import opened
from tests.web.conftest import SignedIn
from tests.web.test_buying import fields_of
from tests.web.test_records import words_of as words_in


def words_of(answer: HttpResponse) -> str:
    return html.unescape(words_in(answer.content.decode()))


@pytest.fixture(autouse=True)
def console(settings: object) -> Iterator[None]:
    """The process of the operator's pages."""
    settings.CONSOLE, settings.ROOT_URLCONF = True, "postmeter.config.console_urls"  # type: ignore[attr-defined]
    clear_url_caches()
    set_urlconf(None)
    yield
    clear_url_caches()
    set_urlconf(None)


def person(name: str = "Avery") -> User:
    user = customers.appoint(email=f"{name.lower()}{calls.next_id()}@operator.example", name=name)
    user.set_password(PASSWORD)
    user.save()
    return user


def browser_of(user: User) -> Client:
    """Signed in, and the password typed a moment ago."""
    client = Client()
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    return client


@pytest.fixture
def manager() -> Client:
    return browser_of(person())


def place(clinic: Clinic, rest: str = "") -> str:
    return f"/customers/{public_ids().encode('CU', clinic.id)}/{rest}"


PAGES = [
    "/",
    "/customers/",
    "/customers/new/",
    "/wires/",
    "/costs/",
    "/money/",
    "/invoices/",
    "/prices/",
    "/prices/new/",
    "/prices/packs/",
    "/log/",
]


class TestWhoGetsIn:
    @pytest.mark.parametrize("page", PAGES)
    def test_nobody_without_signing_in_and_no_member_of_a_customer(self, cast: Cast, signed_in: SignedIn, page: str) -> None:
        assert Client().get(page)["Location"].startswith("/accounts/login/")
        refused = signed_in(cast.clinic().master).get(page)
        assert refused.status_code == 403
        assert "These are the operator's pages." in words_of(refused)

    def test_who_is_dismissed_is_out_with_the_next_click(self) -> None:
        user = person()
        browser = browser_of(user)
        assert browser.get("/").status_code == 200
        customers.dismiss(email=user.email)
        assert browser.get("/").status_code == 403

    def test_away_from_this_machine_a_second_factor_is_asked_for(self, settings: object) -> None:
        settings.CONSOLE_URL = "https://console.operator.example"  # type: ignore[attr-defined]
        browser = browser_of(person())
        answer = browser.get("/customers/")
        assert answer["Location"] == "/accounts/2fa/"
        assert "set one up first" in words_of(browser.get("/accounts/2fa/"))

    def test_customers_pages_know_none_of_these(self, settings: object, manager: Client, cast: Cast) -> None:
        settings.CONSOLE, settings.ROOT_URLCONF = False, "postmeter.config.urls"  # type: ignore[attr-defined]
        clear_url_caches()
        set_urlconf(None)
        assert manager.get("/customers/").status_code == 404
        assert manager.get("/money/").status_code == 404

    @pytest.mark.parametrize("page", ["/credit/", "/send/", "/v1/messages", "/callbacks/stripe"])
    def test_these_pages_know_none_of_customers(self, manager: Client, page: str) -> None:
        assert manager.get(page).status_code == 404

    def test_its_login_sees_every_customer_only_when_it_says_so(self) -> None:
        granted = calls.rows(
            """SELECT m.inherit_option, m.set_option FROM pg_auth_members m JOIN pg_roles every ON every.oid = m.roleid
               JOIN pg_roles operator ON operator.oid = m.member
               WHERE every.rolname = current_database() || '_every' AND operator.rolname = current_database() || '_operator'"""
        )
        assert granted == [(False, True)]


class TestCustomers:
    def test_one_is_found_by_number_name_and_address_and_shown_with_what_one_asks(self, cast: Cast, manager: Client) -> None:
        # S-107
        clinic = cast.clinic(name="Quokka Dental of Rottnest")
        for wanted in ("Quokka", str(clinic.customer.number), clinic.customer.email):
            assert "Quokka Dental of Rottnest" in words_of(manager.get("/customers/", {"q": wanted}))
        assert "No customer fits." in words_of(manager.get("/customers/", {"q": "zzz nobody"}))
        shown = words_of(manager.get(place(clinic)))
        for said in (
            "Quokka Dental of Rottnest",
            "Automatic top-up It is off.",
            "It has asked for nothing.",
            clinic.master.email,
        ):
            assert said in shown

    def test_one_is_opened_with_its_first_member_or_not_at_all(self, cast: Cast, manager: Client) -> None:
        cast.clinic()
        a_plan("standard")
        form = {
            "name": "Wombat Vets",
            "email": "books@wombat.example",
            "country": "us",
            "currency": "usd",
            "time_zone": "America/Chicago",
            "sender": f"+1555{calls.next_id() % 10_000_000:07d}",
            "plan": "standard",
            "master_name": "Wendy",
            "master_email": f"wendy{calls.next_id()}@wombat.example",
        }
        for field, wrong in (("time_zone", "Mars/Olympus"), ("currency", "zzz"), ("sender", "12"), ("plan", "none such")):
            refused = manager.post("/customers/new/", form | {field: wrong})
            assert refused.status_code == 422, field
            assert f'aria-describedby="id_{field}_error' in refused.content.decode() or "has-error" in refused.content.decode()
        opened_ = manager.post("/customers/new/", form)
        assert opened_.status_code == 302
        shown = words_of(manager.get(opened_["Location"]))
        assert "Wombat Vets" in shown and form["master_email"] in shown
        taken = manager.post("/customers/new/", form | {"master_email": f"x{calls.next_id()}@wombat.example"})
        assert taken.status_code == 409
        assert "another customer" in words_of(taken)
        counted = form | {"unit": "SMS", "sender": f"+1555{calls.next_id() % 10_000_000:07d}"}
        refused = manager.post("/customers/new/", counted)
        assert refused.status_code == 422
        assert "are in USD, and this credit is in SMS" in words_of(refused)

    def test_one_whose_credit_is_counted_in_messages_is_opened_with_pack_prices(self, manager: Client) -> None:  # S-154
        plan = f"counted{calls.next_id()}"
        a_plan(plan, unit="SMS")
        assert "nobody can buy these credits" in words_of(manager.get(f"/prices/?plan={plan}"))
        packs = {"plan": plan, "currency": "usd", "tiers": "1 = ten"}
        assert manager.post("/prices/packs/", packs).status_code == 422
        shown = words_of(manager.post("/prices/packs/", packs | {"tiers": "1 = 0.10\n1000 = 0.08"}, follow=True))
        assert "1,000 credits USD $0.0800" in shown
        form = {
            "name": "Wombat Vets",
            "email": "books@wombat.example",
            "country": "US",
            "currency": "USD",
            "unit": "SMS",
            "time_zone": "America/Chicago",
            "sender": f"+1555{calls.next_id() % 10_000_000:07d}",
            "plan": plan,
            "master_name": "Wendy",
            "master_email": f"wendy{calls.next_id()}@wombat.example",
        }
        opened = manager.post("/customers/new/", form)
        assert opened.status_code == 302, opened.content.decode()
        assert "0 SMS credits" in words_of(manager.get(opened["Location"]))
        a_plan("standard")
        refused = manager.post(f"{opened['Location']}plan/", {"plan": "standard"}, follow=True)
        assert "Its prices are in USD, and this credit is in SMS." in words_of(refused)

    def test_a_paused_automatic_top_up_goes_on_by_a_managers_word(self, cast: Cast, manager: Client) -> None:
        # S-106 A-34
        clinic = cast.clinic()
        now = timezone.now()
        automation.save(
            customer_id=clinic.id, wallet_id=clinic.pool.id, rule=rule(), accepts_charge_micros=None, actor="member:1", now=now
        )
        automation.stop(customer_id=clinic.id, wallet_id=clinic.pool.id, reason="disputed", now=now)
        assert "Let it go on" in words_of(manager.get(place(clinic)))
        assert clinic.customer.name in words_of(manager.get("/money/"))
        again = place(clinic, f"automation/{public_ids().encode('WA', clinic.pool.id)}/")
        assert "goes on" in words_of(manager.post(again, follow=True))
        found = topups.automatic(customer_id=clinic.id, wallet_id=clinic.pool.id, now=now)
        assert found and found.rule.paused_at is None
        assert "It is not paused." in words_of(manager.post(again, follow=True))

    def test_suspending_and_reinstating(self, cast: Cast, manager: Client) -> None:
        clinic = cast.clinic()
        assert "Suspended: by an account manager." in words_of(manager.post(place(clinic, "suspend/"), {"on": "1"}, follow=True))
        assert queries.agreement(customer_id=clinic.id).suspended_for == agreement.BY_HAND
        assert "Reinstated" in words_of(manager.post(place(clinic, "suspend/"), {"on": "0"}, follow=True))

    def test_an_invoice_is_seen_as_it_was_issued(self, cast: Cast, manager: Client) -> None:
        clinic = overdrawn(cast, 40 * MICROS)
        issued(clinic)
        page = manager.get(place(clinic)).content.decode()
        link = re.search(r'href="([^"]+/invoices/IN[^"]+)"', page)
        assert link
        assert manager.get(link[1]).content.startswith(b"%PDF")
        assert link[1] in manager.get("/invoices/").content.decode()


class TestTerms:
    def test_a_limit_and_a_policy_are_set_and_wrong_ones_refused_beside_their_field(self, cast: Cast, manager: Client) -> None:
        # S-095
        clinic = cast.clinic()
        form = {"limit": "250", "days_to_pay": "30", "stop_after_days": "3", "suspend_after_days": "", "suspend_on_dispute": "on"}
        for field, wrong in (("limit", "-5"), ("limit", "1e9"), ("days_to_pay", "400"), ("stop_after_days", "x")):
            refused = manager.post(place(clinic, "terms/"), form | {field: wrong})
            assert refused.status_code == 422
            assert "has-error" in refused.content.decode()
        assert manager.post(place(clinic, "terms/"), form).status_code == 302
        row = queries.agreement(customer_id=clinic.id)
        assert (row.limit_micros, row.days_to_pay, row.suspend_after_days) == (250 * MICROS, 30, None)
        assert fields_of(manager.get(place(clinic, "terms/")).content.decode())["limit"] == "250"

    def test_credit_is_given_once_after_it_was_looked_at(self, cast: Cast, manager: Client) -> None:
        clinic = cast.clinic(credit_micros=0)
        looked = manager.post(place(clinic, "credit/"), {"way": "give", "amount": "7.50", "reason": "A late delivery."})
        assert "Give $7.50?" in words_of(looked)
        assert clinic.posted == 0
        sure = fields_of(looked.content.decode())
        for _ in range(2):
            assert manager.post(place(clinic, "credit/"), sure).status_code == 302
        assert clinic.posted == 7_500_000
        assert verify_all().ok

    @pytest.mark.parametrize("wrong", [{"amount": "0"}, {"amount": "1,5"}, {"reason": ""}, {"way": "steal"}, {"amount": ""}])
    def test_what_is_no_adjustment_changes_nothing(self, cast: Cast, manager: Client, wrong: dict[str, str]) -> None:
        clinic = cast.clinic(credit_micros=0)
        form = {"way": "give", "amount": "5", "reason": "Why not.", "agreed": "1", "key": "0b6f5b1c-7f0d-4f6e-9d2a-3c1f2f0a9c11"}
        assert manager.post(place(clinic, "credit/"), form | wrong).status_code == 422
        assert clinic.posted == 0

    def test_a_large_adjustment_needs_a_second_person(self, cast: Cast, manager: Client) -> None:
        # ASVS 2.3.5
        clinic = cast.clinic(credit_micros=0)
        looked = manager.post(place(clinic, "credit/"), {"way": "give", "amount": "900", "reason": "A lost month."})
        assert "another account manager has to approve it" in words_of(looked)
        manager.post(place(clinic, "credit/"), fields_of(looked.content.decode()))
        [row] = queries.adjustments(customer_id=clinic.id)
        approve = place(clinic, f"adjustments/{public_ids().encode('AD', row.id)}/")
        assert "You proposed it yourself." in words_of(manager.post(approve, {"verdict": "approve"}, follow=True))
        assert "A lost month." in words_of(manager.get("/"))
        second = browser_of(person("Blair"))
        second.post(approve, {"verdict": "approve"})
        assert clinic.posted == 900 * MICROS

    def test_promotional_credit_is_given_with_its_last_day(self, cast: Cast, manager: Client) -> None:
        clinic = cast.clinic(credit_micros=0)
        given = {"way": "promotion", "amount": "20", "until": "2030-01-31", "reason": "Welcome."}
        looked = manager.post(place(clinic, "credit/"), given)
        manager.post(place(clinic, "credit/"), fields_of(looked.content.decode()))
        assert clinic.posted == 20 * MICROS
        assert "1 Feb 2030" in words_of(manager.get(place(clinic)))

    def test_a_request_is_seen_with_what_it_does_decided_once_and_taken_back(self, cast: Cast, manager: Client) -> None:
        # S-144 S-100
        clinic = cast.clinic()
        row = requests.ask(
            customer_id=clinic.id,
            kind="overdraft",
            wanted={"limit_micros": 300 * MICROS},
            reason="A large campaign.",
            actor=clinic.actor,
            now=timezone.now(),
        )
        assert "A large campaign." in words_of(manager.get("/"))
        page = place(clinic, f"requests/{public_ids().encode('CR', row.id)}/")
        assert "May go below zero by $0.00 $300.00" in words_of(manager.get(page))
        refused = manager.post(page, {"verdict": "decline", "note": ""})
        assert (refused.status_code, "Say why." in words_of(refused)) == (422, True)
        assert manager.post(page, {"verdict": "approve", "note": "Gladly."}).status_code == 302
        assert manager.post(page, {"verdict": "approve", "note": ""}).status_code == 409
        assert queries.agreement(customer_id=clinic.id).limit_micros == 300 * MICROS
        manager.post(page, {"verdict": "reverse", "note": ""})
        assert queries.agreement(customer_id=clinic.id).limit_micros == 0

    def test_a_bill_is_settled_by_hand_with_a_reason(self, cast: Cast, manager: Client) -> None:
        clinic = overdrawn(cast, 40 * MICROS)
        bill = issued(clinic)
        assert clinic.customer.name in words_of(manager.get("/money/"))
        page = place(clinic, f"bills/{public_ids().encode('BI', bill.id)}/")
        assert "settled" not in words_of(manager.post(page, {"how": "paid", "reason": " "}, follow=True)).split("Bills")[0]
        assert "The bill is settled." in words_of(manager.post(page, {"how": "paid", "reason": "By cheque 17."}, follow=True))


def account_of(bank: Bank) -> int:
    return next(row.id for row in bank_wires.accounts() if row.account == bank.account)


class TestWires:
    def test_a_statement_is_imported_and_the_rest_is_assigned_or_dismissed(self, cast: Cast, manager: Client) -> None:
        # S-141 A-35
        clinic, bank = cast.clinic(credit_micros=0), opened()
        data = bank.camt053(Arrived("30.00", ("no reference here",)), Arrived("9.00", ("nor here",)))
        upload = io.BytesIO(data)
        upload.name = "day.xml"
        assert "2 wait for you" in words_of(manager.post("/wires/", {"file": upload}, follow=True))
        first, second = [row for row in bank_wires.queue() if row.bank_account_id == account_of(bank)]
        wrong = {"verdict": "assign", "number": "999999", "reason": "They said so."}
        assert "no customer of that number" in words_of(manager.post(f"/wires/{first.id}/", wrong, follow=True))
        right = wrong | {"number": str(clinic.customer.number)}
        assert "Credited." in words_of(manager.post(f"/wires/{first.id}/", right, follow=True))
        assert clinic.posted == 30 * MICROS
        assert "by operator:" in words_of(manager.post(f"/wires/{first.id}/", right, follow=True)), "decided once"
        assert "needs its reason" in words_of(manager.post(f"/wires/{second.id}/", {"verdict": "dismiss"}, follow=True))
        gone = manager.post(f"/wires/{second.id}/", {"verdict": "dismiss", "reason": "Sent back."}, follow=True)
        assert "Dismissed." in words_of(gone)
        assert "Sent back." in words_of(manager.get("/log/"))

    def test_what_is_no_statement_is_refused_beside_the_file(self, manager: Client) -> None:
        file = io.BytesIO(b"\x00\x01 no statement")
        file.name = "x.xml"
        refused = manager.post("/wires/", {"file": file})
        assert refused.status_code == 422
        assert manager.post("/wires/", {}).status_code == 422


class TestRefunds:
    """A-13."""

    def test_money_of_a_purchase_is_given_back_once_and_only_what_is_unspent(
        self, cast: Cast, manager: Client, stage: Stage
    ) -> None:
        clinic = cast.clinic(credit_micros=0)
        bought = purchase(stage, clinic, 30)
        page = place(clinic, f"refund/{public_ids().encode('TU', bought)}/")
        assert page in manager.get(place(clinic)).content.decode()
        shown = manager.get(page).content.decode()
        assert "Can be given back $30.00" in words_of(manager.get(page))
        filled = fields_of(shown) | {"amount": "12.50", "reason": "Left us"}
        for wrong, said in (
            ({"amount": "30.01"}, "is left to give back"),
            ({"amount": "x"}, "not an amount"),
            ({"reason": ""}, ""),
        ):
            refused = manager.post(page, filled | wrong)
            assert refused.status_code == 422
            assert said in html.unescape(words_of(refused))
        for _ in range(2):
            assert "Given back." in words_of(manager.post(page, filled, follow=True))
        assert clinic.posted == 17_500_000
        assert "Left us" in words_of(manager.get(page))
        assert "refund" in words_of(manager.get("/log/")).lower()

    def test_a_gateway_that_refuses_is_quoted(self, cast: Cast, manager: Client, stage: Stage) -> None:
        clinic = cast.clinic(credit_micros=0)
        page = place(clinic, f"refund/{public_ids().encode('TU', purchase(stage, clinic, 30))}/")
        fault = {"service": "stripe", "fault": "lose", "match": {"event": "charge.dispute*"}}
        stage.simulator.control("POST", "/faults", fault)
        paid = topups.history(customer_id=clinic.id)[0].payment.gateway_ref
        stage.simulator.control("POST", "/disputes", {"payment_intent": paid})
        filled = fields_of(manager.get(page).content.decode()) | {"amount": "5", "reason": "Asked for"}
        assert "charged back" in words_of(manager.post(page, filled, follow=True))
        assert clinic.available == 30 * MICROS
        stage.simulator.control("DELETE", "/faults")

    def test_one_that_nobody_answered_waits_for_a_person(self, cast: Cast, manager: Client, stage: Stage) -> None:
        clinic = cast.clinic(credit_micros=0, name=f"Unanswered {calls.next_id()}")
        bought = purchase(stage, clinic, 30)
        fault = {"service": "stripe", "fault": "error_500_before", "match": {"path": "/v1/refunds"}, "count": 1}
        stage.simulator.control("POST", "/faults", fault)
        assert clinic.customer.name not in words_of(manager.get("/money/"))
        refunds.refund(
            customer_id=clinic.id,
            top_up_id=bought,
            paid_micros=5 * MICROS,
            reason="Asked for",
            key=uuid4(),
            actor="operator:1",
            now=timezone.now() - timedelta(hours=1),
        )
        shown = manager.get("/money/").content.decode()
        assert clinic.customer.name in shown
        assert place(clinic, f"refund/{public_ids().encode('TU', bought)}/") in shown
        refunds.resume(customer_id=clinic.id, now=timezone.now())
        assert clinic.customer.name not in words_of(manager.get("/money/"))

    def test_another_customers_purchase_is_not_there(self, cast: Cast, manager: Client, stage: Stage) -> None:
        bought = purchase(stage, cast.clinic(credit_micros=0), 30)
        assert manager.get(place(cast.clinic(), f"refund/{public_ids().encode('TU', bought)}/")).status_code == 404


def purchase(stage: Stage, clinic: Clinic, dollars: int) -> int:
    return operations.buy(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        method_id=saved_card(stage, clinic).id,
        amount_micros=dollars * MICROS,
        key=uuid4(),
        actor=clinic.actor,
        now=timezone.now(),
    ).top_up.id


class TestMoney:
    def test_a_payment_without_an_end_is_asked_about_now(self, cast: Cast, manager: Client) -> None:
        clinic, long_ago = cast.clinic(name=f"Silent {calls.next_id()}"), at() - timedelta(days=1)
        payment = intent(clinic, a_card(clinic), now=long_ago)
        told(payment, PaymentState.UNKNOWN, now=long_ago)
        assert clinic.customer.name in words_of(manager.get("/money/"))
        ask = f"/money/{public_ids().encode('CU', clinic.id)}/{public_ids().encode('PY', payment.id)}/ask/"
        assert "says nothing new" in words_of(manager.post(ask, follow=True))

    def test_the_breaker_is_opened_and_closed_with_a_reason(self, manager: Client) -> None:
        breaker.reset(reason="a test begins", actor="operator", now=timezone.now())
        assert "Say why." in words_of(manager.post("/money/breaker/", {"on": "1", "reason": ""}, follow=True))
        assert "Stopped since" in words_of(manager.post("/money/breaker/", {"on": "1", "reason": "A drill."}, follow=True))
        assert "A drill." in words_of(manager.get("/"))
        assert "They run." in words_of(manager.post("/money/breaker/", {"on": "0", "reason": "Over."}, follow=True))
        assert breaker.standing() is None


def sms(clinic: Clinic) -> list[tuple[str, int]]:
    """What the customer pays for a segment, by prefix."""
    own = rating.price_list_of(customer_id=clinic.id, plan="standard")
    rates = rating.rates(customer_id=clinic.id, price_list=own, channel="sms", direction="out", now=timezone.now())
    return [(rate.prefix, rate.price_micros) for rate in rates]


def a_plan(plan: str, unit: str = "USD") -> None:
    if rating.plan_list(plan=plan) is None:
        new = table.NewRate("sms", "out", "1", "US", 7_900, 3_500)
        now = timezone.now()
        table.set_prices(
            rates=[new], plan=plan, customer_id=scope.EVERYBODY, currency=unit, valid_from=now, now=now, actor="operator"
        )


class TestPrices:
    TABLE = b"channel,direction,prefix,country,price,fee\nsms,out,1,US,0.0090,0.0035\nsms,out,44,GB,0.0500,0\n"

    def upload(self, content: bytes) -> io.BytesIO:
        file = io.BytesIO(content)
        file.name = "prices.csv"
        return file

    def test_a_customers_own_prices_are_looked_at_and_then_hold(self, cast: Cast, manager: Client) -> None:
        clinic = cast.clinic()
        form = {"plan": "standard", "number": str(clinic.customer.number), "currency": "USD"}
        looked = manager.post("/prices/new/", form | {"file": self.upload(self.TABLE)})
        assert "Let 2 prices change?" in words_of(looked)
        assert dict(sms(clinic))["1"] == PRICE, "nothing holds that nobody agreed to"
        assert manager.post("/prices/new/", fields_of(looked.content.decode())).status_code == 302
        assert {("44", 50_000), ("1", 9_000)} <= set(sms(clinic))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"file": b"a,b\n1,2\n"}, "no column"),
            ({"file": b"channel,direction,prefix,country,price,fee\nsms,out,x,US,1,0\n"}, "a prefix is digits"),
            ({"file": b"channel,direction,prefix,country,price,fee\nsms,out,1,US,-1,0\n"}, "price"),
            ({"number": "999999"}, "no customer of that number"),
            ({"file": None}, "Choose the table."),
        ],
    )
    def test_a_wrong_table_changes_nothing_and_says_where(self, manager: Client, change: dict[str, object], said: str) -> None:
        form: dict[str, object] = {"plan": f"plan{calls.next_id()}", "number": "", "currency": "USD", "file": self.TABLE} | change
        content = form.pop("file")
        refused = manager.post("/prices/new/", form | ({"file": self.upload(content)} if isinstance(content, bytes) else {}))
        assert refused.status_code == 422
        assert said in words_of(refused)

    def test_a_table_that_nobody_looked_at_is_not_taken(self, manager: Client) -> None:
        form = {"plan": "standard", "number": "", "currency": "USD", "agreed": "1", "table": "made up"}
        refused = manager.post("/prices/new/", form)
        assert (refused.status_code, "looked at too long ago" in words_of(refused)) == (422, True)


def test_everything_that_is_done_stands_in_the_log_with_who_did_it(cast: Cast) -> None:
    clinic, user = cast.clinic(), person("Quentin")
    browser = browser_of(user)
    browser.post(place(clinic, "suspend/"), {"on": "1"})
    shown = words_of(browser.get("/log/"))
    assert "Quentin" in shown.split("customer.suspended")[0]
    assert clinic.customer.name in shown
    with scope.customer(clinic.id):
        actors = calls.rows(
            "SELECT DISTINCT actor FROM events_event WHERE customer_id = %s AND kind = 'customer.suspended'", [clinic.id]
        )
    assert actors == [(f"operator:{user.id}",)]


def test_every_page_that_waits_for_nobody_says_so_without_falling(manager: Client) -> None:
    for page in PAGES:
        assert manager.get(page).status_code == 200, page
    assert manager.get("/customers/", {"before": "nonsense"}).status_code == 422


def test_a_proposal_is_taken_back_by_who_made_it(cast: Cast) -> None:
    clinic, user = cast.clinic(credit_micros=0), person()
    row = adjustments.propose(
        customer_id=clinic.id,
        wallet_id=clinic.pool.id,
        amount_micros=500 * MICROS,
        reason="Perhaps.",
        key=uuid4(),
        actor=f"operator:{user.id}",
        now=timezone.now(),
    )
    page = place(clinic, f"adjustments/{public_ids().encode('AD', row.id)}/")
    assert "Decided." in words_of(browser_of(user).post(page, {"verdict": "decline"}, follow=True))
    assert clinic.posted == 0
