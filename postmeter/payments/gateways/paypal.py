"""PayPal, through its REST API: saved accounts (vault v3), orders v2, captures, webhooks.

PayPal takes money in two steps where the payer must confirm: the payer approves an order, and nothing moves until we capture it.
With a saved account both are one call. API: its OpenAPI descriptions of February 2024.
"""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx

from postmeter.kit.money import UnknownUnit, minor_digits
from postmeter.payments.gateways import Charge, Forged, GatewayDown, GivenBack, Outcome, Reversal, Saved, SetupDone, Word
from postmeter.payments.states import PaymentState

S = PaymentState
SECONDS = 30
CAPTURES = {
    "COMPLETED": S.SUCCEEDED,
    "PARTIALLY_REFUNDED": S.SUCCEEDED,  # it was taken; what went back is told by its own event
    "REFUNDED": S.SUCCEEDED,
    "PENDING": S.PROCESSING,  # an eCheck, a review: money comes after days, or does not
    "DECLINED": S.DECLINED,
    "FAILED": S.DECLINED,
}
# Our words for why PayPal says no (S-133 ... S-136); what is not here and definite is `declined`.
REASONS = {
    "INSTRUMENT_DECLINED": "insufficient_funds",
    "PAYER_CANNOT_PAY": "declined",
    "TRANSACTION_REFUSED": "declined",
    "PAYMENT_DENIED": "declined",
    "COMPLIANCE_VIOLATION": "payment_forbidden",
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED": "account_closed",
    "PAYER_ACCOUNT_RESTRICTED": "account_closed",
    "AGREEMENT_ALREADY_CANCELLED": "payment_forbidden",  # the holder has taken the permission back at PayPal
    "BILLING_AGREEMENT_NOT_FOUND": "payment_forbidden",
    "TOKEN_ID_NOT_FOUND": "payment_forbidden",
    "PAYER_ACTION_REQUIRED": "authentication_required",
}
TAKEN_BEFORE = frozenset({"DUPLICATE_INVOICE_ID", "ORDER_ALREADY_CAPTURED", "ORDER_COMPLETION_IN_PROGRESS"})
REVERSED = {"PAYMENT.CAPTURE.REFUNDED": "refund", "PAYMENT.CAPTURE.REVERSED": "dispute"}
SIGNED_BY = {
    "auth_algo": "paypal-auth-algo",
    "cert_url": "paypal-cert-url",
    "transmission_id": "paypal-transmission-id",
    "transmission_sig": "paypal-transmission-sig",
    "transmission_time": "paypal-transmission-time",
}


class PayPal:
    """Settings: base_url, client_id, secret, webhook_id."""

    name = "paypal"
    keys_live = timedelta(hours=5)  # PayPal keeps request ids of orders for six hours

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._base_url = settings["base_url"].rstrip("/")

    def create_customer(self, *, key: str, email: str, name: str, facts: Mapping[str, str]) -> str:
        """PayPal knows payers, not our customers: what names one there is our own id."""
        return facts["customer"]

    def start_setup(
        self, *, kind: str, key: str, customer_ref: str, success_url: str, cancel_url: str, facts: Mapping[str, str]
    ) -> tuple[str, str]:
        """A visit to PayPal, where the account's holder lets us charge it. Returns the visit's name and the page's address."""
        context = {"return_url": success_url, "cancel_url": cancel_url, "shipping_preference": "NO_SHIPPING"}
        wallet = {"usage_type": "MERCHANT", "permit_multiple_payment_tokens": True, "experience_context": context}
        made = self._ask("POST", "/v3/vault/setup-tokens", key=key, content={"payment_source": {"paypal": wallet}})
        return str(made["id"]), _link(made, "approve")

    def finish_setup(self, *, key: str, session_ref: str) -> Saved | None:
        """The account that was approved in this visit, or None if it was not."""
        visit = self._ask("GET", f"/v3/vault/setup-tokens/{session_ref}")
        if visit.get("status") not in ("APPROVED", "VAULTED"):
            return None
        source = {"payment_source": {"token": {"id": session_ref, "type": "SETUP_TOKEN"}}}
        made = self._ask("POST", "/v3/vault/payment-tokens", key=key, content=source)
        return Saved(str(made["id"]), "paypal", label=str(made["payment_source"]["paypal"].get("email_address") or "account"))

    def charge(self, charge: Charge) -> Outcome:
        """Take the money, or say what stands in the way. Never raises for PayPal and networks."""
        wallet: dict[str, object] = {"vault_id": charge.token}
        if not charge.off_session:
            wallet["experience_context"] = {"return_url": charge.return_url, "cancel_url": charge.return_url}
        unit = {
            "amount": {"currency_code": charge.currency, "value": _value(charge.amount_minor, charge.currency)},
            "custom_id": f"{charge.facts['customer']}.{charge.facts['payment']}",
            "invoice_id": charge.id,  # a second wall: PayPal refuses an invoice that was paid before
        }
        content = {"intent": "CAPTURE", "purchase_units": [unit], "payment_source": {"paypal": wallet}}
        return self._take("/v2/checkout/orders", key=charge.id, content=content)

    def fetch(self, *, ref: str, facts: Mapping[str, str]) -> Outcome | None:
        """What PayPal has of a payment, by its order's name; it can be asked by nothing else. An approved order is captured now,
        because PayPal takes nothing by itself.
        """
        if not ref:
            return None
        order = self._ask("GET", f"/v2/checkout/orders/{ref}", none_for=404)
        if order is None:
            return Outcome(S.CANCELLED, ref=ref)  # it expired before anybody approved it
        if order.get("status") == "APPROVED":
            return self._take(f"/v2/checkout/orders/{ref}/capture", key=f"capture-{ref}", content={}, ref=ref)
        return _outcome(order)

    def cancel(self, *, ref: str) -> Outcome:
        """Give up an order. PayPal has no call for it and needs none: what we never capture is never taken."""
        order = self._ask("GET", f"/v2/checkout/orders/{ref}", none_for=404)
        done = _outcome(order) if order else None
        return done if done and done.state in (S.SUCCEEDED, S.PROCESSING, S.DECLINED) else Outcome(S.CANCELLED, ref=ref)

    def give_back(self, *, key: str, ref: str, amount_minor: int, currency: str) -> GivenBack:
        """Refund so much of an order's capture. Never raises for PayPal and networks."""
        content = {"amount": {"currency_code": currency, "value": _value(amount_minor, currency)}}
        try:
            order = self._ask("GET", f"/v2/checkout/orders/{ref}", none_for=404)
            captures = _captures(order) if order else []
            if not captures:
                return GivenBack(Word.REFUSED, text="PayPal has no such payment.")
            path = f"/v2/payments/captures/{captures[-1]['id']}/refund"
            answer = self._send("POST", path, key=key, raw=json.dumps(content).encode())
        except (httpx.HTTPError, GatewayDown) as error:
            return GivenBack(Word.UNKNOWN, text=_words(str(error)))
        said = _read(answer)
        if said is None or answer.status_code >= 500 or answer.status_code in (409, 429):
            return GivenBack(Word.UNKNOWN, text=f"PayPal answered {answer.status_code}.")
        if answer.status_code >= 300:
            issue = str(((said.get("details") or [{}])[0]).get("issue") or said.get("name") or "")
            return GivenBack(Word.REFUSED, text=_words(str(said.get("message") or issue)))
        word = {"COMPLETED": Word.DONE, "FAILED": Word.REFUSED, "CANCELLED": Word.REFUSED}.get(
            str(said.get("status")), Word.PENDING
        )
        return GivenBack(word, str(said.get("id") or ""))

    def read(self, *, body: bytes, headers: Mapping[str, str]) -> Sequence[Outcome | SetupDone | Reversal]:
        """The facts of a signed callback. PayPal says whether it signed it. Raises Forged and GatewayDown."""
        if not all(headers.get(name) for name in SIGNED_BY.values()):
            raise Forged
        try:
            event = json.loads(body)
            kind, thing = str(event["event_type"]), event["resource"]
        except (ValueError, KeyError, TypeError) as error:
            raise Forged from error
        proof = {name: headers[header] for name, header in SIGNED_BY.items()}
        # The event goes back byte for byte: PayPal signs what it sent, not what a parser makes of it.
        question = (
            json.dumps({**proof, "webhook_id": self._settings["webhook_id"]})[:-1] + ', "webhook_event": ' + body.decode() + "}"
        )
        answer = self._ask("POST", "/v1/notifications/verify-webhook-signature", raw=question.encode(), none_for=400)
        if answer is None or answer.get("verification_status") != "SUCCESS":
            raise Forged
        if kind in REVERSED:
            return [self._reversal(REVERSED[kind], thing)]
        if kind.startswith("PAYMENT.CAPTURE."):
            return [_of_capture(thing, self._order_of(thing))]
        return []

    def _reversal(self, kind: str, thing: Mapping[str, Any]) -> Reversal:
        """Of a refund, or of a capture that a bank took back. Both carry our own name of the payment; else its capture is asked."""
        named = str(thing.get("custom_id") or "")
        if not named:
            capture_id = _link(thing, "up").rpartition("/")[2]
            named = str(self._ask("GET", f"/v2/payments/captures/{capture_id}").get("custom_id") or "")
        amount, currency = _amount(thing)
        return Reversal(kind, str(thing["id"]), self._order_of(thing), amount, currency, facts=_facts(named))

    def _order_of(self, capture: Mapping[str, Any]) -> str:
        return str(((capture.get("supplementary_data") or {}).get("related_ids") or {}).get("order_id") or "")

    def _take(self, path: str, *, key: str, content: object, ref: str = "") -> Outcome:
        try:
            answer = self._send("POST", path, key=key, raw=json.dumps(content).encode())
        except (httpx.HTTPError, GatewayDown) as error:
            # No answer: the money may have been taken. The same key will tell.
            return Outcome(S.UNKNOWN, ref=ref, code="no_answer", text=_words(str(error)))
        said = _read(answer)
        if said is None or answer.status_code >= 500:
            return Outcome(S.UNKNOWN, ref=ref, code="no_answer", text=f"PayPal answered {answer.status_code}.")
        if answer.status_code < 300:
            return _outcome(said)
        issue = str(((said.get("details") or [{}])[0]).get("issue") or said.get("name") or "")
        text = _words(str(said.get("message") or issue))
        if answer.status_code in (409, 429) or issue in TAKEN_BEFORE:
            return Outcome(S.UNKNOWN, ref=ref, code="rate_limited" if answer.status_code == 429 else "no_answer", text=text)
        refused = answer.status_code in (422, 404) and (issue in REASONS or "DECLINED" in issue)
        return Outcome(S.DECLINED, ref=ref, code=REASONS.get(issue, "declined") if refused else "gateway_refused", text=text)

    def _ask(self, method: str, path: str, *, key: str = "", content: object = None, raw: bytes = b"", none_for: int = 0) -> Any:
        """For calls that take no money: any failure means that PayPal cannot be asked now."""
        raw = raw or (json.dumps(content).encode() if content is not None else b"")
        try:
            answer = self._send(method, path, key=key, raw=raw)
        except httpx.HTTPError as error:
            raise GatewayDown(_words(str(error))) from error
        said = _read(answer)
        if none_for and answer.status_code == none_for:
            return None
        if said is None or answer.status_code >= 300:
            raise GatewayDown(f"PayPal answered {answer.status_code}.")
        return said

    def _send(self, method: str, path: str, *, key: str, raw: bytes) -> httpx.Response:
        answer = self._send_as(self._token(), method, path, key, raw)
        if answer.status_code == httpx.codes.UNAUTHORIZED:  # the token was taken back before its time; nothing was done with it
            TOKENS.forget(self._settings)
            answer = self._send_as(self._token(), method, path, key, raw)
        return answer

    def _send_as(self, token: str, method: str, path: str, key: str, raw: bytes) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Prefer": "return=representation"}
        if key:
            headers["PayPal-Request-Id"] = key
        return httpx.request(method, self._base_url + path, headers=headers, content=raw or None, timeout=SECONDS)

    def _token(self) -> str:
        known = TOKENS.get(self._settings)
        if known:
            return known
        answer = httpx.post(
            f"{self._base_url}/v1/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(self._settings["client_id"], self._settings["secret"]),
            timeout=SECONDS,
        )
        said = _read(answer)
        if answer.status_code != httpx.codes.OK or said is None:
            raise GatewayDown(f"PayPal gave us no access: {answer.status_code}.")
        return TOKENS.keep(self._settings, str(said["access_token"]), float(said["expires_in"]))


@dataclass(slots=True)
class _Tokens:
    """Access tokens of this process, by account; each is renewed a minute before it ends."""

    _kept: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, settings: Mapping[str, str]) -> str:
        with self._lock:
            token, until = self._kept.get((settings["base_url"], settings["client_id"]), ("", 0.0))
        return token if time.monotonic() < until else ""

    def keep(self, settings: Mapping[str, str], token: str, seconds: float) -> str:
        with self._lock:
            self._kept[settings["base_url"], settings["client_id"]] = (token, time.monotonic() + seconds - 60)
        return token

    def forget(self, settings: Mapping[str, str]) -> None:
        with self._lock:
            self._kept.pop((settings["base_url"], settings["client_id"]), None)


TOKENS = _Tokens()


def _captures(order: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    units = order.get("purchase_units") or []
    return [capture for unit in units for capture in (unit.get("payments") or {}).get("captures") or []]


def _outcome(order: Mapping[str, Any]) -> Outcome:
    """What an order says. One that nobody has tried to pay yet is waiting for its payer."""
    status, ref = str(order.get("status") or ""), str(order.get("id") or "")
    captures = _captures(order)
    if captures:
        return _of_capture(captures[-1], ref)
    if status == "VOIDED":
        return Outcome(S.CANCELLED, ref=ref)
    if status in ("PAYER_ACTION_REQUIRED", "CREATED"):
        return Outcome(S.REQUIRES_ACTION, ref=ref, action_url=_link(order, "payer-action") or _link(order, "approve"))
    return Outcome(S.UNKNOWN, ref=ref)


def _of_capture(capture: Mapping[str, Any], order_id: str) -> Outcome:
    state = CAPTURES.get(str(capture.get("status")), S.UNKNOWN)
    amount, currency = _amount(capture)
    declined = state is S.DECLINED
    return Outcome(
        state,
        ref=order_id,
        code="declined" if declined else "",
        text="PayPal could not take the money." if declined else "",
        amount_minor=amount,
        currency=currency,
        facts=_facts(str(capture.get("custom_id") or "")),
    )


def _facts(custom_id: str) -> dict[str, str]:
    customer, _, payment = custom_id.partition(".")
    return {"customer": customer, "payment": payment}


def _value(minor: int, currency: str) -> str:
    digits = minor_digits(currency)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def _amount(thing: Mapping[str, Any]) -> tuple[int, str]:
    """Minor units and currency. What is no amount is none: it fits no payment, so it is never believed."""
    money = thing.get("amount") or {}
    currency = str(money.get("currency_code") or "").upper()
    try:
        minor = Decimal(str(money.get("value"))).scaleb(minor_digits(currency))
    except (InvalidOperation, UnknownUnit):
        return 0, currency
    return (int(minor), currency) if minor.is_finite() and minor == int(minor) else (0, currency)


def _link(thing: Mapping[str, Any], rel: str) -> str:
    return next((str(link.get("href") or "") for link in thing.get("links") or [] if link.get("rel") == rel), "")


def _read(answer: httpx.Response) -> dict[str, Any] | None:
    """The answer, if it is one: what lies between may answer with a page."""
    try:
        said = answer.json()
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _words(text: str) -> str:
    return text.replace("\x00", "")[:500]
