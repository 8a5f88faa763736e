"""Who wants no more: of one channel, of everything, or of one kind of message (A-72, 47 CFR 64.1200(a)(10)).

A STOP is for every kind of message on its channel, and for all channels where the customer's rule says so (`consent.StopRule`). For one
kind alone it is only where somebody says so on a page, or a member or a program writes it down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from postmeter.consent import operations as consent
from postmeter.consent import queries as consents
from postmeter.consent.models import ALL, EVERYTHING
from postmeter.contacts import queries as contacts
from postmeter.db.scope import scoped
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.messaging.channels import CHANNELS, Channel, channel
from postmeter.messaging.kinds import PURPOSES

WORDS_AT_MOST = 500
REFUSABLE = tuple(name for name, each in CHANNELS.items() if each.opted_out_of == name)  # channels with opt-outs of their own
BY_THEM_ALONE = "sms"  # carriers keep lists of their own, which only the recipient's START clears


@dataclass(frozen=True, slots=True)
class Stop:
    """What somebody asked for. `is_wrong`: they are not who we think, so it is about this address alone, on every channel (A-75)."""

    channel: str  # the one whose opt-outs hold: `Channel.opted_out_of`
    address: str
    source: str
    actor: str
    words: str = ""
    purpose: str = ALL
    is_wrong: bool = False


@scoped
def stop(*, customer_id: int, stops: Sequence[Stop], now: datetime) -> int:
    """Obey them, everywhere they reach. Returns how many of them are new.

    Always in the same order, so that two workers that write down the same people never wait for each other.
    """
    reach, _ = consents.stop_rules(customer_id=customer_id, now=now) if stops else ("", [])
    wanted = {(one.channel, one.address, one.purpose): one for one in stops}
    for one in stops:
        for spread in _spread(customer_id, one, everything=reach == EVERYTHING):
            wanted.setdefault((spread.channel, spread.address, spread.purpose), spread)
    new = 0
    for each in sorted(wanted):
        one = wanted[each]
        added = consent.opt_out(
            customer_id=customer_id,
            channel=one.channel,
            address=one.address,
            source=one.source,
            now=now,
            actor=one.actor,
            words=one.words,
            purpose=one.purpose,
        )
        new += added and one in stops
    return new


def _spread(customer_id: int, one: Stop, *, everything: bool) -> Iterable[Stop]:
    """The same wish for the other channels and addresses that it reaches."""
    medium = CHANNELS[one.channel].medium
    if one.is_wrong:
        reached = [(medium, one.address)]
    elif everything and one.purpose == ALL:
        reached = contacts.addresses_beside(customer_id=customer_id, medium=medium, value=one.address)
    else:
        return
    for each, address in reached:
        for name in REFUSABLE:
            if _takes(CHANNELS[name], each):
                yield replace(one, channel=name, address=address, source=f"{one.source} on {one.channel}")


def _takes(of: Channel, medium: str) -> bool:
    """A number that is called may be faxed too."""
    return (of.medium == "email") == (medium == "email")


@scoped
def write_down(
    *, customer_id: int, on: str, to: str, region: str, purpose: str, words: str, source: str, actor: str, now: datetime
) -> bool:
    """A member or a program says that this recipient wants no more, of all or of one kind. Says whether that is new.

    Raises BadInput.
    """
    of, address, said = _read(on, to, region, purpose, words)
    one = Stop(of, address, source, actor, said, purpose)
    return bool(stop(customer_id=customer_id, stops=[one], now=now))


@scoped
def take_back(
    *, customer_id: int, on: str, to: str, region: str, purpose: str, words: str, source: str, actor: str, now: datetime
) -> bool:
    """A member or a program says that this recipient has agreed again, and how. Says whether that is new. Raises BadInput."""
    of, address, said = _read(on, to, region, purpose, words)
    if (of, purpose) == (BY_THEM_ALONE, ALL):
        raise BadInput(
            "Whoever stopped all texts comes back by their own text.",
            field="purpose",
            remedy="Ask them to send START: carriers keep lists of their own, which nothing else clears.",
        )
    if not said:
        raise BadInput("How they agreed is missing.", field="words", remedy="Write what they said, where and when.")
    return consent.opt_in(
        customer_id=customer_id,
        channel=of,
        address=address,
        now=now,
        actor=actor,
        words=said,
        purpose=purpose,
        source=source,
    )


def _read(on: str, to: str, region: str, purpose: str, words: str) -> tuple[str, str, str]:
    of = channel(on)
    if purpose != ALL and purpose not in PURPOSES:
        known = ", ".join((ALL, *PURPOSES))
        raise BadInput("Nobody can opt out of that by itself.", field="purpose", remedy=f"Choose one of: {known}.")
    said = " ".join(words.split())
    if len(said) > WORDS_AT_MOST or "\0" in said:
        raise BadInput("These words are too long.", field="words", remedy=f"Use at most {WORDS_AT_MOST} characters.")
    return of.opted_out_of, of.read(to, region), said


def purpose_of(kind: str) -> str:
    """The kind by itself, for messages that somebody may opt out of so. Raises NotFound."""
    if kind not in PURPOSES:
        raise NotFound("Messages of this kind cannot be stopped by themselves.", remedy="Stop all of them.")
    return kind
