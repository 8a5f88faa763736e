"""Credit by bank transfer: each entry of the bank once, as received, to whom its reference names; the rest to a person. S-141, A-35."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import TypeVar

import psycopg
import pytest
from django.db import ProgrammingError, connection
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from postmeter.cli.checks import verify_all
from postmeter.db import calls, scope
from postmeter.events.models import Event
from postmeter.invoicing import queries as invoices
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from postmeter.payments import queries as payment_queries
from postmeter.payments import wires as bank_wires
from postmeter.payments.models import BankEntry
from postmeter.payments.wire import BadStatement, read
from postmeter.payments.wire.reference import reference_of
from postmeter.topups import bills, queries, wires
from postmeter.topups.wires import Imported, NoBankDetails
from postmeter.wallets import operations as wallet_operations
from tests.cast import Cast, Clinic, at
from tests.payments.bank import Arrived, Bank
from tests.topups.test_bills import issued, overdrawn

T = TypeVar("T")
FORMATS = ["camt053", "camt054", "mt940", "csv"]


@pytest.fixture
def bank() -> Bank:
    """A bank at which the operator has an account of its own for each test."""
    return opened()


def opened(currency: str = "USD") -> Bank:
    bank = Bank(account=f"DE{calls.next_id():020d}", currency=currency)
    bank_wires.set_account(account=bank.account, currency=currency, holder="Northlight Messaging", bic="COBADEFFXXX")
    return bank


def reference(clinic: Clinic) -> str:
    return wires.instructions(customer_id=clinic.id, wallet_id=clinic.pool.id, now=at()).reference


def imported(bank: Bank, data: bytes, name: str = "day", **options: object) -> Imported:
    return wires.import_statement(  # type: ignore[arg-type]
        file_name=name, data=data, actor="operator", now=timezone.now(), **({"account": bank.account} | options)
    )


def entries(bank: Bank) -> list[BankEntry]:
    with scope.every_customer():
        account = bank_wires.BankAccount.objects.get(account=bank.account)
        return list(BankEntry.objects.filter(bank_account_id=account.id).order_by("id"))


def reasons(bank: Bank) -> list[str]:
    return [entry.queued_for for entry in entries(bank) if entry.state == "queued"]


def paid(clinic: Clinic, amount: str = "50.00", ref: str = "", **more: object) -> Arrived:
    return Arrived(amount, (f"Credit {reference(clinic)}",), ref=ref, **more)  # type: ignore[arg-type]


def test_a_transfer_of_a_bills_very_amount_pays_it_and_any_other_is_credit(cast: Cast, bank: Bank) -> None:  # S-097 A-38
    clinic = overdrawn(cast, 50 * MICROS)
    bill = issued(clinic)
    imported(bank, bank.camt053(paid(clinic, "50.00", ref="A"), paid(clinic, "50.00", ref="B"), paid(clinic, "20.00", ref="C")))
    assert bills.bill(customer_id=clinic.id, bill_id=bill.id).state == "paid"
    assert clinic.posted == 70 * MICROS
    assert verify_all().ok


# Instructions


def test_each_wallet_has_one_reference_for_ever(cast: Cast, bank: Bank) -> None:  # S-141 A-35
    clinic, rival = cast.clinic(), cast.clinic()
    told = wires.instructions(customer_id=clinic.id, wallet_id=clinic.pool.id, now=at())
    assert bank.account in [account.account for account in told.accounts]
    assert {account.currency for account in told.accounts} == {"USD"}
    assert told.reference == reference(clinic) != reference(rival)
    with scope.customer(clinic.id):
        other = wallet_operations.open_wallet(customer_id=clinic.id, kind="user", unit="USD", now=at(), member_id=5)
    second = wires.instructions(customer_id=clinic.id, wallet_id=other.id, now=at())
    assert len({told.reference, second.reference, reference(rival)}) == 3
    with pytest.raises(NotFound):
        wires.instructions(customer_id=rival.id, wallet_id=clinic.pool.id, now=at())
    with pytest.raises(NoBankDetails):
        wires.instructions(customer_id=clinic.id, wallet_id=clinic.sandbox.id, now=at())


def test_a_first_look_by_many_at_once_makes_one_reference(cast: Cast, bank: Bank) -> None:
    clinic = cast.clinic()
    assert len(set(at_once(8, lambda: reference(clinic)))) == 1


def test_without_bank_details_in_the_currency_nobody_is_told_to_transfer(cast: Cast) -> None:  # S-141
    clinic = cast.clinic()
    with scope.customer(clinic.id):
        krona = wallet_operations.open_wallet(customer_id=clinic.id, kind="pool", unit="ISK", now=at())
    with pytest.raises(NoBankDetails, match="ISK"):
        wires.instructions(customer_id=clinic.id, wallet_id=krona.id, now=at())
    bank_wires.set_account(account="IS140159260076545510730339", currency="ISK", holder="Northlight Messaging")
    assert wires.instructions(customer_id=clinic.id, wallet_id=krona.id, now=at()).reference
    bank_wires.close_account(account="IS14 0159 2600 7654 5510 7303 39", currency="ISK", now=at())
    with pytest.raises(NoBankDetails):
        wires.instructions(customer_id=clinic.id, wallet_id=krona.id, now=at())


def test_a_bank_transfer_is_no_method_that_anybody_can_charge(cast: Cast, bank: Bank) -> None:  # S-141
    clinic = cast.clinic()
    reference(clinic)
    assert payment_queries.methods(customer_id=clinic.id) == []
    assert payment_queries.chargeable(customer_id=clinic.id, now=at()) == []


# What arrives


@pytest.mark.parametrize("how", FORMATS)
@pytest.mark.parametrize("amount", ["49.99", "0.01", "60000.00"])
def test_what_arrives_is_credited_as_received_with_its_invoice(
    cast: Cast, bank: Bank, how: str, amount: str
) -> None:  # A-35 A-22
    clinic = cast.clinic(credit_micros=0)
    done = imported(bank, getattr(bank, how)(paid(clinic, amount)))
    micros = int(amount.replace(".", "")) * 10_000
    assert (done.matched, done.credited, done.queued, done.known) == (1, 1, 0, 0)
    assert clinic.available == micros
    assert [invoice.total_micros for invoice in invoices.invoices(customer_id=clinic.id)] == [micros]
    [bought] = queries.history(customer_id=clinic.id)
    assert (bought.top_up.state, bought.payment.state, bought.method.kind, bought.method.brand) == (
        "succeeded",
        "succeeded",
        "wire",
        "Bank transfer",
    )
    assert verify_all().ok


def test_a_wire_pays_the_debt_first_and_arms_the_automatic_top_up(cast: Cast, bank: Bank) -> None:  # S-029
    clinic = cast.clinic(credit_micros=0)
    assert not queries.has_bought(customer_id=clinic.id)
    imported(bank, bank.mt940(paid(clinic)))
    assert queries.has_bought(customer_id=clinic.id)


@pytest.mark.parametrize("again", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("ref", ["", "2026112000017"])
def test_an_entry_that_comes_again_is_known_whatever_its_format(
    cast: Cast, bank: Bank, first: str, again: str, ref: str
) -> None:
    clinic = cast.clinic(credit_micros=0)
    day = [paid(clinic, ref=ref), Arrived("5.00", ("who is this",), ref=ref and f"{ref}8")]
    imported(bank, getattr(bank, first)(*day))
    done = imported(bank, getattr(bank, again)(*day))
    assert done.matched == 0
    assert clinic.available == 50 * MICROS
    assert len([entry for entry in entries(bank) if entry.state == "credited"]) == 1


def test_the_same_file_again_changes_nothing(cast: Cast, bank: Bank) -> None:
    clinic = cast.clinic(credit_micros=0)
    data = bank.mt940(paid(clinic), Arrived("5.00", ("who is this",)), paid(clinic, debit=True))
    assert imported(bank, data).queued == 2
    before = [(entry.id, entry.state) for entry in entries(bank)]
    done = imported(bank, data, name="another name")
    assert (done.matched, done.queued, done.known, done.credited) == (0, 0, 3, 0)
    assert [(entry.id, entry.state) for entry in entries(bank)] == before


@pytest.mark.parametrize("how", FORMATS)
def test_identical_twins_in_a_file_are_two_payments_and_known_as_two(cast: Cast, bank: Bank, how: str) -> None:
    clinic = cast.clinic(credit_micros=0)
    one, two, three = ([paid(clinic)] * count for count in (1, 2, 3))
    write = getattr(bank, how)
    assert imported(bank, write(*two)).matched == 2
    assert imported(bank, write(*one)).matched == 0
    assert imported(bank, write(*three)).matched == 1
    assert imported(bank, write(*three)).known == 3
    assert clinic.available == 150 * MICROS


def test_twins_with_names_of_their_own_are_told_apart_though_each_comes_in_a_file_of_its_own(cast: Cast, bank: Bank) -> None:
    clinic = cast.clinic(credit_micros=0)
    for ref in ("A1", "A2", "A1"):
        imported(bank, bank.camt054(paid(clinic, ref=ref)))
    assert clinic.available == 100 * MICROS


def test_two_customers_who_pay_the_same_on_one_day_are_not_taken_for_one(cast: Cast, bank: Bank) -> None:
    clinic, rival = cast.clinic(credit_micros=0), cast.clinic(credit_micros=0)
    imported(bank, bank.csv(paid(clinic, ref="POS")))
    imported(bank, bank.csv(paid(rival, ref="POS")))
    assert (clinic.available, rival.available) == (50 * MICROS, 50 * MICROS)


def test_what_may_be_known_under_another_name_is_never_credited_twice_by_itself(cast: Cast, bank: Bank) -> None:
    clinic = cast.clinic(credit_micros=0)
    imported(bank, bank.camt053(paid(clinic, ref="A1")))
    imported(bank, bank.mt940(paid(clinic, ref="9944")))
    assert clinic.available == 50 * MICROS
    assert reasons(bank) == ["perhaps_known"]


def test_the_same_file_imported_by_many_at_once_is_credited_once(cast: Cast, bank: Bank) -> None:
    clinic = cast.clinic(credit_micros=0)
    data = bank.mt940(paid(clinic), paid(clinic), Arrived("5.00", ("who is this",)))
    done = at_once(6, lambda: imported(bank, data))
    assert sum(each.matched for each in done) == 2
    assert sum(each.credited for each in done) == 2
    assert clinic.available == 100 * MICROS
    assert len(entries(bank)) == 3
    assert verify_all().ok


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_whatever_files_come_in_whatever_order_each_payment_is_credited_once(data: st.DataObject) -> None:
    bank, clinic = opened(), Cast().clinic(credit_micros=0)
    text = reference(clinic)
    amounts = data.draw(st.lists(st.sampled_from(["5.00", "7.00"]), min_size=1, max_size=5))
    booked = [Arrived(amount, (text,), ref=f"R{place}") for place, amount in enumerate(amounts)]
    shown: set[int] = set()
    for _ in range(data.draw(st.integers(1, 4))):
        part = sorted(data.draw(st.sets(st.integers(0, len(booked) - 1), min_size=1)))
        shown |= set(part)
        imported(bank, getattr(bank, data.draw(st.sampled_from(FORMATS)))(*(booked[place] for place in part)))
    # What a person has to look at is not credited yet; nothing is lost and nothing twice.
    looked_at = sum(entry.amount_micros for entry in entries(bank) if entry.state == "queued")
    expected = sum(int(amounts[place].replace(".", "")) * 10_000 for place in shown)
    assert clinic.available <= expected <= clinic.available + looked_at


# What a person must look at


def test_what_cannot_be_told_waits_for_a_person(cast: Cast, bank: Bank) -> None:
    clinic, rival = cast.clinic(credit_micros=0), cast.clinic(credit_micros=0)
    nobodys = reference_of(9_999_999_999)
    done = imported(
        bank,
        bank.camt053(
            Arrived("1.00", ("no reference",)),
            Arrived("2.00", (nobodys,)),
            Arrived("3.00", (f"{reference(clinic)} {reference(rival)}",)),
            paid(clinic, "4.00", reversal=True),
            paid(clinic, "5.00", debit=True),
            paid(clinic, "6.00", more="<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>"),
            Arrived("7.00", ("our rent",), debit=True),
        ),
    )
    assert reasons(bank) == ["no_reference", "unknown_reference", "ambiguous", "reversal", "reversal", "returned"]
    assert (done.queued, done.ignored, done.credited) == (6, 1, 0)
    assert clinic.available == rival.available == 0  # A reversal never debits by itself.


def test_money_of_another_currency_waits_for_a_person_and_is_never_converted(cast: Cast) -> None:
    clinic, bank = cast.clinic(credit_micros=0), opened()
    text = reference(clinic)
    euros = opened("EUR")
    imported(euros, euros.mt940(Arrived("50.00", (text,))))
    assert reasons(euros) == ["currency"]
    [entry] = entries(euros)
    with pytest.raises(BadInput, match="USD, not in EUR"):
        wires.assign(entry_id=entry.id, customer_id=clinic.id, reason="it is theirs", actor="operator", now=at())
    assert entries(euros)[0].state == "queued"
    assert clinic.available == 0
    assert bank.account != euros.account


def test_a_person_assigns_a_queued_entry_once_with_a_reason(cast: Cast, bank: Bank) -> None:
    clinic, rival = cast.clinic(credit_micros=0), cast.clinic(credit_micros=0)
    imported(bank, bank.mt940(Arrived("50.00", ("no reference",))))
    [entry] = [each for each in bank_wires.queue() if each.id in {row.id for row in entries(bank)}]

    def assign(customer: Clinic, reason: str = "They sent the receipt.") -> None:
        wires.assign(entry_id=entry.id, customer_id=customer.id, reason=reason, actor="operator", now=at())

    with pytest.raises(BadInput):
        assign(clinic, " ")
    assert clinic.available == 0

    def try_(customer: Clinic) -> bool:
        try:
            assign(customer)
        except Conflict:
            return False
        return True

    people = iter([clinic, rival] * 3)
    assert sum(at_once(6, lambda: try_(next(people)))) == 1
    assert clinic.available + rival.available == 50 * MICROS
    [kept] = entries(bank)
    assert (kept.state, kept.decided_by, kept.decision) == ("credited", "operator", "They sent the receipt.")
    with scope.customer(kept.customer_id or 0):
        event = Event.objects.get(customer_id=kept.customer_id, kind="wire.credited")
    assert (event.actor, event.data["decision"]) == ("operator", "They sent the receipt.")
    assert verify_all().ok


def test_a_dismissed_entry_is_decided_and_stays_known(cast: Cast, bank: Bank) -> None:
    clinic = cast.clinic(credit_micros=0)
    data = bank.mt940(Arrived("50.00", ("no reference",)))
    imported(bank, data)
    [entry] = entries(bank)
    with pytest.raises(BadInput):
        bank_wires.dismiss(entry_id=entry.id, reason="", actor="operator", now=at())
    bank_wires.dismiss(entry_id=entry.id, reason="Sent back.", actor="operator", now=at())
    assert imported(bank, data).known == 1
    assert [(row.state, row.decision) for row in entries(bank)] == [("dismissed", "Sent back.")]
    with pytest.raises(Conflict):
        wires.assign(entry_id=entry.id, customer_id=clinic.id, reason="x", actor="operator", now=at())
    with pytest.raises(NotFound):
        bank_wires.dismiss(entry_id=1, reason="x", actor="operator", now=at())


def test_a_reversal_is_never_credited(cast: Cast, bank: Bank) -> None:
    clinic = cast.clinic()
    imported(bank, bank.mt940(paid(clinic, reversal=True)))
    [entry] = entries(bank)
    before = clinic.posted
    with pytest.raises(Conflict, match="takes money back"):
        wires.assign(entry_id=entry.id, customer_id=clinic.id, reason="x", actor="operator", now=at())
    assert clinic.posted == before


# Whole files or nothing


def test_a_file_with_one_wrong_entry_imports_none(cast: Cast, bank: Bank) -> None:
    clinic = cast.clinic(credit_micros=0)
    data = bank.mt940(paid(clinic), paid(clinic, "51.00")).replace(b"C51,00", b"X51,00")
    with pytest.raises(BadStatement, match="day, line 7"):
        imported(bank, data)
    assert entries(bank) == []
    assert clinic.available == 0


def test_a_statement_of_an_account_that_is_not_ours_is_refused(cast: Cast, bank: Bank) -> None:
    clinic, stranger = cast.clinic(credit_micros=0), Bank(account="GB33BUKB20201555555555")
    with pytest.raises(BadStatement, match="GB33BUKB20201555555555 in USD is not an account of ours"):
        imported(bank, stranger.mt940(paid(clinic)))
    bank_wires.set_account(account=bank.account, currency="USD", holder="Northlight", also=["1002 0030/1234567"])
    local = Bank(account="10020030/1234567")
    assert imported(bank, local.mt940(paid(clinic))).credited == 1
    assert imported(bank, bank.camt053(paid(clinic))).known == 1


def test_a_file_that_was_cut_is_refused_unless_somebody_knows_why(cast: Cast, bank: Bank) -> None:
    clinic = cast.clinic(credit_micros=0)
    data = bank.mt940(paid(clinic)).replace(b":62F:C261120USD1050,00", b":62F:C261120USD2050,00")
    with pytest.raises(BadStatement, match="closing balance"):
        imported(bank, data)
    assert clinic.available == 0
    assert imported(bank, data, unbalanced=True).credited == 1


def test_all_real_mt940_files_import_or_are_refused_and_import_again_as_known() -> None:
    folder = os.environ.get("POSTMETER_REFERENCE_DATA")
    if not folder:
        pytest.skip("no reference data")
    files = sorted((Path(folder) / "mt940").glob("*/*.sta"))
    assert len(files) == 49
    took = arrived = 0
    for path in files:
        data = path.read_bytes()
        try:
            reading = read(data, path.name)
        except BadStatement:
            continue
        for account, currency in {(entry.account, entry.currency) for entry in reading.entries}:
            bank_wires.set_account(account=account, currency=currency, holder="A real bank's customer")

        def take(data: bytes = data, name: str = path.name) -> Imported:
            return wires.import_statement(file_name=name, data=data, actor="operator", now=at(), unbalanced=True)

        first, second = take(), take()
        assert first.queued + first.known + first.ignored == len(reading.entries)
        assert second.known + second.ignored == len(reading.entries)
        assert (first.credited, second.queued) == (0, 0)
        took += 1
        arrived += first.queued
    assert (took, arrived > 50) == (40, True)  # 68 credits and reversals, some in two files


# The wall, and the books


def test_a_customers_login_cannot_read_what_the_bank_told(cast: Cast, bank: Bank) -> None:
    clinic = cast.clinic(credit_micros=0)
    imported(bank, bank.mt940(paid(clinic)))
    with pytest.raises(ProgrammingError, match="permission denied"), scope.customer(clinic.id):
        list(BankEntry.objects.all())


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE payments_bank_entry SET amount_micros = amount_micros + 1 WHERE id = %(entry)s",
        "UPDATE payments_bank_entry SET state = 'dismissed' WHERE id = %(entry)s",
        "UPDATE payments_payment SET gateway_ref = '0' WHERE customer_id = %(customer)s AND gateway = 'wire'",
        "UPDATE topups_topup SET wallet_id = wallet_id + 1 WHERE customer_id = %(customer)s",
    ],
)
def test_verify_notices_a_wire_that_is_not_one_credit(database: str, cast: Cast, bank: Bank, harm: str) -> None:
    clinic = cast.clinic(credit_micros=0)
    imported(bank, bank.mt940(paid(clinic)))
    assert verify_all().ok
    facts = {"entry": entries(bank)[0].id, "customer": clinic.id}
    with psycopg.connect(database) as owner:
        owner.execute(harm, facts)  # type: ignore[arg-type]
        owner.commit()
        try:
            report = verify_all()
            assert clinic.id in {who for check in report.checks if check.room == "wires" for who, _ in check.wrong}
        finally:
            undo = {
                "amount_micros": "UPDATE payments_bank_entry SET amount_micros = amount_micros - 1 WHERE id = %(entry)s",
                "dismissed": "UPDATE payments_bank_entry SET state = 'credited' WHERE id = %(entry)s",
                "gateway_ref": "UPDATE payments_payment SET gateway_ref = %(entry)s::text WHERE customer_id = %(customer)s"
                " AND gateway = 'wire'",
                "wallet_id": "UPDATE topups_topup SET wallet_id = wallet_id - 1 WHERE customer_id = %(customer)s",
            }
            owner.execute(next(undo[word] for word in undo if word in harm), facts)  # type: ignore[arg-type]
    assert verify_all().ok


def test_an_entry_that_cannot_be_credited_keeps_no_other_waiting(
    cast: Cast, bank: Bank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clinic, rival = cast.clinic(credit_micros=0), cast.clinic(credit_micros=0)
    book = wires._book

    def refuse(entry: BankEntry, *rest: object) -> None:
        if entry.customer_id == clinic.id:
            raise RuntimeError("out of order")
        book(entry, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(wires, "_book", refuse)
        done = imported(bank, bank.mt940(paid(clinic), paid(rival)))
    assert (done.matched, done.credited) == (2, 1)
    assert (clinic.available, rival.available) == (0, 50 * MICROS)
    assert "could not be credited" in caplog.text
    assert wires.credit_matched(now=at() + timedelta(minutes=1)) == 1
    assert clinic.available == 50 * MICROS


def at_once(times: int, what: Callable[[], T]) -> list[T]:
    """Do it so many times at the same moment, each over a connection of its own."""
    start = Barrier(times)
    found: list[T] = []
    failed: list[BaseException] = []

    def one() -> None:
        start.wait()
        try:
            found.append(what())
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [Thread(target=one) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    return found
