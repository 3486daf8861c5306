"""What the core asks of the world. A port exists only where two real implementations (or time) do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from sqlalchemy.orm import Session

from core.domain.model import ModelVersion, Person
from core.policy.readings import Reading
from core.policy.schema import WriteBackMode

#: Returns the time now, aware, in UTC. Read once a decision.
Clock = Callable[[], datetime]


class Directory(Protocol):
    """Who is who. Implementations cache, and fail closed."""

    def person(self, user_id: str) -> Person | None:
        """The person behind an id; None if unknown. Raises `Unavailable` when it could not be found out."""

    def groups_of(self, user_id: str, groups: dict[str, list[str]]) -> frozenset[str]:
        """The names of those `groups` (name -> members: ids, e-mail addresses, "@user-group") that hold the person.

        Raises `Unavailable` when membership could not be found out.
        """

    def members(self, members: list[str]) -> list[Person]:
        """The people behind a group's members, as far as known now, for showing; never raises."""


class DeploymentQueue(Protocol):
    """The durable engine, as the deciding transaction sees it."""

    def enqueue(self, session: Session, deployment_id: int, model: str) -> None:
        """Start the deployment's workflow if, and only if, the caller's transaction commits."""

    def wake(self, session: Session, deployment_id: int) -> None:
        """Have the deployment's workflow look at its row again, once the caller's transaction commits."""


@dataclass(frozen=True)
class Act:
    """One act asked of a deploy target. `key` stays the same over every retry of it.

    `since` is when it was first tried, None on the first try: whoever sends writes that down before, so that a process
    that dies in between counts as a try.
    """

    key: str
    body: dict[str, Any]
    timeout: float = 15.0
    since: datetime | None = None


@dataclass(frozen=True)
class Answer:
    """What a target said to an act.

    `state`: `succeeded` (done), `started` (a report will follow), `refused` (permanent), `unclear` (try again with the
    same key, after `retry_after` seconds at the earliest). `run` names the target's external job, to follow it by.
    """

    state: str
    message: str = ""
    url: str = ""
    retry_after: float | None = None
    run: str = ""


@dataclass(frozen=True)
class Progress:
    """How a target's run stands.

    `state`: `in_progress`, `succeeded`, `failed` (whoever or whatever ended it), `unclear` (not found out; ask again).
    `run` is what to follow it by from now on: a run's name may change as it leaves a queue.
    """

    state: str
    message: str = ""
    url: str = ""
    run: str = ""
    retry_after: float | None = None


class DeployTarget(Protocol):
    """Something that can put a version into service."""

    def send(self, act: Act) -> Answer:
        """Ask for the act once. Never raises for what the other side does; says so in the answer."""


@runtime_checkable
class FollowedTarget(DeployTarget, Protocol):
    """A deploy target that does not report by itself: its run is followed until it ends, and can be cancelled.

    `send` asks the target for a run of the same key before it starts one, and takes that over. Nothing raises for what
    the other side does. `run` is empty where the target has not named its run: it is then looked for by the act's key.
    """

    def follow(self, act: Act, run: str) -> Progress:
        """How the act's run stands now."""

    def cancel(self, act: Act, run: str) -> Answer:
        """Have the run stopped: `started` (told to; follow it to its end), `succeeded` (nothing runs), `refused` or
        `unclear`.
        """


@dataclass(frozen=True)
class Sighting:
    """A version that another registry has, as a poll sees it: not yet what it is, only that it is."""

    model: str
    number: int
    at: datetime

    @property
    def version(self) -> str:
        """As Baton and the registry spell it."""
        return str(self.number)


@dataclass(frozen=True)
class ForeignVersion:
    """A version of another registry, read whole. `given` can be registered as it is.

    `notes` are sentences for people: what was left out or taken for no data, and why. They may hold outside text.
    `asks` is set where the registry holds it for something that waits for somebody's approval.
    """

    registry: str
    given: ModelVersion
    notes: tuple[str, ...] = ()
    asks: bool = False


@dataclass(frozen=True)
class NotReady:
    """A version that must not be registered yet. Read it again later, unless `final`: then waiting does not help."""

    sentence: str
    final: bool = False


@dataclass(frozen=True)
class Place:
    """What may be moved past Baton: an alias, a stage, a copy's alias or the approval status of one model."""

    model: str
    mode: WriteBackMode
    target: str


@dataclass(frozen=True)
class WriteBack:
    """What Baton decided, to be recorded in the registry that the version came from.

    `target` is what moves: an alias, a stage, the model that is copied to, or the stage that an approval status is for;
    nothing for `tags-only`, which is also how a rejection is recorded where there is no approval status. `previous` is the version that `target` held when the decision was made, None for nothing.
    `undoes` is set for rollbacks: `previous` is then no version to go back to.
    """

    model: str
    version: str
    mode: WriteBackMode
    target: str
    previous: str | None
    request: str  #: "P-12"
    decision: str  #: "approved", "rejected", "rolled_back"
    decided_by: str = ""
    decided_at: str = ""
    deployment: str = ""
    report_url: str = ""
    undoes: bool = False


@dataclass(frozen=True)
class Written:
    """What came of a `WriteBack`, with its one sentence.

    `written`: it is recorded now. `unchanged`: it was recorded already, nothing was written. `moved`: somebody else moved
    the target meanwhile; Baton left it where it is, and a person must look.
    """

    state: Literal["written", "unchanged", "moved"]
    sentence: str


class Registry(Protocol):
    """Another registry of models, whose versions Baton takes over and to which it says what it decided.

    Every method may raise `Unavailable` (ask again later, with a pause that grows), `NotFound` (the model or version is
    gone: renamed or deleted) or `Conflict` (it will never do this as asked), each with a sentence that names the registry.
    """

    name: str

    def models(self) -> Iterator[str]:
        """The names of its models."""

    def recent(self, since: datetime) -> Iterator[Sighting]:
        """Versions of any model that were created at `since` or later, newest first: one poll for all models."""

    def versions(self, model: str, above: int) -> Iterator[Sighting]:
        """A model's versions with a number above `above`, rising. Numbers have holes where versions were deleted."""

    def read(self, model: str, version: str) -> ForeignVersion | NotReady:
        """Everything that Baton needs to register the version, once its training run has finished."""

    def write_back(self, decision: WriteBack) -> Written:
        """Record the decision; doing it twice is harmless. The caller holds its own lock on model and stage."""

    def current(self, model: str, mode: WriteBackMode, target: str) -> str | None:
        """The version that the registry's `target` holds now; None for nothing. Always None for `tags-only`."""

    def held(self, places: Collection[Place]) -> dict[Place, str | None]:
        """What each of many places holds now, as cheaply as can be; those that cannot be read for good are left out."""

    def moved_by(self, place: Place, found: str, expected: str) -> str:
        """Who last changed what a place holds, or held before, as a sentence; "" where the registry keeps no record."""

    def target(self, mode: WriteBackMode, model: str, stage: str, last: bool) -> str:
        """What a decision for Baton's `stage` moves; `last` is the policy's last stage."""

    def named(self, mode: WriteBackMode, target: str) -> str:
        """A place in words, without its model: `the alias champion`."""


class MetricsSource(Protocol):
    """Where an analysis asks its queries."""

    def ask(self, query: str, at: datetime) -> Reading:
        """The one number that the query has at that moment. Never raises for what the other side does."""
