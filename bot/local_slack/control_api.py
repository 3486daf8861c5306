"""The tests' side: what the app called, what was delivered, faults, dead sockets, and the administrator's acts."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from .cast import BOT_USER
from .delivery import Delivery
from .faults import read_fault
from .payloads import disconnect
from .web_api import WebApi
from .workspace import Json, SlackError


def control_routes(web: WebApi, delivery: Delivery) -> APIRouter:
    """The routes under /_local that tests use."""
    router = APIRouter(prefix="/_local")

    @router.get("/calls")
    async def calls(method: str | None = None) -> JSONResponse:
        found = [c for c in web.calls.entries if method in (None, c["method"])]
        return JSONResponse({"calls": found})

    @router.post("/calls/clear")
    async def clear_calls() -> JSONResponse:
        web.calls.entries.clear()
        return JSONResponse({"ok": True})

    @router.get("/log")
    async def log() -> JSONResponse:
        return JSONResponse({"deliveries": list(delivery.log)})

    @router.post("/faults")
    async def faults(request: Request) -> JSONResponse:
        try:
            web.faults.add(read_fault(await request.json()))
        except (TypeError, ValueError) as error:
            raise SlackError("invalid_fault", text=str(error)) from error
        return JSONResponse({"ok": True})

    @router.post("/faults/clear")
    async def clear_faults() -> JSONResponse:
        web.faults.clear()
        return JSONResponse({"ok": True})

    @router.post("/socket")
    async def socket(request: Request) -> JSONResponse:
        return JSONResponse(await _socket_act(delivery, await request.json()))

    @router.post("/admin")
    async def admin(request: Request) -> JSONResponse:
        return JSONResponse(await administrate(web, delivery, await request.json()))

    return router


async def _socket_act(delivery: Delivery, body: Json) -> Json:
    sockets = list(delivery.sockets)
    match body.get("action"):
        case "disconnect":
            for socket in sockets:
                await socket.send(json.dumps(disconnect(str(body.get("reason") or "warning"))))
        case "kill":
            delivery.sockets.clear()
            for socket in sockets:
                socket.kill()
        case "freeze":
            for socket in sockets:
                socket.freeze()
        case "refuse":
            delivery.refusals = int(body.get("n", 1_000_000))
        case "accept":
            delivery.refusals = 0
        case other:
            raise SlackError("invalid_action", text=str(other))
    return {"ok": True, "sockets": len(sockets)}


async def administrate(web: WebApi, delivery: Delivery, body: Json) -> Json:
    """Carries out every act that the body names: token, scopes, channel, message, usergroup, user, event.

    Raises SlackError for an unknown act or subject.
    """
    acts = {"token": _token, "scopes": _scopes, "channel": _channel, "message": _message}
    acts |= {"usergroup": _usergroup, "user": _user, "event": _event}
    if not body or not set(body) <= {*acts, "verify_url"}:
        raise SlackError("invalid_admin", text=f"one of {sorted({*acts, 'verify_url'})}")
    for name, value in body.items():
        if name == "verify_url":
            return {"ok": await delivery.verify_url()}
        acts[name](web, delivery, value)
    web.api.hub.notify("state")
    return {"ok": True}


def _token(web: WebApi, delivery: Delivery, value: object) -> None:
    known = {"revoke": "token_revoked", "token_revoked": "token_revoked", "deactivate": "account_inactive"}
    known |= {"account_inactive": "account_inactive"}
    if value == "restore":
        web.api.token_error = None
        return
    if value not in known:
        raise SlackError("invalid_admin", text="token: revoke, deactivate or restore")
    web.api.token_error = known[str(value)]
    for event in ("tokens_revoked", "app_uninstalled"):
        if web.api.workspace.manifest.subscribes(event):
            tokens = {"tokens": {"oauth": [], "bot": [BOT_USER]}} if event == "tokens_revoked" else {}
            delivery.event({"type": event, "event_ts": web.api.workspace.new_ts(), **tokens})


def _scopes(web: WebApi, _delivery: Delivery, value: Json | list[str]) -> None:
    if isinstance(value, list):
        web.api.scopes = set(value)
    else:
        web.api.scopes -= set(value.get("remove", ()))
        web.api.scopes |= set(value.get("add", ()))


def _channel(web: WebApi, _delivery: Delivery, value: Json) -> None:
    """{id, bot: "remove"|"add"} or {id, user, member: bool} or {id, archived: bool} or {id, name}, or several."""
    channel = web.api.workspace.channels.get(str(value.get("id")))
    if channel is None:
        raise SlackError("channel_not_found")
    if "archived" in value:
        channel.archived = bool(value["archived"])
    channel.name = str(value.get("name", channel.name))
    joins = value.get("bot") == "add" if "bot" in value else bool(value.get("member", True))
    if "bot" in value or "user" in value:
        user = BOT_USER if "bot" in value else str(value["user"])
        (channel.members.add if joins else channel.members.discard)(user)


def _message(web: WebApi, _delivery: Delivery, value: Json) -> None:
    """{channel, ts, delete: true}: gone without the app being told."""
    channel = web.api.workspace.channels.get(str(value.get("channel")))
    message = channel.messages.get(str(value.get("ts"))) if channel else None
    if channel is None or message is None:
        raise SlackError("message_not_found")
    message.deleted = bool(value.get("delete", True))
    web.api.hub.notify("message", channel=channel.id, thread_ts=message.thread_ts)


def _usergroup(web: WebApi, _delivery: Delivery, value: Json) -> None:
    """{id, users: [ids], disabled?: bool}."""
    group = web.api.workspace.usergroups.get(str(value.get("id")))
    if group is None:
        raise SlackError("no_such_subteam")
    group.users = list(value.get("users", group.users))
    group.disabled = bool(value.get("disabled", group.disabled))


def _user(web: WebApi, _delivery: Delivery, value: Json) -> None:
    """{id, deleted?: bool, email?: str|null, is_guest?: bool, real_name?: str, team?: str}."""
    person = web.api.workspace.people.get(str(value.get("id")))
    if person is None:
        raise SlackError("user_not_found")
    for key in ("deleted", "email", "is_guest", "real_name", "name", "tz", "team"):
        if key in value:
            setattr(person, key, value[key])


def _event(web: WebApi, delivery: Delivery, value: Json) -> None:
    """Any event, delivered as it is."""
    delivery.event({"event_ts": web.api.workspace.new_ts(), **value})
