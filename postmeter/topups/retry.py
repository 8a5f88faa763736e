"""Trying a failed top-up again, by a person (S-137, S-138): the same amount for the same wallet, once."""

from datetime import datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

from django.core import signing

from postmeter.db.public_ids import public_ids
from postmeter.db.scope import scoped
from postmeter.kit.crash import crash_point
from postmeter.kit.money import format_amount
from postmeter.kit.refusals import Conflict, NotFound
from postmeter.payments import queries as payments
from postmeter.topups import bills, operations, queries
from postmeter.topups.automation import SCHEDULED
from postmeter.topups.models import Automation, TopUp
from postmeter.topups.operations import Purchase
from postmeter.topups.price import Price, price
from postmeter.wallets import queries as wallets

LINK_SALT = "top-up-retry"
LINK_GOOD_FOR = timedelta(hours=24)


class NotFailed(Conflict):
    """Only what failed is tried again."""

    code = "not_failed"


class AlreadyFull(Conflict):
    """Credit has come meanwhile: trying again would buy it twice, so it is asked first (A-31)."""

    code = "already_full"


def retry(
    *,
    customer_id: int,
    top_up_id: int,
    actor: str,
    now: datetime,
    method_id: int | None = None,
    charge_anyway: bool = False,
    agreed_micros: int | None = None,
) -> Purchase:
    """Charge a failed top-up again: with its own card, or another one. However often it is pressed, it is one purchase.

    A success restores the card (A-32) and starts a paused automatic top-up again. Raises NotFailed, AlreadyFull, NotFound,
    MethodUnusable, PriceChanged, and Conflict when it was tried again with another card.
    """
    top_up = _intend(
        customer_id=customer_id,
        top_up_id=top_up_id,
        method_id=method_id,
        actor=actor,
        now=now,
        charge_anyway=charge_anyway,
        agreed_micros=agreed_micros,
    )
    crash_point("topups.intent_written")
    return operations.charge(customer_id=customer_id, top_up_id=top_up.id, now=now)


def path(*, customer_id: int, top_up_id: int) -> str:
    """Where a mail leads its cardholder to confirm what their bank asked for. It asks who they are, and is of use once."""
    ids = public_ids()
    token = signing.dumps([ids.encode("CU", customer_id), ids.encode("TU", top_up_id)], salt=LINK_SALT, compress=True)
    return f"/credit/confirm/{token}/"


def of_path(token: str) -> tuple[int, int]:
    """The customer and the top-up that a link is for. Raises signing.BadSignature, SignatureExpired after a day."""
    customer, top_up = signing.loads(token, salt=LINK_SALT, max_age=LINK_GOOD_FOR)
    ids = public_ids()
    return ids.decode("CU", customer), ids.decode("TU", top_up)


@scoped
def full_words(*, customer_id: int, top_up_id: int) -> str:
    """Why a failed top-up may not be needed any more, as a question to the person; empty if nothing speaks against it (A-31)."""
    failed = _failed(customer_id, top_up_id)
    if failed.bill_id is not None:
        return ""  # a bill is owed however much credit there is, and is paid once
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=failed.wallet_id)
    figures = queries.figures(customer_id=customer_id, wallet=wallet)
    balance = figures.posted_micros - figures.held_micros
    rules = Automation.objects.filter(customer_id=customer_id, wallet_id=wallet.id, enabled=True).exclude(kind__in=SCHEDULED)
    rule = rules.first()
    if rule and failed.automatic and balance + figures.incoming_micros >= rule.threshold_micros:
        already = f"The balance is already {format_amount(balance, wallet.unit)}"
        if balance < rule.threshold_micros:
            coming = format_amount(figures.incoming_micros, wallet.unit)
            already = f"The balance is {format_amount(balance, wallet.unit)} and {coming} is on its way"
        return f"{already}, above your threshold. Charge anyway?"
    later = TopUp.objects.filter(customer_id=customer_id, wallet_id=wallet.id, created_at__gt=failed.created_at)
    other = later.filter(bill_id=None).exclude(state="failed").exclude(retry_of=failed.id).order_by("-id").first()
    if other:
        bought = format_amount(other.amount_micros, wallet.unit)
        return f"{bought} was bought since then; the balance is {format_amount(balance, wallet.unit)}. Charge anyway?"
    return ""


@scoped
def price_of(*, customer_id: int, top_up_id: int, now: datetime) -> Price:
    """What trying it again would charge: credit counted in messages costs what it costs today, a bill what it says."""
    failed = _failed(customer_id, top_up_id)
    if failed.bill_id is not None:
        return Price(failed.amount_micros, failed.unit)
    wallet = wallets.wallet(customer_id=customer_id, wallet_id=failed.wallet_id)
    return price(customer_id=customer_id, wallet=wallet, amount_micros=failed.amount_micros, now=now)


@scoped
def _intend(
    *,
    customer_id: int,
    top_up_id: int,
    method_id: int | None,
    actor: str,
    now: datetime,
    charge_anyway: bool,
    agreed_micros: int | None,
) -> TopUp:
    failed = _failed(customer_id, top_up_id)
    _wait_for_others(failed)
    if failed.bill_id is not None and bills.bill(customer_id=customer_id, bill_id=failed.bill_id).state != "open":
        raise bills.NotOpen("This bill is settled already.", field="bill", remedy="Nothing is to be done.")
    payment = payments.payment(customer_id=customer_id, payment_id=failed.payment_id)
    is_new = not TopUp.objects.filter(customer_id=customer_id, retry_of=failed.id).exists()
    words = full_words(customer_id=customer_id, top_up_id=top_up_id) if is_new and not charge_anyway else ""
    if words:
        raise AlreadyFull(words, field="charge_anyway", remedy="Say so, or leave it.")
    return operations.intend(
        customer_id=customer_id,
        wallet_id=failed.wallet_id,
        method_id=method_id or payment.method_id,
        amount_micros=failed.amount_micros,
        key=uuid5(NAMESPACE_OID, f"retry of {failed.id}"),
        actor=actor,
        now=now,
        retry_of=failed.id,
        bill_id=failed.bill_id,
        agreed_micros=agreed_micros,
    )


def _wait_for_others(failed: TopUp) -> None:
    """Whoever else buys for this wallet because of a failure, by retry or by rule, comes before or after, so that each sees the
    other's purchase: two answers to one gap would fill it twice (A-31).
    """
    of_wallet = {"customer_id": failed.customer_id, "wallet_id": failed.wallet_id}
    list(TopUp.objects.select_for_update().filter(state="failed", **of_wallet).order_by("id"))
    list(Automation.objects.select_for_update().filter(**of_wallet))


def _failed(customer_id: int, top_up_id: int) -> TopUp:
    found = TopUp.objects.filter(customer_id=customer_id, id=top_up_id).first()
    if found is None:
        raise NotFound("There is no such top-up.")
    if found.state != "failed":
        raise NotFailed("This top-up has not failed.", remedy="Only what failed is tried again.")
    return found
