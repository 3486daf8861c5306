"""Deploy targets that are CI servers: a run is started once for one act, followed to its end, and can be stopped.

None of these servers knows an idempotency key. So every run carries the act's key, and a server is asked for a run with
that key before it is asked to start one. An unclear answer is followed by a pause in which a slow server may finish what
it began; only then is "there is no such run" believed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from core.ports import Act, Answer, Clock, Progress
from core.targets.exchange import Exchange, Service, Trouble, exchange
from core.wire import new_client

#: Seconds after which a server that took an order has surely come to show its run.
SETTLED = 60.0
#: How far the server's clock may be behind ours.
SKEW = timedelta(minutes=5)


class Runs(Protocol):
    """What one kind of CI server can be asked. Every method may raise `Trouble`."""

    service: Service

    def find(self, ask: Exchange, act: Act, since: datetime) -> Progress | None:
        """The run with the act's key, none of which is older than `since`."""

    def start(self, ask: Exchange, act: Act) -> Progress:
        """Start a run that carries the act's key; `run` stays empty where the server does not say which it is."""

    def look(self, ask: Exchange, act: Act, run: str, /) -> Progress:
        """How the run stands."""

    def stop(self, ask: Exchange, run: str) -> None:
        """Have the run stopped; nothing if it has ended meanwhile."""


class RunTarget:
    """A CI server as a deploy target (`FollowedTarget`). `close()` at the end."""

    def __init__(self, name: str, runs: Runs, clock: Clock) -> None:
        self.name = name
        self._runs = runs
        self._clock = clock
        self._client = new_client(runs.service.headers)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def send(self, act: Act) -> Answer:
        """Take over the run of this act, or start one; within `act.timeout` seconds in all."""
        with exchange(self._runs.service, self._client, self._clock, act.timeout) as ask:
            try:
                found = self._find(ask, act)
            except Trouble as trouble:
                # Once it was tried there may be a run: a server that will not tell has not said no to the act.
                trouble.permanent = trouble.permanent and act.since is None
                return trouble.answer()
            if found is not None:
                return _started(found)
            if wait := self._unsettled(act):
                words = "its last answer was lost; it gets time to show its run before it is asked for another"
                return Answer("unclear", words, retry_after=wait)
            try:
                return _started(self._runs.start(ask, act))
            except Trouble as trouble:
                answer = trouble.answer()
                if trouble.untouched:
                    return answer
                return replace(answer, retry_after=max(SETTLED, answer.retry_after or 0.0))

    def follow(self, act: Act, run: str) -> Progress:
        """How the run stands. A server that does not answer, or not well, leaves that `unclear`, never failed."""
        with exchange(self._runs.service, self._client, self._clock, act.timeout) as ask:
            try:
                seen = self._runs.look(ask, act, run) if run else self._find(ask, act)
            except Trouble as trouble:
                return trouble.progress(run)
        return seen or Progress("unclear", self._nothing(act))

    def cancel(self, act: Act, run: str) -> Answer:
        """Have the act's run stopped, whether or not it is known which it is."""
        with exchange(self._runs.service, self._client, self._clock, act.timeout) as ask:
            try:
                seen = self._runs.look(ask, act, run) if run else self._find(ask, act)
                if seen is None:
                    wait = self._unsettled(act)
                    return Answer("unclear" if wait else "succeeded", self._nothing(act), retry_after=wait or None)
                if seen.state in ("succeeded", "failed"):
                    return Answer("succeeded", f"the run had ended: {seen.message}", seen.url, run=seen.run)
                self._runs.stop(ask, seen.run)
            except Trouble as trouble:
                return replace(trouble.answer(), run=run)
        return Answer("started", "the run was told to stop", seen.url, run=seen.run)

    def _find(self, ask: Exchange, act: Act) -> Progress | None:
        return self._runs.find(ask, act, (act.since or _made(act) or self._clock() - timedelta(days=1)) - SKEW)

    def _nothing(self, act: Act) -> str:
        service = self._runs.service
        words = f"{service.name} shows no run with the id {act.key}"
        return f"{words}; {service.tracing}" if service.tracing else words

    def _unsettled(self, act: Act) -> float:
        """Seconds in which a run of this act may still come to light."""
        return max(0.0, SETTLED - (self._clock() - act.since).total_seconds()) if act.since else 0.0


def facts(act: Act) -> dict[str, str]:
    """What a run is told of its act, by names that each server spells in its own way."""
    data = _mapping(act.body.get("data"))
    model, previous = _mapping(data.get("model")), _mapping(data.get("previous"))
    told = {name: data.get(name) for name in ("action", "stage", "traffic_percent", "deployment", "seq")}
    told |= {"model": model.get("name"), "version": model.get("version"), "digest": model.get("digest")}
    told |= {"id": act.key, "previous": previous.get("version")}
    return {name: "" if value is None else str(value) for name, value in told.items()}


def too_many(what: str, act: Act) -> None:
    """There is more than can be looked through. Harmless before the first try; later it hides what we look for.

    Raises `Trouble`.
    """
    if act.since is not None:
        raise Trouble(f"there are too many {what} to tell whether one of them is ours")


def _started(run: Progress) -> Answer:
    return Answer("started", run.message, run.url, run=run.run)


def _made(act: Act) -> datetime | None:
    """When the act was thought of: nothing of it is older."""
    given = act.body.get("time")
    try:
        at = datetime.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC) if at else None


def _mapping(given: object) -> dict[str, Any]:
    return given if isinstance(given, dict) else {}
