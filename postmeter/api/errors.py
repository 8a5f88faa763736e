"""Every error as a problem document (RFC 9457), with a code for programs, a sentence for people and a remedy."""

import logging
from typing import Any

import msgspec
from django.conf import settings
from django.db import InterfaceError, OperationalError
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.response.base import ASGIResponse

from postmeter.kit.money import decimal_string
from postmeter.kit.refusals import NotAllowed, Refusal

log = logging.getLogger("postmeter.api")
PROBLEM = "application/problem+json"


class RowError(msgspec.Struct, kw_only=True):
    """What is wrong with one row of a list; `position` counts from 0."""

    position: int
    field: str
    detail: str
    remedy: str


class Problem(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What went wrong, whose fault it is and what to do about it (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    field: str | None = None
    remedy: str | None = None
    needed: str | None = None
    unit: str | None = None
    errors: list[RowError] | None = None


class Malformed(Refusal):
    """The body is not JSON that we can read."""

    code = "malformed"


class NoKey(Refusal):
    """This needs an API key."""

    status = 401
    code = "no_key"


class MissingScope(NotAllowed):
    """This key may not do that."""

    code = "missing_scope"


class LiveOnly(NotAllowed):
    """Test keys do not buy and have no invoices."""

    code = "live_only"


class NoSuchAddress(Refusal):
    """There is nothing at this address."""

    status = 404
    code = "no_such_address"


class WrongMethod(Refusal):
    """This address does not take that method."""

    status = 405
    code = "wrong_method"


class TooLarge(Refusal):
    """The body is too large."""

    status = 413
    code = "too_large"


class WrongType(Refusal):
    """The body is of a type that we do not read."""

    status = 415
    code = "wrong_type"


class TooMany(Refusal):
    """Too many requests with this key."""

    status = 429
    code = "too_many_requests"


class OutOfOrder(Refusal):
    """Something is broken on our side; it has been logged."""

    status = 500
    code = "out_of_order"


class Unavailable(Refusal):
    """The database cannot be reached right now."""

    status = 503
    code = "unavailable"


_BY_STATUS: dict[int, type[Refusal]] = {404: NoSuchAddress, 405: WrongMethod, 413: TooLarge, 415: WrongType}
_encoder = msgspec.json.Encoder()


def problem_of(refusal: Refusal, instance: str) -> Problem:
    """The document for a refusal. Facts that it carries are amounts in micro-units and rows of a list."""
    kind, facts = type(refusal), refusal.facts
    needed, rows = facts.get("needed_micros"), facts.get("errors")
    return Problem(
        type=f"{settings.PUBLIC_URL}/v1/docs#{kind.code}",
        title=(kind.__doc__ or kind.code).strip().splitlines()[0],
        status=kind.status,
        detail=refusal.text,
        code=kind.code,
        instance=instance,
        field=refusal.field,
        remedy=refusal.remedy or f"See {settings.PUBLIC_URL}/v1/docs.",
        needed=decimal_string(needed) if isinstance(needed, int) else None,
        unit=str(facts["unit"]) if "unit" in facts else None,
        errors=msgspec.convert(rows, list[RowError]) if rows else None,
    )


def answer(request: Request[Any, Any, Any], refusal: Refusal, headers: dict[str, str] | None = None) -> ASGIResponse:
    """The response for a refusal, with the headers that its status calls for."""
    return ASGIResponse(
        body=_body(request, refusal), headers=_headers(refusal, headers or {}), media_type=PROBLEM, status_code=refusal.status
    )


def _body(request: Request[Any, Any, Any], refusal: Refusal) -> bytes:
    # Addresses may hold anything that a client sent: only what prints is repeated.
    instance = request.scope["path"].encode("ascii", "backslashreplace").decode()[:200]
    return _encoder.encode(problem_of(refusal, instance))


def _headers(refusal: Refusal, headers: dict[str, str]) -> dict[str, str]:
    if refusal.status == 401:
        return {**headers, "WWW-Authenticate": "Bearer"}
    if refusal.status in (429, 503):
        return {"Retry-After": str(refusal.facts.get("retry_after", 1)), **headers}
    return headers


def refusal_of(error: Exception) -> Refusal:
    """What we say about an error that is not a refusal."""
    if isinstance(error, OperationalError | InterfaceError):
        log.error("the database failed us: %s", error)
        return Unavailable(remedy="Try again in a moment. With an Idempotency-Key nothing can happen twice.")
    log.error("a request failed", exc_info=error)
    return OutOfOrder(remedy="Try again later. With an Idempotency-Key nothing can happen twice.")


def refused_by_litestar(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Addresses and methods that do not exist, bodies that are too large."""
    kind = _BY_STATUS.get(error.status_code, Malformed)
    if error.status_code >= 500:
        return broken(request, error)
    return _respond(request, kind(remedy=f"See {settings.PUBLIC_URL}/v1/docs."), dict(error.headers or {}))


def broken(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Anything that is not a refusal."""
    return _respond(request, refusal_of(error), {})


def _respond(request: Request[Any, Any, Any], refusal: Refusal, headers: dict[str, str]) -> Response[bytes]:
    return Response(_body(request, refusal), media_type=PROBLEM, headers=_headers(refusal, headers), status_code=refusal.status)
