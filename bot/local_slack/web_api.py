"""The Web API: who may call what, faults and rate limits, and the answer in Slack's shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from .cast import Manifest
from .faults import Calls, Fault, Faults, Pacing
from .hub import Hub
from .tickets import Tickets
from .views import Views
from .workspace import Channel, Json, SlackError, Workspace


class Api:
    """What the methods work on, and the app's standing: its tokens and scopes."""

    def __init__(self, workspace: Workspace, hub: Hub, tickets: Tickets, views: Views, manifest: Manifest) -> None:
        self.workspace = workspace
        self.hub = hub
        self.tickets = tickets
        self.views = views
        self.scopes = set(manifest.scopes)
        self.bot_token = ""
        self.app_token = ""
        self.base_url = ""
        self.token_error: str | None = None
        self.sockets_open: Callable[[], int] = lambda: 0

    def need(self, *scopes: str) -> None:
        """Raises SlackError missing_scope unless the app has one of these scopes."""
        if scopes and not self.scopes & set(scopes):
            raise SlackError("missing_scope", needed=",".join(scopes), provided=",".join(sorted(self.scopes)))

    def may(self, channel: Channel, act: str) -> None:
        """Raises missing_scope unless the app may `read` this kind of channel or its `history`."""
        prefix = {"im": "im", "private": "groups"}.get(channel.kind, "channels")
        self.need(f"{prefix}:{act}")


@dataclass(frozen=True)
class Method:
    """One Web API method: its function, the scopes of which one is needed, its tier, the token that it takes."""

    run: Callable[[Api, Json], Json]
    scopes: tuple[str, ...] = ()
    tier: int = 3
    token: str = "bot"  # noqa: S105 - a kind of token


@dataclass
class Answer:
    """What goes back over HTTP; `drop` means that the connection dies instead."""

    status: int
    body: Json
    headers: dict[str, str]
    drop: bool = False


class WebApi:
    """Answers one call at a time, each on the event loop and without waiting: the loop is the lock."""

    def __init__(self, api: Api, methods: dict[str, Method], *, enforce_rate_limits: bool) -> None:
        self.api = api
        self.faults = Faults()
        self.calls = Calls()
        self._methods = methods
        self._pacing = Pacing(api.workspace.clock)
        self._enforce = enforce_rate_limits

    def call(self, name: str, args: Json, fault: Fault | None) -> Answer:
        """Carries out one call, or its fault."""
        if fault is not None and not fault.after_effect and (fault.status or fault.error):
            answer = _faulty(fault)
        else:
            answer = self._answer(name, args)
            if fault is not None and fault.after_effect:
                answer = _faulty(fault) if not fault.drops_answer else Answer(0, answer.body, {}, drop=True)
        answer.headers["x-oauth-scopes"] = ",".join(sorted(self.api.scopes))
        self.calls.add(self.api.workspace.clock(), name, args, answer.status, answer.body)
        return answer

    def _answer(self, name: str, args: Json) -> Answer:
        method = self._methods.get(name)
        if method is None:
            return Answer(200, {"ok": False, "error": "unknown_method", "req_method": name}, {})
        try:
            self._authenticate(method, args)
            wait = self._pacing.refuse_for(name, method.tier, str(args.get("channel"))) if self._enforce else None
            if wait is not None:
                return Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(wait)})
            self.api.need(*method.scopes)
            headers = {"x-accepted-oauth-scopes": ",".join(method.scopes)}
            return Answer(200, {"ok": True, **method.run(self.api, args)}, headers)
        except SlackError as error:
            return Answer(200, {"ok": False, "error": error.code, **error.extra}, {})

    def _authenticate(self, method: Method, args: Json) -> None:
        if method.token == "none":  # noqa: S105 - a kind of token
            return
        token = args.get("token")
        if not token:
            raise SlackError("not_authed")
        if token not in (self.api.bot_token, self.api.app_token):
            raise SlackError("invalid_auth")
        if self.api.token_error is not None:
            raise SlackError(self.api.token_error)
        if (token == self.api.app_token) != (method.token == "app"):  # noqa: S105 - a kind of token
            raise SlackError("not_allowed_token_type")


def _faulty(fault: Fault) -> Answer:
    status = fault.status or 200
    body: Json = {"ok": False, "error": fault.error or ("internal_error" if status >= 500 else "fatal_error")}
    headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
    return Answer(status, body, headers)


def read_args(query: str, content_type: str, body: bytes, authorization: str) -> Json:
    """The arguments of a call from its query, its form or JSON body, and its bearer token.

    Raises SlackError invalid_json or json_not_object for a body that is neither.
    """
    args: Json = dict(parse_qsl(query, keep_blank_values=True))
    if "json" in content_type and body:
        try:
            given = json.loads(body)
        except ValueError as error:
            raise SlackError("invalid_json") from error
        if not isinstance(given, dict):
            raise SlackError("json_not_object")
        args |= given
    elif body:
        args |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    for name in ("blocks", "attachments", "metadata", "view", "files", "message"):
        if isinstance(args.get(name), str) and args[name]:
            try:
                args[name] = json.loads(args[name])
            except ValueError as error:
                raise SlackError(_NOT_JSON.get(name, "invalid_arguments")) from error
    if authorization.lower().startswith("bearer "):
        args["token"] = authorization[7:].strip()
    return args


_NOT_JSON = {"blocks": "invalid_blocks_format", "metadata": "invalid_metadata_format"}


def flag(args: Json, name: str) -> bool:
    """A boolean argument as Slack reads it: true, "true", 1, "1"."""
    return str(args.get(name, "")).lower() in ("1", "true")


def page_of(items: list[Any], args: Json, default: int = 100) -> tuple[list[Any], Json]:
    """One page of a list and the response_metadata with the next cursor. Raises invalid_cursor, invalid_limit."""
    try:
        limit = int(args.get("limit") or default)
        start = int(str(args.get("cursor") or "at:0").removeprefix("at:"))
    except ValueError as error:
        raise SlackError("invalid_cursor") from error
    if not 1 <= limit <= 1000:
        raise SlackError("invalid_limit")
    following = f"at:{start + limit}" if start + limit < len(items) else ""
    return items[start : start + limit], {"response_metadata": {"next_cursor": following}}
