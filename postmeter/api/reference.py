"""The reference: the OpenAPI document as JSON, and as a plain page that needs nothing from elsewhere."""

from collections.abc import Iterable
from html import escape
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from postmeter.api.openapi import document
from postmeter.api.operation import Operation

_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d7dbe2, #3a404b); --soft: light-dark(#f4f5f8, #1d2128); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1.5rem; }
h2 { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1.5rem; }
code, pre { background: var(--soft); border-radius: 4px; font: 0.9em/1.5 ui-monospace, monospace; }
code { padding: 0.1em 0.3em; } pre { overflow-x: auto; padding: 0.75rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; } th, td { border-bottom: 1px solid var(--line);
padding: 0.35rem 0.9rem 0.35rem 0; text-align: left; vertical-align: top; } nav ul { columns: 2; padding-left: 1.2rem; }
.method { font-weight: 700; }
"""
_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"}


def handlers(operations: Iterable[Operation]) -> list[HTTPRouteHandler]:
    """The three addresses of the reference. They need no key: there is nothing in them but words."""
    described = document(operations)
    as_json = msgspec.json.format(msgspec.json.encode(described), indent=2)
    as_page = page(described).encode()

    @get("/v1/openapi.json", sync_to_thread=False)
    def openapi() -> Response[bytes]:
        return Response(as_json, media_type="application/json")

    @get("/v1/docs", sync_to_thread=False)
    def docs() -> Response[bytes]:
        return Response(as_page, media_type="text/html; charset=utf-8", headers=_POLICY)

    @get("/v1/docs.css", sync_to_thread=False)
    def style() -> Response[bytes]:
        return Response(_STYLE.encode(), media_type="text/css; charset=utf-8")

    return [openapi, docs, style]


def page(described: dict[str, Any]) -> str:
    """The document as HTML."""
    operations = [(path, method, each) for path, methods in described["paths"].items() for method, each in methods.items()]
    schemas = described["components"]["schemas"]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Postmeter API</title>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'><link rel='stylesheet' href='/v1/docs.css'></head><body>",
        f"<h1>Postmeter API</h1>{_prose(described['info']['description'])}",
        "<p>Send your key with each request: <code>Authorization: Bearer pm_live_…</code>. ",
        "The same as OpenAPI: <a href='/v1/openapi.json'>openapi.json</a>.</p><nav><ul>",
        *(f"<li><a href='#{each['operationId']}'>{escape(each['summary'])}</a></li>" for _, _, each in operations),
        "<li><a href='#problems'>Problems</a></li><li><a href='#types'>Types</a></li></ul></nav>",
        *(_operation(path, method, each) for path, method, each in operations),
        _problems(described["components"]["examples"]),
        "<h2 id='types'>Types</h2>",
        *(_type(name, schema) for name, schema in schemas.items()),
        "</body></html>",
    ]
    return "".join(parts)


def _operation(path: str, method: str, each: dict[str, Any]) -> str:
    parts = [
        f"<h2 id='{each['operationId']}'>{escape(each['summary'])}</h2>",
        f"<p><code><span class='method'>{method.upper()}</span> {escape(path)}</code></p>{_prose(each['description'])}",
    ]
    if each["parameters"]:
        rows = [
            (
                f"<code>{escape(one['name'])}</code>",
                one["in"],
                "required" if one["required"] else "",
                escape(one.get("description", "")),
            )
            for one in each["parameters"]
        ]
        parts.append(_table(("Parameter", "Where", "", ""), rows))
    if "requestBody" in each:
        parts.append(f"<p>Body:</p>{_json(each['requestBody']['content']['application/json']['example'])}")
    for status, response in each["responses"].items():
        if "application/json" in response["content"]:
            parts.append(f"<p>Answer {status}:</p>{_json(response['content']['application/json']['example'])}")
    codes = [
        code for response in each["responses"].values() for code in response["content"].get(_PROBLEM, {}).get("examples", {})
    ]
    parts.append(f"<p>Refused with: {', '.join(f'<a href=#{code}><code>{code}</code></a>' for code in codes)}.</p>")
    return "".join(parts)


_PROBLEM = "application/problem+json"


def _problems(examples: dict[str, Any]) -> str:
    rows = [
        (f"<code id='{code}'>{code}</code>", str(each["value"]["status"]), escape(each["value"]["title"]))
        for code, each in examples.items()
    ]
    return f"<h2 id='problems'>Problems</h2>{_table(('Code', 'Status', 'Meaning'), rows)}"


def _type(name: str, schema: dict[str, Any]) -> str:
    rows = [
        (
            f"<code>{escape(member)}</code>",
            _kind(each),
            "required" if member in schema.get("required", []) else "",
            escape(each.get("description", "")),
        )
        for member, each in schema.get("properties", {}).items()
    ]
    words = (
        f"<p><code>{escape(', '.join(schema['enum']))}</code></p>"
        if "enum" in schema
        else _table(("Member", "Type", "", ""), rows)
    )
    return f"<h3 id='type-{escape(name)}'>{escape(name)}</h3>{_prose(schema.get('description', ''))}{words}"


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[1])
        return f"<a href='#type-{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return escape(str(schema.get("format", schema.get("type", "any"))))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{each}</th>" for each in head)
    return (
        f"<table><tr>{top}</tr>{''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>' for row in rows)}</table>"
    )


def _json(value: Any) -> str:
    return f"<pre>{escape(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())}</pre>"


def _prose(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n") if part)
