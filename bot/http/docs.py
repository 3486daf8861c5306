"""The readable page of the API: one static HTML document drawn from the OpenAPI description, without any script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any

Json = dict[str, Any]

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: #2457c5; }
@media (prefers-color-scheme: dark) { :root { --link: #8ab4ff; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
a { color: var(--link); }
nav ul { columns: 18rem; padding-left: 1.1rem; }
section { border-top: 1px solid var(--line); padding: .75rem 0; }
h3 { margin: 0 0 .25rem; font-size: 1rem; }
.method { display: inline-block; min-width: 3.6rem; font-weight: 700; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); padding: .25rem .5rem .25rem 0; }
th { font-weight: 600; font-size: .85rem; }
.needed::after { content: " (required)"; font-size: .8rem; opacity: .75; }
"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
#: Only this page's own style may apply; nothing runs and nothing is fetched.
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

INTRODUCTION = """
<p>JSON in and out, under <code>/api/v1</code>. Send a token as <code>Authorization: Bearer TOKEN</code>;
<code>baton token create NAME --scope register,request,read</code> makes one. Names in an address are percent-encoded.</p>
<p>Every refusal is a problem document (RFC 9457, <code>application/problem+json</code>) whose <code>detail</code> is
one sentence and whose <code>slug</code> never changes. Lists come as <code>{"items": […], "next": cursor}</code>; pass
<code>next</code> back as <code>cursor</code>. With an <code>Idempotency-Key</code>, a POST may be repeated for
24 hours: the first answer comes again, with <code>Idempotent-Replayed: true</code>, and nothing is done twice.</p>
<p>The same as data: <a href="/api/openapi.json">/api/openapi.json</a>. Beside it: <a href="/healthz">/healthz</a>,
<a href="/readyz">/readyz</a>, <a href="/metrics">/metrics</a>.</p>
"""


def render(openapi: Json) -> str:
    """The page."""
    calls = [
        (method.upper(), path, call) for path, methods in openapi["paths"].items() for method, call in methods.items()
    ]
    links = "".join(
        f'<li><a href="#{_anchor(method, path)}"><code>{method} {escape(path)}</code></a></li>'
        for method, path, _ in calls
    )
    title = escape(openapi["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f'<body><main><h1>{title}</h1>{INTRODUCTION}<nav aria-label="Calls"><ul>{links}</ul></nav>'
        + "".join(_call(openapi, method, path, call) for method, path, call in calls)
        + "</main></body></html>"
    )


def _anchor(method: str, path: str) -> str:
    return escape(f"{method.lower()}{path}".replace("/", "-").replace("{", "").replace("}", ""))


def _call(openapi: Json, method: str, path: str, call: Json) -> str:
    rows: list[tuple[str, str, str, bool, str]] = [
        (
            each["name"],
            each["in"],
            _type(openapi, each["schema"]),
            each.get("required", False),
            each.get("description", ""),
        )
        for each in call.get("parameters", [])
    ]
    body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        rows += [(name, "body", kind, needed, said) for name, kind, needed, said in _fields(openapi, body)]
    table = ""
    if rows:
        cells = "".join(
            f"<tr><td><code{' class=needed' if needed else ''}>{escape(name)}</code></td><td>{where}</td>"
            f"<td>{escape(kind)}</td><td>{escape(said)}</td></tr>"
            for name, where, kind, needed, said in rows
        )
        table = f"<table><tr><th>Field</th><th>In</th><th>Type</th><th>Meaning</th></tr>{cells}</table>"
    statuses = ", ".join(status for status in call["responses"] if status.isdigit())
    return (
        f'<section id="{_anchor(method, path)}">'
        f'<h3><span class="method">{method}</span> <code>{escape(path)}</code></h3>'
        f"<p>{escape(call.get('description', ''))}</p>{table}<p>Answers {escape(statuses)}, or a problem.</p></section>"
    )


def _resolved(openapi: Json, schema: Json) -> Json:
    if "$ref" in schema:
        found: Json = openapi["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return found
    for each in schema.get("anyOf", []):
        if each.get("type") != "null":
            return _resolved(openapi, each) | {k: v for k, v in schema.items() if k == "description"}
    return schema


def _fields(openapi: Json, schema: Json, prefix: str = "") -> Iterator[tuple[str, str, bool, str]]:
    """(name, type, required, description) of every field, those inside others with a dot or [] between."""
    found = _resolved(openapi, schema)
    for name, each in found.get("properties", {}).items():
        inner = _resolved(openapi, each)
        full = f"{prefix}{name}"
        yield full, _type(openapi, each), name in found.get("required", []), each.get("description", "")
        if inner.get("type") == "array":
            yield from _fields(openapi, inner.get("items", {}), f"{full}[].")
        elif "properties" in inner:
            yield from _fields(openapi, inner, f"{full}.")


def _type(openapi: Json, schema: Json) -> str:
    found = _resolved(openapi, schema)
    if "enum" in found:
        return " | ".join(str(each) for each in found["enum"])
    kind = str(found.get("type", "any"))
    return {"array": "list", "integer": "whole number", "string": "text"}.get(kind, kind)
