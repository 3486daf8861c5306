"""A deploy system for tests: a real HTTP server whose answers a test chooses, and that checks every signature itself."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cloudevents.v1.http as cloudevents_http
import standardwebhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Hook:
    """One request as it arrived."""

    id: str
    headers: dict[str, str]
    event: dict[str, Any]
    at: float

    @property
    def data(self) -> dict[str, Any]:
        return self.event["data"]


Reply = tuple[int, dict[str, Any]]


class Receiver:
    """`reply` decides on each hook; every hook that passed the checks is kept in `hooks`."""

    def __init__(self, reply: Callable[[Hook], Reply] | None = None, port: int = 0) -> None:
        self.hooks: list[Hook] = []
        self.problems: list[str] = []
        self.reply = reply or (lambda _hook: (202, {}))
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._receive(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/deploy"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def ids(self) -> list[str]:
        return [hook.id for hook in self.hooks]

    def await_hooks(self, count: int, seconds: float = 20.0) -> list[Hook]:
        """The hooks, once there are `count`."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.hooks) >= count, seconds), (len(self.hooks), self.problems)
        assert not self.problems
        return list(self.hooks)

    def _receive(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        if len(body) < int(handler.headers["content-length"]):
            return  # the sender was killed in the middle of it
        headers = {name.lower(): value for name, value in handler.headers.items()}
        try:
            standardwebhooks.Webhook(SECRET).verify(body, headers)
            seal = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            assert hmac.compare_digest(headers["x-hub-signature-256"], seal)
            event = cloudevents_http.from_http(headers, body)
            assert event["id"] == headers["webhook-id"]
            assert event["datacontenttype"] == "application/json"
            assert len(body) < 20_000
        except Exception as error:  # noqa: BLE001 (whatever is wrong with it, the test must hear of it)
            self.problems.append(repr(error))
            status, answer = 400, {"message": repr(error)}
        else:
            hook = Hook(headers["webhook-id"], headers, json.loads(body), time.time())
            with self._changed:
                self.hooks.append(hook)
                self._changed.notify_all()
            status, answer = self.reply(hook)
        sent = json.dumps(answer).encode()
        handler.send_response(status)
        for name, value in answer.pop("headers", {}).items() if isinstance(answer, dict) else ():
            handler.send_header(name, value)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(sent)))
        handler.end_headers()
        handler.wfile.write(sent)
