"""Texts that come in: kept first, then read for STOP, START and HELP, and put into their conversation.

One transaction for each text: it is kept, its wish obeyed and answered, and its price taken, or nothing of it happened and the
provider says it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from postmeter.consent import operations as consent
from postmeter.consent import queries as consents
from postmeter.consent import words
from postmeter.consent.words import Wish
from postmeter.contacts import operations as contacts
from postmeter.customers import queries as customers
from postmeter.customers.models import Customer
from postmeter.db import calls, scope
from postmeter.events import operations as events
from postmeter.events.models import Event
from postmeter.kit import cards
from postmeter.kit.crash import crash_point
from postmeter.kit.money import MICROS
from postmeter.kit.refusals import BadInput, Refusal
from postmeter.ledger import operations as ledger
from postmeter.messaging import faxes, inbox, media
from postmeter.messaging.answers import CONFIRM_WITHIN, answer
from postmeter.messaging.carriers.files import fetch
from postmeter.messaging.channels import sms
from postmeter.messaging.inbox import Attention, Come
from postmeter.messaging.kinds import ANSWER
from postmeter.messaging.operations import asking
from postmeter.messaging.operations.say import say
from postmeter.messaging.operations.stopping import Stop, stop
from postmeter.messaging.providers import Media, Received
from postmeter.messaging.providers import provider as provider_of
from postmeter.rating import queries as rating
from postmeter.rating.price import price
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets
from postmeter.wallets.models import Wallet

# What incoming texts may make a customer owe. Beyond it they are kept all the same, at the operator's cost.
DEBT_AT_MOST = 5 * MICROS
CODE, FAX_CODE = "sms_in", "fax_in"
HELP_EVERY = timedelta(hours=1)
# A CANCEL this soon after a text of ours may have been meant for what the text was about.
REMINDED_WITHIN = timedelta(hours=72)


def receive(*, provider: str, word: Received, now: datetime) -> bool:
    """Keep an incoming text for the customer whose number it came to; an opt-out commits with it.

    Works at zero credit, below it, and while sending is switched off or suspended (A-58, A-73). Says whether it is new; a repeat
    changes nothing, and a text to a number that is nobody's is not ours to keep.
    """
    customer_id = customers.customer_of_number(word.recipient)
    if customer_id is None:
        return False
    with scope.customer(customer_id):
        customer = customers.customer(customer_id=customer_id)
        on = channel_of(word)
        heard = _Heard(word.body, None, "en", stands=False) if on == "fax" else _hear(customer, word, now)
        medium = "fax" if on == "fax" else "phone"
        contact_id = contacts.of_address(customer_id=customer_id, medium=medium, value=word.sender, actor="system", now=now)
        thread_id = inbox.thread_of(customer_id=customer_id, contact_id=contact_id, now=now)
        cost = _cost(customer, word, now)
        come = Come(on, word.sender, word.recipient, heard.text, provider, word.ref, heard.wish or "")
        new = inbox.keep(
            customer_id=customer_id,
            thread_id=thread_id,
            come=come,
            now=now,
            wallet_id=cost.wallet.id if cost else 0,
            unit=cost.wallet.unit if cost else "",
            charged_micros=cost.micros if cost else 0,
        )
        if not new:
            return False
        attention = Attention.REPLY if on == "fax" else _obey(customer, provider, word, heard, now)
        inbox.came_in(customer_id=customer_id, thread_id=thread_id, attention=attention, now=now)
        if cost:
            wallet_operations.take(
                customer_id=customer_id,
                wallet=cost.wallet,
                target_id=wallet_operations.accounts(customer_id=customer_id, wallet=cost.wallet).usage,
                amount_micros=cost.micros,
                code=FAX_CODE if on == "fax" else CODE,
                ref_id=new,
                transfer_ids=(calls.next_id(), calls.next_id()),
                now=now,
            )
        if word.files:
            kept = media.keep(customer_id=customer_id, files=word.files, actor="recipient", now=now)
            media.attach(customer_id=customer_id, message_ids=[new], media_ids=kept)
        events.record(
            "message.received",
            customer_id=customer_id,
            subject_id=new,
            now=now,
            data={"wish": heard.wish, **_files(provider, word)},
        )
        crash_point("messaging.text_uncommitted")
    return True


def channel_of(word: Received) -> str:
    """A text with files is a picture message."""
    return "mms" if word.channel == "sms" and word.media else word.channel


def _files(provider: str, word: Received) -> dict[str, object]:
    waiting: dict[str, object] = {"provider": provider, "files": list(word.media)} if word.media else {}
    return waiting | ({"channel": "fax"} if word.channel == "fax" else {})


def fetch_files(*, event: Event, settings: Mapping[str, Mapping[str, str]], now: datetime) -> int:
    """Get the files of a message that came in from its provider and keep them with it. Returns how many; a repeat gets none.

    Raises NotFetched: to be tried again.
    """
    wanted, customer_id = event.data.get("files", []), event.customer_id
    if not wanted or media.listed(customer_id=customer_id, message_ids=[event.subject_id]):
        return 0
    asked = provider_of(event.data["provider"], settings[event.data["provider"]])
    files = [Media(f"file {n}", "", fetch(asked, url)) for n, url in enumerate(wanted, 1)]
    with scope.customer(customer_id):
        kept = media.keep(customer_id=customer_id, files=files, actor="recipient", now=now)
        media.attach(customer_id=customer_id, message_ids=[event.subject_id], media_ids=kept)
    return len(files)


def draw_pages(*, event: Event, now: datetime) -> int:
    """Draw a fax that came in, so that it can be looked at. Returns how many pages; none of what cannot be drawn, which is kept as it came.

    Takes seconds; somebody else's file is read in a process with limits. A repeat changes nothing.
    """
    customer_id, message_id = event.customer_id, event.subject_id
    listed = media.listed(customer_id=customer_id, message_ids=[message_id]).get(message_id, [])
    if event.data.get("channel") != "fax" or not listed or any(row.pages for row in listed):
        return 0
    files = [media.content(customer_id=customer_id, media_id=row.id) for row in listed]
    try:
        drawn = faxes.render([(file.name, file.content_type, file.content) for file in files])
    except BadInput:
        return 0
    with scope.customer(customer_id):
        # Whoever else draws it waits here, and then sees that it is done.
        calls.rows(
            """SELECT 1 FROM messaging_thread t JOIN messaging_inbound i ON i.customer_id = t.customer_id AND i.thread_id = t.id
               WHERE t.customer_id = %s AND i.id = %s FOR NO KEY UPDATE OF t""",
            [customer_id, message_id],
        )
        if len(media.listed(customer_id=customer_id, message_ids=[message_id]).get(message_id, [])) > len(listed):
            return 0
        pages = [Media("fax.tiff", faxes.RENDERED, drawn.tiff)]
        kept = media.keep(customer_id=customer_id, files=pages, actor="recipient", now=now, pages=drawn.count)
        media.attach(customer_id=customer_id, message_ids=[message_id], media_ids=kept, first=len(listed))
    return drawn.count


@dataclass(frozen=True, slots=True)
class _Heard:
    """A text as it is kept, what it asks for, and in which language; `stands`: an appointment may have been meant."""

    text: str
    wish: Wish | None
    language: str
    stands: bool


def _hear(customer: Customer, word: Received, now: datetime) -> _Heard:
    text = word.body.replace("\x00", "")
    wish = words.wish(text)
    if wish is not Wish.WRONG_NUMBER and word.heard == "stop":
        wish = Wish.STOP
    if wish is None and word.heard == "start" and not words.agrees(text):
        wish = Wish.START  # their list and ours say the same; a yes is none of ours unless it was asked for
    if wish is None and words.agrees(text) and _is_asked(customer.id, word.sender):
        wish = Wish.AGREE
    stands = wish is Wish.STOP and words.says_cancel(text) and _wrote(customer.id, word.sender, now - REMINDED_WITHIN)
    # A card number is never kept (promises.md 3.4).
    return _Heard(cards.mask(text), wish, words.language(text), stands)


def _is_asked(customer_id: int, number: str) -> bool:
    known = consents.permissions(customer_id=customer_id, channel="sms", addresses=[number]).get(number)
    return known is not None and known.state == "asked"


def _wrote(customer_id: int, number: str, since: datetime, kind: str | None = None) -> bool:
    """Whether a text went to this number since then; `kind`: one of that kind."""
    return bool(
        calls.rows(
            """SELECT 1 FROM messaging_message WHERE customer_id = %s AND recipient = %s AND id >= db_id_at(%s)
                   AND (CASE WHEN %s::text IS NULL THEN kind <> %s AND state IN ('sending', 'sent', 'unknown', 'delivered')
                        ELSE kind = %s END) LIMIT 1""",
            [customer_id, number, since, kind, ANSWER, kind],
        )
    )


def _obey(customer: Customer, provider: str, word: Received, heard: _Heard, now: datetime) -> Attention:
    """Do what the text asks for and say so, once; what is for people to see to comes back."""
    changed, address = True, word.sender
    if heard.wish in (Wish.STOP, Wish.WRONG_NUMBER):
        wrong = heard.wish is Wish.WRONG_NUMBER
        asked = Stop("sms", address, "wrong number" if wrong else "reply", "recipient", heard.text, is_wrong=wrong)
        changed = bool(stop(customer_id=customer.id, stops=[asked], now=now))
    elif heard.wish is Wish.START and _is_asked(customer.id, address):
        changed = _agree(customer.id, address, heard, now)
    elif heard.wish is Wish.START:
        changed = consent.opt_in(
            customer_id=customer.id, channel="sms", address=address, now=now, actor="recipient", words=heard.text
        )
    elif heard.wish is Wish.AGREE:
        changed = _agree(customer.id, address, heard, now)
    elif heard.wish is Wish.HELP:
        # Machines answer machines: a number is helped once an hour.
        changed = not _wrote(customer.id, word.sender, now - HELP_EVERY, kind=ANSWER)
    if heard.wish and changed and not word.answered:
        said = answer(heard.wish, name=customer.name, email=customer.email, language=heard.language, stands=heard.stands)
        say(
            customer_id=customer.id,
            provider=provider,
            sender=word.recipient,
            recipient=word.sender,
            text=said,
            useful_until=now + CONFIRM_WITHIN,
            now=now,
        )
    if heard.wish is Wish.WRONG_NUMBER:
        return Attention.WRONG_NUMBER
    if heard.stands:
        return Attention.MAY_CANCEL
    return Attention.REPLY if heard.wish is None else Attention.NONE


def _agree(customer_id: int, address: str, heard: _Heard, now: datetime) -> bool:
    """Their yes lets go what waited for it."""
    new = consent.give(
        customer_id=customer_id, channel="sms", address=address, source="reply", words=heard.text, now=now, actor="recipient"
    )
    asking.go_on(customer_id=customer_id, recipient=address, now=now)
    return new


@dataclass(frozen=True, slots=True)
class _Cost:
    wallet: Wallet
    micros: int


def _cost(customer: Customer, word: Received, now: datetime) -> _Cost | None:
    """What the text costs the customer; None where it is free, or where what may be owed for texts is owed already.

    The balances stay locked until the transaction ends, so that texts that come together do not each see room for themselves.
    """
    try:
        wallet = wallets.pool(customer_id=customer.id)
        on = channel_of(word)
        known = partial(rating.prices, customer_id=customer.id, plan=customer.plan, direction="in", now=now)
        prices = known(channel="fax" if on == "fax" else "sms")
        rate = prices.table.find(word.sender)
        if on == "mms":
            rate = known(channel="mms").table.find(word.sender) or rate
        # An empty text, or one longer than anybody may send, is one segment: it is here, and has to have some price.
        units = {"fax": word.pages, "mms": 1}.get(on) or _segments(word.body)
        micros = price(units, rate).total_micros if rate and prices.currency == wallet.unit else 0
    except Refusal:
        return None
    if not micros:
        return None
    ledger.lock(customer_id=customer.id, account_ids=[wallet.account_id, wallet.receivable_id])
    there = wallets.balance(customer_id=customer.id, wallet=wallet)
    short = max(micros - max(there.available_micros, 0), 0)
    return _Cost(wallet, micros) if not short or there.debt_micros + short <= DEBT_AT_MOST else None


def _segments(text: str) -> int:
    try:
        return sms.count(text)[1]
    except Refusal:
        return 1
