"""Hosts the HTTP side on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time

import uvicorn
from starlette.types import ASGIApp

log = logging.getLogger(__name__)

#: How long requests under way may take to finish when the server stops.
GRACE_SECONDS = 5
#: Longer than balancers and Slack keep a connection: whoever reuses one that is closed at that moment loses a click.
KEEP_ALIVE_SECONDS = 75


class AddressTaken(Exception):
    """The address cannot be listened on; the sentence says which, and what to set."""


class _Quiet(uvicorn.Server):
    """uvicorn looks ten times a second whether it is to stop. This one looks once, and is told."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    async def main_loop(self) -> None:
        """Until told to stop; `on_tick(0)` also writes the date that answers carry."""
        told = asyncio.Event()
        self._told = asyncio.get_running_loop(), told
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), 1.0)

    def leave(self) -> None:
        """Stop, from any thread."""
        self.should_exit = True
        if self._told is not None:
            loop, told = self._told
            with contextlib.suppress(RuntimeError):  # it has stopped by itself
                loop.call_soon_threadsafe(told.set)


class HttpServer:
    """uvicorn in a thread. `start` returns once requests are answered; `stop` lets those under way finish."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._server = _Quiet(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                lifespan="off",
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def bind(self) -> None:
        """Take the address before anything else is begun; callers wait until `start`. Raises `AddressTaken`.

        Port 0 takes any free one, and `port` tells which.
        """
        if self._socket is None:
            self._socket = self._listen()
            self.port = self._socket.getsockname()[1]

    def start(self) -> None:
        """Answer requests. Raises `AddressTaken`."""
        self.bind()
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise AddressTaken(f"The HTTP side could not start on {self.url}; the log says why.")
            time.sleep(0.005)
        log.info("Listening on %s.", self.url)

    def stop(self) -> None:
        """Take no more requests, finish those under way, and return."""
        self._server.leave()
        if self._thread.ident is not None:
            self._thread.join(GRACE_SECONDS + 2)
        if self._socket is not None:
            self._socket.close()

    @property
    def alive(self) -> bool:
        """False once the server's thread has ended, asked or not."""
        return self._thread.is_alive()

    def _listen(self) -> socket.socket:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listening = socket.socket(family, kind, protocol)
        except OSError as wrong:
            raise AddressTaken(f"BATON_HOST “{self.host}” is no address of this machine ({wrong.strerror}).") from None
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            listening.listen(2048)
        except OSError as wrong:
            listening.close()
            raise AddressTaken(
                f"Cannot listen on {self.url} ({wrong.strerror}); stop what is there, or set BATON_HOST or BATON_PORT."
            ) from None
        return listening

    def _run(self) -> None:
        if self._socket is not None:
            self._server.run(sockets=[self._socket])
