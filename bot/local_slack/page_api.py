"""The page's side: what a person sees and does, as JSON under /_local. FastAPI routes over Acts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from .acts import Acts
from .cast import APP_ID, BOT_USER, TEAM_NAME
from .delivery import Delivery
from .web_api import Api
from .workspace import Channel, Json, Message, SlackError

_LONGEST_WAIT = 30.0


def shown_message(channel: Channel, message: Message, names: dict[str, str]) -> Json:
    """A message as the page draws it."""
    replies = channel.thread(message.ts)
    body: Json = {
        "ts": message.ts,
        "user": message.user,
        "bot": message.by_app,
        "username": names.get(message.user, message.user),
        "text": message.text,
        "blocks": message.blocks,
        "attachments": message.attachments,
        "files": message.files,
        "ephemeral": message.ephemeral_for is not None,
        "edited": message.edited and not message.by_app,
        "deleted": message.deleted,
        "reply_count": len(replies),
        "reply_users": list(dict.fromkeys(r.user for r in replies)),
        "latest_reply": replies[-1].ts if replies else None,
        "reactions": [{"name": n, "users": u, "count": len(u)} for n, u in message.reactions.items()],
    }
    return body | ({"thread_ts": message.thread_ts} if message.thread_ts else {})


class Page:
    """What the page shows."""

    def __init__(self, api: Api, acts: Acts, delivery: Delivery) -> None:
        self._api = api
        self._space = api.workspace
        self._acts = acts
        self._delivery = delivery

    def state(self, user: str) -> Json:
        """The workspace as this person's side bar shows it."""
        me = self._acts.person(user)
        bot = self._space.people[BOT_USER]
        users = [
            {k: getattr(p, k) for k in ("id", "name", "real_name", "color", "is_bot", "deleted")}
            for p in self._space.people.values()
        ]
        channels = [
            self._row(c, me.id) for c in self._space.channels.values() if c.kind == "channel" or me.id in c.members
        ]
        keys = ("command", "description", "usage_hint")
        return {
            "team": {"name": TEAM_NAME},
            "app": {"id": APP_ID, "name": self._space.manifest.name, "bot_user": bot.id, "icon": ":traffic_light:"},
            "me": me.id,
            "users": users,
            "channels": channels,
            "commands": [{k: c.get(k, "") for k in keys} for c in self._space.manifest.commands],
            "connected": self._delivery.connected,
            "seq": self._api.hub.last_for(me.id),
        }

    def _row(self, channel: Channel, user: str) -> Json:
        read = channel.read.get(user, "0")
        seen = (m for m in channel.messages.values() if m.ts > read and m.user != user and not m.deleted)
        unread = sum(1 for m in seen if m.ephemeral_for in (None, user) and m.thread_ts is None)
        return {
            "id": channel.id,
            "name": channel.name or self._space.manifest.bot_name,
            "kind": channel.kind,
            "members": sorted(channel.members),
            "unread": unread,
            "app_dm": channel.kind == "im",
        }

    def messages(self, user: str, channel_id: str, thread_ts: str | None) -> Json:
        """A channel's messages, or one thread with its first message; reading marks the channel as read."""
        person = self._acts.person(user)
        channel = self._space.visible_channel(channel_id, person.id)
        names = {p.id: p.real_name for p in self._space.people.values()}
        if thread_ts:
            ids = [thread_ts, *channel.replies.get(thread_ts, ())]
            found = [channel.messages[ts] for ts in ids if ts in channel.messages]
        else:
            found = [m for m in channel.messages.values() if m.thread_ts is None]
            channel.read[person.id] = found[-1].ts if found else "0"
        shown = [
            m
            for m in found
            if m.ephemeral_for in (None, person.id)
            and (not m.deleted or (m.ephemeral_for is None and channel.thread(m.ts)))
        ]
        return {"messages": [shown_message(channel, m, names) for m in shown]}

    def views(self, user: str) -> Json:
        """The open forms of this person, the top one last."""
        stack = self._api.views.stacks.get(self._acts.person(user).id, [])
        return {"stack": [v.body | {"errors": v.errors, "busy": v.busy} for v in stack]}

    def home(self, user: str) -> Json:
        """The person's Home tab, if the app published one."""
        view = self._api.views.homes.get(self._acts.person(user).id)
        return {"view": view.body if view else None}


def page_routes(api: Api, acts: Acts, delivery: Delivery) -> APIRouter:
    """The routes under /_local that the page uses."""
    router = APIRouter(prefix="/_local")
    page = Page(api, acts, delivery)
    _reading_routes(router, page, api)

    async def act(name: str, body: Json) -> Json:
        match name:
            case "command":
                return await acts.command(body.get("user"), body.get("channel"), str(body.get("text") or ""))
            case "message":
                text, thread = str(body.get("text") or ""), body.get("thread_ts")
                return acts.message(body.get("user"), body.get("channel"), text, thread)
            case "home_opened":
                return acts.home_opened(body.get("user"), str(body.get("tab") or "home"))
            case "click":
                return await acts.click(body)
            case "options":
                return await acts.options(body)
            case "submit":
                values = (body.get("state") or {}).get("values") or {}
                return await acts.submit(body.get("user"), body.get("view_id"), values)
            case "close":
                return await acts.close(body.get("user"), body.get("view_id"))
            case _:
                raise SlackError("unknown_act")

    for path in ("command", "message", "home_opened", "click", "options", "submit", "close"):
        router.add_api_route(f"/{path}", _act_route(path, act), methods=["POST"])
    return router


def _act_route(name: str, act: Any) -> Any:
    async def route(request: Request) -> JSONResponse:
        body = await request.json()
        return JSONResponse(await act(name, body if isinstance(body, dict) else {}))

    return route


def _reading_routes(router: APIRouter, page: Page, api: Api) -> None:
    @router.get("/state")
    async def state(user: str) -> JSONResponse:
        return JSONResponse(page.state(user))

    @router.get("/messages")
    async def messages(user: str, channel: str, thread_ts: str | None = None) -> JSONResponse:
        return JSONResponse(page.messages(user, channel, thread_ts))

    @router.get("/home")
    async def home(user: str) -> JSONResponse:
        return JSONResponse(page.home(user))

    @router.get("/views")
    async def views(user: str) -> JSONResponse:
        return JSONResponse(page.views(user))

    @router.get("/wait")
    async def wait(user: str, since: int = 0, timeout: float = 10.0) -> JSONResponse:
        return JSONResponse({"seq": await api.hub.wait(user, since, min(timeout, _LONGEST_WAIT))})

    @router.get("/stream")
    async def stream(user: str) -> StreamingResponse:
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(api.hub.stream(user), media_type="text/event-stream", headers=headers)


def refuse_with_slack_errors(app: FastAPI) -> None:
    """Turns every SlackError of a route into {"ok": false, "error": …}."""

    async def refused(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, SlackError)  # noqa: S101 - registered for nothing else
        return JSONResponse({"ok": False, "error": error.code, **error.extra})

    app.add_exception_handler(SlackError, refused)
