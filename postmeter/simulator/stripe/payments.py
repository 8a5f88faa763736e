"""Taking money and giving it back: payment intents, charges, refunds, disputes.

Every attempt is a charge in the log, so that the log says what was really taken, whoever heard of it.
"""

from typing import Any

from postmeter.simulator.agenda import Task
from postmeter.simulator.stripe import shapes
from postmeter.simulator.stripe.cards import ADVICE, BANK_ACCOUNTS, MESSAGES, SOME_CARD, Card, card_of
from postmeter.simulator.stripe.currencies import checked, shown
from postmeter.simulator.stripe.errors import StripeError, invalid, missing, wrong_state
from postmeter.simulator.stripe.events import Events
from postmeter.simulator.stripe.forms import is_true
from postmeter.simulator.stripe.store import Store, Thing
from postmeter.simulator.world import World

DAY = 86400
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
REFUND_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


class Payments:
    def __init__(self, world: World, store: Store, events: Events) -> None:
        self._world = world
        self._store = store
        self._events = events
        world.agenda.on("stripe.settle", self._settle)
        world.agenda.on("stripe.dispute", self._complain)

    def create(self, params: Thing, *, short_by: int = 0, hidden: float = 0) -> Thing:
        """`short_by` minor units are not taken (a fault); lists show the intent after `hidden` seconds."""
        currency = str(params.get("currency") or "").lower()
        if "amount" not in params or not currency:
            raise missing("currency" if "amount" in params else "amount")
        amount = checked(params["amount"], currency)
        if params.get("customer"):
            self._store.find("customer", params["customer"])
        self._check_method(params.get("payment_method"), params.get("customer"))
        if is_true(params.get("off_session")) and not is_true(params.get("confirm")):
            raise invalid("off_session", "The parameter `off_session` can only be passed when `confirm` is true.")
        kept = ("customer", "description", "payment_method", "receipt_email", "setup_future_usage", "statement_descriptor_suffix")
        intent = shapes.payment_intent(
            self._store.new_id("payment_intent"),
            self._store.now(),
            amount=amount,
            currency=currency,
            status="requires_confirmation" if params.get("payment_method") else "requires_payment_method",
            metadata=params.get("metadata") or {},
            payment_method_types=params.get("payment_method_types") or ["card", "us_bank_account"],
            automatic_payment_methods=_automatic(params.get("automatic_payment_methods")),
            **{name: params[name] for name in kept if params.get(name)},
        )
        self._store.keep(
            intent, inner={"short_by": short_by, "idempotency_key": self._events.cause.idempotency_key}, hidden=hidden
        )
        self._events.emit("payment_intent.created", intent)
        return self.confirm(intent["id"], params) if is_true(params.get("confirm")) else intent

    def update(self, intent_id: str, params: Thing) -> Thing:
        intent = self._store.find("payment_intent", intent_id)
        metadata = {**intent["metadata"], **(params.get("metadata") or {})}
        return self._store.change(intent, metadata={k: v for k, v in metadata.items() if v}, **_given(params, "description"))

    def confirm(self, intent_id: str, params: Thing) -> Thing:
        """Raises StripeError 402 where the bank says no; the intent then waits for another payment method."""
        intent = self._store.find("payment_intent", intent_id)
        if intent["status"] not in OPEN:
            raise wrong_state("payment_intent", intent, "confirm")
        method_id = params.get("payment_method") or intent["payment_method"]
        if not method_id:
            raise invalid("payment_method", "You cannot confirm this PaymentIntent because it's missing a payment method.")
        self._check_method(method_id, intent["customer"])
        intent = self._store.change(intent, payment_method=method_id, next_action=None)
        number = self._store.inner(method_id)["number"]
        if number in BANK_ACCOUNTS:
            return self._await_settlement(intent)
        card = card_of(number) or SOME_CARD
        if card.authentication:
            return self._authenticate(intent, card, params)
        return self._try(intent, card)

    def authenticated(self, intent_id: str, *, passed: bool) -> Thing:
        """The card holder came back from the bank's page."""
        intent = self._store.find("payment_intent", intent_id)
        if intent["status"] != "requires_action":
            return intent
        intent = self._store.change(intent, next_action=None)
        if passed:
            return self._succeed(intent)
        error = self._error(
            intent, "payment_intent_authentication_failure", None, "The card holder did not authenticate the payment."
        )
        return self._back_to_start(intent, {**error, "type": "invalid_request_error"})

    def cancel(self, intent_id: str, reason: str | None) -> Thing:
        intent = self._store.find("payment_intent", intent_id)
        if intent["status"] not in OPEN:
            raise wrong_state("payment_intent", intent, "cancel")
        facts = {"status": "canceled", "canceled_at": self._store.now(), "cancellation_reason": reason, "next_action": None}
        intent = self._store.change(intent, **facts)
        self._events.emit("payment_intent.canceled", intent)
        return intent

    def refund(self, params: Thing) -> Thing:
        """Whole or in part; never more than is left of the charge."""
        charge = self._charge_of(params)
        if charge["status"] != "succeeded":
            raise invalid("charge", f"Charge {charge['id']} has not succeeded and cannot be refunded.")
        left = charge["amount"] - charge["amount_refunded"]
        if left == 0:
            raise StripeError(400, f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        if charge["disputed"]:
            raise StripeError(400, f"Charge {charge['id']} has been charged back.", code="charge_disputed")
        text = str(params.get("amount", left))
        if not text.isdigit() or int(text) == 0:
            raise invalid("amount", f"Invalid positive integer: {text}", "parameter_invalid_integer")
        amount = int(text)
        if amount > left:
            limit = shown(left, charge["currency"])
            raise invalid(
                "amount",
                f"Refund amount ({shown(amount, charge['currency'])}) is greater than unrefunded amount on charge ({limit})",
            )
        if params.get("reason") and params["reason"] not in REFUND_REASONS:
            raise invalid("reason", f"Invalid reason: must be one of {', '.join(REFUND_REASONS)}")
        return self._give_back(charge, amount, params)

    def dispute(self, charge_id: str, *, reason: str = "fraudulent", inquiry: bool = False, amount: int | None = None) -> Thing:
        """The card holder complains at the bank. An inquiry takes no money; a dispute does, at once."""
        charge = self._store.find("charge", charge_id)
        if charge["disputed"] or charge["status"] != "succeeded":
            raise StripeError(400, f"Charge {charge_id} cannot be disputed.", code="charge_disputed")
        dispute = shapes.dispute(
            self._store.new_id("dispute"),
            self._store.now(),
            brand=charge["payment_method_details"].get("card", {}).get("brand", "ach"),
            inquiry=inquiry,
            amount=amount or charge["amount"],
            currency=charge["currency"],
            charge=charge_id,
            payment_intent=charge["payment_intent"],
            reason=reason,
        )
        self._store.keep(dispute)
        self._store.change(charge, disputed=True)
        self._tell_dispute("created", dispute)
        return dispute if inquiry else self._withdraw(dispute)

    def move_dispute(self, dispute_id: str, status: str) -> Thing:
        """To needs_response (an inquiry that became a dispute), won or lost; an inquiry that is won ends as warning_closed."""
        dispute = self._store.find("dispute", dispute_id)
        was_inquiry = dispute["status"].startswith("warning")
        if dispute["status"] in {"won", "lost", "warning_closed"}:
            raise wrong_state("dispute", dispute, "change")
        match status:
            case "needs_response" if was_inquiry:
                dispute = self._store.change(dispute, status=status, is_charge_refundable=False)
                self._tell_dispute("updated", dispute)
                return self._withdraw(dispute)
            case "won" | "lost":
                ended = "warning_closed" if was_inquiry and status == "won" else status
                if was_inquiry and status == "lost":
                    dispute = self._withdraw(dispute)
                dispute = self._store.change(dispute, status=ended)
                self._tell_dispute("closed", dispute)
                return self._reinstate(dispute) if ended == "won" else dispute
        raise invalid("status", "A dispute moves to needs_response, won or lost.")

    # What the bank does

    def _authenticate(self, intent: Thing, card: Card, params: Thing) -> Thing:
        if is_true(params.get("off_session")) or is_true(params.get("error_on_requires_action")):
            self._decline(intent, "authentication_required", "authentication_required")
        url = f"{self._world.settings.public_url}/authenticate/{intent['id']}"
        self._store.change_inner(intent["id"], {**self._store.inner(intent["id"]), "return_url": params.get("return_url")})
        action = {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": params.get("return_url")}}
        intent = self._store.change(intent, status="requires_action", next_action=action)
        self._events.emit("payment_intent.requires_action", intent, card=card.number)
        return intent

    def _try(self, intent: Thing, card: Card) -> Thing:
        if card.decline:
            self._decline(intent, *card.decline)
        intent = self._succeed(intent)
        if card.disputed:
            due = self._world.clock.now() + self._world.knob("dispute_days") * DAY
            self._world.agenda.add(due=due, kind="stripe.dispute", charge=intent["latest_charge"])
        return intent

    def _succeed(self, intent: Thing) -> Thing:
        amount = intent["amount"] - self._store.inner(intent["id"]).get("short_by", 0)
        charge = self._charge(intent, "succeeded", amount=amount)
        return self._received(intent, charge)

    def _received(self, intent: Thing, charge: Thing) -> Thing:
        intent = self._store.change(
            intent,
            status="succeeded",
            amount_received=charge["amount"],
            latest_charge=charge["id"],
            processing=None,
            last_payment_error=None,
        )
        self._tell_money("charge.succeeded", charge, intent)
        self._events.emit("charge.succeeded", charge, card=self._number(intent))
        self._events.emit("payment_intent.succeeded", intent, card=self._number(intent))
        return intent

    def _decline(self, intent: Thing, code: str, decline_code: str) -> None:
        charge = self._charge(
            intent, "failed", failure_code=code, failure_message=MESSAGES[decline_code], decline_code=decline_code
        )
        error = self._error(intent, code, decline_code, MESSAGES[decline_code], charge=charge["id"])
        self._tell_money("charge.failed", charge, intent, decline_code=decline_code)
        self._events.emit("charge.failed", charge, card=self._number(intent))
        intent = self._back_to_start(self._store.change(intent, latest_charge=charge["id"]), error)
        facts = {name: value for name, value in error.items() if name not in {"type", "message"}}
        raise StripeError(402, error["message"], kind="card_error", payment_intent=intent, **facts)

    def _back_to_start(self, intent: Thing, error: Thing) -> Thing:
        number = self._number(intent)
        intent = self._store.change(
            intent,
            status="requires_payment_method",
            payment_method=None,
            processing=None,
            next_action=None,
            last_payment_error=error,
        )
        self._events.emit("payment_intent.payment_failed", intent, card=number)
        return intent

    def _await_settlement(self, intent: Thing) -> Thing:
        charge = self._charge(intent, "pending")
        intent = self._store.change(
            intent,
            status="processing",
            latest_charge=charge["id"],
            processing={"type": "us_bank_account"},
            last_payment_error=None,
        )
        self._tell_money("charge.pending", charge, intent)
        self._events.emit("charge.pending", charge)
        self._events.emit("payment_intent.processing", intent)
        due = self._world.clock.now() + self._world.knob("settlement_days") * DAY
        self._world.agenda.add(due=due, kind="stripe.settle", intent=intent["id"])
        return intent

    async def _settle(self, task: Task) -> None:
        with self._world.log.transaction():
            self._world.agenda.done(task)
            intent = self._store.find("payment_intent", task.facts["intent"])
            charge = self._store.find("charge", intent["latest_charge"])
            failure = BANK_ACCOUNTS[self._number(intent)].failure
            if failure is None:
                self._received(
                    intent,
                    self._store.change(charge, status="succeeded", paid=True, captured=True, amount_captured=charge["amount"]),
                )
                return
            message = MESSAGES.get(f"{failure}_bank", MESSAGES.get(failure, failure))
            charge = self._store.change(charge, status="failed", paid=False, failure_code=failure, failure_message=message)
            self._tell_money("charge.failed", charge, intent, decline_code=failure)
            self._events.emit("charge.failed", charge)
            self._back_to_start(intent, self._error(intent, failure, None, message, charge=charge["id"]))

    async def _complain(self, task: Task) -> None:
        with self._world.log.transaction():
            self._world.agenda.done(task)
            charge = self._store.find("charge", task.facts["charge"])
            if not charge["disputed"] and not charge["refunded"]:
                self.dispute(charge["id"])

    def _give_back(self, charge: Thing, amount: int, params: Thing) -> Thing:
        refund = shapes.refund(
            self._store.new_id("refund"),
            self._store.now(),
            amount=amount,
            charge=charge["id"],
            currency=charge["currency"],
            payment_intent=charge["payment_intent"],
            metadata=params.get("metadata") or {},
            **_given(params, "reason"),
        )
        self._store.keep(refund)
        taken_back = charge["amount_refunded"] + amount
        charge = self._store.change(charge, amount_refunded=taken_back, refunded=taken_back == charge["amount"])
        self._tell("refund.created", refund, charge=charge["id"], payment_intent=charge["payment_intent"], amount=amount)
        self._events.emit("refund.created", refund)
        self._events.emit("charge.refunded", charge)
        return refund

    def _withdraw(self, dispute: Thing) -> Thing:
        dispute = self._store.change(
            dispute, balance_transactions=[*dispute["balance_transactions"], self._movement(dispute, -dispute["amount"])]
        )
        self._tell_dispute("funds_withdrawn", dispute)
        return dispute

    def _reinstate(self, dispute: Thing) -> Thing:
        dispute = self._store.change(
            dispute, balance_transactions=[*dispute["balance_transactions"], self._movement(dispute, dispute["amount"])]
        )
        self._tell_dispute("funds_reinstated", dispute)
        return dispute

    def _movement(self, dispute: Thing, amount: int) -> Thing:
        """A dispute's balance transaction, without fee."""
        return {
            "id": f"txn_{self._store.new_id('dispute')[3:]}",
            "object": "balance_transaction",
            "amount": amount,
            "available_on": self._store.now(),
            "balance_type": "payments",
            "created": self._store.now(),
            "currency": dispute["currency"],
            "description": f"Chargeback for {dispute['charge']}",
            "exchange_rate": None,
            "fee": 0,
            "fee_details": [],
            "net": amount,
            "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
            "source": dispute["id"],
            "status": "available",
            "type": "adjustment",
        }

    # Small parts

    def _charge(
        self, intent: Thing, status: str, *, amount: int | None = None, decline_code: str | None = None, **facts: Any
    ) -> Thing:
        method = self._store.find("payment_method", intent["payment_method"])
        paid = status == "succeeded"
        amount = intent["amount"] if amount is None else amount
        details = (
            shapes.charged_card(method["card"], amount)
            if method["type"] == "card"
            else {"type": method["type"], method["type"]: method[method["type"]]}
        )
        charge = shapes.charge(
            self._store.new_id("charge"),
            self._store.now(),
            amount=amount,
            amount_captured=amount if paid else 0,
            captured=paid,
            currency=intent["currency"],
            customer=intent["customer"],
            description=intent["description"],
            metadata=intent["metadata"],
            outcome=_outcome(status, decline_code),
            paid=paid,
            payment_intent=intent["id"],
            payment_method=method["id"],
            payment_method_details=details,
            status=status,
            billing_details=method["billing_details"],
            **facts,
        )
        return self._store.keep(charge)

    def _error(self, intent: Thing, code: str, decline_code: str | None, message: str, **facts: Any) -> Thing:
        error = {"type": "card_error", "code": code, "message": message, **facts}
        error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if intent["payment_method"]:
            error["payment_method"] = self._store.find("payment_method", intent["payment_method"])
        if decline_code:
            error |= {"decline_code": decline_code, "advice_code": ADVICE[decline_code]}
        return error

    def _check_method(self, method_id: str | None, customer: str | None) -> None:
        if not method_id:
            return
        method = self._store.find("payment_method", method_id)
        if method["customer"] != (customer or None):
            owner = f"customer {customer}" if customer else "this payment without a customer"
            raise invalid("payment_method", f"The PaymentMethod {method_id} does not belong to {owner}.")

    def _charge_of(self, params: Thing) -> Thing:
        if params.get("charge"):
            return self._store.find("charge", params["charge"])
        if not params.get("payment_intent"):
            raise missing("payment_intent")
        intent = self._store.find("payment_intent", params["payment_intent"])
        if not intent["latest_charge"]:
            raise invalid("payment_intent", f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.")
        return self._store.find("charge", intent["latest_charge"])

    def _number(self, intent: Thing) -> str:
        method = intent["payment_method"] or (intent["last_payment_error"] or {}).get("payment_method", {}).get("id")
        return str(self._store.inner(method).get("number", "")) if method else ""

    def _tell(self, kind: str, thing: Thing, **facts: Any) -> None:
        self._world.log.append(
            at=self._world.clock.now(),
            kind=kind,
            subject=thing["id"],
            currency=thing["currency"],
            metadata=thing["metadata"],
            **facts,
        )

    def _tell_money(self, kind: str, charge: Thing, intent: Thing, **facts: Any) -> None:
        key = self._store.inner(intent["id"]).get("idempotency_key")
        self._tell(
            kind,
            charge,
            payment_intent=intent["id"],
            amount=charge["amount"],
            customer=charge["customer"],
            idempotency_key=key,
            **facts,
        )

    def _tell_dispute(self, what: str, dispute: Thing) -> None:
        self._tell(f"dispute.{what}", dispute, charge=dispute["charge"], amount=dispute["amount"], status=dispute["status"])
        self._events.emit(f"charge.dispute.{what}", dispute)


def _given(params: Thing, *names: str) -> Thing:
    return {name: params[name] for name in names if params.get(name) is not None}


def _automatic(params: Thing | None) -> Thing | None:
    if params is None:
        return None
    return {"enabled": is_true(params.get("enabled")), **_given(params, "allow_redirects")}


def _outcome(status: str, decline_code: str | None) -> Thing:
    declined = status == "failed"
    return {
        "advice_code": ADVICE.get(decline_code or "") if declined else None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if declined else "approved_by_network",
        "reason": decline_code,
        "seller_message": "The bank did not return any further details." if declined else "Payment complete.",
        "type": "issuer_declined" if declined else "authorized",
    }
