"""Runs the local Slack: one uvicorn loop in one thread, on loopback only."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from . import methods_chat, methods_files, methods_more, methods_rooms
from .acts import Acts
from .cast import DEFAULT_CHANNELS, DEFAULT_GROUPS, DEFAULT_PEOPLE, ChannelSeed, Member, UserGroup, read_manifest
from .delivery import ACK_SECONDS, EVENT_RETRIES, Delivery
from .gate import Gate
from .hub import Hub
from .tickets import Tickets
from .views import Views
from .web_api import Api, WebApi
from .workspace import Workspace

METHODS = methods_chat.METHODS | methods_rooms.METHODS | methods_more.METHODS | methods_files.METHODS
_START_SECONDS = 10.0


class LocalSlack:
    """A stand-in for a Slack workspace.

    `start()` serves it and `stop()` ends it; `clock` must be set before the start. Give Baton `api_url`, `bot_token`,
    and either `app_token` (delivery "socket") or `signing_secret` (delivery "http", to `request_url`).
    """

    def __init__(
        self,
        manifest: dict[str, Any] | str | Path | None = None,
        port: int = 0,
        delivery: str = "socket",
        request_url: str = "http://127.0.0.1:8080/slack/events",
        people: Iterable[Member] = DEFAULT_PEOPLE,
        channels: Iterable[ChannelSeed] = DEFAULT_CHANNELS,
        usergroups: Iterable[UserGroup] = DEFAULT_GROUPS,
        latency: float = 0.0,
        url_host: str = "127.0.0.1",
        *,
        clock: Callable[[], float] = time.time,
        event_retries: Sequence[float] = EVENT_RETRIES,
        ack_seconds: float = ACK_SECONDS,
        enforce_rate_limits: bool = False,
    ) -> None:
        if delivery not in ("socket", "http"):
            raise ValueError('delivery is "socket" or "http"')
        self.clock = clock
        self.latency = latency
        self.bot_token = f"xoxb-local-{secrets.token_hex(8)}"
        self.app_token = f"xapp-1-A0BATON-{secrets.token_hex(8)}"
        self.signing_secret = secrets.token_hex(16)
        self.port = port
        self._url_host = url_host
        read = read_manifest(manifest)
        self.workspace = Workspace(read, people, channels, usergroups, self._now)
        self.hub = Hub()
        tickets = Tickets(self._now)
        views = Views(self.workspace, tickets, self.hub)
        self.delivery = Delivery(delivery, request_url, self.signing_secret, self._now, event_retries, ack_seconds)
        self.api = Api(self.workspace, self.hub, tickets, views, read)
        self.api.bot_token, self.api.app_token = self.bot_token, self.app_token
        self.web = WebApi(self.api, METHODS, enforce_rate_limits=enforce_rate_limits)
        self.acts = Acts(self.api, self.delivery)
        self._gate = Gate(self.web, self.acts, self.delivery, lambda: self.latency)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def _now(self) -> float:
        return self.clock()

    @property
    def url(self) -> str:
        """Where the page is, once started."""
        return f"http://{self._url_host}:{self.port}"

    @property
    def api_url(self) -> str:
        """The base of the Web API, as slack_sdk's `base_url` wants it."""
        return f"{self.url}/api/"

    @property
    def request_url(self) -> str:
        """Where HTTP delivery posts; may be changed while running."""
        return self.delivery.request_url

    @request_url.setter
    def request_url(self, url: str) -> None:
        self.delivery.request_url = url

    def start(self) -> None:
        """Serves in a thread of its own. Raises OSError when the port is taken, RuntimeError when it cannot serve."""
        listener = _listen(self._url_host, self.port)
        self.port = listener.getsockname()[1]
        self.api.base_url = self.url
        config = uvicorn.Config(
            self._gate, ws="wsproto", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, args=(listener,), name="local-slack", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the local Slack did not start")
            time.sleep(0.005)

    def _run(self, listener: socket.socket) -> None:
        server = self._server
        assert server is not None  # noqa: S101 - set by start

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            try:
                await server.serve(sockets=[listener])
            finally:
                await self.delivery.close()

        with listener:
            asyncio.run(serve())

    def stop(self) -> None:
        """Ends the server, its streams and its sockets. Harmless when it is not running."""
        if self._server is None or self._thread is None:
            return
        if self._loop is not None and self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._let_go(), self._loop).result(5)
        self._server.should_exit = True
        self._thread.join(5)
        self._server = self._thread = None

    async def _let_go(self) -> None:
        """Ends what would keep the server waiting: streams, polls, sockets, deliveries."""
        self.hub.close()
        await self.delivery.close()

    def __enter__(self) -> LocalSlack:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. It names its protocol, or asyncio would leave Nagle's delay on: 40 ms an answer."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener
