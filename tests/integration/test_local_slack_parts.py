"""What the tests of the local Slack share: a bare app, a clock, and payloads. It holds no test."""

from __future__ import annotations

import atexit
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from slack_sdk.errors import SlackApiError

from bot.local_slack import LocalSlack, Person

Json = dict[str, Any]
PROMO = "C01PROMO"
ROOM = "#ml-promotions"
HTTP = httpx.Client(verify=False)  # building a TLS context costs 100 ms each time
atexit.register(HTTP.close)


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Receiver:
    """An app without a framework: it keeps every request and answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, Any]] = []
        self.arrived = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {k.lower(): v for k, v in self.headers.items()}
                with outer.arrived:
                    outer.requests.append((headers, body))
                    status, answer = outer.answers.pop(0) if outer.answers else (200, b"")
                    outer.arrived.notify_all()
                answer = answer() if callable(answer) else answer
                raw = json.dumps(answer).encode() if isinstance(answer, dict) else answer
                self.send_response(status)
                kind = "application/json" if isinstance(answer, dict) else "text/plain"
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_port}/slack/events"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def wait(self, count: int, timeout: float = 5) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, timeout)

    def payload(self, index: int = -1) -> Json:
        headers, body = self.requests[index]
        if "json" in headers["content-type"]:
            return dict(json.loads(body))
        form = {k: v[0] for k, v in parse_qs(body.decode(), keep_blank_values=True).items()}
        return dict(json.loads(form["payload"])) if "payload" in form else form

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def form(callback: str = "f", **more: Any) -> Json:
    element = {"type": "plain_text_input", "action_id": "model", "max_length": 10}
    block = {"type": "input", "block_id": "b", "label": plain("Model"), "element": element}
    return {
        "type": "modal",
        "callback_id": callback,
        "title": plain("Promote"),
        "submit": plain("Go"),
        "blocks": [block],
        **more,
    }


def card(value: str = "P-1", **more: Any) -> list[Json]:
    button = {"type": "button", "action_id": "approve", "text": plain("Approve"), "value": value, **more}
    return [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"Promotion {value}"}},
        {"type": "actions", "block_id": "decide", "elements": [button]},
    ]


def trigger_of(receiver: Receiver, alice: Person) -> str:
    assert alice.command(ROOM, "/promote")["ok"]
    return str(receiver.payload()["trigger_id"])


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return str(caught.value.response["error"])


def over_http(receiver: Receiver, clock: Clock) -> LocalSlack:
    """A workspace that delivers to the receiver, with quick retries and a short deadline."""
    return LocalSlack(
        delivery="http", request_url=receiver.url, clock=clock, event_retries=(0, 0.05, 0.1), ack_seconds=1.0
    )
