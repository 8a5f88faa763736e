"""Telling a provider who opted out and who came back, where it keeps a list too: so that it blocks what anybody else would send."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import cast

from asgiref.sync import sync_to_async

from postmeter.consent import operations as consent
from postmeter.consent.models import Untold
from postmeter.customers import queries as customers
from postmeter.kit.crash import crash_point
from postmeter.messaging import routes
from postmeter.messaging.carriers.http import HttpCarrier
from postmeter.messaging.providers import Consent, ConsentProvider, provider

log = logging.getLogger("postmeter.consents")
PROVIDER = "twilio"  # the only one whose list can be told


async def tell(*, settings: Mapping[str, Mapping[str, str]], now: datetime) -> int:
    """One round: a request for each customer of whom something is untold. Returns how much was told."""
    found = await sync_to_async(consent.customers_with_untold)(now=now)
    if not found:
        return 0
    adapter = cast(ConsentProvider, provider(PROVIDER, settings[PROVIDER]))
    async with HttpCarrier(adapter, connections=1) as carrier:
        return sum([await _tell(adapter, carrier, customer_id, now) for customer_id in found])


async def _tell(adapter: ConsentProvider, carrier: HttpCarrier, customer_id: int, now: datetime) -> int:
    sender, untold = await sync_to_async(_take)(customer_id, adapter.consents_at_once, now)
    if not untold:
        return 0
    changes = [Consent(change.id, change.address, change.is_out, change.at) for change in untold]
    reply = await carrier.ask(adapter.tell_consents(sender, changes))
    crash_point("messaging.consents_sent")
    said = adapter.consents_told(reply) if reply else None
    if said is None:
        log.warning("%s did not take %d changes of consent; they are told again", PROVIDER, len(untold))
        return 0
    for ref, why in said.items():
        if why:
            log.error("%s refuses the change of consent %d: %s", PROVIDER, ref, why)
    await sync_to_async(consent.told)(customer_id=customer_id, ids={change.id for change in untold} & set(said))
    return len(said)


def _take(customer_id: int, at_most: int, now: datetime) -> tuple[str, list[Untold]]:
    """The number that they opted out of, and the changes. A customer without one has nobody to tell of."""
    sender = customers.customer(customer_id=customer_id).sender
    untold = consent.take_untold(customer_id=customer_id, at_most=at_most, now=now)
    if sender and PROVIDER in routes.order("sms", sender):
        return sender, untold
    consent.told(customer_id=customer_id, ids=[change.id for change in untold])
    return sender, []
