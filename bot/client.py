"""The CLI's way to the API. Every failure becomes one sentence; nothing is asked twice that would be done twice."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from bot.settings import SettingsError, environment, secret_from
from core.domain.errors import BadInput
from core.wire import trusted

DEFAULT_URL = "http://127.0.0.1:8080"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Unreachable(Exception):
    """Baton did not answer, or what answered is not Baton, or it could not do its work just now."""


class Declined(Exception):
    """Baton said no. `problem` is its problem document."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail", "Baton refused, without saying why.")))
        self.problem = problem


class Client:
    """Speaks to one Baton as one token. Close it, or use it in a `with`."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=httpx.Timeout(30, connect=5),
            verify=trusted(),
            trust_env=urlsplit(url).hostname not in LOOPBACK,  # a proxy never leads to this machine
            transport=transport,
        )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Client:
        """As `BATON_URL` and `BATON_TOKEN` (or `BATON_TOKEN_FILE`) say. Raises `SettingsError`."""
        given = environment(environ)
        url = given.get("BATON_URL", "").strip() or DEFAULT_URL
        problems = []
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and parts.hostname and "@" not in url and (parts.port or 1)
        except ValueError:
            good = False
        if not good:
            problems.append(f"BATON_URL is not an address; write where Baton listens, such as {DEFAULT_URL}.")
        token = None
        try:
            token = secret_from(given, "BATON_TOKEN")
        except ValueError as wrong:
            problems.append(str(wrong))
        else:
            if not token:
                problems.append(
                    "BATON_TOKEN is not set; whoever runs Baton makes one with `baton token create NAME --scope …`."
                )
            elif not token.isascii() or not token.isprintable() or " " in token:
                problems.append("BATON_TOKEN is not a token; it begins with baton_ and is one word.")
        if problems:
            raise SettingsError(problems)
        return cls(url, token or "")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int | None) -> dict[str, Any]:
        """A GET. `path` parts that come from outside go through `part`. Raises `Declined` or `Unreachable`."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask(lambda: self._http.get(path, params=given))[1]

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """A POST, as (status, answer); asked again, under the same key, when the first answer is lost on its way."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._ask(lambda: self._http.post(path, json=body, headers=headers))

    def _ask(self, send: Any) -> tuple[int, dict[str, Any]]:
        try:
            answer = self._send_twice(send)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as wrong:
            slow = isinstance(wrong, httpx.ReadTimeout)
            raise Unreachable(
                f"Baton at {self.url} did not answer in time; look with `baton status` whether it was done."
                if slow
                else f"Baton is not reachable at {self.url}; is `baton serve` running, or is BATON_URL wrong?"
            ) from None
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or (answer.is_error and "slug" not in body):
            raise Unreachable(
                f"What answers at {self.url} is not Baton (HTTP {answer.status_code}); is BATON_URL wrong?"
            )
        if answer.status_code >= 500:
            raise Unreachable(str(body.get("detail")))
        if answer.is_error:
            raise Declined(body)
        return answer.status_code, body

    @staticmethod
    def _send_twice(send: Any) -> httpx.Response:
        try:
            response: httpx.Response = send()
        except (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError):
            response = send()
        return response


def part(text: str) -> str:
    """One part of a path. Raises `BadInput` for what can be none."""
    if text.strip() in ("", ".", ".."):
        raise BadInput("name", f"“{text}” names nothing; write a model, a version, a stage or a promotion.")
    return quote(text, safe="")
