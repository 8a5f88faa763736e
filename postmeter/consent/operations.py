"""Every write about consent, each with its evidence. An opt-out commits before anything else is answered (A-73)."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings

from postmeter.consent.models import ALL, CHANNEL, EVERYTHING, Evidence, OptOut, Permission, StopRule, Untold
from postmeter.customers import bodies
from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.refusals import BadInput

TELLING = timedelta(minutes=2)  # longer than a request to a provider may take


@scoped
def opt_out(
    *,
    customer_id: int,
    channel: str,
    address: str,
    source: str,
    now: datetime,
    actor: str,
    words: str = "",
    purpose: str = ALL,
) -> bool:
    """Never write to this address again on this channel, or not for this purpose. Says whether that is new."""
    added = calls.rows(
        """INSERT INTO consent_opt_out (customer_id, id, channel, address, purpose, source, at)
           SELECT %s, next_id(), %s, %s, %s, %s, %s WHERE NOT EXISTS (
               SELECT 1 FROM consent_opt_out WHERE customer_id = %s AND channel = %s AND address = %s AND purpose = %s)
           ON CONFLICT (customer_id, channel, address, purpose) DO NOTHING RETURNING id""",
        [customer_id, channel, address, purpose, source, now, customer_id, channel, address, ALL],
    )
    if added:
        if purpose == ALL:
            _become(customer_id, channel, address, "withdrawn", now, only_if_known=True)
            _to_tell(customer_id, channel, address, now, is_out=True)
        _keep(customer_id, channel, [address], "withdrawn", words, source, actor, now, purpose)
        data = {"channel": channel, "purpose": purpose}
        events.record("consent.opted_out", customer_id=customer_id, subject_id=added[0][0], now=now, actor=actor, data=data)
    return bool(added)


@scoped
def opt_in(
    *,
    customer_id: int,
    channel: str,
    address: str,
    now: datetime,
    actor: str,
    words: str = "",
    purpose: str = ALL,
    source: str = "reply",
) -> bool:
    """Take an opt-out back at the recipient's word, which is consent too. What they opted out of besides stays as it is."""
    removed, _ = OptOut.objects.filter(customer_id=customer_id, channel=channel, address=address, purpose=purpose).delete()
    if removed:
        if purpose == ALL:
            _become(customer_id, channel, address, "given", now)
            _to_tell(customer_id, channel, address, now, is_out=False)
        _keep(customer_id, channel, [address], "returned", words, source, actor, now, purpose)
        data = {"channel": channel, "purpose": purpose}
        events.record("consent.opted_in", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data=data)
    return bool(removed)


def _to_tell(customer_id: int, channel: str, address: str, now: datetime, *, is_out: bool) -> None:
    if channel in settings.CONSENTS_TOLD:
        Untold(customer_id=customer_id, channel=channel, address=address, is_out=is_out, at=now, busy_until=now).save(
            force_insert=True
        )


def customers_with_untold(*, now: datetime) -> list[int]:
    with scope.every_customer():
        return [
            row[0]
            for row in calls.rows("SELECT DISTINCT customer_id FROM consent_untold WHERE busy_until <= %s ORDER BY 1", [now])
        ]


@scoped
def take_untold(*, customer_id: int, at_most: int, now: datetime) -> list[Untold]:
    """Changes to tell now, the oldest first, and of one address one after the other. Nobody else tells them for a while."""
    rows = calls.rows(
        """UPDATE consent_untold SET busy_until = %s WHERE customer_id = %s AND id IN (
               SELECT id FROM consent_untold u WHERE customer_id = %s AND busy_until <= %s AND NOT EXISTS (
                   SELECT 1 FROM consent_untold o WHERE o.customer_id = %s AND o.channel = u.channel AND o.address = u.address
                   AND o.id < u.id)
               ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
           RETURNING id""",
        [now + TELLING, customer_id, customer_id, now, customer_id, at_most],
    )
    return list(Untold.objects.filter(customer_id=customer_id, id__in=[row[0] for row in rows]).order_by("id"))


@scoped
def told(*, customer_id: int, ids: Collection[int]) -> None:
    """The provider has these, or will never take them."""
    Untold.objects.filter(customer_id=customer_id, id__in=list(ids)).delete()


@scoped
def set_stop_rule(*, customer_id: int, reach: str, since: datetime, actor: str, now: datetime) -> StopRule:
    """Let a STOP reach this far from then on; what was said before stays as it is. Raises BadInput."""
    if reach not in (CHANNEL, EVERYTHING):
        raise BadInput("A STOP cannot reach that far.", field="reach", remedy="Choose the channel, or everything.")
    if since < now:
        raise BadInput("This moment has passed.", field="since", remedy="Choose now or a later day.")
    rule = StopRule.objects.create(customer_id=customer_id, reach=reach, since=since, set_by=actor, set_at=now)
    data = {"reach": reach, "since": since.isoformat()}
    events.record("consent.stop_rule_set", customer_id=customer_id, subject_id=rule.id, now=now, actor=actor, data=data)
    return rule


@scoped
def reserve(*, customer_id: int, channel: str, addresses: Collection[str], now: datetime) -> list[str]:
    """Be the one who asks these addresses; returns those that nobody has asked or is asking. Always in the same order."""
    rows = calls.rows(
        """INSERT INTO consent_permission (customer_id, id, channel, address, state, changed_at)
           SELECT %s, next_id(), %s, a, 'asked', %s FROM unnest(%s::text[]) a ORDER BY a
           ON CONFLICT (customer_id, channel, address) DO NOTHING RETURNING address""",
        [customer_id, channel, now, sorted(addresses)],
    )
    return [row[0] for row in rows]


@scoped
def asked(*, customer_id: int, channel: str, addresses: Collection[str], words: str, now: datetime) -> None:
    """The question to them was accepted, in these words."""
    if addresses:
        _keep(customer_id, channel, addresses, "asked", words, "opt-in message", "system", now)
        data = {"channel": channel, "count": len(addresses)}
        events.record("consent.asked", customer_id=customer_id, subject_id=customer_id, now=now, data=data)


@scoped
def not_asked(*, customer_id: int, channel: str, addresses: Collection[str]) -> None:
    """The question could not be accepted, so that it may be asked later."""
    Permission.objects.filter(customer_id=customer_id, channel=channel, address__in=list(addresses), state="asked").delete()


@scoped
def give(*, customer_id: int, channel: str, address: str, source: str, words: str, now: datetime, actor: str) -> bool:
    """They agree to be written to. An opt-out stays one: only START takes it back. Says whether that is new."""
    changed = _become(customer_id, channel, address, "given", now)
    if changed:
        _keep(customer_id, channel, [address], "given", words, source, actor, now)
        data = {"channel": channel}
        events.record("consent.given", customer_id=customer_id, subject_id=customer_id, now=now, actor=actor, data=data)
    return changed


def _become(customer_id: int, channel: str, address: str, state: str, now: datetime, *, only_if_known: bool = False) -> bool:
    if only_if_known:
        rows = calls.rows(
            """UPDATE consent_permission SET state = %s, changed_at = %s
               WHERE customer_id = %s AND channel = %s AND address = %s AND state <> %s RETURNING id""",
            [state, now, customer_id, channel, address, state],
        )
        return bool(rows)
    rows = calls.rows(
        """INSERT INTO consent_permission AS p (customer_id, id, channel, address, state, changed_at)
           VALUES (%s, next_id(), %s, %s, %s, %s) ON CONFLICT (customer_id, channel, address)
           DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at WHERE p.state <> excluded.state RETURNING id""",
        [customer_id, channel, address, state, now],
    )
    return bool(rows)


def _keep(
    customer_id: int,
    channel: str,
    addresses: Collection[str],
    said: str,
    words: str,
    source: str,
    actor: str,
    now: datetime,
    purpose: str = ALL,
) -> None:
    sealed = bodies.seal(customer_id, words)
    Evidence.objects.bulk_create(
        Evidence(
            customer_id=customer_id,
            id=id_,
            channel=channel,
            address=address,
            purpose=purpose,
            said=said,
            words_sealed=sealed,
            source=source,
            actor=actor,
            at=now,
        )
        for id_, address in zip(calls.next_ids(len(addresses)), addresses, strict=True)
    )
