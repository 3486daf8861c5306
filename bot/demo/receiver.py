"""The demo's deploy system: takes signed hooks, "deploys" for a moment, and reports back, signed likewise.

It stands in for yours and knows of Baton only what the contract says: the CloudEvent, the signature, the callback.
"""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from core.domain.errors import Refused
from core.targets.standard_webhooks import parse_secrets, sign, verify

log = logging.getLogger(__name__)


class Receiver:
    """An HTTP server on loopback. `served` says what each (model, stage) runs; acts are honoured once by webhook-id."""

    def __init__(self, secret: str, pause: float = 0.4) -> None:
        self.served: dict[tuple[str, str], str] = {}
        self.acts: list[dict[str, Any]] = []
        self._secrets = parse_secrets(secret)
        self._pause = pause
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("content-length") or 0), 100_000)
                self.send_response(receiver._take(dict(self.headers.items()), self.rfile.read(length)))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                log.debug(format, *args)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/deploy"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="receiver", daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        lowered = {name.lower(): value for name, value in headers.items()}
        try:
            verify(self._secrets, lowered, body, datetime.now(UTC))
        except (ValueError, Refused):
            return 401
        event = json.loads(body)
        with self._lock:
            if lowered["webhook-id"] in self._seen:
                return 202  # the same act again, since our answer was lost: it is under way already
            self._seen.add(lowered["webhook-id"])
            self.acts.append(event["data"])
        threading.Timer(self._pause, self._deploy, (event["data"], lowered["webhook-id"])).start()
        return 202

    def _deploy(self, data: dict[str, Any], key: str) -> None:
        model, stage = data["model"]["name"], data["stage"]
        self.served[(model, stage)] = data["model"]["version"]
        body = json.dumps(
            {
                "state": "succeeded",
                "message": f"{model} {data['model']['version']} takes {data['traffic_percent']} % of the traffic",
            }
        ).encode()
        report = f"report_{key.removeprefix('baton_')}"
        headers = {**sign(self._secrets, report, datetime.now(UTC), body), "content-type": "application/json"}
        for _ in range(20):
            try:
                if (
                    httpx.post(
                        data["callback_url"], content=body, headers=headers, timeout=5, trust_env=False
                    ).status_code
                    < 500
                ):
                    return
            except httpx.HTTPError as error:
                log.info("Baton could not be told: %s", error)
            threading.Event().wait(0.5)
