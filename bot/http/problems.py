"""Every no of the HTTP side, as an RFC 9457 problem document with one sentence for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from core.domain.errors import Refused, Unavailable

MEDIA_TYPE = "application/problem+json"


class ProblemResponse(Response):
    """A problem document: `type`, `title`, `status`, `detail`, `slug` and the facts of the case."""

    media_type = MEDIA_TYPE

    def __init__(
        self, status: int, slug: str, detail: str, *, headers: Mapping[str, str] | None = None, **facts: object
    ) -> None:
        body = {key: value for key, value in facts.items() if value is not None} | {
            "type": f"urn:baton:problem:{slug}",
            "title": slug.replace("-", " ").capitalize(),
            "status": status,
            "detail": detail,
            "slug": slug,
        }
        if isinstance(body.get("promotion"), int):
            body["promotion"] = f"P-{body['promotion']}"
        super().__init__(to_json(body), status, dict(headers or {}))


def to_json(body: object) -> bytes:
    """JSON that always can be sent: halves of surrogate pairs become question marks, what is no JSON becomes text."""
    return json.dumps(body, ensure_ascii=False, default=str, separators=(",", ":")).encode("utf-8", "replace")


def refused(error: Refused) -> ProblemResponse:
    """A refusal of the core."""
    headers = {"WWW-Authenticate": 'Bearer realm="Baton"'} if error.status == 401 else None
    return ProblemResponse(error.status, error.slug, error.sentence, headers=headers, **_facts(error))


def _facts(error: Refused) -> dict[str, object]:
    return {key: value for key, value in error.facts.items() if key not in ("status", "slug", "detail", "headers")}


class Unauthorised(Refused):
    """Nobody known is asking."""

    status = 401


async def on_refused(_: Request, error: Exception) -> Response:
    """The core said no."""
    assert isinstance(error, Refused)  # noqa: S101 - what it is registered for
    return refused(error)


async def on_unavailable(_: Request, error: Exception) -> Response:
    """Something that Baton needs was not reached."""
    assert isinstance(error, Unavailable)  # noqa: S101 - what it is registered for
    return unavailable(error.sentence)


def unavailable(sentence: str) -> ProblemResponse:
    """Nobody's mistake; worth another try."""
    return ProblemResponse(503, "unavailable", sentence, headers={"Retry-After": "5"})


async def on_http_exception(request: Request, error: Exception) -> Response:
    """No such address, a method that it has not, and what the framework itself refuses."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    if error.status_code == 404:
        detail = f"There is nothing at {request.url.path[:200]}; /api/docs lists what there is."
        return ProblemResponse(404, "no-such-address", detail)
    if error.status_code == 405:
        allowed = _methods(request)
        detail = f"{request.method[:20]} is not possible at {request.url.path[:200]}" + (
            f"; {allowed} is." if allowed else "."
        )
        return ProblemResponse(405, "method-not-allowed", detail, headers={"Allow": allowed})
    if error.status_code == 400:
        return ProblemResponse(400, "malformed", "The body could not be read; send JSON in UTF-8.")
    phrase = HTTPStatus(error.status_code).phrase
    return ProblemResponse(error.status_code, phrase.lower().replace(" ", "-"), str(error.detail) or phrase)


def _methods(request: Request) -> str:
    """What can be done at this address; each method has a route of its own."""
    found: set[str] = set()
    for route in request.app.router.routes:
        if route.matches(dict(request.scope))[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return ", ".join(sorted(found))


async def on_invalid(_: Request, error: Exception) -> Response:
    """A body, a query or a path that pydantic refused: one sentence for the first field, all of them beside it."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    found = [_sentence(each) for each in error.errors()[:20]]
    field, detail = found[0]
    return ProblemResponse(
        422, "bad-input", detail, field=field, errors=[{"field": name, "detail": said} for name, said in found]
    )


def field_name(location: Sequence[int | str]) -> str:
    """`("body", "metrics", 2, "value")` as `metrics[2].value`."""
    name = ""
    for part in location[1:] if location and location[0] in ("body", "query", "path", "header") else location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name[:200]


#: What would be right, by pydantic's type of error; {…} are of the error's context.
_WANTED = {
    "string_type": "write text in quotes",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "int_parsing_size": "write a smaller whole number",
    "int_from_float": "write a whole number",
    "finite_number": "write a whole number",
    "bool_type": "write true or false",
    "list_type": "write a list, in [ ]",
    "dict_type": "write an object, in {{ }}",
    "model_type": "write an object, in {{ }}",
    "model_attributes_type": "write an object, in {{ }}",
    "greater_than_equal": "write {ge} or more",
    "greater_than": "write more than {gt}",
    "less_than_equal": "write {le} or less",
    "literal_error": "write {expected}",
    "enum": "write {expected}",
    "string_too_long": "write {max_length} characters at most",
    "too_long": "give {max_length} at most",
}


def _sentence(error: dict[str, Any]) -> tuple[str, str]:
    """(field, sentence) of one of pydantic's errors."""
    kind, context = error["type"], error.get("ctx") or {}
    field = field_name(error["loc"])
    if not field:
        if kind == "missing":
            return "body", "The body is missing; send a JSON object."
        return "body", "The body is not a JSON object; send one, in { }."
    if kind == "missing":
        return field, f"{field} is missing; give it."
    if kind == "extra_forbidden":
        return field, f"{field} is not known here; leave it out, or look up its spelling at /api/docs."
    if kind == "value_error":
        return field, f"{field} {context.get('error', error['msg'])}"
    wanted = _WANTED.get(kind)
    if wanted is None:
        return field, f"{field} is wrong: {error['msg'][:1].lower()}{error['msg'][1:]}."
    return field, f"{field} is {_shown(error.get('input'))}; {wanted.format_map(context)}."


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, str):
        return f"“{value[:60]}{'…' if len(value) > 60 else ''}”"
    text = json.dumps(value, default=str) if not isinstance(value, int) or abs(value) < 10**60 else "a huge number"
    return text[:60]
