"""The calls to a CI server that one act needs: bounded in time and size, never redirected, every no a `Trouble`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from core.ports import Answer, Clock, Progress
from core.targets.answers import LONGEST_MESSAGE, TRY_AGAIN, link, one_line, retry_after
from core.wire import Deadline, trouble

#: A page of GitHub's runs is well over one megabyte.
LARGEST_ANSWER = 4 * 1024 * 1024

Kind = TypeVar("Kind", dict[str, Any], list[Any])


@dataclass(frozen=True)
class Service:
    """One CI server. `mend` says for some statuses what a person must mend; `secrets` are kept out of every sentence.

    `tracing` says what makes a run show the id of its act, where that is up to people.
    """

    name: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    mend: Mapping[int, str]
    tracing: str = ""


def usable(token: str) -> str:
    """A token that can stand in a header. Raises `ValueError` with the end of a sentence that never holds it."""
    if not token.strip():
        raise ValueError("is empty; write the token into it.")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("holds characters that no token can hold; copy it again.")
    return token


class Trouble(Exception):
    """A call did not bring what it was made for. `words` end a sentence.

    `permanent`: asking again cannot help. `untouched`: the server surely did nothing. `status` where it answered.
    """

    def __init__(
        self,
        words: str,
        permanent: bool = False,
        untouched: bool = False,
        retry_after: float | None = None,
        status: int = 0,
    ) -> None:
        super().__init__(words)
        self.words = words
        self.permanent = permanent
        self.untouched = untouched or permanent
        self.retry_after = retry_after
        self.status = status

    def answer(self) -> Answer:
        """What that means for an act."""
        return Answer("refused" if self.permanent else "unclear", self.words, retry_after=self.retry_after)

    def progress(self, run: str) -> Progress:
        """What that means for a run: only its server can say that it failed, so nothing."""
        return Progress("unclear", self.words, run=run, retry_after=self.retry_after)


@dataclass(frozen=True)
class Reply:
    """What the server answered; `body` is empty where it was too long or packed."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def read(self, kind: type[Kind]) -> Kind | None:
        """Its JSON, if it is of this kind."""
        try:
            parsed = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return parsed if isinstance(parsed, kind) else None


class Exchange:
    """Calls under one deadline. Every method raises `Trouble`."""

    def __init__(self, service: Service, client: httpx.Client, clock: Clock, deadline: Deadline) -> None:
        self._service = service
        self._client = client
        self._clock = clock
        self._deadline = deadline

    def get(self, path: str, kind: type[Kind], **params: str | int) -> Kind:
        """Ask for something that is there."""
        reply = self._call("GET", path, params=params)
        found = reply.read(kind) if reply.status == 200 else None
        if found is None:
            raise self.no(reply)
        return found

    def post(self, path: str, also: tuple[int, ...] = (), **content: Any) -> Reply:
        """Have something done (`json`, `data`, `params` as httpx has them). Statuses in `also` are no trouble."""
        reply = self._call("POST", path, **content)
        if not (200 <= reply.status < 300 or reply.status in also):
            raise self.no(reply)
        return reply

    def line(self, given: object) -> str:
        """Outside text for a card."""
        return one_line(self._clean(given) if isinstance(given, str) else given, LONGEST_MESSAGE)

    def link(self, given: object) -> str:
        """An outside address for a card."""
        return link(given) if isinstance(given, str) and self._clean(given) == given else ""

    def nonsense(self, what: str) -> Trouble:
        """A 200 that is not what the server would answer."""
        return Trouble(f"it answered 200 with something that is not {what} of {self._service.name}")

    def no(self, reply: Reply) -> Trouble:
        """What an answer that is not the one awaited means."""
        status, said = reply.status, f"it answered {reply.status}"
        if 200 <= status < 300:
            return Trouble(f"{said} with something that {self._service.name} does not answer", status=status)
        if 300 <= status < 400:
            words = f"{said}, a redirect, which is never followed; put the final URL in url"
            return Trouble(words, permanent=True, status=status)
        reason = self._reason(reply)
        said = f"{said}: {reason}" if reason else said
        pause = self._pause(reply)
        if status in TRY_AGAIN or status >= 500 or pause is not None:
            throttled = status == 429 or (status < 500 and pause is not None)
            return Trouble(said, untouched=throttled, retry_after=pause, status=status)
        mend = self._service.mend.get(status)
        return Trouble(f"{said}; {mend}" if mend else said, permanent=True, status=status)

    def _call(self, method: str, path: str, **content: Any) -> Reply:
        if self._deadline.passed:
            raise Trouble(self._late(), untouched=True)

        def ask() -> Reply:
            with self._client.stream(
                method, self._service.url + path, extensions={"trace": self._deadline.watch}, **content
            ) as response:
                return Reply(response.status_code, response.headers, _body(response))

        try:
            reply = self._deadline.within(ask)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            unmade = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.InvalidURL)
            raise Trouble(self._late() if self._deadline.passed else trouble(error), untouched=unmade) from None
        if self._deadline.passed:  # a body without a length ends where we cut it off
            raise Trouble(self._late())
        return reply

    def _late(self) -> str:
        return f"no answer within {self._deadline.seconds:g} s"

    def _reason(self, reply: Reply) -> str:
        said = reply.read(dict)
        if said is None:
            plain = "text/plain" in reply.headers.get("content-type", "")
            return self.line(reply.headers.get("x-error") or (reply.body.decode("utf-8", "replace") if plain else ""))
        keys = ("message", "error_description", "detail", "error", "title")
        return self.line("; ".join(_texts(next((said[key] for key in keys if said.get(key)), ""))))

    def _pause(self, reply: Reply) -> float | None:
        """How long the server wants to be left alone; None where it says nothing of the kind."""
        now = self._clock()
        asked = retry_after(reply.headers, now)
        if asked is None and reply.headers.get("x-ratelimit-remaining") == "0":  # GitHub's 403 for too many calls
            reset = reply.headers.get("x-ratelimit-reset", "")
            if reset.isascii() and reset.isdigit() and len(reset) < 12:
                asked = min(max(int(reset) - now.timestamp(), 1.0), 86_400.0)
        return asked

    def _clean(self, given: str) -> str:
        for secret in self._service.secrets:
            given = given.replace(secret, "…")
        return given


@contextmanager
def exchange(service: Service, client: httpx.Client, clock: Clock, seconds: float) -> Iterator[Exchange]:
    """Calls that end after `seconds` in all, however slowly the other side drips."""
    with Deadline(seconds) as deadline:
        yield Exchange(service, client, clock, deadline)


def _body(response: httpx.Response) -> bytes:
    read = bytearray()
    for chunk in response.iter_raw():
        read += chunk
        if len(read) > LARGEST_ANSWER:
            return b""
    return b"" if response.headers.get("content-encoding", "identity") != "identity" else bytes(read)


def _texts(given: object, depth: int = 4) -> Iterator[str]:
    """Every text in an error, however it is nested; GitLab nests by field."""
    if isinstance(given, str):
        yield given
    elif depth and isinstance(given, dict):
        for key, value in given.items():
            yield from (each if key == "base" else f"{key} {each}" for each in _texts(value, depth - 1))
    elif depth and isinstance(given, list):
        for each in given:
            yield from _texts(each, depth - 1)
