"""Every write about payment methods and payments.

The rule behind all of it: write the intent, commit, call, write the result. The functions that call a gateway (`start_setup`,
`finish_setup`, `call`) open no transaction around the call; `apply` writes what was heard and never calls.
"""

from datetime import datetime

from django.conf import settings
from django.db import connection

from postmeter.customers import queries as customers
from postmeter.db import calls, scope
from postmeter.db.public_ids import public_ids
from postmeter.db.scope import scoped
from postmeter.events import operations as events
from postmeter.kit.crash import crash_point
from postmeter.kit.money import from_minor, to_minor
from postmeter.kit.refusals import BadInput, Conflict, NotFound, Refusal
from postmeter.payments import gateways
from postmeter.payments.gateways import Charge, Gateway, GatewayDown, Outcome
from postmeter.payments.health import heal, hurt
from postmeter.payments.models import GatewayCustomer, MethodSetup, Payment, PaymentMethod
from postmeter.payments.reasons import Kind
from postmeter.payments.states import MACHINE, PaymentState

MISMATCH = "mismatch"


class GatewayUnavailable(Refusal):
    """The payment service does not answer just now."""

    status = 503
    code = "gateway_unavailable"


def gateway(name: str) -> Gateway:
    return gateways.gateway(name, settings.GATEWAYS[name])


def start_setup(
    *,
    customer_id: int,
    actor: str,
    success_url: str,
    cancel_url: str,
    now: datetime,
    kind: str = "card",
    member_id: int = 0,
) -> tuple[int, str]:
    """Begin adding a payment method of a kind. Returns the setup's id and the address of the gateway's hosted page.

    SETUP in `success_url` becomes the visit's public id (CS…). With `member_id` it becomes that member's own.
    Raises BadInput for a kind that this install does not offer (`settings.PAYMENT_KINDS`), and GatewayUnavailable.
    """
    if kind not in settings.PAYMENT_KINDS:
        raise BadInput("This kind of payment method is not offered.", field="kind", remedy="Choose one that the page names.")
    name = gateways.KINDS[kind]
    customer_ref = _gateway_customer(customer_id, name)
    with scope.customer(customer_id):
        setup = MethodSetup(
            customer_id=customer_id,
            id=calls.next_id(),
            kind=kind,
            member_id=member_id,
            gateway=name,
            created_by=actor,
            created_at=now,
        )
        setup.save(force_insert=True)
    facts = {"customer": str(customer_id), "setup": str(setup.id)}
    crash_point("payments.setup_written")
    try:
        session_ref, url = gateway(name).start_setup(
            kind=kind,
            key=f"setup-{setup.id}",
            customer_ref=customer_ref,
            success_url=success_url.replace("SETUP", public_ids().encode("CS", setup.id)),
            cancel_url=cancel_url,
            facts=facts,
        )
    except GatewayDown as error:
        raise GatewayUnavailable(remedy="Nothing was charged. Try again in a minute.") from error
    crash_point("payments.setup_answered")
    with scope.customer(customer_id):
        MethodSetup.objects.filter(customer_id=customer_id, id=setup.id).update(session_ref=session_ref)
    return setup.id, url


def finish_setup(*, customer_id: int, setup_id: int, now: datetime) -> PaymentMethod | None:
    """Save the method that was added. Called on the way back and by the callback; whichever comes first saves it once."""
    with scope.customer(customer_id):
        setup = MethodSetup.objects.filter(customer_id=customer_id, id=setup_id).first()
        if setup is None or not setup.session_ref:
            raise NotFound("There is no such visit to the card page.")
        if setup.method_id:
            return PaymentMethod.objects.get(customer_id=customer_id, id=setup.method_id)
    try:
        saved = gateway(setup.gateway).finish_setup(key=f"setup-done-{setup.id}", session_ref=setup.session_ref)
    except GatewayDown as error:
        raise GatewayUnavailable(remedy="It may have been saved: look again in a minute.") from error
    if saved is None:
        return None
    crash_point("payments.card_read")
    with scope.customer(customer_id):
        # The visit's row is the lock between the way back and the callback.
        MethodSetup.objects.select_for_update().get(customer_id=customer_id, id=setup_id)
        method = PaymentMethod.objects.filter(customer_id=customer_id, gateway=setup.gateway, token=saved.token).first()
        if method is None:
            live = _live(customer_id, setup.member_id)
            method = PaymentMethod(
                customer_id=customer_id,
                id=calls.next_id(),
                gateway=setup.gateway,
                member_id=setup.member_id,
                kind=setup.kind,
                token=saved.token,
                brand=saved.brand,
                last4=saved.last4,
                label=saved.label,
                expires_year=saved.expires[0],
                expires_month=saved.expires[1],
                position=max((row.position for row in live), default=0) + 1,
                auto_charge=not live and not setup.member_id,  # the first method has it on
                created_at=now,
            )
            method.save(force_insert=True)
            events.record(
                "payment_method.added",
                customer_id=customer_id,
                subject_id=method.id,
                now=now,
                actor=setup.created_by,
                data={"brand": saved.brand},
            )
        MethodSetup.objects.filter(customer_id=customer_id, id=setup_id).update(method_id=method.id)
    return method


@scoped
def remove_method(*, customer_id: int, method_id: int, now: datetime, actor: str, member_id: int = 0) -> None:
    """Stop using one of the customer's, or of a member's own. Its row stays, because payments name it. Raises NotFound."""
    rows = PaymentMethod.objects.filter(customer_id=customer_id, id=method_id, member_id=member_id, removed_at=None)
    if not rows.update(removed_at=now):
        raise NotFound("There is no such payment method.")
    events.record("payment_method.removed", customer_id=customer_id, subject_id=method_id, now=now, actor=actor)


@scoped
def set_auto_charge(*, customer_id: int, method_id: int, on: bool, now: datetime, actor: str) -> PaymentMethod:
    """Allow or forbid charging a method automatically (S-108, S-111). Its health stays as it is."""
    method = _locked_method(customer_id, method_id)
    if method is None or method.removed_at or method.member_id:
        raise NotFound("There is no such payment method.")
    if method.auto_charge != on:
        method.auto_charge = on
        method.save(update_fields=["auto_charge"])
        events.record(
            "payment_method.auto_charge_switched",
            customer_id=customer_id,
            subject_id=method_id,
            now=now,
            actor=actor,
            data={"on": on},
        )
    return method


@scoped
def move(*, customer_id: int, method_id: int, position: int, now: datetime, actor: str) -> list[PaymentMethod]:
    """Put one method at a place of the order, the first being 1 (A-37). Returns all in their new order."""
    rows = _live(customer_id)
    moved = next((row for row in rows if row.id == method_id), None)
    if moved is None:
        raise NotFound("There is no such payment method.")
    if not 1 <= position <= len(rows):
        raise BadInput(f"There are places 1 to {len(rows)}.", field="position")
    order = [row for row in rows if row is not moved]
    order.insert(position - 1, moved)
    return _arrange(customer_id, rows, order, now, actor)


@scoped
def reorder(*, customer_id: int, method_ids: list[int], now: datetime, actor: str) -> list[PaymentMethod]:
    """Give all methods a new order at once (S-113, S-116). Raises BadInput unless the list names each exactly once."""
    rows = _live(customer_id)
    if sorted(method_ids) != sorted(row.id for row in rows):
        raise BadInput(
            "This is not a list of exactly your payment methods.",
            field="order",
            remedy="Somebody may have added or removed one: look again, and name each once.",
        )
    by_id = {row.id: row for row in rows}
    return _arrange(customer_id, rows, [by_id[each] for each in method_ids], now, actor)


def _arrange(
    customer_id: int, before: list[PaymentMethod], after: list[PaymentMethod], now: datetime, actor: str
) -> list[PaymentMethod]:
    if after == before:
        return after
    for position, row in enumerate(after, start=1):
        row.position = position
        row.save(update_fields=["position"])
    events.record(
        "payment_method.reordered",
        customer_id=customer_id,
        subject_id=after[0].id,
        now=now,
        actor=actor,
        data={"order": [str(row.id) for row in after]},
    )
    return after


def _live(customer_id: int, member_id: int = 0) -> list[PaymentMethod]:
    """The methods in their order, locked in the order of their ids so that two who rearrange them wait for each other."""
    locked = (
        PaymentMethod.objects.select_for_update()
        .filter(customer_id=customer_id, member_id=member_id, removed_at=None)
        .order_by("id")
    )
    return sorted(locked, key=lambda row: (row.position, row.id))


def _locked_method(customer_id: int, method_id: int) -> PaymentMethod | None:
    return PaymentMethod.objects.select_for_update().filter(customer_id=customer_id, id=method_id).first()


@scoped
def create(
    *,
    customer_id: int,
    method: PaymentMethod,
    purpose: str,
    subject_id: int,
    amount_micros: int,
    currency: str,
    actor: str,
    now: datetime,
) -> Payment:
    """Write the intent to take money. Nothing is asked of anybody yet."""
    if amount_micros <= 0:
        raise BadInput("An amount must be above zero.", field="amount")
    payment = Payment(
        customer_id=customer_id,
        id=calls.next_id(),
        method_id=method.id,
        gateway=method.gateway,
        purpose=purpose,
        subject_id=subject_id,
        amount_micros=amount_micros,
        currency=currency,
        state=PaymentState.CREATED,
        created_by=actor,
        created_at=now,
        changed_at=now,
    )
    payment.save(force_insert=True)
    return payment


@scoped
def received(
    *,
    customer_id: int,
    method_id: int,
    gateway: str,
    ref: str,
    purpose: str,
    subject_id: int,
    amount_micros: int,
    currency: str,
    actor: str,
    now: datetime,
) -> Payment:
    """Write down money that nobody was asked for and that is there: a bank transfer. Once for each `ref` of the gateway."""
    payment = Payment(
        customer_id=customer_id,
        id=calls.next_id(),
        method_id=method_id,
        gateway=gateway,
        gateway_ref=ref,
        purpose=purpose,
        subject_id=subject_id,
        amount_micros=amount_micros,
        currency=currency,
        state=PaymentState.SUCCEEDED,
        created_by=actor,
        created_at=now,
        changed_at=now,
    )
    payment.save(force_insert=True)
    events.record("payment.succeeded", customer_id=customer_id, subject_id=payment.id, now=now, actor=actor)
    return payment


def call(
    *, customer_id: int, payment_id: int, return_url: str, off_session: bool, now: datetime, again: bool = False
) -> Outcome | None:
    """Ask the gateway for the money of a committed intent. None: somebody else is asking, or it is settled.

    `again` repeats the question for an intent whose answer was lost: the same id and the same content, so the gateway
    answers what it answered then.
    """
    assert not connection.in_atomic_block, "no gateway is called inside a transaction"
    sources = [PaymentState.CALLING, PaymentState.UNKNOWN] if again else [PaymentState.CREATED]
    with scope.customer(customer_id):
        moved = Payment.objects.filter(customer_id=customer_id, id=payment_id, state__in=sources).update(
            state=PaymentState.UNKNOWN if again else PaymentState.CALLING, changed_at=now
        )
        if not moved:
            return None
        payment = Payment.objects.get(customer_id=customer_id, id=payment_id)
        method = PaymentMethod.objects.get(customer_id=customer_id, id=payment.method_id)
        customer_ref = GatewayCustomer.objects.get(customer_id=customer_id, gateway=payment.gateway).ref
    crash_point("payments.calling_written")
    outcome = gateway(payment.gateway).charge(
        Charge(
            id=f"payment-{payment.id}",
            customer_ref=customer_ref,
            token=method.token,
            kind=method.kind,
            amount_minor=to_minor(payment.amount_micros, payment.currency),
            currency=payment.currency,
            off_session=off_session,
            return_url=return_url,
            facts=facts_of(payment),
        )
    )
    crash_point("payments.gateway_answered")
    return outcome


def facts_of(payment: Payment) -> dict[str, str]:
    """What we give the gateway so that its callbacks say whose payment they are about."""
    return {"customer": str(payment.customer_id), "payment": str(payment.id)}


@scoped
def apply(*, customer_id: int, payment_id: int, outcome: Outcome, now: datetime) -> tuple[Payment, bool]:
    """Write what the gateway said. Returns the payment and whether this word moved it; a repeat moves nothing.

    A decline or a success is the method's too, whoever pressed: in this transaction it cools or is restored (S-131, S-138).
    Money of another amount or currency than asked for is not believed: the payment stays unknown until a person looks.
    """
    payment = Payment.objects.select_for_update().filter(customer_id=customer_id, id=payment_id).first()
    if payment is None:
        raise NotFound("There is no such payment.")
    if outcome.state is PaymentState.SUCCEEDED and not _as_asked(payment, outcome):
        outcome = _disbelieved(payment, outcome, now)
    target, source = outcome.state, PaymentState(payment.state)
    if source is PaymentState.CREATED and target is not PaymentState.CANCELLED:
        # A callback can overtake the write that says we are calling.
        source = PaymentState.CALLING
    if not MACHINE.allows(source, target):
        _keep_what_is_new(payment, outcome)
        return payment, False
    payment.state = target
    payment.gateway_ref = outcome.ref or payment.gateway_ref
    payment.action_url = outcome.action_url
    payment.failure_code, payment.failure_text = outcome.code, outcome.text
    payment.changed_at = now
    payment.save(update_fields=["state", "gateway_ref", "action_url", "failure_code", "failure_text", "changed_at"])
    events.record(
        f"payment.{target}",
        customer_id=customer_id,
        subject_id=payment_id,
        now=now,
        data={"code": outcome.code} if outcome.code else {},
    )
    if target in (PaymentState.SUCCEEDED, PaymentState.DECLINED):
        _tell_method(payment, now)
    return payment, True


def _tell_method(payment: Payment, now: datetime) -> None:
    """What a payment's end means for the health of its method. The method's row is the lock: of two ends the later stands."""
    method = _locked_method(payment.customer_id, payment.method_id)
    if method is None or method.removed_at:
        return
    if payment.state == PaymentState.SUCCEEDED:
        _restore(method, payment, now)
    else:
        _cool(method, payment, now)
    method.save(update_fields=["cooling_until", "needs_person", "failure_code", "failure_text", "failed_at"])


def _restore(method: PaymentMethod, payment: Payment, now: datetime) -> None:
    if heal(method):
        events.record(
            "payment_method.restored",
            customer_id=payment.customer_id,
            subject_id=method.id,
            now=now,
            actor=payment.created_by,
            data={"payment": str(payment.id)},
        )


def _cool(method: PaymentMethod, payment: Payment, now: datetime) -> None:
    kind = hurt(method, code=payment.failure_code or "declined", text=payment.failure_text, now=now)
    if kind not in (Kind.ISSUER, Kind.HARD):
        return
    until = method.cooling_until.isoformat() if method.cooling_until else None
    events.record(
        "payment_method.cooled",
        customer_id=payment.customer_id,
        subject_id=method.id,
        now=now,
        data={"payment": str(payment.id), "code": payment.failure_code, "until": until, "needs_person": method.needs_person},
    )


def _keep_what_is_new(payment: Payment, outcome: Outcome) -> None:
    payment.gateway_ref = payment.gateway_ref or outcome.ref
    if payment.state == outcome.state:
        payment.action_url = outcome.action_url or payment.action_url
        payment.failure_code, payment.failure_text = outcome.code, outcome.text
    payment.save(update_fields=["gateway_ref", "action_url", "failure_code", "failure_text"])


def _disbelieved(payment: Payment, outcome: Outcome, now: datetime) -> Outcome:
    """A success of another amount or currency: told once, and kept open until a person has looked (F27)."""
    if payment.failure_code != MISMATCH:
        events.record(
            "payment.mismatch",
            customer_id=payment.customer_id,
            subject_id=payment.id,
            now=now,
            data={"amount_minor": outcome.amount_minor, "currency": outcome.currency},
        )
    return Outcome(
        PaymentState.UNKNOWN, ref=outcome.ref, code=MISMATCH, text="The payment service took another amount than we asked for."
    )


@scoped
def note_asked(*, customer_id: int, payment_id: int, now: datetime) -> None:
    """Write down that the gateway is being asked about a payment, so that the next question waits its turn."""
    Payment.objects.filter(customer_id=customer_id, id=payment_id).update(asked_at=now)


@scoped
def cancel(*, customer_id: int, payment_id: int, now: datetime) -> bool:
    """Give up an intent that no gateway was asked about."""
    moved = Payment.objects.filter(customer_id=customer_id, id=payment_id, state=PaymentState.CREATED).update(
        state=PaymentState.CANCELLED, changed_at=now
    )
    if moved:
        events.record("payment.cancelled", customer_id=customer_id, subject_id=payment_id, now=now)
    return bool(moved)


def _as_asked(payment: Payment, outcome: Outcome) -> bool:
    taken = from_minor(outcome.amount_minor, payment.currency)
    return taken == payment.amount_micros and outcome.currency.upper() == payment.currency


def _gateway_customer(customer_id: int, name: str) -> str:
    with scope.customer(customer_id):
        found = GatewayCustomer.objects.filter(customer_id=customer_id, gateway=name).first()
        if found:
            return found.ref
        customer = customers.customer(customer_id=customer_id)
    try:
        ref = gateway(name).create_customer(
            key=f"customer-{customer_id}", email=customer.email, name=customer.name, facts={"customer": str(customer_id)}
        )
    except GatewayDown as error:
        raise GatewayUnavailable(remedy="Nothing was charged. Try again in a minute.") from error
    with scope.customer(customer_id):
        calls.rows(
            """INSERT INTO payments_gateway_customer (customer_id, id, gateway, ref) VALUES (%s, next_id(), %s, %s)
               ON CONFLICT (customer_id, gateway) DO NOTHING""",
            [customer_id, name, ref],
        )
        return GatewayCustomer.objects.get(customer_id=customer_id, gateway=name).ref


class MethodUnusable(Conflict):
    """This card cannot be charged."""

    code = "method_unusable"
