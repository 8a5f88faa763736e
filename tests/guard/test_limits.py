"""What is open, what is counted, and what passes a limit."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction

from postmeter.customers.models import Role
from postmeter.db import calls, scope
from postmeter.guard import limits, operations, queries
from postmeter.guard.limits import LIMITS
from postmeter.guard.models import EVERYWHERE, Counter
from postmeter.guard.operations import LimitPassed, SendingStopped, TooOften
from postmeter.guard.queries import CountryClosed
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Refusal
from postmeter.messaging import queries as messages
from postmeter.messaging.operations import payers, quote
from postmeter.messaging.operations.accept import Accepted, NotCoveredList, Submission, submit, submit_together
from postmeter.messaging.operations.quote import Wanted
from tests.cast import FEE, PRICE, Cast, Clinic, number

EACH = PRICE + FEE
LONDON = "+447700900123"
NOON = datetime(2026, 11, 24, 17, 5, tzinfo=UTC)  # noon and five minutes at Harbour


def texts(clinic: Clinic, people: list[str], actor: str = "", **more: object) -> Submission:
    return Submission(clinic.id, people, ["Hello"] * len(people), actor or clinic.actor, **more)  # type: ignore[arg-type]


def scattered(count: int) -> list[str]:
    """Numbers of which no two have a prefix."""
    return [f"+1555{n:03d}0000" for n in range(count)]


def allow(clinic: Clinic, **most: int | None) -> None:
    operations.set_limits(customer_id=clinic.id, unit="USD", most=most, by_operator=True, actor="operator", now=NOON)
    payers.forget()


def counted(clinic: Clinic) -> dict[int, int]:
    """Messages by kind of counter."""
    with scope.customer(clinic.id):
        found: dict[int, int] = {}
        for kind, count in Counter.objects.filter(customer_id=clinic.id).values_list("kind", "messages"):
            found[kind] = found.get(kind, 0) + count
        return found


@pytest.fixture
def harbour(cast: Cast) -> Clinic:
    """A clinic as it begins: guarded like any other."""
    return cast.clinic(guarded=True)


# Countries


def test_a_new_customer_writes_to_its_own_country_and_to_another_once_it_is_opened(harbour: Clinic) -> None:
    with pytest.raises(CountryClosed) as refused:
        submit(texts(harbour, [LONDON]), now=NOON)
    assert "United Kingdom" in refused.value.text
    assert submit(texts(harbour, [number(1)]), now=NOON).words == ["ok"]
    operations.set_countries(customer_id=harbour.id, opened=["GB"], actor=harbour.actor, now=NOON)
    payers.forget()
    assert submit(texts(harbour, [LONDON]), now=NOON).words == ["ok"]
    operations.set_countries(customer_id=harbour.id, opened=[], actor=harbour.actor, now=NOON)
    payers.forget()
    with pytest.raises(CountryClosed):
        submit(texts(harbour, [LONDON]), now=NOON)


def test_what_is_open_everywhere_reaches_every_country_that_has_a_price(harbour: Clinic) -> None:
    operations.set_countries(customer_id=harbour.id, opened=[EVERYWHERE], actor=harbour.actor, now=NOON)
    assert submit(texts(harbour, [LONDON]), now=NOON).words == ["ok"]
    with pytest.raises(BadInput, match="no price"):
        submit(texts(harbour, ["+61491570156"]), now=NOON)


def test_a_customer_from_before_the_guard_keeps_every_country(harbour: Clinic) -> None:
    from importlib import import_module

    migration = import_module("postmeter.guard.migrations.0001_initial")
    statement = migration.OPEN_AS_BEFORE.rstrip() + f" WHERE id = {harbour.id}"
    with scope.customer(harbour.id):
        calls.rows(statement)
    assert queries.opened_countries(customer_id=harbour.id) == {EVERYWHERE}
    assert submit(texts(harbour, [LONDON]), now=NOON).words == ["ok"]


def test_a_quote_leaves_a_closed_country_out_and_its_next_one_looks_again(harbour: Clinic) -> None:
    wanted = [Wanted(number(1), "Hello"), Wanted(LONDON, "Hello")]
    made = quote.make(customer_id=harbour.id, wanted=wanted, actor=harbour.actor, now=NOON)
    assert (made.recipients, made.excluded) == (1, 1)
    operations.set_countries(customer_id=harbour.id, opened=["GB"], actor=harbour.actor, now=NOON)
    payers.forget()
    again = quote.again(customer_id=harbour.id, quote_id=made.id, actor=harbour.actor, now=NOON)
    assert (again.recipients, again.excluded) == (2, 0)


def test_what_is_no_country_is_refused_by_name(harbour: Clinic) -> None:
    with pytest.raises(BadInput, match="XX is no country"):
        operations.set_countries(customer_id=harbour.id, opened=["GB", "XX"], actor=harbour.actor, now=NOON)
    assert queries.opened_countries(customer_id=harbour.id) == set()


def test_the_sandbox_is_neither_limited_nor_counted(harbour: Clinic) -> None:
    people = [number(1)] * 50 + [LONDON]
    assert submit(texts(harbour, people, mode="test"), now=NOON).words == ["ok"] * 51
    assert counted(harbour) == {}


# Numbers


def test_a_number_gets_ten_messages_in_ten_minutes_and_more_in_the_next_ten(harbour: Clinic) -> None:
    for _ in range(10):
        submit(texts(harbour, [number(1)]), now=NOON)
    with pytest.raises(TooOften) as refused:
        submit(texts(harbour, [number(1)]), now=NOON)
    assert refused.value.remedy == "Send it after 12:10 EST."
    assert number(1) in refused.value.text
    assert submit(texts(harbour, [number(2)]), now=NOON).words == ["ok"]
    assert submit(texts(harbour, [number(1)]), now=NOON + timedelta(minutes=5)).words == ["ok"]
    assert queries.standing(customer_id=harbour.id) is None, "this limit stops nobody else"


def test_a_number_gets_three_codes_and_reminders_beside_them(harbour: Clinic) -> None:
    for _ in range(3):
        submit(texts(harbour, [number(1)], kind="code"), now=NOON)
    with pytest.raises(TooOften, match="3 one-time codes"):
        submit(texts(harbour, [number(1)], kind="code"), now=NOON)
    assert submit(texts(harbour, [number(1)]), now=NOON).words == ["ok"]


def test_a_long_list_with_a_number_too_often_in_it_is_refused_whole(harbour: Clinic) -> None:
    with pytest.raises(TooOften):
        submit(texts(harbour, scattered(200) + [number(1)] * 11), now=NOON)
    assert messages.messages(customer_id=harbour.id) == []
    assert harbour.held == 0


def test_of_singles_that_are_accepted_together_exactly_the_limit_goes(harbour: Clinic) -> None:
    many = [texts(harbour, [number(1)]) for _ in range(15)] + [texts(harbour, [number(2)])]
    answers = submit_together(many, now=NOON)
    assert [isinstance(answer, Accepted) for answer in answers] == [True] * 10 + [False] * 5 + [True]
    assert {type(answer) for answer in answers if isinstance(answer, Refusal)} == {TooOften}
    assert harbour.held == 11 * EACH


def test_what_was_accepted_before_keeps_its_answer_beside_what_is_too_many(harbour: Clinic) -> None:
    key = uuid4()
    known = texts(harbour, [number(1)], key=key, digest=key)
    [first] = submit_together([known], now=NOON)
    assert isinstance(first, Accepted)
    many = [texts(harbour, [number(1)]) for _ in range(10)]
    *answers, sandbox, again = submit_together([*many, texts(harbour, [number(1)], mode="test"), known], now=NOON)
    assert [type(answer) for answer in answers] == [Accepted] * 9 + [TooOften]
    assert isinstance(sandbox, Accepted) and isinstance(again, Accepted)
    assert again.ids == first.ids


# Counting


def test_a_list_counts_once_however_often_it_is_repeated(harbour: Clinic) -> None:
    key = uuid4()
    for _ in range(3):
        submit(texts(harbour, scattered(3), key=key, digest=key), now=NOON)
    assert counted(harbour) == {1: 3, 2: 3, 4: 3, 5: 3}
    again = texts(harbour, [number(7)], key=uuid4(), digest=key)
    for _ in range(3):
        submit_together([again], now=NOON)
    assert counted(harbour) == {1: 4, 2: 4, 4: 4, 5: 4}


def test_what_credit_did_not_cover_is_not_counted(cast: Cast) -> None:
    harbour = cast.clinic(credit_micros=2 * EACH, guarded=True)
    with pytest.raises(NotCoveredList):
        submit(texts(harbour, scattered(3)), now=NOON)
    assert counted(harbour) == {}
    submit_together([texts(harbour, [one]) for one in scattered(3)], now=NOON)
    assert counted(harbour)[1] == 2


def test_a_roll_back_un_counts(harbour: Clinic) -> None:
    class Broken(Exception):
        pass

    with pytest.raises(Broken), transaction.atomic():
        submit(texts(harbour, scattered(3)), now=NOON)
        raise Broken
    assert counted(harbour) == {}


def test_numbers_stand_in_the_counters_as_hashes_only(harbour: Clinic) -> None:
    submit(texts(harbour, [number(1)]), now=NOON)
    with scope.customer(harbour.id):
        kept = calls.value("SELECT string_agg(c::text, ' ') FROM guard_counter c WHERE customer_id = %s", [harbour.id])
    assert number(1)[1:] not in kept and number(1)[1:-4] not in kept


def test_old_counters_are_forgotten(harbour: Clinic) -> None:
    submit(texts(harbour, [number(1)]), now=NOON)
    operations.forget_old(customer_id=harbour.id, before=NOON - operations.KEPT_FOR)
    assert counted(harbour)
    operations.forget_old(customer_id=harbour.id, before=NOON + timedelta(days=2) - operations.KEPT_FOR)
    assert counted(harbour) == {}


def test_no_customer_counts_towards_anothers_limit(cast: Cast, harbour: Clinic) -> None:
    rival = cast.clinic(name="Rival", guarded=True)
    for clinic in (harbour, rival):
        allow(clinic, customer=5)
    together = [texts(clinic, [one]) for one in scattered(6) for clinic in (harbour, rival)]
    answers = submit_together(together[:-2], now=NOON)
    assert all(isinstance(answer, Accepted) for answer in answers)
    assert isinstance(submit_together(together[-2:-1], now=NOON)[0], LimitPassed)
    assert queries.standing(customer_id=harbour.id) and queries.standing(customer_id=rival.id) is None
    assert counted(rival) == {1: 5, 2: 5, 4: 5, 5: 5}


# Races


@pytest.mark.parametrize("name", ["customer", "member", "prefix"])
def test_of_lists_at_once_exactly_the_limit_goes_and_the_breaker_opens_once(harbour: Clinic, name: str) -> None:
    allow(harbour, **{name: 60})

    def send(n: int) -> bool:
        try:
            submit(texts(harbour, [number(10 * n + i) for i in range(10)]), now=NOON)
            return True
        except (LimitPassed, SendingStopped):
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        went = sum(pool.map(send, range(20)))
    assert went == 6
    assert harbour.held == 60 * EACH
    assert counted(harbour)[1] == 60
    assert len(queries.history(customer_id=harbour.id)) == 1
    with scope.customer(harbour.id):
        assert (
            calls.value("SELECT count(*) FROM events_event WHERE customer_id = %s AND kind = 'guard.opened'", [harbour.id]) == 1
        )


def test_lists_in_both_directions_never_wait_for_each_other_crosswise(harbour: Clinic) -> None:
    people = scattered(40)

    def send(n: int) -> str:
        try:
            return submit(texts(harbour, people if n % 2 else people[::-1]), now=NOON).words[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, range(8))) == ["ok"] * 8


def test_the_last_of_a_number_goes_to_one_of_many_at_once(harbour: Clinic) -> None:
    def send(n: int) -> bool:
        try:
            return submit(texts(harbour, [number(1)]), now=NOON).words == ["ok"]
        except TooOften:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(24))) == 10


# Limits


def test_money_is_limited_by_member_and_what_is_free_is_not(cast: Cast, harbour: Clinic) -> None:
    allow(harbour, member_spend=10 * EACH)
    sam = cast.member(harbour, Role.SENDER)
    assert submit(texts(harbour, scattered(10)), now=NOON).words == ["ok"] * 10
    free = operations.Use(
        queries.rules(customer=harbour.customer, customer_id=harbour.id, unit="USD"), harbour.actor, [number(9)], 0
    )
    with scope.customer(harbour.id):
        operations.count([free], now=NOON)
    assert submit(texts(harbour, [number(1)], actor=f"member:{sam.member_id}"), now=NOON).words == ["ok"], "each has their own"
    with pytest.raises(LimitPassed, match=r"\$0.1140 a day by one member"):
        submit(texts(harbour, [number(2)]), now=NOON)


def test_the_day_begins_where_the_customer_is(harbour: Clinic) -> None:
    allow(harbour, customer=1)
    late = datetime(2026, 11, 25, 4, 59, tzinfo=UTC)  # a minute before midnight at Harbour
    submit(texts(harbour, [number(1)]), now=late)
    assert submit(texts(harbour, [number(2)]), now=late + timedelta(minutes=2)).words == ["ok"]


def test_a_customer_lowers_its_limits_and_only_the_operator_raises_them(harbour: Clinic) -> None:
    def own(most: int | None) -> None:
        operations.set_limits(
            customer_id=harbour.id, unit="USD", most={"key": most}, by_operator=False, actor=harbour.actor, now=NOON
        )

    def holds() -> int:
        return queries.limits(customer_id=harbour.id, unit="USD")["key"]

    own(100)
    assert holds() == 100
    with pytest.raises(BadInput, match="At most 20,000 messages a day by one API key"):
        own(20_001)
    allow(harbour, key=50_000)
    own(30_000)
    assert holds() == 30_000
    own(None)
    assert holds() == 50_000
    allow(harbour, key=None)
    assert holds() == LIMITS["key"].usual
    for wrong in (0, -1, 10**10):
        with pytest.raises(BadInput):
            allow(harbour, key=wrong)
    with pytest.raises(BadInput, match="no such limit"):
        allow(harbour, nonsense=1)


def test_every_unit_has_a_usual_amount_of_about_the_same_worth() -> None:
    limit = LIMITS["key_spend"]
    assert limits.usual(limit, "USD") == 500 * MICROS
    assert limits.usual(limit, "JPY") == 50_000 * MICROS
    assert limits.usual(limit, "SMS") == 5_000 * MICROS
    assert limits.usual(LIMITS["key"], "JPY") == 20_000


def test_a_day_of_25_hours_is_one_day() -> None:
    limit = LIMITS["customer"]
    first = datetime(2026, 11, 1, 5, 0, tzinfo=UTC)
    begun = {limits.bucket(limit, first + timedelta(hours=n), "America/New_York") for n in range(24)}
    assert len(begun) == 1
    [day] = begun
    assert limits.ends(limit, day).astimezone(UTC) == datetime(2026, 11, 2, 5, 0, tzinfo=UTC)
