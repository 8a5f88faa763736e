"""Whom a customer writes to: nobody who writes first is lost, and nobody is two people."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from postmeter.contacts import operations, queries
from postmeter.contacts.models import Contact
from postmeter.db import scope
from postmeter.kit.refusals import BadInput, NotFound
from tests.cast import Cast, Clinic, at, number


def contact_of(clinic: Clinic, value: str) -> int:
    return operations.of_address(customer_id=clinic.id, medium="phone", value=value, actor="system", now=at())


def test_a_number_that_writes_first_is_an_unknown_contact_until_it_has_a_name(cast: Cast) -> None:  # S-038
    harbour = cast.clinic()
    contact_id = contact_of(harbour, number(1))
    assert contact_of(harbour, number(1)) == contact_id
    found = queries.person(customer_id=harbour.id, contact_id=contact_id)
    assert (found.kind, found.is_known, found.phones) == ("unknown", False, (number(1),))
    for _ in range(2):
        operations.name_contact(
            customer_id=harbour.id, contact_id=contact_id, name="  Ana   Silva ", kind="client", actor=harbour.actor, now=at()
        )
    found = queries.person(customer_id=harbour.id, contact_id=contact_id)
    assert (found.kind, found.name) == ("client", "Ana Silva")
    operations.name_contact(
        customer_id=harbour.id, contact_id=contact_id, name="Dr Silva", kind="contact", actor=harbour.actor, now=at()
    )
    assert queries.person(customer_id=harbour.id, contact_id=contact_id).kind == "contact"


def test_texts_from_a_new_number_at_once_make_one_contact(cast: Cast) -> None:
    harbour = cast.clinic()

    def once(_: int) -> int:
        try:
            return contact_of(harbour, number(2))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(once, range(16)))
    assert len(found) == 1
    with scope.customer(harbour.id):
        assert Contact.objects.filter(customer_id=harbour.id).count() == 1


@pytest.mark.parametrize(
    ("name", "kind", "field"), [(" ", "client", "name"), ("x" * 201, "client", "name"), ("Ana", "unknown", "kind")]
)
def test_a_name_that_is_none_is_refused_and_changes_nothing(cast: Cast, name: str, kind: str, field: str) -> None:
    harbour = cast.clinic()
    contact_id = contact_of(harbour, number(3))
    with pytest.raises(BadInput) as refused:
        operations.name_contact(
            customer_id=harbour.id, contact_id=contact_id, name=name, kind=kind, actor=harbour.actor, now=at()
        )
    assert refused.value.field == field
    assert not queries.person(customer_id=harbour.id, contact_id=contact_id).is_known


def test_contacts_are_found_by_name_and_number_and_only_ones_own(cast: Cast) -> None:
    harbour, rival = cast.clinic(), cast.clinic(name="Rival Physio")
    contact_id = contact_of(harbour, "+15550101234")
    operations.name_contact(
        customer_id=harbour.id, contact_id=contact_id, name="Ana Silva", kind="client", actor=harbour.actor, now=at()
    )
    for text in ("silva", "0101234", "+1 (555) 010-1234", "ANA"):
        assert queries.search(customer_id=harbour.id, text=text) == [contact_id], text
        assert queries.search(customer_id=rival.id, text=text) == []
    assert queries.search(customer_id=harbour.id, text="%") == []
    with pytest.raises(NotFound):
        queries.person(customer_id=rival.id, contact_id=contact_id)
