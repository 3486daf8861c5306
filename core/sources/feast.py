"""A feature store that asks Feast's registry over its REST API. Whatever it answers becomes a finding with a sentence."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from core.domain.model import Outcome
from core.policy.durations import spoken
from core.policy.features import Wanted
from core.wire import Deadline, new_client, trouble

TIMEOUT = 10.0
LARGEST_ANSWER = 1_000_000
MOST_VIEWS = 50
_SECONDS = re.compile(r"(\d{1,12})(\.\d+)?s", re.ASCII)


@dataclass(frozen=True)
class Finding:
    """What is so in the feature store."""

    outcome: Outcome
    sentence: str


class Unanswered(Exception):
    """Feast could not be asked, or answered nothing that can be understood; str() says what happened."""


class FeastSource:
    """Feast's registry at `url`; `token` where it wants one. `close()` at the end."""

    def __init__(self, url: str, token: str = "", timeout: float = TIMEOUT) -> None:
        self._url = f"{url.rstrip('/')}/api/v1"
        self._timeout = timeout
        self._client = new_client({"authorization": f"Bearer {token}"} if token else {}, timeout)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def look(self, asked: Wanted, now: datetime) -> Finding:
        """Whether the service is there, and served if that is asked. Raises `Unanswered`."""
        name = f"Feature service {asked.service}"
        service = self._get("feature_services", asked.service, asked.project)
        if service is None:
            return Finding(Outcome.FAILED, f"{name} does not exist in Feast's project {asked.project}.")
        try:
            listed = service["spec"].get("features") or []
            views = list(dict.fromkeys(str(each["featureViewName"]) for each in listed))
            columns = sum(len(each.get("featureColumns") or []) for each in listed)
        except (KeyError, TypeError, AttributeError):
            raise Unanswered("Feast answered with something that is not a feature service") from None
        if not views:
            return Finding(Outcome.FAILED, f"{name} of Feast's project {asked.project} has no features.")
        if len(views) > MOST_VIEWS:
            raise Unanswered(f"{name} has {len(views):,} views; {MOST_VIEWS} at most are looked at")
        what = f"{_many(columns, 'feature')} of {_many(len(views), 'view')}"
        if not asked.fresh:
            return Finding(Outcome.PASSED, f"{name} is in Feast's project {asked.project}: {what}.")
        return self._fresh(asked, f"{name} is in Feast's project {asked.project}: {what}", views, now)

    def _fresh(self, asked: Wanted, said: str, views: list[str], now: datetime) -> Finding:
        oldest: datetime | None = None
        for view in views:
            found = self._get("feature_views", view, asked.project)
            if found is None:
                return Finding(
                    Outcome.FAILED, f"Feature view {view} does not exist in Feast's project {asked.project}."
                )
            wrong, at = _stale(view, found, now)
            if wrong:
                return Finding(Outcome.FAILED, wrong)
            oldest = min(filter(None, (oldest, at)), default=None)
        when = f", materialised until {oldest:%Y-%m-%d %H:%M} UTC or later" if oldest else ", computed when asked for"
        return Finding(Outcome.PASSED, f"{said}, all served{when}.")

    def _get(self, kind: str, name: str, project: str) -> dict[str, Any] | None:
        """One object of the registry; None where there is none."""
        url = f"{self._url}/{kind}/{quote(name, safe='')}"
        late = Unanswered(f"Feast gave no answer within {self._timeout:g} s")
        with Deadline(self._timeout) as deadline:

            def get() -> tuple[int, bytes]:
                with self._client.stream(
                    "GET",
                    url,
                    params={"project": project},
                    extensions={"trace": deadline.watch},
                ) as response:
                    return response.status_code, _body(response)

            try:
                status, body = deadline.within(get)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, UnicodeError) as error:
                raise late if deadline.passed else Unanswered(f"Feast could not be asked: {trouble(error)}") from None
            if deadline.passed:  # a body without a length ends where we cut it off
                raise late
        return _understood(status, body)


def _body(response: httpx.Response) -> bytes:
    read = b""
    for chunk in response.iter_raw():
        read += chunk
        if len(read) > LARGEST_ANSWER:
            raise httpx.StreamError("too much")
    return read


def _understood(status: int, body: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(body or b"null")
    except (ValueError, RecursionError):
        said = None
    detail = str(said.get("detail", "")) if isinstance(said, dict) else ""
    # A web server that knows no such address answers 404 too: only the registry names what it does not have.
    if status == 404 and "does not exist" in detail:
        return None
    if status != 200:
        reasons = {401: ", it wants to know who asks", 403: ", it does not let us ask", 404: ", it is not at this url"}
        raise Unanswered(f"Feast answered {status}{reasons.get(status, '')}")
    if isinstance(said, dict) and "spec" not in said:  # some releases wrap a view in its kind
        inner = [each for each in said.values() if isinstance(each, dict) and "spec" in each]
        said = inner[0] if len(inner) == 1 else said
    if not isinstance(said, dict) or not isinstance(said.get("spec"), dict):
        raise Unanswered("Feast answered with something that is not of its registry")
    return said


def _stale(view: str, found: dict[str, Any], now: datetime) -> tuple[str, datetime | None]:
    """Why a view cannot be served from, "" if it can; and until when it was materialised."""
    spec, meta = found["spec"], found.get("meta") or {}
    if "featureTransformation" in spec or "userDefinedFunction" in spec:
        return "", None  # an on-demand view holds nothing
    if spec.get("online") is not True:
        return f"Feature view {view} is not served online.", None
    try:
        ends = [_moment(each["endTime"]) for each in meta.get("materializationIntervals") or []]
        ttl = _ttl(spec.get("ttl"))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Unanswered(f"Feast says of feature view {view} what cannot be read as times") from None
    if not ends:
        return f"Feature view {view} was never materialised.", None
    last = max(ends)
    if ttl and now - last > ttl:
        age = f"{spoken(now - last)} ago; its time to live is {spoken(ttl)}"
        return f"Feature view {view} was materialised until {last:%Y-%m-%d %H:%M} UTC, {age}.", last
    return "", last


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _ttl(text: Any) -> timedelta:
    """As protobuf spells it, `86400s`; nothing and zero mean for ever."""
    if text in (None, ""):
        return timedelta()
    match = _SECONDS.fullmatch(str(text))
    if match is None:
        raise ValueError(text)
    return timedelta(seconds=int(match[1]))


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
