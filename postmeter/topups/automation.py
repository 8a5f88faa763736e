"""Automatic top-up: credit bought by rule when a wallet falls below its threshold (S-024 ... S-030, S-117 ... S-136).

    wallet.fell (in the transaction that took it there) -> react: one intent under the rule's lock -> charge -> follow

One automatic top-up is under way for a wallet at most, what is under way counts, and one charge closes the whole gap. Only a
definite decline goes on to the next method; an unknown outcome stops everything until the gateway has said what it has. Whatever
is not certain charges nobody.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

from django.db.models import Q, Sum

from postmeter.customers import queries as customers
from postmeter.db import calls, scope
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.guard import queries as guard
from postmeter.kit.crash import crash_point
from postmeter.kit.money import exact_minor, format_amount, from_minor, to_minor
from postmeter.kit.refusals import BadInput, Conflict, NotFound
from postmeter.ledger import queries as ledger
from postmeter.payments import queries as payment_queries
from postmeter.payments.models import PaymentMethod
from postmeter.topups import breaker, operations, queries
from postmeter.topups import price as prices
from postmeter.topups.models import Automation, TopUp
from postmeter.wallets import operations as wallet_operations
from postmeter.wallets import queries as wallets
from postmeter.wallets.models import Wallet

STRIKES = 3
BACK_OFF = (timedelta(hours=1), timedelta(hours=12))  # after the first and the second strike
UNPROVEN = "unproven"  # the balance is not the sum of its entries
BREAKER_PAUSE = timedelta(minutes=5)  # between looks whether it is closed again
ACTOR = "system"
WATCH = "top_up"
SCHEDULED = ("weekly", "monthly")
TAKEN_BACK = frozenset({"top_up_refund", "dispute", "adjustment", "promotion_expired"})  # in the ledger
NEEDS_CARDHOLDER = frozenset({"authentication_required"})  # terminal for a charge that nobody attends


class WouldCharge(Conflict):
    """The balance is below the threshold already: saving this charges a card now (A-24)."""

    code = "would_charge"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a person sets: micro-units of the wallet's unit.

    `kind` is refill (add `amount`) or target (up to `amount`) below the threshold; weekly or monthly adds `amount` on Mondays or on
    the first, if something was used since the last time, and has no threshold.
    """

    enabled: bool
    threshold_micros: int
    kind: str
    amount_micros: int
    day_cap_micros: int
    month_cap_micros: int


@dataclass(frozen=True, slots=True)
class Need:
    """How much is missing and what closes it, with the numbers that it comes from. What is owed is off the balance already."""

    balance_micros: int
    incoming_micros: int
    debt_micros: int
    amount_micros: int


@scoped
def save(
    *, customer_id: int, wallet_id: int, rule: Rule, accepts_charge_micros: int | None, actor: str, now: datetime
) -> Automation:
    """Set a wallet's rule. Raises BadInput by field, and WouldCharge unless the charge that it causes now was agreed to."""
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    _check(rule, wallet, prices.least(customer_id=customer_id, wallet=wallet, now=now))
    found = _locked(customer_id, wallet_id)
    automation = found or Automation(customer_id=customer_id, id=calls.next_id(), wallet_id=wallet_id)
    for name in ("enabled", "threshold_micros", "kind", "amount_micros", "day_cap_micros", "month_cap_micros"):
        setattr(automation, name, getattr(rule, name))
    automation.changed_by, automation.changed_at = actor, now
    # Saving is the person's own word: it ends a pause and forgets the strikes.
    automation.strikes, automation.tried, automation.try_after, automation.paused_at, automation.paused_for = (
        0,
        [],
        None,
        None,
        "",
    )
    automation.next_at = _next(automation, now) if rule.kind in SCHEDULED else None
    if rule.enabled and queries.has_bought(customer_id=customer_id):
        need = _need(customer_id, wallet, automation, now)
        if need.amount_micros and need.amount_micros != accepts_charge_micros:
            amount = format_amount(need.amount_micros, wallet.unit)
            raise WouldCharge(
                f"The balance is below this threshold: your card will be charged {amount} now.",
                field="accepts_charge",
                remedy="Agree to it, or choose a lower threshold.",
                needed_micros=need.amount_micros,
                unit=wallet.unit,
            )
    automation.save(force_insert=found is None)
    events.record(
        "automation.changed",
        customer_id=customer_id,
        subject_id=wallet_id,
        now=now,
        actor=actor,
        data={
            "enabled": rule.enabled,
            "threshold_micros": rule.threshold_micros,
            "kind": rule.kind,
            "amount_micros": rule.amount_micros,
        },
    )
    below = rule.threshold_micros if rule.enabled and rule.kind not in SCHEDULED else None
    wallet_operations.watch(customer_id=customer_id, wallet=wallet, name=WATCH, below_micros=below)
    return automation


def _check(rule: Rule, wallet: Wallet, least_micros: int) -> None:
    if wallet.kind == "sandbox":
        raise BadInput("The sandbox is not bought for.", field="wallet", remedy="Choose the live wallet.")
    if rule.kind not in ("refill", "target", *SCHEDULED):
        raise BadInput("There is no such way to top up.", field="kind", remedy="Use refill, target, weekly or monthly.")
    for name in ("threshold_micros", "amount_micros", "day_cap_micros", "month_cap_micros"):
        exact_minor(getattr(rule, name), wallet.unit, field=name.removesuffix("_micros"))
    least = format_amount(least_micros, wallet.unit)
    if rule.kind != "target" and rule.amount_micros < least_micros:
        raise BadInput(f"The smallest purchase is {least}.", field="amount", remedy="Enter at least that much.")
    if rule.kind == "target" and rule.amount_micros < rule.threshold_micros + least_micros:
        raise BadInput(f"The target is less than {least} above the threshold.", field="amount", remedy="Enter a higher target.")
    # What could never be charged would look armed and stay silent for ever (promises.md 1.6, a refill above its limit).
    charge = rule.amount_micros - rule.threshold_micros if rule.kind == "target" else rule.amount_micros
    if rule.day_cap_micros < charge:
        raise BadInput("The cap per day is below a single top-up.", field="day_cap", remedy="Raise the cap or lower the amount.")
    if rule.month_cap_micros < rule.day_cap_micros:
        raise BadInput("The cap per month is below the cap per day.", field="month_cap", remedy="Raise it, or lower the other.")


def react(*, customer_id: int, wallet_id: int, now: datetime, trigger: int | None = None) -> TopUp | None:
    """Top a wallet up if its rule says so. `trigger` is the fact that said that it fell. Returns the top-up that was charged."""
    top_up = _intend(customer_id=customer_id, wallet_id=wallet_id, now=now, trigger=trigger)
    if top_up is None:
        return None
    crash_point("topups.automatic_intent_written")
    operations.charge(customer_id=customer_id, top_up_id=top_up.id, now=now)
    return top_up


@scoped
def _intend(*, customer_id: int, wallet_id: int, now: datetime, trigger: int | None) -> TopUp | None:
    """Everything is asked again under the rule's lock: of many that saw the balance fall, the first one starts a charge."""
    automation = _locked(customer_id, wallet_id)
    if automation is None or not automation.enabled or automation.paused_at:
        return None
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=wallet_id)
    need = _need(customer_id, wallet, automation, now)
    if not need.amount_micros or not queries.has_bought(customer_id=customer_id):
        if _is_due(automation, now):
            _go_on(automation, now)  # nothing was used: no charge this time
        _watch(customer_id, wallet, automation)
        return None
    if automation.top_up_id or (automation.try_after and now < automation.try_after):
        return None
    if guard.standing(customer_id=customer_id) or breaker.standing():
        _wait(automation, now + BREAKER_PAUSE)
        return None
    over, opens_at = _over_cap(customer_id, wallet, automation, need.amount_micros, now)
    if over:
        _wait(automation, opens_at)
        events.record(
            "automation.capped",
            customer_id=customer_id,
            subject_id=wallet_id,
            now=now,
            data={"cap": over, "amount": need.amount_micros, "opens_at": opens_at.isoformat()},
        )
        return None
    method = _next_method(automation, now)
    if method is None:
        _strike(automation, "no_method", now)
        return None
    if not ledger.is_proven(customer_id=customer_id, account_id=wallet.account_id):
        # A balance that was lost is not a balance of zero: Twilio charged cards for hours on 18 July 2013 because of that.
        _pause(automation, UNPROVEN, now)
        return None
    why: dict[str, object] = {
        "trigger": trigger,
        "threshold_micros": automation.threshold_micros,
        "balance_micros": need.balance_micros,
        "incoming_micros": need.incoming_micros,
        "debt_micros": need.debt_micros,
        "kind": automation.kind,
        "amount_micros": automation.amount_micros,
    }
    top_up = operations.intend(
        customer_id=customer_id,
        wallet_id=wallet.id,
        method_id=method.id,
        amount_micros=need.amount_micros,
        key=uuid4(),
        actor=ACTOR,
        now=now,
        why=why,
    )
    automation.top_up_id = top_up.id
    automation.save()
    return top_up


def follow(*, customer_id: int, top_up_id: int, now: datetime) -> None:
    """Draw the consequences of a top-up that ended, whoever bought it; then look whether the wallet needs another one."""
    wallet_id = _draw(customer_id=customer_id, top_up_id=top_up_id, now=now)
    react(customer_id=customer_id, wallet_id=wallet_id, now=now)


@scoped
def _draw(*, customer_id: int, top_up_id: int, now: datetime) -> int:
    top_up = TopUp.objects.get(customer_id=customer_id, id=top_up_id)
    automation = _locked(customer_id, top_up.wallet_id)
    if automation is None:
        return top_up.wallet_id
    if top_up.state == "succeeded" and top_up.bill_id is None:
        wallet = wallets.wallet(customer_id=customer_id, wallet_id=top_up.wallet_id)
        automation.strikes, automation.tried, automation.try_after = 0, [], None
        if top_up.automatic and _is_due(automation, now):
            _go_on(automation, now)
        if top_up.retry_of:
            # Somebody has paid what it could not: it goes on by itself (S-138, A-33).
            automation.paused_at, automation.paused_for = None, ""
        _watch(customer_id, wallet, automation)
    elif top_up.state == "failed" and automation.top_up_id == top_up.id and not _was_retried(top_up):
        payment = payment_queries.payment(customer_id=customer_id, payment_id=top_up.payment_id)
        automation.tried = [*automation.tried, payment.method_id]
        if payment.failure_code in NEEDS_CARDHOLDER:
            _pause(automation, payment.failure_code, now, top_up)
        elif _next_method(automation, now) is None:
            _strike(automation, payment.failure_code or "declined", now)
    if automation.top_up_id == top_up.id and top_up.state != "pending":
        automation.top_up_id = None
    automation.save()
    return top_up.wallet_id


def _was_retried(top_up: TopUp) -> bool:
    """Somebody has paid it meanwhile, or is about to: then its failure says nothing any more."""
    retries = TopUp.objects.filter(customer_id=top_up.customer_id, retry_of=top_up.id)
    return retries.exclude(state="failed").exists()


@scoped
def stop(*, customer_id: int, wallet_id: int, reason: str, now: datetime) -> None:
    """Charge nothing automatically any more until a person says so: after a dispute, for example."""
    automation = _locked(customer_id, wallet_id)
    if automation and automation.enabled and not automation.paused_at:
        _pause(automation, reason, now)


def stop_all(*, customer_id: int, reason: str, now: datetime) -> None:
    """The same for every wallet of a customer."""
    for wallet in wallets.wallets(customer_id=customer_id):
        stop(customer_id=customer_id, wallet_id=wallet.id, reason=reason, now=now)


@scoped
def start_all(*, customer_id: int, reason: str, actor: str, now: datetime) -> None:
    """What was paused for this reason goes on, at a person's word."""
    paused = Automation.objects.filter(customer_id=customer_id, enabled=True, paused_for=reason)
    for wallet_id in paused.order_by("wallet_id").values_list("wallet_id", flat=True):
        start_again(customer_id=customer_id, wallet_id=wallet_id, actor=actor, now=now)


@scoped
def start_again(*, customer_id: int, wallet_id: int, actor: str, now: datetime) -> None:
    """A person lets a paused rule go on as it was set (A-34, S-106). Raises NotFound, and Conflict where it is not paused."""
    automation = _locked(customer_id, wallet_id)
    if automation is None:
        raise NotFound("This wallet has no automatic top-up.")
    if not automation.enabled or not automation.paused_at:
        raise Conflict("It is not paused.", remedy="Look at the page anew.")
    if guard.standing(customer_id=customer_id):
        raise Conflict("Sending is stopped.", remedy="Let it go on first, under Settings, Limits and countries.")
    automation.strikes, automation.tried, automation.try_after = 0, [], None
    automation.paused_at, automation.paused_for = None, ""
    automation.save()
    data = {"enabled": True, "started_again": True}
    events.record("automation.changed", customer_id=customer_id, subject_id=wallet_id, now=now, actor=actor, data=data)


@scoped
def due(*, customer_id: int, now: datetime) -> list[int]:
    """The wallets whose automation waits for a time that has come."""
    is_due = Q(try_after__lte=now) | Q(next_at__lte=now)
    rows = Automation.objects.filter(is_due, customer_id=customer_id, enabled=True, paused_at=None)
    return [row.wallet_id for row in rows]


def customers_with_due(*, now: datetime) -> list[int]:
    with scope.every_customer():
        return [
            row[0]
            for row in calls.rows(
                """SELECT DISTINCT customer_id FROM topups_automation
                   WHERE enabled AND paused_at IS NULL AND (try_after <= %s OR next_at <= %s)""",
                [now, now],
            )
        ]


def _next_method(automation: Automation, now: datetime) -> PaymentMethod | None:
    """The first in order that may be charged and has not declined just now: order decides, failures only skip (A-28)."""
    methods = payment_queries.chargeable(customer_id=automation.customer_id, now=now)
    return next((method for method in methods if method.id not in automation.tried), None)


def _locked(customer_id: int, wallet_id: int) -> Automation | None:
    return Automation.objects.select_for_update().filter(customer_id=customer_id, wallet_id=wallet_id).first()


def _need(customer_id: int, wallet: Wallet, automation: Automation, now: datetime) -> Need:
    """One charge closes the whole gap, and pays what is owed first (A-16, A-17)."""
    figures = queries.figures(customer_id=customer_id, wallet=wallet)
    balance = figures.posted_micros - figures.held_micros
    if automation.kind in SCHEDULED:
        is_wanted = _is_due(automation, now) and _has_used(customer_id, wallet, automation, now)
        return Need(balance, figures.incoming_micros, figures.debt_micros, automation.amount_micros if is_wanted else 0)
    missing = automation.threshold_micros - balance - figures.incoming_micros
    amount = 0
    if missing > 0:
        if automation.kind == "refill":
            amount = -(-missing // automation.amount_micros) * automation.amount_micros
        else:
            least = prices.least(customer_id=customer_id, wallet=wallet, now=now)
            amount = max(least, _whole(missing + automation.amount_micros - automation.threshold_micros, wallet.unit))
    return Need(balance, figures.incoming_micros, figures.debt_micros, amount)


def _is_due(automation: Automation, now: datetime) -> bool:
    """Of a weekly or monthly one: has its day come?"""
    return automation.next_at is not None and automation.next_at <= now


def _go_on(automation: Automation, now: datetime) -> None:
    automation.next_at = _next(automation, now)
    automation.save()


def _next(automation: Automation, now: datetime) -> datetime:
    """The beginning of the next Monday, or of the next month, where the customer is."""
    today = now.astimezone(ZoneInfo(customers.customer(customer_id=automation.customer_id).time_zone))
    today = today.replace(hour=0, minute=0, second=0, microsecond=0)
    if automation.kind == "weekly":
        return today + timedelta(days=7 - today.weekday())
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1)


def _has_used(customer_id: int, wallet: Wallet, automation: Automation, now: datetime) -> bool:
    """Whether anything went out since the last automatic top-up: without consumption no card is charged.

    What members were given of it counts: it is theirs to use. What a bank took back does not.
    """
    rows = TopUp.objects.filter(customer_id=customer_id, wallet_id=wallet.id, automatic=True, state="succeeded")
    last = rows.order_by("-id").values_list("credited_at", flat=True).first()
    moved = ledger.daily_statement(
        customer_id=customer_id, account_id=wallet.account_id, since=last or automation.changed_at, until=now, time_zone="UTC"
    )
    return any(each.amount_micros < 0 and each.code not in TAKEN_BACK for each in moved.sums)


def _whole(micros: int, unit: str) -> int:
    """The next amount that a card can be charged."""
    minor = from_minor(1, unit)
    return from_minor(to_minor(-(-micros // minor) * minor, unit), unit)


def _over_cap(
    customer_id: int, wallet: Wallet, automation: Automation, amount_micros: int, now: datetime
) -> tuple[str, datetime]:
    """Which cap a charge of this amount would break, and when it opens. What is under way counts (A-19)."""
    local = now.astimezone(ZoneInfo(customers.customer(customer_id=customer_id).time_zone))
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    month = day.replace(day=1)
    for name, since, cap, opens in (
        ("day", day, automation.day_cap_micros, day + timedelta(days=1)),
        ("month", month, automation.month_cap_micros, (month + timedelta(days=32)).replace(day=1)),
    ):
        rows = TopUp.objects.filter(customer_id=customer_id, wallet_id=wallet.id, automatic=True, created_at__gte=since)
        spent = rows.exclude(state="failed").aggregate(sum=Sum("amount_micros"))["sum"] or 0
        if spent + amount_micros > cap:
            return name, opens
    return "", now


def _watch(customer_id: int, wallet: Wallet, automation: Automation) -> None:
    """Watch for the threshold, unless the balance is below it and what is missing is under way: then its end looks again."""
    if automation.kind in SCHEDULED:
        return
    figures = queries.figures(customer_id=customer_id, wallet=wallet)
    if automation.enabled and figures.posted_micros - figures.held_micros >= automation.threshold_micros:
        wallet_operations.watch(customer_id=customer_id, wallet=wallet, name=WATCH, below_micros=automation.threshold_micros)


def _wait(automation: Automation, until: datetime) -> None:
    automation.try_after = until
    automation.save()


def _strike(automation: Automation, reason: str, now: datetime) -> None:
    """No method would pay. The next attempt waits, longer each time; the third failure ends it until a person says so (A-34)."""
    automation.strikes, automation.tried = automation.strikes + 1, []
    if automation.strikes >= STRIKES:
        _pause(automation, reason, now)
        return
    automation.try_after = now + BACK_OFF[automation.strikes - 1]
    automation.save()
    events.record(
        "automation.failed",
        customer_id=automation.customer_id,
        subject_id=automation.wallet_id,
        now=now,
        data={"reason": reason, "strikes": automation.strikes, "try_after": automation.try_after.isoformat()},
    )


def _pause(automation: Automation, reason: str, now: datetime, top_up: TopUp | None = None) -> None:
    """`top_up` is the one that its cardholder has to confirm."""
    automation.paused_at, automation.paused_for, automation.try_after = now, reason, None
    automation.save()
    events.record(
        "automation.paused",
        customer_id=automation.customer_id,
        subject_id=automation.wallet_id,
        now=now,
        data={"reason": reason, "top_up": top_up.id if top_up else None},
    )
