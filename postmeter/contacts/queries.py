"""Reads of contacts."""

from collections.abc import Collection
from dataclasses import dataclass

from postmeter.contacts.models import Address, Contact
from postmeter.db.scope import scoped
from postmeter.kit.refusals import NotFound

FOUND_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Person:
    """A contact with its addresses."""

    id: int
    kind: str
    name: str
    phones: tuple[str, ...]
    emails: tuple[str, ...] = ()
    faxes: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        return (*self.phones, *self.emails, *self.faxes)

    @property
    def is_known(self) -> bool:
        return bool(self.name)


@scoped
def people(*, customer_id: int, contact_ids: Collection[int]) -> dict[int, Person]:
    """These contacts, by id."""
    reached: dict[tuple[int, str], list[str]] = {}
    rows = Address.objects.filter(customer_id=customer_id, contact_id__in=list(contact_ids)).order_by("id")
    for contact_id, medium, value in rows.values_list("contact_id", "medium", "value"):
        reached.setdefault((contact_id, medium), []).append(value)
    contacts = Contact.objects.filter(customer_id=customer_id, id__in=list(contact_ids))
    return {
        row.id: Person(
            row.id, row.kind, row.name, *(tuple(reached.get((row.id, medium), ())) for medium in ("phone", "email", "fax"))
        )
        for row in contacts
    }


@scoped
def person(*, customer_id: int, contact_id: int) -> Person:
    found = people(customer_id=customer_id, contact_ids=[contact_id]).get(contact_id)
    if found is None:
        raise NotFound("There is no such contact.")
    return found


@scoped
def emails_of(*, customer_id: int, phones: Collection[str]) -> dict[str, str]:
    """Where those whose contact has an email address too can be emailed, by telephone number."""
    owners = dict(
        Address.objects.filter(customer_id=customer_id, medium="phone", value__in=list(phones)).values_list("value", "contact_id")
    )
    emails: dict[int, str] = {}
    rows = Address.objects.filter(customer_id=customer_id, contact_id__in=set(owners.values()), medium="email").order_by("-id")
    for contact_id, value in rows.values_list("contact_id", "value"):
        emails[contact_id] = value  # the first that was kept stays last
    return {phone: emails[contact_id] for phone, contact_id in owners.items() if contact_id in emails}


@scoped
def addresses_beside(*, customer_id: int, medium: str, value: str) -> list[tuple[str, str]]:
    """Every medium and address of the contact that has this one, itself among them; itself alone where it is nobody's."""
    owners = Address.objects.filter(customer_id=customer_id, medium=medium, value=value).values("contact_id")
    rows = Address.objects.filter(customer_id=customer_id, contact_id__in=owners).order_by("id")
    return list(rows.values_list("medium", "value")) or [(medium, value)]


@scoped
def search(*, customer_id: int, text: str) -> list[int]:
    """Ids of the contacts whose name or address has this text in it; at most 200."""
    named = Contact.objects.filter(customer_id=customer_id, name__icontains=text).values_list("id", flat=True)
    digits = "".join(character for character in text if character.isdigit())
    looked = digits if len(digits) >= 3 and not any(character.isalpha() for character in text) else text.lower()
    reached = Address.objects.filter(customer_id=customer_id, value__contains=looked).values_list("contact_id", flat=True)
    return list(dict.fromkeys([*named[:FOUND_AT_MOST], *reached[:FOUND_AT_MOST]]))[:FOUND_AT_MOST]
