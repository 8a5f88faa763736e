"""SIGKILL between every two durable steps: whatever died, the books balance and agree with what the world outside saw.

Each test asserts first that the process did die there, then starts everything again, lets time pass, and looks (I12, I16, I22, I27,
I28; F01, F02).
"""

import urllib.error
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.customers import operations as customers
from postmeter.customers.permissions import SCOPES
from postmeter.db import calls, scope
from postmeter.guard import operations as guard
from postmeter.guard import queries as guarding
from postmeter.kit.money import MICROS
from postmeter.messaging import queries as messages
from postmeter.messaging.addresses import mailbox_of
from postmeter.notifications import operations as notifications
from postmeter.notifications.queries import notices
from postmeter.payments import queries as payments
from postmeter.payments import wires
from postmeter.payments.operations import finish_setup
from postmeter.statements import operations as statements
from postmeter.statements import queries as statement_queries
from postmeter.topups import automation, refunds
from postmeter.topups import operations as topups
from postmeter.topups import queries as top_up_queries
from postmeter.topups import wires as credit_by_wire
from postmeter.topups.automation import Rule
from tests.cast import FEE, PRICE, Clinic, number
from tests.journeys.house import House, assert_all_is_right, crash_points
from tests.journeys.shop import saved_card, visit_card_page
from tests.journeys.test_first_journey import dispatch_all
from tests.payments.bank import Arrived, Bank
from tests.stage import until

BUYING = [
    "topups.intent_written",
    "payments.calling_written",
    "payments.gateway_answered",
    "topups.outcome_uncommitted",
    "topups.outcome_written",
]
AUTOMATIC = ["topups.automatic_intent_written", "payments.calling_written", "payments.gateway_answered"]
IMPORTING_WIRES = [
    "topups.wires_written",
    "topups.wire_uncommitted",
    "topups.wire_uncommitted:2",
    "topups.wire_credited",
    "topups.wire_credited:2",
]
ADDING_A_CARD = ["payments.setup_written", "payments.setup_answered"]
HEARING_OF_MONEY = ["topups.outcome_uncommitted", "callbacks.event_written"]
HEARING_OF_A_CARD = ["payments.card_read", "callbacks.event_written"]
ACCEPTING = ["messaging.accept_uncommitted", "messaging.accept_written"]
STOPPING = ["guard.limit_passed", "guard.stop_uncommitted"]
DISPATCHING = [
    "messaging.claim_uncommitted",
    "messaging.claimed",
    "messaging.sent",
    "messaging.sent:3",
    "messaging.record_uncommitted",
    "messaging.outcomes_written",
]
RECONCILING = ["messaging.looked_up", "messaging.looked_up:2", "messaging.record_uncommitted:2"]
HEARING_OF_MESSAGES = ["messaging.record_uncommitted", "callbacks.receipt_written", "callbacks.receipt_written:4"]
CALLING = ["messaging.call_uncommitted", "callbacks.call_answered", "messaging.call_held"]  # died at in test_calls.py
READING_BILLS = ["costs.page_kept"]  # died at in test_costs.py
TELLING_CONSENTS = ["messaging.consents_sent"]  # died at in test_consents_told.py
HEARING_BY_MAIL = ["messaging.mail_uncommitted", "callbacks.mail_written"]
HEARING_FROM_PEOPLE = ["messaging.text_uncommitted", "callbacks.text_written"]
MAILING = ["events.jobs_deferred", "invoicing.mail_claimed", "invoicing.mail_sent", "invoicing.mail_written"]

TELLING = ["notifications.mail_sent"]
CLOSING_A_MONTH = ["statements.mail_sent"]
HEARING_OF_REVERSALS = ["topups.reversal_uncommitted"]
GIVING_BACK = ["topups.refund_intent_written", "topups.refund_answered", "topups.reversal_uncommitted"]

EVERYWHERE = [
    *(BUYING + AUTOMATIC + IMPORTING_WIRES + ADDING_A_CARD + HEARING_OF_MONEY + HEARING_OF_A_CARD + ACCEPTING + STOPPING),
    *(DISPATCHING + RECONCILING + HEARING_OF_MESSAGES + HEARING_FROM_PEOPLE + HEARING_BY_MAIL + MAILING + TELLING),
    *(CALLING + READING_BILLS + TELLING_CONSENTS + CLOSING_A_MONTH + HEARING_OF_REVERSALS + GIVING_BACK),
]


def test_every_crash_point_of_the_code_is_died_at() -> None:  # G2
    assert {name.partition(":")[0] for name in EVERYWHERE} == crash_points()


# Buying


@pytest.mark.parametrize("callbacks", ["heard", "lost"])
@pytest.mark.parametrize("point", [point for point in BUYING if point != "topups.outcome_uncommitted"])
def test_a_purchase_that_dies_charges_once_and_credits_once(house: House, harbour: Clinic, point: str, callbacks: str) -> None:
    _buy_and_die(house, harbour, point, lost=callbacks == "lost")


def test_a_purchase_that_dies_before_its_commit_leaves_nothing_half_done(house: House, harbour: Clinic) -> None:
    # Its event is lost: had it come first, there would be nothing left to write.
    _buy_and_die(house, harbour, "topups.outcome_uncommitted", lost=True)


def _buy_and_die(house: House, harbour: Clinic, point: str, *, lost: bool) -> None:
    card = saved_card(house.stage, harbour)
    if lost:
        house.simulator.control("POST", "/faults", {"service": "stripe", "fault": "lose", "match": {"event": "payment_intent.*"}})
    key, before = uuid4(), harbour.posted
    facts = _purchase(harbour, card.id)
    house.die("buy", facts | {"key": str(key)}, crash_at=point)
    house.let_time_pass(harbour)
    topups.buy(key=key, now=timezone.now(), **facts)  # the buyer presses again
    assert harbour.posted == before + 20 * MICROS
    assert len(house.charges(harbour)) == 1
    assert_all_is_right(house, harbour)


@pytest.mark.parametrize("point", AUTOMATIC)
def test_an_automatic_top_up_that_dies_charges_once_and_is_followed(house: House, harbour: Clinic, point: str) -> None:
    card = saved_card(house.stage, harbour)
    topups.buy(key=uuid4(), now=timezone.now(), **_purchase(harbour, card.id))
    low = Rule(True, harbour.posted + 10 * MICROS, "refill", 20 * MICROS, 100 * MICROS, 500 * MICROS)
    rule = {"customer_id": harbour.id, "wallet_id": harbour.pool.id}
    automation.save(**rule, rule=low, accepts_charge_micros=20 * MICROS, actor=harbour.actor, now=timezone.now())
    before = harbour.posted
    house.die("react", rule, crash_at=point)
    automation.react(**rule, now=timezone.now())  # the relay repeats itself
    house.let_time_pass(harbour)
    [bought] = [top_up for top_up in top_up_queries.top_ups(customer_id=harbour.id) if top_up.automatic]
    automation.follow(customer_id=harbour.id, top_up_id=bought.id, now=timezone.now())
    assert harbour.posted == before + 20 * MICROS
    assert len(house.charges(harbour)) == 2
    assert_all_is_right(house, harbour)


@pytest.mark.parametrize("heals", ["worker", "again"])
@pytest.mark.parametrize("point", IMPORTING_WIRES)
def test_an_import_that_dies_credits_each_entry_once(house: House, harbour: Clinic, point: str, heals: str) -> None:
    bank = Bank(account=f"DE{harbour.id:020d}{IMPORTING_WIRES.index(point)}{heals}")
    wires.set_account(account=bank.account, currency="USD", holder="Northlight Messaging")
    told = credit_by_wire.instructions(customer_id=harbour.id, wallet_id=harbour.pool.id, now=timezone.now())
    before = harbour.posted
    text = bank.mt940(*(Arrived(amount, (told.reference,)) for amount in ("20.00", "30.00", "30.00"))).decode()
    house.die("import_wires", {"account": bank.account, "text": text}, crash_at=point)
    if heals == "worker":
        house.start_worker()
        until(lambda: harbour.posted == before + 80 * MICROS, "the worker to credit what was written", house.said)
        house.stop_worker()
    assert house.act("import_wires", {"account": bank.account, "text": text}).returncode == 0
    assert harbour.posted == before + 80 * MICROS
    assert_all_is_right(house, harbour)


@pytest.mark.parametrize("point", HEARING_OF_MONEY)
def test_doors_that_die_over_an_event_hear_it_again_and_credit_once(house: House, harbour: Clinic, point: str) -> None:
    card, before = saved_card(house.stage, harbour), harbour.posted
    house.stage.settle()
    house.open_doors(crash_at=point)
    house.die("buy", _purchase(harbour, card.id) | {"key": str(uuid4())}, crash_at="payments.gateway_answered")
    house.wait_for_the_doors_to_die(point)
    house.open_doors()
    house.stage.settle()
    until(lambda: harbour.posted == before + 20 * MICROS, "the event to come again")
    assert_all_is_right(house, harbour)


@pytest.mark.parametrize("point", ADDING_A_CARD)
def test_a_visit_to_the_card_page_that_dies_leaves_nothing_in_the_way(house: House, harbour: Clinic, point: str) -> None:
    house.die("start_setup", {"customer_id": harbour.id, "url": house.stage.url}, crash_at=point)
    card = saved_card(house.stage, harbour)
    house.stage.settle()
    assert [method.id for method in payments.methods(customer_id=harbour.id)] == [card.id]


@pytest.mark.parametrize("point", HEARING_OF_A_CARD)
def test_doors_that_die_over_a_card_save_it_once(house: House, harbour: Clinic, point: str) -> None:
    house.open_doors(crash_at=point)
    setup_id = visit_card_page(house.stage, harbour)  # and the browser is closed: only the event tells of the card
    house.wait_for_the_doors_to_die(point)
    house.open_doors()
    house.stage.settle()
    until(lambda: len(payments.methods(customer_id=harbour.id)) == 1, "the event to come again")
    card = finish_setup(customer_id=harbour.id, setup_id=setup_id, now=timezone.now())
    assert [card] == payments.methods(customer_id=harbour.id)


@pytest.mark.parametrize("point", MAILING)
def test_an_invoice_is_mailed_at_least_once_and_its_mail_written_down_once(house: House, harbour: Clinic, point: str) -> None:
    card = saved_card(house.stage, harbour)
    topups.buy(key=uuid4(), now=timezone.now(), **_purchase(harbour, card.id))
    house.start_worker(crash_at=point)
    house.wait_for_the_worker_to_die(point)
    house.age_dead_workers()
    house.start_worker()
    until(lambda: _mailings(harbour) == 1, "the invoice to be mailed", house.said)
    [(invoice, times)] = house.mails(harbour).items()
    assert invoice.endswith("-000001")
    # Only a mail that left before it was written down may leave again; two jobs of one fact may cross.
    assert times == 1 or (times == 2 and point == "invoicing.mail_sent")
    until(lambda: _outbox(harbour) == 0, "the outbox to be empty")
    assert_all_is_right(house, harbour)


@pytest.mark.parametrize("point", TELLING)
def test_a_notice_is_mailed_at_least_once_and_written_down_once(house: House, harbour: Clinic, point: str) -> None:
    notifications.set_alerts(
        customer_id=harbour.id,
        wallet_id=harbour.pool.id,
        levels=[notifications.Level("money", 200 * MICROS)],
        actor=harbour.actor,
        now=timezone.now(),
    )
    house.start_worker(crash_at=point)
    house.wait_for_the_worker_to_die(point)
    house.age_dead_workers()
    house.start_worker()
    until(lambda: [row.mailed_at is None for row in notices(customer_id=harbour.id)] == [False], "the mail to go", house.said)


@pytest.mark.parametrize("point", CLOSING_A_MONTH)
def test_a_month_is_mailed_at_least_once_and_written_down_once(house: House, harbour: Clinic, point: str) -> None:
    now = timezone.now()
    closed = statements.close(
        customer_id=harbour.id, wallet_id=harbour.pool.id, month=now.date().replace(day=1), now=now + timedelta(days=40)
    )
    house.start_worker(crash_at=point)
    house.wait_for_the_worker_to_die(point)
    house.age_dead_workers()
    house.start_worker()
    until(lambda: _is_mailed(harbour, closed.month), "the mail to go", house.said)


def _is_mailed(clinic: Clinic, month: date) -> bool:
    found = statement_queries.statement(customer_id=clinic.id, wallet_id=clinic.pool.id, month=month)
    return found is not None and found.mailed_at is not None


@pytest.mark.parametrize("point", HEARING_OF_REVERSALS)
def test_doors_that_die_over_a_dispute_book_it_once(house: House, harbour: Clinic, point: str) -> None:
    card = saved_card(house.stage, harbour)
    before = harbour.posted
    bought = topups.buy(key=uuid4(), now=timezone.now(), **_purchase(harbour, card.id)).top_up
    house.stage.settle()
    house.open_doors(crash_at=point)
    paid = payments.payment(customer_id=harbour.id, payment_id=bought.payment_id).gateway_ref
    house.simulator.control("POST", "/disputes", {"payment_intent": paid})
    house.wait_for_the_doors_to_die(point)
    house.open_doors()
    house.stage.settle()
    until(lambda: harbour.posted == before, "the dispute to be booked")
    assert verify_all().ok


@pytest.mark.parametrize("callbacks", ["heard", "lost"])
@pytest.mark.parametrize("point", GIVING_BACK)
def test_a_refund_that_dies_gives_back_once_and_its_credit_is_never_spent_meanwhile(
    house: House, harbour: Clinic, point: str, callbacks: str
) -> None:
    if callbacks == "lost":
        house.simulator.control("POST", "/faults", {"service": "stripe", "fault": "lose", "match": {"event": "*refund*"}})
    # Heard, but not before the process has died: had its event come first, there would be nothing left to write.
    house.simulator.control("PATCH", "/settings", {"event_delay": 60})
    card, before = saved_card(house.stage, harbour), harbour.posted
    bought = topups.buy(key=uuid4(), now=timezone.now(), **_purchase(harbour, card.id)).top_up
    house.stage.settle()
    paid = bought.amount_micros // 2
    facts = {"customer_id": harbour.id, "top_up_id": bought.id, "paid_micros": paid, "reason": "Left", "actor": "operator:1"}
    house.die("give_back", facts | {"key": str(uuid4())}, crash_at=point)
    assert harbour.available <= before + bought.amount_micros - paid
    for minutes in (3, 6):
        refunds.resume(customer_id=harbour.id, now=timezone.now() + timedelta(minutes=minutes))
    house.stage.settle()
    assert (harbour.posted, harbour.held) == (before + bought.amount_micros - paid, 0)
    given = house.simulator.control("GET", "/log/payments")["refunds"]
    assert [row["amount"] * 10_000 for row in given if row["payment_intent"] == _ref(harbour, bought.payment_id)] == [paid]
    assert verify_all().ok


def _ref(clinic: Clinic, payment_id: int) -> str:
    return payments.payment(customer_id=clinic.id, payment_id=payment_id).gateway_ref


# Sending


@pytest.mark.parametrize("point", ACCEPTING)
def test_a_request_that_dies_is_repeated_with_its_key_and_sends_once(house: House, harbour: Clinic, point: str) -> None:
    _, secret = customers.create_api_key(
        customer_id=harbour.id, name="program", mode="live", scopes=SCOPES, now=timezone.now(), actor=harbour.actor
    )
    key, text = str(uuid4()), {"to": number(7), "text": "See you tomorrow at ten."}
    house.open_doors(crash_at=point)
    with pytest.raises((urllib.error.URLError, OSError)):
        house.post("/v1/messages", text, secret=secret, key=key)
    house.wait_for_the_doors_to_die(point)
    house.open_doors()
    first, again = (house.post("/v1/messages", text, secret=secret, key=key) for _ in range(2))
    assert first["id"] == again["id"]
    assert len(messages.messages(customer_id=harbour.id)) == 1
    assert harbour.held == PRICE + FEE
    dispatch_all(harbour.id)
    house.let_time_pass(harbour)
    assert_all_is_right(house, harbour)


@pytest.mark.parametrize("point", ACCEPTING)
def test_a_list_that_dies_is_repeated_with_its_key_and_sent_once(house: House, harbour: Clinic, point: str) -> None:
    facts = {"customer_id": harbour.id, "recipients": [number(n) for n in range(20)], "body": "Hello", "key": str(uuid4())}
    house.die("send_list", facts, crash_at=point)
    assert house.act("send_list", facts).returncode == 0
    assert len(messages.messages(customer_id=harbour.id)) == 20
    assert harbour.held == 20 * (PRICE + FEE)
    dispatch_all(harbour.id)
    house.let_time_pass(harbour)
    assert_all_is_right(house, harbour)
    assert len(house.carried(harbour)) == 20


@pytest.mark.parametrize("point", STOPPING)
def test_a_list_that_passes_a_limit_and_dies_sends_nothing_and_the_next_one_stops(
    house: House, harbour: Clinic, point: str
) -> None:  # I36
    facts = {"customer_id": harbour.id, "recipients": [number(n) for n in range(20)], "body": "Hello", "key": str(uuid4())}
    guard.set_limits(
        customer_id=harbour.id, unit="USD", most={"prefix": 19}, by_operator=True, actor="operator", now=timezone.now()
    )
    house.die("send_list", facts, crash_at=point)
    assert guarding.standing(customer_id=harbour.id) is None
    assert messages.messages(customer_id=harbour.id) == []
    assert house.act("send_list", facts).returncode != 0
    assert guarding.standing(customer_id=harbour.id) is not None
    assert messages.messages(customer_id=harbour.id) == []
    assert harbour.held == 0
    assert_all_is_right(house, harbour)


@pytest.mark.parametrize("callbacks", ["heard", "lost"])
@pytest.mark.parametrize("point", DISPATCHING)
def test_a_worker_that_dies_sends_nothing_twice_and_loses_nothing(
    house: House, harbour: Clinic, point: str, callbacks: str
) -> None:
    if callbacks == "lost":
        house.simulator.control("POST", "/faults", {"service": "twilio", "fault": "lose"})
    _send(house, harbour, 8)
    house.start_worker(crash_at=point)
    house.wait_for_the_worker_to_die(point)
    house.start_worker()
    until(lambda: _count(harbour, "queued") == 0, "the next worker to take what is left", house.said)
    until(lambda: _count(harbour, "sending") == _lost_leases(house, harbour), "the outcomes of what was sent", house.said)
    house.stop_worker()
    house.let_time_pass(harbour)
    assert_all_is_right(house, harbour)
    carried = len(house.carried(harbour))
    assert carried == 8 or point in ("messaging.claimed", "messaging.sent", "messaging.sent:3", "messaging.record_uncommitted")
    assert harbour.posted == 100 * MICROS - carried * (PRICE + FEE)


@pytest.mark.parametrize("point", RECONCILING)
def test_a_sweeper_that_dies_is_followed_by_one_that_finishes(house: House, harbour: Clinic, point: str) -> None:
    house.simulator.control("POST", "/faults", {"service": "twilio", "fault": "lose"})
    _send(house, harbour, 3)
    house.start_worker(crash_at="messaging.record_uncommitted")  # sent, and nobody wrote it down
    house.wait_for_the_worker_to_die("messaging.record_uncommitted")
    house.stage.settle()
    house.die("sweep", {"seconds": 120}, crash_at=point)
    house.let_time_pass(harbour)
    assert_all_is_right(house, harbour)


@pytest.mark.parametrize("point", HEARING_OF_MESSAGES)
def test_doors_that_die_over_receipts_hear_them_again_and_charge_once(house: House, harbour: Clinic, point: str) -> None:
    house.open_doors(crash_at=point)
    ids = _send(house, harbour, 6)
    dispatch_all(harbour.id)
    house.wait_for_the_doors_to_die(point)
    house.open_doors()
    house.stage.settle()
    until(lambda: _count(harbour, "delivered") == len(ids), "the receipts to come again")
    assert harbour.posted == 100 * MICROS - len(ids) * (PRICE + FEE)
    assert_all_is_right(house, harbour)


@pytest.mark.parametrize("point", HEARING_FROM_PEOPLE)
def test_a_stop_that_the_doors_died_over_is_obeyed(house: House, harbour: Clinic, point: str) -> None:  # I34
    house.open_doors(crash_at=point)
    house.simulator.control("POST", "/inbound", {"phone": number(3), "to": harbour.customer.sender, "body": "STOP"})
    house.wait_for_the_doors_to_die(point)
    house.open_doors()
    house.stage.settle()
    until(lambda: _rows(harbour, "consent_opt_out") == 1, "the word to come again")
    assert _rows(harbour, "messaging_inbound") == 1


@pytest.mark.parametrize("point", HEARING_BY_MAIL)
def test_an_email_that_the_mails_door_died_over_comes_again_and_is_kept_once(house: House, harbour: Clinic, point: str) -> None:
    house.stage.open_mail(crash_at=point)
    to = mailbox_of("Harbour", harbour.customer.number)
    house.simulator.control("POST", "/mail", {"mailbox": "ann@patients.example", "to": to, "text": "STOP", "files": {"a": "b"}})
    house.stage.wait_for_the_mail_to_die()
    house.stage.open_mail()
    house.stage.settle()
    until(lambda: _rows(harbour, "consent_opt_out") == 1, "the email to come again")
    assert (_rows(harbour, "messaging_inbound"), _rows(harbour, "messaging_media")) == (1, 1)


# Small parts


def _purchase(clinic: Clinic, method_id: int) -> dict[str, Any]:
    return {
        "customer_id": clinic.id,
        "wallet_id": clinic.pool.id,
        "method_id": method_id,
        "amount_micros": 20 * MICROS,
        "actor": clinic.actor,
    }


def _send(house: House, clinic: Clinic, count: int) -> list[int]:
    facts = {"customer_id": clinic.id, "recipients": [number(n) for n in range(count)], "body": f"Hello {uuid4()}"}
    done = house.act("send_list", facts | {"key": str(uuid4())})
    assert done.returncode == 0, done.stderr
    return [message.id for message in messages.messages(customer_id=clinic.id)]


def _count(clinic: Clinic, state: str) -> int:
    return len(messages.messages(customer_id=clinic.id, state=state, at_most=1_000))


def _lost_leases(house: House, clinic: Clinic) -> int:
    """What is still `sending` because the worker that had it died, not because the next one has it."""
    with scope.customer(clinic.id):
        return int(
            calls.value(
                "SELECT count(*) FROM messaging_message WHERE customer_id = %s AND state = 'sending' AND changed_at < %s",
                [clinic.id, house.worker_started],
            )
        )


def _mailings(clinic: Clinic) -> int:
    with scope.customer(clinic.id):
        return int(
            calls.value("SELECT count(*) FROM invoicing_mailing WHERE customer_id = %s AND sent_at IS NOT NULL", [clinic.id])
        )


def _outbox(clinic: Clinic) -> int:
    return _rows(clinic, "events_outbox")


def _rows(clinic: Clinic, table: str) -> int:
    with scope.customer(clinic.id):
        return int(calls.value(f"SELECT count(*) FROM {table} WHERE customer_id = %s", [clinic.id]))
