"""Stripe's HTTP API as far as we use it: routes, keys, idempotency."""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from postmeter.simulator.faults import Fault, Fired
from postmeter.simulator.stripe import shapes
from postmeter.simulator.stripe.cards import TOKENS
from postmeter.simulator.stripe.checkout import Checkout
from postmeter.simulator.stripe.errors import StripeError, missing, trouble
from postmeter.simulator.stripe.events import Cause, Events
from postmeter.simulator.stripe.forms import nest
from postmeter.simulator.stripe.payments import Payments
from postmeter.simulator.stripe.store import Store, Thing
from postmeter.simulator.trouble import under_fault
from postmeter.simulator.wire import Answer, Request, as_json
from postmeter.simulator.world import World

KEY_LIVES_SECONDS = 24 * 3600
LONGEST_KEY = 255
NOT_KEPT = frozenset({400, 401, 404, 409, 429})  # refused before anything was begun: the key stays free
LISTS = {
    "customers": "customer",
    "payment_methods": "payment_method",
    "setup_intents": "setup_intent",
    "payment_intents": "payment_intent",
    "charges": "charge",
    "refunds": "refund",
    "disputes": "dispute",
    "events": "event",
    "webhook_endpoints": "webhook_endpoint",
    "checkout/sessions": "checkout.session",
}
LISTED = re.compile(rf"/v1/({'|'.join(LISTS)})")
FOUND = re.compile(rf"/v1/({'|'.join(LISTS)})/(\w+)")
SEARCHED = re.compile(r"/v1/(customers|payment_intents|charges)/search")
OF_CUSTOMER = re.compile(r"/v1/customers/(\w+)/payment_methods")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read: `id` is the object that the path names."""

    id: str
    params: Thing
    fired: Fired | None


@dataclass(frozen=True, slots=True)
class Route:
    """A POST and the parameters that it honours or may ignore; others are refused, as Stripe does."""

    path: re.Pattern[str]
    params: frozenset[str]
    act: Callable[[Call], Thing]


class StripeDoor:
    def __init__(self, world: World) -> None:
        self._world = world
        self.store = Store(world)
        self.events = Events(world, self.store)
        self.payments = Payments(world, self.store, self.events)
        self.checkout = Checkout(world, self.store, self.events)
        self._in_flight: set[str] = set()
        self._routes = self._all_routes()

    async def __call__(self, request: Request) -> Answer:
        cause = Cause(
            request_id=f"req_{secrets.token_hex(7)}",
            idempotency_key=request.headers.get("idempotency-key"),
            api_version=request.headers.get("stripe-version"),
        )
        answer = await self._answer(request, cause)
        return replace(answer, headers={**answer.headers, "request-id": cause.request_id or ""})

    async def _answer(self, request: Request, cause: Cause) -> Answer:
        if not self._is_authentic(request):
            return StripeError(401, "Invalid API Key provided.").answer()
        key = cause.idempotency_key if request.method == "POST" else None
        if key and len(key) > LONGEST_KEY:
            return StripeError(400, f"Idempotency keys are at most {LONGEST_KEY} characters.", kind="idempotency_error").answer()
        if key in self._in_flight:
            return trouble(409)
        params = nest(request.query + request.form)
        fired = self._fault_for(request, params)
        if key:
            self._in_flight.add(key)
        try:
            return await under_fault(fired, self._world, lambda: self._once(request, params, cause, fired, key), trouble)
        finally:
            self._in_flight.discard(key or "")

    def _is_authentic(self, request: Request) -> bool:
        key = self._world.settings.credentials.stripe_secret_key
        basic = base64.b64encode(f"{key}:".encode()).decode()
        return request.headers.get("authorization") in {f"Bearer {key}", f"Basic {basic}"}

    def _fault_for(self, request: Request, params: Thing) -> Fired | None:
        method = params.get("payment_method")
        number = str(self.store.inner(method).get("number", "")) if isinstance(method, str) else ""
        subject = request.headers.get("idempotency-key") or request.path
        facts = {"card": number, "path": request.path, "method": request.method}
        return self._world.switch.draw("stripe", callback=False, subject=subject, **facts)

    def _once(self, request: Request, params: Thing, cause: Cause, fired: Fired | None, key: str | None) -> Answer:
        """The same key has one effect and one answer for 24 hours; the effect and the answer are kept together."""
        if not key:
            return self._act(request, params, cause, fired)
        log, now = self._world.log, self._world.clock.now()
        log.execute("DELETE FROM idempotency WHERE key = ? AND created < ?", (key, now - KEY_LIVES_SECONDS))
        fingerprint = hashlib.sha256(repr((request.method, request.path, sorted(request.form))).encode()).hexdigest()
        kept = log.row("SELECT * FROM idempotency WHERE key = ?", (key,))
        if kept and kept["fingerprint"] != fingerprint:
            text = f"Keys for idempotent requests can only be used with the same parameters they were first used with: '{key}'."
            return StripeError(400, text, kind="idempotency_error").answer()
        if kept:
            return Answer(kept["status"], kept["body"], {"content-type": "application/json", "idempotent-replayed": "true"})
        answer = self._act(request, params, cause, fired)
        if answer.status not in NOT_KEPT:
            shown = trouble(500) if fired and fired.fault is Fault.ERROR_500_AFTER else answer
            log.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)", (key, fingerprint, shown.status, shown.body, now))
        return answer

    def _act(self, request: Request, params: Thing, cause: Cause, fired: Fired | None) -> Answer:
        self.events.cause = cause
        expand = params.pop("expand", [])
        try:
            thing = self._read(request.path, params) if request.method == "GET" else self._write(request, params, fired)
            return as_json(200, self.store.expand(thing, expand))
        except StripeError as error:  # a decline is an effect, too: it is kept
            return error.answer()
        finally:
            self.events.cause = Cause()

    def _read(self, path: str, params: Thing) -> Thing:
        if found := SEARCHED.fullmatch(path):
            return self.store.search(LISTS[found[1]], params, path)
        if found := LISTED.fullmatch(path):
            return self.store.listing(LISTS[found[1]], params, path)
        if found := OF_CUSTOMER.fullmatch(path):
            return self.store.listing("payment_method", {**params, "customer": found[1]}, path)
        if found := FOUND.fullmatch(path):
            return (
                self.checkout.session(found[2]) if found[1] == "checkout/sessions" else self.store.find(LISTS[found[1]], found[2])
            )
        raise _unrecognized("GET", path)

    def _write(self, request: Request, params: Thing, fired: Fired | None) -> Thing:
        if request.method == "DELETE":
            return self._delete(request.path)
        for route in self._routes:
            found = route.path.fullmatch(request.path)
            if found:
                unknown = set(params) - route.params
                if unknown:
                    name = min(unknown)
                    raise StripeError(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
                return route.act(Call(found[1] if route.path.groups else "", self._with_ready_made_methods(params), fired))
        raise _unrecognized(request.method, request.path)

    def _with_ready_made_methods(self, params: Thing) -> Thing:
        """`pm_card_visa` stands for a new payment method of that card."""
        method = str(params.get("payment_method", ""))
        if method.removeprefix("pm_card_") not in TOKENS:
            return params
        made = self.checkout.create_method({"card": {"token": "tok_" + method.removeprefix("pm_card_")}})
        if params.get("customer"):
            made = self.checkout.attach(made["id"], params)
        return {**params, "payment_method": made["id"]}

    def _delete(self, path: str) -> Thing:
        found = FOUND.fullmatch(path)
        if not found or found[1] not in {"customers", "webhook_endpoints"}:
            raise _unrecognized("DELETE", path)
        thing = self.store.find(LISTS[found[1]], found[2])
        self.store.remove(thing["id"])
        return {"id": thing["id"], "object": thing["object"], "deleted": True}

    def _create_webhook(self, call: Call) -> Thing:
        for name in ("url", "enabled_events"):
            if not call.params.get(name):
                raise missing(name)
        secret = f"whsec_{secrets.token_urlsafe(24)}"
        facts = {name: call.params.get(name) for name in ("url", "enabled_events", "description", "api_version")}
        endpoint = shapes.webhook_endpoint(self.store.new_id("webhook_endpoint"), self.store.now(), **facts)
        return {**self.store.keep(endpoint, inner={"secret": secret}), "secret": secret}

    def _create_payment(self, call: Call) -> Thing:
        fault = call.fired.fault if call.fired else None
        hidden = call.fired.seconds if call.fired and fault is Fault.HIDDEN else 0
        return self.payments.create(call.params, short_by=int(fault is Fault.DIFFERENT_AMOUNT), hidden=hidden)

    def _all_routes(self) -> list[Route]:
        payments, checkout = self.payments, self.checkout
        customer = "name email phone description address metadata invoice_settings"
        confirm = "payment_method off_session error_on_requires_action return_url mandate_data use_stripe_sdk setup_future_usage"
        intent = (
            f"{confirm} amount currency customer confirm confirmation_method automatic_payment_methods payment_method_types"
            " description metadata receipt_email statement_descriptor_suffix payment_method_options"
        )
        setup = f"{confirm} customer confirm usage description metadata payment_method_types automatic_payment_methods"
        session = (
            "mode customer customer_email customer_creation client_reference_id success_url cancel_url currency"
            " payment_method_types metadata setup_intent_data locale"
        )
        return [
            _route("/v1/customers", customer, lambda call: checkout.create_customer(call.params)),
            _route(r"/v1/customers/(\w+)", customer, lambda call: checkout.update_customer(call.id, call.params)),
            _route("/v1/checkout/sessions", session, lambda call: checkout.open_session(call.params)),
            _route(r"/v1/checkout/sessions/(\w+)/expire", "", lambda call: checkout.expire(call.id)),
            _route(
                "/v1/payment_methods",
                "type card us_bank_account billing_details metadata",
                lambda call: checkout.create_method(call.params),
            ),
            _route(r"/v1/payment_methods/(\w+)/attach", "customer", lambda call: checkout.attach(call.id, call.params)),
            _route(r"/v1/payment_methods/(\w+)/detach", "", lambda call: checkout.detach(call.id)),
            _route("/v1/setup_intents", setup, lambda call: checkout.create_setup(call.params)),
            _route(r"/v1/setup_intents/(\w+)/confirm", confirm, lambda call: checkout.confirm_setup(call.id, call.params)),
            _route("/v1/payment_intents", intent, self._create_payment),
            _route(r"/v1/payment_intents/(\w+)", "metadata description", lambda call: payments.update(call.id, call.params)),
            _route(r"/v1/payment_intents/(\w+)/confirm", confirm, lambda call: payments.confirm(call.id, call.params)),
            _route(
                r"/v1/payment_intents/(\w+)/cancel",
                "cancellation_reason",
                lambda call: payments.cancel(call.id, call.params.get("cancellation_reason")),
            ),
            _route("/v1/refunds", "payment_intent charge amount reason metadata", lambda call: payments.refund(call.params)),
            _route("/v1/webhook_endpoints", "url enabled_events description api_version metadata", self._create_webhook),
        ]


def _route(path: str, params: str, act: Callable[[Call], Any]) -> Route:
    return Route(re.compile(path), frozenset(params.split()), act)


def _unrecognized(method: str, path: str) -> StripeError:
    return StripeError(
        404, f"Unrecognized request URL ({method}: {path}). The simulator answers the part of the API that Postmeter uses."
    )
