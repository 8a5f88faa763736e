"""Saving a payment method: customers, payment methods, setup intents, and the hosted page's sessions."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from postmeter.simulator.stripe import shapes
from postmeter.simulator.stripe.cards import ADVICE, BANK_ACCOUNTS, MESSAGES, TOKENS, card_of
from postmeter.simulator.stripe.errors import StripeError, invalid, missing, wrong_state
from postmeter.simulator.stripe.events import Events
from postmeter.simulator.stripe.forms import is_true
from postmeter.simulator.stripe.store import Store, Thing
from postmeter.simulator.world import World

CUSTOMER_FIELDS = ("email", "name", "phone", "description", "address")


class Checkout:
    def __init__(self, world: World, store: Store, events: Events) -> None:
        self._world = world
        self._store = store
        self._events = events

    # Customers

    def create_customer(self, params: Thing) -> Thing:
        facts = {name: params[name] for name in CUSTOMER_FIELDS if params.get(name)}
        customer = shapes.customer(
            self._store.new_id("customer"), self._store.now(), metadata=params.get("metadata") or {}, **facts
        )
        self._events.emit("customer.created", self._store.keep(customer))
        return customer

    def update_customer(self, customer_id: str, params: Thing) -> Thing:
        customer = self._store.find("customer", customer_id)
        facts = {name: params[name] or None for name in CUSTOMER_FIELDS if name in params}
        facts["metadata"] = {k: v for k, v in {**customer["metadata"], **(params.get("metadata") or {})}.items() if v}
        facts["invoice_settings"] = {**customer["invoice_settings"], **(params.get("invoice_settings") or {})}
        customer = self._store.change(customer, **facts)
        self._events.emit("customer.updated", customer)
        return customer

    # Payment methods

    def create_method(self, params: Thing) -> Thing:
        """From a test number or a token (`tok_visa`); Stripe lets only its own pages see real ones."""
        kind = params.get("type", "card")
        details = params.get(kind) or {}
        number = str(details.get("number") or details.get("account_number") or "")
        if details.get("token"):
            number = TOKENS.get(str(details["token"]).removeprefix("tok_"), "")
        month, year = int(details.get("exp_month") or 12), int(details.get("exp_year") or self._year() + 3)
        return self._new_method(number, month=month, year=year, name=(params.get("billing_details") or {}).get("name"))

    def attach(self, method_id: str, params: Thing) -> Thing:
        if method_id.removeprefix("pm_card_") in TOKENS:  # Stripe's ready-made ones become a new method each time
            method_id = self._new_method(TOKENS[method_id.removeprefix("pm_card_")])["id"]
        method = self._store.find("payment_method", method_id)
        if not params.get("customer"):
            raise missing("customer")
        if method["customer"] not in (None, params["customer"]):
            raise invalid("payment_method", "The payment method you provided has already been attached to a customer.")
        self._store.find("customer", params["customer"])
        self._ask_the_bank(method)
        return self._attached(method, params["customer"])

    def detach(self, method_id: str) -> Thing:
        method = self._store.find("payment_method", method_id)
        if method["customer"] is None:
            raise invalid(
                "payment_method", "The payment method you provided is not attached to a customer so detachment is impossible."
            )
        method = self._store.change(method, customer=None)
        self._events.emit("payment_method.detached", method)
        return method

    def swap(self, method_id: str, number: str) -> Thing:
        """The bank changes its mind: a saved method behaves from now on as the test card or account with this number."""
        method = self._store.find("payment_method", method_id)
        if card_of(number) is None and number not in BANK_ACCOUNTS:
            raise invalid("number", "There is no such test card.")
        self._store.change_inner(method_id, {"number": number})
        return method

    # Setup intents

    def create_setup(self, params: Thing) -> Thing:
        if params.get("customer"):
            self._store.find("customer", params["customer"])
        facts = {name: params[name] for name in ("customer", "description", "payment_method") if params.get(name)}
        setup = shapes.setup_intent(
            self._store.new_id("setup_intent"),
            self._store.now(),
            status="requires_confirmation" if params.get("payment_method") else "requires_payment_method",
            metadata=params.get("metadata") or {},
            usage=params.get("usage") or "off_session",
            payment_method_types=params.get("payment_method_types") or ["card"],
            **facts,
        )
        self._events.emit("setup_intent.created", self._store.keep(setup))
        return self.confirm_setup(setup["id"], params) if is_true(params.get("confirm")) else setup

    def confirm_setup(self, setup_id: str, params: Thing) -> Thing:
        setup = self._store.find("setup_intent", setup_id)
        if setup["status"] in {"succeeded", "canceled"}:
            raise wrong_state("setup_intent", setup, "confirm")
        method_id = params.get("payment_method") or setup["payment_method"]
        if not method_id:
            raise missing("payment_method")
        method = self._store.find("payment_method", method_id)
        try:
            self._ask_the_bank(method)
        except StripeError as error:
            setup = self._store.change(setup, status="requires_payment_method", last_setup_error=dict(error.error))
            self._events.emit("setup_intent.setup_failed", setup)
            error.error["setup_intent"] = setup
            raise
        card = card_of(self._store.inner(method_id)["number"])
        if card and card.authentication:
            url = f"{self._world.settings.public_url}/authenticate/{setup_id}"
            action = {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": params.get("return_url")}}
            self._store.change_inner(setup_id, {**self._store.inner(setup_id), "return_url": params.get("return_url")})
            return self._store.change(setup, status="requires_action", payment_method=method_id, next_action=action)
        return self._set_up(self._store.change(setup, payment_method=method_id))

    def authenticated(self, setup_id: str, *, passed: bool) -> Thing:
        """The card holder came back from the bank's page."""
        setup = self._store.find("setup_intent", setup_id)
        if setup["status"] != "requires_action":
            return setup
        if passed:
            return self._set_up(setup)
        error = {
            "type": "invalid_request_error",
            "code": "setup_intent_authentication_failure",
            "message": "Authentication failed.",
        }
        setup = self._store.change(
            setup, status="requires_payment_method", payment_method=None, next_action=None, last_setup_error=error
        )
        self._events.emit("setup_intent.setup_failed", setup)
        return setup

    # Sessions

    def open_session(self, params: Thing) -> Thing:
        if params.get("mode") != "setup":
            raise invalid("mode", "The simulator's hosted page only saves payment methods: mode must be setup.")
        if not params.get("success_url"):
            raise missing("success_url")
        if params.get("customer"):
            self._store.find("customer", params["customer"])
        session_id = self._store.new_id("checkout.session")
        setup = self.create_setup(
            {**params, "confirm": None, "metadata": (params.get("setup_intent_data") or {}).get("metadata") or {}}
        )
        kept = (
            "customer",
            "customer_email",
            "client_reference_id",
            "success_url",
            "cancel_url",
            "currency",
            "payment_method_types",
            "locale",
        )
        session = shapes.checkout_session(
            session_id,
            self._store.now(),
            setup_intent=setup["id"],
            url=f"{self._world.settings.public_url}/checkout/{session_id}",
            metadata=params.get("metadata") or {},
            **{name: params[name] for name in kept if params.get(name)},
        )
        return self._store.keep(session)

    def session(self, session_id: str) -> Thing:
        """The session as it stands; one that nobody finished in a day has expired."""
        session = self._store.find("checkout.session", session_id)
        if session["status"] == "open" and session["expires_at"] <= self._store.now():
            return self.expire(session_id)
        return session

    def expire(self, session_id: str) -> Thing:
        session = self._store.find("checkout.session", session_id)
        if session["status"] != "open":
            raise invalid("session", f'Only Checkout Sessions with a status in ["open"] can be expired, not {session["status"]}.')
        session = self._store.change(session, status="expired", url=None)
        self._events.emit("checkout.session.expired", session)
        return session

    def pay(self, session_id: str, *, number: str, month: int, year: int, name: str | None) -> str:
        """What the hosted page's button does. Returns where to go next; raises StripeError with what the page should say."""
        session = self.session(session_id)
        if session["status"] != "open":
            raise invalid("session", "This page is no longer open. Go back and start again.")
        method = self._new_method(number, month=month, year=year, name=name)
        setup = self.confirm_setup(session["setup_intent"], {"payment_method": method["id"]})
        if setup["status"] == "requires_action":
            return f"/authenticate/{setup['id']}"
        return self._finish(session)

    def finish_for(self, setup: Thing) -> str | None:
        """Where the card holder goes after authenticating for a session, None where there is no session."""
        for session in self._store.listing("checkout.session", {"setup_intent": setup["id"]}, "")["data"]:
            return self._finish(session) if setup["status"] == "succeeded" else f"/checkout/{session['id']}"
        return None

    def _finish(self, session: Thing) -> str:
        session = self._store.change(
            session, status="complete", url=None, customer=session["customer"] or self._customer_for(session)
        )
        self._events.emit("checkout.session.completed", session)
        return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])

    def _customer_for(self, session: Thing) -> str:
        setup = self._store.find("setup_intent", session["setup_intent"])
        customer = self.create_customer({"email": session["customer_email"]})
        self._attached(self._store.find("payment_method", setup["payment_method"]), customer["id"])
        self._store.change(setup, customer=customer["id"])
        return str(customer["id"])

    # Small parts

    def _new_method(self, number: str, *, month: int = 12, year: int | None = None, name: str | None = None) -> Thing:
        number = number.replace(" ", "")
        year = year or self._year() + 3
        year += 2000 if year < 100 else 0
        fingerprint = hashlib.sha256(number.encode()).hexdigest()[:16]
        billing: dict[str, Any] = {"billing_details": {**shapes.NOBODY, "name": name}}
        if number in BANK_ACCOUNTS:
            kind, details = "us_bank_account", shapes.bank_details(number[-4:], fingerprint)
        else:
            card = card_of(number)
            if card is None:
                raise StripeError(
                    402, "Your card number is incorrect.", kind="card_error", code="incorrect_number", param="number"
                )
            self._check_expiry(month, year)
            kind, details = "card", shapes.card_details(card.brand, card.last4, fingerprint, month, year)
        method = shapes.payment_method(self._store.new_id("payment_method"), self._store.now(), kind, details, **billing)
        return self._store.keep(method, inner={"number": number})

    def _check_expiry(self, month: int, year: int) -> None:
        today = datetime.fromtimestamp(self._world.clock.now(), UTC)
        if not 1 <= month <= 12:
            raise StripeError(
                402, "Your card's expiration month is invalid.", kind="card_error", code="invalid_expiry_month", param="exp_month"
            )
        if (year, month) < (today.year, today.month):
            raise StripeError(
                402,
                "Your card's expiration year is in the past.",
                kind="card_error",
                code="invalid_expiry_year",
                param="exp_year",
            )

    def _ask_the_bank(self, method: Thing) -> None:
        card = card_of(self._store.inner(method["id"])["number"])
        if card and card.decline and not card.attaches:
            code, decline_code = card.decline
            facts = {"code": code, "decline_code": decline_code, "advice_code": ADVICE[decline_code], "payment_method": method}
            raise StripeError(402, MESSAGES[decline_code], kind="card_error", **facts)

    def _set_up(self, setup: Thing) -> Thing:
        setup = self._store.change(setup, status="succeeded", next_action=None, last_setup_error=None)
        if setup["customer"]:
            self._attached(self._store.find("payment_method", setup["payment_method"]), setup["customer"])
        self._events.emit("setup_intent.succeeded", setup)
        return setup

    def _attached(self, method: Thing, customer: str) -> Thing:
        method = self._store.change(method, customer=customer)
        self._events.emit("payment_method.attached", method)
        return method

    def _year(self) -> int:
        return datetime.fromtimestamp(self._world.clock.now(), UTC).year
