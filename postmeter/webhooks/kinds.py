"""What customers' systems can be told: kinds of facts, and which of a fact's figures leave the house."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from postmeter.db.public_ids import public_ids


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fact is about (its name and the prefix of its public id) and which of its data are told; the rest stays here."""

    words: str
    subject: str
    prefix: str
    fields: tuple[str, ...] = ()


KINDS = {
    "top_up.succeeded": Kind("Credit was bought", "top_up", "TU", ("amount_micros",)),
    "top_up.failed": Kind("A purchase failed", "top_up", "TU", ("code",)),
    "top_up.reversed": Kind("A payment was taken back, or given again", "top_up", "TU", ("kind", "is_back", "amount_micros")),
    "automation.failed": Kind("No card would pay an automatic top-up", "wallet", "WA", ("reason", "strikes", "try_after")),
    "automation.paused": Kind("The automatic top-up is paused", "wallet", "WA", ("reason",)),
    "automation.capped": Kind("The automatic top-up has reached its cap", "wallet", "WA", ("cap", "amount", "opens_at")),
    "payment_method.cooled": Kind("A payment method was declined", "payment_method", "PM", ("code", "until", "needs_person")),
    "invoice.issued": Kind("A document was issued", "invoice", "IN"),
    "bill.issued": Kind("A month below zero was billed", "bill", "BI"),
    "customer.suspended": Kind("Sending is suspended", "customer", "CU", ("reason",)),
    "customer.reinstated": Kind("Sending goes on", "customer", "CU"),
}
TEST = "webhook.test"


def body_of(kind: str, *, subject_id: int, data: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """The payload, as Standard Webhooks has it: type, timestamp, data."""
    known = KINDS[kind]
    told = {name: data[name] for name in known.fields if name in data}
    return {
        "type": kind,
        "timestamp": at.isoformat(),
        "data": {f"{known.subject}_id": public_ids().encode(known.prefix, subject_id), **told},
    }
