"""Guaranteed quotes: what is shown is what is held is what is charged, until the quote's time is up (D-02).

A quote keeps each recipient's text and price, names who is excluded and why, and is sent at most once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from postmeter.consent import queries as consent
from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.guard import queries as guard
from postmeter.kit.refusals import BadInput, Conflict, NotFound, Refusal
from postmeter.messaging import lint, media
from postmeter.messaging.channels import sms
from postmeter.messaging.kinds import AD_HOC
from postmeter.messaging.models import Quote, QuoteItem
from postmeter.messaging.operations.accept import LIST_AT_MOST, Accepted, Submission, submit
from postmeter.messaging.operations.instead import submit_or_email
from postmeter.messaging.operations.payers import Payer, Priced, payer
from postmeter.rating.price import price

GOOD_FOR = timedelta(hours=1)


class QuoteExpired(Conflict):
    """This quote's time is up."""

    code = "quote_expired"


class QuoteUsed(Conflict):
    """This quote has been sent."""

    code = "quote_used"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One recipient as somebody gave it, with the text meant for them, and the line of the file it stood in."""

    recipient: str
    body: str
    line: int | None = None
    problem: Refusal | None = None  # found while the list was read


def make(
    *,
    customer_id: int,
    wanted: Sequence[Wanted],
    actor: str,
    now: datetime,
    mode: str = "live",
    source: str = "",
    good_for: timedelta = GOOD_FOR,
    channel: str = "sms",
    media_ids: Sequence[int] = (),
) -> Quote:
    """Price a list, all of it with the same files, and guarantee the price.

    Excluded are: what is no number, what has no price, who opted out, who is twice.
    """
    if not wanted:
        raise BadInput("There is nobody to send to.", field="messages", remedy="Give at least one recipient.")
    if len(wanted) > LIST_AT_MOST:
        raise BadInput("This list is too long.", field="messages", remedy=f"Send at most {LIST_AT_MOST:,} at a time.")
    who = payer(customer_id=customer_id, mode=mode, actor=actor, now=now, channel=channel)
    pages = media.check(customer_id=customer_id, on=who.channel, media_ids=media_ids)
    with scope.customer(customer_id):
        items = list(_items(customer_id, who, wanted, pages))
        good = [item for item in items if not item.excluded_code]
        quote = Quote(
            customer_id=customer_id,
            id=calls.next_id(),
            wallet_id=who.wallet_id,
            channel=who.channel.name,
            unit=who.unit,
            price_list_id=who.prices.price_list_id,
            recipients=len(good),
            excluded=len(items) - len(good),
            segments=sum(item.segments for item in good),
            price_micros=sum(item.price_micros for item in good),
            fee_micros=sum(item.fee_micros for item in good),
            source=source,
            created_by=actor,
            created_at=now,
            valid_until=now + good_for,
        )
        quote.save(force_insert=True)
        for item in items:
            item.quote_id = quote.id
        QuoteItem.objects.bulk_create(items, batch_size=2_000)
        media.attach(customer_id=customer_id, message_ids=[quote.id], media_ids=media_ids)
        events.record(
            "quote.made",
            customer_id=customer_id,
            subject_id=quote.id,
            now=now,
            actor=actor,
            data={"recipients": quote.recipients},
        )
    return quote


def preview(
    *, customer_id: int, wanted: Sequence[Wanted], actor: str, now: datetime, mode: str = "live", channel: str = "sms"
) -> list[QuoteItem]:
    """What `make` would say of each row, keeping nothing: for prices that change while one types."""
    who = payer(customer_id=customer_id, mode=mode, actor=actor, now=now, channel=channel)
    with scope.customer(customer_id):
        return list(_items(customer_id, who, wanted))


def again(*, customer_id: int, quote_id: int, actor: str, now: datetime, plainly: bool = False) -> Quote:
    """The same list at today's prices; `plainly` takes the cheaper spelling where there is one. Raises NotFound."""
    with scope.customer(customer_id):
        old = Quote.objects.filter(customer_id=customer_id, id=quote_id).first()
        items = list(QuoteItem.objects.filter(customer_id=customer_id, quote_id=quote_id).order_by("position"))
    if old is None or not items:
        raise NotFound("There is no such quote any more.", remedy="Upload the list again.")
    files = [row.id for row in media.listed(customer_id=customer_id, message_ids=[quote_id]).get(quote_id, [])]
    wanted = [Wanted(item.given, (plainly and item.cheaper) or item.body, item.line, _problem(item)) for item in items]
    return make(
        customer_id=customer_id, wanted=wanted, actor=actor, now=now, source=old.source, channel=old.channel, media_ids=files
    )


def _problem(item: QuoteItem) -> Refusal | None:
    """What was wrong with the row itself. Who opted out, who is twice and what country is open is looked up anew."""
    if not item.excluded_code.startswith("bad_") or item.excluded_code == "bad_country":
        return None
    return BadInput(item.excluded_text, field=item.excluded_code.removeprefix("bad_"))


def send(
    *,
    customer_id: int,
    quote_id: int,
    actor: str,
    now: datetime,
    mode: str = "live",
    whole: bool = True,
    wait_until: datetime | None = None,
    or_email: bool = False,
) -> Accepted:
    """Send a quote at its price, whatever the list costs by now. A second press answers the first one's messages.

    Where credit is short: not `whole` sends what it covers. With `wait_until` the rest waits for credit until then; with `or_email` it
    goes as emails, to whom an address is known (A-43). Raises QuoteExpired, NotCoveredList (nothing was sent), NotFound.
    """
    with scope.customer(customer_id):
        quote = Quote.objects.filter(customer_id=customer_id, id=quote_id).first()
        if quote is None:
            raise NotFound("There is no such quote.")
        if quote.batch_id is None and quote.valid_until <= now:
            raise QuoteExpired(remedy="Ask for the price again.")
        items = list(QuoteItem.objects.filter(customer_id=customer_id, quote_id=quote_id, excluded_code="").order_by("position"))
        files = [row.id for row in media.listed(customer_id=customer_id, message_ids=[quote_id]).get(quote_id, [])]
    if not items:
        raise BadInput("Nobody on this list can be written to.", field="quote", remedy="See why beside each row.")
    priced = Priced(
        [item.encoding for item in items],
        [item.segments for item in items],
        [item.price_micros for item in items],
        [item.fee_micros for item in items],
    )
    # The quote is its own key: it can be sent once, however often it is pressed. 48 hours of memory outlast its validity.
    key = UUID(int=(quote_id << 64) | 0x51)
    submission = Submission(
        customer_id=customer_id,
        recipients=[item.recipient for item in items],
        bodies=[item.body for item in items],
        actor=actor,
        mode=mode,
        channel=quote.channel,
        key=key,
        digest=key,
        whole=whole,
        listed=or_email,
        source=quote.source,
        quote_id=quote_id,
        priced=priced,
        media=files,
        wait=wait_until is not None,
        useful_until=wait_until,
    )
    accepted = submit_or_email(submission, now=now) if or_email else submit(submission, now=now)
    with scope.customer(customer_id):
        Quote.objects.filter(customer_id=customer_id, id=quote_id, batch_id=None).update(batch_id=accepted.batch_id)
    return accepted


@scoped
def forget_old(*, customer_id: int, before: datetime) -> int:
    """Remove the texts of quotes whose time was up before then: they hold personal data and nobody needs them."""
    old = list(Quote.objects.filter(customer_id=customer_id, valid_until__lt=before).values_list("id", flat=True))
    removed, _ = QuoteItem.objects.filter(customer_id=customer_id, quote_id__in=old).delete()
    return removed


def _items(customer_id: int, who: Payer, wanted: Sequence[Wanted], pages: int = 1) -> Iterable[QuoteItem]:
    numbers: list[str | Refusal] = []
    for one in wanted:
        try:
            if one.problem:
                raise one.problem
            numbers.append(who.channel.read(one.recipient, who.region))
        except Refusal as refusal:
            numbers.append(refusal)
    opted_out = consent.opted_out(
        customer_id=customer_id,
        channel=who.channel.opted_out_of,
        addresses={n for n in numbers if isinstance(n, str)},
        purpose=AD_HOC,
    )
    seen: dict[str, int] = {}
    for position, (one, number) in enumerate(zip(wanted, numbers, strict=True)):
        item = QuoteItem(
            customer_id=customer_id,
            quote_id=0,
            position=position,
            line=one.line,
            given=one.recipient[:200].replace("\x00", ""),
        )
        try:
            if isinstance(number, Refusal):
                raise number
            item.recipient = number
            _price(item, who, one.body, pages)
            if number in opted_out:
                _exclude(item, "opted_out", "This recipient has opted out.")
            elif number in seen:
                called = "address" if who.channel.medium == "email" else "number"
                before = _where(wanted[seen[number]], seen[number])
                _exclude(item, "duplicate", f"This {called} stands in the list before, at {before}.")
            else:
                seen[number] = position
        except Refusal as refusal:
            _exclude(item, f"bad_{refusal.field or 'row'}", str(refusal))
        yield item


def _price(item: QuoteItem, who: Payer, body: str, pages: int) -> None:
    lint.check(body)
    encoding, units = who.channel.count(body)
    item.body, item.encoding, item.segments = body, str(encoding), units * pages
    if not who.channel.is_free:
        rate = who.prices.table.find(item.recipient)
        if rate is None:
            raise BadInput(
                "There is no price for this destination.",
                field="destination",
                remedy="See the price list for where you can send.",
            )
        if who.rules and who.rules.countries is not None and rate.country not in who.rules.countries:
            raise guard.closed(rate.country)
        cost = price(item.segments, rate)
        item.price_micros, item.fee_micros = cost.price_micros, cost.fee_micros
    if who.channel.name == "sms":
        _spell(item, body)


def _spell(item: QuoteItem, body: str) -> None:
    """Say what makes a text dear, and how it would be cheaper."""
    measured = sms.measure(body)
    item.forced_by = "".join(dict.fromkeys(forcing.character for forcing in measured.forcing))[:50]
    if measured.cheaper:
        item.cheaper, item.cheaper_segments = measured.cheaper.text, measured.cheaper.segments


def _exclude(item: QuoteItem, code: str, text: str) -> None:
    # The words repeat what was given, and PostgreSQL keeps no NUL.
    item.excluded_code, item.excluded_text = code, text.replace("\x00", "")
    item.price_micros = item.fee_micros = item.segments = 0


def _where(one: Wanted, position: int) -> str:
    return f"line {one.line}" if one.line else f"number {position + 1}"
