"""What messages say is kept encrypted, each customer's with keys of its own: whoever reads the database reads no text."""

import asyncio
import logging
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from django.conf import settings
from django.db import connection

from postmeter.cli import postmeter, texts
from postmeter.cli.checks import verify_all
from postmeter.customers import bodies
from postmeter.customers.models import BodyKey
from postmeter.db import calls, scope
from postmeter.kit.refusals import Conflict
from postmeter.messaging import dispatch as dispatcher
from postmeter.messaging import inbox, queries
from postmeter.messaging.dispatch import Dispatcher
from postmeter.messaging.explain import explain
from postmeter.messaging.operations import dispatch, quote, sweep
from postmeter.messaging.operations.accept import Submission, submit, submit_together
from postmeter.messaging.operations.quote import Wanted
from tests.cast import Cast, Clinic, at, number
from tests.messaging.test_inbound import hear, threads

CANARY = "Fibromyalgia results are in, canary-4711"


def everything_written(clinic: Clinic) -> str:
    """All rows of all tables that hold this customer's, as the owner of the database reads them."""
    address = connection.settings_dict
    found = []
    with scope.every_customer(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'customer_id'"
        )
        for (table,) in cursor.fetchall():
            try:
                cursor.execute(f'SELECT t::text FROM "{table}" t WHERE customer_id = %s', [clinic.id])
            except psycopg.errors.InsufficientPrivilege as error:
                raise AssertionError(f"{table} of {address['NAME']} could not be read") from error
            found += [row[0] for row in cursor.fetchall()]
    return "\n".join(found)


def one_of_each(clinic: Clinic) -> None:
    """A text by every way in and out."""
    submit(Submission(clinic.id, [number(1)], [CANARY], clinic.actor), now=at())
    submit(Submission(clinic.id, [number(1), number(2)], [CANARY, CANARY], clinic.actor), now=at())
    submit_together([Submission(clinic.id, [number(n)], [CANARY], "key:1") for n in (3, 4)], now=at())
    made = quote.make(
        customer_id=clinic.id, wanted=[Wanted(number(5), CANARY + " — “quoted” " + "x" * 100)], actor=clinic.actor, now=at()
    )
    quote.send(customer_id=clinic.id, quote_id=made.id, actor=clinic.actor, now=at())
    hear(clinic, CANARY)
    hear(clinic, f"STOP texting me. {CANARY}", sender=number(6))


def test_no_text_stands_in_the_database_nor_in_the_log(cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
    """HIPAA 164.312(a)(2)(iv), S-039."""
    clinic = cast.clinic()
    with caplog.at_level(logging.DEBUG):
        one_of_each(clinic)
        dispatch.claim(customer_id=clinic.id, at_most=3, now=at())
    written = everything_written(clinic)
    assert "canary" not in written and "ibromyalgia" not in written
    assert written.count("\\x01") + written.count("\x01") >= 7, "they are there, sealed"
    assert "canary" not in caplog.text and number(1) not in caplog.text


def test_whoever_may_read_it_reads_it_as_it_was_written(cast: Cast) -> None:
    clinic = cast.clinic()
    one_of_each(clinic)
    sent = [message for message in queries.messages(customer_id=clinic.id) if message.kind != "answer"]
    assert {message.body[:40] for message in sent} == {CANARY}
    talk = threads(clinic)[-1]
    assert talk.last and talk.last.body == CANARY
    assert [line.said.text for line in inbox.lines(customer_id=clinic.id, conversation=talk)] == [CANARY]
    claimed = dispatch.claim(customer_id=clinic.id, at_most=100, now=at())
    assert {message.body[:40] for message in claimed if message.recipient != number(6)} == {CANARY}
    sweep.end_leases(customer_id=clinic.id, now=at() + 2 * dispatch.LEASE)
    assert {each.body[:40] for each in sweep.lost(customer_id=clinic.id, now=at()) if each.recipient != number(6)} == {CANARY}


def test_a_new_key_seals_from_now_on_and_the_old_ones_still_open(
    made_under_first: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = made_under_first
    before = bodies.seal(clinic.id, "before")
    _with_keys(monkeypatch, "second", "first")
    assert bodies.rotate(customer_id=clinic.id, now=at()) == 2
    after = bodies.seal(clinic.id, "after")
    _with_keys(monkeypatch, "second")  # the first one may go: nothing is kept under it any more
    assert (bodies.unseal(clinic.id, before), bodies.unseal(clinic.id, after)) == ("before", "after")
    with scope.customer(clinic.id):
        assert set(BodyKey.objects.filter(customer_id=clinic.id).values_list("under", flat=True)) == {"second"}


def _with_keys(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    both = {"second": bytes.fromhex("ab" * 32), "first": bytes.fromhex("cd" * 32)}
    monkeypatch.setattr(settings, "BODY_KEYS", {name: both[name] for name in names})
    bodies.forget()


@pytest.fixture
def made_under_first(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    _with_keys(monkeypatch, "first")
    return cast.clinic()


def test_without_the_installs_key_nothing_is_sealed_or_guessed(made_under_first: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = bodies.seal(made_under_first.id, "hello")
    _with_keys(monkeypatch, "second")
    for ask in (lambda: bodies.seal(made_under_first.id, "x"), lambda: bodies.unseal(made_under_first.id, kept)):
        with pytest.raises(Conflict) as refused:
            ask()
        assert "first" in str(refused.value)


def test_a_customer_whose_keys_are_removed_can_be_read_by_nobody(cast: Cast) -> None:
    clinic, other = cast.clinic(), cast.clinic(name="Rival Physio")
    kept, theirs = bodies.seal(clinic.id, "hello"), bodies.seal(other.id, "hello")
    bodies.rotate(customer_id=clinic.id, now=at())
    with scope.customer(clinic.id):
        BodyKey.objects.filter(customer_id=clinic.id).order_by("id")[0].delete()
    bodies.forget()
    assert bodies.unseal(clinic.id, kept) == bodies.GONE
    assert bodies.unseal(other.id, theirs) == "hello"


def test_whoever_was_a_customer_before_there_were_keys_gets_one_at_the_next_start(cast: Cast) -> None:
    clinic = cast.clinic()
    with scope.customer(clinic.id):
        BodyKey.objects.filter(customer_id=clinic.id).delete()
    bodies.forget()
    with pytest.raises(Conflict):
        bodies.seal(clinic.id, "hello")
    for _ in range(2):
        bodies.complete(customers=[clinic.id], now=at())
    assert bodies.unseal(clinic.id, bodies.seal(clinic.id, "hello")) == "hello"
    with scope.customer(clinic.id):
        assert BodyKey.objects.filter(customer_id=clinic.id).count() == 1


def test_a_text_from_before_there_were_keys_is_read_as_it_is(cast: Cast) -> None:
    assert bodies.unseal(cast.clinic().id, "plain") == "plain"


def test_the_command_rotates_one_or_all(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "connect", lambda: None)
    clinic = cast.clinic()
    done = CliRunner().invoke(postmeter, ["texts", "rotate", "--customer", str(clinic.customer.number)])
    assert done.exit_code == 0 and "new key" in done.output
    with scope.customer(clinic.id):
        assert BodyKey.objects.filter(customer_id=clinic.id).count() == 2
    refused: Any = CliRunner().invoke(postmeter, ["texts", "rotate", "--customer", "999999999"])
    assert "There is no customer" in str(refused.exception)


def test_a_text_that_nobody_can_read_is_not_sent_and_costs_nothing(cast: Cast) -> None:
    clinic = cast.clinic()
    broken, whole = (submit(Submission(clinic.id, [number(n)], ["Hello"], clinic.actor), now=at()).ids[0] for n in (7, 8))
    with scope.customer(clinic.id):
        calls.rows(
            "UPDATE messaging_message SET body = overlay(body placing 'AAAA' from 40) WHERE customer_id = %s AND id = %s",
            [clinic.id, broken],
        )
    assert [message.id for message in dispatch.claim(customer_id=clinic.id, at_most=10, now=at())] == [whole]
    told = queries.trail(customer_id=clinic.id, message_id=broken)
    assert (told.message.state, told.message.body) == ("failed", bodies.GONE)
    assert "nothing was sent" in " ".join(explain(told))
    assert clinic.held == 11_400
    assert verify_all().ok


def test_a_customer_whose_keys_cannot_be_opened_keeps_nobody_elses_messages(
    made_under_first: Clinic, cast: Cast, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits = submit(Submission(made_under_first.id, [number(9)], ["Hi"], "key:1", mode="test"), now=at()).ids[0]
    _with_keys(monkeypatch, "second")
    other = cast.clinic(name="Rival Physio")
    goes = submit(Submission(other.id, [number(9)], ["Hi"], "key:1", mode="test"), now=at()).ids[0]
    monkeypatch.setattr(dispatcher, "AWAY_SECONDS", 0.0)
    work = [made_under_first.id, other.id]
    asyncio.run(Dispatcher(settings={}, clock=at, work=lambda: work).drain())
    assert queries.message(customer_id=other.id, message_id=goes).state == "delivered"
    assert queries.message(customer_id=made_under_first.id, message_id=waits).state == "queued"
    assert f"messages of customer {made_under_first.id} cannot be claimed" in caplog.text
