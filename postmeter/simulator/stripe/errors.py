"""Stripe's error answers."""

from typing import Any

from postmeter.simulator.wire import Answer, as_json


class StripeError(Exception):
    def __init__(self, status: int, message: str, *, kind: str = "invalid_request_error", **facts: Any) -> None:
        self.status = status
        self.error: dict[str, Any] = {
            "type": kind,
            "message": message,
            **{name: fact for name, fact in facts.items() if fact is not None},
        }
        super().__init__(message)

    def answer(self) -> Answer:
        return as_json(self.status, {"error": self.error})


def no_such(kind: str, object_id: str) -> StripeError:
    return StripeError(404, f"No such {kind.replace('.', '_')}: '{object_id}'", code="resource_missing", param="id")


def missing(param: str) -> StripeError:
    return StripeError(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def invalid(param: str, message: str, code: str | None = None) -> StripeError:
    return StripeError(400, message, code=code, param=param)


def wrong_state(kind: str, thing: dict[str, Any], verb: str) -> StripeError:
    message = f"You cannot {verb} this {kind} because it has a status of {thing['status']}."
    error = StripeError(400, message, code=f"{kind}_unexpected_state")
    error.error[kind] = thing
    return error


def trouble(status: int) -> Answer:
    """The gateway's own answer when it is overloaded, busy with the same key, or broken."""
    match status:
        case 429:
            return StripeError(429, "Too many requests hit the API too quickly.", code="rate_limit").answer()
        case 409:
            text = "There is currently another in-progress request using this Idempotency-Key."
            return StripeError(409, text, kind="idempotency_error", code="idempotency_key_in_use").answer()
    return StripeError(status, "An unknown error occurred.", kind="api_error").answer()
