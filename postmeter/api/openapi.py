"""The OpenAPI 3.1 document, made from the table of operations and the types that the door really reads and writes."""

from collections.abc import Iterable
from typing import Any

import msgspec

from postmeter.api import errors
from postmeter.api.errors import PROBLEM, Problem
from postmeter.api.operation import JSON, Operation
from postmeter.customers.keys import BadKey
from postmeter.kit.idempotency import BadKey as BadIdempotencyKey
from postmeter.kit.refusals import BadInput, NotFound, Refusal

INTRODUCTION = """Prepaid credit for messages: priced, held, sent, charged or given back.

Amounts are decimal strings in the unit beside them, times are ISO 8601 in UTC, ids are opaque. Unknown members are refused.
Every POST takes an `Idempotency-Key`: the same key with the same request gives the same answer for 48 hours."""
_ALWAYS: tuple[type[Refusal], ...] = (
    errors.NoKey,
    BadKey,
    errors.MissingScope,
    BadInput,
    errors.TooMany,
    errors.OutOfOrder,
    errors.Unavailable,
)
_WITH_BODY: tuple[type[Refusal], ...] = (errors.Malformed, errors.TooLarge, errors.WrongType)
_WORDS = {400: "It cannot be read", 401: "Who are you?", 402: "The credit does not suffice", 403: "Not allowed", 404: "Not found"}
_WORDS |= {409: "Not in this state", 413: "Too large", 415: "Wrong type", 422: "Something in it is not right"}
_WORDS |= {429: "Too many requests", 500: "Our fault", 503: "Unavailable"}
_LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    operations = list(operations)
    types = [Problem, *(each.answer for each in operations if each.answer is not bytes)]
    types += [each.body.wanted for each in operations if each.body] + [each.query for each in operations if each.query]
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    queries = {name: schemas.pop(name) for name in {each.query.__name__ for each in operations if each.query}}
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas, queries)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Postmeter", "version": "1", "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key: pm_live_… or, for the sandbox, pm_test_…"}
            },
            "headers": {name: {"schema": {"type": "integer"}} for name in (*_LIMITS, "Retry-After")},
            "examples": _examples(operations),
            "schemas": schemas,
        },
    }


def refusals_of(operation: Operation) -> list[type[Refusal]]:
    """Everything that the operation may be refused with."""
    found = [*_ALWAYS, *operation.refusals]
    if operation.of:
        found.append(NotFound)
    if operation.body:
        found += _WITH_BODY
    if operation.live_only:
        found.append(errors.LiveOnly)
    if operation.method == "POST":
        found.append(BadIdempotencyKey)
    by_code = {(kind.status, kind.code): kind for kind in reversed(found)}
    return [by_code[key] for key in sorted(by_code)]


def _operation(operation: Operation, schemas: dict[str, Any], queries: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.path.split("/")[2]],
        "summary": operation.summary,
        "description": f"{operation.description}\n\nScope: `{operation.scope}`.",
        "parameters": _parameters(operation, queries),
        "responses": {str(operation.status): _success(operation, schemas), **_problems(operation)},
    }
    if operation.body:
        schema = {"$ref": f"#/components/schemas/{operation.body.wanted.__name__}"}
        shown["requestBody"] = {"required": True, "content": {JSON: {"schema": schema, "example": example_of(schema, schemas)}}}
    return shown


def _parameters(operation: Operation, queries: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if operation.of:
        pattern = f"^{operation.of}[0-9a-f]{{32}}$"
        found.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}})
    for name, pattern in operation.parts.items():
        found.append({"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{pattern}$"}})
    if operation.query:
        for name, schema in queries[operation.query.__name__]["properties"].items():
            schema = dict(schema)
            # An absent parameter is how null is said in a query string.
            options = [option for option in schema.pop("anyOf", []) if option.get("type") != "null"]
            schema = {
                key: value
                for key, value in {**schema, **(options[0] if options else {})}.items()
                if not (key == "default" and value is None)
            }
            found.append(
                {"name": name, "in": "query", "required": False, "description": schema.pop("description", ""), "schema": schema}
            )
    if operation.method == "POST":
        schema = {"type": "string", "pattern": "^[!-~]{1,255}$"}
        found.append({"name": "Idempotency-Key", "in": "header", "required": operation.key_required, "schema": schema})
    return found


def _success(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    if operation.answer is bytes:
        content: dict[str, Any] = {operation.media_type: {"schema": {"type": "string", "contentMediaType": operation.media_type}}}
    else:
        schema = {"$ref": f"#/components/schemas/{operation.answer.__name__}"}
        content = {JSON: {"schema": schema, "example": example_of(schema, schemas)}}
    return {"description": operation.summary, "headers": _headers(_LIMITS), "content": content}


def _problems(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in refusals_of(operation):
        names = ("Retry-After",) if kind.status in (429, 503) else ()
        response = found.setdefault(
            str(kind.status),
            {
                "description": _WORDS[kind.status],
                "headers": _headers(names),
                "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        response["content"][PROBLEM]["examples"][kind.code] = {"$ref": f"#/components/examples/{kind.code}"}
    return found


def _examples(operations: Iterable[Operation]) -> dict[str, Any]:
    """One problem of each code."""
    found: dict[str, Any] = {}
    for kind in sorted({kind for each in operations for kind in refusals_of(each)}, key=lambda kind: (kind.status, kind.code)):
        title = (kind.__doc__ or "").strip().splitlines()[0]
        value = {"type": f"/v1/docs#{kind.code}", "title": title, "status": kind.status, "detail": title, "code": kind.code}
        found.setdefault(kind.code, {"value": {**value, "instance": "/v1/messages"}})
    return found


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """An example of a schema: its own first one, else one made of its parts."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][-1]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        return {name: example_of(each, schemas) for name, each in schema["properties"].items()}
    if kind == "object":
        return {}
    if kind == "array":
        return [example_of(schema["items"], schemas)]
    if schema.get("format") == "date-time":
        return "2027-03-01T09:30:00Z"
    return {"integer": 1, "boolean": True, "number": 1, "null": None}.get(str(kind), "…")
