"""The local Slack's one door: the Web API, the sockets, uploads and response URLs, then the page's routes.

The Web API and the sockets are plain ASGI, because their faults need the TCP connection beneath the answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from .acts import Acts
from .control_api import control_routes
from .delivery import MAX_SOCKETS, Delivery, Socket
from .page_api import page_routes, refuse_with_slack_errors
from .payloads import hello
from .web_api import Answer, WebApi, read_args
from .workspace import Json, SlackError

PAGE = Path(__file__).parent / "page"
SOCKET_LIFETIME = 18_060

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Gate:
    """The ASGI application."""

    def __init__(self, web: WebApi, acts: Acts, delivery: Delivery, latency: Callable[[], float]) -> None:
        self._web = web
        self._delivery = delivery
        self._latency = latency
        self._pages = pages(web, acts, delivery)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's business."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http" and scope["path"].startswith("/api/"):
            await self._call(scope, receive, send)
        else:
            await self._pages(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One Web API call: latency, fault, effect, answer."""
        request = Request(scope, receive)
        name = scope["path"].removeprefix("/api/")
        body = await request.body()
        fault = self._web.faults.take(name)
        delay = self._latency() + (fault.latency if fault else 0.0)
        if delay > 0:
            await asyncio.sleep(delay)
        try:
            headers = request.headers
            args = read_args(request.url.query, headers.get("content-type", ""), body, headers.get("authorization", ""))
        except SlackError as error:
            answer = Answer(200, {"ok": False, "error": error.code}, {})
        else:
            answer = self._web.call(name, args, fault)
        if answer.drop:
            send.__self__.transport.abort()  # type: ignore[attr-defined]  # uvicorn's connection beneath
            return
        await JSONResponse(answer.body, answer.status, answer.headers)(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One Socket Mode connection, from its ticket to its end."""
        await receive()
        ticket = parse_qs(scope["query_string"].decode()).get("ticket", [""])[0]
        refused = self._delivery.refusals > 0
        self._delivery.refusals -= refused
        if scope["path"] != "/_socket" or refused or not self._web.api.tickets.redeem_socket(ticket):
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "websocket.accept"})
        if len(self._delivery.sockets) >= MAX_SOCKETS:
            await send({"type": "websocket.close", "code": 1008, "reason": "too_many_websockets"})
            return

        async def send_text(text: str) -> None:
            await send({"type": "websocket.send", "text": text})

        protocol = send.__self__  # type: ignore[attr-defined]  # uvicorn's connection beneath, for the faults
        socket = Socket(send_text, protocol.transport)
        self._delivery.sockets.append(socket)
        try:
            await send_text(json.dumps(hello(len(self._delivery.sockets), SOCKET_LIFETIME)))
            self._web.api.hub.notify("state")
            await self._listen(socket, receive, send)
        finally:
            if socket in self._delivery.sockets:
                self._delivery.sockets.remove(socket)
            self._web.api.hub.notify("state")

    async def _listen(self, socket: Socket, receive: Receive, send: Send) -> None:
        ended = asyncio.create_task(socket.closed.wait())
        incoming = asyncio.create_task(_next(receive))
        try:
            while True:
                await asyncio.wait({ended, incoming}, return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    if not socket.transport.is_closing():
                        await send({"type": "websocket.close", "code": 1001})
                        socket.transport.close()
                    return
                frame = incoming.result()
                if frame["type"] == "websocket.disconnect":
                    return
                if frame.get("text"):
                    self._delivery.acknowledge(frame["text"])
                incoming = asyncio.create_task(_next(receive))
        finally:
            ended.cancel()
            incoming.cancel()
            await asyncio.gather(ended, incoming, return_exceptions=True)


async def _next(receive: Receive) -> Json:
    frame: Json = await receive()
    return frame


def pages(web: WebApi, acts: Acts, delivery: Delivery) -> FastAPI:
    """Everything that is not the Web API or a socket."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(page_routes(web.api, acts, delivery))
    app.include_router(control_routes(web, delivery))
    refuse_with_slack_errors(app)
    _file_routes(app, web)

    @app.post("/{kind}/T0LOCAL/{number}/{token}")
    async def response_url(token: str, request: Request) -> Response:
        """A response_url: JSON, or a form with `payload`."""
        raw = await request.body()
        try:
            if b"payload=" in raw[:8]:
                raw = parse_qs(raw.decode())["payload"][0].encode()
            body = json.loads(raw)
            acts.respond(token, body)
        except SlackError as error:
            status = 404 if error.code in ("used_url", "expired_url", "invalid_token") else 400
            return JSONResponse({"ok": False, "error": error.code, **error.extra}, status)
        except (ValueError, AttributeError):
            return JSONResponse({"ok": False, "error": "invalid_payload"}, 400)
        return PlainTextResponse("ok")

    if PAGE.is_dir():
        _page_files(app)
    return app


def _file_routes(app: FastAPI, web: WebApi) -> None:
    files = web.api.workspace.files

    @app.post("/_upload/{file_id}")
    async def upload(file_id: str, request: Request) -> PlainTextResponse:
        file = files.get(file_id)
        if file is None or file.complete:
            return PlainTextResponse("no such upload", 404)
        content = await request.body()
        if len(content) != file.length:
            return PlainTextResponse("wrong length", 400)
        file.content = content
        return PlainTextResponse(f"OK - {len(content)}")

    def content(file_id: str) -> Response:
        file = files.get(file_id)
        if file is None or not file.complete:
            return PlainTextResponse("no such file", 404)
        return Response(file.content, media_type=file.mimetype)

    @app.get("/_files/{file_id}")
    async def download(file_id: str) -> Response:
        """For the page, whose people are logged in."""
        return content(file_id)

    @app.get("/files-pri/T0LOCAL-{file_id}/{name}")
    async def private(file_id: str, name: str, request: Request) -> Response:  # noqa: ARG001 - as in Slack's addresses
        """url_private: for the app, with its token; anybody else is asked to log in, which is an answer of 200."""
        proof = request.headers.get("authorization", "")
        if proof != f"Bearer {web.api.bot_token}" or not {"files:read"} & web.api.scopes:
            return HTMLResponse("<!doctype html><title>Sign in | Slack</title>")
        return content(file_id)


def _page_files(app: FastAPI) -> None:
    @app.get("/")
    async def index() -> Response:
        page = PAGE / "index.html"
        if not page.is_file():
            return PlainTextResponse("The page is not built; the Web API is at /api/.")
        return Response(page.read_text("utf-8"), media_type="text/html", headers={"Cache-Control": "no-store"})

    @app.get("/archives/{channel}/p{number}")
    async def permalink(channel: str, number: str, thread_ts: str = "") -> RedirectResponse:
        thread = f"&thread_ts={thread_ts}" if thread_ts else ""
        return RedirectResponse(f"/?channel={channel}&ts={number[:-6]}.{number[-6:]}{thread}")

    app.mount("/page", StaticFiles(directory=PAGE), name="page")
