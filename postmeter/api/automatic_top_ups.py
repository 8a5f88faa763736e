"""The rule by which a wallet tops itself up."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from postmeter.api.messages import Amount
from postmeter.api.operation import Call, operation
from postmeter.api.wallets import wallet_of
from postmeter.customers.permissions import BUY, READ_BALANCE
from postmeter.db.public_ids import public_ids
from postmeter.kit.money import decimal_string, parse_decimal_string
from postmeter.kit.refusals import BadInput, NotFound
from postmeter.topups import automation, queries
from postmeter.topups.automation import Rule, WouldCharge
from postmeter.topups.queries import Standing

Given = Annotated[str, Meta(description="A decimal string in the wallet's unit.", max_length=40, examples=["20.00"])]


class AutomaticTopUp(msgspec.Struct, kw_only=True):
    """A wallet's rule and how it stands."""

    wallet: str
    enabled: bool
    state: Annotated[
        Standing,
        Meta(
            description="waiting: for a cap to open or after a failure, until `try_after`. paused: until the rule is set again."
        ),
    ]
    threshold: Amount
    kind: str
    amount: Amount
    day_cap: Amount
    month_cap: Amount
    unit: str
    payment_method: Annotated[str | None, Meta(description="What it would charge now.")]
    strikes: Annotated[int, Meta(description="Charges that no payment method would pay, one after the other; three pause it.")]
    try_after: datetime | None
    next_at: Annotated[datetime | None, Meta(description="Of a weekly or monthly one: when it is due.")]
    paused_for: str | None


class NewAutomaticTopUp(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The rule as it shall be."""

    enabled: bool
    threshold: Annotated[Given, Meta(description="Below this balance, strictly; what is held counts as spent.")]
    kind: Annotated[
        Literal["refill", "target", "weekly", "monthly"],
        Meta(
            description="refill: add `amount`, as often as closes the gap in one charge. target: fill up to `amount`. weekly, monthly:"
            " add `amount` on Mondays or on the first, if something was used; `threshold` says nothing then."
        ),
    ]
    amount: Given
    day_cap: Annotated[Given, Meta(description="The most that is charged automatically in a day of the customer's time zone.")]
    month_cap: Given
    accepts_charge: Annotated[
        Given | None, Meta(description="The charge that setting this rule causes at once, where the balance is below it already.")
    ] = None


@operation(
    "GET",
    "/v1/wallets/{id}/automatic-top-up",
    of="WA",
    scope=READ_BALANCE,
    summary="A wallet's automatic top-up",
    answer=AutomaticTopUp,
    live_only=True,
    refusals=(NotFound,),
)
def get_automatic_top_up(call: Call[None, None]) -> AutomaticTopUp:
    """The rule, how it stands, and what it would charge now. 404 where nobody has set one."""
    return _shape(call)


@operation(
    "PUT",
    "/v1/wallets/{id}/automatic-top-up",
    of="WA",
    scope=BUY,
    summary="Set a wallet's automatic top-up",
    body=NewAutomaticTopUp,
    answer=AutomaticTopUp,
    live_only=True,
    refusals=(BadInput, NotFound, WouldCharge),
)
def put_automatic_top_up(call: Call[NewAutomaticTopUp, None]) -> AutomaticTopUp:
    """Sets the rule, ends a pause and forgets the failures. The same rule again changes nothing.

    Where the balance is below the threshold already, setting it charges a payment method at once: that is refused with the
    amount, until the request repeats it as `accepts_charge`.
    """
    body = call.body
    amounts = {
        name: parse_decimal_string(getattr(body, name), field=name) for name in ("threshold", "amount", "day_cap", "month_cap")
    }
    automation.save(
        customer_id=call.customer_id,
        wallet_id=wallet_of(call, call.id).id,
        rule=Rule(body.enabled, amounts["threshold"], body.kind, amounts["amount"], amounts["day_cap"], amounts["month_cap"]),
        accepts_charge_micros=None
        if body.accepts_charge is None
        else parse_decimal_string(body.accepts_charge, field="accepts_charge"),
        actor=call.caller.actor,
        now=call.now,
    )
    return _shape(call)


def _shape(call: Call[NewAutomaticTopUp, None] | Call[None, None]) -> AutomaticTopUp:
    wallet = wallet_of(call, call.id)
    found = queries.automatic(customer_id=call.customer_id, wallet_id=wallet.id, now=call.now)
    if found is None:
        raise NotFound("This wallet has no automatic top-up.", remedy="Set one with PUT.")
    ids, rule = public_ids(), found.rule
    return AutomaticTopUp(
        wallet=ids.encode("WA", wallet.id),
        enabled=rule.enabled,
        state=found.standing,
        threshold=decimal_string(rule.threshold_micros),
        kind=rule.kind,
        amount=decimal_string(rule.amount_micros),
        day_cap=decimal_string(rule.day_cap_micros),
        month_cap=decimal_string(rule.month_cap_micros),
        unit=wallet.unit,
        payment_method=ids.encode("PM", found.primary.id) if found.primary else None,
        strikes=rule.strikes,
        try_after=rule.try_after,
        next_at=rule.next_at,
        paused_for=rule.paused_for or None,
    )
