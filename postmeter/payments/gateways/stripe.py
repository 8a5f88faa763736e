"""Stripe, through its own library. API version: the library's."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import stripe
from stripe import StripeClient

from postmeter.payments.gateways import Charge, Forged, GatewayDown, GivenBack, Outcome, Reversal, Saved, SetupDone, Word
from postmeter.payments.states import PaymentState

S = PaymentState
STATES = {
    "succeeded": S.SUCCEEDED,
    "processing": S.PROCESSING,
    "requires_action": S.REQUIRES_ACTION,
    "requires_confirmation": S.UNKNOWN,
    "requires_capture": S.UNKNOWN,
    "canceled": S.CANCELLED,
    "requires_payment_method": S.DECLINED,
}
KINDS = {"card": "card", "bank_debit": "us_bank_account"}
# Our words for what a bank says (S-133 ... S-136); what is not here is `declined`.
REASONS = {
    "insufficient_funds": "insufficient_funds",
    "expired_card": "card_expired",
    "invalid_expiry_year": "card_expired",
    "invalid_expiry_month": "card_expired",
    "incorrect_number": "card_invalid",
    "invalid_number": "card_invalid",
    "incorrect_cvc": "card_invalid",
    "lost_card": "card_lost_or_stolen",
    "stolen_card": "card_lost_or_stolen",
    "pickup_card": "card_lost_or_stolen",
    "invalid_account": "card_invalid",
    "account_closed": "account_closed",
    "no_account": "account_closed",
    "debit_not_authorized": "payment_forbidden",
    "revocation_of_authorization": "payment_forbidden",
    "revocation_of_all_authorizations": "payment_forbidden",
    "processing_error": "bank_unavailable",
    "issuer_not_available": "bank_unavailable",
    "authentication_required": "authentication_required",
    "payment_intent_authentication_failure": "authentication_failed",
}
# Disputes that move money, and whether it comes back to us.
REVERSALS = {"charge.dispute.funds_withdrawn": False, "charge.dispute.funds_reinstated": True}
SECONDS = 30


class Stripe:
    """Settings: base_url, secret_key, webhook_secret."""

    name = "stripe"
    keys_live = timedelta(hours=23)  # Stripe keeps idempotency keys for 24 hours

    def __init__(self, settings: Mapping[str, str]) -> None:
        # No retries by the library: a retry is ours to decide, with the same key, after we have written down what we know.
        self._client = StripeClient(
            settings["secret_key"],
            base_addresses={"api": settings["base_url"].rstrip("/")},
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=SECONDS),
        )
        self._webhook_secret = settings["webhook_secret"]

    def create_customer(self, *, key: str, email: str, name: str, facts: Mapping[str, str]) -> str:
        params: Any = {"email": email, "name": name, "metadata": dict(facts)}
        return str(_down(lambda: self._client.v1.customers.create(params, {"idempotency_key": key})).id)

    def start_setup(
        self, *, kind: str, key: str, customer_ref: str, success_url: str, cancel_url: str, facts: Mapping[str, str]
    ) -> tuple[str, str]:
        """A visit to the hosted page. Returns the session's name and the page's address."""
        params: Any = {
            "mode": "setup",
            "customer": customer_ref,
            "success_url": success_url,
            "cancel_url": cancel_url,
            "payment_method_types": [KINDS[kind]],
            "metadata": dict(facts),
        }
        session = _down(lambda: self._client.v1.checkout.sessions.create(params, {"idempotency_key": key}))
        return str(session.id), str(session.url)

    def finish_setup(self, *, key: str, session_ref: str) -> Saved | None:
        """The method that was added in this visit, or None if it was not finished."""
        session = _down(lambda: self._client.v1.checkout.sessions.retrieve(session_ref, {"expand": ["setup_intent"]}))
        intent = session.setup_intent
        if not intent or isinstance(intent, str):
            intent = _down(lambda: self._client.v1.setup_intents.retrieve(str(intent))) if intent else None
        if intent is None or intent.status != "succeeded" or not intent.payment_method:
            return None
        token = intent.payment_method if isinstance(intent.payment_method, str) else intent.payment_method.id
        return _saved(_down(lambda: self._client.v1.payment_methods.retrieve(token)))

    def charge(self, charge: Charge) -> Outcome:
        """Take the money, or say what stands in the way. Never raises for banks and networks."""
        params: Any = {
            "amount": charge.amount_minor,
            "currency": charge.currency.lower(),
            "customer": charge.customer_ref,
            "payment_method": charge.token,
            "payment_method_types": [KINDS[charge.kind]],
            "confirm": True,
            "metadata": dict(charge.facts),
        }
        if charge.off_session:
            params["off_session"] = True
        else:
            params["return_url"] = charge.return_url
        try:
            intent = self._client.v1.payment_intents.create(params, {"idempotency_key": charge.id})
        except stripe.CardError as error:
            return self._declined(error)
        except (stripe.InvalidRequestError, stripe.AuthenticationError, stripe.PermissionError) as error:
            # Refused before any money moved: our request or our key is wrong.
            return Outcome(S.DECLINED, code="gateway_refused", text=_words(error))
        except stripe.RateLimitError as error:
            return Outcome(S.UNKNOWN, code="rate_limited", text=_words(error))
        except stripe.StripeError as error:
            # No answer, a 5xx, a conflict: the money may have been taken. The same key will tell.
            return Outcome(S.UNKNOWN, code="no_answer", text=_words(error))
        return self._outcome(intent)

    def fetch(self, *, ref: str, facts: Mapping[str, str]) -> Outcome | None:
        """What Stripe has of a payment: by its name there, else by the facts we gave it. None: it has nothing."""
        if ref:
            return self._outcome(_down(lambda: self._client.v1.payment_intents.retrieve(ref)))
        query = " AND ".join(f'metadata["{key}"]:"{value}"' for key, value in facts.items())
        found = _down(lambda: self._client.v1.payment_intents.search({"query": query, "limit": 1}))
        return self._outcome(found.data[0]) if found.data else None

    def cancel(self, *, ref: str) -> Outcome:
        """Give up a payment that has not been confirmed. What it has become, which may be that it was paid after all."""
        try:
            return self._outcome(self._client.v1.payment_intents.cancel(ref))
        except stripe.InvalidRequestError:
            return self._outcome(_down(lambda: self._client.v1.payment_intents.retrieve(ref)))
        except stripe.StripeError as error:
            raise GatewayDown(_words(error)) from error

    def give_back(self, *, key: str, ref: str, amount_minor: int, currency: str) -> GivenBack:
        """Refund so much of a payment. Never raises for banks and networks."""
        params: Any = {"payment_intent": ref, "amount": amount_minor}
        try:
            made = self._client.v1.refunds.create(params, {"idempotency_key": key})
        except (stripe.InvalidRequestError, stripe.AuthenticationError, stripe.PermissionError, stripe.CardError) as error:
            return GivenBack(Word.REFUSED, text=_words(error))
        except stripe.StripeError as error:
            return GivenBack(Word.UNKNOWN, text=_words(error))
        word = {"succeeded": Word.DONE, "failed": Word.REFUSED, "canceled": Word.REFUSED}.get(str(made.status), Word.PENDING)
        return GivenBack(word, str(made.id))

    def read(self, *, body: bytes, headers: Mapping[str, str]) -> Sequence[Outcome | SetupDone | Reversal]:
        """The facts of a signed callback. Raises Forged. Kinds that we do not use say nothing."""
        try:
            event = stripe.Webhook.construct_event(body, headers.get("stripe-signature", ""), self._webhook_secret)
        except (stripe.SignatureVerificationError, ValueError) as error:
            raise Forged from error
        thing: Any = event.data.object
        if event.type.startswith("payment_intent.") and event.type != "payment_intent.created":
            return [self._outcome(thing)]
        if event.type == "checkout.session.completed" and thing.mode == "setup":
            return [SetupDone(str(thing.id), _facts(thing))]
        if event.type in REVERSALS or event.type.startswith("refund."):
            return _reversals(event.type, thing)
        return []

    def _outcome(self, intent: Any) -> Outcome:
        error = intent.last_payment_error if getattr(intent, "last_payment_error", None) else None
        state = STATES.get(intent.status, S.UNKNOWN)
        if state is S.DECLINED and error is None:
            # A fresh intent that nobody has tried to pay yet.
            state = S.UNKNOWN
        code = str(getattr(error, "decline_code", None) or getattr(error, "code", None) or "") if error else ""
        action = getattr(intent, "next_action", None)
        redirect = getattr(action, "redirect_to_url", None) if action else None
        return Outcome(
            state,
            ref=str(intent.id),
            code=REASONS.get(code, "declined") if state is S.DECLINED else "",
            text=str(getattr(error, "message", "") or "") if state is S.DECLINED else "",
            action_url=str(redirect.url) if redirect else "",
            amount_minor=int(getattr(intent, "amount_received", 0) or intent.amount),
            currency=str(intent.currency).upper(),
            facts=_facts(intent),
        )

    def _declined(self, error: stripe.CardError) -> Outcome:
        details = error.error
        intent = getattr(details, "payment_intent", None) if details else None
        code = str((getattr(details, "decline_code", None) if details else None) or error.code or "")
        ref = str(getattr(intent, "id", "") or "") if intent else ""
        return Outcome(S.DECLINED, ref=ref, code=REASONS.get(code, "declined"), text=_words(error))


def _saved(method: Any) -> Saved | None:
    if method.type == "us_bank_account":
        return Saved(
            method.id, "bank account", str(method.us_bank_account.last4), label=str(method.us_bank_account.bank_name or "")
        )
    card = method.card
    return Saved(method.id, str(card.brand), str(card.last4), (int(card.exp_year), int(card.exp_month))) if card else None


def _reversals(kind: str, thing: Any) -> list[Reversal]:
    """An inquiry, a refund that is still pending, and one that failed before it left move nothing."""
    if kind in REVERSALS:
        is_back = REVERSALS[kind]
    elif thing.status == "succeeded" or getattr(thing, "failure_balance_transaction", None):
        is_back = thing.status != "succeeded"
    else:
        return []
    name = "dispute" if kind in REVERSALS else "refund"
    return [
        Reversal(name, str(thing.id), str(thing.payment_intent or ""), int(thing.amount), str(thing.currency).upper(), is_back)
    ]


def _facts(thing: Any) -> dict[str, str]:
    metadata = getattr(thing, "metadata", None)
    return {str(key): str(value) for key, value in (metadata.to_dict() if metadata else {}).items()}


def _words(error: stripe.StripeError) -> str:
    """What Stripe said. An answer that is garbage is quoted in the error, so it is made fit to be kept."""
    said = str(error.user_message or error) or type(error).__name__
    return said.replace("\x00", "").encode("utf-8", "replace").decode()[:500]


def _down(ask: Any) -> Any:
    """For calls that take no money: any failure means that the gateway cannot be asked now."""
    try:
        return ask()
    except stripe.StripeError as error:
        raise GatewayDown(_words(error)) from error
