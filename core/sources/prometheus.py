"""A metrics source that asks Prometheus one instant query at a time. Whatever it answers becomes a typed reading."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from typing import Any

import httpx

from core.policy.readings import Missing, Reading, Unanswered, Value
from core.wire import Deadline, new_client, trouble

TIMEOUT = 10.0
LARGEST_ANSWER = 1_000_000
_CUT = 300
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?|[-+]?inf(inity)?|nan", re.IGNORECASE | re.ASCII)


class PrometheusSource:
    """Prometheus, or what speaks its HTTP API, at `url` (a path before `/api/v1` is fine). `close()` at the end."""

    def __init__(self, url: str, timeout: float = TIMEOUT) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._timeout = timeout
        self._client = new_client({}, timeout)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def ask(self, query: str, at: datetime) -> Reading:
        """The one number that the query answered at that moment. Never raises for what the other side does."""
        form = {"query": query, "time": f"{at.timestamp():.3f}", "timeout": f"{self._timeout:g}s"}
        late = Unanswered(f"Prometheus gave no answer within {self._timeout:g} s.")
        with Deadline(self._timeout) as deadline:

            def post() -> tuple[int, bytes | None]:
                with self._client.stream(
                    "POST",
                    self._url,
                    data=form,
                    extensions={"trace": deadline.watch},
                ) as response:
                    return response.status_code, _body(response)

            try:
                status, body = deadline.within(post)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, UnicodeError) as error:
                return late if deadline.passed else Unanswered(f"Prometheus could not be asked: {trouble(error)}.")
            if deadline.passed:  # a body without a length ends where we cut it off
                return late
        return understood(status, body)


def understood(status: int, body: bytes | None) -> Reading:
    """What an answer of the HTTP API says; `body` is None where it was too long, or packed."""
    if 300 <= status < 400:
        return Unanswered(
            f"Prometheus answered {status}, a redirect, which is never followed; put the final URL in url."
        )
    said = _fields(body)
    if status != 200:
        return Unanswered(_refusal(status, said))
    data = said.get("data")
    if said.get("status") != "success" or not isinstance(data, dict):
        more = f"more than {LARGEST_ANSWER:,} bytes" if body is None else "something that is not an answer to a query"
        return Unanswered(f"Prometheus answered with {more}.")
    found = _result(data.get("resultType"), data.get("result"))
    return Value(found.number, _warning(said)) if isinstance(found, Value) else found


def _body(response: httpx.Response) -> bytes | None:
    read = b""
    for chunk in response.iter_raw():
        read += chunk
        if len(read) > LARGEST_ANSWER:
            return None
    return b"" if response.headers.get("content-encoding", "identity") != "identity" else read


def _fields(body: bytes | None) -> dict[str, Any]:
    try:
        parsed = json.loads(body or b"")
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _refusal(status: int, said: dict[str, Any]) -> str:
    reasons = {400: "it does not understand the query", 422: "it could not carry the query out"}
    reasons |= {401: "it wants to know who asks", 403: "it does not let us ask", 404: "it is not at this url"}
    reasons |= {429: "it is asked too much", 503: "it is overloaded or gave up in time"}
    reason = reasons.get(status, "")
    error = _flat(said.get("error"))
    return f"Prometheus answered {status}{reason and f', {reason}'}{error and f': {error}'}."


def _result(kind: object, result: object) -> Reading:
    if kind == "vector" and isinstance(result, list):
        if not result:
            return Missing("no series answers the query.")
        if len(result) > 1:
            return Missing(f"{len(result):,} series answer the query, and one number is wanted; sum them or narrow it.")
        (series,) = result
        if isinstance(series, dict) and "histogram" in series:
            return Missing("the query answers with a histogram, and one number is wanted.")
        return _number(series.get("value") if isinstance(series, dict) else None)
    if kind == "scalar":
        return _number(result)
    if kind in ("matrix", "string"):
        return Missing(f"the query answers with a {kind}, and one number is wanted.")
    return _NONSENSE


_NONSENSE = Unanswered("Prometheus answered with something that is not an answer to a query.")


def _number(sample: object) -> Reading:
    """The value of `[time, "0.00898"]`: values are strings, because JSON has no NaN."""
    text = sample[1] if isinstance(sample, list) and len(sample) == 2 else None
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        return _NONSENSE
    number = float(text)
    return Value(number) if math.isfinite(number) else Missing(f"the answer is {text}, which says nothing.")


def _warning(said: dict[str, Any]) -> str:
    warnings = said.get("warnings")
    return "; ".join(filter(None, map(_flat, warnings[:3]))) if isinstance(warnings, list) else ""


def _flat(given: object) -> str:
    """Text of the other side on one line, cut; without the full stop that our sentence has."""
    if not isinstance(given, str):
        return ""
    flat = " ".join("".join(char if char.isprintable() else " " for char in given[: 4 * _CUT]).split()).rstrip(".")
    return flat if len(flat) <= _CUT else f"{flat[: _CUT - 1]}…"
