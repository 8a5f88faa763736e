"""Providers' bills are read once each, page by page, and what does not agree with the charges has its own line."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import ProgrammingError, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from postmeter.costs import operations, queries
from postmeter.costs.models import Billed as Row
from postmeter.costs.models import Run
from postmeter.db import calls, scope
from postmeter.messaging.models import Message
from postmeter.messaging.operations.accept import Submission, submit
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.providers import Billed, Reply, amount_micros, billing_provider
from postmeter.messaging.states import State
from tests.cast import FEE, PRICE, Cast, Clinic, number

TWILIO = billing_provider("twilio", {"base_url": "https://api.twilio.com", "account_sid": "AC1", "auth_token": "t"})
SINCH = billing_provider(
    "sinch",
    {
        "base_url": "https://fax.api.sinch.com",
        "project_id": "P1",
        "key_id": "k",
        "key_secret": "s",
        "callback_password": "p",
        "retries": "2",
    },
)
DAY = date(2026, 11, 23)


@pytest.fixture
def clinic(cast: Cast) -> Clinic:
    return cast.clinic()


@pytest.fixture
def provider() -> str:
    """One of its own for each test: bills are of the whole house."""
    return f"p{calls.next_id()}"


def sent(clinic: Clinic, provider: str, ref: str, *, state: State = State.DELIVERED, text: str = "Hello") -> int:
    """A text that went by this provider today."""
    now = timezone.now()
    [id_] = submit(Submission(clinic.id, [number(1)], [text], clinic.actor), now=now).ids
    with scope.customer(clinic.id):
        Message.objects.filter(customer_id=clinic.id, id=id_).update(state="sent", provider=provider)
    record(customer_id=clinic.id, facts=[Fact(id_, "callback", provider, state, ref, str(state), billable=True)], now=now)
    return id_


def told(provider: str, *records: Billed, day: date | None = None) -> int:
    with scope.every_customer():
        return operations.keep(provider=provider, day=day or timezone.now().date(), records=records, now=timezone.now())


def bill(ref: str, price: int | None = 4_000, units: int = 1, kind: str = "message", currency: str = "USD") -> Billed:
    return Billed(kind, ref, units, price, currency)


def lines(provider: str) -> list[tuple[str, str]]:
    found = queries.differences(provider=provider, day=timezone.now().date())
    return [(line.why, line.ref) for line in found]


def test_what_agrees_has_no_line(clinic: Clinic, provider: str) -> None:
    sent(clinic, provider, "SM1")
    assert told(provider, bill("SM1")) == 1
    assert lines(provider) == []
    totals = queries.totals(provider=provider, day=timezone.now().date())
    assert totals == {
        "records": 1,
        "billed": {"USD": 4_000},
        "fees": {},
        "charged": {"USD": PRICE + FEE},
        "differences": {},
    }


def test_each_sort_of_difference_has_a_line_of_its_own(clinic: Clinic, provider: str) -> None:  # F48
    for ref in ("agrees", "units", "loss", "nothing", "not_billed"):
        sent(clinic, provider, ref)
    sent(clinic, provider, "given_back", state=State.UNDELIVERED)
    told(
        provider,
        bill("agrees"),
        bill("units", units=2),
        bill("loss", price=PRICE + FEE + 1),
        bill("nothing", price=0),
        bill("given_back"),
        bill("stranger"),
    )
    assert lines(provider) == [
        ("unknown", "stranger"),
        ("not_billed", "not_billed"),
        ("billed_nothing", "nothing"),
        ("given_back", "given_back"),
        ("units", "units"),
        ("loss", "loss"),
    ]
    [unknown, *_] = queries.differences(provider=provider, day=timezone.now().date())
    assert unknown.words.startswith("Billed, and not ours") and unknown.customer_id is None
    told(provider, bill("not_billed"))  # its price came late
    assert ("not_billed", "not_billed") not in lines(provider)


def test_a_record_is_kept_once_and_a_price_that_changes_is_a_row_more(provider: str) -> None:
    assert told(provider, bill("SM1"), bill("SM2", price=None)) == 1  # what has no price yet is no row
    assert told(provider, bill("SM1"), bill("SM2", price=None)) == 0
    assert told(provider, bill("SM1", price=5_000), bill("SM2")) == 2
    assert told(provider, bill("SM1", price=3_000)) == 1
    assert told(provider, bill("SM1", price=5_000)) == 1
    with scope.every_customer():
        rows = Row.objects.filter(provider=provider, ref="SM1").order_by("nth").values_list("nth", "price_micros")
        assert list(rows) == [(1, 4_000), (2, 1_000), (3, -2_000), (4, 2_000)]
    assert queries.totals(provider=provider, day=timezone.now().date())["billed"] == {"USD": 9_000}


def test_carriers_fees_that_come_a_day_later_are_the_days_they_are_for(clinic: Clinic, provider: str) -> None:
    sent(clinic, provider, "SM1")
    today = timezone.now().date()
    fee = f"sms-messages-carrierfees {today}"
    told(provider, bill("SM1"))
    told(provider, bill(fee, price=3_000, kind="fee"))
    told(provider, bill(fee, price=4_500, kind="fee"))  # it grew
    totals = queries.totals(provider=provider, day=today)
    assert (totals["billed"], totals["fees"], totals["charged"]) == ({"USD": 4_000}, {"USD": 4_500}, {"USD": PRICE + FEE})
    [day] = [queries.Day(Run(provider=provider, day=today, nth=1, totals=totals))]
    assert day.rows == [("USD", 4_000, 4_500, PRICE + FEE, PRICE + FEE - 8_500)]
    assert lines(provider) == []


def test_rows_of_bills_never_change(provider: str) -> None:
    told(provider, bill("SM1"))
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic(), scope.every_customer():
        Row.objects.filter(provider=provider).update(price_micros=0)


def test_customers_do_not_see_what_carrying_costs(clinic: Clinic, provider: str) -> None:
    told(provider, bill("SM1"))
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic(), scope.customer(clinic.id):
        list(Row.objects.filter(provider=provider))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 20_000), st.integers(1, 3)), max_size=12),
    st.sets(st.sampled_from("abcdefgh"), max_size=8),
)
def test_whatever_is_told_the_sums_are_the_last_prices_and_the_charges(words: list[tuple[str, int, int]], ours: set[str]) -> None:
    provider = f"p{calls.next_id()}"
    clinic = Cast().clinic()
    for ref in sorted(ours):
        sent(clinic, provider, ref)
    for ref, price, units in words:
        told(provider, bill(ref, price=price, units=units))
    last = {ref: price for ref, price, _ in words}
    totals = queries.totals(provider=provider, day=timezone.now().date())
    assert sum(totals["billed"].values()) == sum(last.values())
    assert sum(totals["charged"].values()) == len(ours) * (PRICE + FEE)
    assert totals["records"] == len(ours | last.keys())
    assert totals["differences"].get("unknown", 0) == len(last.keys() - ours)
    assert totals["differences"].get("not_billed", 0) == len(ours - last.keys())


def test_a_day_is_read_when_it_is_over_and_again_when_late_prices_are_there(provider: str) -> None:
    over = datetime(2026, 11, 24, tzinfo=UTC)

    def due(hours: float) -> int | None:
        return dict(operations.due(provider=provider, now=over + timedelta(hours=hours))).get(DAY)

    assert [due(hours) for hours in (5, 6, 53, 54, 101, 102)] == [None, 1, 1, 2, 2, 3]
    with scope.every_customer():
        nothing = queries.totals(provider=provider, day=DAY)
        Run.objects.create(
            id=calls.next_id(), provider=provider, day=DAY, nth=1, started_at=over, finished_at=over, totals=nothing
        )
    assert [due(hours) for hours in (6, 53, 54)] == [None, None, 2]


# What providers answer, as their references show it


def test_twilios_messages_calls_and_fees_are_read() -> None:
    assert TWILIO is not None and TWILIO.bill_parts == 4
    asked = TWILIO.bill(0, DAY, "")
    assert asked.url == "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json?PageSize=1000&DateSent=2026-11-23"
    said = (
        b'{"messages": [{"sid": "SM1", "price": "-0.00750", "price_unit": "USD", "num_segments": "2", "direction": "outbound-api",'
        b' "status": "delivered"}, {"sid": "SM2", "price": null, "price_unit": "USD", "num_segments": "1", "direction": "inbound",'
        b' "status": "received"}, {"sid": "SM3", "price": null, "price_unit": "USD", "num_segments": "1", "status": "failed",'
        b' "direction": "outbound-api"}], "next_page_uri": "/2010-04-01/Accounts/AC1/Messages.json?Page=1&PageToken=PASM2"}'
    )
    page = TWILIO.billed(0, DAY, Reply(200, said))
    assert page is not None
    assert page.records == [
        Billed("message", "SM1", 2, 7_500, "USD"),
        Billed("received", "SM2", 1, None, "USD"),
        Billed("message", "SM3", 1, 0, "USD"),
    ]
    assert TWILIO.bill(0, DAY, page.next_page).url.endswith("/Messages.json?Page=1&PageToken=PASM2")
    called = b'{"calls": [{"sid": "CA1", "price": "-0.02800", "price_unit": "USD", "duration": "61", "status": "completed"}]}'
    page = TWILIO.billed(1, DAY, Reply(200, called))
    assert page is not None and page.records == [Billed("message", "CA1", 2, 28_000, "USD")]
    fees = b'{"usage_records": [{"category": "sms-messages-carrierfees", "count": "12", "price": "0.036", "price_unit": "usd"}]}'
    page = TWILIO.billed(2, DAY, Reply(200, fees))
    assert page is not None
    assert page.records == [Billed("fee", "sms-messages-carrierfees 2026-11-23", 12, 36_000, "USD")]


def test_sinchs_faxes_are_read_page_by_page() -> None:
    assert SINCH is not None
    said = (
        b'{"faxes": [{"id": "F1", "direction": "OUTBOUND", "numberOfPages": 3, "pagesSentSuccessfully": 2,'
        b' "price": {"amount": "0.0900", "currencyCode": "USD"}}, {"id": "F2", "direction": "INBOUND", "numberOfPages": 1}],'
        b' "pageNumber": 1, "totalPages": 2, "pageSize": 1000}'
    )
    page = SINCH.billed(0, DAY, Reply(200, said))
    assert page is not None and page.next_page == "2"
    assert page.records == [Billed("message", "F1", 2, 90_000, "USD"), Billed("received", "F2", 1, None, "USD")]
    assert "createTime=2026-11-23" in SINCH.bill(0, DAY, "2").url and "page=2" in SINCH.bill(0, DAY, "2").url


@pytest.mark.parametrize("reply", [Reply(500, b""), Reply(200, b"<html>"), Reply(200, b'{"messages": 5}'), Reply(401, b"{}")])
def test_an_answer_that_is_none_is_asked_for_again(reply: Reply) -> None:
    assert TWILIO is not None and SINCH is not None
    assert TWILIO.billed(0, DAY, reply) is None
    assert SINCH.billed(0, DAY, reply) is None


@pytest.mark.parametrize(
    ("said", "micros"), [("-0.0075", 7_500), ("0.00000012", 1), (None, None), ("", None), ("free", None), (0.5, 500_000)]
)
def test_amounts_are_read_as_they_are_written(said: object, micros: int | None) -> None:
    assert amount_micros(said) == micros
