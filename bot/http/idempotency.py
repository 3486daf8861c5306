"""`Idempotency-Key`: the same key and the same request give the first answer again, and nothing is done twice."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope

from bot.http.problems import MEDIA_TYPE, to_json
from bot.http.services import Services
from core.domain.errors import BadInput
from core.store import idempotency

KEY_LIMIT = 255
#: Answers after which nothing has happened and the caller may mend the request under the same key.
FORGOTTEN = frozenset({400, 401, 403, 405, 413, 415, 422, 429})
REPLAYED = "Idempotent-Replayed"


async def answer_once(
    services: Services, caller: idempotency.Caller, key: str, scope: Scope, body: bytes, app: ASGIApp, receive: Receive
) -> Response:
    """Let `app` answer, unless this caller's key was answered before. Raises `BadInput` or `Conflict`."""
    if not key.strip() or len(key) > KEY_LIMIT or not key.isascii() or not key.isprintable():
        raise BadInput(
            "Idempotency-Key",
            f"The Idempotency-Key is not usable; write 1 to {KEY_LIMIT} printable characters, such as a UUID.",
        )
    database = services.database
    known = await run_in_threadpool(
        idempotency.begin, database, caller, key, _fingerprint(scope, body), services.clock()
    )
    if known is not None:
        return _response(known, replayed=True)
    finished = False
    try:
        answer = await _answer(app, scope, receive)
        if answer.status < 500 and answer.status not in FORGOTTEN:
            await run_in_threadpool(idempotency.finish, database, caller, key, answer)
            finished = True
        return _response(answer)
    finally:
        if not finished:
            await run_in_threadpool(idempotency.release, database, caller, key)


def _fingerprint(scope: Scope, body: bytes) -> str:
    """What makes two requests the same."""
    parts = (scope["method"].encode(), scope["path"].encode("utf-8", "replace"), scope.get("query_string", b""), body)
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


async def _answer(app: ASGIApp, scope: Scope, receive: Receive) -> idempotency.Stored:
    """What the routes answer, whole; with the one header that matters."""
    status, location, parts = 500, "", []

    async def catch(message: Message) -> None:
        nonlocal status, location
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = dict(message.get("headers", []))
            location = headers.get(b"location", b"").decode("latin-1")
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, catch)
    return idempotency.Stored(status, {"json": json.loads(b"".join(parts) or b"null"), "location": location})


def _response(answer: idempotency.Stored, replayed: bool = False) -> Response:
    headers: dict[str, Any] = {REPLAYED: "true"} if replayed else {}
    if answer.body.get("location"):
        headers["Location"] = answer.body["location"]
    media_type = MEDIA_TYPE if answer.status >= 400 else "application/json"
    return Response(to_json(answer.body["json"]), answer.status, headers, media_type)
