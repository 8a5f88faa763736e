"""What is said on a call, what its keys do, and how long it may go on: nothing is talked that is not held for (A-05, A-06).

The provider asks what to say when somebody answers and whenever a key is pressed; asked twice it gets the same answer, and nothing is
held, noted or opted out twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from postmeter.consent import operations as consent
from postmeter.contacts import operations as contacts
from postmeter.customers import bodies
from postmeter.customers import queries as customers
from postmeter.customers.models import Customer
from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.crash import crash_point
from postmeter.kit.refusals import NotFound, Refusal
from postmeter.ledger import operations as ledger
from postmeter.messaging import inbox
from postmeter.messaging.addresses import call_url, receipt_urls
from postmeter.messaging.callsettings import CallRules, Machines, rules, script_of
from postmeter.messaging.channels.voice import ENCODING, MINUTE, Key, Script, minutes
from postmeter.messaging.inbox import Attention, Come
from postmeter.messaging.kinds import TALK
from postmeter.messaging.models import Call, Message
from postmeter.messaging.operations import asking, extensions
from postmeter.messaging.operations.accept import HOLD_FOR
from postmeter.messaging.operations.payers import Payer, payer
from postmeter.messaging.operations.stopping import Stop, stop
from postmeter.messaging.providers import Heard, Speech
from postmeter.messaging.states import MACHINE, State
from postmeter.rating.price import price
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets

STEP, TALK_STEP = 1, 5  # minutes
SPOKEN_AT_MOST = 10  # minutes of a call on which nobody is put through
AHEAD = timedelta(seconds=20)  # how long before its end more is held for a call
NOTED = {Key.CONFIRM: "Confirmed", Key.CANCEL: "Cancelled"}
AFTER = {Key.CONFIRM: "confirmed", Key.CANCEL: "cancelled"}


@dataclass(frozen=True, slots=True)
class _On:
    """A call that goes on."""

    customer: Customer
    message: Message
    call: Call
    rules: CallRules
    now: datetime

    @property
    def script(self) -> Script:
        return script_of(self.customer, self.rules, kind=self.message.kind, sender=self.message.sender)

    @property
    def elapsed(self) -> float:
        return max((self.now - self.call.answered_at).total_seconds(), 0.0)

    def says(self, *says: str, keys: bool = False) -> Speech:
        """A last word, or one after which a key may be pressed."""
        goodbye = self.script.word("goodbye")
        asks = call_url(self.customer.id, self.message.id, self.message.provider) if keys else ""
        said = says if keys else (*says, goodbye)
        return Speech(self.rules.voice, self.rules.language, said, otherwise=(goodbye,) if keys else (), keys_to=asks)


@scoped
def instruct(*, customer_id: int, message_id: int, heard: Heard, now: datetime) -> Speech:
    """What is said next on this call. Raises NotFound for a message that is no call."""
    with transaction.atomic():
        message = Message.objects.select_for_update(no_key=True).filter(customer_id=customer_id, id=message_id).first()
        if message is None or message.channel != "voice" or message.kind == TALK:
            raise NotFound("There is no such call.")
        known = rules(customer_id=customer_id)
        if State(message.state) in MACHINE.finals:
            return Speech(known.voice, known.language, ())
        call = _answered(message, heard, known, now)
        on = _On(customers.customer(customer_id=customer_id), message, call, known, now)
        speech = _next(on, heard)
        crash_point("messaging.call_uncommitted")
    return speech


def _answered(message: Message, heard: Heard, known: CallRules, now: datetime) -> Call:
    held = message.segments * MINUTE
    spoken = not heard.machine or known.machines is not Machines.HANG_UP
    call, _ = Call.objects.select_for_update().get_or_create(
        customer_id=message.customer_id,
        id=message.id,
        defaults={
            "provider": message.provider,
            "provider_ref": heard.ref,
            "answered_at": now,
            "machine": heard.machine,
            "spoken": spoken,
            "held_seconds": held,
            "told_seconds": held,
        },
    )
    return call


def _next(on: _On, heard: Heard) -> Speech:
    if heard.connected is not None:
        return on.says() if heard.connected else on.says(on.script.word("busy"))
    if heard.key:
        return _press(on, heard)
    if on.call.machine:
        return _to_machine(on)
    return _whole(on)


def _whole(on: _On) -> Speech:
    """Who calls, how to get no more calls, the text, and the other keys."""
    script = on.script
    return on.says(*script.opening(), on.message.text, *script.menu(), keys=True)


def _to_machine(on: _On) -> Speech:
    """Who hears the machine is not known: by default it is not told what the message is about."""
    script = on.script
    if on.rules.machines is Machines.HANG_UP:
        return Speech(on.rules.voice, on.rules.language, ())
    whole = [on.message.text] if on.rules.machines is Machines.WHOLE else []
    # No key helps whoever hears it later: 47 CFR 64.1200(b)(3) has a number said instead.
    return on.says(script.word("opening"), *whole, script.word("call_back"))


def _press(on: _On, heard: Heard) -> Speech:
    script, call = on.script, on.call
    call.pressed = (call.pressed + heard.key)[:100]
    call.save(update_fields=["pressed"])
    key = next((key for key, digit in script.keys.items() if digit == heard.key), None)
    if key in (Key.STOP, Key.AGREE):
        return _decide(on, key)
    if key in NOTED:
        _note(on, key, heard)
        return on.says(script.word(AFTER[key]))
    if key is Key.TALK:
        return _talk(on)
    if key is Key.REPEAT:
        return _whole(on)
    return on.says(script.word("no_meaning"), *script.menu(), keys=True)


def _decide(on: _On, key: Key) -> Speech:
    """They want no more calls, which is a revocation by itself (A-74), or agree to get them."""
    script, address = on.script, on.message.recipient
    words = f"{script.word('stop', key=script.keys[Key.STOP])} {script.keys[Key.STOP]}"
    if key is Key.STOP:
        stop(customer_id=on.customer.id, stops=[Stop("voice", address, "key", "recipient", words)], now=on.now)
        return on.says(script.word("stopped"))
    asked = " ".join([on.message.text, *script.menu()])
    consent.give(
        customer_id=on.customer.id, channel="voice", address=address, source="key", words=asked, now=on.now, actor="recipient"
    )
    asking.go_on(customer_id=on.customer.id, recipient=address, now=on.now)
    return on.says(script.word("agreed"))


def _note(on: _On, key: Key, heard: Heard) -> None:
    """What they answered stands in their conversation, once."""
    customer_id, message = on.customer.id, on.message
    contact_id = contacts.of_address(customer_id=customer_id, medium="phone", value=message.recipient, actor="system", now=on.now)
    thread_id = inbox.thread_of(customer_id=customer_id, contact_id=contact_id, now=on.now)
    text = f"{NOTED[key]} by key {heard.key} on a call."
    come = Come("voice", message.recipient, message.sender, text, message.provider, f"{on.call.provider_ref}:{key}", str(key))
    new = inbox.keep(customer_id=customer_id, thread_id=thread_id, come=come, now=on.now)
    if new:
        attention = Attention.REPLY if key is Key.CANCEL else Attention.NONE
        inbox.came_in(customer_id=customer_id, thread_id=thread_id, attention=attention, now=on.now)
        events.record("message.received", customer_id=customer_id, subject_id=new, now=on.now, data={"wish": str(key)})
        data = {"answer": str(key), "kind": message.kind}
        events.record("call.answered", customer_id=customer_id, subject_id=message.id, now=on.now, data=data)


# Being put through


class _NotHeld(Exception):
    """What should go on is not covered."""


def _talk(on: _On) -> Speech:
    """Put them through, when both legs are held for (A-06); else say why not."""
    script = on.script
    try:
        if not on.call.talk_id:
            with transaction.atomic():
                _hold_both(on)
    except (_NotHeld, Refusal):
        return on.says(script.word("not_connected"))
    customer_id, provider = on.customer.id, on.message.provider
    [receipts] = receipt_urls(customer_id, [(on.call.talk_id, provider)])
    return Speech(
        on.rules.voice,
        on.rules.language,
        (script.word("connecting"),),
        connect=on.rules.talk_number,
        sender=on.message.sender,
        seconds=on.rules.talk_minutes * MINUTE,
        connect_ref=str(on.call.talk_id),
        connect_receipts=receipts,
        connect_ended=call_url(customer_id, on.message.id, provider),
    )


def _hold_both(on: _On) -> None:
    """The second leg is a message of its own; the first is extended so that it lasts as long. Raises _NotHeld, Refusal."""
    message, call = on.message, on.call
    who = payer(customer_id=on.customer.id, mode="live", actor=message.created_by, now=on.now, channel="voice")
    rate = who.prices.table.find(on.rules.talk_number)
    opened = who.rules.countries if who.rules else None
    if rate is None or (opened is not None and rate.country not in opened):
        raise _NotHeld
    first = min(TALK_STEP, on.rules.talk_minutes)
    cost = price(first, rate)
    lasts = minutes(on.elapsed + first * MINUTE - call.held_seconds)
    leg = calls.next_id()
    more = [(calls.next_id(), lasts)] if lasts > 0 else []
    each = message.total_micros // message.segments
    amounts = [cost.total_micros, *(each * n for _, n in more)]
    held = {leg: leg} | {id_: message.id for id_, _ in more}
    _hold(on.customer.id, message.wallet_id, held, amounts, on.now)
    _second_leg(on, who, leg, first, cost.price_micros, cost.fee_micros)
    for id_, n in more:
        _extended(call, message, id_, n, on.now)
    call.talk_id = leg
    call.save(update_fields=["talk_id"])


def _second_leg(on: _On, who: Payer, id_: int, units: int, price_micros: int, fee_micros: int) -> None:
    """The provider calls it while it answers us: so it is under way from the start."""
    message = on.message
    columns = {
        "customer_id": on.customer.id,
        "id": id_,
        "kind": TALK,
        "batch_id": message.batch_id,
        "wallet_id": message.wallet_id,
        "channel": "voice",
        "sender": message.sender,
        "recipient": on.rules.talk_number,
        "body": bodies.seal(on.customer.id, f"{message.recipient} asked to talk to you."),
        "encoding": ENCODING,
        "segments": units,
        "unit": message.unit,
        "price_micros": price_micros,
        "fee_micros": fee_micros,
        "price_list_id": who.prices.price_list_id,
        "state": str(State.SENDING),
        "provider": message.provider,
        "attempts": 1,
        "created_by": message.created_by,
        "created_at": on.now,
        "changed_at": on.now,
        "due_at": on.now,
    }
    names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
    calls.rows(f"INSERT INTO messaging_message ({names}) VALUES ({places})", list(columns.values()))  # noqa: S608 - our own names


def _hold(customer_id: int, wallet_id: int, message_of: Mapping[int, int], amounts: Sequence[int], now: datetime) -> None:
    """All of it or none: who calls rolls back. `message_of`: whose each hold is. Raises _NotHeld."""
    costing = [(id_, amount) for id_, amount in zip(message_of, amounts, strict=True) if amount]
    if not costing:
        return
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    known = wallet_operations.accounts(customer_id=customer_id, wallet=wallet)
    words = ledger.hold(
        customer_id=customer_id,
        now=now,
        debit_id=known.wallet,
        credit_id=known.usage,
        code="voice",
        expires_at=now + HOLD_FOR,
        ids=[id_ for id_, _ in costing],
        amounts_micros=[amount for _, amount in costing],
        refs=[message_of[id_] for id_, _ in costing],
    )
    if any(word is not ledger.Word.OK for word in words):
        raise _NotHeld


def _extended(call: Call, message: Message, id_: int, units: int, now: datetime) -> None:
    amount = message.total_micros // message.segments * units
    if amount:
        extensions.grow(
            customer_id=call.customer_id, id_=id_, message_id=message.id, minutes=units, amount_micros=amount, held=True, now=now
        )
    call.held_seconds += units * MINUTE
    call.save(update_fields=["held_seconds"])


# Going on


@dataclass(frozen=True, slots=True)
class Tell:
    """What a provider is to be told about a call: that it may go on until `seconds`, or to say why it ends."""

    customer_id: int
    message_id: int
    provider: str
    ref: str
    seconds: int = 0
    speech: Speech | None = None


@scoped
def look(*, customer_id: int, now: datetime) -> list[Tell]:
    """Hold for the next minutes of the calls that need them, and end those that nothing more is held for.

    The provider is told afterwards: until it has heard, a call ends no later than what was held before.
    """
    found = []
    for id_ in Call.objects.filter(customer_id=customer_id, over=False).order_by("id").values_list("id", flat=True):
        with transaction.atomic():
            tell = _look(customer_id, id_, now)
        if tell:
            found.append(tell)
    return found


def customers_with_calls() -> list[int]:
    """Those of whom somebody is on the telephone."""
    with scope.every_customer():
        return [row[0] for row in calls.rows("SELECT DISTINCT customer_id FROM messaging_call WHERE NOT over")]


def _look(customer_id: int, id_: int, now: datetime) -> Tell | None:
    message = Message.objects.select_for_update(no_key=True).get(customer_id=customer_id, id=id_)
    call = Call.objects.select_for_update().get(customer_id=customer_id, id=id_)
    if State(message.state) in MACHINE.finals:
        call.over = True
        call.save(update_fields=["over"])
        return None
    on = _On(customers.customer(customer_id=customer_id), message, call, rules(customer_id=customer_id), now)
    if not call.ends and on.elapsed + AHEAD.total_seconds() >= call.held_seconds:
        _go_on(on)
    tell = Tell(customer_id, id_, call.provider, call.provider_ref)
    if call.ends and not call.warned:
        said = on.says(on.script.word("ends"))
        return _with(tell, speech=said)
    return _with(tell, seconds=call.held_seconds) if call.told_seconds < call.held_seconds and not call.ends else None


def _with(tell: Tell, *, seconds: int = 0, speech: Speech | None = None) -> Tell:
    return Tell(tell.customer_id, tell.message_id, tell.provider, tell.ref, seconds, speech)


def _go_on(on: _On) -> None:
    """One step more on each leg, if it is covered and the call has not lasted as long as any may."""
    call, message = on.call, on.message
    leg = _open_leg(on)
    most = (on.rules.talk_minutes if call.talk_id else 0) + SPOKEN_AT_MOST
    step = min(TALK_STEP if leg else STEP, most - call.held_seconds // MINUTE)
    try:
        if step <= 0:
            raise _NotHeld
        with transaction.atomic():
            legs = [message, *([leg] if leg else [])]
            ids = [calls.next_id() for _ in legs]
            amounts = [each.total_micros // each.segments * step for each in legs]
            held = {id_: each.id for id_, each in zip(ids, legs, strict=True)}
            _hold(on.customer.id, message.wallet_id, held, amounts, on.now)
            if leg and amounts[1]:
                extensions.grow(
                    customer_id=on.customer.id,
                    id_=ids[1],
                    message_id=leg.id,
                    minutes=step,
                    amount_micros=amounts[1],
                    held=True,
                    now=on.now,
                )
            _extended(call, message, ids[0], step, on.now)
    except _NotHeld:
        call.ends = True
        call.save(update_fields=["ends"])


def _open_leg(on: _On) -> Message | None:
    if not on.call.talk_id:
        return None
    leg = Message.objects.select_for_update(no_key=True).get(customer_id=on.customer.id, id=on.call.talk_id)
    return None if State(leg.state) in MACHINE.finals else leg


@scoped
def told(*, customer_id: int, tell: Tell) -> None:
    """The provider has heard it."""
    change: Mapping[str, object] = {"warned": True} if tell.speech else {"told_seconds": tell.seconds}
    Call.objects.filter(customer_id=customer_id, id=tell.message_id).update(**change)
