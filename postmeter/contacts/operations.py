"""Every write about contacts."""

from datetime import datetime

from postmeter.contacts.models import Address, Contact
from postmeter.db import calls
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.refusals import BadInput, NotFound

NAME_AT_MOST = 200


@scoped
def of_address(*, customer_id: int, medium: str, value: str, actor: str, now: datetime) -> int:
    """The id of the contact with this address; one without a name is made where nobody has it yet (A-68: nobody is lost)."""
    found = (
        Address.objects.filter(customer_id=customer_id, medium=medium, value=value).values_list("contact_id", flat=True).first()
    )
    if found is not None:
        return found
    contact_id = calls.next_id()
    taken = calls.rows(
        """INSERT INTO contacts_address (customer_id, id, contact_id, medium, value, created_at)
           VALUES (%s, next_id(), %s, %s, %s, %s)
           ON CONFLICT (customer_id, medium, value) DO UPDATE SET value = excluded.value RETURNING contact_id""",
        [customer_id, contact_id, medium, value, now],
    )
    if taken[0][0] == contact_id:  # nobody was faster
        Contact.objects.create(customer_id=customer_id, id=contact_id, kind="unknown", name="", created_by=actor, created_at=now)
    return int(taken[0][0])


@scoped
def name_contact(*, customer_id: int, contact_id: int, name: str, kind: str, actor: str, now: datetime) -> Contact:
    """Say who this is. Raises BadInput and NotFound."""
    name = " ".join(name.split())
    if not name:
        raise BadInput("The name is missing.", field="name", remedy="Write who this is.")
    if len(name) > NAME_AT_MOST:
        raise BadInput("This name is too long.", field="name", remedy=f"Use at most {NAME_AT_MOST} letters.")
    if kind not in ("client", "contact"):
        raise BadInput("There is no such kind of contact.", field="kind", remedy="Choose client or contact.")
    contact = Contact.objects.select_for_update().filter(customer_id=customer_id, id=contact_id).first()
    if contact is None:
        raise NotFound("There is no such contact.")
    if (contact.name, contact.kind) != (name, kind):
        contact.name, contact.kind = name, kind
        contact.save(update_fields=["name", "kind"])
        events.record("contact.named", customer_id=customer_id, subject_id=contact_id, now=now, actor=actor)
    return contact
