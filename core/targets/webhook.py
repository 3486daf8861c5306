"""A deploy target that is told by a signed POST. What it answers decides; nothing it answers can raise or hang."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from core.ports import Act, Answer, Clock
from core.targets.answers import LONGEST_MESSAGE, TRY_AGAIN, link, one_line, retry_after
from core.targets.standard_webhooks import Secret, sign
from core.wire import Deadline, new_client, trouble

log = logging.getLogger(__name__)

#: Standard Webhooks asks for bodies below this, so that every receiver takes them.
LARGEST_BODY = 20_000
LARGEST_ANSWER = 64 * 1024


class WebhookTarget:
    """POSTs each act, signed with every one of `secrets`. `close()` at the end."""

    def __init__(self, name: str, url: str, secrets: Sequence[Secret], clock: Clock) -> None:
        self.name = name
        self.secrets = tuple(secrets)
        self._url = url
        self._clock = clock
        self._client = new_client({})

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def send(self, act: Act) -> Answer:
        """Ask once, for at most `act.timeout` seconds in all, however slowly the other side drips."""
        body = json.dumps(act.body, separators=(",", ":"), allow_nan=False).encode()
        if len(body) > LARGEST_BODY:
            return Answer("refused", f"the message would be {len(body)} bytes long, more than {LARGEST_BODY}")
        headers = sign(self.secrets, act.key, self._clock(), body)
        headers["content-type"] = "application/cloudevents+json; charset=utf-8"
        with Deadline(act.timeout) as deadline:

            def post() -> Answer:
                with self._client.stream(
                    "POST",
                    self._url,
                    content=body,
                    headers=headers,
                    timeout=httpx.Timeout(act.timeout, connect=min(5.0, act.timeout)),
                    extensions={"trace": deadline.watch},
                ) as response:
                    return self._read(response, deadline)

            try:
                return deadline.within(post)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
                if deadline.passed:
                    return Answer("unclear", f"no answer within {deadline.seconds:g} s")
                return Answer("unclear", trouble(error))

    def _read(self, response: httpx.Response, deadline: Deadline) -> Answer:
        status = response.status_code
        if status == 200:
            # Only this answer's body decides anything; when it breaks off, the act is unclear and is sent again.
            body = _body(response)
            if deadline.passed:  # a body without a length ends where we cut it off
                return Answer("unclear", f"no answer within {deadline.seconds:g} s")
            return understood(status, body, self._clock())
        try:
            return understood(status, _body(response), self._clock(), response.headers)
        except (httpx.HTTPError, httpx.StreamError, OSError):
            if not deadline.passed:
                log.info("%s answered %s and broke off", self.name, status)
            return understood(status, b"", self._clock(), response.headers)


def understood(status: int, body: bytes, now: datetime, headers: Mapping[str, str] | None = None) -> Answer:
    """What an HTTP answer means for the act (contract 6)."""
    said = _fields(body)
    message, url = one_line(said.get("message"), LONGEST_MESSAGE), link(said.get("url"))
    if 200 <= status < 300:
        if status == 200 and said.get("state") == "succeeded":
            return Answer("succeeded", message, url)
        if status == 200 and said.get("state") == "failed":
            return Answer("refused", message or "it answered that it failed", url)
        return Answer("started", message, url)
    if 300 <= status < 400:
        return Answer("refused", f"it answered {status}, a redirect, which is never followed; put the final URL in url")
    if status in TRY_AGAIN or status >= 500:
        return Answer("unclear", _status(status, body, said), retry_after=retry_after(headers or {}, now))
    return Answer("refused", _status(status, body, said), url)


def _body(response: httpx.Response) -> bytes:
    read = b""
    for chunk in response.iter_raw():
        read += chunk
        if len(read) > LARGEST_ANSWER:
            return b""  # too long to be meant for us
    return b"" if response.headers.get("content-encoding", "identity") != "identity" else read


def _fields(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _is_json(body: bytes) -> bool:
    return body.lstrip()[:1] in (b"{", b"[")


def _status(status: int, body: bytes, said: dict[str, Any]) -> str:
    reason = said.get("message") or said.get("detail") or said.get("title") or said.get("error")
    words = one_line(reason, LONGEST_MESSAGE) or (
        "" if _is_json(body) else one_line(body.decode("utf-8", "replace"), 200)
    )
    return f"it answered {status}: {words}" if words else f"it answered {status}"
