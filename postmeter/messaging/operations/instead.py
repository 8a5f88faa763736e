"""Where credit is short, what was to be a text goes as an email, which is free: to whom we know an address of (A-43)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from django.db import transaction

from postmeter.consent import queries as consent
from postmeter.contacts import queries as contacts
from postmeter.customers import queries as customers
from postmeter.db import scope
from postmeter.messaging.channels import email
from postmeter.messaging.operations import keys
from postmeter.messaging.operations.accept import TAKEN, Accepted, NotCoveredList, Submission, accept_list, guarded
from postmeter.messaging.operations.payers import Priced
from postmeter.messaging.operations.record import Fact, record
from postmeter.messaging.states import State


def submit_or_email(submission: Submission, *, subject: str = "", now: datetime) -> Accepted:
    """Accept a list of texts as far as the credit goes, and the rest of it as emails with this subject.

    A whole list goes entirely, this way or that, or not at all: raises NotCoveredList, and what `submit` raises. The email of a row
    has the row's place in the answer, and a repeat with the same key answers the same.
    """
    with guarded(now), transaction.atomic(), scope.customer(submission.customer_id):
        try:
            accepted, refusal = accept_list(replace(submission, whole=False, wait=False), now=now), None
        except NotCoveredList as short:
            # Nothing of it stands, its key neither.
            count = len(submission.recipients)
            nothing = Priced([""] * count, [1] * count, [0] * count, [0] * count)
            accepted, refusal = Accepted(0, [0] * count, ["exceeds_available"] * count, nothing, ""), short
        known = _known(submission, accepted)
        emails = _emails(submission, accepted, known, subject, now)
        missing = any(word == "exceeds_available" for word in (emails or accepted).words)
        if missing and (submission.whole or (refusal and emails is None)):
            raise refusal or NotCoveredList(remedy="Top up your credit, then send again.")
        return emails or accepted


def _known(submission: Submission, accepted: Accepted) -> dict[str, str]:
    """Where those whom the credit does not cover can be emailed, and want to be."""
    short = [to for to, word in zip(submission.recipients, accepted.words, strict=True) if word == "exceeds_available"]
    return emails_of(customer_id=submission.customer_id, phones=short, kind=submission.kind)


def emails_of(*, customer_id: int, phones: Collection[str], kind: str) -> dict[str, str]:
    """Where these can be emailed, and want to be, by telephone number."""
    known = contacts.emails_of(customer_id=customer_id, phones=phones)
    out = consent.opted_out(customer_id=customer_id, channel="email", addresses=known.values(), purpose=kind)
    return {phone: address for phone, address in known.items() if address not in out}


def _emails(submission: Submission, accepted: Accepted, known: Mapping[str, str], subject: str, now: datetime) -> Accepted | None:
    """The answer with emails in the places of the rows that were short and can be emailed; None where there are none."""
    places = [
        place
        for place, (to, word) in enumerate(zip(submission.recipients, accepted.words, strict=True))
        if word == "exceeds_available" and to in known
    ]
    if not places:
        return None
    customer = customers.customer(customer_id=submission.customer_id)
    subject = subject or f"A message from {customer.name}"[: email.SUBJECT_AT_MOST]
    sent = accept_list(
        replace(
            submission,
            channel="email",
            recipients=[known[submission.recipients[place]] for place in places],
            bodies=[email.compose(subject, submission.bodies[place]) for place in places],
            sender=None,
            key=None,
            digest=None,
            whole=False,
            wait=False,
            batch_id=accepted.batch_id,
            quote_id=None,
            priced=None,
        ),
        now=now,
    )
    taken = [id_ for id_, word in zip(sent.ids, sent.words, strict=True) if word in TAKEN]
    facts = [Fact(id_, "us", "", State.QUEUED, status="instead_of_text") for id_ in taken]
    record(customer_id=submission.customer_id, facts=facts, now=now)
    merged = _merged(accepted, sent, places)
    _rename(submission, merged, now)
    return merged


def _merged(accepted: Accepted, sent: Accepted, places: Sequence[int]) -> Accepted:
    ids, words, priced = list(accepted.ids), list(accepted.words), accepted.priced
    for n, place in enumerate(places):
        if sent.words[n] in TAKEN:
            ids[place], words[place] = sent.ids[n], sent.words[n]
            priced.encodings[place], priced.segments[place] = sent.priced.encodings[n], sent.priced.segments[n]
            priced.prices[place] = priced.fees[place] = 0
    return Accepted(accepted.batch_id or sent.batch_id, ids, words, priced, accepted.unit or sent.unit)


def _rename(submission: Submission, merged: Accepted, now: datetime) -> None:
    """Let the request's key name what was sent in the end."""
    if submission.key is not None and submission.digest is not None:
        keys.name(customer_id=submission.customer_id, key=submission.key, digest=submission.digest, ids=merged.ids, now=now)
