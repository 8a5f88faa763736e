"""Calls: what is heard, pressed and talked, against the simulator's telephones; every minute is held before it is talked."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connections
from django.utils import timezone

from postmeter.cli.checks import verify_all
from postmeter.consent.models import OptOut
from postmeter.customers import operations as customers
from postmeter.db import scope
from postmeter.kit.refusals import BadInput
from postmeter.messaging import calling, callsettings, queries, reconcile
from postmeter.messaging.callsettings import CallRules, Machines
from postmeter.messaging.explain import explain
from postmeter.messaging.models import Call, Inbound, Message
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.calling import instruct
from postmeter.messaging.providers import Heard
from postmeter.wallets import queries as wallet_queries
from tests.cast import Cast, Clinic, set_price
from tests.journeys.house import House
from tests.journeys.test_first_journey import dispatch_all
from tests.stage import until

MINUTE = 30_000
PRACTICE = "+15550107000"
RESPONDING = CallRules(responses=True, confirms=True, cancels=True, talk_number=PRACTICE)


@pytest.fixture(autouse=True)
def prices(harbour: Clinic) -> None:
    set_price(harbour, "voice", MINUTE)


def set_rules(clinic: Clinic, rules: CallRules = RESPONDING) -> None:
    callsettings.save(customer_id=clinic.id, wanted=rules, actor=clinic.actor, now=timezone.now())


def call(clinic: Clinic, last: str, *, text: str = "Your visit is on Tuesday at nine.", kind: str = "reminder") -> int:
    useful = timezone.now() + timedelta(days=1)
    asked = Submission(clinic.id, [f"+1555010{last}"], [text], clinic.actor, channel="voice", kind=kind, useful_until=useful)
    return submit(asked, now=timezone.now()).ids[0]


def carried(house: House, clinic: Clinic, sent: int) -> Message:
    """The call, when it is over."""
    dispatch_all(clinic.id)
    house.stage.settle()
    until(lambda: not queries.message(customer_id=clinic.id, message_id=sent).is_open, "the call to end")
    return queries.message(customer_id=clinic.id, message_id=sent)


def heard(house: House, last: str) -> str:
    said = house.simulator.control("GET", "/log?kind=call.said&limit=100000")["entries"]
    return " ".join(entry["words"] for entry in said if entry["to"].endswith(last))


def books_balance() -> bool:
    return not [(check.name, check.wrong) for check in verify_all().checks if check.wrong]


def test_a_call_is_heard_and_paid_by_its_minutes(house: House, harbour: Clinic) -> None:  # S-042 S-044 A-05
    before = harbour.posted
    sent = call(harbour, "7001")
    assert harbour.held == MINUTE
    ended = carried(house, harbour, sent)
    assert (ended.state, ended.charged_micros, harbour.held, before - harbour.posted) == ("delivered", MINUTE, 0, MINUTE)
    said = heard(house, "7001")
    assert said.startswith("This is an automated call from Harbour")
    assert "Your visit is on Tuesday at nine." in said
    assert "press 9" in said
    assert "To talk to us" not in said
    assert books_balance()


@pytest.mark.parametrize(
    ("last", "state", "minutes", "error"),
    [
        ("2200", "undelivered", 0, ""),
        ("2201", "undelivered", 0, ""),
        ("2202", "failed", 0, ""),
        ("2210", "delivered", 1, ""),
        ("2213", "delivered", 1, ""),  # F52: told twice
        ("0429", "delivered", 1, ""),  # F50
    ],
)
def test_a_call_that_nobody_answers_costs_nothing(
    house: House, harbour: Clinic, last: str, state: str, minutes: int, error: str
) -> None:  # S-042 A-05 F52
    before = harbour.posted
    sent = call(harbour, last)
    for _ in range(6):
        dispatch_all(harbour.id)
        with scope.customer(harbour.id):
            Message.objects.filter(customer_id=harbour.id, id=sent).update(due_at=timezone.now())
    ended = carried(house, harbour, sent)
    assert (ended.state, ended.charged_micros, ended.error_code) == (state, minutes * MINUTE, error)
    assert (harbour.held, before - harbour.posted) == (0, minutes * MINUTE)
    assert books_balance()


@pytest.mark.parametrize(
    ("machines", "state", "said", "unsaid"),
    [
        (Machines.SHORT, "delivered", "We have a message for you. Please call us at", "Your visit"),
        (Machines.WHOLE, "delivered", "Your visit is on Tuesday", "press"),
        (Machines.HANG_UP, "undelivered", "", "automated call"),
        (Machines.AS_PEOPLE, "delivered", "Your visit is on Tuesday", "We have a message for you"),
    ],
)
def test_a_machine_is_told_what_the_customer_wants_it_to_be_told(
    house: House, cast: Cast, machines: Machines, state: str, said: str, unsaid: str
) -> None:  # S-042 S-039
    clinic = cast.clinic()
    set_price(clinic, "voice", MINUTE)
    set_rules(clinic, CallRules(machines=machines))
    before = len(heard(house, "2203"))
    ended = carried(house, clinic, call(clinic, "2203"))
    words = heard(house, "2203")[before:]
    # The machine answered, so the provider bills the minute, whatever is left on it.
    assert (ended.state, ended.charged_micros) == (state, MINUTE)
    assert said in words and unsaid not in words
    assert (ended.error_code == "machine") is (machines is Machines.HANG_UP)


def test_keys_hear_it_again_confirm_and_cancel(house: House, harbour: Clinic) -> None:  # S-064 S-070 S-071 S-072
    set_rules(harbour)
    before = len(heard(house, "2204"))
    again, confirmed, cancelled = (call(harbour, last) for last in ("2204", "2205", "2206"))
    for sent in (again, confirmed, cancelled):
        carried(house, harbour, sent)
    assert heard(house, "2204")[before:].count("Your visit is on Tuesday") == 3
    assert "Thank you. We have noted that you confirm." in heard(house, "2205")
    assert "We have noted that you cancel" in heard(house, "2206")
    with scope.customer(harbour.id):
        noted = {row.sender: (row.channel, row.wish, row.text) for row in Inbound.objects.filter(customer_id=harbour.id)}
    assert noted == {
        "+15550102205": ("voice", "confirm", "Confirmed by key 2 on a call."),
        "+15550102206": ("voice", "cancel", "Cancelled by key 3 on a call."),
    }
    assert books_balance()


def test_who_presses_nine_is_called_no_more_though_texts_still_come(house: House, harbour: Clinic) -> None:  # A-74 S-039
    carried(house, harbour, call(harbour, "2207"))
    assert "You will get no more of these calls." in heard(house, "2207")
    with scope.customer(harbour.id):
        out = [(row.channel, row.address, row.source) for row in OptOut.objects.filter(customer_id=harbour.id)]
    assert out == [("voice", "+15550102207", "key")]
    with pytest.raises(BadInput, match="opted out"):
        call(harbour, "2207")
    assert submit(Submission(harbour.id, ["+15550102207"], ["Hi"], harbour.actor), now=timezone.now()).words == ["ok"]


@pytest.mark.parametrize("kind", ["ad_hoc", "form", "contact"])
def test_calls_that_somebody_wrote_are_not_answered_by_keys(house: House, cast: Cast, kind: str) -> None:  # S-066
    clinic = cast.clinic()
    set_price(clinic, "voice", MINUTE)
    set_rules(clinic)
    before = len(heard(house, "2208"))
    carried(house, clinic, call(clinic, "2208", kind=kind))
    words = heard(house, "2208")[before:]
    assert "To talk to us" not in words and "This key does nothing here." in words
    with scope.customer(clinic.id):
        assert not Message.objects.filter(customer_id=clinic.id, kind="talk").exists()


@pytest.mark.parametrize("kind", ["reminder", "notice", "billing", "late_payment"])
def test_all_four_automated_kinds_offer_to_talk(house: House, cast: Cast, kind: str) -> None:  # S-064 S-065 S-067
    clinic = cast.clinic()
    set_price(clinic, "voice", MINUTE)
    set_rules(clinic)
    before = len(heard(house, "7002"))
    carried(house, clinic, call(clinic, "7002", kind=kind))
    words = heard(house, "7002")[before:]
    assert "To talk to us, press 0." in words
    assert ("To confirm, press 2." in words) is (kind in ("reminder", "notice"))


class Passing:
    """Time that passes on a call, on our side as on the simulator's."""

    def __init__(self, house: House, clinic: Clinic, sent: int) -> None:
        self.house, self.clinic, self.sent, self.seconds = house, clinic, sent, 0
        house.simulator.control("POST", "/clock", {"rate": 0})

    def __enter__(self) -> "Passing":
        dispatch_all(self.clinic.id)
        self._wait()
        return self

    def __exit__(self, *failure: object) -> None:
        self.house.simulator.control("POST", "/clock", {"rate": 1})

    def _wait(self) -> None:
        def done() -> bool:
            pending = self.house.simulator.control("GET", "/idle")
            return not pending["due"] and not pending["under_way"]

        until(done, "the call to get on")

    def go_on(self, seconds: int, *, worker: bool = True) -> None:
        """With a worker that looks every fifteen seconds."""
        for _ in range(0, seconds, 15):
            self.seconds += 15
            self.house.simulator.control("POST", "/clock", {"advance": 15})
            self._wait()
            if worker:
                with scope.customer(self.clinic.id):
                    on = Call.objects.get(customer_id=self.clinic.id, id=self.sent)
                now = on.answered_at + timedelta(seconds=self.seconds)
                asyncio.run(calling.look_after(settings=settings.PROVIDERS, now=now))
                self._wait()

    def ends(self) -> Message:
        self.house.stage.settle()
        return queries.message(customer_id=self.clinic.id, message_id=self.sent)

    def leg(self) -> Message | None:
        with scope.customer(self.clinic.id):
            return Message.objects.filter(customer_id=self.clinic.id, kind="talk").first()


def test_who_presses_zero_talks_to_the_practice_as_long_as_both_legs_are_held(
    house: House, harbour: Clinic
) -> None:  # S-067 S-068 S-069 A-05 A-06 S-124
    set_rules(harbour)
    before = harbour.posted
    sent = call(harbour, "2208")
    with Passing(house, harbour, sent) as passing:
        passing.go_on(30)
        leg = passing.leg()
        assert leg is not None and (leg.recipient, leg.segments) == (PRACTICE, 5)
        assert harbour.held >= 2 * 5 * MINUTE
        assert harbour.posted == before  # nothing is charged while they talk
        passing.go_on(900)
    ended, leg = passing.ends(), passing.leg()
    assert leg is not None
    # Twelve minutes of talk, which was held for five at a time, and what was said before.
    assert (leg.state, leg.charged_micros) == ("delivered", 12 * MINUTE)
    assert (ended.state, ended.charged_micros) == ("delivered", 13 * MINUTE)
    assert (harbour.held, before - harbour.posted) == (0, 25 * MINUTE)
    limits = [entry["seconds"] for entry in house.simulator.control("GET", "/log?kind=call.limit")["entries"]]
    assert limits == sorted(limits) and limits[-1] >= 13 * 60
    assert "13 of 16 minutes were talked" in " ".join(explain(queries.trail(customer_id=harbour.id, message_id=sent)))
    assert books_balance()


def test_a_call_ends_with_a_word_when_no_more_is_covered(house: House, cast: Cast) -> None:  # A-05 S-001
    clinic = cast.clinic(credit_micros=2 * MINUTE)
    set_price(clinic, "voice", MINUTE)
    before = len(heard(house, "2209"))
    sent = call(clinic, "2209")
    with Passing(house, clinic, sent) as passing:
        passing.go_on(150)
    ended = passing.ends()
    assert (ended.state, ended.charged_micros, clinic.available, clinic.held) == ("delivered", 2 * MINUTE, 0, 0)
    assert "this call ends now" in heard(house, "2209")[before:]
    assert books_balance()


def test_nobody_is_put_through_where_both_legs_are_not_covered(house: House, cast: Cast) -> None:
    clinic = cast.clinic(credit_micros=9 * MINUTE)
    set_price(clinic, "voice", MINUTE)
    set_rules(clinic)
    before = len(heard(house, "2208"))
    ended = carried(house, clinic, call(clinic, "2208"))
    assert "We cannot connect you now. Please call us at 1 5 5 5" in heard(house, "2208")[before:]
    assert (ended.charged_micros, clinic.available, clinic.held) == (MINUTE, 8 * MINUTE, 0)
    with scope.customer(clinic.id):
        assert not Message.objects.filter(customer_id=clinic.id, kind="talk").exists()


def test_without_a_worker_a_call_ends_where_its_hold_ends(house: House, harbour: Clinic) -> None:
    sent = call(harbour, "2209")
    with Passing(house, harbour, sent) as passing:
        passing.go_on(120, worker=False)
    assert (passing.ends().charged_micros, harbour.held) == (MINUTE, 0)


def test_a_call_that_ran_past_its_hold_is_paid_in_full_and_may_bring_a_wallet_below_zero(
    house: House, cast: Cast
) -> None:  # F53 A-08
    clinic = cast.clinic(credit_micros=2 * MINUTE)
    set_price(clinic, "voice", MINUTE)
    ended = carried(house, clinic, call(clinic, "2211"))
    assert (ended.state, ended.segments, ended.charged_micros) == ("delivered", 3, 3 * MINUTE)
    assert (clinic.held, clinic.posted) == (0, -MINUTE)
    assert wallet_queries.balance(customer_id=clinic.id, wallet=clinic.pool).debt_micros == MINUTE
    assert books_balance()


def test_a_call_whose_end_nobody_told_is_asked_about(house: House, harbour: Clinic) -> None:  # F52
    sent = call(harbour, "2212")
    dispatch_all(harbour.id)
    house.stage.settle()
    assert queries.message(customer_id=harbour.id, message_id=sent).state == "sent"
    asyncio.run(reconcile.sweep_all(settings=settings.PROVIDERS, now=timezone.now() + timedelta(hours=2)))
    ended = queries.message(customer_id=harbour.id, message_id=sent)
    assert (ended.state, ended.charged_micros, harbour.held) == ("delivered", MINUTE, 0)


def test_a_call_that_was_made_without_an_answer_is_found_and_never_made_twice(house: House, harbour: Clinic) -> None:  # F41 F42
    house.simulator.control("POST", "/faults", {"service": "twilio", "fault": "lose", "match": {"number": "*0501"}})
    sent = call(harbour, "0501")
    dispatch_all(harbour.id)
    assert queries.message(customer_id=harbour.id, message_id=sent).state == "unknown"
    house.stage.settle()
    asyncio.run(reconcile.sweep_all(settings=settings.PROVIDERS, now=timezone.now()))
    ended = queries.message(customer_id=harbour.id, message_id=sent)
    assert (ended.state, ended.charged_micros) == ("delivered", MINUTE)
    made = house.simulator.control("GET", "/log?kind=call.accepted&limit=100000")["entries"]
    assert len([entry for entry in made if entry["to"].endswith("0100501") or entry["to"] == "+15550100501"]) == 1


def test_who_has_not_agreed_is_asked_on_a_call_and_then_called(house: House, cast: Cast) -> None:  # S-050 S-052 S-053 S-054
    clinic = cast.clinic()
    set_price(clinic, "voice", MINUTE)
    customers.switch_opt_in(customer_id=clinic.id, wanted=True, now=timezone.now(), actor=clinic.actor)
    house.simulator.control("POST", "/clock", {"rate": 1})
    sent = call(clinic, "2204")  # who presses 1
    before = len(heard(house, "2204"))
    dispatch_all(clinic.id)  # what waits has its question asked, which
    dispatch_all(clinic.id)  # goes out
    house.stage.settle()
    words = heard(house, "2204")[before:]
    assert "May we call you about your visits and bills?" in words and "Your visit" not in words
    assert "Thank you. We will call you." in words
    ended = carried(house, clinic, sent)
    assert ended.state == "delivered"
    assert "Your visit is on Tuesday" in heard(house, "2204")[before:]


@pytest.mark.parametrize("point", ["messaging.call_uncommitted", "callbacks.call_answered"])
def test_a_call_whose_doors_die_is_paid_by_its_minutes_and_says_why_nobody_heard_it(
    house: House, harbour: Clinic, point: str
) -> None:
    house.open_doors(crash_at=point)
    sent = call(harbour, "7003")
    dispatch_all(harbour.id)
    house.wait_for_the_doors_to_die(point)
    house.open_doors()
    ended = carried(house, harbour, sent)
    silent = point == "messaging.call_uncommitted"
    assert (ended.state, ended.error_code) == (("undelivered", "silent") if silent else ("delivered", ""))
    assert (ended.charged_micros, harbour.held) == (MINUTE, 0)
    assert books_balance()


def test_doors_that_die_while_they_put_somebody_through_leave_nothing_held(house: House, harbour: Clinic) -> None:
    set_rules(harbour)
    house.open_doors(crash_at="callbacks.call_answered:2")
    sent = call(harbour, "2208")
    dispatch_all(harbour.id)
    house.simulator.control("POST", "/flush")
    house.wait_for_the_doors_to_die("callbacks.call_answered:2")
    house.open_doors()
    ended = carried(house, harbour, sent)
    assert (ended.state, ended.charged_micros) == ("delivered", MINUTE)
    house.let_time_pass(harbour)  # the second leg was never called: asked about, then released
    assert harbour.held == 0
    assert books_balance()


def test_a_worker_that_dies_after_it_held_for_more_tells_the_provider_in_its_next_round(house: House, harbour: Clinic) -> None:
    sent = call(harbour, "2209")
    with Passing(house, harbour, sent) as passing:
        passing.go_on(15, worker=False)
        house.die("look_after", {"seconds": 45}, crash_at="messaging.call_held")
        assert harbour.held == 2 * MINUTE
        asyncio.run(calling.look_after(settings=settings.PROVIDERS, now=timezone.now() + timedelta(seconds=45)))
        assert harbour.held == 2 * MINUTE
        passing.go_on(120, worker=False)
    assert (passing.ends().charged_micros, harbour.held) == (2 * MINUTE, 0)
    assert books_balance()


def test_a_key_that_is_told_twice_at_once_puts_through_once(house: House, harbour: Clinic) -> None:
    set_rules(harbour)
    sent = call(harbour, "7004")
    with Passing(house, harbour, sent):
        pressed = Heard("CA1", key="0")

        def press(_: int) -> str:
            try:
                return instruct(customer_id=harbour.id, message_id=sent, heard=pressed, now=timezone.now()).connect_receipts
            finally:
                connections.close_all()

        with ThreadPoolExecutor(8) as pool:
            addresses = list(pool.map(press, range(8)))
        assert len(set(addresses)) == 1
        with scope.customer(harbour.id):
            assert Message.objects.filter(customer_id=harbour.id, kind="talk").count() == 1
    assert books_balance()
