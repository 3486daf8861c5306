"""What every request passes before a route sees it: size, shape, token, key, and what happens when something breaks.

Plain ASGI, outside the framework: the framework reads and parses bodies before it asks who is calling.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.http.idempotency import answer_once
from bot.http.problems import ProblemResponse, field_name, refused, unavailable
from bot.http.proofs import prove
from bot.http.services import Services
from bot.http.tokens import authenticate
from core.domain.errors import Refused
from core.store.health import AWAY
from core.store.idempotency import Caller

log = logging.getLogger(__name__)

API = "/api/v1/"
#: Called by other systems, which sign or hold a secret of their own instead of a token.
ALERTS = f"{API}alerts/"  #: a storm of them comes as one body
HOOKS = (f"{API}deployments/", ALERTS, f"{API}registries/")
BODY_LIMIT = 1_000_000
HOOK_BODY_LIMIT = 64_000
#: A storm must get in: what is refused as too large is never sent again.
ALERTS_BODY_LIMIT = 5_000_000
#: Stands for a "/" inside a name while routes are matched; no name can hold it.
SLASH = "\uffff"
#: In the scope once a failure was logged: the framework answers it, and then raises it again.
TOLD = "baton.incident"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",
}


class Entrance:
    """The outermost layer of the HTTP side."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; always answers, and counts the answer."""
        if scope["type"] != "http":
            return
        scope["path"] = _path(scope)
        scope["query_string"] = _given(scope)
        sent = 0

        async def counted(message: Message) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                sent = message["status"]
                there = {name.lower() for name, _ in message.get("headers", [])}
                extra = [(name, value) for name, value in HEADERS.items() if name not in there]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        try:
            await self._serve(scope, receive, counted)
        except Exception as error:  # noqa: BLE001 - the outermost loop: logged, counted, answered
            response = broken(error, scope)
            if not sent:  # else half an answer is out, and the server closes the connection
                await response(scope, receive, counted)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "OTHER"
            self._services.metrics.http_request(method, _template(scope), sent or 500)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        limit = HOOK_BODY_LIMIT if path.startswith(HOOKS) else BODY_LIMIT
        if path.startswith(ALERTS):
            limit = ALERTS_BODY_LIMIT
        body = await _read(scope, receive, limit)
        if body is None:
            detail = f"The body is larger than {limit // 1000:,} kB; send less."
            await ProblemResponse(413, "too-large", detail, headers={"Connection": "close"})(scope, receive, send)
            return

        async def go_on() -> Response | None:
            await self._app(scope, _replay(body, receive), send)
            return None

        try:
            response = await self._check(scope, body, receive, go_on)
        except Refused as error:
            response = refused(error)
        if response is not None:
            await response(scope, receive, send)

    async def _check(
        self, scope: Scope, body: bytes, receive: Receive, go_on: Callable[[], Awaitable[Response | None]]
    ) -> Response | None:
        """A response that ends it here, or None when the routes have answered. Raises `Refused`."""
        if not scope["path"].startswith(API):
            return await go_on()
        headers = Headers(scope=scope)
        caller = await run_in_threadpool(self._caller, scope, headers, body)
        if scope["method"] != "POST":
            return await go_on()
        wrong = _malformed(headers, body)
        if wrong is not None:
            return wrong
        key = headers.get("idempotency-key")
        if key is None or caller is None:
            return await go_on()
        return await answer_once(self._services, caller, key, scope, body, self._app, _replay(body, receive))

    def _caller(self, scope: Scope, headers: Headers, body: bytes) -> Caller | None:
        """Whoever calls, as their keys are kept, and for the routes; None where there is nothing to call. Raises `Refused`."""
        known = scope.setdefault("state", {})
        if not scope["path"].startswith(HOOKS):
            known["token"] = token = authenticate(self._services.tokens, headers.get("authorization", ""))
            return token.id
        if scope["method"] != "POST":
            return None
        known["proof"] = proof = prove(self._services, scope["path"].removeprefix(API).split("/"), headers, body)
        return proof.caller if proof else None


def _template(scope: Scope) -> str:
    """The route's template; a route without parameters may not say its own, but then it is the address."""
    path = getattr(scope.get("route"), "path", None)
    return str(path or (scope["path"] if "endpoint" in scope else "none"))


def _path(scope: Scope) -> str:
    """The decoded path, in which an encoded slash stays a part of its name."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%2f" not in raw.lower():
        return str(scope["path"])
    parts = raw.split(b"?")[0].decode("latin-1").replace("%2F", "%2f").split("%2f")
    return SLASH.join(unquote(part) for part in parts)


def _given(scope: Scope) -> bytes:
    """The query without what was left empty: `?state=&model=fraud` asks for every state."""
    return b"&".join(each for each in scope.get("query_string", b"").split(b"&") if each.partition(b"=")[2])


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """The whole body; None when it is larger than `limit`."""
    announced = Headers(scope=scope).get("content-length", "0")
    if not announced.isdigit() or len(announced) > 12 or int(announced) > limit:
        return None
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, after: Receive) -> Receive:
    """The body once more, for the routes; then whatever the client does next."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await after()

    return receive


def _malformed(headers: Headers, body: bytes) -> ProblemResponse | None:
    """The problem with a POST's body, if it is no JSON that could be kept."""
    if not body:
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        shown = f"“{kind[:60]}”" if kind else "missing"
        return ProblemResponse(
            415, "not-json", f"The Content-Type is {shown}; send JSON, with Content-Type: application/json."
        )
    try:
        parsed = json.loads(body.decode())
        place = _unstorable(parsed)
    except UnicodeDecodeError:
        return ProblemResponse(400, "malformed", "The body is not text in UTF-8; send JSON in UTF-8.")
    except json.JSONDecodeError as wrong:
        where = f"line {wrong.lineno}, column {wrong.colno}"
        return ProblemResponse(
            400, "malformed", f"The body is not JSON: {wrong.msg.lower()} at {where}; mend it there."
        )
    except (RecursionError, ValueError):
        return ProblemResponse(
            400, "malformed", "The body nests too deep or holds a number too long to read; send less."
        )
    if place is not None:
        name = field_name(place) or "body"
        detail = f"{name} holds a character that cannot be kept (NUL, or half of a surrogate pair); leave it out."
        return ProblemResponse(422, "bad-input", detail, field=name)
    return None


def _unstorable(value: Any, place: tuple[int | str, ...] = ()) -> tuple[int | str, ...] | None:
    """Where a text stands that no database can hold."""
    if isinstance(value, str):
        return place if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value) else None
    if isinstance(value, dict):
        for key, inner in value.items():
            found = _unstorable(key, place)
            if found is None:
                found = _unstorable(inner, (*place, key if len(key) < 80 else "…"))
            if found is not None:
                return found
    if isinstance(value, list):
        for index, inner in enumerate(value):
            found = _unstorable(inner, (*place, index))
            if found is not None:
                return found
    return None


def broken(error: Exception, scope: Scope) -> ProblemResponse:
    """An answer for what nobody foresaw; the log holds the rest, once, under the incident's number."""
    if TOLD in scope:
        return ProblemResponse(500, "broken", str(scope[TOLD]))
    if isinstance(error, AWAY):
        scope[TOLD] = "database"
        log.warning("The database did not answer during %s %s.", scope["method"], scope["path"])
        return unavailable("The database does not answer just now; nothing was done, try again in a moment.")
    incident = secrets.token_hex(4)
    scope[TOLD] = incident
    log.error("Incident %s in %s %s.", incident, scope["method"], scope["path"], exc_info=error)
    detail = f"Something broke on our side (incident {incident}); whoever runs Baton finds it in the log."
    return ProblemResponse(500, "broken", detail, incident=incident)
