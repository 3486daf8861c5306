"""Carries payloads to the app, by Socket Mode or by signed HTTP, with Slack's deadlines and retries."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from . import payloads
from .workspace import Json

ACK_SECONDS = 3.0
EVENT_RETRIES = (0.0, 60.0, 300.0)
MAX_SOCKETS = 10
_LOG_LIMIT = 20_000


@dataclass
class Ack:
    """What came back: the body of the acknowledgement, or Slack's word for the failure."""

    ok: bool
    body: Json = field(default_factory=dict)
    error: str | None = None
    no_retry: bool = False


class Socket:
    """One open WebSocket of the app. `transport` is the TCP connection beneath it, for the faults."""

    def __init__(self, send: Callable[[str], Any], transport: Any) -> None:
        self.send = send
        self.transport = transport
        self.closed = asyncio.Event()

    def kill(self) -> None:
        """Drops the TCP connection without a close frame."""
        self.closed.set()
        self.transport.abort()

    def freeze(self) -> None:
        """Stops reading, so that pings are never answered while the connection looks open."""
        self.transport.pause_reading()


class Delivery:
    """Delivers payloads. One attempt for what a person does; up to four for an event."""

    def __init__(
        self,
        mode: str,
        request_url: str,
        signing_secret: str,
        clock: Callable[[], float],
        event_retries: Sequence[float] = EVENT_RETRIES,
        ack_seconds: float = ACK_SECONDS,
    ) -> None:
        self.mode = mode
        self.request_url = request_url
        self.sockets: list[Socket] = []
        self.refusals = 0
        self.log: deque[Json] = deque(maxlen=_LOG_LIMIT)
        self._secret = signing_secret.encode()
        self._clock = clock
        self._retries = tuple(event_retries)
        self._ack_seconds = ack_seconds
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: httpx.AsyncClient | None = None

    @property
    def connected(self) -> bool:
        """Whether there is anything to deliver to: always so for HTTP, as Slack cannot know."""
        return self.mode == "http" or bool(self.sockets)

    async def interact(self, kind: str, payload: Json, *, answerable: bool = False) -> Ack:
        """Delivers an interaction (`interactive`) or a command (`slash_commands`), once, within 3 s."""
        return await self._attempt(kind, payload, answerable=answerable, attempt=0, reason="")

    def event(self, event: Json) -> str:
        """Delivers an event in the background, with Slack's retries; gives its event_id."""
        event_id = f"Ev{uuid.uuid4().hex[:9].upper()}"
        payload = payloads.event_callback(event, event_id, int(self._clock()))
        task = asyncio.get_running_loop().create_task(self._event(payload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return event_id

    async def _event(self, payload: Json) -> None:
        reason = ""
        for attempt in range(len(self._retries) + 1):
            if attempt:
                await asyncio.sleep(self._retries[attempt - 1])
            ack = await self._attempt("events_api", payload, answerable=False, attempt=attempt, reason=reason)
            if ack.ok or ack.no_retry:
                return
            reason = _retry_reason(self.mode, ack.error or "")

    async def _attempt(self, kind: str, payload: Json, *, answerable: bool, attempt: int, reason: str) -> Ack:
        # The app owes its answer in real seconds even when the workspace's clock is a test's.
        started = asyncio.get_running_loop().time()
        entry: Json = {"at": self._clock(), "kind": payload.get("type", kind), "attempts": attempt + 1}
        if self.mode == "http":
            entry["request"] = self.request_url
            ack = await self._over_http(kind, payload, attempt, reason)
        else:
            entry["envelope_id"] = str(uuid.uuid4())
            frame = payloads.envelope(
                kind, entry["envelope_id"], payload, answerable=answerable, attempt=attempt, reason=reason
            )
            ack = await self._over_socket(frame)
        entry["acked_in_ms"] = round((asyncio.get_running_loop().time() - started) * 1000, 2) if ack.ok else None
        entry["error"] = ack.error
        if kind == "events_api":
            entry |= {"kind": payload["event"]["type"], "event_id": payload["event_id"]}
        if kind == "slash_commands":
            entry["kind"] = "slash_command"
        self.log.append(entry)
        return ack

    async def _over_socket(self, frame: Json) -> Ack:
        if not self.sockets:
            return Ack(False, error="dispatch_failed")
        socket = random.choice(self.sockets)  # noqa: S311 - Slack promises no order
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[frame["envelope_id"]] = future
        try:
            await socket.send(json.dumps(frame))
            answer = await asyncio.wait_for(future, self._ack_seconds)
        except TimeoutError:
            return Ack(False, error="operation_timeout")
        except (OSError, RuntimeError):  # the app closed this socket just now
            return Ack(False, error="dispatch_failed")
        finally:
            del self._waiting[frame["envelope_id"]]
        body = answer.get("payload") or {}
        return Ack(True, body if isinstance(body, dict) else {"text": str(body)})

    def acknowledge(self, text: str) -> None:
        """Takes a frame from a socket; what is not an acknowledgement of a waiting envelope is ignored."""
        try:
            answer = json.loads(text)
            future = self._waiting.get(answer.get("envelope_id", ""))
        except (ValueError, AttributeError):
            return
        if future is not None and not future.done():
            future.set_result(answer)

    async def _over_http(self, kind: str, payload: Json, attempt: int, reason: str) -> Ack:
        if kind == "events_api":
            content_type, text = "application/json", json.dumps(payload)
        else:
            fields = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
            content_type, text = "application/x-www-form-urlencoded", urlencode(fields)
        headers = self.signed_headers(text.encode()) | {"Content-Type": content_type}
        if attempt:
            headers |= {"x-slack-retry-num": str(attempt), "x-slack-retry-reason": reason}
        try:
            async with asyncio.timeout(self._ack_seconds):
                response = await self._client().post(self.request_url, content=text.encode(), headers=headers)
        except TimeoutError:
            return Ack(False, error="operation_timeout")
        except httpx.HTTPError:
            return Ack(False, error="dispatch_failed")
        if not response.is_success:
            quiet = response.headers.get("x-slack-no-retry") == "1"
            return Ack(False, error=f"http_error_{response.status_code}", no_retry=quiet)
        return Ack(True, _body_of(response))

    def signed_headers(self, body: bytes) -> dict[str, str]:
        """Slack's v0 signature over the body, with its timestamp."""
        at = str(int(self._clock()))
        digest = hmac.new(self._secret, b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={digest}"}

    async def verify_url(self) -> bool:
        """Slack's url_verification handshake with the request URL; True when the challenge came back."""
        challenge = uuid.uuid4().hex
        body = {"token": payloads.VERIFICATION_TOKEN, "challenge": challenge, "type": "url_verification"}
        text = json.dumps(body).encode()
        headers = self.signed_headers(text) | {"Content-Type": "application/json"}
        try:
            response = await self._client().post(self.request_url, content=text, headers=headers, timeout=3)
        except httpx.HTTPError:
            return False
        return response.is_success and challenge in response.text

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
            # Building a TLS context takes 100 ms, which the event loop would stand still for.
            tls = self.request_url.startswith("https:")
            self._http = httpx.AsyncClient(timeout=None, limits=limits, trust_env=False, verify=tls)  # noqa: S113 - asyncio.timeout
        return self._http

    async def close(self) -> None:
        """Drops what is under way, closes the sockets and the HTTP client."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(TimeoutError())
        for socket in list(self.sockets):
            socket.closed.set()
        if self._http is not None:
            await self._http.aclose()


def _body_of(response: httpx.Response) -> Json:
    if not response.content:
        return {}
    if "json" in response.headers.get("content-type", ""):
        body = response.json()
        return body if isinstance(body, dict) else {}
    return {"text": response.text}


def _retry_reason(mode: str, error: str) -> str:
    if error == "operation_timeout":
        return "http_timeout" if mode == "http" else "timeout"
    return "http_error" if error.startswith("http_error") else "connection_failed"
