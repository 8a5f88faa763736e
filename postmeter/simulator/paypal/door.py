"""PayPal's HTTP API below `/paypal`, by its OpenAPI descriptions: tokens, vault v3, orders v2, captures, webhook verification.

What it knows of a thing beside what it answers (whose account, which key) stands in the store's inner part.
"""

import base64
import hmac
import json
import re
import secrets
import string
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from postmeter.simulator.agenda import Task
from postmeter.simulator.callbacks import Callback, paypal_signature
from postmeter.simulator.faults import Fault, Fired
from postmeter.simulator.paypal.accounts import ACCOUNTS, Account
from postmeter.simulator.stripe.errors import StripeError
from postmeter.simulator.stripe.store import Store
from postmeter.simulator.trouble import under_fault
from postmeter.simulator.wire import Answer, Request, as_json
from postmeter.simulator.world import World

PREFIX = "/paypal"
KEY_LIVES_SECONDS = 6 * 3600
TOKEN_LIVES_SECONDS = 9 * 3600
DAY = 86400
LETTERS = string.ascii_uppercase + string.digits
OF_ACCOUNTS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
Thing = dict[str, Any]


class PayPalError(Exception):
    """A refusal: nothing was taken."""

    def __init__(self, status: int, issue: str, message: str = "") -> None:
        self.status, self.issue = status, issue
        super().__init__(message or issue.replace("_", " ").capitalize() + ".")

    def answer(self) -> Answer:
        name = {404: "RESOURCE_NOT_FOUND", 422: "UNPROCESSABLE_ENTITY"}.get(self.status, "INVALID_REQUEST")
        details = [{"issue": self.issue, "description": str(self)}]
        return as_json(self.status, {"name": name, "message": str(self), "debug_id": secrets.token_hex(6), "details": details})


def trouble(status: int) -> Answer:
    names = {429: "RATE_LIMIT_REACHED", 409: "RESOURCE_CONFLICT", 401: "AUTHENTICATION_FAILURE"}
    name = names.get(status, "INTERNAL_SERVER_ERROR")
    return as_json(status, {"name": name, "message": name.replace("_", " ").capitalize() + ".", "debug_id": secrets.token_hex(6)})


class PayPalDoor:
    def __init__(self, world: World) -> None:
        self._world = world
        self._log = world.log
        self.store = Store(world)
        world.agenda.on("paypal.settle", self._settle)
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Answer]]] = [
            ("POST", re.compile("/v3/vault/setup-tokens"), self._create_setup),
            ("GET", re.compile(r"/v3/vault/setup-tokens/(\w+)"), self._setup),
            ("POST", re.compile("/v3/vault/payment-tokens"), self._create_token),
            ("POST", re.compile("/v2/checkout/orders"), self._create_order),
            ("GET", re.compile(r"/v2/checkout/orders/(\w+)"), self._order),
            ("POST", re.compile(r"/v2/checkout/orders/(\w+)/capture"), self._capture_order),
            ("GET", re.compile(r"/v2/payments/captures/(\w+)"), self._capture),
            ("POST", re.compile(r"/v2/payments/captures/(\w+)/refund"), self._refund),
            ("POST", re.compile("/v1/notifications/verify-webhook-signature"), self._verify),
        ]

    async def __call__(self, request: Request) -> Answer:
        path = request.path.removeprefix(PREFIX)
        if path == "/v1/oauth2/token":
            return self._token(request)
        if not self._is_authentic(request):
            return trouble(401)
        key = request.headers.get("paypal-request-id", "")
        content = _json(request.body)
        fired = self._fault_for(request, path, key, content)
        return await under_fault(fired, self._world, lambda: self._once(request.method, path, content, key, fired), trouble)

    def _token(self, request: Request) -> Answer:
        credentials = self._world.settings.credentials
        basic = base64.b64encode(f"{credentials.paypal_client_id}:{credentials.paypal_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {basic}":
            return as_json(401, {"error": "invalid_client", "error_description": "Client Authentication failed"})
        token = f"A21AA{secrets.token_urlsafe(24)}"
        self._log.execute(
            "INSERT INTO idempotency VALUES (?, '', 0, ?, ?)", (f"paypal-token:{token}", b"", self._world.clock.now())
        )
        return as_json(200, {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIVES_SECONDS})

    def _is_authentic(self, request: Request) -> bool:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        row = self._log.row("SELECT created FROM idempotency WHERE key = ?", (f"paypal-token:{token}",))
        return row is not None and self._world.clock.now() - row["created"] < TOKEN_LIVES_SECONDS

    def _fault_for(self, request: Request, path: str, key: str, content: Thing) -> Fired | None:
        token = ((content.get("payment_source") or {}).get("paypal") or {}).get("vault_id", "")
        facts = {"card": str(self.store.inner(token).get("email", "")), "path": path, "method": request.method}
        return self._world.switch.draw("paypal", callback=False, subject=key or path, **facts)

    def _once(self, method: str, path: str, content: Thing, key: str, fired: Fired | None) -> Answer:
        """The same request id has one effect and one answer for six hours."""
        kept_as, now = f"paypal:{path}:{key}", self._world.clock.now()
        self._log.execute("DELETE FROM idempotency WHERE key = ? AND created < ?", (kept_as, now - KEY_LIVES_SECONDS))
        kept = self._log.row("SELECT status, body FROM idempotency WHERE key = ?", (kept_as,)) if key else None
        if kept:
            return Answer(kept["status"], kept["body"], {"content-type": "application/json"})
        answer = self._act(method, path, content, key, fired)
        if key and answer.status < 400:
            self._log.execute("INSERT INTO idempotency VALUES (?, '', ?, ?, ?)", (kept_as, answer.status, answer.body, now))
        return answer

    def _act(self, method: str, path: str, content: Thing, key: str, fired: Fired | None) -> Answer:
        for verb, pattern, act in self._routes:
            found = pattern.fullmatch(path)
            if found and verb == method:
                try:
                    return act(*found.groups(), content=content, key=key, fired=fired)
                except PayPalError as error:
                    return error.answer()
        return PayPalError(404, "INVALID_RESOURCE_ID").answer()

    # Saved accounts

    def _create_setup(self, *, content: Thing, **_: object) -> Answer:
        context = content["payment_source"]["paypal"]["experience_context"]
        setup_id = _new_id()
        url = f"{self._world.settings.public_url}{PREFIX}/approve/{setup_id}"
        links = [_link("self", f"/v3/vault/setup-tokens/{setup_id}"), {"rel": "approve", "href": url, "method": "GET"}]
        answer = {"id": setup_id, "status": "PAYER_ACTION_REQUIRED", "payment_source": {"paypal": {}}, "links": links}
        self._keep("setup", answer, {"return_url": context["return_url"], "cancel_url": context["cancel_url"]})
        return as_json(201, answer)

    def _setup(self, setup_id: str, **_: object) -> Answer:
        return as_json(200, self.find("setup", setup_id))

    def _create_token(self, *, content: Thing, **_: object) -> Answer:
        setup_id = str(content["payment_source"]["token"]["id"])
        if self.find("setup", setup_id)["status"] != "APPROVED":
            raise PayPalError(422, "TOKEN_NOT_APPROVED")
        email = self.store.inner(setup_id)["email"]
        token = secrets.token_hex(8)
        wallet = {"email_address": email, "account_id": "".join(secrets.choice(OF_ACCOUNTS) for _ in range(13))}
        answer = {
            "id": token,
            "payment_source": {"paypal": wallet},
            "links": [_link("self", f"/v3/vault/payment-tokens/{token}")],
        }
        self._keep("token", answer, {"email": email})
        return as_json(201, answer)

    # Orders

    def _create_order(self, *, content: Thing, key: str, fired: Fired | None, **_: object) -> Answer:
        wallet, unit = content["payment_source"]["paypal"], content["purchase_units"][0]
        account = self._account(str(wallet["vault_id"]))
        if account.issue:
            self._tell("charge.failed", _new_id(), unit, key, issue=account.issue)
            raise PayPalError(422, account.issue)
        back = (wallet.get("experience_context") or {}).get("return_url")
        if account.asks and not back:
            raise PayPalError(422, "PAYER_ACTION_REQUIRED")
        order = {
            "id": _new_id(),
            "intent": content["intent"],
            "status": "PAYER_ACTION_REQUIRED" if account.asks else "COMPLETED",
            "payment_source": {"paypal": {"email_address": account.email}},
            "purchase_units": [{"reference_id": "default", **unit}],
            "create_time": self._now(),
        }
        page = f"{self._world.settings.public_url}{PREFIX}/approve/{order['id']}"
        payer = [{"rel": "payer-action", "href": page, "method": "GET"}] if account.asks else []
        order["links"] = [_link("self", f"/v2/checkout/orders/{order['id']}"), *payer]
        short = int(bool(fired and fired.fault is Fault.DIFFERENT_AMOUNT))
        self._keep("order", order, {"email": account.email, "key": key, "return_url": back, "short": short})
        return as_json(201, order if account.asks else self._take(order))

    def _order(self, order_id: str, **_: object) -> Answer:
        return as_json(200, self.find("order", order_id))

    def _capture_order(self, order_id: str, **_: object) -> Answer:
        order = self.find("order", order_id)
        if order["status"] == "COMPLETED":
            raise PayPalError(422, "ORDER_ALREADY_CAPTURED")
        if order["status"] != "APPROVED":
            raise PayPalError(422, "ORDER_NOT_APPROVED")
        return as_json(201, self._take(order))

    def _take(self, order: Thing) -> Thing:
        inner, unit = self.store.inner(order["id"]), order["purchase_units"][0]
        account = ACCOUNTS[inner["email"]]
        cents = _cents(unit["amount"]) - inner["short"]
        capture = {
            "id": _new_id(),
            "status": "PENDING" if account.pending else "COMPLETED",
            "amount": {**unit["amount"], "value": f"{cents / 100:.2f}"},
            "custom_id": unit.get("custom_id", ""),
            "final_capture": True,
            "create_time": self._now(),
            "update_time": self._now(),
            "supplementary_data": {"related_ids": {"order_id": order["id"]}},
        } | ({"status_details": {"reason": "ECHECK"}} if account.pending else {})
        capture["links"] = [_link("self", f"/v2/payments/captures/{capture['id']}")]
        self._keep("capture", capture, {"order": order["id"], "key": inner["key"], "refunded": 0})
        order = {**order, "status": "COMPLETED", "purchase_units": [{**unit, "payments": {"captures": [capture]}}]}
        self._keep("order", order)
        if account.pending:
            due = self._world.clock.now() + self._world.knob("settlement_days") * DAY
            self._world.agenda.add(due=due, kind="paypal.settle", capture=capture["id"], ends=account.ends)
            self._emit("PAYMENT.CAPTURE.PENDING", capture)
        else:
            self._tell("charge.succeeded", capture["id"], capture, inner["key"])
            self._emit("PAYMENT.CAPTURE.COMPLETED", capture)
        return order

    async def _settle(self, task: Task) -> None:
        with self._log.transaction():
            self._world.agenda.done(task)
            capture = {**self.find("capture", task.facts["capture"]), "status": task.facts["ends"]}
            capture.pop("status_details", None)
            inner = self.store.inner(capture["id"])
            self._keep("capture", capture)
            order = self.find("order", inner["order"])
            unit = {**order["purchase_units"][0], "payments": {"captures": [capture]}}
            self._keep("order", {**order, "purchase_units": [unit]})
            paid = capture["status"] == "COMPLETED"
            self._tell("charge.succeeded" if paid else "charge.failed", capture["id"], capture, inner["key"])
            self._emit(f"PAYMENT.CAPTURE.{'COMPLETED' if paid else 'DENIED'}", capture)

    def _capture(self, capture_id: str, **_: object) -> Answer:
        return as_json(200, self.find("capture", capture_id))

    def _refund(self, capture_id: str, *, content: Thing, **_: object) -> Answer:
        capture = self.find("capture", capture_id)
        amount = content.get("amount") or capture["amount"]
        if self._refunded(capture_id) + _cents(amount) > _cents(capture["amount"]):
            raise PayPalError(422, "REFUND_AMOUNT_EXCEEDED")
        return as_json(201, self.give_back(capture_id, amount))

    def _refunded(self, capture_id: str) -> int:
        """Cents that went back of a capture before."""
        row = self._log.row(
            "SELECT sum(json_extract(facts, '$.amount')) AS cents FROM log"
            " WHERE kind = 'refund.created' AND json_extract(facts, '$.capture') = ?",
            (capture_id,),
        )
        return int((row and row["cents"]) or 0)

    def give_back(self, capture_id: str, amount: Thing | None = None) -> Thing:
        """A refund, whole unless `amount` says less."""
        capture = self.find("capture", capture_id)
        refund = {
            "id": _new_id(),
            "status": "COMPLETED",
            "amount": amount or capture["amount"],
            "custom_id": capture["custom_id"],
            "create_time": self._now(),
            "update_time": self._now(),
            "links": [_link("up", f"/v2/payments/captures/{capture_id}")],
        }
        self._tell("refund.created", refund["id"], refund, "", capture=capture_id)
        self._emit("PAYMENT.CAPTURE.REFUNDED", refund)
        return refund

    def reverse(self, capture_id: str) -> Thing:
        """The payer's bank takes the money back."""
        capture = {**self.find("capture", capture_id), "status": "REFUNDED"}
        self._tell("dispute.funds_withdrawn", capture_id, capture, "")
        self._emit("PAYMENT.CAPTURE.REVERSED", capture)
        return capture

    # People

    def approve(self, thing_id: str, email: str) -> str:
        """What the approval page's button does. Returns where to go next."""
        inner = self.store.inner(thing_id)
        kind = "setup" if self._log.row("SELECT 1 FROM objects WHERE id = ? AND kind = 'paypal.setup'", (thing_id,)) else "order"
        thing = self.find(kind, thing_id)
        if thing["status"] == "PAYER_ACTION_REQUIRED":
            self._keep(kind, {**thing, "status": "APPROVED"})
            self.store.change_inner(thing_id, {**inner, "email": inner.get("email") or email})
        return str(inner["return_url"])

    def swap(self, token: str, email: str) -> Thing:
        """The saved account behaves from now on as this one. Raises PayPalError."""
        if email not in ACCOUNTS:
            raise PayPalError(422, "INVALID_ACCOUNT_STATUS")
        self.store.change_inner(token, {"email": email})
        return self.find("token", token)

    def _account(self, token: str) -> Account:
        email = str(self.store.inner(token).get("email", ""))
        if email not in ACCOUNTS:
            raise PayPalError(422, "TOKEN_ID_NOT_FOUND")
        return ACCOUNTS[email]

    # Small parts

    def find(self, kind: str, thing_id: str) -> Thing:
        try:
            found: Thing = self.store.find(f"paypal.{kind}", thing_id)["answer"]
        except StripeError:
            raise PayPalError(404, "INVALID_RESOURCE_ID") from None
        return found

    def _keep(self, kind: str, answer: Thing, inner: Thing | None = None) -> None:
        self.store.keep(
            {"id": answer["id"], "object": f"paypal.{kind}", "created": self.store.now(), "answer": answer}, inner=inner
        )

    def _tell(self, kind: str, subject: str, thing: Thing, key: str, **facts: object) -> None:
        customer, _, payment = str(thing.get("custom_id", "")).partition(".")
        self._log.append(
            at=self._world.clock.now(),
            kind=kind,
            subject=subject,
            amount=_cents(thing["amount"]),
            currency=thing["amount"]["currency_code"].lower(),
            metadata={"customer": customer, "payment": payment},
            idempotency_key=key,
            **facts,
        )

    def _emit(self, kind: str, resource: Thing) -> None:
        url = self._world.settings.paypal_webhook_url
        if not url:
            return
        event: Thing = {"id": f"WH-{_new_id()}", "event_version": "1.0", "create_time": self._now(), "event_type": kind}
        event |= {"resource_type": kind.split(".")[1].lower(), "resource": resource, "links": []}
        callback = Callback(
            service="paypal",
            url=url,
            body=json.dumps(event),
            secret=self._world.settings.credentials.paypal_secret,
            subject=str(event["id"]),
            event=kind,
            facts={"object": resource["id"]},
        )
        self._world.postman.schedule(callback, due=self._world.soon("event_delay"))

    def _verify(self, *, content: Thing, **_: object) -> Answer:
        said = json.dumps(content["webhook_event"])
        true = paypal_signature(content["transmission_id"], said, self._world.settings.credentials.paypal_secret)
        fits = hmac.compare_digest(true, content["transmission_sig"]) and bool(content["webhook_id"])
        return as_json(200, {"verification_status": "SUCCESS" if fits else "FAILURE"})

    def _now(self) -> str:
        return datetime.fromtimestamp(self._world.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _new_id() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(17))


def _link(rel: str, path: str) -> Thing:
    return {"rel": rel, "href": f"https://api-m.paypal.com{path}", "method": "GET"}


def _cents(amount: Thing) -> int:
    return round(float(amount["value"]) * 100)


def _json(body: bytes) -> Thing:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
