"""Talking to one MLflow server: what it asks for, what it may cost, and what each of its refusals means.

Matched on `error_code`, not on the status: an alias that is not there answers 400, a model that is there already too.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from core.domain.errors import Conflict, NotFound, Unavailable
from core.policy.connections import MLflow
from core.wire import Deadline, new_client, trouble

API = "/api/2.0/mlflow/"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"
TIMEOUT = 15.0
LARGEST_ANSWER = 8 * 1024 * 1024
LARGEST_FILE = 256 * 1024
#: A listing that is longer than this, or takes longer, is taken for one that never ends.
MOST_PAGES = 1_000
LONGEST_LISTING = 300.0

Row = dict[str, Any]


@dataclass(frozen=True)
class Credentials:
    """What goes into the Authorization header, and the settings that it came from, for people to renew it."""

    header: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    setting: str = ""

    @classmethod
    def basic(cls, user: str, password: str, setting: str) -> Credentials:
        """A user and a password."""
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        return cls(f"Basic {encoded}", password, setting)

    @classmethod
    def bearer(cls, token: str, setting: str) -> Credentials:
        """A token."""
        return cls(f"Bearer {token}", token, setting)


def credentials(settings: MLflow, secret: Callable[[str], str | None]) -> Credentials:
    """What the policy names, read by `secret`. Raises `ValueError` with a sentence about what is missing or unusable."""
    names = [each for each in (settings.token_env, settings.user_env, settings.password_env) if each]
    found = [secret(each) or "" for each in names]
    for each, value in zip(names, found, strict=True):
        if not value:
            raise ValueError(f"{each} is not set; the MLflow server at {settings.url} is asked with it.")
        if any(not char.isprintable() for char in value) or (settings.token_env and not value.isascii()):
            raise ValueError(f"{each} holds characters that no credentials can hold; copy it again.")
    if settings.token_env:
        return Credentials.bearer(found[0], settings.token_env)
    return Credentials.basic(found[0], found[1], " and ".join(names)) if found else Credentials()


class Rest:
    """One MLflow server's REST API. Safe to share between threads; `close()` at the end.

    Every method raises `Unavailable` when it could not find out, `NotFound` for what is not there, and `Conflict` for
    what the server refuses for good (slug `registry-exists` where it was there already).
    """

    def __init__(self, name: str, url: str, credentials: Credentials, timeout: float = TIMEOUT) -> None:
        self.name = name
        self.base = url.rstrip("/")
        self._credentials = credentials
        self._timeout = timeout
        self._client = new_client({"authorization": credentials.header} if credentials.header else {}, timeout)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def get(self, path: str, **params: str | int) -> Row:
        """Ask for something."""
        return self._understood(*self._call("GET", API + path, params=params))

    def post(self, path: str, **body: Any) -> Row:
        """Have something done."""
        return self._understood(*self._call("POST", API + path, body=body))

    def delete(self, path: str, **body: Any) -> Row:
        """Have something removed."""
        return self._understood(*self._call("DELETE", API + path, body=body))

    def file(self, uri: str, name: str) -> bytes | None:
        """A small file of an artifact that the server itself hands out; None where others keep it, or it is not there."""
        parts = urlsplit(uri)
        steps = [step for step in parts.path.split("/") if step]
        if parts.scheme != "mlflow-artifacts" or not steps or any(step in (".", "..") for step in steps):
            return None
        path = "/".join(quote(step, safe="") for step in [*steps, name])
        try:
            status, body = self._call("GET", ARTIFACTS + path, largest=LARGEST_FILE)
            if status != 200:
                self._understood(status, body)
        except (NotFound, Conflict):
            return None
        return body

    def pages(self, path: str, key: str, **params: str | int) -> Iterator[Row]:
        """Every row of a listing, page by page."""
        started, token, seen = time.monotonic(), "", set[str]()
        for page in range(1, MOST_PAGES + 1):
            answer = self.get(path, **params, **({"page_token": token} if token else {}))
            rows = answer.get(key) or []
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise self.puzzled(f"its {path} held no list of {key}")
            yield from rows
            token = str(answer.get("next_page_token") or "")
            if not token:
                return
            if token in seen or page == MOST_PAGES or time.monotonic() - started > LONGEST_LISTING:
                raise Unavailable(
                    f"The registry {self.name} hands out page after page of {key.replace('_', ' ')} without end; "
                    f"it was left after {page}."
                )
            seen.add(token)

    def puzzled(self, what: str) -> Unavailable:
        """The answer was not one of MLflow's."""
        return Unavailable(f"The registry {self.name} gave an answer that is not MLflow's: {what}.")

    def _call(
        self, method: str, path: str, params: Row | None = None, body: Row | None = None, largest: int = LARGEST_ANSWER
    ) -> tuple[int, bytes]:
        with Deadline(self._timeout) as deadline:

            def ask() -> tuple[int, bytes]:
                with self._client.stream(
                    method, self.base + path, params=params, json=body, extensions={"trace": deadline.watch}
                ) as response:
                    return response.status_code, self._body(response, largest)

            try:
                answer = deadline.within(ask)
                if not deadline.passed:  # a body without a length ends where we cut it off
                    return answer
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
                if not deadline.passed:
                    raise Unavailable(f"The registry {self.name} was not reached: {trouble(error)}.") from None
        raise Unavailable(f"The registry {self.name} gave no answer within {self._timeout:g} s.")

    def _body(self, response: httpx.Response, largest: int) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self.puzzled("it is compressed, although that was not asked for")
        read = bytearray()
        for chunk in response.iter_raw():
            read += chunk
            if len(read) > largest:
                raise Unavailable(
                    f"The registry {self.name} gave an answer of more than {largest // 1024:,} kB; no more is read."
                )
        return bytes(read)

    def _understood(self, status: int, body: bytes) -> Row:
        said = _json(body)
        if status == 200 and said is not None:
            return said
        code = str((said or {}).get("error_code") or "")
        message = self._clean(str((said or {}).get("message") or "") or _plain(body))
        what = f"{code}: {message}" if code and message else code or message or f"status {status}"
        if code == "RESOURCE_DOES_NOT_EXIST":
            raise NotFound("not-in-registry", f"The registry {self.name} does not have it: {message or code}.")
        if code == "RESOURCE_ALREADY_EXISTS":
            raise Conflict("registry-exists", f"The registry {self.name} has it already: {message or code}.")
        if 400 <= status < 500 and code and code not in NOT_FOR_GOOD:
            raise Conflict("registry-refused", f"The registry {self.name} refuses this ({what}).")
        raise Unavailable(self._why(status, said is not None, what))

    def _why(self, status: int, is_json: bool, what: str) -> str:
        who, setting = f"The registry {self.name}", self._credentials.setting
        if status == 401 and setting:
            return f"{who} no longer takes Baton's credentials (401); renew {setting}."
        if status == 401:
            return f"{who} asks for credentials (401); name token_env, or user_env and password_env, in the policy."
        if status == 403 and "host header" in what.lower():
            host = urlsplit(self.base).netloc
            return f"{who} does not answer to the name {host} (403); start it with --allowed-hosts {host}."
        if status == 403:
            return f"{who} does not permit this ({what}); give the account of {setting or 'Baton'} the right to it."
        if 300 <= status < 400:
            return f"{who} answered {status}, a redirect, which is never followed; put the final address in url."
        if status == 404 and not is_json:
            return f"{who} has no MLflow at this address (404); url must be that of the MLflow server itself."
        if status == 200:
            return f"{who} answered with something other than JSON; url must be that of MLflow, not of a login page."
        return f"{who} answered {status} ({what})."

    def _clean(self, text: str) -> str:
        """Outside text for a sentence: one short line, without our secret should the server repeat it."""
        for secret in (self._credentials.secret, self._credentials.header.partition(" ")[2]):
            text = text.replace(secret, "…") if secret else text
        flat = " ".join("".join(char if char.isprintable() else " " for char in text[:2_000]).split()).rstrip(".")
        return flat if len(flat) <= 200 else f"{flat[:199]}…"


#: Refusals that a person may lift, or time: we could not find out.
NOT_FOR_GOOD = frozenset(
    {
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "REQUEST_LIMIT_EXCEEDED",
        "TEMPORARILY_UNAVAILABLE",
        "INTERNAL_ERROR",
        "ENDPOINT_NOT_FOUND",
    }
)


def quoted(text: str) -> str:
    """A value in MLflow's filter language, which knows no escapes. Raises `Conflict` for what it cannot say."""
    if "\\" in text or ("'" in text and '"' in text):
        raise Conflict("registry-name", f"MLflow cannot search for “{text[:80]}”: it holds quotes of both kinds.")
    return f'"{text}"' if "'" in text else f"'{text}'"


def _json(body: bytes) -> Row | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _plain(body: bytes) -> str:
    text = body[:400].decode("utf-8", "replace").strip()
    return "" if text[:1] in ("<", "{", "[") else text
