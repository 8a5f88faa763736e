"""Months that are closed: they add up, go on where the last one ended, are closed and mailed once, and can be checked."""

import csv
import hashlib
import io
from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.core import mail as outbox
from django.db import ProgrammingError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from postmeter.db import calls, scope
from postmeter.events.models import Event
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from postmeter.ledger import operations as ledger
from postmeter.statements import documents, mail, months, operations, queries
from postmeter.statements.models import Statement
from postmeter.wallets import operations as wallets
from tests.cast import Cast, Clinic, at
from tests.invoicing.sellers import settle_in

MAY = date(2026, 5, 1)
NOW = datetime(2026, 6, 20, 12, tzinfo=UTC)


def give(clinic: Clinic, micros: int, at: datetime) -> None:
    with scope.customer(clinic.id):
        wallets.credit(
            customer_id=clinic.id, wallet=clinic.pool, source_kind="adjustment", amount_micros=micros, code="adjustment",
            ref_id=clinic.pool.id, transfer_ids=(calls.next_id(), calls.next_id()), now=at,
        )  # fmt: skip


def use(clinic: Clinic, micros: int, at: datetime) -> None:
    """Charge for something at that moment; of a code that no room checks against messages of its own."""
    with scope.customer(clinic.id):
        accounts = wallets.accounts(customer_id=clinic.id, wallet=clinic.pool)
        [hold] = calls.next_ids(1)
        ledger.hold(
            customer_id=clinic.id, now=at, debit_id=accounts.wallet, credit_id=accounts.usage, code="postage",
            expires_at=at + timedelta(days=1), ids=[hold], amounts_micros=[micros], refs=[hold],
        )  # fmt: skip
        ledger.resolve(customer_id=clinic.id, now=at, hold_ids=[hold], actions=[ledger.Action.POST], amounts_micros=[micros])


def month(clinic: Clinic, first: date = MAY, now: datetime = NOW) -> queries.Month:
    return queries.month(customer_id=clinic.id, wallet_id=clinic.pool.id, month=first, now=now)


def close(clinic: Clinic, first: date = MAY, now: datetime = NOW) -> Statement:
    return operations.close(customer_id=clinic.id, wallet_id=clinic.pool.id, month=first, now=now)


def mays(cast: Cast) -> Clinic:
    """A clinic in New York with something on both sides of May's edges there."""
    clinic = cast.clinic(credit_micros=0)
    give(clinic, 50 * MICROS, datetime(2026, 5, 1, 3, 59, 59, tzinfo=UTC))  # 30 April, 23:59:59
    give(clinic, 20 * MICROS, datetime(2026, 5, 1, 4, tzinfo=UTC))
    use(clinic, 7_900, datetime(2026, 5, 10, tzinfo=UTC))
    use(clinic, 7_900, datetime(2026, 5, 10, 1, tzinfo=UTC))
    use(clinic, MICROS, datetime(2026, 6, 1, 3, 59, 59, tzinfo=UTC))
    give(clinic, 5 * MICROS, datetime(2026, 6, 1, 4, tzinfo=UTC))
    return clinic


def test_a_month_is_the_customers_month_and_adds_up(cast: Cast) -> None:
    found = month(mays(cast))
    assert (found.opening_micros, found.closing_micros) == (50 * MICROS, 69 * MICROS - 15_800)
    assert [(group.code, group.count, group.amount_micros) for group in found.groups] == [
        ("adjustment", 1, 20 * MICROS), ("postage", 3, -MICROS - 15_800)
    ]  # fmt: skip
    assert [(day.day.day, day.code, day.count) for day in found.days] == [
        (1, "adjustment", 1),
        (9, "postage", 2),
        (31, "postage", 1),
    ]
    assert found.balances


@given(moves=st.lists(st.tuples(st.integers(0, 90 * 24 * 3600), st.integers(-5_000, 5_000).filter(bool)), max_size=25))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_months_follow_each_other_without_a_gap_and_each_adds_up(moves: list[tuple[int, int]]) -> None:
    clinic = Cast().clinic(credit_micros=0)
    give(clinic, 1 * MICROS, datetime(2026, 3, 2, tzinfo=UTC))
    for seconds, micros in sorted(moves):
        at = datetime(2026, 3, 10, tzinfo=UTC) + timedelta(seconds=seconds)
        give(clinic, micros, at) if micros > 0 else use(clinic, -micros, at)
    found = [month(clinic, date(2026, n, 1)) for n in (3, 4, 5, 6)]
    assert all(each.balances for each in found)
    assert [each.closing_micros for each in found[:-1]] == [each.opening_micros for each in found[1:]]
    assert sum(each.movements for each in found) == len(moves) + 1
    assert found[-1].closing_micros == clinic.posted


def test_a_month_is_closed_once_with_the_hash_of_its_file(cast: Cast) -> None:
    clinic = mays(cast)
    closed = close(clinic)
    assert close(clinic, now=NOW + timedelta(days=9)).id == closed.id
    found = month(clinic)
    file = b"".join(documents.csv_of(found))
    assert hashlib.sha256(file).hexdigest() == closed.sha256 == documents.sha256_of(found)
    rows = list(csv.reader(io.StringIO(file.decode("utf-8-sig"))))
    assert [row[2] for row in rows[1:]] == ["opening", "adjustment", "postage", "postage", "postage", "closing"]
    assert rows[-1][5] == rows[-2][5] == "68.9842"
    with scope.customer(clinic.id):
        assert Event.objects.filter(customer_id=clinic.id, kind="statement.closed").count() == 1


def test_a_movement_that_is_written_into_a_closed_month_shows(cast: Cast) -> None:
    clinic = mays(cast)
    closed = close(clinic)
    give(clinic, 10_000, datetime(2026, 5, 20, tzinfo=UTC))
    assert not month(clinic).balances
    assert documents.sha256_of(month(clinic)) != closed.sha256


def test_a_month_is_not_closed_before_it_is_over(cast: Cast) -> None:
    clinic = mays(cast)
    for early in (datetime(2026, 5, 31, 12, tzinfo=UTC), datetime(2026, 6, 1, 4, 59, tzinfo=UTC)):
        with pytest.raises(Conflict):
            close(clinic, now=early)
    with pytest.raises(BadInput):
        month(clinic, date(2026, 7, 1))
    with pytest.raises(NotFound):
        queries.month(customer_id=clinic.id, wallet_id=1, month=MAY, now=NOW)


def test_a_closed_month_cannot_be_changed(cast: Cast) -> None:
    clinic = mays(cast)
    closed = close(clinic)
    with pytest.raises(ProgrammingError, match="permission denied"), scope.customer(clinic.id):
        Statement.objects.filter(customer_id=clinic.id, id=closed.id).update(closing_micros=0)


def test_many_that_close_at_once_close_once(cast: Cast) -> None:
    clinic, start, found = mays(cast), Barrier(4), []

    def work() -> None:
        start.wait()
        try:
            found.append(close(clinic).id)
        finally:
            connection.close()

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_whoever_moves_loses_no_hour_between_two_months(cast: Cast) -> None:
    clinic = mays(cast)
    closed = close(clinic)
    settle_in(clinic, "AU", time_zone="Australia/Sydney")
    june = month(clinic, date(2026, 6, 1))
    assert (june.since, june.opening_micros) == (closed.until, closed.closing_micros)
    assert month(clinic).time_zone == "America/New_York"


def test_the_round_closes_what_is_over_and_catches_up(cast: Cast) -> None:
    clinic, soon = cast.clinic(), (at() + timedelta(days=35)).replace(day=20)
    assert operations.close_due(customer_id=clinic.id, now=at()) == [], "the wallet was not there last month"
    [first] = operations.close_due(customer_id=clinic.id, now=soon)
    assert operations.close_due(customer_id=clinic.id, now=soon) == []
    later = operations.close_due(customer_id=clinic.id, now=soon + timedelta(days=92))
    assert [row.month for row in later] == [month := months.after(first.month), month := months.after(month), months.after(month)]


def test_a_closed_month_is_mailed_once_with_its_hash(cast: Cast) -> None:
    clinic = mays(cast)
    closed = close(clinic)
    asked = {"customer_id": clinic.id, "statement_id": closed.id}
    assert operations.start_mailing(**asked, now=NOW)
    with pytest.raises(operations.BeingMailed):
        mail.send(**asked, now=NOW)
    later = NOW + operations.MAILING_LEASE
    assert [mail.send(**asked, now=later) for _ in range(2)] == [True, False]
    [sent] = [each for each in outbox.outbox if each.to == [clinic.customer.email]]
    for said in (closed.sha256, "Opening balance: $50.00", "Closing balance: $68.9842", "Postage: −$1.0158",
                 "/credit/statement/2026-05.csv"):  # fmt: skip
        assert said in str(sent.body)


def test_a_month_without_movements_is_closed_and_mails_nobody(cast: Cast) -> None:
    clinic = mays(cast)
    closed = close(clinic, date(2025, 1, 1))
    assert (closed.movements, mail.send(customer_id=clinic.id, statement_id=closed.id, now=NOW)) == (0, False)


def test_the_paper_says_what_the_data_says(cast: Cast) -> None:
    clinic = mays(cast)
    closed = close(clinic)
    paper = "".join(page.extract_text() for page in PdfReader(io.BytesIO(documents.pdf_of(month(clinic)))).pages)
    for said in ("May 2026", "$50.00", "$68.9842", "Postage", closed.sha256, "America/New_York"):
        assert said in paper.replace("\n", " ")


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "26-01", "2026-01-01", "", "２０26-01", "2026-00", "1999-01"])
def test_what_is_not_a_month_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        months.read(text)
