"""A real HTTP server for fakes: it keeps every request, and misbehaves when a test says so."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `path` is as it was sent, without the query."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        assert self.headers.get("content-type", "").startswith("application/json"), self.headers
        said = json.loads(self.body)
        assert isinstance(said, dict)
        return said

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=bool(self.body)))


@dataclass(frozen=True)
class Reply:
    status: int
    content: Any = b""
    headers: dict[str, str] = field(default_factory=dict)

    def raw(self) -> tuple[bytes, dict[str, str]]:
        if isinstance(self.content, bytes):
            return self.content, self.headers
        return json.dumps(self.content).encode(), {"content-type": "application/json; charset=utf-8"} | self.headers


#: Does something to a connection; `obey` carries the request out and returns what the server would answer.
Fault = Callable[["Connection", Callable[[], Reply]], None]


class Connection:
    """The side of a connection that faults work on."""

    def __init__(self, handler: BaseHTTPRequestHandler, request: Request, closing: threading.Event) -> None:
        self.request = request
        self.closing = closing
        self._handler = handler

    def answer(self, reply: Reply) -> None:
        content, headers = reply.raw()
        self._handler.send_response(reply.status)
        for name, value in headers.items():
            self._handler.send_header(name, value)
        if reply.status != 204:
            self._handler.send_header("content-length", str(len(content)))
        self._handler.end_headers()
        if reply.status != 204:
            self._handler.wfile.write(content)

    def send(self, raw: bytes) -> None:
        self._handler.wfile.write(raw)

    def hang_up(self) -> None:
        self._handler.close_connection = True
        self._handler.connection.shutdown(socket.SHUT_RDWR)

    def await_hang_up(self) -> None:
        """Until the other side has gone."""
        self._handler.close_connection = True
        self._handler.connection.settimeout(20)
        while self._handler.rfile.read1(1):  # type: ignore[attr-defined]
            pass


class Server:
    """`with` it. Subclasses say in `obey` what they answer; what they find wrong with a request is in `problems`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.problems: list[str] = []
        self._faults: list[tuple[Callable[[Request], bool], Fault]] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _take(self) -> None:
                server._take(self)

            do_GET = do_POST = do_PUT = do_DELETE = _take  # noqa: N815 - the library's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse every connection from now on."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def obey(self, request: Request) -> Reply:
        raise NotImplementedError

    def misbehave(self, fault: Fault, when: Callable[[Request], bool] = lambda _request: True) -> None:
        """Have the next request that fits met by `fault`."""
        with self._lock:
            self._faults.append((when, fault))

    def calm(self) -> None:
        """Behave again."""
        with self._lock:
            self._faults.clear()

    def count(self, method: str, ending: str = "") -> int:
        """How many requests of this method there were, with such an end of the path."""
        return sum(each.method == method and each.path.endswith(ending) for each in self.requests)

    def expect(self, holds: bool, problem: str) -> None:
        """Note what no client should do, even where the real server would let it pass."""
        if not holds:
            self.problems.append(problem)

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        request = Request(
            handler.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in handler.headers.items()},
            handler.rfile.read(int(handler.headers.get("content-length") or 0)),
        )
        with self._lock:
            self.requests.append(request)
            due = next((each for each in self._faults if each[0](request)), None)
            if due is not None:
                self._faults.remove(due)
        connection = Connection(handler, request, self._closing)
        try:
            if due is None:
                connection.answer(self._obey(request))
            else:
                due[1](connection, lambda: self._obey(request))
        except OSError:
            handler.close_connection = True  # the other side has gone

    def _obey(self, request: Request) -> Reply:
        with self._lock:
            try:
                return self.obey(request)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the test must hear of it
                self.problems.append(f"{request.method} {request.path}: {error!r}")
                return Reply(500, {"message": "the fake does not understand this"})


def says(status: int, content: Any = b"", **headers: str) -> Fault:
    """Answers this, and does nothing."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda connection, _obey: connection.answer(Reply(status, content, named))


def loses_the_answer(connection: Connection, obey: Callable[[], Reply]) -> None:
    """Does it, and breaks off before it says so."""
    obey()
    connection.hang_up()


def hangs(connection: Connection, _obey: Callable[[], Reply]) -> None:
    """Never answers."""
    connection.await_hang_up()


def drips(connection: Connection, _obey: Callable[[], Reply]) -> None:
    """Sends a header now and then, for ever."""
    connection.send(b"HTTP/1.1 200 OK\r\n")
    while not connection.closing.wait(0.05):
        connection.send(b"x-a: b\r\n")


def never_closes(connection: Connection, obey: Callable[[], Reply]) -> None:
    """Answers without saying how long that is, and never ends it."""
    content, _ = obey().raw()
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + content)
    connection.await_hang_up()


def pours(connection: Connection, _obey: Callable[[], Reply]) -> None:
    """Answers with a gigabyte."""
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000000\r\n\r\n[")
    until = time.monotonic() + 20
    while time.monotonic() < until:
        connection.send(b"1," * 65_536)


def echoes(connection: Connection, _obey: Callable[[], Reply]) -> None:
    """Repeats in its error everything that it was sent."""
    told = "; ".join(f"{name}: {value}" for name, value in connection.request.headers.items())
    connection.answer(Reply(400, {"message": told, "error": told}))
