"""What a notice says, made when it is read: the balance in it is today's, not the one of the day it was made for."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from postmeter.customers import queries as customers
from postmeter.db.public_ids import public_ids
from postmeter.guard import queries as guard
from postmeter.guard.limits import LIMITS, said
from postmeter.kit.money import format_amount
from postmeter.kit.refusals import NotFound
from postmeter.notifications import queries
from postmeter.notifications.models import Notice
from postmeter.payments import queries as payments
from postmeter.payments.reasons import words_of
from postmeter.terms import queries as terms
from postmeter.terms.changes import CHANGES
from postmeter.topups import bills, retry
from postmeter.topups import queries as topups
from postmeter.topups.queries import Figures, Standing
from postmeter.wallets import approvals, transfers
from postmeter.wallets import queries as wallets


@dataclass(frozen=True, slots=True)
class Words:
    """A heading, sentences, and the one thing to do: its label and the path of its page."""

    heading: str
    sentences: tuple[str, ...]
    action: str
    path: str
    settings: str = "/credit/alerts/"  # where such mails are changed


@dataclass(frozen=True, slots=True)
class _About:
    notice: Notice
    figures: Figures
    zone: ZoneInfo
    now: datetime

    def amount(self, micros: int) -> str:
        return format_amount(micros, self.figures.wallet.unit)

    def cents(self, micros: int) -> str:
        """To two places, down: a balance must not look larger than it is."""
        return format_amount(micros // 10_000 * 10_000, self.figures.wallet.unit)

    def time(self, text: str) -> str:
        moment = datetime.fromisoformat(text).astimezone(self.zone)
        return f"{moment.day} {moment:%b %Y, %H:%M %Z}"


def words(notice: Notice, *, now: datetime) -> Words:
    """What this notice says now."""
    customer_id = notice.customer_id
    wallet_id = notice.facts.get("wallet")
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id) if wallet_id else wallets.pool(customer_id=customer_id)
    zone = ZoneInfo(customers.customer(customer_id=customer_id).time_zone)
    return _WORDS[notice.kind](_About(notice, topups.figures(customer_id=customer_id, wallet=wallet), zone, now))


def title(notice: Notice, unit: str) -> str:
    """The heading alone, without reading anything: for lists."""
    facts = notice.facts
    if notice.kind == "low_balance":
        return _low(facts, unit)
    if notice.kind == "runway":
        return f"Credit for fewer than {facts['level']} days is left"
    return {
        "top_up_failed": "Automatic top-up did not go through",
        "top_up_paused": "Automatic top-up is paused",
        "top_up_capped": "Automatic top-up has reached its cap",
        "top_up_reversed": _reversal_title(facts),
        "card_expires": f"A card expires within {facts.get('within')} days",
        "no_method": "No card can be charged automatically",
        "bill": f"A bill of {format_amount(int(str(facts.get('amount_micros', 0))), unit)}",
        "overdraft_stopped": "Nothing more is lent until your bill is paid",
        "suspended": "Sending is suspended",
        "stopped": "Sending is stopped: unusual traffic",
        "news": _news_title(facts),
        "webhook_disabled": "A webhook is told nothing any more",
        "reinstated": "Sending goes on",
        "request_decided": _decision_title(facts),
        "adjusted": f"Credit was {'given' if int(str(facts.get('amount_micros', 0))) > 0 else 'taken'} by hand",
        "transfer": f"{format_amount(int(str(facts.get('amount_micros', 0))), unit)} {_WAYS.get(str(facts.get('side')), 'moved')}",
        "waiting": _waiting_title(facts),
        "transfer_waits": f"A transfer of {format_amount(int(str(facts.get('amount_micros', 0))), unit)} waits for you",
        "transfer_declined": f"Your transfer of {format_amount(int(str(facts.get('amount_micros', 0))), unit)} was declined",
        "promotion": f"{format_amount(int(str(facts.get('amount_micros', 0))), unit)} of promotional credit",
    }[notice.kind]


def _news_title(facts: dict[str, object]) -> str:
    new, errors = int(str(facts.get("new", 0))), int(str(facts.get("errors", 0))) + int(str(facts.get("lapsed", 0)))
    if not new:
        return "A message could not be delivered" if errors == 1 else f"{errors:,} messages could not be delivered"
    return "You have a new message" if new == 1 else f"You have {new:,} new messages"


def _waiting_title(facts: dict[str, object]) -> str:
    count, lapsing = int(str(facts.get("count", 0))), int(str(facts.get("lapsing", 0)))
    said = f"{count:,} message{'' if count == 1 else 's'} wait{'s' if count == 1 else ''} for credit"
    return f"{said}, {lapsing:,} will lapse soon" if lapsing else said


def _reversal_title(facts: dict[str, object]) -> str:
    if facts.get("kind") == "refund":
        return "A refund did not reach you" if facts.get("is_back") else "A top-up was refunded"
    return "A disputed payment came back" if facts.get("is_back") else "A payment was disputed"


_WAYS = {"source": "left your account", "target": "came into your account"}


def _decision_title(facts: dict[str, object]) -> str:
    what = CHANGES[str(facts["kind"])].title if facts.get("kind") in CHANGES else "A change"
    return f"{what}: {str(facts.get('fact', '')).rpartition('.')[2]}"


def _low(facts: dict[str, object], unit: str) -> str:
    level = int(str(facts["level"]))
    if facts["kind"] == "limit":
        return f"{level} % of the overdraft is used"
    return f"Credit is below {format_amount(level, unit)}" if level else "Credit has run out"


def _low_balance(about: _About) -> Words:
    figures = about.figures
    left = figures.posted_micros - figures.held_micros
    stands = f"The balance is {about.cents(left)}, what is held for messages under way taken off."
    if figures.available_micros <= 0:
        stands += " Nothing more can be sent until there is credit."
    incoming = f"{about.cents(figures.incoming_micros)} of top-ups are on their way." if figures.incoming_micros else ""
    sentences = (stands, incoming, *_runway(about), _automation(about))
    return Words(title(about.notice, figures.wallet.unit), _said(sentences), "Top-up Credit", "/credit/top-up/")


def _runway_words(about: _About) -> Words:
    sentences = (*_runway(about), _automation(about))
    return Words(title(about.notice, about.figures.wallet.unit), _said(sentences), "Top-up Credit", "/credit/top-up/")


def _runway(about: _About) -> list[str]:
    found = queries.runway(customer_id=about.notice.customer_id, figures=about.figures, now=about.now)
    said = []
    if found.forecast and found.forecast.ends_on:
        said.append(f"At your usual pace credit lasts until about {_day(found.forecast.ends_on)}.")
    if found.waiting:
        said.append(f"{found.waiting} messages wait for credit.")
    if found.to_buy_micros:
        said.append(f"{about.amount(found.to_buy_micros)} more would last a month.")
    return said


def _automation(about: _About) -> str:
    """What will happen by itself; the mail itself never charges anybody (S-130)."""
    found = topups.automatic(customer_id=about.notice.customer_id, wallet_id=about.figures.wallet.id, now=about.now)
    standing = found.standing if found else Standing.OFF
    if standing is Standing.ARMED and found and found.primary:
        card = found.primary.name
        return f"Automatic top-up is on and charges {card} below {about.amount(found.rule.threshold_micros)}."
    return {
        Standing.OFF: "Automatic top-up is off: no card is charged unless somebody buys.",
        Standing.WAITING_FIRST_PURCHASE: "Automatic top-up begins after the first purchase.",
        Standing.PAUSED: "Automatic top-up is paused: no card is charged until somebody starts it again.",
    }.get(standing, "Automatic top-up is on, but charges nothing at the moment.")


def _failed(about: _About) -> Words:
    facts = about.notice.facts
    reason = words_of(str(facts["reason"])) if facts["reason"] != "no_method" else "No card could be charged."
    again = f"It is tried again at {about.time(str(facts['try_after']))}." if facts.get("try_after") else ""
    sentences = (
        f"Your balance fell below your threshold, and credit could not be bought. {reason}",
        again,
        "After the third failure in a row it stops until you start it again.",
    )
    return Words(title(about.notice, about.figures.wallet.unit), _said(sentences), "See your cards", "/payments/")


def _paused(about: _About) -> Words:
    reason = str(about.notice.facts["reason"])
    top_up_id = about.notice.facts.get("top_up")
    if reason == "authentication_required" and top_up_id:
        sentences = (
            "Your bank wants to see the cardholder before it pays for an automatic top-up. Nothing was charged.",
            "Confirm it within 24 hours by the link below; afterwards the automatic top-up goes on by itself.",
            "Until then no card is charged automatically. When credit runs out, messages stop.",
        )
        path = retry.path(customer_id=about.notice.customer_id, top_up_id=int(top_up_id))
        return Words("Your bank wants you to confirm a payment", sentences, "Confirm the payment", path)
    why = "No card could be charged." if reason == "no_method" else words_of(reason)
    sentences = (
        f"{why} No card is charged automatically until somebody starts it again.",
        "When credit runs out, messages stop.",
        "Saving the rule of the automatic top-up starts it again; nobody else has to be asked.",
    )
    return Words(title(about.notice, about.figures.wallet.unit), sentences, "Start it again", "/credit/automatic/")


def _capped(about: _About) -> Words:
    facts = about.notice.facts
    cap = "day" if facts["cap"] == "day" else "month"
    sentences = (
        f"Your balance is below your threshold. A charge of {about.amount(int(facts['amount']))} would exceed what you allow a {cap}.",
        f"It goes on at {about.time(str(facts['opens_at']))}." if facts.get("opens_at") else "",
        "Until then credit is bought by hand, or the cap is raised.",
    )
    heading = title(about.notice, about.figures.wallet.unit)
    return Words(heading, _said(sentences), "See the rule", "/credit/automatic/")


def _reversed(about: _About) -> Words:
    facts, figures = about.notice.facts, about.figures
    amount = about.amount(int(facts["amount_micros"]))
    if facts["is_back"]:
        what = f"{amount} of credit is there again."
    elif facts["kind"] == "refund":
        what = f"{amount} went back to your card, and the credit was taken back. A credit note follows."
    else:
        what = f"Your bank took {amount} of a top-up back at its cardholder's word, and the credit was taken back."
    owed = (
        f"{about.amount(figures.debt_micros)} of it was spent already and is owed; the next top-up pays it first."
        if figures.debt_micros
        else ""
    )
    stopped = (
        "Automatic top-up is paused until somebody starts it again."
        if facts["kind"] == "dispute" and not facts["is_back"]
        else ""
    )
    path = f"/credit/top-ups/{public_ids().encode('TU', int(facts['top_up']))}/"
    return Words(title(about.notice, figures.wallet.unit), _said((what, owed, stopped)), "See the top-up", path)


def _card_expires(about: _About) -> Words:
    facts = about.notice.facts
    try:
        card = payments.method(customer_id=about.notice.customer_id, method_id=int(facts["method"]))
    except NotFound:
        return Words("A card expires", ("The card was removed meanwhile.",), "See your cards", "/payments/")
    last = date(card.expires_year, card.expires_month, 1)
    heading = f"{card.name} expires at the end of {last:%B %Y}"
    others = len(payments.chargeable(customer_id=about.notice.customer_id, now=about.now)) - 1
    after = "The next card in your order is charged then." if others > 0 else "It is the only card that is charged automatically."
    return Words(heading, (after, "Add the card that replaces it."), "See your cards", "/payments/")


def _no_method(about: _About) -> Words:
    sentences = (
        "Automatic top-up is on, but none of your cards may be charged: each is switched off, expired or rests after a decline.",
        "When credit runs out, messages stop.",
    )
    return Words(title(about.notice, about.figures.wallet.unit), sentences, "See your cards", "/payments/")


def _bill(about: _About) -> Words:
    bill = bills.bill(customer_id=about.notice.customer_id, bill_id=int(about.notice.facts["bill"]))
    path = f"/credit/bills/{public_ids().encode('BI', bill.id)}/"
    heading = title(about.notice, bill.unit)
    if bill.state != "open":
        return Words(heading, (f"It is {bill.state}. There is nothing to do.",), "See the bill", path)
    sentences = (
        f"In {bill.month:%B %Y} you used {about.amount(bill.amount_micros)} more than you had bought. Your balance is at zero again.",
        f"Please pay this bill by {bill.due_on.day} {bill.due_on:%B %Y}: by card, by bank transfer of just this amount, or from credit.",
        "The invoice came in a mail of its own.",
    )
    return Words(heading, sentences, "Pay the bill", path)


def _overdraft_stopped(about: _About) -> Words:
    sentences = (
        "A bill is overdue, so your balance can go no further below zero. Messages that bought credit covers are sent as before.",
        "Once the bill is paid it goes on as before, by itself.",
    )
    return Words(title(about.notice, about.figures.wallet.unit), sentences, "Pay the bill", "/credit/terms/")


_SUSPENDED = {
    "overdue": "A bill is long overdue. Once it is paid, sending goes on by itself.",
    "disputed": "Your bank took back a payment whose credit was used already. Once that is settled, sending goes on.",
}


def _webhook_disabled(about: _About) -> Words:
    return Words(
        "A webhook is told nothing any more",
        (
            f"Your system at {about.notice.facts['host']} said that it is gone, or has taken nothing for five days.",
            "What happens to your credit is not told there until somebody lets it be told again.",
        ),
        "Look at the webhook",
        "/settings/webhooks/",
    )


def _news(about: _About) -> Words:
    new, errors = int(about.notice.facts["new"]), int(about.notice.facts["errors"])
    heard = "Somebody has written to you." if new == 1 else f"{new:,} messages have come in."
    failed = (
        "A message could not be delivered: its number does not exist or takes no texts."
        if errors == 1
        else f"{errors:,} messages could not be delivered: their numbers do not exist or take no texts."
    )
    lapsed = int(about.notice.facts.get("lapsed", 0))
    unanswered = f"{lapsed:,} message{'s' * (lapsed != 1)} ended because the recipient did not agree to get them in time."
    sentences = (heard if new else "", failed if errors else "", unanswered if lapsed else "")
    action, path = ("Open the inbox", "/inbox/") if new else ("See your messages", "/messages/")
    return Words(title(about.notice, about.figures.wallet.unit), _said(sentences), action, path, settings="/settings/me/")


def _suspended(about: _About) -> Words:
    why = _SUSPENDED.get(str(about.notice.facts.get("reason")), "Your account manager suspended it.")
    sentences = (f"No new messages are accepted. {why}", "What was accepted before goes its way.")
    return Words(title(about.notice, about.figures.wallet.unit), sentences, "See your terms", "/credit/terms/")


def _stopped(about: _About) -> Words:
    stop = guard.stop(customer_id=about.notice.customer_id, stop_id=int(about.notice.facts["stop"]))
    who, most = _SENDERS.get(stop.actor.partition(":")[0], "Somebody"), said(LIMITS[stop.limit], stop.most, stop.unit)
    sentences = (
        f"{who} would have passed a limit: {most}.",
        "Nothing more is accepted, what was accepted before waits, and no card is charged automatically. Answers to STOP still go out.",
        "If this was not you, revoke the API key or change the password. Then a master can let sending go on.",
    )
    return Words(title(about.notice, about.figures.wallet.unit), sentences, "Look at it", "/settings/limits/")


_SENDERS = {"key": "An API key", "member": "A member"}


def _reinstated(about: _About) -> Words:
    heading = title(about.notice, about.figures.wallet.unit)
    return Words(heading, ("New messages are accepted again.",), "Send messages", "/send/")


def _request_decided(about: _About) -> Words:
    row = terms.request(customer_id=about.notice.customer_id, request_id=int(about.notice.facts["subject"]))
    sentences = (f"Your account manager says: {row.note}" if row.note else "", "What holds now stands under Terms.")
    return Words(title(about.notice, about.figures.wallet.unit), _said(sentences), "See your terms", "/credit/terms/")


def _adjusted(about: _About) -> Words:
    row = terms.adjustment(customer_id=about.notice.customer_id, adjustment_id=int(about.notice.facts["subject"]))
    what = f"{about.amount(abs(row.amount_micros))} was {'given' if row.amount_micros > 0 else 'taken'}: {row.reason}"
    heading = title(about.notice, about.figures.wallet.unit)
    return Words(
        heading, (what, f"The balance is {about.cents(about.figures.posted_micros)}."), "See the statement", "/credit/statement/"
    )


def _transfer(about: _About) -> Words:
    row = transfers.of(customer_id=about.notice.customer_id, transfer_id=int(about.notice.facts["transfer"]))
    sentences = (
        f"The note says: {row.note}" if row.note else "",
        f"The balance is {about.cents(about.figures.posted_micros)}.",
        "The logs of the account show everything that came and went.",
    )
    path = f"/credit/accounts/{public_ids().encode('WA', about.figures.wallet.id)}/log/"
    return Words(title(about.notice, about.figures.wallet.unit), _said(sentences), "View the logs", path)


def _waiting(about: _About) -> Words:
    facts = about.notice.facts
    by = datetime.fromisoformat(str(facts["by"])).astimezone(about.zone)
    sentences = (
        f"They cost {about.amount(int(facts['micros']))}, and the balance is {about.cents(about.figures.available_micros)}.",
        f"{facts['lapsing']} of them will be of no use any more by {by:%H:%M} on {_day(by.date())}." if facts["lapsing"] else "",
        "They go out by themselves once there is credit, the nearest deadline first. What lapses is not sent and costs nothing.",
    )
    heading = title(about.notice, about.figures.wallet.unit)
    return Words(heading, _said(sentences), "See what a top-up would release", "/messages/waiting/")


def _transfer_waits(about: _About) -> Words:
    row = approvals.request(customer_id=about.notice.customer_id, request_id=int(about.notice.facts["request"]))
    sentences = (
        f"The note says: {row.note}" if row.note else "",
        "It is above the amount from which on a master decides. Nothing has moved, and nothing is held for it.",
    )
    return Words(title(about.notice, about.figures.wallet.unit), _said(sentences), "Decide", "/credit/accounts/")


def _transfer_declined(about: _About) -> Words:
    words = ("A master declined it. Nothing has moved.",)
    return Words(title(about.notice, about.figures.wallet.unit), words, "See your accounts", "/credit/accounts/")


def _promotion(about: _About) -> Words:
    row = terms.grant(customer_id=about.notice.customer_id, grant_id=int(about.notice.facts["subject"]))
    ends = row.expires_at.astimezone(about.zone) if row.expires_at else None
    sentences = (
        f"You were given {about.amount(row.amount_micros)}: {row.reason}",
        f"It is used first, and what is left of it on {ends.day} {ends:%B %Y} goes."
        if ends
        else "It is used first, and has no end.",
    )
    return Words(title(about.notice, about.figures.wallet.unit), sentences, "See your terms", "/credit/terms/")


_WORDS: dict[str, Callable[[_About], Words]] = {
    "low_balance": _low_balance,
    "runway": _runway_words,
    "top_up_failed": _failed,
    "top_up_paused": _paused,
    "top_up_capped": _capped,
    "top_up_reversed": _reversed,
    "card_expires": _card_expires,
    "no_method": _no_method,
    "bill": _bill,
    "overdraft_stopped": _overdraft_stopped,
    "suspended": _suspended,
    "stopped": _stopped,
    "news": _news,
    "webhook_disabled": _webhook_disabled,
    "reinstated": _reinstated,
    "request_decided": _request_decided,
    "adjusted": _adjusted,
    "promotion": _promotion,
    "transfer": _transfer,
    "transfer_waits": _transfer_waits,
    "waiting": _waiting,
    "transfer_declined": _transfer_declined,
}


def _said(sentences: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(filter(None, sentences))


def _day(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B}"
